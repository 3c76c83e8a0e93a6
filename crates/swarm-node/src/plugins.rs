//! Drivers of secrets: plugins of this host, found as Docker finds them and asked by Docker's plugin API
//! (`moby/pkg/plugins`; swarmkit `manager/drivers`).
//!
//! A managed plugin (`docker plugin install`) is the engine's, which says where its socket is. Others
//! have a socket in `/run/docker/plugins`, or a file in `/etc/docker/plugins` or `/usr/lib/docker/plugins`
//! that names one. Each question looks anew: a plugin may come, go, and be replaced.
//!
//! Invariant: no text of an error holds a byte of an answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use swarm_backend::{full, read_whole};
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, EngineError, Outgoing};
use swarm_manager::dispatcher::drivers::{Given, SecretDrivers, SecretRequest};
use swarm_model::Secret;
use zeroize::Zeroizing;

/// What a driver of secrets can.
const CAPABILITY: &str = "secretprovider";
/// Its one call.
const GET_SECRET: &str = "/SecretProvider.GetSecret";
/// How plugins are spoken to.
const MEDIA: HeaderValue = HeaderValue::from_static("application/vnd.docker.plugins.v1.2+json");
/// How long a plugin may take for each call.
const DEADLINE: Duration = Duration::from_secs(7);
/// An answer: 500 KiB in base 64, and some words.
const LARGEST: usize = 1 << 20;
/// A file that names a plugin's address.
const LARGEST_FILE: u64 = 64 << 10;
/// As much of a plugin's own words as goes into an error.
const MOST_WORDS: usize = 300;
/// Where engines keep the sockets of plugins, both kinds.
const SOCKETS: &str = "/run/docker/plugins";
/// Where files name them.
const FILES: [&str; 2] = ["/etc/docker/plugins", "/usr/lib/docker/plugins"];

/// The plugins of this host.
#[derive(Debug)]
pub struct Plugins {
    engine: EngineClient,
    sockets: PathBuf,
    files: Vec<PathBuf>,
}

/// What a plugin says that it can.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Activated {
    implements: Vec<String>,
}

/// What it answers. `Err` is its own word for a failure.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    value: Option<Secret>,
    err: String,
    do_not_reuse: bool,
}

/// A file with an address.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Named {
    addr: String,
    #[serde(rename = "TLSConfig")]
    tls: Option<Value>,
}

impl Plugins {
    /// Of this host and its engine.
    pub fn new(engine: EngineClient) -> Self {
        let files = FILES.iter().map(PathBuf::from).collect();
        Self { engine, sockets: SOCKETS.into(), files }
    }

    /// Where a plugin is, and whether it is one of the engine's own.
    async fn find(&self, name: &str) -> Result<(EngineAddress, bool), String> {
        if let Some(socket) = self.managed(name).await? {
            return Ok((EngineAddress::Unix(socket), true));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !name.starts_with('.') && name.chars().all(plain) {
            let sockets = [format!("{name}.sock"), format!("{name}/{name}.sock")];
            if let Some(socket) =
                sockets.iter().map(|it| self.sockets.join(it)).find(|it| it.exists())
            {
                return Ok((EngineAddress::Unix(socket), false));
            }
            let forms = ["spec", "json"];
            for folder in &self.files {
                for form in forms {
                    for path in [format!("{name}.{form}"), format!("{name}/{name}.{form}")] {
                        let path = folder.join(path);
                        if path.exists() {
                            return Ok((named(&path, form == "json")?, false));
                        }
                    }
                }
            }
        }
        Err(format!("plugin {name:?} not found on the manager that leads"))
    }

    /// The socket of a plugin that the engine runs; `None` where it has none of this name.
    async fn managed(&self, name: &str) -> Result<Option<PathBuf>, String> {
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
        if name.is_empty() || !name.chars().all(safe) || name.split('/').any(|part| part == "..") {
            return Ok(None);
        }
        let asked = self.engine.get_json::<Value>(&format!("/plugins/{name}/json"), DEADLINE).await;
        let plugin = match asked {
            Ok(plugin) => plugin,
            Err(EngineError::Status { code: 404, .. }) => return Ok(None),
            Err(error) => {
                return Err(format!("the engine does not say whether it is there: {error}"));
            }
        };
        let interface = &plugin["Config"]["Interface"];
        let types = interface["Types"].as_array().into_iter().flatten().filter_map(Value::as_str);
        // `docker.secretprovider/1.0`
        let kinds: Vec<&str> =
            types.filter_map(|one| one.split_once('.')?.1.split('/').next()).collect();
        if !kinds.contains(&CAPABILITY) {
            return Err(lacks(name, &kinds));
        }
        if plugin["Enabled"] != true {
            return Err(format!("plugin {name:?} is disabled: docker plugin enable {name}"));
        }
        let (id, socket) = (plugin["Id"].as_str(), interface["Socket"].as_str());
        match (id, socket) {
            (Some(id), Some(socket)) => Ok(Some(self.sockets.join(id).join(socket))),
            _ => Err("the engine does not say where its socket is".to_owned()),
        }
    }
}

#[async_trait]
impl SecretDrivers for Plugins {
    async fn secret(&self, driver: &str, asked: &SecretRequest) -> Result<Given, String> {
        let (address, is_managed) = self.find(driver).await?;
        let options = ClientOptions { max_idle: 0, ..ClientOptions::default() };
        let client = EngineClient::new(address, options);
        if !is_managed {
            let activated: Activated = call(&client, "/Plugin.Activate", "{}".to_owned()).await?;
            if !activated.implements.iter().any(|one| one.eq_ignore_ascii_case(CAPABILITY)) {
                let kinds: Vec<&str> = activated.implements.iter().map(String::as_str).collect();
                return Err(lacks(driver, &kinds));
            }
        }
        let body = serde_json::to_string(asked).map_err(|error| error.to_string())?;
        let answer: Answer = call(&client, GET_SECRET, body).await?;
        if !answer.err.is_empty() {
            return Err(words(&answer.err));
        }
        let encoded = answer.value.as_ref().map_or("", |value| value.reveal());
        let value = STANDARD.decode(encoded).map_err(|_| "its value is not base 64".to_owned())?;
        Ok(Given { value: Zeroizing::new(value), is_own: answer.do_not_reuse })
    }
}

fn lacks(name: &str, kinds: &[&str]) -> String {
    let kinds = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") };
    format!("plugin {name:?} does not implement {CAPABILITY:?}, but {kinds}")
}

async fn call<T: DeserializeOwned>(
    client: &EngineClient,
    path: &str,
    body: String,
) -> Result<T, String> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, MEDIA);
    headers.insert(CONTENT_TYPE, MEDIA);
    let request = Outgoing {
        method: Method::POST,
        path_and_query: path.to_owned(),
        version: None,
        headers,
        body: full(body),
        upgrade: None,
    };
    let asking = async {
        let reply =
            client.send(request, Some(DEADLINE)).await.map_err(|error| error.to_string())?;
        let status = reply.status;
        let body = read_whole(reply.body, LARGEST).await.map_err(|error| error.message)?;
        Ok::<_, String>((status, Zeroizing::new(body.to_vec())))
    };
    let asked = tokio::time::timeout(DEADLINE, asking).await;
    let (status, body) = asked
        .map_err(|_| format!("{path}: no answer within {} s", DEADLINE.as_secs()))?
        .map_err(|why| format!("{path}: {why}"))?;
    if !status.is_success() {
        let refused: Answer = serde_json::from_slice(&body).unwrap_or_default();
        return Err(format!("{path}: it answered {status} {}", words(&refused.err))
            .trim()
            .to_owned());
    }
    serde_json::from_slice(&body)
        .map_err(|_| format!("{path}: its answer is no JSON of a plugin's"))
}

/// The address in a file: as it stands, or in JSON.
fn named(path: &Path, is_json: bool) -> Result<EngineAddress, String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let size = std::fs::metadata(path).map_err(|error| told(&error))?.len();
    if size > LARGEST_FILE {
        return Err(told(&"it is too long for a plugin's address"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| told(&error))?;
    let named = if is_json {
        serde_json::from_str(&text).map_err(|error| told(&error))?
    } else {
        Named { addr: text.trim().to_owned(), tls: None }
    };
    if named.tls.is_some_and(|tls| !tls.is_null()) {
        return Err(told(&"plugins are not reached by TLS: give it a socket on this host"));
    }
    let address = &named.addr;
    if !address.starts_with("unix://") && !address.starts_with("tcp://") {
        return Err(told(&"expected unix:///PATH or tcp://HOST:PORT"));
    }
    EngineAddress::parse(address, 0).map_err(|error| told(&error))
}

/// A plugin's own words, bounded.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect()
}

#[cfg(test)]
#[path = "plugins_tests.rs"]
mod tests;
