//! Below a path of a real web server, with the very block that the documentation has: the page loads, lives,
//! asks and acts, and has missed nothing when the server is back.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use swarm_e2e::{Browser, Shown, until};
use swarm_testkit::fleet::FleetConfig;
use swarm_testkit::stores::free_port;

use super::{create, tiles_become};

const LONG: Duration = Duration::from_mins(1);
/// Not this machine's own name, and not over TLS: a browser does not say itself which page asks.
const NAME: &str = "proxy.test";

/// The documentation's block, as it is there but for addresses and files.
fn block(manager: &str, users: &Path) -> Result<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/page.md");
    let page = std::fs::read_to_string(page)?;
    let (_, rest) = page.split_once("```\nlocation /ui/ {").context("docs/page.md has no block")?;
    let (block, _) = rest.split_once("```").context("it does not end")?;
    let put = |text: &str, from: &str, to: &str| -> Result<String> {
        ensure!(text.contains(from), "the block has no {from}");
        Ok(text.replace(from, to))
    };
    let block = put(block, "http://127.0.0.1:8080/", manager)?;
    let block = put(&block, "/etc/nginx/swarm.users", &users.display().to_string())?;
    Ok(format!("location /ui/ {{{block}"))
}

/// nginx in the foreground.
struct Nginx {
    folder: tempfile::TempDir,
    port: u16,
    running: Option<Child>,
}

impl Nginx {
    fn start(manager: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let users = folder.path().join("users");
        std::fs::write(&users, "somebody:{PLAIN}secret\n")?;
        let mut places =
            format!("access_log off; client_body_temp_path {0}/b;", folder.path().display());
        for kind in ["proxy", "fastcgi", "uwsgi", "scgi"] {
            write!(places, " {kind}_temp_path {}/{kind};", folder.path().display())?;
        }
        let config = format!(
            "user root; worker_processes 1; pid {}/pid; events {{}}\nhttp {{ {places}\n\
             server {{ listen 127.0.0.1:{port};\n{}}} }}\n",
            folder.path().display(),
            block(manager, &users)?
        );
        std::fs::write(folder.path().join("nginx.conf"), config)?;
        let mut this = Self { folder, port, running: None };
        this.again()?;
        Ok(this)
    }

    /// Starts it; it answers when this returns.
    fn again(&mut self) -> Result<()> {
        let child = Command::new("/usr/sbin/nginx")
            .args(["-e", "stderr", "-g", "daemon off;", "-c"])
            .arg(self.folder.path().join("nginx.conf"))
            .stdin(Stdio::null())
            .spawn()
            .context("nginx does not start: run `cargo xtask setup`")?;
        self.running = Some(child);
        let address = format!("127.0.0.1:{}", self.port);
        until(LONG, "nginx answers", || Ok(std::net::TcpStream::connect(&address).ok().map(drop)))
    }

    /// Asks it to end at once.
    fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.running.take() else { return Ok(()) };
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        child.wait().map(drop).context("nginx does not end")
    }

    fn url(&self, login: &str) -> String {
        format!("http://{login}{NAME}:{}/ui/", self.port)
    }

    /// Sends what no page of ours would; the answer.
    fn post(&self, path: &str, headers: &[(&str, &str)]) -> Result<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(LONG))?;
        let login = STANDARD.encode("somebody:secret");
        let mut request = format!(
            "POST /ui/{path} HTTP/1.0\r\nHost: {NAME}:{}\r\nAuthorization: Basic {login}\r\n\
             Content-Length: 2\r\n",
            self.port
        );
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n")?;
        }
        std::io::Write::write_all(&mut stream, format!("{request}\r\n{{}}").as_bytes())?;
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer)?;
        Ok(answer)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_path_of_a_web_server_it_lives_asks_acts_and_comes_back() -> Result<()> {
    let shown = Shown::acting(FleetConfig { engines: 2, ..FleetConfig::default() }).await?;
    let mut nginx = Nginx::start(&shown.url())?;
    let body = json!({"Image": "nginx:1.25", "Env": ["constraint:node==engine-0000"]});
    create(&shown, "first", body.clone()).await?;
    let volume = json!({"Name": "kept", "Driver": "local"}).to_string();
    shown.api("POST", "/volumes/create", &volume).await?;
    let browser = Browser::start(1300, 900).await?;
    // The browser is told once who asks, and says so from then on.
    browser.open(&nginx.url("somebody:secret@")).await?;
    browser.open(&nginx.url("")).await?;
    let live = "document.getElementById('link').textContent === 'live'";
    browser.until("live", live).await?;
    tiles_become(&browser, "what is there", &["first running"]).await?;
    create(&shown, "second", body.clone()).await?;
    tiles_become(&browser, "what is started", &["first running", "second running"]).await?;

    asks(&browser).await?;

    // It acts: with its key, from its own page, and in no other way.
    browser.click(".tile[title^=second]").await?;
    let words = browser.act("kill").await?;
    ensure!(words.contains("kill second on engine-0000?"), "{words}");
    tiles_become(&browser, "a kill", &["first running", "second exited (137)"]).await?;
    let outcome = "document.querySelector('.outcome')?.textContent === 'it was killed'";
    browser.until("what became of it", outcome).await?;
    let state = shown.api("GET", "/containers/second/json", "").await?;
    ensure!(state["State"]["Running"] == false, "{state}");
    let state: serde_json::Value = serde_json::from_str(&shown.page("GET", "/api/state").await?.1)?;
    let key = state["key"].as_str().context("no key")?;
    let path = "api/containers/first/kill";
    let evil = nginx.post(path, &[("X-Swarm-Page", key), ("Origin", "http://evil.example")])?;
    ensure!(evil.contains(" 403 ") && evil.contains("another web page"), "{evil}");
    let own = format!("http://{NAME}:{}", nginx.port);
    let none = nginx.post(path, &[("Origin", &own)])?;
    ensure!(none.contains(" 403 ") && none.contains("X-Swarm-Page"), "{none}");
    tiles_become(&browser, "nothing else", &["first running", "second exited (137)"]).await?;

    // The server goes, things happen, and it comes back.
    browser.click("#tab-events").await?;
    nginx.stop()?;
    browser.until("the loss", &format!("!({live})")).await?;
    for number in 0..5 {
        create(&shown, &format!("late-{number}"), body.clone()).await?;
    }
    shown.api("POST", "/containers/late-0/kill", "").await?;
    shown.api("DELETE", "/containers/second", "").await?;
    nginx.again()?;
    browser.until("live again", live).await?;
    let expected = [
        "first running",
        "late-0 exited (137)",
        "late-1 running",
        "late-2 running",
        "late-3 running",
        "late-4 running",
    ];
    tiles_become(&browser, "what was missed", &expected).await?;
    // Each of it once, in its order.
    let rows = "[...document.querySelectorAll('#pane .event.container')].map((row) => \
                row.lastElementChild.textContent).filter((words) => /^(late-|second destroy)/.test(words)).reverse()";
    let mut told: Vec<_> = (0..5)
        .flat_map(|number| ["create", "start"].map(|word| format!("late-{number} {word}")))
        .collect();
    told.extend(["late-0 kill", "late-0 die (137)", "second destroy"].map(str::to_owned));
    let same = format!("JSON.stringify({rows}) === {:?}", json!(told).to_string());
    let found = browser.until("all events", &same).await;
    found.with_context(|| format!("expected {told:?}"))?;
    browser.close().await
}

/// Facts, JSON and output of a container; what is on no board, whose name has a slash in it; a plan.
async fn asks(browser: &Browser) -> Result<()> {
    browser.click(".tile[title^=first]").await?;
    for (part, there) in [
        ("facts", "document.querySelector('#pane dl')?.textContent.includes('nginx:1.25')"),
        ("json", "document.querySelector('#pane pre')?.textContent.includes('\"HostConfig\"')"),
        ("logs", "document.querySelector('#pane pre')?.textContent.includes('hello from')"),
    ] {
        browser.click(&format!("[data-part={part}]")).await?;
        browser.until(part, there).await?;
    }
    browser.click("#tab-objects").await?;
    browser.click("#pane [data-kind=volume]").await?;
    browser.click("[data-part=json]").await?;
    let volume = "document.querySelector('#pane pre')?.textContent.includes('\"Mountpoint\"')";
    browser.until("a volume's JSON", volume).await?;
    browser.click("#tab-plan").await?;
    browser.click(".plan .ask").await?;
    let planned = "document.querySelector('.plan .note').textContent.length > 10";
    browser.until("a plan", planned).await.map(drop)
}
