//! The page in a real browser: what is shown is what the API says, whatever happens meanwhile.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use swarm_e2e::{Browser, Shown};
use swarm_testkit::fleet::FleetConfig;

/// The tiles in view, as `node/container state`, sorted.
const TILES: &str = "[...document.querySelectorAll('.tile:not([hidden])')]\
    .map((tile) => `${tile.title.split('\\n')[0]} ${tile.querySelector('em').textContent}`).sort()";
/// The nodes in view, as `name state`, sorted.
const NODES: &str = "[...document.querySelectorAll('.card:not([hidden])')]\
    .map((card) => `${card.querySelector('strong').textContent} \
    ${card.querySelector('em').textContent.split(':')[0]}`).sort()";

async fn tiles_become(browser: &Browser, what: &str, expected: &[&str]) -> Result<()> {
    let list = json!(expected).to_string();
    browser.until(what, &format!("JSON.stringify({TILES}) === JSON.stringify({list})")).await?;
    Ok(())
}

async fn create(shown: &Shown, name: &str, body: Value) -> Result<()> {
    shown.api("POST", &format!("/containers/create?name={name}"), &body.to_string()).await?;
    shown.api("POST", &format!("/containers/{name}/start"), "").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_the_api_says() -> Result<()> {
    let mut shown = Shown::start(FleetConfig { engines: 3, ..FleetConfig::default() }).await?;
    let browser = Browser::start(1300, 900).await?;
    browser.open(&shown.url()).await?;
    let well = json!(["engine-0000 healthy", "engine-0001 healthy", "engine-0002 healthy"]);
    browser.until("nodes", &format!("JSON.stringify({NODES}) === JSON.stringify({well})")).await?;
    browser.until("live", "document.getElementById('link').textContent === 'live'").await?;

    // Starts and ends.
    let first = json!({"Image": "nginx:1.25", "Env": ["constraint:node==engine-0000"]});
    create(&shown, "web", first.clone()).await?;
    let moving = json!(["constraint:node!=engine-0000", "reschedule:on-node-failure"]);
    let kept = json!({"Image": "nginx:1.25", "Env": moving}).to_string();
    shown.api("POST", "/containers/create?name=kept", &kept).await?;
    tiles_become(&browser, "a start", &["kept created", "web running"]).await?;
    shown.api("POST", "/containers/kept/start", "").await?;
    tiles_become(&browser, "another", &["kept running", "web running"]).await?;
    shown.fleet.engine(0).finish("web", 3);
    tiles_become(&browser, "an end", &["kept running", "web exited (3)"]).await?;
    shown.api("DELETE", "/containers/web", "").await?;
    tiles_become(&browser, "a removal", &["kept running"]).await?;

    // A node dies: what may move does, with the reason, and it comes back.
    let list = shown.api("GET", "/containers/kept/json", "").await?;
    let node = list["Node"]["Name"].as_str().unwrap_or_default().to_owned();
    let index: usize = node.trim_start_matches("engine-").parse()?;
    shown.fleet.engine(index).silence();
    browser.until("the death", &format!("{NODES}.includes('{node} unhealthy')")).await?;
    let moved = format!(
        "[...document.querySelectorAll('.tile:not([hidden])')].some((tile) => \
         tile.querySelector('em').textContent === 'running' \
         && tile.title.includes('moved from {node}'))"
    );
    browser.until("the move", &moved).await?;
    shown.fleet.engine(index).restore();
    browser.until("the return", &format!("{NODES}.includes('{node} healthy')")).await?;
    tiles_become(&browser, "no stale copy", &["kept running"]).await?;
    let list = shown.api("GET", "/containers/json?all=1", "").await?;
    ensure!(list.as_array().map(Vec::len) == Some(1), "{list}");

    // The manager is killed and comes back: the page does too, and shows what it missed.
    shown.kill()?;
    browser.until("the loss", "document.getElementById('link').textContent !== 'live'").await?;
    shown.again().await?;
    create(&shown, "late", first.clone()).await?;
    tiles_become(&browser, "what was missed", &["kept running", "late running"]).await?;
    browser.until("live again", "document.getElementById('link').textContent === 'live'").await?;
    browser.close().await
}
