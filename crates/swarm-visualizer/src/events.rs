//! The pool's events as the page shows them: a few fields of each, and of a flood only so many.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::value::RawValue;
use swarm_backend::Body;
use swarm_docker::event::Event as DockerEvent;
use tokio::time::{Instant, timeout_at};

/// Events of one batch; of what comes before the last of them only the number is told.
const MOST: usize = 100;
/// Longest line of an event.
const LONGEST: usize = 1 << 20;

/// What of a swarm's objects may have become another thing, in Docker's words.
const CHANGES: [&str; 5] = ["availability", "role", "leader", "replicas", "updatestate"];

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When, milliseconds since 1970.
    pub at: i64,
    /// `container`, `network`, `volume`, `image`, `service`, `secret`, `config`, or `node`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened.
    pub action: String,
    /// To which object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where.
    pub node: String,
    /// Of which image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// With which exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From which node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// To which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Event {
    /// One of this moment with nothing in it.
    pub fn now() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: i64::try_from(now.as_millis()).unwrap_or_default(), ..Self::default() }
    }

    /// Reads a line of `GET /events`; `None` for what is no event, or not worth showing: each health
    /// check is three exec events, and what a start connects and mounts says no more than the start.
    pub fn read(line: Bytes) -> Option<Self> {
        let event = DockerEvent::parse(line).ok()?;
        let kinds =
            ["container", "network", "volume", "image", "service", "secret", "config", "node"];
        let noise = ["connect", "disconnect", "mount", "unmount"].contains(&event.action());
        if !kinds.contains(&event.kind()) || noise || event.verb().starts_with("exec_") {
            return None;
        }
        let get = |key: &str| event.attributes().get(key).map(str::to_owned);
        // Of a node's state a look tells, with its reason.
        if event.kind() == "node" && get("state.new").is_some() {
            return None;
        }
        let changed = CHANGES.iter().find_map(|what| {
            Some((*what, get(&format!("{what}.old"))?, get(&format!("{what}.new"))?))
        });
        let (reason, from, to) = match changed {
            Some((what, old, new)) => (Some(what.to_owned()), Some(old), Some(new)),
            None => (get("reason"), get("from"), get("to")),
        };
        Some(Self {
            at: event.time_nanos() / 1_000_000,
            kind: event.kind().to_owned(),
            action: event.action().to_owned(),
            id: event.actor_id().to_owned(),
            name: get("name").unwrap_or_default(),
            node: get("node.name").unwrap_or_default(),
            image: get("image").unwrap_or_default(),
            exit_code: get("exitCode"),
            reason,
            from,
            to,
        })
    }

    /// As it is sent.
    pub fn json(&self) -> Option<Arc<RawValue>> {
        serde_json::value::to_raw_value(self).ok().map(Arc::from)
    }
}

/// Events of a moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The last of them.
    pub events: VecDeque<Event>,
    /// How many more there were.
    pub skipped: u64,
}

/// The lines of an event stream.
pub struct Lines {
    body: Body,
    waiting: BytesMut,
}

impl Lines {
    pub fn new(body: Body) -> Self {
        Self { body, waiting: BytesMut::new() }
    }

    /// The next event, and those within `length` after it; `None` when the stream has ended.
    pub async fn gather(&mut self, length: Duration) -> Option<Batch> {
        let mut batch = Batch::default();
        batch.events.push_back(self.next().await?);
        let end = Instant::now() + length;
        loop {
            match timeout_at(end, self.next()).await {
                Ok(Some(event)) => {
                    batch.events.push_back(event);
                    if batch.events.len() > MOST {
                        batch.events.pop_front();
                        batch.skipped += 1;
                    }
                }
                // Its end is seen again at the next call.
                Ok(None) | Err(_) => return Some(batch),
            }
        }
    }

    /// The next event worth showing. Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = memchr(&self.waiting) {
                let line = self.waiting.split_to(end + 1).freeze();
                if let Some(event) = Event::read(line.slice(..end)) {
                    return Some(event);
                }
            }
            if self.waiting.len() > LONGEST {
                return None;
            }
            if let Ok(data) = self.body.frame().await?.ok()?.into_data() {
                self.waiting.extend_from_slice(&data);
            }
        }
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use swarm_backend::full;

    use super::*;

    fn line(kind: &str, action: &str, name: &str) -> String {
        format!(
            "{{\"Type\":\"{kind}\",\"Action\":\"{action}\",\"Actor\":{{\"ID\":\"i\",\"Attributes\":\
             {{\"name\":\"{name}\",\"node.name\":\"n1\",\"exitCode\":\"3\"}}}},\"time\":5,\
             \"timeNano\":5000000000}}\n"
        )
    }

    #[tokio::test(start_paused = true)]
    async fn health_checks_are_left_out_and_a_flood_is_counted() {
        let mut text = line("container", "exec_start: true", "a") + &line("container", "die", "b");
        text += "no event\n";
        text += &line("network", "connect", "bridge");
        for number in 0..MOST + 5 {
            text += &line("volume", "create", &format!("v{number}"));
        }
        let mut lines = Lines::new(full(text));
        let batch = lines.gather(Duration::from_millis(1)).await.unwrap();
        assert_eq!((batch.events.len(), batch.skipped), (MOST, 6));
        let names = [&batch.events[0].name, &batch.events[MOST - 1].name];
        assert_eq!(names, ["v5", &format!("v{}", MOST + 4)], "the newest are told");
        let mut lines = Lines::new(full(line("container", "die", "b")));
        let batch = lines.gather(Duration::from_millis(1)).await.unwrap();
        let first = &batch.events[0];
        assert_eq!((first.at, first.name.as_str(), first.node.as_str()), (5_000, "b", "n1"));
        assert_eq!((first.action.as_str(), first.exit_code.as_deref()), ("die", Some("3")));
        assert_eq!(lines.gather(Duration::ZERO).await, None);
    }

    #[test]
    fn what_changed_of_a_swarm_s_object_is_told() {
        let read = |kind: &str, attributes: &str| {
            Event::read(Bytes::from(format!(
                "{{\"Type\":\"{kind}\",\"Action\":\"update\",\"Actor\":{{\"ID\":\"i\",\
                 \"Attributes\":{{\"name\":\"x\",{attributes}}}}},\"time\":5,\"timeNano\":5}}"
            )))
        };
        let scaled = read("service", r#""replicas.old":"2","replicas.new":"3""#).unwrap();
        let words = [scaled.reason.as_deref(), scaled.from.as_deref(), scaled.to.as_deref()];
        assert_eq!(words, [Some("replicas"), Some("2"), Some("3")]);
        let paused = read("node", r#""availability.old":"active","availability.new":"pause""#);
        assert_eq!(paused.unwrap().to.as_deref(), Some("pause"));
        assert!(read("node", r#""state.old":"ready","state.new":"down""#).is_none());
    }
}
