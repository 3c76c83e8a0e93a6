//! What a person does from the page: read from the path and the body of a `POST`, carried out as any client
//! of the Docker API would (`carry`), and told in the log with whoever asked.
//!
//! `POST api/containers/ID/VERB`, `api/nodes/ID/AVAILABILITY`, `api/services/ID/{scale,restart}`,
//! `api/rebalance`. Invariants: nothing but these is sent on; each leaves one line in the log, also where
//! it failed.

mod carry;

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::json;
use swarm_backend::{ApiError, Body, BoxError, Result, full};
use tracing::{info, warn};

use crate::route::{LIMIT, no_page, passed};
use crate::{Backend, answer};

/// Bytes of a body; it holds a number or two.
const LARGEST: usize = 16 << 10;
/// Moves at a time unless the page says otherwise, and the most.
const AT_ONCE: (u32, u32) = (1, 16);

/// What may be done to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Start,
    Stop,
    Restart,
    Kill,
    Remove,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To a container; `force` removes one that runs.
    Container { verb: Verb, name: String, force: bool },
    /// A node is given tasks and containers, or not, or is emptied.
    Node { name: String, availability: &'static str },
    /// A service is to have so many tasks.
    Scale { name: String, replicas: u64 },
    /// All tasks of a service anew.
    Restart { name: String },
    /// Services, or containers, are evened out.
    Rebalance { limit: u32, at_once: u32 },
}

/// What a body says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Wish {
    force: bool,
    replicas: Option<u64>,
    limit: Option<u32>,
    at_once: Option<u32>,
}

impl Verb {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "start" => Self::Start,
            "stop" => Self::Stop,
            "restart" => Self::Restart,
            "kill" => Self::Kill,
            "remove" => Self::Remove,
            _ => return None,
        })
    }

    /// As the Docker API spells it, and for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Kill => "kill",
            Self::Remove => "remove",
        }
    }

    /// When it was done.
    pub fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Restart => "restarted",
            Self::Kill => "killed",
            Self::Remove => "removed",
        }
    }
}

impl Action {
    fn read(path: &str, wish: &Wish) -> Result<Self> {
        let within = |key: &str, given: Option<u32>, (usual, most): (u32, u32)| {
            let given = given.unwrap_or(usual);
            let words = || ApiError::invalid(format!("{key} must be 1 to {most}"));
            (1..=most).contains(&given).then_some(given).ok_or_else(words)
        };
        if path == "rebalance" {
            let limit = within("limit", wish.limit, LIMIT)?;
            return Ok(Self::Rebalance {
                limit,
                at_once: within("atOnce", wish.at_once, AT_ONCE)?,
            });
        }
        let (kind, rest) = path.split_once('/').ok_or_else(no_page)?;
        let (name, verb) = rest.rsplit_once('/').ok_or_else(no_page)?;
        let name = percent_encoding::percent_decode_str(name).decode_utf8();
        let name = name.map_err(|_| ApiError::invalid("the name is no text"))?.into_owned();
        if name.is_empty() {
            return Err(no_page());
        }
        match (kind, verb) {
            ("containers", verb) => {
                let verb = Verb::read(verb).ok_or_else(no_page)?;
                Ok(Self::Container { verb, name, force: wish.force })
            }
            ("nodes", "active") => Ok(Self::Node { name, availability: "active" }),
            ("nodes", "pause") => Ok(Self::Node { name, availability: "pause" }),
            ("nodes", "drain") => Ok(Self::Node { name, availability: "drain" }),
            ("services", "scale") => {
                let replicas = wish.replicas.ok_or_else(|| {
                    ApiError::invalid("say how many tasks it is to have: {\"replicas\": 3}")
                })?;
                Ok(Self::Scale { name, replicas })
            }
            ("services", "restart") => Ok(Self::Restart { name }),
            _ => Err(no_page()),
        }
    }
}

/// For the log: what a name holds came from outside, and begins no line of its own there.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container { verb, name, force } => {
                write!(
                    f,
                    "{} container {}{}",
                    verb.word(),
                    name.escape_debug(),
                    if *force { " by force" } else { "" }
                )
            }
            Self::Node { name, availability } => {
                write!(f, "set node {} {availability}", name.escape_debug())
            }
            Self::Scale { name, replicas } => {
                write!(f, "scale service {} to {replicas}", name.escape_debug())
            }
            Self::Restart { name } => write!(f, "restart service {}", name.escape_debug()),
            Self::Rebalance { limit, at_once } => {
                write!(f, "rebalance with at most {limit} moves, {at_once} at a time")
            }
        }
    }
}

/// Does what a request asks for; the answer is what became of it, in words.
pub async fn run<B>(backend: &Backend, path: &str, body: B, from: IpAddr) -> Result<Response<Body>>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let read = Limited::new(body, LARGEST).collect().await;
    let read = read.map_err(|error| ApiError::invalid(format!("the body: {error}")))?.to_bytes();
    let wish = if read.is_empty() { Ok(Wish::default()) } else { serde_json::from_slice(&read) };
    let wish = wish.map_err(|error| ApiError::invalid(format!("the body: {error}")))?;
    let action = Action::read(path, &wish)?;
    if let Action::Rebalance { limit, at_once } = action {
        let begun = carry::rebalance(backend, limit, at_once).await;
        tell(&action, from, begun.as_ref().map(|_| "begun"));
        return begun.map(passed);
    }
    let outcome = carry::out(backend, &action).await;
    tell(&action, from, outcome.as_ref().map(String::as_str));
    let words = json!({"message": outcome?}).to_string();
    Ok(answer::answer(StatusCode::OK, "application/json", full(words)))
}

/// One line for whoever asks later what was done, and from where.
fn tell(action: &Action, from: IpAddr, outcome: std::result::Result<&str, &ApiError>) {
    match outcome {
        Ok(words) => info!(%from, action = %action, "asked for on the page: {words}"),
        Err(error) => {
            warn!(%from, action = %action, "asked for on the page, and failed: {}", error.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, wish: &str) -> std::result::Result<String, String> {
        let wish = serde_json::from_str(wish).map_err(|error| error.to_string())?;
        Action::read(path, &wish).map(|action| action.to_string()).map_err(|error| error.message)
    }

    #[test]
    fn actions_are_read_and_nothing_else() {
        for (path, wish, said) in [
            ("containers/c1/stop", "{}", "stop container c1"),
            ("containers/node-1%2Fweb/kill", "{}", "kill container node-1/web"),
            ("containers/c/remove", r#"{"force": true}"#, "remove container c by force"),
            ("nodes/n1/drain", "{}", "set node n1 drain"),
            ("services/web/scale", r#"{"replicas": 3}"#, "scale service web to 3"),
            ("services/web/restart", "{}", "restart service web"),
            ("rebalance", "{}", "rebalance with at most 100 moves, 1 at a time"),
        ] {
            assert_eq!(read(path, wish).as_deref(), Ok(said), "{path}");
        }
        for (path, wish, words) in [
            ("containers/c1/exec", "{}", "no such page"),
            ("containers//stop", "{}", "no such page"),
            ("containers/stop", "{}", "no such page"),
            ("nodes/n1/demote", "{}", "no such page"),
            ("services/web/remove", "{}", "no such page"),
            ("swarm/leave", "{}", "no such page"),
            ("", "{}", "no such page"),
            ("services/web/scale", "{}", "say how many"),
            ("services/web/scale", r#"{"replicas": -1}"#, "invalid value"),
            ("rebalance", r#"{"limit": 0}"#, "limit must be"),
            ("rebalance", r#"{"apply": 1}"#, "unknown field"),
        ] {
            let error = read(path, wish).unwrap_err();
            assert!(error.contains(words), "{path}: {error}");
        }
    }
}
