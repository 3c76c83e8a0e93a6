//! On a narrow screen.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use swarm_e2e::Browser;

use super::keys::{DOWN, ENTER, UP, press};

/// What goes beyond the screen's sides and cannot be scrolled to, or is not on the screen at all.
const BEYOND: &str = "[...document.querySelectorAll('body *')].filter((one) => {
  const box = one.getBoundingClientRect();
  return one.checkVisibility() && box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map((one) => `${one.tagName} ${one.id} ${one.className}`)";

async fn fits(browser: &Browser, what: &str) -> Result<()> {
    let width = "document.documentElement.scrollWidth <= innerWidth && innerWidth === 400";
    browser.until(what, width).await?;
    let beyond = browser.run(&format!("return {BEYOND}")).await?;
    ensure!(beyond == json!([]), "{what}: {beyond}");
    Ok(())
}

/// All of it on 400 pixels.
pub async fn all(browser: &Browser) -> Result<()> {
    browser.size(400, 800).await?;
    browser.client().refresh().await?;
    browser.until("tiles", "document.querySelectorAll('.tile:not([hidden])').length > 0").await?;
    fits(browser, "the board").await?;
    browser.click("#side").await?;
    // On the screen, and nothing is before it.
    let seen = |selector: &str| {
        format!(
            "(() => {{ const one = document.querySelector({selector:?}); if (one === null) return false; \
             const box = one.getBoundingClientRect(); const [x, y] = [box.left + Math.min(box.width, 300) / 2, \
             box.top + Math.min(box.height, 40) / 2]; const found = document.elementFromPoint(x, y); \
             return box.bottom > 0 && box.top < innerHeight && found !== null && \
             (one.contains(found) || found === one); }})()"
        )
    };
    for tab in ["services", "objects", "events", "details", "plan"] {
        browser.until(tab, &seen(&format!("#tab-{tab}"))).await?;
        browser.click(&format!("#tab-{tab}")).await?;
        browser.until(tab, &seen("#pane > *")).await?;
        fits(browser, tab).await?;
    }
    // What is chosen stays in sight beside its details, also the last of them.
    browser.run("document.querySelectorAll('.tile:not([hidden])').forEach((one) => one.title.startsWith('runs') && one.click())").await?;
    browser
        .until("its details", "document.querySelector('#pane h2')?.textContent === 'runs'")
        .await?;
    browser.run("document.getElementById('board').focus()").await?;
    for (key, name) in [(UP, "paused"), (DOWN, "runs")] {
        press(browser, key).await?;
        browser.until(name, &seen(&format!(".tile[title^={name}]"))).await?;
    }
    press(browser, ENTER).await?;
    for part in ["facts", "json", "logs", "history"] {
        browser.click(&format!("[data-part={part}]")).await?;
        browser
            .until(part, "document.querySelector('#pane .body').textContent.length > 20")
            .await?;
        fits(browser, part).await?;
    }
    browser.click("[data-act=kill]").await?;
    browser.until("the dialog", &seen("dialog[open]")).await?;
    fits(browser, "the dialog").await?;
    browser.click("dialog[open] .not").await?;
    browser.click("#side").await?;
    let whole = "document.getElementById('board').clientHeight > 500";
    browser.until("the board has the screen again", whole).await?;
    let value: Value = browser.run("return document.body.innerText").await?;
    ensure!(value.as_str().is_some_and(|text| text.contains("engine-0000")), "{value}");
    Ok(())
}
