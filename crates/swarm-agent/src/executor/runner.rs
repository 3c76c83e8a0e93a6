//! One task's life on this node: look, decide, act, until nothing is left of it.
//!
//! Invariants: it alone touches the container; a call that failed because the engine does not answer is
//! followed by another look, never by a verdict; what was told is only ever followed by a later state.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use swarm_engine::EngineError;
use swarm_model::task::TaskStatus;
use swarm_model::{Id, Task, TaskState, Time};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Shared;
use super::decide::{Known, Step, next};
use super::directory::{Happened, News, Wake};
use super::engine::Removal;
use super::seen::{Phase, Seen};
use crate::convert::{Converted, convert, grace};
use swarm_backoff::Backoff;

/// How often a pull's progress is told at most.
const TELL_EVERY: Duration = Duration::from_secs(3);

/// What is wanted of a task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Orders {
    /// The task as the manager has it.
    pub task: Arc<Task>,
    /// Whether the manager has it no more.
    pub forgotten: bool,
}

/// One task's runner.
pub(super) struct Runner {
    shared: Arc<Shared>,
    id: Id,
    orders: watch::Receiver<Orders>,
    wake: Arc<Wake>,
    container: watch::Sender<Option<Arc<str>>>,
    told: TaskStatus,
    seen: Option<Seen>,
    /// Whether the engine has to be asked before anything is decided.
    stale: bool,
    /// Whether there may be a container whose id is not known.
    unsure: bool,
    unhealthy: bool,
    backoff: Backoff,
}

impl Runner {
    /// The runner of a task whose container, if it has one, is told by `container`.
    pub(super) fn new(
        shared: Arc<Shared>,
        orders: watch::Receiver<Orders>,
        wake: Arc<Wake>,
        container: watch::Sender<Option<Arc<str>>>,
    ) -> Self {
        let task = Arc::clone(&orders.borrow().task);
        let stale = container.borrow().is_some();
        Self {
            shared,
            id: task.id.clone(),
            orders,
            wake,
            container,
            told: task.status.clone(),
            seen: None,
            stale,
            unsure: false,
            unhealthy: false,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
        }
    }

    /// Runs until the task is forgotten and gone, or nobody gives orders any more: then its container
    /// is left as it is.
    pub(super) async fn run(mut self) -> Id {
        while self.orders.has_changed().is_ok() {
            let orders = self.orders.borrow_and_update().clone();
            if self.stale
                && let Err(error) = self.look(&orders.task).await
            {
                self.rest(&error).await;
                continue;
            }
            // An end that the manager wrote (orphaned) is one.
            if orders.task.status.state.is_end() && !self.told.state.is_end() {
                self.told = orders.task.status.clone();
            }
            let known = Known {
                desired: orders.task.desired_state,
                forgotten: orders.forgotten,
                told: self.told.state,
                unhealthy: self.unhealthy,
            };
            match next(&known, self.seen.as_ref()) {
                Step::Tell { state, message, error } => self.tell(state, message, error),
                Step::Wait => self.wait().await,
                Step::Over => {
                    self.shared.files.remove(&self.id);
                    self.shared.reports.forget(&self.id);
                    break;
                }
                Step::Prepare => self.prepare(&orders.task).await,
                Step::Start => self.start().await,
                Step::Stop { unhealthy } => {
                    self.unhealthy |= unhealthy;
                    let stopped = match &self.seen {
                        Some(seen) => self.shared.engine.stop(&seen.id, grace(&orders.task)).await,
                        None => Ok(()),
                    };
                    self.acted(stopped).await;
                }
                Step::Remove => self.remove().await,
            }
        }
        self.id
    }

    /// Asks the engine for the container.
    async fn look(&mut self, task: &Task) -> Result<(), EngineError> {
        // The answer is newer than what was told until now.
        self.wake.take();
        let id = self.container.borrow().clone();
        let found = match &id {
            Some(id) => self.shared.engine.inspect(id).await?,
            None if self.unsure => self.shared.engine.inspect(&task.name()).await?,
            None => None,
        };
        // One of the same name that is another's is not ours to touch.
        self.seen = found.filter(|seen| seen.task == *self.id);
        self.stale = false;
        self.unsure = false;
        self.backoff.reset();
        self.note_container();
        Ok(())
    }

    fn note_container(&self) {
        if let Some(seen) = &self.seen {
            self.container.send_if_modified(|known| {
                let news = known.as_deref() != Some(seen.id.as_str());
                if news {
                    *known = Some(seen.id.as_str().into());
                }
                news
            });
        }
    }

    /// Waits until something is asked for, or happens to the container.
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.orders.changed() => {}
            () = self.wake.told() => self.stale = is_news(self.wake.take(), self.seen.as_ref()),
        }
    }

    /// Waits before the next try, but no longer than until something happens.
    async fn rest(&mut self, error: &EngineError) {
        tracing::debug!(task = %self.id, %error, "trying again");
        self.stale = true;
        tokio::select! {
            () = self.backoff.wait() => {}
            _ = self.orders.changed() => {}
            () = self.wake.told() => {}
        }
    }

    async fn acted(&mut self, result: Result<(), EngineError>) {
        self.stale = true;
        if let Err(error) = result {
            self.rest(&error).await;
        }
    }

    fn tell(&mut self, state: TaskState, message: Option<&str>, err: String) {
        let mut status = TaskStatus {
            state,
            message: message.map_or_else(|| self.told.message.clone(), str::to_owned),
            err,
            ..TaskStatus::default()
        };
        if let Some(seen) = &self.seen {
            status.container_status = Some(seen.status());
            if let Some(ports) = seen.port_status() {
                status.rest.insert("PortStatus".to_owned(), ports);
            }
        } else {
            status.container_status.clone_from(&self.told.container_status);
        }
        status.timestamp = stamp(self.told.timestamp);
        // What a person looks for in the log; the steps between are for those who look closely.
        if state.is_end() || state == TaskState::Running {
            tracing::info!(task = %self.id, state = state.as_str(), error = %status.err, "{}", status.message);
        } else {
            tracing::debug!(task = %self.id, state = state.as_str(), "{}", status.message);
        }
        self.told = status.clone();
        self.shared.reports.say(&self.id, status);
    }

    fn reject(&mut self, words: String) {
        self.tell(TaskState::Rejected, None, words);
    }

    /// Image, files, container.
    async fn prepare(&mut self, task: &Task) {
        let facts = self.shared.facts.load_full();
        let converted = match convert(task, &facts, &self.shared.cluster) {
            Ok(converted) => converted,
            Err(refusal) => return self.reject(refusal.to_string()),
        };
        let shared = Arc::clone(&self.shared);
        let told = self.progress();
        let pull = shared.pulls.get(
            &shared.engine,
            &converted.image,
            converted.registry_auth.as_ref(),
            told,
        );
        let pulled = tokio::select! {
            pulled = pull => pulled,
            () = unwanted(&mut self.orders) => return,
        };
        if let Err(error) = &pulled {
            tracing::warn!(task = %self.id, image = converted.image, %error, "the pull failed");
        }
        let written =
            shared.files.write(&self.id, &converted.files, &shared.data, &converted.names).await;
        let sources = match written {
            Ok(sources) => sources,
            Err(refusal) => return self.reject(refusal.to_string()),
        };
        let Ok(_permit) = shared.work.acquire().await else { return };
        match shared.engine.create(&converted.name, &converted.body_with(&sources)).await {
            Ok(id) => {
                self.seen = Some(Seen::made(id, self.id.to_string()));
                self.note_container();
            }
            Err(EngineError::Status { code, message }) => {
                self.not_created(task, &converted, code, message, pulled.err()).await;
            }
            Err(error) => {
                // It may have been made nevertheless.
                self.unsure = true;
                self.rest(&error).await;
            }
        }
    }

    async fn not_created(
        &mut self,
        task: &Task,
        converted: &Converted,
        code: u16,
        message: String,
        pull: Option<String>,
    ) {
        if code == 409 {
            self.unsure = true;
            match self.look(task).await {
                // It was made by a call whose answer was lost.
                Ok(()) if self.seen.is_some() => return,
                Ok(()) => {}
                Err(error) => {
                    self.unsure = true;
                    return self.rest(&error).await;
                }
            }
        }
        let message = match pull {
            // Docker's words, and then why it could not be got.
            Some(reason) if code == 404 => {
                format!("{message} (pulling {} failed: {reason})", converted.image)
            }
            _ => message,
        };
        self.reject(message);
    }

    /// What a pull tells while it goes on.
    fn progress(&self) -> impl FnMut(String) + Send + 'static {
        let (shared, id, base) = (Arc::clone(&self.shared), self.id.clone(), self.told.clone());
        let mut last = Instant::now();
        move |words| {
            if last.elapsed() >= TELL_EVERY {
                last = Instant::now();
                let timestamp = stamp(base.timestamp);
                shared.reports.say(&id, TaskStatus { message: words, timestamp, ..base.clone() });
            }
        }
    }

    async fn start(&mut self) {
        let Some(id) = self.seen.as_ref().map(|seen| seen.id.clone()) else { return };
        let shared = Arc::clone(&self.shared);
        let Ok(permit) = shared.work.acquire().await else { return };
        let started = shared.engine.start(&id).await;
        drop(permit);
        match started {
            Err(EngineError::Status { code, message }) if code != 404 => {
                // How the engine left it, with the exit code that it gives such a container.
                let task = Arc::clone(&self.orders.borrow().task);
                let _ = self.look(&task).await;
                self.tell(TaskState::Failed, None, format!("starting container failed: {message}"));
            }
            other => self.acted(other).await,
        }
    }

    async fn remove(&mut self) {
        let Some(id) = self.seen.as_ref().map(|seen| seen.id.clone()) else { return };
        let shared = Arc::clone(&self.shared);
        let Ok(permit) = shared.work.acquire().await else { return };
        let removed = shared.engine.remove(&id).await;
        drop(permit);
        match removed {
            Ok(Removal::Done) => self.seen = None,
            Ok(Removal::UnderWay) => {
                self.stale = true;
                self.backoff.wait().await;
            }
            Err(error) => self.rest(&error).await,
        }
    }
}

/// Whether what happened is more than what was seen since; what the runner did itself is told by the
/// engine too.
fn is_news(news: News, seen: Option<&Seen>) -> bool {
    let phase = seen.map(|seen| seen.phase);
    news.has(Happened::Other)
        || (news.has(Happened::Start) && phase != Some(Phase::Up))
        || (news.has(Happened::Die) && phase != Some(Phase::Ended))
}

/// Returns when the task is to end.
async fn unwanted(orders: &mut watch::Receiver<Orders>) {
    let ends = |orders: &Orders| orders.forgotten || !orders.task.is_wanted();
    // Nobody who gives orders: the runner ends at its next turn.
    let _ = orders.wait_for(ends).await;
}

/// Now, and later than the last word: the manager takes no older one.
fn stamp(last: Time) -> Time {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
    now.max(last.plus(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runner_did_itself_is_no_news() {
        let seen = |phase| Seen { phase, ..Seen::made("c".into(), "t".into()) };
        let is_news = |happened: &[Happened], phase: Option<Phase>| {
            let wake = Wake::default();
            for one in happened {
                wake.tell(*one);
            }
            super::is_news(wake.take(), phase.map(seen).as_ref())
        };
        let (start, die, other) = (Happened::Start, Happened::Die, Happened::Other);
        assert!(!is_news(&[start], Some(Phase::Up)));
        assert!(!is_news(&[die], Some(Phase::Ended)));
        assert!(!is_news(&[], Some(Phase::Up)), "it was seen with an earlier look");
        assert!(is_news(&[start], Some(Phase::Ended)), "somebody started it again");
        assert!(is_news(&[die, start], Some(Phase::Up)), "it may be another run");
        assert!(is_news(&[die], Some(Phase::Up)) && is_news(&[other], Some(Phase::Up)));
        assert!(is_news(&[start], None) && is_news(&[die], None));
    }
}
