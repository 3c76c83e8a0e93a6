//! What is on no board: networks, volumes, secrets and configs, as they come and go.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use swarm_e2e::{Browser, Daemons, Doorway, exclusive};

use super::{PORT, SHOWS};

/// The names of a kind's rows.
fn names(kind: &str) -> String {
    format!(
        "[...document.querySelectorAll('#pane [data-kind={kind}] b')].map((name) => name.textContent)"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_volumes_secrets_and_configs_are_listed_as_they_come_and_go() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[])?;
    nodes.launch(1, &SHOWS)?;
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    nodes.ready(1, 1)?;
    let door = Doorway::open(&lab, 1, PORT).await?;
    let browser = Browser::start(1300, 900).await?;
    browser.open(&door.url()).await?;
    browser.click("#tab-objects").await?;
    objects(&nodes, &browser).await.with_context(|| nodes.logs())?;
    browser.close().await
}

async fn objects(nodes: &Daemons<'_>, browser: &Browser) -> Result<()> {
    let bridge = format!("{}.some((name) => name.endsWith('bridge'))", names("network"));
    browser.until("the engine's networks", &bridge).await?;
    let none = "[...document.querySelectorAll('#pane h3')].some((head) => head.textContent === 'Secrets 0')";
    browser.until("no secrets", none).await?;
    let folder = nodes.folder(1);
    let (secret, config) = (folder.join("secret"), folder.join("config"));
    std::fs::write(&secret, "hunter2")?;
    std::fs::write(&config, "port = 80")?;
    for (kind, path) in [("secret", &secret), ("config", &config)] {
        let path = path.display().to_string();
        let create = [kind, "create", "--label", "tier=db", &format!("a-{kind}"), &path];
        nodes.docker(1, &create).ok()?;
        let there = format!("{}.includes('a-{kind}')", names(kind));
        browser.until(&format!("a {kind} comes"), &there).await?;
    }
    nodes.engine(1, &["volume", "create", "a-volume"]).ok()?;
    let there = format!("{}.some((name) => name.endsWith('a-volume'))", names("volume"));
    browser.until("a volume comes", &there).await?;

    // Its details: never what is secret, always what is not.
    browser.click("#pane [data-kind=secret]").await?;
    let facts = "document.querySelector('#pane h2')?.textContent === 'a-secret' && \
                 document.querySelector('#pane dl')?.textContent.includes('tier=db')";
    browser.until("facts", facts).await?;
    browser.click("[data-part=json]").await?;
    let json = "document.querySelector('#pane pre')?.textContent.includes('\"Spec\"')";
    browser.until("JSON", json).await?;
    let text = browser.run("return document.body.innerText").await?;
    let text = text.as_str().unwrap_or_default();
    ensure!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
    browser.click("[data-part=history]").await?;
    let made = "document.querySelector('#pane .events')?.innerText.includes('a-secret create')";
    browser.until("its history", made).await?;

    // It goes, also while it is looked at.
    browser.click("[data-part=facts]").await?;
    nodes.docker(1, &["secret", "rm", "a-secret"]).ok()?;
    let gone = "document.querySelector('#pane .body')?.textContent === 'This secret is gone.'";
    browser.until("it is gone", gone).await?;
    browser.click("#tab-objects").await?;
    browser.until("no secrets again", none).await?;

    // A node has a history, too.
    browser.click(".head").await?;
    browser.click("[data-part=history]").await?;
    nodes.node(1, &["update", "--availability", "pause", "host-1"])?;
    let paused = "document.querySelector('#pane .events')?.innerText.includes('active → pause')";
    browser.until("what was done to a node", paused).await?;
    browser.click("#tab-objects").await?;

    // The filter, by name and label; words about the board's own leave all in.
    for (words, left) in
        [("label:tier=db", 1), ("a-con", 1), ("nothing-of-that", 0), ("state:running", 1)]
    {
        let script = format!(
            "const search = document.getElementById('search'); search.value = {}; \
             search.dispatchEvent(new Event('input'))",
            json!(words)
        );
        browser.run(&script).await?;
        let count = format!("{}.length === {left}", names("config"));
        browser.until(words, &count).await?;
    }
    browser.client().set_window_size(480, 800).await?;
    let fits = "document.documentElement.scrollWidth <= innerWidth";
    browser.until("nothing is cut off on a narrow screen", fits).await?;
    Ok(())
}
