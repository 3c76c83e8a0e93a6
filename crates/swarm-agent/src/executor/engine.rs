//! The calls to the engine that tasks need, each with its deadline.
//!
//! No policy: what is tried again, and when, is the runner's.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use swarm_backend::{ObjectPath, full};
use swarm_docker::container::LABEL_TASK_ID;
use swarm_engine::{EngineClient, EngineError, Outgoing, read_body, refusal};

use super::seen::Seen;
use crate::convert::CLUSTER_LABEL;

/// Questions: a busy engine takes seconds.
pub(crate) const ASK: Duration = Duration::from_secs(20);
/// Making a container may copy an image's volume; starting one may wait for a plugin.
const MAKE: Duration = Duration::from_mins(5);
/// What the engine takes by itself, beyond the grace period that a container has.
const STOP_MORE: Duration = Duration::from_secs(30);
/// The engine's own default, where a container does not say how long it has to stop.
const GRACE: Duration = Duration::from_secs(10);
/// An inspect answer with thousands of labels and mounts.
const LARGEST: usize = 8 << 20;

/// One engine.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) client: EngineClient,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    names: Option<Vec<String>>,
    labels: Option<HashMap<String, String>>,
}

/// A container with a task's labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The engine's id of it.
    pub id: String,
    /// Whether it is also named as that task's. Another is a person's: a container of an image that was
    /// committed from a task's has its labels. Or the task's, and a person gave it another name.
    pub is_named: bool,
}

/// How far a removal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The container is gone.
    Done,
    /// The engine is at it already (409).
    UnderWay,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    id: String,
}

pub(super) fn path(before: &str, name: &str, after: &str) -> String {
    ObjectPath { before: before.to_owned(), after: after.to_owned() }.with(name)
}

/// A value of a query.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn code(error: &EngineError) -> u16 {
    match error {
        EngineError::Status { code, .. } => *code,
        _ => 0,
    }
}

impl Engine {
    /// The engine behind a client.
    pub fn new(client: EngineClient) -> Self {
        Self { client }
    }

    /// A container; `None` when there is none of that name or id.
    pub async fn inspect(&self, name: &str) -> Result<Option<Seen>, EngineError> {
        let path = path("/containers/", name, "/json");
        match self.client.get_bytes(&path, LARGEST, ASK).await {
            Ok(body) => Seen::parse(&body)
                .map(Some)
                .map_err(|error| EngineError::Json { path, reason: error.to_string() }),
            Err(error) if code(&error) == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The containers with the swarm's label, by task; of several, the one that is named as the task's.
    pub async fn list(&self, cluster: &str) -> Result<HashMap<String, Found>, EngineError> {
        let filters = json!({"label": [format!("{CLUSTER_LABEL}={cluster}")]});
        let path = format!("/containers/json?all=1&filters={}", encoded(&filters.to_string()));
        let all: Vec<Listed> = self.client.get_json(&path, ASK).await?;
        let task = |listed: Listed| {
            let task = listed.labels?.remove(LABEL_TASK_ID)?;
            let end = format!(".{task}");
            let is_named = listed.names.iter().flatten().any(|name| name.ends_with(&end));
            Some((task, Found { id: listed.id, is_named }))
        };
        let mut found: Vec<(String, Found)> = all.into_iter().filter_map(task).collect();
        // The last one stays.
        found.sort_by_key(|(_, found)| found.is_named);
        Ok(found.into_iter().collect())
    }

    /// Makes a container; its id.
    pub async fn create(&self, name: &str, body: &Value) -> Result<String, EngineError> {
        let path = format!("/containers/create?name={}", encoded(name));
        let made = self.post(path, Some(body), MAKE).await?;
        let made: Made = serde_json::from_slice(&made).map_err(|error| EngineError::Json {
            path: "/containers/create".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(made.id)
    }

    /// Starts a container that does not run.
    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        self.post(path("/containers/", id, "/start"), None, MAKE).await.map(drop)
    }

    /// Stops a container, if it is there and runs.
    pub async fn stop(&self, id: &str, grace: Option<Duration>) -> Result<(), EngineError> {
        // The engine counts in whole seconds, and no time at all is a kill.
        let seconds = grace.map(|grace| grace.as_secs() + u64::from(grace.subsec_nanos() > 0));
        let after = seconds.map_or_else(|| "/stop".to_owned(), |t| format!("/stop?t={t}"));
        let deadline = grace.unwrap_or(GRACE) + STOP_MORE;
        match self.post(path("/containers/", id, &after), None, deadline).await {
            Err(error) if code(&error) != 404 => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes a container with its anonymous volumes, if it is there.
    pub async fn remove(&self, id: &str) -> Result<Removal, EngineError> {
        let request = Outgoing {
            method: Method::DELETE,
            ..Outgoing::get(path("/containers/", id, "?v=1&force=1"))
        };
        let reply = self.client.send(request, Some(MAKE)).await?;
        match reply.status.as_u16() {
            404 => Ok(Removal::Done),
            409 => Ok(Removal::UnderWay),
            _ if reply.status.is_success() => Ok(Removal::Done),
            _ => Err(refusal(reply).await),
        }
    }

    /// Whether an image is there.
    pub async fn has_image(&self, image: &str) -> Result<bool, EngineError> {
        match self.client.get_bytes(&path("/images/", image, "/json"), LARGEST, ASK).await {
            Ok(_) => Ok(true),
            Err(error) if code(&error) == 404 => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn post(
        &self,
        path: String,
        body: Option<&Value>,
        deadline: Duration,
    ) -> Result<bytes::Bytes, EngineError> {
        let mut request = Outgoing { method: Method::POST, ..Outgoing::get(path) };
        if let Some(body) = body {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = full(body.to_string());
        }
        let reply = self.client.send(request, Some(deadline)).await?;
        // 304: it is as it should be.
        if reply.status.is_success() || reply.status.as_u16() == 304 {
            let body = tokio::time::timeout(ASK, read_body(reply.body, LARGEST)).await;
            return body.unwrap_or(Err(EngineError::Deadline { what: "answer", after: ASK }));
        }
        Err(refusal(reply).await)
    }
}
