//! One subscription: asks the nodes, passes on what comes, and says at its end what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use swarm_model::Id;
use swarm_rpc::v1::{ToAgent, to_agent};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval};

use super::broker::{Heard, Want};
use super::{LogEvent, LogOptions, LogSelector, Missing};
use crate::dispatcher::{Dispatcher, Office};

/// A node that says nothing at all within this is left out.
const ANSWER: Duration = Duration::from_secs(10);

/// How many lines wait on their way from the nodes.
const MOST_LINES: usize = 64;

/// A node that was asked.
#[derive(Debug)]
struct Asked {
    node: Id,
    tasks: BTreeSet<Id>,
    /// Until when it has to answer; `None` once it does.
    until: Option<Instant>,
}

struct Following {
    dispatcher: Arc<Dispatcher>,
    selector: LogSelector,
    options: LogOptions,
    asked: BTreeMap<String, Asked>,
    known: BTreeSet<Id>,
    missing: Vec<Missing>,
    lines: mpsc::Sender<Heard>,
    gone: mpsc::UnboundedSender<(String, String)>,
}

/// Follows until all is said, or the client goes.
pub async fn run(
    dispatcher: Arc<Dispatcher>,
    office: Arc<Office>,
    selector: LogSelector,
    options: LogOptions,
    out: mpsc::Sender<LogEvent>,
) {
    let feed = dispatcher.replica.feed();
    let (lines, mut heard) = mpsc::channel(MOST_LINES);
    let (gone, mut left) = mpsc::unbounded_channel();
    let follow = options.follow;
    let mut following = Following {
        dispatcher,
        selector,
        options,
        asked: BTreeMap::new(),
        known: BTreeSet::new(),
        missing: Vec::new(),
        lines,
        gone,
    };
    let mut tick = interval(Duration::from_secs(1));
    following.ask();
    while following.goes_on() {
        tokio::select! {
            biased;
            () = out.closed() => break,
            () = office.reign.over.cancelled() => break,
            heard = heard.recv() => match heard {
                Some(Heard::Line(node, chunk)) => {
                    if !following.pass(&out, node, chunk).await {
                        break;
                    }
                }
                Some(Heard::Begun(name)) => {
                    if let Some(asked) = following.asked.get_mut(&name) {
                        asked.until = None;
                    }
                }
                Some(Heard::Done(name, why)) => following.done(&name, why),
                None => break,
            },
            Some((name, why)) = left.recv() => following.done(&name, Some(why)),
            _ = feed.changed(), if follow => following.ask(),
            now = tick.tick() => following.look(now),
        }
    }
    following.release();
    if !office.reign.over.is_cancelled() {
        out.send(LogEvent::Over(following.missing)).await.ok();
    }
}

impl Following {
    fn goes_on(&self) -> bool {
        let is_there = || self.dispatcher.replica.read(|tables| self.selector.is_there(tables));
        !self.asked.is_empty() || (self.options.follow && is_there())
    }

    /// Asks for what it was not asked for yet.
    fn ask(&mut self) {
        let mut new: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
        self.dispatcher.replica.read(|tables| {
            for task in self.selector.tasks(tables).filter(|task| !self.known.contains(&task.id)) {
                new.entry(task.node_id.clone()).or_default().insert(task.id.clone());
            }
        });
        for (node, tasks) in new {
            self.known.extend(tasks.iter().cloned());
            let (lines, gone) = (self.lines.clone(), self.gone.clone());
            let want = Want { node: node.clone(), tasks: tasks.clone(), lines, gone };
            // Before the node hears of it: it may answer at once.
            let name = self.dispatcher.logs.want(want);
            let wanted = to_agent::What::LogsWanted(self.options.wanted(name.clone(), &tasks));
            let link = self.dispatcher.links.of(&node);
            match link.map(|link| link.say(ToAgent { what: Some(wanted) })) {
                Some(true) => {
                    let until = Some(Instant::now() + ANSWER);
                    self.asked.insert(name, Asked { node, tasks, until });
                }
                told => {
                    self.dispatcher.logs.forget(&name);
                    let reason = match told {
                        None => "the node is not connected",
                        Some(_) => "the node is too slow to be asked",
                    };
                    self.missing.push(Missing { node, tasks, reason: reason.to_owned() });
                }
            }
        }
    }

    async fn pass(
        &mut self,
        out: &mpsc::Sender<LogEvent>,
        node: Id,
        chunk: swarm_rpc::v1::LogChunk,
    ) -> bool {
        if !chunk.error.is_empty() {
            let tasks = BTreeSet::from([Id::from(chunk.task_id.as_str())]);
            self.missing.push(Missing { node, tasks, reason: chunk.error });
            return true;
        }
        // A chunk of no stream only says that the node answers.
        chunk.stream == 0 || out.send(LogEvent::Line { node, chunk }).await.is_ok()
    }

    fn done(&mut self, name: &str, why: Option<String>) {
        let Some(Asked { node, tasks, .. }) = self.asked.remove(name) else { return };
        if let Some(reason) = why {
            self.missing.push(Missing { node, tasks, reason });
        }
    }

    fn look(&mut self, now: Instant) {
        let late = |asked: &Asked| asked.until.is_some_and(|until| until <= now);
        let late: Vec<String> = self
            .asked
            .iter()
            .filter(|(_, asked)| late(asked))
            .map(|(name, _)| name.clone())
            .collect();
        for name in late {
            self.over(&name);
            self.done(&name, Some(format!("the node did not answer within {ANSWER:?}")));
        }
    }

    /// Tells a node that its lines are no longer wanted.
    fn over(&self, name: &str) {
        self.dispatcher.logs.forget(name);
        if let Some(asked) = self.asked.get(name)
            && let Some(link) = self.dispatcher.links.of(&asked.node)
        {
            link.say(ToAgent { what: Some(to_agent::What::LogsOver(name.to_owned())) });
        }
    }

    fn release(&self) {
        for name in self.asked.keys() {
            self.over(name);
        }
    }
}
