//! Writes the picture of a swarm's page that the documentation shows. Argument: the folder.
//!
//! Three real engines in a lab with a small shop on them: one service waits for what no node has, one
//! container is nobody's task.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use swarm_e2e::{Browser, Client, Daemons, Doorway, IMAGE, Scratch, until};

/// For everything to be what it should.
const LONG: Duration = Duration::from_secs(30);
/// What the images are called; all are the test image.
const IMAGES: [&str; 3] = ["nginx:1.25", "redis:7", "registry.example.com/team/app:2.4.1"];
/// Of the picture, pixels.
const SIZE: (u32, u32) = (1400, 657);

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("usage: swarm-screenshot FOLDER")?;
    let lab = Scratch::boot(3, |_| {})?;
    let mut nodes = Daemons::start(&lab, &[])?;
    for host in 1..=3 {
        nodes.launch(host, &["--ui", "127.0.0.1:8080", "--ui-write"])?;
        for image in IMAGES {
            nodes.engine(host, &["tag", IMAGE, image]).ok()?;
        }
    }
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    nodes.join(2, 1, "manager")?.ok()?;
    nodes.join(3, 1, "manager")?.ok()?;
    nodes.ready(1, 3)?;
    nodes.docker(1, &["node", "update", "--label-add", "disk=ssd", "host-2"]).ok()?;
    for (name, count, image, more) in [
        ("shop_web", "6", IMAGES[0], &["--reserve-memory", "1g", "--reserve-cpu", "0.2"][..]),
        ("shop_cart", "3", IMAGES[2], &["--reserve-memory", "2g"]),
        ("shop_cache", "2", IMAGES[1], &["--constraint", "node.labels.disk==ssd"]),
        ("report", "1", IMAGES[2], &["--constraint", "node.labels.gpu==yes"]),
    ] {
        let create =
            ["service", "create", "--detach", "--no-resolve-image", "--stop-signal", "KILL"];
        let named = ["--name", name, "--replicas", count];
        let run = [image, "sleep", "1d"];
        nodes.docker(1, &[&create[..], &named, more, &run].concat()).ok()?;
    }
    let cluster = format!("unix://{}", nodes.folder(1).join("cluster.sock").display());
    let run = ["run", "--detach", "--name", "debug", "-e", "constraint:node==host-3"];
    until(LONG, "a container beside the services", || {
        let told =
            Client::new("docker", &cluster).run(&[&run[..], &[IMAGE, "sleep", "1d"]].concat());
        Ok(told.ok().ok().map(drop))
    })?;
    let door = Doorway::open(&lab, 1, 8080).await?;
    let browser = Browser::start(SIZE.0, SIZE.1).await?;
    browser.size(SIZE.0, SIZE.1).await?;
    browser.open(&door.url()).await?;
    let all = "document.getElementById('sum').textContent.includes('12/13 tasks and containers')";
    browser.until("all of it", all).await?;
    browser.click(".tile[title^='shop_web.1']").await?;
    browser.until("its facts", "document.querySelector('#pane dl') !== null").await?;
    let path = Path::new(&folder).join("page-swarm.png");
    std::fs::write(&path, browser.picture().await?).with_context(|| path.display().to_string())?;
    println!("{}", path.display());
    browser.close().await
}
