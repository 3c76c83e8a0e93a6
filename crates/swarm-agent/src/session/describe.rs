//! What the node says of itself: the engine's `GET /info`, in the form of Docker's `Node.Description`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use swarm_engine::EngineError;
use swarm_model::node::{EngineDescription, NodeDescription, Plugin};
use swarm_model::service::{GenericResource, Platform, Resources};
use tokio::sync::watch;

use crate::convert::NodeFacts;
use crate::executor::Shared;
use crate::executor::engine::ASK;

/// Labels and plugins change rarely, and the engine works for its answer.
const AGAIN: Duration = Duration::from_mins(1);
/// An engine that just came back may not answer yet.
const SOON: Duration = Duration::from_secs(1);
/// An answer has some 10 KiB.
const LARGEST: usize = 4 << 20;

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    name: String,
    #[serde(rename = "OSType")]
    os_type: String,
    architecture: String,
    #[serde(rename = "NCPU")]
    cpus: i64,
    mem_total: i64,
    server_version: String,
    labels: Option<Vec<String>>,
    plugins: Option<BTreeMap<String, Option<Vec<String>>>>,
    generic_resources: Option<Vec<GenericResource>>,
}

/// Reads an engine's answer.
pub fn description(info: &[u8]) -> Result<NodeDescription, serde_json::Error> {
    let info: Info = serde_json::from_slice(info)?;
    let labels = info.labels.unwrap_or_default();
    let label = |label: &String| {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        (key.to_owned(), value.to_owned())
    };
    let mut plugins: Vec<Plugin> = info
        .plugins
        .unwrap_or_default()
        .into_iter()
        .flat_map(|(kind, names)| {
            let plugin = move |name| Plugin { kind: kind.clone(), name };
            names.unwrap_or_default().into_iter().map(plugin)
        })
        .collect();
    plugins.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    Ok(NodeDescription {
        hostname: info.name,
        platform: Platform { architecture: info.architecture, os: info.os_type },
        resources: Resources {
            nano_cpus: info.cpus.saturating_mul(1_000_000_000),
            memory_bytes: info.mem_total,
            generic_resources: info.generic_resources.unwrap_or_default(),
            ..Resources::default()
        },
        engine: EngineDescription {
            engine_version: info.server_version,
            labels: labels.iter().map(label).collect(),
            plugins,
        },
        ..NodeDescription::default()
    })
}

/// Keeps the description up to date: by period, and at once when the engine is back (`up`).
pub(crate) async fn follow(
    shared: Arc<Shared>,
    mut up: watch::Receiver<bool>,
    told: watch::Sender<Option<Bytes>>,
) {
    loop {
        let mut next = AGAIN;
        if *up.borrow_and_update() {
            match look(&shared).await {
                Ok(mut found) => {
                    found.allows.clone_from(&shared.allows);
                    shared.facts.store(Arc::new(NodeFacts {
                        hostname: found.hostname.clone(),
                        os: found.platform.os.clone(),
                        architecture: found.platform.architecture.clone(),
                        allows: found.allows.clone(),
                        api: shared.engine.client.versions().map(|range| range.newest),
                    }));
                    let json = Bytes::from(serde_json::to_vec(&found).unwrap_or_default());
                    told.send_if_modified(|known| {
                        let news = known.as_ref() != Some(&json);
                        *known = Some(json);
                        news
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the engine does not say what it is");
                    next = SOON;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            changed = up.changed() => if changed.is_err() { return },
        }
    }
}

async fn look(shared: &Shared) -> Result<NodeDescription, EngineError> {
    let client = &shared.engine.client;
    // It may be another version than before.
    client.negotiate(ASK).await?;
    let info = client.get_bytes("/info", LARGEST, ASK).await?;
    description(&info)
        .map_err(|error| EngineError::Json { path: "/info".to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_s_info_becomes_docker_s_description() {
        let info = br#"{"Name": "h1", "OSType": "linux", "Architecture": "x86_64", "NCPU": 2,
            "MemTotal": 1024, "ServerVersion": "28.5.2", "Labels": ["disk=ssd", "bare"],
            "Plugins": {"Volume": ["nfs", "local"], "Network": ["bridge"], "Authorization": null},
            "GenericResources": [{"DiscreteResourceSpec": {"Kind": "ssd", "Value": 3}}]}"#;
        insta::assert_json_snapshot!(description(info).unwrap());
        assert!(description(b"{}").is_ok());
    }
}
