//! `POST /pool/rebalance`: the plan as one JSON object; with `apply`, the same object as the first
//! line, one line for each move as it ends, and a line of sums. With `stop` the one that is being carried out
//! ends after the moves under way.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use swarm_backend::{ApiError, Body, BoxError, Exchange, Reply, Result};
use swarm_core::rebalance::Plan;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Pool;
use crate::keeper::Outcome;

/// Moves in a plan unless the client says otherwise, and the most he may ask for.
const LIMIT: (usize, usize) = (10, 1_000);
/// Moves at a time unless the client says otherwise, and the most he may ask for.
const AT_ONCE: (usize, usize) = (1, 16);
/// Outcomes that wait for a slow client; moves wait behind them.
const WAITING: usize = 16;

impl Pool {
    pub(super) fn rebalanced(&self, exchange: &Exchange) -> Result<Reply> {
        let number = |key: &str, (usual, most): (usize, usize)| {
            let Some(asked) = exchange.query.number(key)? else { return Ok(usual) };
            let asked = usize::try_from(asked).ok().filter(|asked| (1..=most).contains(asked));
            asked.ok_or_else(|| ApiError::invalid(format!("{key} must be 1 to {most}")))
        };
        let (limit, at_once) = (number("limit", LIMIT)?, number("at_once", AT_ONCE)?);
        if !self.shared.state.is_loaded() {
            return Err(ApiError::unavailable("this manager is taking over; try again"));
        }
        if exchange.query.flag("stop") {
            return Reply::ok(&json!({"Stopping": u8::from(self.halt_work())}));
        }
        let plan = self.plan_rebalance(limit);
        let shown = self.plan_json(&plan);
        if !exchange.query.flag("apply") {
            return Reply::ok(&shown);
        }
        let (told, outcomes) = mpsc::channel(WAITING);
        let count = plan.moves.len();
        let Some(halt) = self.begin_work(plan, at_once, Some(told)) else {
            return Err(ApiError::conflict("the pool is being rebalanced already"));
        };
        let first = Some(line(&shown));
        let telling =
            Telling { first, outcomes, planned: count, halt, moved: 0, failed: 0, done: false };
        Ok(Reply::streaming_json(StatusCode::OK, lines(telling)))
    }

    pub(super) fn plan_json(&self, plan: &Plan) -> Value {
        let members = self.members.all();
        let names: HashMap<String, String> = members
            .iter()
            .filter_map(|member| member.reference())
            .map(|known| (known.id, known.name))
            .collect();
        let name = |id: &str| names.get(id).cloned().unwrap_or_else(|| id.to_owned());
        let moves = plan.moves.iter().map(|one| {
            json!({"Container": one.name, "ID": one.container, "From": name(one.from.as_str()),
                   "To": name(one.to.as_str()), "StartFirst": one.start_first,
                   "Reason": one.reason})
        });
        let kept = plan.stays.iter().map(|stay| {
            json!({"Container": stay.name, "ID": stay.container, "Node": name(stay.node.as_str()),
                   "Reason": stay.reason})
        });
        json!({"Note": plan.note, "Moves": moves.collect::<Vec<_>>(),
               "Kept": kept.collect::<Vec<_>>()})
    }
}

/// What is said while moves are made.
struct Telling {
    first: Option<Bytes>,
    outcomes: mpsc::Receiver<Outcome>,
    moved: usize,
    failed: usize,
    planned: usize,
    halt: CancellationToken,
    done: bool,
}

impl Telling {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.done {
            return None;
        }
        let Some(Outcome { order, ended }) = self.outcomes.recv().await else {
            self.done = true;
            let left = self.planned - self.moved - self.failed;
            let mut last = json!({"Moved": self.moved, "Failed": self.failed});
            if left > 0 {
                let why = if self.halt.is_cancelled() {
                    "begun: it was stopped"
                } else {
                    "made: this manager leads no longer"
                };
                last["Error"] = format!("{left} not {why}").into();
            }
            return Some(line(&last));
        };
        let mut told = json!({"Container": order.name});
        match ended {
            Ok(to) => {
                self.moved += 1;
                told["MovedTo"] = to.into();
            }
            Err(why) => {
                self.failed += 1;
                told["Error"] = why.into();
            }
        }
        Some(line(&told))
    }
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

fn lines(telling: Telling) -> Body {
    let frames = stream::unfold(telling, |mut telling| async move {
        let bytes = telling.next().await?;
        let frame: std::result::Result<_, BoxError> = Ok(Frame::data(bytes));
        Some((frame, telling))
    });
    StreamBody::new(frames).boxed_unsync()
}
