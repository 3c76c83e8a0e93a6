//! Debian's chromium without a screen, driven by its own driver.
//!
//! Invariants: driver and browser end when this is dropped; every wait has a deadline.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::devtools::Devtools;

/// Far more than a page takes, and what it waits for (a node that is found dead, and what runs elsewhere then), on
/// a busy machine too.
const SOON: Duration = Duration::from_mins(1);
/// Between two looks at a page.
const LOOK: Duration = Duration::from_millis(20);

/// A browser with one window.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one whose window has this size.
    pub async fn start(width: u32, height: u32) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start chromedriver: run `cargo xtask setup`")?;
        let output = driver.stdout.take().context("no stdout")?;
        let port = match port(BufReader::new(output)) {
            Ok(port) => port,
            Err(error) => {
                end(&mut driver);
                return Err(error);
            }
        };
        let options = json!({
            "binary": "/usr/bin/chromium",
            "args": [
                "--headless=new", "--disable-gpu", "--disable-dev-shm-usage",
                // Tests run as root, where chromium has no sandbox of its own.
                "--no-sandbox", "--no-first-run", "--hide-scrollbars",
                // Names of web servers that a test runs are this machine.
                "--host-resolver-rules=MAP *.test 127.0.0.1",
                format!("--window-size={width},{height}"),
                format!("--user-data-dir={}", profile.path().display()),
            ],
        });
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"}));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        match client {
            Ok(client) => Ok(Self { client, driver, _profile: profile }),
            Err(error) => {
                end(&mut driver);
                Err(error).context("chromium does not start")
            }
        }
    }

    /// The driver's process, of which the browser's are children.
    pub fn pid(&self) -> u32 {
        self.driver.id()
    }

    /// The session, for what has no method here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// One command of Chromium's DevTools protocol, and its answer.
    pub async fn devtools(&self, method: &str, parameters: &Value) -> Result<Value> {
        let command = Devtools::new(method, parameters);
        self.client.issue_cmd(command).await.with_context(|| method.to_owned())
    }

    /// What there is for a page, exactly; a window's size counts its frame, and a window has a least one.
    pub async fn size(&self, width: u32, height: u32) -> Result<()> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size).await.map(drop)
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.client.goto(url).await.with_context(|| url.to_owned())
    }

    /// What a function's body returns in the page.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.client.execute(script, vec![]).await.with_context(|| script.to_owned())
    }

    /// Waits until an expression in the page gives something true; what it gives.
    pub async fn until(&self, what: &str, expression: &str) -> Result<Value> {
        let end = Instant::now() + SOON;
        loop {
            let value = self.run(&format!("return ({expression})")).await?;
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return Ok(value);
            }
            if Instant::now() > end {
                let text = self.run("return document.body.innerText").await?;
                bail!(
                    "{what}: not within {SOON:?}; the page says:\n{}",
                    text.as_str().unwrap_or("")
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Clicks what a selector finds, once it is there.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let script = format!(
            "(() => {{ const found = document.querySelector({selector:?}); found?.click(); \
             return found !== null; }})()"
        );
        self.until(selector, &script).await.map(drop)
    }

    /// Presses one of the page's buttons that do something, and agrees; the dialog's words.
    pub async fn act(&self, button: &str) -> Result<String> {
        self.click(&format!("[data-act={button}]:not([disabled])")).await?;
        self.agree().await
    }

    /// Agrees to what the page asks; its words.
    pub async fn agree(&self) -> Result<String> {
        let words = self.until("the dialog", "document.querySelector('dialog[open]')?.innerText");
        let words = words.await?;
        self.click("dialog[open] .do").await?;
        Ok(words.as_str().unwrap_or_default().to_owned())
    }

    /// A picture of the window, PNG.
    pub async fn picture(&self) -> Result<Vec<u8>> {
        self.client.screenshot().await.context("no picture")
    }

    /// Ends the browser.
    pub async fn close(self) -> Result<()> {
        self.client.clone().close().await.context("the browser does not end")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        end(&mut self.driver);
    }
}

/// The driver takes its browser with it when it is asked to end, and not when it is killed.
fn end(driver: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(driver.id()).unwrap_or(0));
    if pid.as_raw() > 0 {
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    }
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        if matches!(driver.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        std::thread::sleep(LOOK);
    }
    let _ = driver.kill();
    let _ = driver.wait();
}

/// The port that the driver chose, as it says; the rest of what it says is read and forgotten.
fn port(mut output: BufReader<std::process::ChildStdout>) -> Result<u16> {
    let mut line = String::new();
    while output.read_line(&mut line)? > 0 {
        if let Some((_, rest)) = line.split_once("started successfully on port ") {
            let port = rest.trim().trim_end_matches('.').parse().context("chromedriver's port")?;
            std::thread::spawn(move || output.lines().for_each(drop));
            return Ok(port);
        }
        line.clear();
    }
    bail!("chromedriver ended and named no port")
}
