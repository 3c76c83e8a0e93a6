//! Columns, bars, tiles and colours of a pool against `GET /info`, `/nodes` and `/containers/json`, after each
//! thing that may happen to them; and why things are where they are.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use swarm_e2e::{Browser, Column, Shown};
use swarm_testkit::fleet::FleetConfig;

const GIB: i64 = 1 << 30;

/// Bytes, as `GET /info` writes them: `1.5 GiB`.
#[expect(clippy::cast_possible_truncation, reason = "whole bytes")]
fn size(text: &str) -> Result<i64> {
    let (number, unit) = text.split_once(' ').context("no unit")?;
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let at = units.iter().position(|known| *known == unit).context("an unknown unit")?;
    Ok((number.parse::<f64>()? * 1024_f64.powi(i32::try_from(at)?)).round() as i64)
}

#[expect(clippy::cast_possible_truncation, reason = "a few processors")]
fn nano(text: &str) -> Result<i64> {
    Ok((text.parse::<f64>()? * 1e9).round() as i64)
}

fn pair<T>(text: &str, read: impl Fn(&str) -> Result<T>) -> Result<(T, T)> {
    let (part, total) = text.split_once(" / ").with_context(|| text.to_owned())?;
    Ok((read(part)?, read(total)?))
}

/// The columns as the API has them.
async fn columns(shown: &Shown) -> Result<BTreeMap<String, Column>> {
    let mut columns = BTreeMap::<String, Column>::new();
    let info = shown.api("GET", "/info", "").await?;
    let mut node = String::new();
    for row in info["SystemStatus"].as_array().context("no table")? {
        let [key, value] = [0, 1].map(|at| row[at].as_str().unwrap_or_default());
        let column = columns.entry(node.clone()).or_default();
        match key.trim_start_matches("  └ ") {
            "Status" => column.says = value.to_lowercase(),
            "Reserved CPUs" => column.cpus = pair(value, nano)?,
            "Reserved Memory" => column.memory = pair(value, size)?,
            "Labels" => column.labels = value.split(", ").map(str::to_owned).collect(),
            name if name.starts_with(' ') => node = name.trim().to_owned(),
            _ => {}
        }
    }
    columns.retain(|name, _| name.starts_with("engine-"));
    for node in shown.api("GET", "/nodes", "").await?.as_array().into_iter().flatten() {
        let name = node["Description"]["Hostname"].as_str().context("no name")?;
        let column = columns.get_mut(name).with_context(|| name.to_owned())?;
        let resources = &node["Description"]["Resources"];
        ensure!(resources["NanoCPUs"] == column.cpus.1, "{node}");
        ensure!(resources["MemoryBytes"] == column.memory.1, "{node}");
        if node["Spec"]["Availability"] == "pause" {
            column.says += ", cordoned";
        }
    }
    for one in
        shown.api("GET", "/containers/json?all=1", "").await?.as_array().into_iter().flatten()
    {
        let name = one["Names"][0].as_str().context("no name")?;
        let (node, name) = name.trim_start_matches('/').split_once('/').context("no node")?;
        let column = columns.get_mut(node).with_context(|| node.to_owned())?;
        column.tiles.push(tile(name, one));
    }
    Ok(columns)
}

/// One line of the list as a tile.
fn tile(name: &str, one: &Value) -> String {
    let text = |key: &str| one[key].as_str().unwrap_or_default();
    let status = text("Status");
    let state = match (text("State"), status.strip_prefix("Exited (")) {
        (state, _) if status.starts_with("Host Down") => format!("host down, was {state}"),
        (_, Some(rest)) => format!("exited ({}", rest.split_inclusive(')').next().unwrap_or("")),
        (state, None) => state.to_owned(),
    };
    let mut ports: Vec<_> = one["Ports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|port| !port["PublicPort"].is_null())
        .map(|port| {
            let kind = port["Type"].as_str().unwrap_or_default();
            format!("{}→{}/{kind}", port["PublicPort"], port["PrivatePort"])
        })
        .collect();
    ports.sort();
    ports.dedup();
    let ports = if ports.is_empty() { String::new() } else { format!(" · {}", ports.join(" ")) };
    format!("{name} | {state} | {}{ports}", text("Image"))
}

async fn start(shown: &Shown, (part, number): (&str, u16), more: Value) -> Result<()> {
    let name = format!("{part}-{number}");
    let mut body = json!({
        "Image": if part == "db" { "postgres:16" } else { "nginx:1.25" },
        "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": part},
        "Env": ["reschedule:on-node-failure"],
        "HostConfig": {"Memory": GIB * i64::from(number), "NanoCpus": 1_250_000_000},
    });
    if part == "web" {
        body["ExposedPorts"] = json!({"80/tcp": {}, "443/tcp": {}});
        body["HostConfig"]["PortBindings"] = json!({"80/tcp": [{"HostPort": "8080"}]});
    }
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    let path = format!("/containers/create?name={name}");
    shown.api("POST", &path, &body.to_string()).await?;
    shown.api("POST", &format!("/containers/{name}/start"), "").await?;
    Ok(())
}

/// The node of a container.
async fn node_of(shown: &Shown, name: &str) -> Result<String> {
    let found = shown.api("GET", &format!("/containers/{name}/json"), "").await?;
    Ok(found["Node"]["Name"].as_str().context("no node")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_bars_tiles_and_colours_are_what_the_api_says() -> Result<()> {
    let config = FleetConfig { engines: 3, cpus: 8, memory: 16 << 30, ..FleetConfig::default() };
    let shown = Shown::start(config).await?;
    let browser = Browser::start(1300, 900).await?;
    browser.open(&shown.url()).await?;
    let api = async || columns(&shown).await.map(Some);
    browser.agrees("an empty pool", api).await?;
    for number in 1..=3 {
        start(&shown, ("web", number), json!({})).await?;
    }
    start(&shown, ("db", 1), json!({})).await?;
    start(&shown, ("db", 2), json!({})).await?;
    let far = json!({"Env": ["constraint:rack==r2"]});
    start(&shown, ("tape", 4), far).await?;
    browser.agrees("starts", api).await?;
    browser.coloured_by_service(3).await?;

    // Why it is where it is: in the tip, and in the details.
    browser.click(".tile[title^=tape]").await?;
    let placed = browser.fact("Placed").await?;
    ensure!(placed.contains("engine-0002"), "{placed}");
    let tip = browser.run("return document.querySelector('.tile[title^=tape]').title").await?;
    ensure!(tip.as_str().is_some_and(|tip| tip.contains(&format!("placed: {placed}"))), "{tip}");

    // Ends of all kinds.
    let of = |node: &str| node.trim_start_matches("engine-").parse::<usize>();
    shown.fleet.engine(of(&node_of(&shown, "web-1").await?)?).finish("web-1", 0);
    shown.fleet.engine(of(&node_of(&shown, "web-2").await?)?).finish("web-2", 3);
    browser.agrees("ends", api).await?;
    shown.api("POST", "/containers/web-3/kill", "").await?;
    shown.api("POST", "/containers/db-1/pause", "").await?;
    browser.agrees("a kill and a pause", api).await?;
    shown.api("POST", "/containers/web-3/start", "").await?;
    shown.api("POST", "/containers/db-1/unpause", "").await?;
    shown.api("DELETE", "/containers/web-1", "").await?;
    browser.agrees("starts, and a removal", api).await?;
    let node = shown.api("GET", "/nodes/engine-0000", "").await?;
    let path = format!("/nodes/engine-0000/update?version={}", node["Version"]["Index"]);
    shown.api("POST", &path, r#"{"Availability": "pause"}"#).await?;
    browser.agrees("a cordon", api).await?;

    // A node dies: what may move does, what may not is told of as it was.
    shown.fleet.engine(2).silence();
    let dead = "document.querySelector('.card[data-state=unhealthy] em')?.textContent";
    let said = browser.until("the death", dead).await?;
    let node = shown.api("GET", "/nodes/engine-0002", "").await?;
    let why = node["Status"]["Message"].as_str().unwrap_or_default();
    ensure!(
        !why.is_empty() && said.as_str().is_some_and(|said| said.contains(why)),
        "{said}\n{node}"
    );
    let moved = "[...document.querySelectorAll('.tile:not([hidden])')].filter((tile) => \
                 tile.title.includes('moved from engine-0002')).length";
    browser.until("the moves", moved).await?;
    browser.agrees("a node's death", api).await?;
    shown.fleet.engine(2).restore();
    browser
        .until("the return", "document.querySelector('.card[data-state=unhealthy]') === null")
        .await?;
    browser.agrees("its return", api).await?;
    browser.close().await
}
