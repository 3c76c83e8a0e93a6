//! Tells sessions of what changed for them, and looks after who is silent.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::StoreError;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tonic::Status;

use super::Dispatcher;
use super::session::removed;
use super::wish::{Common, period};
use super::word::Word;
use crate::replica::{Feed, Touched};

/// How often the managers' addresses are read: no event tells that they changed.
const MEMBERS: Duration = Duration::from_secs(1);

/// A look comes after as many turns of all tasks as a beat takes from its socket to its session: where they
/// have to wait for their turn, it is as late as what nodes said is.
const TURNS: usize = 4;

/// Marks what changed for each node.
pub async fn run(dispatcher: Arc<Dispatcher>, feed: Feed) -> Result<(), StoreError> {
    let mut members = interval(MEMBERS);
    members.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            touched = feed.changed() => {
                if touched.whole || touched.cluster {
                    common(&dispatcher).await;
                    beat(&dispatcher);
                }
                mark(&dispatcher, &touched);
            }
            _ = members.tick() => common(&dispatcher).await,
        }
    }
}

/// Reads what all nodes are told alike.
pub async fn common(dispatcher: &Dispatcher) {
    let members = dispatcher.replica.store().members().await;
    let cluster = dispatcher.replica.read(|tables| tables.cluster.clone());
    let new = Common::new(cluster.as_deref(), &members);
    let is_news = dispatcher.common.send_if_modified(|common| {
        let is_news = *common != new;
        if is_news {
            *common = new;
        }
        is_news
    });
    if is_news {
        for link in dispatcher.links.all() {
            link.post(|mail| mail.wish = true);
        }
    }
}

/// Another period is told in a session's beginning.
fn beat(dispatcher: &Dispatcher) {
    let wanted = dispatcher.replica.read(|tables| period(tables.cluster.as_deref()));
    let mut beats = dispatcher.beats.lock();
    if beats.period() == wanted {
        return;
    }
    beats.set_period(wanted);
    drop(beats);
    for link in dispatcher.links.all() {
        link.end(Status::aborted("the heartbeat period was changed: begin another session"));
    }
}

fn mark(dispatcher: &Dispatcher, touched: &Touched) {
    let data = !touched.secrets.is_empty() || !touched.configs.is_empty();
    if touched.whole || data {
        for link in dispatcher.links.all() {
            link.post(|mail| {
                mail.assignments = true;
                mail.wish |= touched.whole;
            });
        }
    }
    for node in &touched.nodes_of_tasks {
        if let Some(link) = dispatcher.links.of(node) {
            link.post(|mail| mail.assignments = true);
        }
    }
    for node in &touched.nodes {
        let link = dispatcher.links.of(node);
        if !dispatcher.replica.read(|tables| tables.nodes.contains_key(node)) {
            dispatcher.beats.lock().forget(node);
            if let Some(link) = link {
                link.end(removed(node));
            }
        } else if let Some(link) = link {
            link.post(|mail| mail.wish = true);
        } else {
            dispatcher.beats.lock().expect(node, Instant::now());
        }
    }
}

/// Looks who is silent.
pub async fn listen(
    dispatcher: Arc<Dispatcher>,
    words: mpsc::Sender<Word>,
) -> Result<(), StoreError> {
    loop {
        let every = dispatcher.beats.lock().every();
        sleep(every).await;
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        let silent = dispatcher.beats.lock().look(Instant::now());
        for super::beats::Silent { node, message } in silent {
            tracing::info!(%node, message, "a node is down");
            if let Some(link) = dispatcher.links.of(&node) {
                link.end(Status::unavailable(message.clone()));
            }
            dispatcher.logs.node_gone(&node, &message);
            if words.send(Word::Silent { node, message }).await.is_err() {
                return Ok(());
            }
        }
    }
}
