//! Making networks: the pool's own on every engine, or on none.

use serde_json::{Map, Value};
use swarm_backend::{ApiError, Effect, Exchange, Result, full};
use swarm_docker::{ApiVersion, ErrorClass};
use swarm_engine::Outgoing;

use crate::Pool;
use crate::backend::{blame, deadline, json};
use crate::engine::{Mark, post_json};
use crate::fanout;

/// An engine's own words would have the client begin a swarm, which a pool refuses.
const NO_OVERLAY: &str = "a pool has no overlay networks: its engines are in no swarm. Without \
    --driver it is a bridge, which connects the containers of one engine (keep them together with \
    -e affinity:container==NAME); what speaks by published ports can be anywhere";

/// How engines of all versions say that they have none because they are in no swarm.
const OF_NO_SWARM: &str = "is not a swarm manager";

impl Pool {
    /// Creates a pool-wide network on every reachable engine, or on none.
    pub(super) async fn create_everywhere(
        &self,
        body: &Map<String, Value>,
        version: Option<ApiVersion>,
    ) -> Result<String> {
        let engines = self.members.reachable();
        let answers = fanout::ask(&engines, async |engine| {
            let request = create_request(body, version)?;
            let reply = engine.send(request, deadline(Effect::Changes)).await?;
            let answer = json(reply).await?;
            engine.wrote(Mark::Networks);
            Ok(answer)
        })
        .await;
        let refused: Vec<(String, ApiError)> = answers
            .iter()
            .filter_map(|answer| {
                let error = answer.result.as_ref().err()?;
                // An engine that vanished gets its copy when it is back and needs it.
                let vanished = !matches!(error.class, ErrorClass::Engine(_));
                (!vanished).then(|| (answer.engine.label(), error.clone()))
            })
            .collect();
        if refused.is_empty() {
            let answers = fanout::any_of(answers)?;
            let text = |answer: &Value| answer.get("Warning")?.as_str().map(str::to_owned);
            return Ok(answers.iter().find_map(|(_, answer)| text(answer)).unwrap_or_default());
        }
        let made = answers.into_iter().filter_map(|answer| {
            let id = answer.result.ok()?.get("Id")?.as_str()?.to_owned();
            Some((answer.engine, id))
        });
        for (engine, id) in made {
            let mut undo = Exchange::get(format!("/networks/{id}"));
            undo.method = http::Method::DELETE;
            if let Err(error) = engine.forward(undo, "", deadline(Effect::Changes)).await {
                tracing::warn!(engine = %engine.label(), id, %error, "a network's copy stays");
            }
            engine.wrote(Mark::Networks);
        }
        if body.get("Driver").and_then(Value::as_str) == Some("overlay")
            && refused.iter().any(|(_, error)| error.message.contains(OF_NO_SWARM))
        {
            return Err(ApiError::unavailable(NO_OVERLAY));
        }
        Err(ApiError::conflict(format!(
            "the network was not created, because {} of {} nodes refused it: {}",
            refused.len(),
            engines.len(),
            blame::told(&refused)
        )))
    }
}

/// `POST /networks/create` for one engine.
pub(in crate::backend) fn create_request(
    body: &Map<String, Value>,
    version: Option<ApiVersion>,
) -> Result<Outgoing> {
    let body = serde_json::to_vec(body).map_err(|error| ApiError::system(error.to_string()))?;
    Ok(post_json("/networks/create".to_owned(), version, full(body)))
}

pub(super) fn has_addresses(body: &Map<String, Value>) -> bool {
    body.get("IPAM")
        .and_then(|ipam| ipam.get("Config"))
        .and_then(Value::as_array)
        .is_some_and(|config| !config.is_empty())
}

/// Sets one label of a network's or a volume's configuration.
pub(in crate::backend) fn label(body: &mut Map<String, Value>, key: &str, value: &str) {
    let labels = body.entry("Labels").or_insert(Value::Null);
    if !labels.is_object() {
        *labels = Value::Object(Map::new());
    }
    if let Value::Object(labels) = labels {
        labels.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_are_added_to_whatever_is_there() {
        let mut body = Map::new();
        label(&mut body, "a", "1");
        label(&mut body, "b", "2");
        assert_eq!(Value::Object(body), json!({"Labels": {"a": "1", "b": "2"}}));
    }
}
