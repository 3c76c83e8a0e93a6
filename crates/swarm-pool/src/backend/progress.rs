//! One progress stream made of many engines' streams, as `docker pull` and `docker load` print it.
//!
//! Every line says whose it is: a line about a layer has the id `node: layer`, any other the id
//! `node`. What failed where is told in one error line at the end, because clients stop at the first
//! one and the other engines are still at work. Nothing is sent before an engine has begun; when
//! none does, the client gets the refusal with its status, as from one engine.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use parking_lot::Mutex;
use swarm_backend::{ApiError, Body, BoxError, Reply, Result};
use swarm_docker::jsonmessage::Message;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::task::AbortOnDropHandle;

use super::{blame, document};
use crate::engine::{Engine, Mark};
use crate::fanout;

/// Lines that wait for a slow client; engines wait behind them.
const WAITING: usize = 64;
/// Longest line taken from an engine: far above any, and no engine can fill the memory with one.
const LONGEST_LINE: usize = 1 << 20;
/// With more engines than this only what each begins and ends is shown: nobody can read the layers
/// of hundreds, and each would be a line of the terminal.
const SHOWN_IN_DETAIL: usize = 16;

/// The words of one merged stream.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    /// What every engine does: `Pulling busybox:latest...`.
    pub doing: String,
    /// What it has done at its end: `downloaded`.
    pub done: &'static str,
    /// What failed, for the last line: `pulling busybox:latest`.
    pub task: String,
    /// Said once, after all engines.
    pub last: Option<Message>,
    /// What is told beside failures and `last`.
    pub shown: Shown,
}

/// How much of a merged stream is told: clients' scripts read what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Everything.
    All,
    /// What engines say without an id, such as `Loaded image: …`.
    Results,
    /// Nothing.
    Nothing,
}

/// How it went on one engine.
struct Outcome {
    label: String,
    result: Result<()>,
}

/// Starts the same thing on every engine and merges what they say.
pub(super) async fn merged<F, Fut>(
    engines: &[Arc<Engine>],
    telling: Telling,
    mut start: F,
) -> Result<Reply>
where
    F: FnMut(Arc<Engine>) -> Fut,
    Fut: Future<Output = Result<Reply>> + Send + 'static,
{
    if engines.is_empty() {
        return Err(fanout::nobody());
    }
    let (lines, out) = mpsc::channel(WAITING);
    let (began, mut first) = mpsc::channel(1);
    let telling = Arc::new(telling);
    let told = Arc::default();
    let mut running = JoinSet::new();
    for engine in engines {
        let follower = Follower {
            engine: Arc::clone(engine),
            telling: Arc::clone(&telling),
            lines: lines.clone(),
            began: began.clone(),
            told: Arc::clone(&told),
            in_detail: engines.len() <= SHOWN_IN_DETAIL,
        };
        running.spawn(swarm_trace::carried(follower.follow(start(Arc::clone(engine)))));
    }
    drop(began);
    let mut outcomes = Vec::with_capacity(engines.len());
    loop {
        tokio::select! {
            biased;
            Some(()) = first.recv() => break,
            ended = running.join_next() => match ended {
                Some(ended) => outcomes.push(outcome(ended)),
                None => return Err(refused(outcomes)),
            },
        }
    }
    let ending = tokio::spawn(async move {
        while let Some(ended) = running.join_next().await {
            outcomes.push(outcome(ended));
        }
        let closing = telling.last.clone().into_iter().chain(failure(&telling.task, &outcomes));
        for line in closing {
            let _ = lines.send(line.to_line().into()).await;
        }
    });
    let body = lines_body(out, AbortOnDropHandle::new(ending));
    Ok(Reply::streaming_json(StatusCode::OK, body))
}

fn lines_body(out: mpsc::Receiver<Bytes>, ending: AbortOnDropHandle<()>) -> Body {
    let frames = stream::unfold((out, ending), |(mut out, ending)| async move {
        let line = out.recv().await?;
        Some((Ok::<_, BoxError>(Frame::data(line)), (out, ending)))
    });
    StreamBody::new(frames).boxed_unsync()
}

fn outcome(ended: std::result::Result<Outcome, JoinError>) -> Outcome {
    ended.unwrap_or_else(|error| Outcome {
        label: "manager".to_owned(),
        result: Err(ApiError::system(format!("internal error: {error}"))),
    })
}

/// Nobody began. Engines that all say the same say it as one.
fn refused(outcomes: Vec<Outcome>) -> ApiError {
    let errors: Vec<(String, ApiError)> = outcomes
        .into_iter()
        .filter_map(|outcome| Some((outcome.label, outcome.result.err()?)))
        .collect();
    let Some((_, first)) = errors.first() else {
        return ApiError::system("the engines' answers ended before they began");
    };
    if errors.iter().all(|(_, error)| blame::alike(error, first)) {
        return first.clone();
    }
    ApiError { class: first.class, message: blame::told(&errors) }
}

/// The last line, when something failed somewhere.
fn failure(task: &str, outcomes: &[Outcome]) -> Option<Message> {
    let failed: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.label.clone(), outcome.result.clone().err()?)))
        .collect();
    if failed.is_empty() {
        return None;
    }
    Some(Message::error(format!(
        "{task} failed on {} of {} nodes: {}",
        failed.len(),
        outcomes.len(),
        blame::told(&failed)
    )))
}

struct Follower {
    engine: Arc<Engine>,
    telling: Arc<Telling>,
    lines: mpsc::Sender<Bytes>,
    began: mpsc::Sender<()>,
    /// Texts without an id that were told already: programs read them (`Loaded image: …`), so they
    /// are passed as they are, once.
    told: Arc<Mutex<HashSet<String>>>,
    in_detail: bool,
}

impl Follower {
    async fn follow(self, asked: impl Future<Output = Result<Reply>>) -> Outcome {
        let label = self.engine.label();
        let result = self.run(&label, asked).await;
        self.engine.wrote(Mark::Images);
        Outcome { label, result }
    }

    async fn run(&self, label: &str, asked: impl Future<Output = Result<Reply>>) -> Result<()> {
        let reply = asked.await?;
        if !reply.status.is_success() {
            document(reply).await?;
            return Err(ApiError::system("an unexpected answer"));
        }
        let _ = self.began.try_send(());
        self.say(Message::status(label, format!("{} ", self.telling.doing))).await;
        let mut messages = Messages::of(reply.body);
        let mut failure = None;
        while failure.is_none() {
            let message = match messages.next().await {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            failure = message.failure().map(|words| ApiError::engine(500, words));
            if failure.is_none() {
                self.pass(label, message).await;
            }
        }
        let end = if failure.is_some() { "failed" } else { self.telling.done };
        let end = format!("{} : {end}", self.telling.doing);
        self.say(Message::status(label, end)).await;
        failure.map_or(Ok(()), Err)
    }

    async fn pass(&self, label: &str, mut message: Message) {
        if let Some(text) = &message.stream {
            let new = !text.trim().is_empty() && self.told.lock().insert(text.clone());
            if new && self.telling.shown != Shown::Nothing {
                self.send(message).await;
            }
            return;
        }
        if self.in_detail {
            message.id = Some(match message.id {
                Some(id) => format!("{label}: {id}"),
                None => label.to_owned(),
            });
            self.say(message).await;
        }
    }

    async fn say(&self, message: Message) {
        if self.telling.shown == Shown::All {
            self.send(message).await;
        }
    }

    async fn send(&self, message: Message) {
        // An error means that the client left; then all of this is about to be dropped.
        let _ = self.lines.send(message.to_line().into()).await;
    }
}

/// The lines of one engine's stream.
pub(super) struct Messages {
    body: Body,
    rest: BytesMut,
    ended: bool,
}

impl Messages {
    pub(super) fn of(body: Body) -> Self {
        Self { body, rest: BytesMut::new(), ended: false }
    }

    /// The next line. One that is no JSON is an engine's plain text.
    pub(super) async fn next(&mut self) -> Result<Option<Message>> {
        loop {
            let line = match memchr::memchr(b'\n', &self.rest) {
                Some(end) => self.rest.split_to(end + 1),
                None if self.ended => std::mem::take(&mut self.rest),
                None => {
                    self.read_on().await?;
                    continue;
                }
            };
            let text = line.trim_ascii();
            if !text.is_empty() {
                return Ok(Some(Message::parse(text).unwrap_or_else(|_| Message {
                    stream: Some(String::from_utf8_lossy(&line).into_owned()),
                    ..Message::default()
                })));
            }
            if self.ended && self.rest.is_empty() {
                return Ok(None);
            }
        }
    }

    async fn read_on(&mut self) -> Result<()> {
        match self.body.frame().await {
            None => self.ended = true,
            Some(Err(error)) => return Err(ApiError::unavailable(error.to_string())),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.rest.extend_from_slice(&data);
                }
                if self.rest.len() > LONGEST_LINE && memchr::memchr(b'\n', &self.rest).is_none() {
                    return Err(ApiError::system("the engine's progress line has no end"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
