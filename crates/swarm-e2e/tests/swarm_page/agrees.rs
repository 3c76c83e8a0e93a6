//! Columns, bars, tiles and colours of a swarm against `GET /nodes`, `/services`, `/tasks` and the cluster
//! endpoint's `/info`, after each thing that may happen to them; and why tasks are where they are, or are not.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarm_e2e::{Browser, Column, Daemons, Doorway, IMAGE, ask, exclusive, until};

use super::{LONG, PORT, SHOWS};

/// The column of what is on no node.
const NOWHERE: &str = "no node";

fn list(nodes: &Daemons<'_>, path: &str) -> Result<Vec<Value>> {
    Ok(ask(&nodes.sock(1), "GET", path, "")?.json().as_array().cloned().unwrap_or_default())
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A service whose tasks cannot start.
const FAILS: &str = "bad";

/// The columns as the API has them; none while a task is on its way.
fn columns(nodes: &Daemons<'_>) -> Result<Option<BTreeMap<String, Column>>> {
    let mut columns = BTreeMap::new();
    let mut names = BTreeMap::new();
    for node in list(nodes, "/nodes")? {
        let name = text(&node, "/Description/Hostname").to_owned();
        let role = if node["ManagerStatus"]["Leader"] == true {
            "leader"
        } else if node["ManagerStatus"].is_object() {
            "manager"
        } else {
            "worker"
        };
        let mut says = format!("{}, {role}", text(&node, "/Status/State"));
        match text(&node, "/Spec/Availability") {
            "pause" => says += ", cordoned",
            "drain" => says += ", draining",
            _ => {}
        }
        let labels = ["/Description/Engine/Labels", "/Spec/Labels"].map(|at| node.pointer(at));
        let labels = labels.into_iter().flatten().filter_map(Value::as_object).flatten();
        let labels = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")));
        let total = |key: &str| node["Description"]["Resources"][key].as_i64().unwrap_or_default();
        let (cpus, memory) =
            (total("NanoCPUs") / 1_000_000_000 * 1_000_000_000, total("MemoryBytes"));
        let labels = labels.collect();
        let column =
            Column { says, labels, cpus: (0, cpus), memory: (0, memory), ..Column::default() };
        columns.insert(name.clone(), column);
        names.insert(text(&node, "/ID").to_owned(), (name, text(&node, "/Status/State") == "down"));
    }
    let mut lacks = BTreeMap::new();
    let mut services = BTreeMap::new();
    for one in list(nodes, "/services")? {
        let name = text(&one, "/Spec/Name").to_owned();
        let replicas =
            one["Spec"]["Mode"]["Replicated"]["Replicas"].as_i64().context("no number")?;
        lacks.insert(name.clone(), if name == FAILS { 0 } else { replicas });
        services.insert(text(&one, "/ID").to_owned(), name);
    }
    for task in shown(list(nodes, "/tasks")?) {
        let (node, is_down) = names.get(text(&task, "/NodeID")).cloned().unwrap_or_default();
        let node = if node.is_empty() { NOWHERE.to_owned() } else { node };
        let column = columns
            .entry(node)
            .or_insert_with(|| Column { says: "waiting".to_owned(), ..Column::default() });
        // Of a service that is being removed a task may be left.
        let Some(service) = services.get(text(&task, "/ServiceID")) else { return Ok(None) };
        let state = (text(&task, "/Status/State"), text(&task, "/DesiredState"));
        match state {
            _ if is_down || ended(&task) => {}
            ("running", "running") => *lacks.entry(service.clone()).or_default() -= 1,
            ("pending", _) if !text(&task, "/Status/Err").is_empty() => {
                *lacks.entry(service.clone()).or_default() -= 1;
            }
            _ => return Ok(None),
        }
        column.tiles.push(tile(service, &task, is_down));
        // An ended task holds nothing, and what is on no node holds nothing there.
        if !ended(&task) && !text(&task, "/NodeID").is_empty() {
            let asked = |key: &str| {
                let asked = &task["Spec"]["Resources"]["Reservations"][key];
                asked.as_i64().unwrap_or_default()
            };
            column.cpus.0 += asked("NanoCPUs");
            column.memory.0 += asked("MemoryBytes");
        }
    }
    Ok(lacks.values().all(|lacks| *lacks == 0).then_some(columns))
}

fn ended(task: &Value) -> bool {
    let ends = ["complete", "shutdown", "failed", "rejected", "remove", "orphaned"];
    ends.contains(&text(task, "/Status/State"))
}

/// What is to run or still does; of a slot without such a task the last that failed.
fn shown(mut tasks: Vec<Value>) -> Vec<Value> {
    let slot = |task: &Value| (text(task, "/ServiceID").to_owned(), task["Slot"].to_string());
    let lives =
        |task: &Value| !ended(task) || ["running", "ready"].contains(&text(task, "/DesiredState"));
    tasks.sort_by_key(|task| text(task, "/CreatedAt").to_owned());
    let taken: Vec<_> = tasks.iter().filter(|task| lives(task)).map(slot).collect();
    let mut failed = BTreeMap::new();
    let (mut all, rest): (Vec<_>, Vec<_>) = tasks.into_iter().partition(lives);
    for task in rest {
        if !taken.contains(&slot(&task))
            && ["failed", "rejected"].contains(&text(&task, "/Status/State"))
        {
            failed.insert(slot(&task), task);
        }
    }
    all.extend(failed.into_values());
    all
}

/// A task as a tile.
fn tile(service: &str, task: &Value, is_down: bool) -> String {
    let state = text(task, "/Status/State");
    let code = task["Status"]["ContainerStatus"]["ExitCode"].as_i64().unwrap_or_default();
    let code = if ended(task) && code != 0 { format!(" ({code})") } else { String::new() };
    let words = match text(task, "/DesiredState") {
        _ if is_down => format!("host down, was {state}"),
        "shutdown" if state == "running" => "running, to stop".to_owned(),
        "remove" if state == "running" => "running, to be removed".to_owned(),
        _ => format!("{state}{code}"),
    };
    let ports = task["Status"]["PortStatus"]["Ports"].as_array().into_iter().flatten();
    let mut ports: Vec<_> = ports
        .map(|port| {
            format!("{}→{}/{}", port["PublishedPort"], port["TargetPort"], text(port, "/Protocol"))
        })
        .collect();
    ports.sort();
    let ports = if ports.is_empty() { String::new() } else { format!(" · {}", ports.join(" ")) };
    let image = text(task, "/Spec/ContainerSpec/Image");
    let image = image.split("@sha256:").next().unwrap_or_default();
    let line = match text(task, "/Status/Err") {
        "" => format!("{image}{ports}"),
        error => format!("! {error}"),
    };
    format!("{service}.{} | {words} | {line}", task["Slot"])
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_bars_tiles_and_colours_of_a_swarm_are_what_the_api_says() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[2, 3])?;
    nodes.launch(1, &SHOWS)?;
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    nodes.join(2, 1, "worker")?.ok()?;
    nodes.join(3, 1, "worker")?.ok()?;
    nodes.ready(1, 3)?;
    let door = Doorway::open(&lab, 1, PORT).await?;
    let browser = Browser::start(1300, 900).await?;
    browser.open(&door.url()).await?;
    follow(&mut nodes, &browser).await.with_context(|| nodes.logs())?;
    browser.close().await
}

fn create(nodes: &Daemons<'_>, name: &str, more: &[&str]) -> Result<()> {
    let begin =
        ["service", "create", "--detach", "--quiet", "--name", name, "--restart-delay", "0s"];
    let run = ["--stop-signal", "KILL", IMAGE];
    let command: &[&str] = if name == FAILS { &["/none"] } else { &["sleep", "1d"] };
    nodes.docker(1, &[&begin[..], more, &run, command].concat()).ok().map(drop)
}

/// Things happen, and after each of them the board is as the API says.
async fn follow(nodes: &mut Daemons<'_>, browser: &Browser) -> Result<()> {
    browser.agrees("an empty swarm", async || columns(nodes)).await?;
    nodes.node(1, &["update", "--label-add", "rack=b", "--label-add", "storage=ssd", "host-3"])?;
    let reserve = ["--reserve-cpu", "0.25", "--reserve-memory", "64M"];
    let port = ["--publish", "mode=host,target=80"];
    create(nodes, "web", &[&reserve[..], &port, &["--replicas", "2"]].concat())?;
    create(nodes, "db", &["--reserve-memory", "1G", "--constraint", "node.labels.rack==b"])?;
    browser.agrees("services", async || columns(nodes)).await?;
    browser.coloured_by_service(2).await?;
    nodes.docker(1, &["service", "scale", "--detach", "web=5"]).ok()?;
    browser.agrees("more of one", async || columns(nodes)).await?;

    // Why it is there: the words that its manager gave it when it was placed.
    browser.click(".tile[title^='db.1']").await?;
    let placed = browser.fact("Placed").await?;
    let tip = browser.run("return document.querySelector(`.tile[title^='db.1']`).title").await?;
    ensure!(tip.as_str().is_some_and(|tip| tip.contains(&format!("placed: {placed}"))), "{tip}");

    // One is killed; one cannot start, and one has no node: both say why in the API's own words.
    let killed = nodes.engine(3, &["ps", "--quiet", "--filter", "name=db.1."]).ok()?;
    nodes.engine(3, &["kill", &killed]).ok()?;
    until(LONG, "another task of it", || {
        let tasks = nodes.docker(1, &["service", "ps", "--quiet", "db"]).ok()?;
        Ok((tasks.lines().count() == 2).then_some(()))
    })?;
    create(nodes, "bad", &["--restart-condition", "none"])?;
    create(nodes, "far", &["--constraint", "node.labels.rack==z"])?;
    let is_there = "['bad.1', 'far.1'].every((name) => document.querySelector(\
                    `.tile[title^='${name}']`)?.querySelector('small').textContent.startsWith('! '))";
    browser.until("both failures", is_there).await?;
    browser.agrees("a kill and two failures", async || columns(nodes)).await?;
    browser.coloured_by_service(4).await?;
    for name in ["bad", "far"] {
        browser.click(&format!(".tile[title^='{name}.1']")).await?;
        let error = browser.fact("Error").await?;
        let told = nodes
            .docker(1, &["service", "ps", "--no-trunc", "--format", "{{.Error}}", name])
            .ok()?;
        ensure!(!error.is_empty() && told.contains(&error), "{error}\n{told}");
    }
    nodes.docker(1, &["service", "rm", "bad", "far"]).ok()?;
    nodes.node(1, &["update", "--availability", "pause", "host-2"])?;
    nodes.node(1, &["promote", "host-2"])?;
    browser.agrees("removals, a cordon and a promotion", async || columns(nodes)).await?;
    nodes.docker(1, &["service", "scale", "--detach", "web=1"]).ok()?;
    nodes.node(1, &["update", "--availability", "active", "host-2"])?;
    browser.agrees("fewer", async || columns(nodes)).await?;

    // A worker dies. What it had may go nowhere else, or does.
    nodes.docker(1, &["service", "scale", "--detach", "web=3"]).ok()?;
    browser.agrees("one on each", async || columns(nodes)).await?;
    nodes.power_cut(3)?;
    let down = "document.querySelector('.card[data-state=down]') !== null";
    browser.until("the death", down).await?;
    browser.agrees("a node's death", async || columns(nodes)).await
}
