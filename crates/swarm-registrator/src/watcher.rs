//! The local engine: its containers, and what happens to them.
//!
//! Events only mark what must be read again; what is read counts. The event stream is opened before
//! the containers are listed, so that nothing happens unseen in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::Value;
use swarm_docker::event::Event;
use swarm_engine::{EngineClient, EngineError, EventLines};
use tracing::{debug, warn};

use crate::facts::Facts;

/// Any one answer of the engine.
const DEADLINE: Duration = Duration::from_secs(10);
/// Containers read at the same time.
const AT_ONCE: usize = 4;
/// The longest inspect document read.
const LARGEST: usize = 8 << 20;

/// What must be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Marked {
    All,
    Some(BTreeSet<String>),
}

/// The containers of one engine, kept up by its events.
#[derive(Debug)]
pub struct Watcher {
    engine: EngineClient,
    events: Option<EventLines>,
    marked: Marked,
    known: BTreeMap<String, Facts>,
    /// There, and not read: what belongs to them stays as it is.
    unread: BTreeSet<String>,
    /// There, and known not to run.
    stopped: BTreeMap<String, i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    state: String,
}

enum Read {
    Is(Box<Facts>),
    Gone,
    Unreadable(String),
}

impl Watcher {
    /// Nothing is read yet.
    pub fn new(engine: EngineClient) -> Self {
        Self {
            engine,
            events: None,
            marked: Marked::All,
            known: BTreeMap::new(),
            unread: BTreeSet::new(),
            stopped: BTreeMap::new(),
        }
    }

    /// The containers that are known.
    pub fn known(&self) -> impl Iterator<Item = &Facts> {
        self.known.values()
    }

    /// Containers of which nothing is removed: those that cannot be read, and with `on_success` those
    /// that failed. A signal's end (128 and more) is no failure, as in gliderlabs/registrator.
    pub fn spared(&self, on_success: bool) -> BTreeSet<String> {
        let failed = |code: i64| code != 0 && code & 128 == 0;
        let failed = self.stopped.iter().filter(|(_, code)| on_success && failed(**code));
        self.unread.iter().cloned().chain(failed.map(|(id, _)| id.clone())).collect()
    }

    /// Everything is read again.
    pub fn mark_all(&mut self) {
        self.marked = Marked::All;
    }

    /// Something must be read.
    pub fn is_marked(&self) -> bool {
        !matches!(&self.marked, Marked::Some(ids) if ids.is_empty())
    }

    /// The engine's events are followed.
    pub fn follows(&self) -> bool {
        self.events.is_some()
    }

    /// Follows the engine's events, from now on; everything is to be read.
    pub async fn follow(&mut self) -> Result<(), EngineError> {
        self.events = None;
        self.engine.negotiate(DEADLINE).await?;
        self.events = Some(self.engine.events(None).await?);
        self.marked = Marked::All;
        Ok(())
    }

    /// Lets the connection go.
    pub fn lose(&mut self) {
        self.events = None;
        self.marked = Marked::All;
        self.engine.close_idle();
    }

    /// Waits until something is marked by an event. Without a stream it waits for ever.
    pub async fn hear(&mut self) -> Result<(), String> {
        loop {
            let Some(events) = &mut self.events else { return std::future::pending().await };
            match events.next().await {
                Some(Ok(line)) => {
                    if let Some(id) = concerns(line) {
                        if let Marked::Some(ids) = &mut self.marked {
                            ids.insert(id);
                        }
                        return Ok(());
                    }
                }
                // A line beyond the bound: whatever it said, everything is read.
                Some(Err(EngineError::TooLarge { .. })) => {
                    self.marked = Marked::All;
                    return Ok(());
                }
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the engine ended its event stream".to_owned()),
            }
        }
    }

    /// Reads what is marked. What is stopped is read only where `held` knows of it.
    pub async fn read(&mut self, held: &BTreeSet<String>) -> Result<(), EngineError> {
        let ids: BTreeSet<String> = match &self.marked {
            Marked::Some(ids) => ids.clone(),
            Marked::All => {
                let all: Vec<Listed> =
                    self.engine.get_json("/containers/json?all=1", DEADLINE).await?;
                let there: BTreeSet<&str> = all.iter().map(|listed| listed.id.as_str()).collect();
                self.known.retain(|id, _| there.contains(id.as_str()));
                self.unread.retain(|id| there.contains(id.as_str()));
                self.stopped.retain(|id, _| there.contains(id.as_str()));
                let stopped = |listed: &Listed| {
                    matches!(listed.state.as_str(), "exited" | "created" | "dead")
                };
                for listed in all.iter().filter(|listed| stopped(listed)) {
                    self.known.remove(&listed.id);
                }
                let read =
                    all.into_iter().filter(|listed| !stopped(listed) || held.contains(&listed.id));
                read.map(|listed| listed.id).collect()
            }
        };
        let engine = &self.engine;
        let mut reading = stream::iter(ids)
            .map(|id| async move {
                let read = inspect(engine, &id).await;
                (id, read)
            })
            .buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some((id, read)) = reading.next().await {
            match read {
                Ok(read) => take(&mut self.known, &mut self.unread, &mut self.stopped, id, read),
                Err(error) => {
                    self.unread.insert(id);
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.marked = Marked::Some(BTreeSet::new());
        Ok(())
    }
}

fn take(
    known: &mut BTreeMap<String, Facts>,
    unread: &mut BTreeSet<String>,
    stopped: &mut BTreeMap<String, i64>,
    id: String,
    read: Read,
) {
    let was_unread = unread.remove(&id);
    known.remove(&id);
    stopped.remove(&id);
    match read {
        Read::Is(facts) if facts.running => {
            known.insert(id, *facts);
        }
        Read::Is(facts) => {
            stopped.insert(id, facts.exit_code);
        }
        Read::Gone => {}
        Read::Unreadable(reason) => {
            if !was_unread {
                warn!(container = %id, reason, "cannot be read: what is registered of it stays");
            }
            unread.insert(id);
        }
    }
}

async fn inspect(engine: &EngineClient, id: &str) -> Result<Read, EngineError> {
    let answer = engine.get_bytes(&format!("/containers/{id}/json"), LARGEST, DEADLINE).await;
    let body = match answer {
        Ok(body) => body,
        Err(error) if error.is_connection() => return Err(error),
        Err(EngineError::Status { code: 404, .. }) => return Ok(Read::Gone),
        Err(error) => return Ok(Read::Unreadable(error.to_string())),
    };
    let json: Value = match serde_json::from_slice(&body) {
        Ok(json) => json,
        Err(error) => return Ok(Read::Unreadable(error.to_string())),
    };
    Ok(Facts::read(&json).map_or_else(Read::Unreadable, |facts| Read::Is(Box::new(facts))))
}

/// Whose container an event changes in a way that may change its services.
fn concerns(line: bytes::Bytes) -> Option<String> {
    let event = match Event::parse(line) {
        Ok(event) => event,
        Err(error) => {
            debug!(%error, "an event cannot be read");
            return None;
        }
    };
    let id = match (event.kind(), event.verb()) {
        ("container", "start" | "die" | "destroy" | "rename" | "restart") => event.actor_id(),
        ("network", "connect" | "disconnect") => event.attributes().get("container")?,
        _ => return None,
    };
    // It becomes part of a path.
    let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| id.to_owned())
}

/// The name of the engine's host, from `GET /info`.
pub async fn host_name(engine: &EngineClient) -> Result<String, EngineError> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(rename = "Name", default)]
        name: String,
    }
    engine.negotiate(DEADLINE).await?;
    Ok(engine.get_json::<Info>("/info", DEADLINE).await?.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_change_services_is_read_again() {
        let event = |kind: &str, action: &str| {
            let line = format!(
                "{{\"Type\":\"{kind}\",\"Action\":\"{action}\",\"Actor\":{{\"ID\":\"ab\",\
                 \"Attributes\":{{\"container\":\"cd\"}}}},\"time\":1,\"timeNano\":1}}"
            );
            concerns(line.into())
        };
        for action in ["start", "die", "destroy", "rename"] {
            assert_eq!(event("container", action).as_deref(), Some("ab"), "{action}");
        }
        assert_eq!(event("network", "connect").as_deref(), Some("cd"));
        for (kind, action) in
            [("container", "exec_start: sh"), ("container", "top"), ("image", "pull")]
        {
            assert_eq!(event(kind, action), None, "{kind} {action}");
        }
        assert_eq!(concerns("no JSON".into()), None);
    }

    #[test]
    fn what_failed_is_spared_where_only_success_counts() {
        let mut watcher = Watcher::new(EngineClient::new(
            "unix:///nowhere".parse().unwrap(),
            swarm_engine::ClientOptions::default(),
        ));
        for (id, code) in [("done", 0), ("failed", 1), ("killed", 137), ("odd", 127)] {
            watcher.stopped.insert(id.to_owned(), code);
        }
        watcher.unread.insert("unread".to_owned());
        assert!(watcher.spared(false).into_iter().eq(["unread"]));
        assert!(watcher.spared(true).into_iter().eq(["failed", "odd", "unread"]));
    }

    #[test]
    fn one_that_cannot_be_read_is_kept_and_a_gone_one_is_not() {
        let (mut known, mut unread, mut stopped) =
            (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let running = || Read::Is(Box::new(Facts { running: true, ..Facts::default() }));
        let mut step = |read| {
            take(&mut known, &mut unread, &mut stopped, "a".to_owned(), read);
            (known.len(), unread.len(), stopped.len())
        };
        assert_eq!(step(running()), (1, 0, 0));
        assert_eq!(step(Read::Unreadable("x".into())), (0, 1, 0));
        assert_eq!(step(running()), (1, 0, 0));
        assert_eq!(step(Read::Is(Box::default())), (0, 0, 1));
        assert_eq!(step(Read::Gone), (0, 0, 0));
    }
}
