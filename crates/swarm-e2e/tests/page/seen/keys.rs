//! Without a mouse.

use anyhow::{Context as _, Result};
use swarm_e2e::Browser;

pub const UP: &str = "\u{e013}";
pub const DOWN: &str = "\u{e015}";
const LEFT: &str = "\u{e012}";
const RIGHT: &str = "\u{e014}";
pub const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

pub async fn press(browser: &Browser, keys: &str) -> Result<()> {
    let focused = browser.client().active_element().await?;
    focused.send_keys(keys).await.with_context(|| format!("keys {keys:?}"))
}

/// From the page's beginning to a container's details and back, without a mouse.
pub async fn all(browser: &Browser) -> Result<()> {
    browser.client().refresh().await?;
    browser.until("tiles", "document.querySelectorAll('.tile:not([hidden])').length === 6").await?;
    let focused = |id: &str| format!("document.activeElement.id === '{id}'");
    let marked = |words: &str| {
        format!(
            "document.getElementById(document.getElementById('board').getAttribute(\
             'aria-activedescendant'))?.textContent.includes('{words}')"
        )
    };
    press(browser, "/").await?;
    browser.until("/ is the filter", &focused("search")).await?;
    press(browser, "node:engine").await?;
    press(browser, ENTER).await?;
    browser.until("Enter is the board", &focused("board")).await?;
    let outlined = "parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2";
    browser.until("where one is can be seen", outlined).await?;
    for (key, words) in [
        (DOWN, "engine-0000"),
        (DOWN, "ended"),
        (DOWN, "failed"),
        (RIGHT, "other"),
        (UP, "lost"),
        (UP, "engine-0001"),
        (RIGHT, "engine-0002"),
        (LEFT, "engine-0001"),
        (LEFT, "engine-0000"),
        (DOWN, "ended"),
        (DOWN, "failed"),
    ] {
        press(browser, key).await?;
        browser.until(&format!("{key:?} to {words}"), &marked(words)).await?;
    }
    press(browser, ENTER).await?;
    let heading = "document.querySelector('#pane h2')?.textContent === 'failed'";
    browser.until("Enter is its details", heading).await?;
    press(browser, ESCAPE).await?;
    let services =
        "document.getElementById('tab-services').getAttribute('aria-selected') === 'true'";
    browser.until("Esc is back", &format!("{services} && {}", focused("board"))).await?;
    // Through the panel's tabs by the arrows, and from one control to the next.
    browser.run("document.getElementById('tab-services').focus()").await?;
    for tab in ["objects", "events", "details", "plan", "services"] {
        press(browser, RIGHT).await?;
        browser.until(tab, &focused(&format!("tab-{tab}"))).await?;
    }
    press(browser, "\u{e004}").await?;
    browser.until("a service", "document.activeElement.className === 'service'").await?;
    press(browser, ENTER).await?;
    let filtered = "document.getElementById('search').value.startsWith('service:')";
    browser.until("its filter", filtered).await?;
    browser.run("document.getElementById('search').focus()").await?;
    press(browser, ESCAPE).await?;
    browser.until("Esc leaves all in", "document.getElementById('search').value === ''").await?;
    Ok(())
}
