//! The nodes that are linked with this leader, each with a mailbox: marks of what changed for it, and
//! messages that only it gets. Marks are merged, so a slow node costs no memory.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;

use parking_lot::Mutex;
use swarm_model::Id;
use swarm_rpc::v1::ToAgent;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How many messages beside assignments and wishes wait for a slow node.
const MOST_MESSAGES: usize = 256;

/// What changed for a node.
#[derive(Debug, Default, Clone)]
pub struct Mail {
    /// What it is to run.
    pub assignments: bool,
    /// What is wanted of it.
    pub wish: bool,
    /// Anything else, in its order.
    pub messages: VecDeque<ToAgent>,
}

/// One node's link.
#[derive(Debug)]
pub struct Link {
    /// The node.
    pub node: Id,
    /// Told apart from a later one of the same node.
    pub number: u64,
    mail: Mutex<Mail>,
    news: Notify,
    end: watch::Sender<Option<Status>>,
    /// Cancelled when it is closed: what was opened within it ends.
    pub over: CancellationToken,
    /// Places for connections to the node's engine.
    pub tunnels: Arc<Semaphore>,
}

impl Link {
    /// Changes what waits for the node.
    pub fn post(&self, change: impl FnOnce(&mut Mail)) {
        change(&mut self.mail.lock());
        self.news.notify_one();
    }

    /// Leaves a message. Whether there was room for it.
    pub fn say(&self, message: ToAgent) -> bool {
        let mut mail = self.mail.lock();
        if mail.messages.len() >= MOST_MESSAGES {
            return false;
        }
        mail.messages.push_back(message);
        drop(mail);
        self.news.notify_one();
        true
    }

    /// What has come for the node; waits until something has.
    pub async fn mail(&self) -> Mail {
        self.news.notified().await;
        std::mem::take(&mut self.mail.lock())
    }

    /// Ends the link, and says why.
    pub fn end(&self, why: Status) {
        self.end.send_if_modified(|end| {
            let is_first = end.is_none();
            if is_first {
                *end = Some(why);
            }
            is_first
        });
    }

    /// Waits until it is ended.
    pub async fn ended(&self) -> Status {
        let mut end = self.end.subscribe();
        let ended = end.wait_for(Option::is_some).await.ok().and_then(|end| (*end).clone());
        ended.unwrap_or_else(|| Status::unavailable("the session is over"))
    }
}

/// All links, one for each node.
#[derive(Debug, Default)]
pub struct Links(Mutex<(u64, HashMap<Id, Arc<Link>>)>, Notify);

impl Links {
    /// A node's new link; an older one ends.
    pub fn open(&self, node: &Id) -> Arc<Link> {
        let mut links = self.0.lock();
        links.0 += 1;
        let link = Arc::new(Link {
            node: node.clone(),
            number: links.0,
            mail: Mutex::default(),
            news: Notify::new(),
            end: watch::Sender::new(None),
            over: CancellationToken::new(),
            tunnels: Arc::new(Semaphore::new(super::tunnels::MOST)),
        });
        if let Some(old) = links.1.insert(node.clone(), Arc::clone(&link)) {
            old.end(Status::aborted("the node has begun another session"));
        }
        drop(links);
        self.1.notify_waiters();
        link
    }

    /// Forgets a link. Whether it still was the node's.
    pub fn close(&self, link: &Link) -> bool {
        link.over.cancel();
        let mut links = self.0.lock();
        let is_last = links.1.get(&link.node).is_some_and(|last| last.number == link.number);
        if is_last {
            links.1.remove(&link.node);
        }
        is_last
    }

    /// A node's.
    pub fn of(&self, node: &str) -> Option<Arc<Link>> {
        self.0.lock().1.get(node).cloned()
    }

    /// A node's, as soon as it has one.
    pub async fn wait_for(&self, node: &str) -> Arc<Link> {
        loop {
            let mut opened = pin!(self.1.notified());
            // From here on none is missed.
            opened.as_mut().enable();
            if let Some(link) = self.of(node) {
                return link;
            }
            opened.await;
        }
    }

    /// All.
    pub fn all(&self) -> Vec<Arc<Link>> {
        self.0.lock().1.values().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.lock().1.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
