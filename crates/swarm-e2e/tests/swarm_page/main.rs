//! The page of a swarm in a real browser: what is shown is what the API says, on every manager, whatever
//! happens meanwhile; and what is clicked is done. [`agrees`]: in every number and colour; [`live`]: how soon
//! it is on screen; [`objects`]: what is on no board.

mod agrees;
mod live;
mod objects;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use swarm_e2e::{Browser, Client, Daemons, Doorway, IMAGE, exclusive, until};

const LONG: Duration = Duration::from_mins(1);
const PORT: u16 = 8080;
/// Only shows; and acts.
const SHOWS: [&str; 2] = ["--ui", "127.0.0.1:8080"];
const ACTS: [&str; 3] = ["--ui", "127.0.0.1:8080", "--ui-write"];

/// The tiles in view, as `name state`, sorted.
const TILES: &str = "[...document.querySelectorAll('.tile:not([hidden])')]\
    .map((tile) => `${tile.title.split('\\n')[0]} ${tile.querySelector('em').textContent}`).sort()";

/// Waits until exactly these tiles are there.
async fn tiles(browser: &Browser, what: &str, expected: &[&str]) -> Result<()> {
    let list = json!(expected).to_string();
    browser.until(what, &format!("JSON.stringify({TILES}) === {list:?}")).await?;
    Ok(())
}

/// Waits until a node's column says all of these.
async fn node_says(browser: &Browser, node: &str, words: &[&str]) -> Result<()> {
    let list = json!(words).to_string();
    let script = format!(
        "[...document.querySelectorAll('.card:not([hidden])')].some((card) => \
         card.querySelector('strong').textContent === '{node}' && {list}.every((word) => \
         card.querySelector('em').textContent.includes(word)))"
    );
    browser.until(&format!("{node}: {words:?}"), &script).await?;
    Ok(())
}

/// A service's running tasks as the API says, named as the page names them.
fn running(nodes: &Daemons<'_>, by: u8, service: &str) -> Result<Vec<String>> {
    let asked = ["service", "ps", "--filter", "desired-state=running", "--format"];
    let listed =
        nodes.docker(by, &[&asked[..], &["{{.Name}} {{.CurrentState}}", service]].concat());
    let listed = listed.ok()?;
    let mut names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split_once(" Running ").map(|(name, _)| format!("{name} running")))
        .collect();
    names.sort();
    Ok(names)
}

fn cluster(nodes: &Daemons<'_>, host: u8) -> Client {
    let socket = nodes.folder(host).join("cluster.sock");
    Client::new("docker", &format!("unix://{}", socket.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_swarm_s_page_shows_is_what_the_api_says_and_what_is_clicked_is_done() -> Result<()>
{
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[])?;
    nodes.launch(1, &ACTS)?;
    nodes.launch(2, &SHOWS)?;
    nodes.launch(3, &SHOWS)?;
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    nodes.join(2, 1, "manager")?.ok()?;
    nodes.join(3, 1, "worker")?.ok()?;
    nodes.ready(1, 3)?;
    let (first, second, third) = (
        Doorway::open(&lab, 1, PORT).await?,
        Doorway::open(&lab, 2, PORT).await?,
        Doorway::open(&lab, 3, PORT).await?,
    );
    let browser = Browser::start(1300, 900).await?;

    // A worker says what it is, and shows the swarm once it is a manager.
    browser.open(&third.url()).await?;
    let words = "document.getElementById('warning').textContent";
    let worker = format!("{words}.includes('is a worker') && {words}.includes('{}')", lab.ip(1));
    browser.until("a worker's words", &worker).await?;
    nodes.node(1, &["promote", "host-3"])?;
    node_says(&browser, "host-3", &["ready", "manager"]).await?;

    shows(&nodes, &browser, &second).await.with_context(|| nodes.logs())?;
    acts(&nodes, &browser, &first).await.with_context(|| nodes.logs())?;

    // The leader goes, things happen, and it comes back: its page does too, and has missed nothing.
    nodes.kill(1)?;
    let live = "document.getElementById('link').textContent === 'live'";
    browser.until("the loss", &format!("!({live})")).await?;
    until(LONG, "another one leads", || {
        Ok(nodes.docker(2, &["service", "scale", "--detach", "web=3"]).ok().ok().map(drop))
    })?;
    nodes.launch(1, &ACTS)?;
    browser.until("live again", live).await?;
    tiles(&browser, "after the fail-over", &["web.1 running", "web.2 running", "web.3 running"])
        .await?;

    // A node dies. What it had is told of as it was, and what follows it with why it waits.
    let create = ["service", "create", "--detach", "--name", "there", "--constraint"];
    let sleep = ["node.hostname==host-3", "--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    nodes.docker(1, &[&create[..], &sleep].concat()).ok()?;
    let shown = |tile: &str| format!("{TILES}.includes('{tile}')");
    browser.until("it is there", &shown("there.1 running")).await?;
    nodes.power_cut(3)?;
    node_says(&browser, "host-3", &["down", "heartbeat failure"]).await?;
    let fewer = format!("{words}.includes('2 of 3 managers answer')");
    browser.until("a manager is away", &fewer).await?;
    browser.until("what it had", &shown("there.1 host down, was running")).await?;
    browser.until("what follows", &shown("there.1 pending")).await?;
    let why = format!("{words}.includes('waiting: there.1: no suitable node')");
    browser.until("why it waits", &why).await?;
    for tile in ["web.1 running", "web.2 running", "web.3 running"] {
        browser.until(tile, &shown(tile)).await?;
    }
    let names = running(&nodes, 1, "web")?;
    ensure!(names == ["web.1 running", "web.2 running", "web.3 running"], "{names:?}");
    browser.close().await
}

/// A manager's page that only shows, while services are made, scaled and hurt.
async fn shows(nodes: &Daemons<'_>, browser: &Browser, door: &Doorway) -> Result<()> {
    browser.open(&door.url()).await?;
    for (node, role) in [("host-1", "leader"), ("host-2", "manager"), ("host-3", "manager")] {
        node_says(browser, node, &["ready", role]).await?;
    }
    let say = "trap exit TERM; echo begun; while :; do sleep 1; done";
    let create = ["service", "create", "--detach", "--name", "web", "--replicas", "2"];
    let run = ["--restart-delay", "0s", "--label", "tier=front", IMAGE, "sh", "-c", say];
    nodes.docker(1, &[&create[..], &run].concat()).ok()?;
    tiles(browser, "a service", &["web.1 running", "web.2 running"]).await?;
    nodes.docker(2, &["service", "scale", "--detach", "web=3"]).ok()?;
    tiles(browser, "more of it", &["web.1 running", "web.2 running", "web.3 running"]).await?;
    ensure!(running(nodes, 2, "web")?.len() == 3);

    // Details of a task, asked of whoever has it: its JSON, what it writes, and those before it.
    browser.click(".tile[title^='web.1']").await?;
    let fact = "document.querySelector('#pane dl')?.textContent.includes('Slot1')";
    browser.until("facts", fact).await?;
    browser.click("[data-part=json]").await?;
    let told = "document.querySelector('#pane pre')?.textContent.includes('\"ServiceID\"')";
    browser.until("JSON", told).await?;
    browser.click("[data-part=logs]").await?;
    let told = "document.querySelector('#pane pre')?.textContent.includes('begun')";
    browser.until("its output", told).await?;
    browser.click("[data-part=history]").await?;
    browser
        .until("its history", "document.querySelectorAll('#pane .tasks li').length === 1")
        .await?;
    let asked = ["ps", "--quiet", "--filter", "label=com.docker.swarm.service.name=web"];
    let (host, container) = (1..=3)
        .find_map(|host| {
            let named = [&asked[..], &["--filter", "name=web.1."]].concat();
            let found = nodes.engine(host, &named).ok().ok()?;
            (!found.is_empty()).then_some((host, found))
        })
        .context("no engine has web.1")?;
    nodes.engine(host, &["kill", &container]).ok()?;
    let both = "[...document.querySelectorAll('#pane .tasks li')].map((row) => row.innerText)\
                .join().includes('failed (137)')";
    // The tile is another task now: its predecessor is in the slot's history.
    browser.until("it failed", &format!("{TILES}.includes('web.1 running')")).await?;
    until(LONG, "another task runs", || {
        let listed = nodes.docker(2, &["service", "ps", "--format", "{{.Name}}", "web"]).ok()?;
        Ok((listed.lines().count() == 4 && running(nodes, 2, "web")?.len() == 3).then_some(()))
    })?;
    tiles(browser, "again", &["web.1 running", "web.2 running", "web.3 running"]).await?;
    browser.click(".tile[title^='web.1']").await?;
    browser.until("the slot's history", both).await?;

    // Nothing here can change anything.
    for tile in [".tile[title^='web.1']", ".head"] {
        browser.click(tile).await?;
        let none = "document.querySelectorAll('[data-act]').length === 0";
        browser.until("no buttons", none).await?;
    }
    let mut stream = std::net::TcpStream::connect(door.address())?;
    let request = b"POST /api/services/web/restart HTTP/1.0\r\nHost: localhost\r\n\r\n";
    std::io::Write::write_all(&mut stream, request)?;
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer)?;
    ensure!(answer.contains(" 405 ") && answer.contains("--ui-write"), "{answer}");

    // The service.
    browser.click("#tab-services").await?;
    let counted = "document.querySelector('#pane .own')?.textContent.includes('3/3')";
    browser.until("desired and running", counted).await?;
    browser.click("#pane .own .more").await?;
    browser.click("[data-part=facts]").await?;
    let told = "document.querySelector('#pane dl')?.textContent.includes('3 of 3')";
    browser.until("a service's facts", told).await?;
    browser.click("[data-part=history]").await?;
    let scaled = "document.querySelector('#pane .tasks')?.innerText.includes('2 → 3: replicas') && \
                  document.querySelectorAll('#pane .tasks .task').length === 4";
    browser.until("what was done to it, and its tasks", scaled).await?;
    let nothing = "document.getElementById('note').hidden";
    browser.until("there is nothing that it cannot show", nothing).await?;
    Ok(())
}

/// The leader's page, which acts.
async fn acts(nodes: &Daemons<'_>, browser: &Browser, door: &Doorway) -> Result<()> {
    browser.open(&door.url()).await?;
    let run = ["run", "--detach", "--name", "alone", "-e", "constraint:node==host-2"];
    let sleep = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    until(LONG, "a container beside the services", || {
        Ok(cluster(nodes, 1).run(&[&run[..], &sleep].concat()).ok().ok().map(drop))
    })?;
    let web = ["web.1 running", "web.2 running", "web.3 running"];
    tiles(browser, "beside them", &[&["alone running"], &web[..]].concat()).await?;

    browser.click(".tile[title^=alone]").await?;
    let words = browser.act("stop").await?;
    ensure!(words.contains("stop alone on host-2?"), "{words}");
    let stopped = [&["alone exited (137)"], &web[..]].concat();
    tiles(browser, "a stop", &stopped).await?;
    let said = "document.querySelector('.outcome')?.textContent === 'it was stopped'";
    browser.until("what became of it", said).await?;
    let state =
        cluster(nodes, 1).run(&["inspect", "--format", "{{.State.Status}}", "alone"]).ok()?;
    ensure!(state == "exited", "{state}");
    browser.act("remove").await?;
    tiles(browser, "a removal", &web).await?;

    // A service, scaled by what is typed.
    browser.click("#tab-services").await?;
    browser.click("#pane .own .more").await?;
    browser.click("[data-act=scale]").await?;
    let type_two = "const input = document.querySelector('dialog[open] input'); if (input === null) \
                    return false; input.value = '2'; input.dispatchEvent(new Event('input')); return true";
    ensure!(browser.run(type_two).await? == json!(true), "no dialog");
    let told = "document.querySelector('dialog[open]').innerText.includes('1 are stopped')";
    browser.until("what it would do", told).await?;
    browser.click("dialog[open] .do").await?;
    let fewer = format!("{TILES}.length === 2");
    browser.until("two are left", &fewer).await?;
    until(LONG, "the API says so", || Ok((running(nodes, 1, "web")?.len() == 2).then_some(())))?;

    // A node, emptied as the plan said.
    let placed = nodes.docker(1, &["node", "ps", "--format", "{{.Name}}", "host-3"]).ok()?;
    let head = "[...document.querySelectorAll('.card')].find((card) => \
                card.querySelector('strong').textContent === 'host-3').querySelector('.head')";
    browser.run(&format!("{head}.click()")).await?;
    let words = browser.act("drain").await?;
    ensure!(words.contains("drain host-3?") && words.contains("As it would be now"), "{words}");
    let named = placed.lines().filter(|name| words.contains(&format!("{name}: host-3"))).count();
    ensure!(named <= 2, "{words}\n{placed}");
    node_says(browser, "host-3", &["draining"]).await?;
    until(LONG, "it is empty", || {
        let asked = ["node", "ps", "--filter", "desired-state=running", "--quiet", "host-3"];
        Ok(nodes.docker(1, &asked).ok()?.is_empty().then_some(()))
    })?;
    browser.act("uncordon").await?;
    let said = "document.querySelector('.outcome')?.textContent.includes('given tasks')";
    browser.until("what became of it", said).await?;
    let log = nodes.logs();
    for line in ["stop container", "scale service", "set node"] {
        ensure!(log.contains(line), "{line} is not in the log");
    }
    Ok(())
}
