//! What the page's board shows, read from what is drawn: places and widths are measured, colours computed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::browser::Browser;

/// From the API's telling to the screen, on a busy machine too.
const SOON: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(50);

/// Columns by the names of their nodes. A tile belongs to the column in which it is drawn.
const BOARD: &str = "
const middle = (box) => [box.left + box.width / 2, box.top + box.height / 2];
const bar = (row) => {
  const [track, fill] = [row.querySelector('div'), row.querySelector('i')];
  return { words: row.querySelector('span').textContent,
    percent: Math.round(100 * fill.getBoundingClientRect().width / track.clientWidth) };
};
const tiles = [...document.querySelectorAll('.tile:not([hidden])')];
const columns = {};
for (const card of document.querySelectorAll('.card:not([hidden])')) {
  const box = card.getBoundingClientRect();
  const [cpu, memory] = [...card.querySelectorAll('.bar')].map(bar);
  const own = tiles.filter((tile) => {
    const [x, y] = middle(tile.getBoundingClientRect());
    return x > box.left && x < box.right && y > box.top && y < box.bottom;
  });
  columns[card.querySelector('strong').textContent] = {
    says: card.querySelector('em').textContent.split(':')[0],
    labels: card.querySelector('.head > small').textContent.split('  ').filter(Boolean).sort(),
    count: card.querySelector('.top small').textContent, cpu, memory,
    tiles: own.map((tile) => [tile.querySelector('b').textContent, tile.querySelector('em').textContent,
      tile.querySelector('small').textContent.replace('↷ ', '')].join(' | ')).sort(),
  };
}
return columns;";

/// The tiles' services (the third line of their tips) and what colour their stripes are.
const COLOURS: &str = "return [...document.querySelectorAll('.tile:not([hidden])')].map((tile) =>
  [tile.title.split('\\n')[2], getComputedStyle(tile).borderLeftColor]);";
/// The same of the list of services.
const LISTED: &str = "return [...document.querySelectorAll('#pane .service')].map((row) =>
  [row.querySelector('b').textContent, getComputedStyle(row.querySelector('i')).backgroundColor]);";

/// One column as the API has it; the words are put as the page puts them.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// State, role and availability.
    pub says: String,
    pub labels: BTreeSet<String>,
    /// 10⁻⁹ of a processor: reserved, and there.
    pub cpus: (i64, i64),
    /// Bytes: reserved, and there.
    pub memory: (i64, i64),
    /// `NAME | STATE | IMAGE · PORTS`.
    pub tiles: Vec<String>,
}

impl Column {
    fn drawn(mut self) -> Value {
        self.tiles.sort();
        let percent = |(part, total): (i64, i64)| {
            if total == 0 { 0 } else { (200 * part.min(total) + total) / (2 * total) }
        };
        let cpus = |nano: i64| {
            let text = format!("{}.{:02}", nano / 1_000_000_000, nano % 1_000_000_000 / 10_000_000);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        json!({
            "says": self.says, "labels": self.labels, "count": self.tiles.len().to_string(),
            "cpu": {"words": format!("{} of {}", cpus(self.cpus.0), cpus(self.cpus.1)),
                    "percent": percent(self.cpus)},
            "memory": {"words": format!("{} of {}", bytes(self.memory.0), bytes(self.memory.1)),
                       "percent": percent(self.memory)},
            "tiles": self.tiles,
        })
    }
}

/// Bytes in the largest unit, below a hundred with one digit after the point.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn bytes(count: i64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut size, mut unit) = (count as f64, 0);
    while size >= 1024.0 {
        (size, unit) = (size / 1024.0, unit + 1);
    }
    let text = if size >= 100.0 { format!("{size:.0}") } else { format!("{size:.1}") };
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), units[unit])
}

impl Browser {
    /// Waits until the board is as the API says, which is asked each time: both may be on their way. The API
    /// gives nothing while it says itself that something is.
    pub async fn agrees(
        &self,
        what: &str,
        mut api: impl AsyncFnMut() -> Result<Option<BTreeMap<String, Column>>>,
    ) -> Result<()> {
        let end = Instant::now() + SOON;
        loop {
            let expected = api().await?.map(|columns| {
                let drawn = columns.into_iter().map(|(name, column)| (name, column.drawn()));
                Value::Object(drawn.collect::<Map<_, _>>())
            });
            let shown = self.run(BOARD).await?;
            if Some(&shown) == expected.as_ref() {
                return Ok(());
            }
            if Instant::now() > end {
                let expected = expected.map_or_else(String::new, |columns| format!("{columns:#}"));
                bail!("{what}: not within {SOON:?}\nshown: {shown:#}\nthe API: {expected}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Tiles and list have one colour for each service, and no two services have the same.
    pub async fn coloured_by_service(&self, services: usize) -> Result<()> {
        let mut colours = BTreeMap::<String, BTreeSet<String>>::new();
        for script in [COLOURS, LISTED] {
            let pairs = self.run(script).await?;
            for pair in pairs.as_array().context("no pairs")? {
                let [service, colour] = [0, 1].map(|at| pair[at].as_str().unwrap_or_default());
                colours.entry(service.to_owned()).or_default().insert(colour.to_owned());
            }
        }
        let all: BTreeSet<_> = colours.values().flatten().collect();
        let one_each = colours.values().all(|own| own.len() == 1);
        ensure!(one_each && all.len() == services && colours.len() == services, "{colours:?}");
        Ok(())
    }

    /// A fact in the details of what is chosen.
    pub async fn fact(&self, name: &str) -> Result<String> {
        let script = format!(
            "[...document.querySelectorAll('#pane dt')].find((one) => one.textContent === {name:?})\
             ?.nextElementSibling.textContent"
        );
        let value = self.until(&format!("the fact {name}"), &script).await?;
        Ok(value.as_str().unwrap_or_default().to_owned())
    }
}
