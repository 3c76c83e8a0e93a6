//! Services on a swarm of real engines, by the plain `docker` client: what runs, how it changes, what
//! is told when it cannot.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Client, Daemons, IMAGE, exclusive, until};

const LONG: Duration = Duration::from_mins(1);

/// Tasks of a service that run, as `NAME NODE`.
fn running(nodes: &Daemons<'_>, service: &str) -> Result<Vec<String>> {
    let filter =
        ["--filter", "desired-state=running", "--format", "{{.Name}} {{.Node}} {{.CurrentState}}"];
    let listed = nodes.docker(1, &[&["service", "ps", service][..], &filter].concat()).ok()?;
    let lines = listed.lines().filter(|line| line.contains(" Running "));
    let mut lines: Vec<_> =
        lines.map(|line| line.split(" Running").next().unwrap_or("").to_owned()).collect();
    lines.sort();
    Ok(lines)
}

#[test]
fn services_are_created_scaled_updated_rolled_back_and_removed() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2, 3], 1)?;
    let sleep = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    let create = ["service", "create", "--name", "web", "--replicas", "3", "--env", "A=1"];
    let create = [&create[..], &["--update-monitor", "1s"], &sleep].concat();
    let said = nodes.docker(1, &create).ok()?;
    ensure!(said.contains("converged"), "{said}");
    ensure!(
        running(&nodes, "web")? == ["web.1 host-1", "web.2 host-2", "web.3 host-3"]
            || running(&nodes, "web")?.len() == 3,
        "{:?}",
        running(&nodes, "web")?
    );
    let on: std::collections::BTreeSet<_> = running(&nodes, "web")?
        .iter()
        .filter_map(|line| line.split(' ').nth(1).map(str::to_owned))
        .collect();
    ensure!(on.len() == 3, "they are spread: {on:?}");

    nodes.docker(1, &["service", "scale", "web=5"]).ok()?;
    ensure!(running(&nodes, "web")?.len() == 5);
    nodes.docker(1, &["service", "scale", "web=2"]).ok()?;
    until(LONG, "two are left", || Ok((running(&nodes, "web")?.len() == 2).then_some(())))?;

    let before = running(&nodes, "web")?;
    nodes.docker(1, &["service", "update", "--label-add", "team=red", "web"]).ok()?;
    ensure!(running(&nodes, "web")? == before, "a label restarts nothing");
    let env = "{{json .Spec.TaskTemplate.ContainerSpec.Env}} {{.UpdateStatus.State}}";
    // The client is content when all have run for the time of the update's monitor, as it has seen it.
    let becomes = |expected: &str| {
        let mut shown = String::new();
        until(LONG, format_args!("web is {expected}"), || {
            shown = nodes.docker(1, &["service", "inspect", "--format", env, "web"]).ok()?;
            Ok((shown == expected).then_some(()))
        })
        .with_context(|| shown)
    };
    nodes.docker(1, &["service", "update", "--env-add", "A=2", "web"]).ok()?;
    becomes(r#"["A=2"] completed"#)?;
    nodes.docker(1, &["service", "rollback", "web"]).ok()?;
    becomes(r#"["A=1"] rollback_completed"#)?;

    let socket = format!("unix://{}", nodes.sock(1).display());
    let swarm = |arguments: &[&str]| -> Result<_> {
        Ok(Client::new(swarm_e2e::swarm()?, &socket).run(arguments))
    };
    let ids = || nodes.docker(1, &["service", "ps", "-qf", "desired-state=running", "web"]).ok();
    let before = ids()?;
    let said = swarm(&["service", "restart", "web"])?.ok()?;
    ensure!(said.contains("web restarted"), "{said}");
    ensure!(before.lines().all(|id| !ids().is_ok_and(|now| now.contains(id))), "all are new");
    let said = swarm(&["service", "restart", "nothing"])?.fails()?;
    ensure!(said.contains("service nothing not found"), "{said}");

    nodes.docker(1, &["service", "rm", "web"]).ok()?;
    // A manager tells it all among its engine's own events, as Docker's does.
    let format = "{{.Scope}} {{.Type}} {{.Action}} {{.Actor.Attributes.name}} \
                  {{index .Actor.Attributes \"replicas.old\"}} \
                  {{index .Actor.Attributes \"updatestate.new\"}}";
    let asked = ["events", "--since", "10m", "--until", "0s", "--format", format];
    // The client asks until the second that begins now: the last events come with the next.
    until(LONG, "the events of the service", || {
        let told = nodes.docker(1, &asked).ok()?;
        let words = [
            "swarm service create web",
            "swarm service update web 3",
            "swarm service update web  completed",
            "swarm service remove web",
            "local container start web.1.",
        ];
        Ok(words.iter().all(|words| told.contains(words)).then_some(()))
    })?;
    for host in 1..=3 {
        until(LONG, "its containers are gone", || {
            Ok(nodes.engine(host, &["ps", "--all", "--quiet"]).ok()?.is_empty().then_some(()))
        })?;
    }
    Ok(())
}

/// Devices and privileges are given by labels, where a node's owner allows them.
fn beyond(nodes: &mut Daemons<'_>) -> Result<()> {
    let create = |nodes: &Daemons<'_>, name: &str, labels: &[&str]| {
        let begin = ["service", "create", "--detach", "--name", name, "--stop-signal", "KILL"];
        let labels: Vec<_> = labels.iter().flat_map(|label| ["--label", *label]).collect();
        nodes.docker(1, &[&begin[..], &labels, &[IMAGE, "sleep", "1d"]].concat())
    };
    let told = |nodes: &Daemons<'_>, service: &str, words: &str| {
        until(LONG, format_args!("{service}: {words}"), || {
            let format = "{{.Node}} {{.CurrentState}} {{.Error}}";
            let told = nodes
                .docker(1, &["service", "ps", "--no-trunc", "--format", format, service])
                .ok()?;
            Ok(told.contains(words).then_some(()))
        })
    };
    let device = "swarm.host.devices=/dev/null:/dev/nothing:rw";
    create(nodes, "device", &[device, "swarm.host.ipc=host"]).ok()?;
    create(nodes, "privileged", &["swarm.host.privileged=true"]).ok()?;
    told(nodes, "device", "no suitable node (2 nodes do not allow the devices)")?;
    told(nodes, "privileged", "no suitable node (2 nodes do not allow privileged containers)")?;
    nodes.stop(2)?;
    nodes.launch(2, &["--allow", "privileged,device=/dev/null", "--allow", "ipc"])?;
    told(nodes, "device", "host-2 Running")?;
    let container = |nodes: &Daemons<'_>, service: &str, format: &str| -> Result<String> {
        let label = format!("label=com.docker.swarm.service.name={service}");
        let listed = nodes.engine(2, &["ps", "--all", "--quiet", "--filter", &label]).ok()?;
        let first = listed.lines().next().unwrap_or_default();
        nodes.engine(2, &["inspect", "--format", format, first]).ok()
    };
    let format = "{{(index .HostConfig.Devices 0).PathInContainer}} {{.HostConfig.IpcMode}}";
    ensure!(container(nodes, "device", format)? == "/dev/nothing host");
    // Not every machine lets a host of the lab start one; it is asked for all the same.
    told(nodes, "privileged", "host-2 ")?;
    until(LONG, "a privileged container is made", || {
        let made = container(nodes, "privileged", "{{.HostConfig.Privileged}}");
        Ok(made.is_ok_and(|made| made == "true").then_some(()))
    })?;
    nodes.docker(1, &["service", "rm", "privileged"]).ok()?;
    let format = "{{json .Spec.TaskTemplate}}";
    let shown = nodes.docker(1, &["service", "inspect", "--format", format, "device"]).ok()?;
    ensure!(!shown.contains("nothing"), "the labels alone say it: {shown}");

    // The owner takes it back, and what runs there goes.
    nodes.stop(2)?;
    nodes.launch(2, &["--allow", "ipc"])?;
    told(nodes, "device", "2 nodes do not allow the devices")?;
    // A label is taken away: another container, without a device.
    let update = |change: &[&str]| {
        nodes.docker(1, &[&["service", "update", "--detach"], change, &["device"]].concat())
    };
    update(&["--label-rm", "swarm.host.devices"]).ok()?;
    told(nodes, "device", "host-2 Running")?;
    ensure!(container(nodes, "device", "{{len .HostConfig.Devices}}")? == "0");
    let said = update(&["--label-add", "swarm.host.ipc=container:a"]).fails()?;
    ensure!(said.contains("label swarm.host.ipc: \"container:a\" is none of host"), "{said}");
    nodes.docker(1, &["service", "rm", "device"]).ok().map(drop)
}

#[test]
fn what_cannot_run_says_why() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    // Restarted with more, before the others hear that it is away.
    beyond(&mut nodes)?;
    let service = |name: &str, more: &[&str]| {
        let begin =
            ["service", "create", "--detach", "--name", name, "--restart-condition", "none"];
        nodes.docker(1, &[&begin[..], more].concat())
    };
    let error = |name: &str, words: &str| {
        until(LONG, format_args!("{name} says {words}"), || {
            let format = "{{.CurrentState}} {{.Error}}";
            let told =
                nodes.docker(1, &["service", "ps", "--no-trunc", "--format", format, name]).ok()?;
            Ok(told.contains(words).then_some(()))
        })
    };
    service("nowhere", &["--constraint", "node.labels.disk==tape", IMAGE, "true"]).ok()?;
    error("nowhere", "no suitable node")?;
    service("missing", &["not-there:1"]).ok()?;
    error("missing", "not-there")?;
    service("failing", &[IMAGE, "sh", "-c", "exit 7"]).ok()?;
    error("failing", "non-zero exit (7)")?;

    // What cannot run anywhere is not tried again and again.
    nodes.docker(1, &["service", "create", "--detach", "--name", "again", "not-there:1"]).ok()?;
    error("again", "not-there")?;
    std::thread::sleep(Duration::from_secs(6));
    let tried = nodes.docker(1, &["service", "ps", "--quiet", "again"]).ok()?;
    ensure!(tried.lines().count() <= 3, "{tried}");

    for (more, words) in [
        (&["--network", "front", IMAGE][..], "front"),
        (&["--publish", "80:80", IMAGE], "mode=host"),
    ] {
        let told = service("refused", more).fails()?;
        ensure!(told.contains(words), "{words}: {told}");
    }
    service("twice", &[IMAGE, "sleep", "1d"]).ok()?;
    let told = service("twice", &[IMAGE]).fails()?;
    ensure!(told.contains("name conflicts with an existing object"), "{told}");
    let told = nodes.docker(1, &["service", "inspect", "nothing"]).fails()?;
    ensure!(told.contains("no such service") || told.contains("not found"), "{told}");
    Ok(())
}

#[test]
fn global_services_jobs_and_host_ports() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2, 3], 1)?;
    let publish = "published=8080,target=80,mode=host";
    let serve = "mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 80 -h /w";
    let global =
        ["service", "create", "--name", "everywhere", "--mode", "global", "--publish", publish];
    nodes
        .docker(
            1,
            &[&global[..], &["--hostname", "{{.Node.Hostname}}", IMAGE, "sh", "-c", serve]]
                .concat(),
        )
        .ok()?;
    for host in 1..=3 {
        let fetch = format!("timeout 5 wget -q -O- http://{}:8080/", lab.ip(host));
        until(LONG, "it answers on its host", || {
            let got = lab.sh(host, &fetch).ok();
            Ok(got.filter(|got| got.trim() == format!("host-{host}")))
        })?;
    }
    // One to each node; what ends takes its time.
    let moves = ["service", "create", "--name", "moves", "--replicas", "3", "--label"];
    let moves = [&moves[..], &["swarm.drain=start-first", IMAGE, "sh", "-c"]].concat();
    let slow = "trap 'sleep 1; exit' TERM; while :; do sleep 0.1; done";
    nodes.docker(1, &[&moves[..], &[slow]].concat()).ok()?;
    ensure!(running(&nodes, "moves")?.iter().any(|line| line.ends_with("host-2")));
    nodes.node(1, &["update", "--availability", "drain", "host-2"])?;
    for (service, left) in [("everywhere", 2), ("moves", 3)] {
        until(LONG, "a drained node runs none", || {
            let listed = running(&nodes, service)?;
            let is_left = listed.iter().any(|line| line.ends_with("host-2"));
            Ok((listed.len() == left && !is_left).then_some(()))
        })?;
    }
    followed_first(&nodes)?;

    // What came together stays where it is until somebody asks for it to be evened out.
    nodes.node(1, &["update", "--availability", "active", "host-2"])?;
    let socket = format!("unix://{}", nodes.sock(1).display());
    let swarm = |arguments: &[&str]| -> Result<_> {
        Ok(Client::new(swarm_e2e::swarm()?, &socket).run(arguments))
    };
    let scale = ["service", "update", "--update-order", "start-first", "--replicas", "6"];
    nodes.node(1, &["update", "--availability", "pause", "host-2"])?;
    nodes.docker(1, &[&scale[..], &["moves"]].concat()).ok()?;
    nodes.node(1, &["update", "--availability", "active", "host-2"])?;
    let said = swarm(&["rebalance"])?.ok()?;
    ensure!(said.contains("start first") && said.contains("nothing was moved"), "{said}");
    let said = swarm(&["rebalance", "--apply", "--at-once", "2"])?.ok()?;
    ensure!(said.contains("moved to host-2"), "{said}");
    for host in ["host-1", "host-2", "host-3"] {
        let listed = running(&nodes, "moves")?;
        let on = listed.iter().filter(|line| line.ends_with(host)).count();
        ensure!(on == 2, "{listed:?}");
    }
    let said = swarm(&["rebalance"])?.ok()?;
    ensure!(said.contains("as evenly as it may be"), "{said}");
    Ok(())
}

/// The task that left host-2 ended after the one in its place had been started.
fn followed_first(nodes: &Daemons<'_>) -> Result<()> {
    let of = |slot: &str, state: &str| {
        let (slot, state) = (format!("name=moves.{slot}"), format!("desired-state={state}"));
        let filters = ["service", "ps", "-q", "--no-trunc", "-f", &slot, "-f", &state, "moves"];
        nodes.docker(1, &filters).ok()
    };
    let slots = ["1", "2", "3"];
    let gone = slots.into_iter().find_map(|slot| {
        let old = of(slot, "shutdown").ok().filter(|old| !old.is_empty())?;
        Some((old, of(slot, "running").ok()?))
    });
    let Some((old, new)) = gone else { anyhow::bail!("no task was moved") };
    let label = |id: &str| format!("label=com.docker.swarm.task.id={id}");
    let time = |host, id: &str, format: &str| -> Result<String> {
        let all = ["ps", "--all", "--quiet", "--filter", &label(id)];
        let container = nodes.engine(host, &all).ok()?;
        nodes.engine(host, &["inspect", "--format", format, &container]).ok()
    };
    let finished = until(LONG, "the old one ends", || {
        let at = time(2, &old, "{{.State.FinishedAt}}")?;
        Ok((!at.starts_with("0001")).then_some(at))
    })?;
    let started = [1, 3].into_iter().find_map(|host| time(host, &new, "{{.State.StartedAt}}").ok());
    let started = started.unwrap_or_default();
    ensure!(!started.is_empty() && started < finished, "{started} {finished}");
    Ok(())
}
