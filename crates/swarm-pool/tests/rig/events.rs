//! A client of `GET /events`: the stream cut into lines.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use serde_json::Value;
use swarm_backend::{Body, System};
use swarm_pool::Pool;
use tokio::time::timeout;

use super::exchange;

/// An open stream.
pub struct Events {
    body: Body,
    buffer: Vec<u8>,
    ready: std::collections::VecDeque<Value>,
}

impl Events {
    pub async fn open(pool: &Pool, query: &[(&str, &str)]) -> Self {
        let asked = exchange(Method::GET, ("/events", ""), query, &Value::Null);
        let reply = pool.events(asked).await.unwrap();
        Self { body: reply.body, buffer: Vec::new(), ready: std::collections::VecDeque::new() }
    }

    /// The next event; `None` at the end of the stream. Fails when nothing comes for long.
    pub async fn next(&mut self) -> Option<Value> {
        self.next_for(super::LONG).await.expect("no event in a long time")
    }

    /// The next event within `limit`: an error when nothing came, `Ok(None)` at the end.
    pub async fn next_for(&mut self, limit: Duration) -> Result<Option<Value>, ()> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(frame) = timeout(limit, self.body.frame()).await.map_err(drop)? else {
                assert!(self.buffer.is_empty(), "a line was cut");
                return Ok(None);
            };
            self.buffer.extend_from_slice(&frame.unwrap().into_data().unwrap());
            let end = self.buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let lines: Vec<u8> = self.buffer.drain(..end).collect();
            let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            self.ready.extend(lines.map(|line| serde_json::from_slice(line).unwrap()));
        }
    }

    /// This many events.
    pub async fn take(&mut self, count: usize) -> Vec<Value> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            taken.push(self.next().await.expect("the stream ended early"));
        }
        taken
    }

    /// What comes until nothing has come for `quiet`, or the end.
    pub async fn rest(&mut self, quiet: Duration) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Ok(Some(event)) = self.next_for(quiet).await {
            rest.push(event);
        }
        rest
    }
}

/// `timeNano` of an event.
pub fn nanos(event: &Value) -> i64 {
    event["timeNano"].as_i64().unwrap()
}
