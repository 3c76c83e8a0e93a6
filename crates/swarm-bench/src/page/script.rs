//! What is measured inside of the page.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use swarm_e2e::Browser;

use crate::procfs;
use crate::quantile::Samples;

/// The first tiles are in view; milliseconds since the page was opened.
pub const FIRST_TILES: &str =
    "document.querySelector('.tile:not([hidden])') !== null && performance.now()";
/// Megabytes that its objects take.
pub const HEAP: &str = "performance.memory.usedJSHeapSize / 1e6";
/// Elements of the document.
pub const ELEMENTS: &str = "document.querySelectorAll('*').length";

/// All tiles are counted; milliseconds since the page was opened.
pub fn all(tiles: usize) -> String {
    format!(
        "document.getElementById('link').textContent === 'live' && \
         document.getElementById('sum').textContent.includes('/{tiles} ') && performance.now()"
    )
}

/// Small tiles, or large ones.
pub fn dense(wanted: bool) -> String {
    format!(
        "const button = document.getElementById('dense'); \
         if (button.getAttribute('aria-pressed') !== '{wanted}') button.click();"
    )
}

/// Waits until an expression gives a number.
pub async fn number(browser: &Browser, expression: &str) -> Result<f64> {
    let value = browser.until(expression, expression).await?;
    value.as_f64().with_context(|| format!("{expression}: no number but {value}"))
}

/// How frames came.
#[derive(Debug)]
pub struct Frames {
    /// Per second.
    pub rate: f64,
    /// From each to the next.
    pub between: Samples,
    /// What all of the browser took of a processor for each, on average: what other load on the machine
    /// does not change.
    pub cpu: Duration,
}

/// Scrolls for so many seconds, up and down.
const SCROLL: &str = "
const [seconds, step, done] = arguments;
const board = document.getElementById('board');
const times = [];
let [last, way] = [performance.now(), step];
const end = last + seconds * 1000;
board.scrollTop = 0;
function frame(now) {
  const begun = performance.now();
  times.push(now - last);
  last = now;
  const before = board.scrollTop;
  board.scrollTop += way;
  if (board.scrollTop === before) way = -way;
  if (now < end) requestAnimationFrame(frame);
  else done(times.slice(2));
}
requestAnimationFrame(frame);";

/// How frames came meanwhile.
pub async fn scroll(browser: &Browser, seconds: u64, step: u32) -> Result<Frames> {
    let before = procfs::family_cpu(browser.pid());
    let times = browser.client().execute_async(SCROLL, vec![json!(seconds), json!(step)]).await;
    let times = numbers(&times.context("the page did not scroll")?);
    anyhow::ensure!(!times.is_empty(), "there was no frame");
    let rate = f64::from(u32::try_from(times.len())?) / times.iter().sum::<f64>() * 1e3;
    let mut between = Samples::default();
    for time in &times {
        between.push(Duration::from_secs_f64((time / 1e3).max(0.0)));
    }
    let cpu = procfs::family_cpu(browser.pid()).saturating_sub(before);
    Ok(Frames { rate, between, cpu: cpu / u32::try_from(times.len())? })
}

/// Types filters and waits until what they leave is drawn.
const FILTERS: &str = "
const done = arguments[0];
const search = document.getElementById('search');
const words = ['shop-1', 'label:zone=eu', 'state:preparing', '-node:node-0001', 'part-3 label:zone=us', ''];
const took = [];
function next() {
  if (took.length === words.length) return done(took);
  const begun = performance.now();
  search.value = words[took.length];
  search.dispatchEvent(new Event('input'));
  requestAnimationFrame(() => requestAnimationFrame(() => {
    took.push(performance.now() - begun);
    setTimeout(next, 300);
  }));
}
next();";

/// Milliseconds that each filter took.
pub async fn filters(browser: &Browser) -> Result<Vec<f64>> {
    let took = browser.client().execute_async(FILTERS, vec![]).await;
    Ok(numbers(&took.context("the page did not filter")?))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}
