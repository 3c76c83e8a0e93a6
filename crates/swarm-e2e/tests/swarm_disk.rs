//! A manager whose disk is full: what it answers, what goes on, who leads then, and what is there when there
//! is room again. Each manager's folder is a small file system of its own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use swarm_e2e::{Client, Daemons, IMAGE, ask, exclusive, until};

const LONG: Duration = Duration::from_mins(1);

/// Room for a store, and for little beside it.
const SIZE: &str = "size=24m";

/// Gives the daemons of these hosts folders with little room.
fn small_disks(nodes: &Daemons<'_>, hosts: &[u8]) -> Result<()> {
    for host in hosts {
        let data = nodes.folder(*host).join("data");
        let data = data.display();
        let mount =
            format!("mkdir -p -m 700 {data} && mount -t tmpfs -o {SIZE},mode=700 none {data}");
        nodes.lab().sh(*host, &mount)?;
    }
    Ok(())
}

/// Fills the disk of a host's manager to the last byte.
fn fill(nodes: &Daemons<'_>, host: u8) -> Result<()> {
    let file = nodes.folder(host).join("data/ballast");
    let script =
        format!("dd if=/dev/zero of={} bs=4k 2>&1 | grep -q 'No space left'", file.display());
    nodes.lab().sh(host, &script).map(drop)
}

/// Makes room on it.
fn make_room(nodes: &Daemons<'_>, host: u8) -> Result<()> {
    let file = nodes.folder(host).join("data/ballast");
    nodes.lab().sh(host, &format!("rm {}", file.display())).map(drop)
}

fn cluster(nodes: &Daemons<'_>, host: u8) -> Client {
    let socket = nodes.folder(host).join("cluster.sock");
    Client::new("docker", &format!("unix://{}", socket.display()))
}

/// What was answered to whoever made configs.
#[derive(Debug, Default)]
struct Answers {
    made: BTreeSet<String>,
    refused: BTreeSet<String>,
    unsure: BTreeSet<String>,
}

impl Answers {
    /// Makes one; the words of what is no success.
    fn make(&mut self, nodes: &Daemons<'_>, host: u8, name: &str) -> Result<Option<String>> {
        let ran = nodes.client(host).feed(&["config", "create", name, "-"], &vec![b'x'; 20_000]);
        let words = match ran.ok() {
            Ok(_) => {
                self.made.insert(name.to_owned());
                return Ok(None);
            }
            Err(error) => format!("{error:#}"),
        };
        if words.contains("It may still be applied: look before you try again") {
            self.unsure.insert(name.to_owned());
        } else if words.contains("nothing was changed") {
            self.refused.insert(name.to_owned());
        } else {
            bail!("{name}: neither certain nor unsure: {words}");
        }
        Ok(Some(words))
    }

    /// Makes configs until one is refused, in words.
    fn until_refused(&mut self, nodes: &Daemons<'_>, host: u8, prefix: &str) -> Result<String> {
        for number in 0..400 {
            let words = self.make(nodes, host, &format!("{prefix}{number}"))?;
            if let Some(words) = words.filter(|words| words.contains("nothing was changed")) {
                return Ok(words);
            }
        }
        bail!("the disk of host {host} takes everything")
    }

    /// What is there is what was made, and perhaps what was unsure.
    fn agree_with(&self, there: &BTreeSet<String>) -> Result<()> {
        let lost: Vec<_> = self.made.difference(there).collect();
        ensure!(lost.is_empty(), "made, and not there: {lost:?}");
        let odd: Vec<_> = there.intersection(&self.refused).collect();
        ensure!(odd.is_empty(), "refused, and there: {odd:?}");
        Ok(())
    }
}

fn configs(nodes: &Daemons<'_>, host: u8) -> Result<BTreeSet<String>> {
    let listed = nodes.docker(host, &["config", "ls", "--format", "{{.Name}}"]).ok()?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// The service's running containers on a host, as its engine has them.
fn containers(nodes: &Daemons<'_>, host: u8) -> Result<BTreeSet<String>> {
    Ok(nodes.engine(host, &["ps", "--quiet"]).ok()?.lines().map(str::to_owned).collect())
}

fn sleepers(nodes: &Daemons<'_>, by: u8, replicas: &str) -> Result<()> {
    let create = ["service", "create", "--name", "web", "--replicas", replicas];
    let sleep = ["--restart-delay", "1s", "--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    nodes.docker(by, &[&create[..], &sleep].concat()).ok().map(drop)
}

#[test]
fn the_only_manager_says_that_its_disk_is_full_and_goes_on_with_room() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[])?;
    small_disks(&nodes, &[1])?;
    nodes.launch(1, &[])?;
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    sleepers(&nodes, 1, "2")?;
    let before = containers(&nodes, 1)?;
    ensure!(before.len() == 2, "{before:?}");

    fill(&nodes, 1)?;
    let mut answers = Answers::default();
    let words = answers.until_refused(&nodes, 1, "full-")?;
    println!("refused: {words}");
    ensure!(words.contains("does not take writes (No space left on device"), "{words}");
    // The one in whose midst it filled up, if nothing of the managers' own came before it.
    ensure!(answers.unsure.len() <= 1, "it is found out more than once: {answers:?}");
    // Both endpoints, with a status that says: later.
    let config = r#"{"Name":"raw","Data":"eA=="}"#;
    let begun = Instant::now();
    for endpoint in ["docker.sock", "cluster.sock"] {
        let socket = nodes.folder(1).join(endpoint);
        let answered = ask(&socket, "POST", "/configs/create", config)?;
        ensure!(answered.status == 503, "{endpoint}: {} {}", answered.status, answered.text());
        ensure!(answered.message().contains("No space left"), "{}", answered.text());
    }
    answers.refused.insert("raw".to_owned());
    let create = ["service", "create", "--detach", "--name", "more", IMAGE, "sleep", "1d"];
    for client in [nodes.client(1), cluster(&nodes, 1)] {
        let told = client.run(&create).fails()?;
        ensure!(told.contains("nothing was changed"), "{told}");
    }
    // Reads go on, and tasks.
    let listed = nodes.docker(1, &["service", "ls", "--format", "{{.Name}} {{.Replicas}}"]).ok()?;
    ensure!(listed == "web 2/2", "{listed}");
    answers.agree_with(&configs(&nodes, 1)?)?;
    ensure!(begun.elapsed() < Duration::from_secs(15), "nobody waits: {:?}", begun.elapsed());
    ensure!(containers(&nodes, 1)? == before, "the same containers run");
    let why = nodes.docker(1, &["info", "--format", "{{.Swarm.Error}}"]).ok()?;
    ensure!(why.contains("the disk of its store does not take writes (No space left"), "{why}");

    // One that ends meanwhile is heard of, and replaced when that can be written.
    let gone = before.first().context("none runs")?;
    nodes.engine(1, &["kill", gone]).ok()?;
    until(LONG, "its end is heard of, and cannot be written", || {
        let has_ended = !containers(&nodes, 1)?.contains(gone);
        Ok((has_ended && nodes.logs().contains("what nodes said is not written yet")).then_some(()))
    })
    .with_context(|| nodes.logs())?;
    make_room(&nodes, 1)?;
    let begun = Instant::now();
    let mut number = 0;
    until(LONG, "a write is taken", || {
        number += 1;
        Ok(answers.make(&nodes, 1, &format!("room-{number}"))?.is_none().then_some(()))
    })
    .with_context(|| nodes.logs())?;
    let took = begun.elapsed();
    println!("with room again a write was taken after {took:.1?}");
    ensure!(took < Duration::from_secs(15), "{took:?}");
    until(LONG, "it is replaced", || {
        let now = containers(&nodes, 1)?;
        Ok((now.len() == 2 && !now.contains(gone)).then_some(()))
    })
    .with_context(|| nodes.logs())?;
    println!("what had ended was replaced {:.1?} after there was room", begun.elapsed());
    let history = ["service", "ps", "--no-trunc", "--format", "{{.Error}}", "web"];
    let told = nodes.docker(1, &history).ok()?;
    ensure!(told.contains("non-zero exit (137)"), "its end is told: {told}");
    let healthy = nodes.docker(1, &["info", "--format", "{{.Swarm.Error}}"]).ok()?;
    ensure!(healthy.is_empty(), "{healthy}");

    // All of it is on the disk.
    let (there, running) = (configs(&nodes, 1)?, containers(&nodes, 1)?);
    answers.agree_with(&there)?;
    nodes.kill(1)?;
    nodes.launch(1, &[])?;
    nodes.ready(1, 1)?;
    ensure!(configs(&nodes, 1)? == there, "nothing is lost, and nothing comes late");
    ensure!(containers(&nodes, 1)? == running, "and nothing is restarted");
    Ok(())
}

/// The host whose manager leads.
fn leader(nodes: &Daemons<'_>, by: u8) -> Option<u8> {
    let format = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
    let listed = nodes.docker(by, &format).ok().ok()?;
    let leader = listed.lines().find_map(|line| line.strip_suffix(" Leader"));
    leader?.strip_prefix("host-")?.parse().ok()
}

fn all(nodes: &Daemons<'_>) -> Result<Vec<BTreeSet<String>>> {
    [1, 2, 3].into_iter().map(|host| containers(nodes, host)).collect()
}

/// A follower's disk is full: the others are enough, and who asks it is answered.
fn a_follower_s_disk_fills_up(nodes: &Daemons<'_>, answers: &mut Answers) -> Result<()> {
    let before = all(nodes)?;
    let leads = until(LONG, "somebody leads", || Ok(leader(nodes, 1)))?;
    let full = if leads == 3 { 2 } else { 3 };
    fill(nodes, full)?;
    for number in 0..10 {
        let made = answers.make(nodes, leads, &format!("follower-{number}"))?;
        ensure!(made.is_none(), "{made:?}; {}", nodes.logs());
    }
    until(LONG, "it knows", || {
        let why = nodes.docker(full, &["info", "--format", "{{.Swarm.Error}}"]).ok()?;
        Ok(why.contains("No space left on device").then_some(()))
    })?;
    // It follows by as much as the leader sent before it heard that the disk is full, a write or a MiB of
    // them: behind that it decides nothing any more, and says so.
    let told = answers.make(nodes, full, "through")?.unwrap_or_default();
    ensure!(told.is_empty() || told.contains("and what is here may be old"), "{told}");
    for number in 10..60 {
        let made = answers.make(nodes, leads, &format!("follower-{number}"))?;
        ensure!(made.is_none(), "{made:?}; {}", nodes.logs());
    }
    let told = answers.make(nodes, full, "behind")?.unwrap_or_default();
    ensure!(told.is_empty() || told.contains("and what is here may be old"), "{told}");
    ensure!(leader(nodes, leads) == Some(leads), "it costs no leader: {}", nodes.logs());
    ensure!(all(nodes)? == before, "nor a task");
    make_room(nodes, full)?;
    until(LONG, "it has caught up", || {
        Ok(configs(nodes, full)?.is_superset(&answers.made).then_some(()))
    })
    .with_context(|| nodes.logs())?;
    until(LONG, "and is well", || {
        let why = nodes.docker(full, &["info", "--format", "{{.Swarm.Error}}"]).ok()?;
        Ok(why.is_empty().then_some(()))
    })?;
    Ok(())
}

#[test]
fn one_of_three_managers_may_have_a_full_disk_and_does_not_lead_with_it() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[])?;
    small_disks(&nodes, &[1, 2, 3])?;
    for host in [1, 2, 3] {
        nodes.launch(host, &[])?;
    }
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    for host in [2, 3] {
        nodes.join(host, 1, "manager")?.ok()?;
    }
    nodes.ready(1, 3)?;
    sleepers(&nodes, 1, "3")?;
    let before = all(&nodes)?;
    let mut answers = Answers::default();

    a_follower_s_disk_fills_up(&nodes, &mut answers)?;

    // The leader's.
    let leads = until(LONG, "somebody leads", || Ok(leader(&nodes, 1)))?;
    let others: Vec<u8> = (1..=3).filter(|host| *host != leads).collect();
    fill(&nodes, leads)?;
    let (mut number, begun) = (0, Instant::now());
    let mut filled = None;
    let next = until(LONG, "another one leads", || {
        number += 1;
        let told = answers.make(&nodes, leads, &format!("leader-{number}"))?;
        if told.is_some() {
            filled.get_or_insert_with(Instant::now);
        }
        Ok(leader(&nodes, others[0]).filter(|leader| *leader != leads))
    })
    .with_context(|| nodes.logs())?;
    let took = filled.map_or(Duration::ZERO, |filled| filled.elapsed());
    println!(
        "host {next} leads: {:.1?} after the disk was filled, {took:.1?} after a write was not taken",
        begun.elapsed()
    );
    ensure!(took < Duration::from_secs(10), "{took:?}");
    for host in &others {
        until(LONG, "writes go on", || {
            number += 1;
            let told = answers.make(&nodes, *host, &format!("others-{number}"))?;
            Ok(told.is_none().then_some(()))
        })
        .with_context(|| nodes.logs())?;
    }
    let words = answers.until_refused(&nodes, leads, "refused-")?;
    ensure!(words.contains("No space left on device"), "{words}");
    let begun = Instant::now();
    let listed = nodes.docker(leads, &["service", "ls", "--format", "{{.Name}}"]).ok()?;
    ensure!(listed == "web" && begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    nodes.ready(others[0], 3)?;
    ensure!(all(&nodes)? == before, "no task was touched");
    // Its node is one as any other.
    let there = containers(&nodes, leads)?;
    let gone = there.first().context("none runs there")?;
    nodes.engine(leads, &["kill", gone]).ok()?;
    until(LONG, "what ended is replaced", || {
        let now: usize = all(&nodes)?.iter().map(BTreeSet::len).sum();
        Ok((now == 3 && !containers(&nodes, leads)?.contains(gone)).then_some(()))
    })
    .with_context(|| nodes.logs())?;

    make_room(&nodes, leads)?;
    until(LONG, "it writes again", || {
        number += 1;
        let told = answers.make(&nodes, leads, &format!("again-{number}"));
        Ok(told.ok().filter(Option::is_none).map(drop))
    })
    .with_context(|| nodes.logs())?;
    let there = configs(&nodes, next)?;
    answers.agree_with(&there)?;
    for host in 1..=3 {
        until(LONG, "all have the same", || Ok((configs(&nodes, host)? == there).then_some(())))
            .with_context(|| nodes.logs())?;
    }
    Ok(())
}
