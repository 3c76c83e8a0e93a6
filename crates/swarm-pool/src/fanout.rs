//! One question to many engines at once: each has its own deadline, none waits for another.

use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use swarm_backend::{ApiError, Result};

use crate::engine::Engine;

/// How many engines are asked at the same moment.
const AT_ONCE: usize = 128;

/// What one engine answered.
#[derive(Debug)]
pub struct Answer<T> {
    /// Who.
    pub engine: Arc<Engine>,
    /// What.
    pub result: Result<T>,
}

/// Asks all of `engines`; the answers are in the engines' order.
pub async fn ask<T, F, Fut>(engines: &[Arc<Engine>], question: F) -> Vec<Answer<T>>
where
    F: Fn(Arc<Engine>) -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let mut waiting = engines.iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut answers: Vec<Option<Answer<T>>> = engines.iter().map(|_| None).collect();
    let start = |(place, engine): (usize, &Arc<Engine>)| {
        let engine = Arc::clone(engine);
        let asked = question(Arc::clone(&engine));
        async move { (place, Answer { engine, result: asked.await }) }
    };
    running.extend(waiting.by_ref().take(AT_ONCE).map(&start));
    while let Some((place, answer)) = running.next().await {
        answers[place] = Some(answer);
        running.extend(waiting.next().map(&start));
    }
    answers.into_iter().flatten().collect()
}

/// The answers when at least one engine gave one, else the first refusal; `nobody` is for a pool
/// without a reachable engine. Failures beside successes are logged by their engine's name.
pub fn any_of<T>(answers: Vec<Answer<T>>) -> Result<Vec<(Arc<Engine>, T)>> {
    if answers.is_empty() {
        return Err(nobody());
    }
    let mut good = Vec::with_capacity(answers.len());
    let mut refused = None;
    for answer in answers {
        match answer.result {
            Ok(value) => good.push((answer.engine, value)),
            Err(error) => {
                tracing::debug!(engine = %answer.engine.label(), %error, "left out of an answer");
                refused.get_or_insert(error);
            }
        }
    }
    match refused {
        Some(error) if good.is_empty() => Err(error),
        _ => Ok(good),
    }
}

/// All answers, or the first failure with its engine's name.
pub fn all_of<T>(answers: Vec<Answer<T>>) -> Result<Vec<(Arc<Engine>, T)>> {
    if answers.is_empty() {
        return Err(nobody());
    }
    answers
        .into_iter()
        .map(|answer| match answer.result {
            Ok(value) => Ok((answer.engine, value)),
            Err(error) => {
                // An engine that cannot be asked is named by its error already.
                let engine = format!("engine {}", answer.engine.label());
                let named = error.message.starts_with(&engine);
                let message =
                    if named { error.message } else { format!("{engine}: {}", error.message) };
                Err(ApiError { class: error.class, message })
            }
        })
        .collect()
}

/// No engine can be asked.
pub fn nobody() -> ApiError {
    ApiError::unavailable(
        "no healthy engine in the pool; `docker info` shows each engine's status and error",
    )
}
