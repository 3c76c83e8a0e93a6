//! Processes run in containers: an exec's id says nothing of its engine, so it is remembered, and
//! asked for when it is not known (a manager that was restarted in between).

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use http::StatusCode;
use parking_lot::Mutex;
use serde_json::Value;
use swarm_backend::{ApiError, Effect, Exchange, Reply, Result};

use super::{deadline, read_whole};
use crate::Pool;
use crate::engine::{Engine, EngineKey};
use crate::fanout;

/// How many execs are remembered; older ones are asked for.
const REMEMBERED: usize = 10_000;

/// Which engine runs which exec.
#[derive(Debug, Default)]
pub struct Execs {
    known: Mutex<(HashMap<String, EngineKey>, VecDeque<String>)>,
}

impl Execs {
    fn remember(&self, id: String, engine: EngineKey) {
        let mut known = self.known.lock();
        if known.0.insert(id.clone(), engine).is_none() {
            known.1.push_back(id);
        }
        if known.1.len() > REMEMBERED
            && let Some(oldest) = known.1.pop_front()
        {
            known.0.remove(&oldest);
        }
    }

    fn engine(&self, id: &str) -> Option<EngineKey> {
        self.known.lock().0.get(id).copied()
    }
}

impl Pool {
    pub(super) async fn exec_create(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let (engine, located) = self.container(name).await?;
        let reply = engine.forward(exchange, &located.id, deadline(Effect::Reads)).await?;
        if reply.status != StatusCode::CREATED {
            return Ok(reply);
        }
        let Reply { status, headers, body, .. } = reply;
        let body = read_whole(body).await?;
        let created: Value = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(id) = created.get("Id").and_then(Value::as_str) {
            self.execs.remember(id.to_owned(), engine.key());
        }
        Ok(Reply { status, headers, body: swarm_backend::full(body), upgraded: None })
    }

    pub(super) async fn exec_forward(
        &self,
        id: &str,
        exchange: Exchange,
        effect: Effect,
    ) -> Result<Reply> {
        let engine = self.exec_engine(id).await?;
        engine.forward(exchange, id, deadline(effect)).await
    }

    async fn exec_engine(&self, id: &str) -> Result<Arc<Engine>> {
        let missing = || ApiError::not_found(format!("No such exec instance: {id}"));
        if let Some(engine) = self.execs.engine(id).and_then(|key| self.members.get(key)) {
            return Ok(engine);
        }
        let path = format!("/exec/{id}/json");
        let answers = fanout::ask(&self.members.reachable(), async |engine| {
            engine.read(&path, 1 << 20).await
        })
        .await;
        let found = answers.into_iter().find(|answer| answer.result.is_ok()).ok_or_else(missing)?;
        self.execs.remember(id.to_owned(), found.engine.key());
        Ok(found.engine)
    }
}
