//! A manager with its page over simulated engines.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use swarm_testkit::fleet::{Fleet, FleetConfig};
use swarm_testkit::stores::free_port;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::binaries;

/// Far more than a start takes, on a busy machine too.
const SOON: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// See the module. The manager ends when this is dropped.
#[derive(Debug)]
pub struct Shown {
    /// Its engines.
    pub fleet: Fleet,
    manager: Child,
    page: String,
    acts: bool,
    folder: tempfile::TempDir,
}

impl Shown {
    /// Starts both; the page answers, and every engine is healthy, when this returns.
    pub async fn start(config: FleetConfig) -> Result<Self> {
        Self::with(config, false).await
    }

    /// The same with a page that acts.
    pub async fn acting(config: FleetConfig) -> Result<Self> {
        Self::with(config, true).await
    }

    async fn with(config: FleetConfig, acts: bool) -> Result<Self> {
        let fleet = Fleet::start(config).await?;
        let folder = tempfile::tempdir()?;
        // The same port before and after a restart, so that a browser finds the manager again.
        let page = format!("127.0.0.1:{}", free_port()?);
        let manager = manage(&fleet, (&page, acts), &folder)?;
        let shown = Self { fleet, manager, page, acts, folder };
        shown.answers().await?;
        Ok(shown)
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.page)
    }

    /// Kills the manager.
    pub fn kill(&mut self) -> Result<()> {
        self.manager.kill()?;
        self.manager.wait()?;
        Ok(())
    }

    /// Starts it again after it was killed.
    pub async fn again(&mut self) -> Result<()> {
        self.manager = manage(&self.fleet, (&self.page, self.acts), &self.folder)?;
        self.answers().await
    }

    async fn answers(&self) -> Result<()> {
        let socket = self.folder.path().join("api.sock");
        let tried = tokio::time::timeout(SOON, async {
            while UnixStream::connect(&socket).await.is_err()
                || TcpStream::connect(&self.page).await.is_err()
            {
                tokio::time::sleep(LOOK).await;
            }
        });
        tried.await.context("the manager does not answer")?;
        let well = tokio::time::timeout(SOON, async {
            let engines = self.fleet.engines().len();
            loop {
                let nodes = self.api("GET", "/nodes", "").await?;
                let nodes = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
                if nodes.iter().filter(|node| node["Status"]["State"] == "ready").count() == engines
                {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        well.await.context("the engines are not healthy")?
    }

    /// A request to the Docker API with a JSON body (none where it is empty); the answer's JSON.
    pub async fn api(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let stream = UnixStream::connect(self.folder.path().join("api.sock")).await?;
        let (status, body) = exchange(stream, method, path, body).await?;
        if status >= 400 {
            bail!("{method} {path}: {status}: {body}");
        }
        Ok(serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// What the page's own API says: status and body.
    pub async fn page(&self, method: &str, path: &str) -> Result<(u16, String)> {
        exchange(TcpStream::connect(&self.page).await?, method, path, "").await
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn manage(fleet: &Fleet, page: (&str, bool), folder: &tempfile::TempDir) -> Result<Child> {
    let (page, acts) = page;
    let socket = format!("unix://{}", folder.path().join("api.sock").display());
    let list: Vec<_> = fleet.addresses().iter().map(ToString::to_string).collect();
    let data = folder.path().join("data").display().to_string();
    Command::new(binaries::swarm()?)
        .args(["--log-level", "error", "manage", "-H", &socket, "--ui", page])
        .arg(format!("--ui-write={acts}"))
        .args(["--data-dir", &data, "--cluster-opt", "swarm.reschedule.grace=1s"])
        .arg(list.join(","))
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start the manager")
}

/// One request on a connection of its own, and the whole answer.
async fn exchange(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(u16, String)> {
    let mut stream = stream;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let asked = tokio::time::timeout(SOON, async {
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    });
    let answer = asked.await.with_context(|| format!("{method} {path}: no answer"))??;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer's head")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.context("no status")?, body.to_owned()))
}
