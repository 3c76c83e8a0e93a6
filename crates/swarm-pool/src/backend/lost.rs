//! Containers that the pool's store knows and no engine of the pool has told of: their engine went
//! away before this manager met it. Lists show them as containers of an engine that is down.

use serde_json::{Value, json};
use swarm_docker::container::ListEntry;
use swarm_model::{Desired, Intent, Place};

use crate::Pool;

impl Pool {
    /// Their list entries, each with its node's name.
    pub(super) fn lost_entries(&self) -> Vec<(ListEntry, String)> {
        let state = &self.shared.state;
        if !state.is_loaded() || state.intents.len() == 0 {
            return Vec::new();
        }
        let known = self.known_engines();
        let lost = state.intents.all().into_iter().filter(|intent| {
            intent.place.engine().is_none_or(|engine| {
                !known.contains(&engine.id) && !self.shared.keeping.has_departed(&engine.id)
            })
        });
        lost.filter_map(|intent| entry_of(&intent)).collect()
    }

    /// The ids of all engines that this manager has met.
    pub(crate) fn known_engines(&self) -> std::collections::HashSet<String> {
        let engines = self.members.all();
        let ids = engines.iter().filter_map(|engine| engine.reference());
        ids.map(|engine| engine.id).collect()
    }
}

/// A list entry in the form of `GET /containers/json`; `None` while there is no id to show.
fn entry_of(intent: &Intent) -> Option<(ListEntry, String)> {
    let (id, node) = match &intent.place {
        Place::At { engine, container } => (container.as_str(), engine.name.clone()),
        // Nothing of it exists now; its intent's id is what it can be called by.
        Place::Going { to } => (intent.id.as_str(), to.name.clone()),
        Place::Nowhere { .. } => {
            let from = intent.moves.last().map(|moved| moved.from.name.clone());
            (intent.id.as_str(), from.unwrap_or_default())
        }
    };
    let config = intent.config.fields();
    let text = |key: &str| config.get(key).cloned().unwrap_or(Value::Null);
    let command = match (text("Entrypoint"), text("Cmd")) {
        (Value::Array(parts), _) | (_, Value::Array(parts)) => {
            let words: Vec<_> = parts.iter().filter_map(Value::as_str).collect();
            words.join(" ")
        }
        (_, Value::String(words)) => words,
        _ => String::new(),
    };
    let host = config.get("HostConfig");
    let mode = host.and_then(|host| host.get("NetworkMode")).cloned().unwrap_or(json!("default"));
    let entry = json!({
        "Id": id,
        "Names": [format!("/{}", intent.name)],
        "Image": text("Image").as_str().unwrap_or_default(),
        "ImageID": "",
        "Command": command,
        "Created": intent.created,
        "Ports": [],
        "Labels": config.get("Labels").filter(|l| l.is_object()).unwrap_or(&json!({})),
        "State": match intent.desired {
            Desired::Created => "created",
            Desired::Running => "running",
            Desired::Stopped => "exited",
        },
        "Status": "",
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    });
    let entry = ListEntry::parse(entry.to_string().as_bytes(), &node, "", None);
    match entry {
        Ok(entry) => Some((entry, node)),
        Err(error) => {
            tracing::debug!(intent = %intent.id, %error, "cannot be shown in a list");
            None
        }
    }
}
