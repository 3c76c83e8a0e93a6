//! Who cannot tell colours apart, has no mouse, a dark room or a narrow screen sees and reaches all of it.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use swarm_e2e::{Browser, Shown};
use swarm_testkit::fleet::FleetConfig;

use super::create;

mod keys;
mod narrow;

/// What text has against what is behind it at least; WCAG 2.1, 1.4.3.
const CONTRAST: f64 = 4.5;

/// Texts that are too faint, with their contrast. Tiles are looked at in each kind and with every hue.
const FAINT: &str = "
const least = arguments[0];
const numbers = (colour) => {
  const found = colour.match(/[\\d.]+/g).map(Number);
  return found.length === 3 ? [...found, 1] : found;
};
const light = ([red, green, blue]) => [red, green, blue].map((value) => value / 255)
  .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
const contrast = (one, other) => {
  const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
};
const behind = (one) => {
  for (let at = one; at !== null; at = at.parentElement) {
    const colour = numbers(getComputedStyle(at).backgroundColor);
    if (colour[3] === 1) return colour;
    if (colour[3] !== 0) throw new Error(`what is behind ${at.className} shines through`);
  }
  return [255, 255, 255, 1];
};
const faint = new Set();
let count = 0;
const look = (one, what) => {
  const style = getComputedStyle(one);
  for (let at = one; at !== null; at = at.parentElement) {
    if (getComputedStyle(at).opacity !== '1') faint.add(`${what}: it shines through`);
  }
  const has = contrast(numbers(style.color), behind(one));
  count += 1;
  if (has < least) faint.add(`${what}: ${has.toFixed(2)}`);
};
for (const one of document.querySelectorAll('body *')) {
  const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
  if (own && one.checkVisibility() && one.closest('option, [disabled]') === null) {
    look(one, `${one.tagName} ${one.className} ${one.parentElement.className} ${one.textContent.slice(0, 20)}`);
  }
}
const search = document.getElementById('search');
const hint = contrast(numbers(getComputedStyle(search, '::placeholder').color), behind(search));
if (hint < least) faint.add(`the filter's hint: ${hint.toFixed(2)}`);
const tile = document.querySelector('.tile:not([hidden])').cloneNode(true);
document.querySelector('.tile').parentElement.append(tile);
for (const kind of ['good', 'bad', 'busy', 'done', 'lost', 'good going', 'good chosen']) {
  tile.className = `tile ${kind}`;
  for (let hue = 0; hue < 360; hue += 4) {
    tile.style.setProperty('--hue', hue);
    for (const one of tile.children) look(one, `a tile that is ${kind}, hue ${hue}, ${one.tagName}`);
  }
}
tile.remove();
return [count, [...faint].slice(0, 30)];";

/// How bright the page is behind everything, 0 to 255.
const BACK: &str = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[1]";

async fn prefers(browser: &Browser, scheme: &str) -> Result<()> {
    let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    browser.devtools("Emulation.setEmulatedMedia", &feature).await.map(drop)
}

async fn is_dark(browser: &Browser, what: &str, wanted: bool) -> Result<()> {
    let script = if wanted { format!("{BACK} < 60") } else { format!("{BACK} > 200") };
    browser.until(what, &script).await.map(drop)
}

async fn readable(browser: &Browser, what: &str) -> Result<()> {
    let found = browser.client().execute(FAINT, vec![json!(CONTRAST)]).await?;
    ensure!(found[0].as_u64() > Some(2_000), "{what}: nothing was looked at: {found}");
    ensure!(found[1] == json!([]), "{what}: {:#}", found[1]);
    Ok(())
}

/// A pool with something of everything: ends of all kinds, a node that is down, one that is cordoned.
async fn something_of_everything() -> Result<Shown> {
    let shown = Shown::acting(FleetConfig { engines: 3, ..FleetConfig::default() }).await?;
    let on =
        |node: &str| json!({"Image": "nginx:1.25", "Env": [format!("constraint:node=={node}")]});
    for name in ["failed", "ended", "paused", "runs"] {
        create(&shown, name, on("engine-0000")).await?;
    }
    for name in ["lost", "other"] {
        create(&shown, name, on("engine-0001")).await?;
    }
    shown.fleet.engine(0).finish("failed", 3);
    shown.fleet.engine(0).finish("ended", 0);
    shown.api("POST", "/containers/paused/pause", "").await?;
    let node = shown.api("GET", "/nodes/engine-0002", "").await?;
    let path = format!("/nodes/engine-0002/update?version={}", node["Version"]["Index"]);
    shown.api("POST", &path, r#"{"Availability": "pause"}"#).await?;
    shown.fleet.engine(1).silence();
    Ok(shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_read_in_light_and_dark_without_colours_by_keys_and_on_a_narrow_screen() -> Result<()>
{
    let shown = something_of_everything().await?;
    let browser = Browser::start(1300, 900).await?;
    prefers(&browser, "light").await?;
    browser.open(&shown.url()).await?;
    let dead = "document.querySelector('.tile.lost') !== null && \
                document.querySelectorAll('.tile:not([hidden])').length === 6";
    browser.until("all that there is", dead).await?;
    colours(&browser).await.context("light and dark")?;
    words(&browser).await.context("without colours")?;
    hues(&browser).await.context("services' hues")?;
    keys::all(&browser).await.context("keys")?;
    narrow::all(&browser).await.context("a narrow screen")?;
    browser.close().await
}

/// As the system, then as the button says, also after the page was loaded again; all of it is readable.
async fn colours(browser: &Browser) -> Result<()> {
    is_dark(browser, "as the system", false).await?;
    readable(browser, "light").await?;
    prefers(browser, "dark").await?;
    is_dark(browser, "the system has changed", true).await?;
    let chosen = |word: &str| format!("document.getElementById('theme').textContent === '{word}'");
    for (word, dark) in [("light", false), ("dark", true), ("auto", true), ("light", false)] {
        browser.click("#theme").await?;
        browser.until(word, &chosen(word)).await?;
        is_dark(browser, word, dark).await?;
    }
    browser.client().refresh().await?;
    browser.until("it is remembered", &chosen("light")).await?;
    is_dark(browser, "it is remembered", false).await?;
    prefers(browser, "light").await?;
    browser.click("#theme").await?;
    is_dark(browser, "dark in a light system", true).await?;
    browser.until("tiles", "document.querySelectorAll('.tile:not([hidden])').length === 6").await?;
    // Everything that the panel and the dialog have, in both.
    for theme in ["dark", "light"] {
        for tab in ["services", "objects", "events", "plan"] {
            browser.click(&format!("#tab-{tab}")).await?;
            readable(browser, &format!("{theme}, {tab}")).await?;
        }
        browser.click(".tile[title^=failed]").await?;
        browser.until("facts", "document.querySelector('#pane dl') !== null").await?;
        browser.click("[data-act=remove]").await?;
        browser.until("the dialog", "document.querySelector('dialog[open]') !== null").await?;
        readable(browser, &format!("{theme}, details")).await?;
        browser.click("dialog[open] .not").await?;
        if theme == "dark" {
            // By way of `auto`, which is light now.
            browser.click("#theme").await?;
            is_dark(browser, "light again", false).await?;
        }
    }
    Ok(())
}

/// Services' hues are far from each other, and theirs for as long as they live.
async fn hues(browser: &Browser) -> Result<()> {
    let ask = "
const done = arguments[0];
import(new URL('hues.js', document.baseURI)).then(({ Hues, apart }) => {
  let text = null;
  const memory = { read: () => text, write: (next) => { text = next; } };
  const named = (first, last) => Array.from({ length: last - first }, (_, at) => `web-${first + at}`);
  const chosen = (hues, names) => {
    const alive = () => new Set(names);
    const found = new Map(names.map((name) => [name, hues.of(name, alive)]));
    hues.save(alive);
    return found;
  };
  const least = (found) => Math.min(...[...found].flatMap(([name, hue]) =>
    [...found].filter(([other]) => other !== name).map(([, other]) => apart(hue, other))));
  const same = (some, others) => [...some].every(([name, hue]) => !others.has(name) || others.get(name) === hue);
  const hues = new Hues(memory);
  const gaps = [2, 3, 8, 9, 20, 64].map((count) =>
    [count, least(chosen(new Hues({ read: () => null, write: () => {} }), named(0, count)))]);
  const first = chosen(hues, named(0, 8));
  const more = chosen(hues, named(0, 12));
  const again = chosen(new Hues(memory), named(0, 12).reverse());
  // The first four go, and others come in their places; of those that stay none changes.
  const later = chosen(hues, named(4, 16));
  const back = chosen(hues, named(0, 16));
  const many = chosen(hues, named(0, 3000));
  const odd = ['', '{', '5', '[1]', '[[1,2,3],[\"a\",\"b\"]]'].map((read) =>
    new Hues({ read: () => read, write: () => {} }).of('a', () => new Set(['a'])));
  done({ gaps, later: least(later), back: least(back), many: many.size, kept: text.length,
    stays: [same(first, more), same(more, again), same(more, later), same(later, back), same(back, many)],
    odd: odd.every(Number.isFinite) });
}, (error) => done(String(error)));";
    let told = browser.client().execute_async(ask, vec![]).await?;
    let gaps = told["gaps"].as_array().with_context(|| told.to_string())?;
    for gap in gaps {
        let [count, least] = [0, 1].map(|at| gap[at].as_f64().unwrap_or_default());
        // Whoever comes halves a gap, and none is changed for him: half of what all together could have.
        ensure!(least >= 180.0 / count, "{told}");
    }
    for (key, count) in [("later", 12.0), ("back", 16.0)] {
        ensure!(told[key].as_f64().is_some_and(|least| least >= 180.0 / count / 2.0), "{told}");
    }
    ensure!(told["stays"] == json!([true, true, true, true, true]), "{told}");
    ensure!(told["many"] == 3_000 && told["odd"] == true, "{told}");

    // The page itself: each service's tiles as its line, and all of them after it was loaded again.
    let seen = "return [...document.querySelectorAll('.tile:not([hidden])')].map((tile) => \
                `${tile.querySelector('b').innerText} ${tile.style.getPropertyValue('--hue')}`).sort()";
    let before = browser.client().execute(seen, vec![]).await?;
    browser.client().refresh().await?;
    let whole = "document.querySelectorAll('.tile:not([hidden])').length === 6";
    browser.until("all that there is", whole).await?;
    let after = browser.client().execute(seen, vec![]).await?;
    ensure!(before == after && !before.to_string().contains("null"), "{before} {after}");
    Ok(())
}

/// Every state has a word, and a shape that no other kind of state has.
async fn words(browser: &Browser) -> Result<()> {
    let ask = "
const done = arguments[0];
const CONTAINER = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];
const TASK = ['new', 'pending', 'assigned', 'accepted', 'preparing', 'ready', 'starting', 'running', 'complete',
  'shutdown', 'failed', 'rejected', 'remove', 'orphaned'];
import(new URL('words.js', document.baseURI)).then((words) => {
  const node = { state: 'ready', role: 'worker', key: 'n' };
  const all = [
    ...CONTAINER.map((state) => ({ state })), { state: 'exited', exitCode: 1 },
    ...['healthy', 'unhealthy', 'starting'].map((health) => ({ state: 'running', health })),
    ...TASK.map((state) => ({ state, task: { desired: 'running' } })),
    { state: 'running', task: { desired: 'shutdown' } }];
  const states = all.map((one) => words.stateOf(one, node));
  states.push(words.stateOf({ state: 'running' }, { state: 'down', role: 'worker', key: 'n' }));
  const nodes = ['healthy', 'ready', 'maintenance', 'pending', 'unknown', 'unhealthy', 'down', 'disconnected']
    .map((state) => [words.nodeShape({ state }), words.nodeWords({ state })]);
  done([states, nodes]);
}, (error) => done(String(error)));";
    let told = browser.client().execute_async(ask, vec![]).await?;
    let mut kinds = std::collections::BTreeMap::new();
    let states = told[0].as_array().with_context(|| told.to_string())?;
    ensure!(states.len() > 25, "{told}");
    for state in states {
        let [shape, words, kind] = [0, 1, 2].map(|at| state[at].as_str().unwrap_or_default());
        ensure!(shape.chars().count() == 1 && !words.is_empty(), "{state}");
        let known = kinds.entry(shape).or_insert(kind);
        ensure!(*known == kind, "{shape} is {known} and {kind}: {state}");
    }
    for node in told[1].as_array().into_iter().flatten() {
        ensure!(node[0] != "?" && node[0] != "" && node[1] != "", "{node}");
    }
    // Small tiles keep the shape, and have the words in their tips.
    browser.click("#dense").await?;
    let shapes = "[...document.querySelectorAll('.tile:not([hidden])')].map((tile) => \
                  `${tile.querySelector('i').innerText} ${tile.title.split('\\n').slice(0, 2).join(' ')}`).sort()";
    let expected = json!([
        "? lost host down, was running",
        "? other host down, was running",
        "‖ paused paused",
        "■ ended exited (0)",
        "● runs running",
        "✕ failed exited (3)"
    ]);
    browser
        .until("small tiles", &format!("JSON.stringify({shapes}) === JSON.stringify({expected})"))
        .await?;
    browser.click("#dense").await
}
