//! What happens is on screen within a second after the API tells of it, on a manager that leads and on one
//! that does not; and all of them show the same, plain containers too.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarm_e2e::{Browser, Daemons, Doorway, IMAGE, ask, exclusive, until};

use super::{LONG, PORT, SHOWS, cluster};

/// From the API's telling to the screen.
const SOON: Duration = Duration::from_secs(1);
/// The same in looks at the screen, of which each takes some 10 ms: where the machine has so much other work that
/// they take longer, so does the page.
const LOOKS: u32 = 20;

/// What was waited for, how long, and how long it may take.
struct Lags(Vec<(String, Duration, Duration)>);

impl Lags {
    /// Waits until the API tells of something, and then until the page says so: `script` makes the
    /// expression from what the API told.
    async fn seen(
        &mut self,
        browser: &Browser,
        what: &str,
        told: impl FnMut() -> Result<Option<String>>,
        script: impl FnOnce(&str) -> String,
    ) -> Result<String> {
        let told = until(LONG, what, told)?;
        let begun = Instant::now();
        browser.until(what, &script(&told)).await?;
        let lag = begun.elapsed();
        let begun = Instant::now();
        browser.run("return document.title").await?;
        self.0.push((what.to_owned(), lag, SOON.max(begun.elapsed() * LOOKS)));
        Ok(told)
    }

    /// Prints them, the slowest first; none may be too slow.
    fn judge(mut self) -> Result<()> {
        self.0.sort_by_key(|(_, lag, _)| std::cmp::Reverse(*lag));
        for (what, lag, most) in &self.0 {
            println!("{:>5} ms of {:>5}  {what}", lag.as_millis(), most.as_millis());
        }
        let slow: Vec<_> = self.0.iter().filter(|(_, lag, most)| lag >= most).collect();
        ensure!(slow.is_empty(), "too long after the API: {slow:?}");
        Ok(())
    }
}

/// An answer of a manager's node endpoint.
fn api(nodes: &Daemons<'_>, host: u8, path: &str) -> Result<Value> {
    Ok(ask(&nodes.sock(host), "GET", path, "")?.json())
}

/// The ids of a service's tasks that run and are to, and how many others run.
fn tasks(nodes: &Daemons<'_>, host: u8, service: &str) -> Result<(Vec<String>, usize)> {
    // {"service":{"NAME":true}}
    let filters = format!("%7B%22service%22%3A%7B%22{service}%22%3Atrue%7D%7D");
    let found = api(nodes, host, &format!("/tasks?filters={filters}"))?;
    let all = found.as_array().into_iter().flatten();
    let (stay, end): (Vec<_>, Vec<_>) = all
        .filter(|task| task["Status"]["State"] == "running")
        .partition(|task| task["DesiredState"] == "running");
    let mut ids: Vec<_> =
        stay.iter().filter_map(|task| task["ID"].as_str().map(str::to_owned)).collect();
    ids.sort_unstable();
    Ok((ids, end.len()))
}

/// So many tasks of a service run, and none that is to end; their ids with a space between.
fn running(nodes: &Daemons<'_>, host: u8, service: &str, count: usize) -> Result<Option<String>> {
    let (ids, ending) = tasks(nodes, host, service)?;
    Ok((ending == 0 && ids.len() == count).then(|| ids.join(" ")))
}

/// The tiles of these ids say `running`, and those of the service are no others.
fn all_run(service: &str, ids: &str) -> String {
    format!(
        "(() => {{ const wanted = '{ids}'.split(' ').sort().join(); const tiles = \
         [...document.querySelectorAll('.tile:not([hidden])')].filter((tile) => \
         tile.title.startsWith('{service}.')); return tiles.every((tile) => \
         tile.querySelector('em').textContent === 'running') && \
         tiles.map((tile) => tile.dataset.id).sort().join() === wanted; }})()"
    )
}

/// A node's column says a word.
fn card(node: &str, word: &str) -> String {
    format!(
        "[...document.querySelectorAll('.card:not([hidden])')].some((card) => \
         card.querySelector('strong').textContent === '{node}' && \
         card.querySelector('em').textContent.includes('{word}'))"
    )
}

/// A tile of this name says a state.
fn tile(name: &str, state: &str) -> String {
    format!(
        "[...document.querySelectorAll('.tile:not([hidden])')].some((tile) => \
         tile.title.split('\\n')[0] === '{name}' && \
         tile.querySelector('em').textContent === '{state}')"
    )
}

/// What a page knows: `api/state`.
fn state(door: SocketAddr) -> Result<Value> {
    let mut stream = std::net::TcpStream::connect(door)?;
    stream.set_read_timeout(Some(LONG))?;
    let request = b"GET /api/state HTTP/1.0\r\nHost: localhost\r\n\r\n";
    std::io::Write::write_all(&mut stream, request)?;
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    Ok(serde_json::from_str(body)?)
}

/// All that is shown as tiles, by id.
fn shown(door: SocketAddr) -> Result<Vec<Value>> {
    let mut all = state(door)?["containers"].as_array().cloned().unwrap_or_default();
    all.sort_by_key(|one| one["id"].as_str().unwrap_or_default().to_owned());
    Ok(all)
}

/// Waits until two managers' pages show the same, and it has `name`.
fn same(what: &str, doors: [&Doorway; 2], name: &str) -> Result<()> {
    until(LONG, what, || {
        let [one, other] = [shown(doors[0].address())?, shown(doors[1].address())?];
        let has = one.iter().any(|tile| tile["name"] == name);
        Ok((has && one == other).then_some(()))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_on_screen_within_a_second_on_every_manager() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[])?;
    for host in 1..=3 {
        nodes.launch(host, &SHOWS)?;
    }
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    nodes.join(2, 1, "manager")?.ok()?;
    nodes.join(3, 1, "manager")?.ok()?;
    nodes.ready(1, 3)?;
    let first = Doorway::open(&lab, 1, PORT).await?;
    let second = Doorway::open(&lab, 2, PORT).await?;
    let third = Doorway::open(&lab, 3, PORT).await?;
    let browser = Browser::start(1300, 900).await?;
    let mut lags = Lags(Vec::new());
    // A manager that does not lead.
    browser.open(&second.url()).await?;
    browser.until("it is live", "document.getElementById('link').textContent === 'live'").await?;
    browser.until("the leader", &card("host-1", "leader")).await?;
    services(&nodes, &browser, &mut lags).await.with_context(|| nodes.logs())?;
    containers(&nodes, &browser, &mut lags, [&first, &second])
        .await
        .with_context(|| nodes.logs())?;
    fail_over(&mut nodes, &browser, &mut lags, [&second, &third])
        .await
        .with_context(|| nodes.logs())?;
    lags.judge()?;
    browser.close().await
}

/// A service is made and scaled, a task of it is killed, and a node is drained.
async fn services(nodes: &Daemons<'_>, browser: &Browser, lags: &mut Lags) -> Result<()> {
    let create = ["service", "create", "--detach", "--name", "web", "--restart-delay", "0s"];
    let run = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    nodes.docker(1, &[&create[..], &run].concat()).ok()?;
    let there = "document.querySelector('#pane .own')?.textContent.includes('web')".to_owned();
    let listed = || {
        let found = api(nodes, 2, "/services")?;
        Ok(found.as_array().is_some_and(|all| !all.is_empty()).then(String::new))
    };
    lags.seen(browser, "a service is made: listed", listed, |_| there).await?;
    let one = || running(nodes, 2, "web", 1);
    lags.seen(browser, "a service is made: it runs", one, |ids| all_run("web", ids)).await?;
    nodes.docker(1, &["service", "scale", "--detach", "web=6"]).ok()?;
    let six = || running(nodes, 2, "web", 6);
    let ids = lags.seen(browser, "scaled up", six, |ids| all_run("web", ids)).await?;

    // Whatever is on host 1 is killed; others follow.
    let killed = nodes.engine(1, &["ps", "--quiet", "--filter", "name=web."]).ok()?;
    let all: Vec<_> = killed.lines().collect();
    ensure!(!all.is_empty(), "nothing of it is on host 1");
    nodes.engine(1, &[&["kill"][..], &all].concat()).ok()?;
    let others = || Ok(running(nodes, 2, "web", 6)?.filter(|now| *now != ids));
    lags.seen(browser, "tasks were killed: others run", others, |ids| all_run("web", ids)).await?;

    nodes.node(1, &["update", "--availability", "drain", "host-3"])?;
    let drained = || {
        let found = api(nodes, 2, "/nodes/host-3")?;
        Ok((found["Spec"]["Availability"] == "drain").then(String::new))
    };
    let draining = card("host-3", "draining");
    lags.seen(browser, "a node is drained: it says so", drained, |_| draining).await?;
    let (third, listed) = (api(nodes, 2, "/nodes/host-3")?["ID"].clone(), "/tasks");
    let away = || {
        let found = api(nodes, 2, listed)?;
        let mut all = found.as_array().into_iter().flatten();
        let is_left =
            all.any(|task| task["NodeID"] == third && task["Status"]["State"] == "running");
        Ok(running(nodes, 2, "web", 6)?.filter(|_| !is_left))
    };
    lags.seen(browser, "a node is drained: all is away", away, |ids| all_run("web", ids)).await?;
    nodes.node(1, &["update", "--availability", "active", "host-3"])?;
    nodes.docker(1, &["service", "scale", "--detach", "web=2"]).ok()?;
    let two = || running(nodes, 2, "web", 2);
    lags.seen(browser, "scaled down", two, |ids| all_run("web", ids)).await.map(drop)
}

/// Containers beside the services, on a manager that has no connection to any engine.
async fn containers(
    nodes: &Daemons<'_>,
    browser: &Browser,
    lags: &mut Lags,
    doors: [&Doorway; 2],
) -> Result<()> {
    let state = |wanted: &'static str| {
        move || {
            let asked = ["inspect", "--format", "{{.State.Status}}", "alone"];
            let found = cluster(nodes, 2).run(&asked).ok().ok();
            Ok(found.filter(|state| state == wanted))
        }
    };
    let sleep = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    let run = ["run", "--detach", "--name", "alone", "-e", "constraint:node==host-3"];
    until(LONG, "a container beside the services", || {
        Ok(cluster(nodes, 1).run(&[&run[..], &sleep].concat()).ok().ok().map(drop))
    })?;
    let runs = tile("alone", "running");
    lags.seen(browser, "a container runs", state("running"), |_| runs).await?;
    same("the leader's page and another's are the same", doors, "alone")?;
    cluster(nodes, 1).run(&["kill", "alone"]).ok()?;
    let ended = tile("alone", "exited (137)");
    lags.seen(browser, "a container is killed", state("exited"), |_| ended).await?;
    // What happened is told there, too.
    browser.click("#tab-events").await?;
    let told = "[...document.querySelectorAll('#pane .event.container')].filter((row) => \
                row.innerText.includes('alone die (137)') && row.innerText.includes('host-3'))\
                .length === 1";
    browser.until("the engine's event, once", told).await?;
    browser.click("#tab-services").await?;
    cluster(nodes, 1).run(&["start", "alone"]).ok()?;
    let runs = tile("alone", "running");
    lags.seen(browser, "a container is started", state("running"), |_| runs).await?;
    same("both are the same again", doors, "alone")
}

/// The leader dies. The next one is seen, and what it does; and then a node dies.
async fn fail_over(
    nodes: &mut Daemons<'_>,
    browser: &Browser,
    lags: &mut Lags,
    doors: [&Doorway; 2],
) -> Result<()> {
    let leader = |nodes: &Daemons<'_>| {
        let found = api(nodes, 2, "/nodes")?;
        let mut all = found.as_array().into_iter().flatten();
        let leads = all.find(|node| {
            node["ManagerStatus"]["Leader"] == true && node["Description"]["Hostname"] != "host-1"
        });
        Ok(leads.and_then(|node| node["Description"]["Hostname"].as_str().map(str::to_owned)))
    };
    nodes.kill(1)?;
    let told = || leader(nodes);
    lags.seen(browser, "another leads", told, |name| card(name, "leader")).await?;
    // Whoever leads now, the page that is open goes on, and a container of its own is not lost from it.
    until(LONG, "the new leader takes changes", || {
        Ok(nodes.docker(2, &["service", "scale", "--detach", "web=4"]).ok().ok().map(drop))
    })?;
    let four = || running(nodes, 2, "web", 4);
    lags.seen(browser, "scaled by the new leader", four, |ids| all_run("web", ids)).await?;
    same("the new leader's page and the other's", doors, "alone")?;
    browser.until("it is still there", &tile("alone", "running")).await?;
    // The page was live all the time, and the first manager comes back.
    browser.until("it is live", "document.getElementById('link').textContent === 'live'").await?;
    nodes.launch(1, &SHOWS)?;
    nodes.ready(2, 3)?;

    nodes.power_cut(3)?;
    let down = |nodes: &Daemons<'_>| {
        let found = api(nodes, 2, "/nodes/host-3")?;
        Ok((found["Status"]["State"] == "down").then(String::new))
    };
    let told = || down(nodes);
    let dead = card("host-3", "down");
    lags.seen(browser, "a node dies: it says so", told, |_| dead).await?;
    // What the dead node had runs as far as anybody knows.
    let four = || {
        let (ids, _) = tasks(nodes, 2, "web")?;
        Ok((ids.len() == 4).then(|| ids.join(" ")))
    };
    let there = |ids: &str| {
        ids.split(' ')
            .map(|id| format!("document.querySelector('.tile[data-id=\"{id}\"] em')?.textContent === 'running'"))
            .collect::<Vec<_>>()
            .join(" && ")
    };
    lags.seen(browser, "a node dies: all runs elsewhere", four, there).await.map(drop)
}
