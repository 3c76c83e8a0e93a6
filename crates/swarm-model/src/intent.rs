//! What container was wanted: everything needed to make it again somewhere else, kept in the store
//! so that it survives the manager that made it, the engine that ran it, and both together.
//!
//! Invariants:
//! - `generation` only grows, by one with each decision to make the container anew; every container
//!   made for an intent carries the generation it was made for ([`LABEL_GENERATION`]). A container
//!   with a smaller one is stale wherever it is found: this, not an order of events, is what keeps a
//!   container from running twice.
//! - an intent is written before what it announces is done, so that whoever leads next can finish
//!   it or clear it up.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Configuration, EngineRef, Kept};

/// Label with the intent's id; classic Swarm's own.
pub const LABEL_ID: &str = "com.docker.swarm.id";
/// Label with the generation that a container was made for; a container without it has 1.
pub const LABEL_GENERATION: &str = "com.docker.swarm.generation";
/// Label that says what becomes of a stale copy: `remove` or `keep`.
pub const LABEL_STALE: &str = "com.docker.swarm.reschedule-stale";
/// How many moves an intent remembers.
pub const MOVES_KEPT: usize = 8;

/// When a container is made anew on another engine without anybody asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Never.
    #[default]
    Off,
    /// When its engine fails, unless it has data there (`on-node-failure`, as in classic Swarm).
    OnNodeFailure,
    /// When its engine fails, even when it has data there: it starts anew with empty volumes.
    OnNodeFailureWithVolumes,
}

impl Policy {
    /// As it is written in `-e reschedule:…` and in the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::OnNodeFailure => "on-node-failure",
            Self::OnNodeFailureWithVolumes => "on-node-failure-with-volumes",
        }
    }
}

/// There is no policy of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid reschedule policy: {0:?} (expected off, on-node-failure or \
     on-node-failure-with-volumes)"
)]
pub struct UnknownPolicy(pub String);

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        [Self::Off, Self::OnNodeFailure, Self::OnNodeFailureWithVolumes]
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

/// What becomes of the copy that a failed engine brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StalePolicy {
    /// It is stopped and removed, its volumes are left.
    #[default]
    Remove,
    /// It is stopped, keeps its data, and is given another name.
    Keep,
}

/// What the container was last asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Desired {
    /// Made, and never started.
    #[default]
    Created,
    /// Started.
    Running,
    /// Stopped by somebody, or run to its end.
    Stopped,
}

/// Where the container of the present generation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Place {
    /// Being made there; whether it has been is not known.
    Going {
        /// Where.
        to: EngineRef,
    },
    /// It is there.
    At {
        /// Where.
        engine: EngineRef,
        /// The engine's id of it.
        container: String,
    },
    /// Its engine failed, and no other has been found yet.
    Nowhere {
        /// Why not, in words.
        reason: String,
    },
}

impl Place {
    /// The engine that has it, or will.
    pub fn engine(&self) -> Option<&EngineRef> {
        match self {
            Self::Going { to } => Some(to),
            Self::At { engine, .. } => Some(engine),
            Self::Nowhere { .. } => None,
        }
    }
}

/// One move, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// When it was decided, seconds since 1970.
    pub at: i64,
    /// From where.
    pub from: EngineRef,
    /// To where; `None` while that is open.
    pub to: Option<EngineRef>,
    /// Why.
    pub reason: String,
}

/// A wanted container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// See [`crate::FORMAT`].
    pub format: u32,
    /// The value of [`LABEL_ID`].
    pub id: String,
    /// The container's name, without a slash.
    pub name: String,
    /// What was asked for.
    pub config: Configuration,
    /// The query's `platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The API version the client spoke, such as `1.43`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Networks connected (their `EndpointConfig`) or, with `null`, disconnected after it was made.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub networks: Map<String, Value>,
    /// Sealed `X-Registry-Auth` of its create; only a manager of this pool can open it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// When it moves by itself.
    #[serde(default)]
    pub policy: Policy,
    /// What becomes of a stale copy.
    #[serde(default)]
    pub stale: StalePolicy,
    /// What it was last asked to be.
    #[serde(default)]
    pub desired: Desired,
    /// Counts how often it was decided to make it, from 1.
    pub generation: u64,
    /// Where it is.
    pub place: Place,
    /// Its last moves, oldest first, at most [`MOVES_KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Moved>,
    /// Where volumes of its engine's own are mounted in it, as was seen there: those that its image
    /// asks for are in no configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// When it was first wanted, seconds since 1970.
    #[serde(default)]
    pub created: i64,
}

impl Kept for Intent {
    const KIND: &'static str = "intent";

    fn format(&self) -> u32 {
        self.format
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Intent {
    /// Notes a move, and forgets the oldest beyond [`MOVES_KEPT`].
    pub fn note(&mut self, moved: Moved) {
        self.moves.push(moved);
        let over = self.moves.len().saturating_sub(MOVES_KEPT);
        self.moves.drain(..over);
    }

    /// What ties the container's data to its engine: host binds and volumes that are one engine's
    /// own, as its configuration names them and as they were seen. `shared` tells whether a named
    /// volume is the same data everywhere (a volume plugin's).
    pub fn local_data(&self, shared: impl Fn(&str) -> bool) -> Vec<String> {
        let config = self.config.fields();
        let host = config.get("HostConfig").and_then(Value::as_object);
        let list = |key: &str| {
            let list = host.and_then(|host| host.get(key)).and_then(Value::as_array);
            list.into_iter().flatten()
        };
        let mut found = Vec::new();
        let mut named = Vec::new();
        for bind in list("Binds").filter_map(Value::as_str) {
            named.extend(bind.split(':').nth(1).map(str::to_owned));
            let source = bind.split(':').next().unwrap_or_default();
            if source.starts_with('/') && bind.contains(':') {
                found.push(format!("host path {source}"));
            } else if bind.contains(':') && !shared(source) {
                found.push(format!("volume {source}"));
            } else if !bind.contains(':') {
                found.push(format!("volume at {source}"));
            }
        }
        for mount in list("Mounts").filter_map(Value::as_object) {
            let text = |key: &str| mount.get(key).and_then(Value::as_str).unwrap_or_default();
            named.push(text("Target").to_owned());
            match (text("Type"), text("Source"), text("Target")) {
                ("bind", source, _) => found.push(format!("host path {source}")),
                ("volume", "", target) => found.push(format!("volume at {target}")),
                ("volume", source, _) if !shared(source) => {
                    found.push(format!("volume {source}"));
                }
                _ => {}
            }
        }
        let volumes = config.get("Volumes").and_then(Value::as_object);
        let asked = volumes.into_iter().flatten().map(|(path, _)| path);
        found.extend(asked.clone().map(|path| format!("volume at {path}")));
        named.extend(asked.cloned());
        let seen = self.volumes.iter().filter(|path| !named.contains(path));
        found.extend(seen.map(|path| format!("volume at {path}")));
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::FORMAT;

    fn intent(config: &Value) -> Intent {
        Intent {
            format: FORMAT,
            id: "i".into(),
            name: "web".into(),
            config: serde_json::from_value(config.clone()).unwrap(),
            platform: None,
            version: None,
            networks: Map::new(),
            credentials: None,
            policy: Policy::OnNodeFailure,
            stale: StalePolicy::Remove,
            desired: Desired::Running,
            generation: 1,
            place: Place::Nowhere { reason: "r".into() },
            moves: vec![],
            volumes: vec![],
            created: 0,
        }
    }

    #[test]
    fn an_intent_survives_a_round_trip_and_a_newer_one_is_refused() {
        let mut one = intent(&json!({"Image": "redis", "X": [1, null]}));
        assert_eq!(Intent::parse(&one.to_json()).unwrap(), one);
        one.format = FORMAT + 1;
        let error = Intent::parse(&one.to_json()).unwrap_err().to_string();
        assert!(error.contains("use the newer version"), "{error}");
        assert!(Intent::parse(b"{}").unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn data_on_one_engine_is_named() {
        let table = [
            (json!({}), &[][..]),
            (json!({"HostConfig": {"Binds": ["/srv:/srv:ro"]}}), &["host path /srv"]),
            (json!({"HostConfig": {"Binds": ["data:/d", "nfs:/n"]}}), &["volume data"]),
            (
                json!({"HostConfig": {"Mounts": [{"Type": "volume", "Target": "/v"},
                    {"Type": "tmpfs", "Target": "/t"}, {"Type": "bind", "Source": "/b"}]}}),
                &["volume at /v", "host path /b"],
            ),
            (json!({"Volumes": {"/data": {}}}), &["volume at /data"]),
        ];
        for (config, expected) in table {
            assert_eq!(intent(&config).local_data(|name| name == "nfs"), expected, "{config}");
        }
        let config = json!({"HostConfig": {"Binds": ["nfs:/n"]}, "Volumes": {"/data": {}}});
        let mut seen = intent(&config);
        seen.volumes = ["/n", "/data", "/log"].map(str::to_owned).into();
        assert_eq!(seen.local_data(|name| name == "nfs"), ["volume at /data", "volume at /log"]);
    }

    #[test]
    fn only_the_last_moves_are_kept() {
        let mut one = intent(&json!({}));
        let from = EngineRef { id: "a".into(), name: "a".into() };
        for at in 0..20 {
            one.note(Moved { at, from: from.clone(), to: None, reason: String::new() });
        }
        assert_eq!(one.moves.len(), MOVES_KEPT);
        assert_eq!(one.moves[0].at, 12);
    }
}
