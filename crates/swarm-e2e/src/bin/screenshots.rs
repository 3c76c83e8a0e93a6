//! Writes the pictures of the page that the documentation shows. Argument: the folder.
//!
//! A pool of six simulated engines with a small shop on it: one engine is down, one is being
//! drained, a few containers have ended or moved.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use swarm_e2e::{Browser, Shown};
use swarm_testkit::fleet::FleetConfig;

/// One service of the shop.
struct Service {
    project: &'static str,
    part: &'static str,
    image: &'static str,
    count: usize,
    /// MiB.
    memory: u64,
    /// Published by its first two containers.
    port: Option<u16>,
    /// Where they must be; anywhere when empty.
    node: &'static str,
}

const fn service(
    (project, part): (&'static str, &'static str),
    image: &'static str,
    count: usize,
    memory: u64,
) -> Service {
    Service { project, part, image, count, memory, port: None, node: "" }
}

const SERVICES: [Service; 6] = [
    Service { port: Some(80), ..service(("shop", "web"), "nginx:1.25", 8, 512) },
    service(("shop", "cart"), "registry.example.com:5000/team/app:2.4.1", 6, 1024),
    service(("shop", "cache"), "redis:7", 3, 2048),
    Service { port: Some(5432), ..service(("shop", "db"), "postgres:16", 2, 8192) },
    service(("metrics", "scraper"), "busybox:latest", 6, 256),
    Service { node: "node-0002", ..service(("batch", "report"), "busybox:latest", 4, 1024) },
];

/// Of each picture, pixels.
const SIZE: (u32, u32) = (1400, 857);

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("usage: screenshots FOLDER")?;
    let config = FleetConfig {
        engines: 6,
        memory: 16 << 30,
        cpus: 8,
        name_prefix: "node-".to_owned(),
        ..FleetConfig::default()
    };
    let shown = Shown::start(config).await?;
    for service in &SERVICES {
        for number in 1..=service.count {
            start(&shown, service, number).await?;
        }
    }
    shown.fleet.engine(2).finish("batch-report-3", 0);
    shown.fleet.engine(2).finish("batch-report-4", 137);
    availability(&shown, "node-0005", "drain").await?;
    let browser = Browser::start(SIZE.0, SIZE.1).await?;
    browser.size(SIZE.0, SIZE.1).await?;
    browser.open(&shown.url()).await?;
    let drained = "[...document.querySelectorAll('.card')].some((card) => \
                   card.querySelector('em').textContent.includes('drained:'))";
    browser.until("a drained node", drained).await?;
    shown.fleet.engine(4).silence();
    let down = "document.querySelector('.card[data-state=unhealthy]') !== null";
    browser.until("a node that is down", down).await?;
    let moved = "[...document.querySelectorAll('.tile')].filter((tile) => \
                 tile.title.includes('moved from node-0004')).length > 0";
    browser.until("what was moved", moved).await?;
    let all = "document.getElementById('sum').textContent.includes('27/29 containers running')";
    browser.until("all are counted", all).await?;
    browser.run("document.getElementById('tab-events').click()").await?;
    save(&browser, &folder, "page.png").await?;
    browser.run("document.getElementById('theme').click()").await?;
    browser.run("document.getElementById('theme').click()").await?;
    browser.run("document.querySelector('.tile[title*=\"moved from\"]').click()").await?;
    save(&browser, &folder, "page-dark.png").await?;
    browser.close().await
}

async fn start(shown: &Shown, service: &Service, number: usize) -> Result<()> {
    let Service { project, part, image, memory, port, node, .. } = service;
    let name = format!("{project}-{part}-{number}");
    let mut env = vec!["reschedule:on-node-failure".to_owned()];
    if !node.is_empty() {
        env.push(format!("constraint:node=={node}"));
    }
    let mut body = json!({
        "Image": image, "Env": env, "HostConfig": {"Memory": memory << 20, "NanoCpus": 500_000_000},
        "Labels": {"com.docker.compose.project": project, "com.docker.compose.service": part},
    });
    if let Some(port) = port.filter(|_| number <= 2) {
        let key = format!("{port}/tcp");
        body["ExposedPorts"] = json!({&key: {}});
        body["HostConfig"]["PortBindings"] = json!({&key: [{"HostPort": port.to_string()}]});
    }
    let path = format!("/containers/create?name={name}");
    shown.api("POST", &path, &body.to_string()).await?;
    shown.api("POST", &format!("/containers/{name}/start"), "").await?;
    Ok(())
}

async fn availability(shown: &Shown, node: &str, wanted: &str) -> Result<()> {
    let found: Value = shown.api("GET", &format!("/nodes/{node}"), "").await?;
    let path = format!("/nodes/{node}/update?version={}", found["Version"]["Index"]);
    let body = json!({"Availability": wanted}).to_string();
    shown.api("POST", &path, &body).await?;
    Ok(())
}

async fn save(browser: &Browser, folder: &str, name: &str) -> Result<()> {
    // Two frames, so that everything that was asked for is drawn.
    let drawn = "const done = arguments[0]; \
                 requestAnimationFrame(() => requestAnimationFrame(() => done(true)))";
    browser.client().execute_async(drawn, vec![]).await?;
    let path = Path::new(folder).join(name);
    std::fs::write(&path, browser.picture().await?).with_context(|| path.display().to_string())?;
    println!("{}", path.display());
    Ok(())
}
