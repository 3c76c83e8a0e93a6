//! The page in a real browser: what is shown is what the API says, whatever happens meanwhile. [`agrees`]: in
//! every number and colour; [`behind`]: below a path of a web server; [`seen`]: light and dark, without
//! colours, by keys, on a narrow screen; [`pictures`]: of the documentation.

mod agrees;
mod behind;
mod pictures;
mod seen;

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

#[tokio::test(flavor = "multi_thread")]
async fn what_people_name_is_text_and_can_be_found() -> Result<()> {
    let shown = Shown::start(FleetConfig { engines: 2, ..FleetConfig::default() }).await?;
    let evil = "<img src=x onerror=\"window.hurt=1\">";
    let labels = json!({"com.docker.compose.project": "shop", "com.docker.compose.service": evil,
                        evil: evil, "tier": "db"});
    let first = json!({"Image": "nginx:1.25", "Labels": labels,
                       "Env": ["constraint:node==engine-0000", format!("EVIL={evil}")]});
    create(&shown, "evil", first).await?;
    let plain = json!({"Image": "redis:7", "Env": ["constraint:node==engine-0000"]});
    create(&shown, "plain", plain).await?;
    let browser = Browser::start(1300, 900).await?;
    browser.open(&shown.url()).await?;
    tiles_become(&browser, "both", &["evil running", "plain running"]).await?;
    // Every place where it is shown.
    browser.run("document.querySelector('.tile[title^=evil]').click()").await?;
    for part in ["facts", "json", "logs", "history"] {
        browser.run(&format!("document.querySelector('[data-part={part}]').click()")).await?;
        let there = match part {
            "facts" => "document.querySelector('#pane dl').textContent.includes('onerror')",
            "json" => "document.querySelector('#pane pre').textContent.includes('EVIL=')",
            "logs" => "document.querySelector('#pane pre').textContent.includes('hello from')",
            _ => "document.querySelector('#pane .body').textContent.length > 0",
        };
        browser.until(part, there).await?;
    }
    for tab in ["services", "events", "plan"] {
        browser.run(&format!("document.getElementById('tab-{tab}').click()")).await?;
        if tab == "services" {
            let text = "document.querySelector('#pane').textContent.includes('onerror')";
            browser.until("the service's name", text).await?;
        }
    }
    let clean = "document.images.length === 0 && window.hurt === undefined";
    browser.until("nothing of it is markup", clean).await?;

    // The filter, by its words, and by the keys alone.
    for (words, expected) in [
        ("plain", &["plain running"][..]),
        ("label:tier=db", &["evil running"]),
        ("service:shop/", &["evil running"]),
        ("image:redis state:running", &["plain running"]),
        ("node:engine-0000 -image:redis", &["evil running"]),
        ("node:engine-0001", &[]),
        ("state:exited", &[]),
        ("", &["evil running", "plain running"]),
    ] {
        let script = format!(
            "const search = document.getElementById('search'); search.value = {}; \
             search.dispatchEvent(new Event('input'))",
            json!(words)
        );
        browser.run(&script).await?;
        tiles_become(&browser, words, expected).await?;
    }
    let board = browser.client().find(fantoccini::Locator::Css("#board")).await?;
    board.send_keys("/").await?;
    let search = browser.client().active_element().await?;
    ensure!(search.attr("id").await?.as_deref() == Some("search"), "/ goes to the filter");
    search.send_keys("evil\u{e007}").await?;
    tiles_become(&browser, "typed", &["evil running"]).await?;
    // Down from the node's head to its first tile, and into its details.
    board.send_keys("\u{e015}\u{e015}\u{e007}").await?;
    let heading = "document.querySelector('#pane h2')?.textContent === 'evil'";
    browser.until("details by keys", heading).await?;
    let chosen = "document.getElementById(document.getElementById('board')\
                  .getAttribute('aria-activedescendant')).classList.contains('chosen')";
    browser.until("it is marked", chosen).await?;
    search.send_keys("\u{e00c}").await?;
    tiles_become(&browser, "Escape", &["evil running", "plain running"]).await?;

    // The plan is shown on the board, and nothing moves.
    browser.run("document.getElementById('tab-plan').click()").await?;
    let ask = "const choice = document.querySelector('.plan select'); choice.selectedIndex = 1; \
               document.querySelector('.plan .ask').click()";
    browser.run(ask).await?;
    let said = "document.querySelector('.plan .note').textContent.includes('stay on engine-0000')";
    browser.until("a drain's plan", said).await?;
    let why =
        "document.querySelector('.moves').textContent.includes('a constraint names its engine')";
    browser.until("why they stay", why).await?;
    tiles_become(&browser, "nothing moved", &["evil running", "plain running"]).await?;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_clicked_is_done_after_it_was_said() -> Result<()> {
    let shown = Shown::acting(FleetConfig { engines: 2, ..FleetConfig::default() }).await?;
    let browser = Browser::start(1300, 900).await?;
    browser.open(&shown.url()).await?;
    let node = |name: &str| {
        format!(
            "[...document.querySelectorAll('.card')].find((card) => \
             card.querySelector('strong').textContent === '{name}')"
        )
    };
    let second = node("engine-0001");
    browser.until("nodes", &format!("{second} !== undefined")).await?;
    browser.run(&format!("{second}.querySelector('.head').click()")).await?;
    let words = browser.act("cordon").await?;
    ensure!(words.contains("cordon engine-0001?") && words.contains("nothing new"), "{words}");
    browser.until("it is cordoned", &format!("{second}.innerText.includes('cordoned')")).await?;

    // All are on the other engine. One is spared, one is not.
    for name in ["one", "two", "three", "four"] {
        let labels = json!({"com.docker.swarm.rebalance": "on"});
        create(&shown, name, json!({"Image": "nginx:1.25", "Labels": labels})).await?;
    }
    let all = ["four running", "one running", "three running", "two running"];
    tiles_become(&browser, "four", &all).await?;
    browser.click(".tile[title^=one]").await?;
    browser.click("[data-act=kill]").await?;
    browser.click("dialog[open] .not").await?;
    browser.until("nothing is asked", "document.querySelector('dialog[open]') === null").await?;
    browser.click(".tile[title^=four]").await?;
    browser.act("remove").await?;
    tiles_become(&browser, "one is gone", &["one running", "three running", "two running"]).await?;
    let said = "document.querySelector('.outcome')?.textContent === 'it was removed'";
    browser.until("what became of it", said).await?;
    let gone = "document.querySelector('#pane .body').textContent === 'This container is gone.'";
    browser.until("it is gone in the details, too", gone).await?;
    browser.click("#tab-services").await?;
    browser.click("#tab-details").await?;
    browser.until("what became of it, looked at again", said).await?;

    // The other engine is used again, and the pool evened out.
    browser.run(&format!("{second}.querySelector('.head').click()")).await?;
    browser.act("uncordon").await?;
    browser.until("it is used", &format!("!{second}.innerText.includes('cordoned')")).await?;
    browser.click("#tab-plan").await?;
    browser.click(".plan .ask").await?;
    browser.click(".plan .apply:not([hidden])").await?;
    let words = browser.agree().await?;
    ensure!(words.contains("engine-0000 → engine-0001"), "{words}");
    let moved = "document.querySelector('.plan .note').textContent.startsWith('1 moved')";
    browser.until("it says so", moved).await?;
    let there = format!("{second}.querySelector('small:last-of-type').textContent !== '0'");
    browser.until("one is there", &there).await?;
    let list = shown.api("GET", "/containers/json", "").await?;
    let on = |name: &str| {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .filter(|one| one["Names"][0].as_str().is_some_and(|own| own.contains(name)))
            .count()
    };
    ensure!((on("engine-0000"), on("engine-0001")) == (2, 1), "{list}");
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_pool_has_few_elements_and_every_tile_can_be_reached() -> Result<()> {
    let config = FleetConfig { engines: 60, containers_per_engine: 30, ..FleetConfig::default() };
    let shown = Shown::start(config).await?;
    let browser = Browser::start(1300, 900).await?;
    browser.open(&shown.url()).await?;
    let all = "document.getElementById('sum').textContent.includes('1800/1800 containers running')";
    browser.until("all are counted", all).await?;
    let few = "document.querySelectorAll('.tile').length < 600";
    // The tile that is in a place is the one seen there, wherever the board was before.
    let seen = "[...document.querySelectorAll('.tile:not([hidden])')].filter((tile) => { \
        const box = tile.getBoundingClientRect(); const view = document.getElementById('board')\
        .getBoundingClientRect(); const [x, y] = [box.left + 20, box.top + box.height / 2]; \
        return y > view.top && y < view.bottom && document.elementFromPoint(x, y)\
        ?.closest('.tile') !== tile; }).length === 0";
    // Where there is more above or below the view, it is there before anybody comes to it.
    let next = "(() => { const board = document.getElementById('board'); \
        const view = board.getBoundingClientRect(); const tiles = [...document.querySelectorAll(\
        '.tile:not([hidden])')].map((tile) => tile.getBoundingClientRect()); \
        return (board.scrollTop < 400 || tiles.some((box) => box.bottom < view.top - 100)) && \
        (board.scrollTop + view.height > board.scrollHeight - 400 \
        || tiles.some((box) => box.top > view.bottom + 100)); })()";
    // On the way there a place is seen for one frame, with its name alone; where one stays all of it is told.
    let whole = "document.querySelector('.brief:not([hidden])') === null && \
        [...document.querySelectorAll('.tile:not([hidden])')].every((tile) => \
        tile.title.startsWith(tile.querySelector('b').textContent + '\\n') && \
        tile.querySelector('em').textContent === 'running')";
    for size in ["roomy", "dense"] {
        for place in ["0", "1e9", "5000", "300", "0"] {
            browser.run(&format!("document.getElementById('board').scrollTop = {place}")).await?;
            browser.until(&format!("{size}: nothing covers a tile"), seen).await?;
            browser.until(&format!("{size}: few elements"), few).await?;
            browser.until(&format!("{size}: all of a tile is told"), whole).await?;
            browser.until(&format!("{size}: what is next is drawn, too"), next).await?;
        }
        browser.run("document.getElementById('dense').click()").await?;
    }
    // The end of the pool, by its name.
    browser.run("location.hash = 'node:engine-0059'").await?;
    let only = "document.querySelectorAll('.card:not([hidden])').length === 1 && \
                document.querySelector('.card:not([hidden]) strong').textContent === 'engine-0059'";
    browser.until("the last node", only).await?;
    let narrow = browser.client().set_window_size(480, 800).await;
    ensure!(narrow.is_ok(), "{narrow:?}");
    let fits = "document.documentElement.scrollWidth <= innerWidth";
    browser.until("nothing is cut off on a narrow screen", fits).await?;
    let errors = browser
        .run(
            "return performance.getEntriesByType('resource')\
        .filter((one) => !one.name.startsWith(location.origin)).length",
        )
        .await?;
    ensure!(errors == json!(0), "it asked another host");
    browser.close().await
}
