//! News for those who look on: something of the swarm changed, whoever leads became another, this node
//! became a manager or is none any more, a manager fell silent, the leader told of the engines.
//!
//! Invariant: asking the managers who answers, which may take a while, delays no other news.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use swarm_backend::Part;
use swarm_manager::replica::{Feed, Leadership, Member, Touched};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::afar::Afar;
use super::forward::Forwarder;
use crate::manager::Manager;
use crate::node::Node;

/// How often it is looked whether this node is a manager.
const LOOK: Duration = Duration::from_millis(250);
/// How often the managers are asked who answers, and how long they may take.
const ASKED: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(2);

/// What changed of the swarm since it was looked at last.
#[derive(Debug, Default)]
pub(super) struct Since(Mutex<Option<Touched>>);

impl Since {
    /// What changed; anything may have where nobody followed.
    pub(super) fn take(&self) -> Touched {
        match &mut *self.0.lock() {
            Some(touched) => std::mem::take(touched),
            None => Touched { whole: true, ..Touched::default() },
        }
    }

    /// From now on all changes are added.
    fn begin(&self) {
        *self.0.lock() = Some(Touched { whole: true, ..Touched::default() });
    }

    fn add(&self, touched: &Touched) {
        if let Some(all) = &mut *self.0.lock() {
            all.merge(touched);
        }
    }

    fn end(&self) {
        *self.0.lock() = None;
    }
}

/// A manager that is followed.
struct Followed {
    manager: Arc<Manager>,
    feed: Feed,
    leadership: watch::Receiver<Leadership>,
}

/// See the module.
pub(super) struct Watching {
    node: Arc<Node>,
    part: Part,
    followed: Option<Followed>,
    pool: BoxStream<'static, ()>,
    members: watch::Receiver<Vec<Member>>,
    afar: watch::Receiver<u64>,
    since: Arc<Since>,
    _asking: DropGuard,
}

impl Watching {
    /// Begins; it ends when this is dropped.
    pub(super) fn new(
        node: Arc<Node>,
        pool: BoxStream<'static, ()>,
        told: Arc<watch::Sender<Vec<Member>>>,
        (afar, forwarder): (Arc<Afar>, Forwarder),
        since: Arc<Since>,
    ) -> Self {
        let stop = CancellationToken::new();
        let members = told.subscribe();
        let (asked, until) = (Arc::clone(&node), stop.clone());
        tokio::spawn(async move { until.run_until_cancelled(ask(asked, told)).await });
        let (news, from, until) = (afar.news(), Arc::clone(&node), stop.clone());
        tokio::spawn(async move { until.run_until_cancelled(afar.run(from, forwarder)).await });
        let part = node.standing().part();
        Self {
            node,
            part,
            followed: None,
            pool,
            members,
            afar: news,
            since,
            _asking: stop.drop_guard(),
        }
    }

    /// Waits for news.
    pub(super) async fn news(&mut self) {
        loop {
            let Some(followed) = &mut self.followed else {
                if let Ok(manager) = self.node.manager() {
                    let feed = manager.replica().feed();
                    let leadership = manager.store().leadership();
                    self.since.begin();
                    self.followed = Some(Followed { manager, feed, leadership });
                    return;
                }
                let part = self.node.standing().part();
                if std::mem::replace(&mut self.part, part) != part {
                    return;
                }
                sleep(LOOK).await;
                continue;
            };
            let gone = tokio::select! {
                touched = followed.feed.changed() => {
                    self.since.add(&touched);
                    false
                }
                changed = followed.leadership.changed() => changed.is_err(),
                () = followed.manager.ended() => true,
                Some(()) = self.pool.next() => false,
                Ok(()) = self.members.changed() => false,
                Ok(()) = self.afar.changed() => false,
            };
            if gone {
                self.since.end();
                self.followed = None;
            }
            return;
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.since.end();
    }
}

/// Asks the managers who answers, again and again.
async fn ask(node: Arc<Node>, told: Arc<watch::Sender<Vec<Member>>>) {
    let mut ticks = interval(ASKED);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(manager) = node.manager() else { continue };
        let asked = manager.replica().store().members();
        let Ok(members) = timeout(ANSWER, asked).await else { continue };
        told.send_if_modified(|known| {
            let differs = *known != members;
            *known = members;
            differs
        });
    }
}
