//! The embedded store as one sees it who is no manager: `swarm join` and `swarm list`, with a join
//! token, through whichever manager answers.
//!
//! Invariant: a write that may have been done is not tried at another manager.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use parking_lot::Mutex;
use swarm_kv::{
    Change, Expect, Guard, Item, KeyValue, Lease, Result, Revision, Secret, StoreError, StoreUrl,
    Watch, Write,
};
use swarm_store::{Command, Done, LARGEST_VALUE};
use tokio::time::Instant;

use crate::net::{ALIVE, Dialer, Fault, Link, LinkError, PlainChange, Reply, Request, unplain};
use crate::store::new_lease;
use crate::trust::{self, Token};

/// How many idle connections are kept.
const KEPT: usize = 4;
/// How long one manager may take at least before another one is asked.
const LEAST: Duration = Duration::from_secs(1);
/// Pauses between attempts of a watch.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The managers, as one reaches them with a token.
#[derive(Debug, Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    hosts: Vec<String>,
    dialer: Dialer,
    deadline: Duration,
    /// The host that answered last.
    good: AtomicUsize,
    idle: Mutex<Vec<Link>>,
}

impl Remote {
    /// Connects when it is first used. `hosts` may name some of the managers only; one that answers
    /// is enough.
    pub fn open(hosts: &StoreUrl, token: &Secret, deadline: Duration) -> Result<Self> {
        let option =
            |reason: String| StoreError::Option { option: "the join token".into(), reason };
        let token = Token::parse(token.reveal()).map_err(|error| option(error.to_string()))?;
        let tls = trust::client(token.digest, None).map_err(|error| option(error.to_string()))?;
        let shared = Shared {
            name: hosts.to_string(),
            hosts: hosts.hosts.clone(),
            dialer: Dialer::new(tls, Some(token.secret)),
            deadline,
            good: AtomicUsize::new(0),
            idle: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    fn unreachable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Unreachable { store: self.name.clone(), reason: reason.into() }
    }

    fn odd(&self, reply: &Reply) -> StoreError {
        let reason = format!("an unexpected answer: {reply:?}");
        StoreError::Garbage { store: self.name.clone(), kind: "swarm manager's", reason }
    }

    /// A connection to the first manager that takes one, beginning with the last good one.
    async fn dial(&self, until: Instant) -> std::result::Result<Link, LinkError> {
        let good = self.good.load(Ordering::Relaxed);
        let mut failed = Vec::new();
        for step in 0..self.hosts.len() {
            let place = (good + step) % self.hosts.len();
            let Some(host) = self.hosts.get(place) else { continue };
            match self.dialer.dial(host, until).await {
                Ok(link) => {
                    self.good.store(place, Ordering::Relaxed);
                    return Ok(link);
                }
                Err(error) => failed.push(error.to_string()),
            }
        }
        Err(LinkError::NotSent(failed.join("; ")))
    }

    /// From now on begins with another manager.
    fn turn(&self) {
        self.good.fetch_add(1, Ordering::Relaxed);
        self.idle.lock().clear();
    }

    fn kept(&self) -> Option<Link> {
        let mut idle = self.idle.lock();
        while let Some(mut link) = idle.pop() {
            if link.is_quiet() {
                return Some(link);
            }
        }
        None
    }

    /// A call; `again` where doing it twice does no harm. Every frame of the answer is given to
    /// `take`, which gives back the last one; `None` tells it that the answer begins (anew).
    async fn call(
        &self,
        request: impl Fn() -> Request,
        again: bool,
        take: impl FnMut(Option<Reply>) -> Option<Reply>,
    ) -> Result<Reply> {
        // One that holds its connections and says nothing leaves time for another one.
        self.call_within((self.deadline / 3).max(LEAST), request, again, take).await
    }

    /// As [`Shared::call`]; each manager but the last one that is asked may take `patience`.
    async fn call_within(
        &self,
        patience: Duration,
        request: impl Fn() -> Request,
        again: bool,
        mut take: impl FnMut(Option<Reply>) -> Option<Reply>,
    ) -> Result<Reply> {
        let whole = Instant::now() + self.deadline;
        let mut tries = self.hosts.len();
        loop {
            tries = tries.saturating_sub(1);
            let part = Instant::now() + patience;
            let until = if again && tries > 0 { part.min(whole) } else { whole };
            let called = async {
                let mut link = match self.kept() {
                    Some(link) => link,
                    None => self.dial(until).await?,
                };
                link.send(None, request(), until).await?;
                take(None);
                loop {
                    match link.receive(until).await {
                        Ok(reply) => {
                            if let Some(last) = take(Some(reply)) {
                                self.keep(link);
                                return Ok(last);
                            }
                        }
                        Err(LinkError::Fault(fault)) => {
                            self.keep(link);
                            return Err(LinkError::Fault(fault));
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            match called.await {
                Ok(reply) => return Ok(reply),
                Err(LinkError::Fault(fault)) => {
                    // It is cut off from the others, or was removed: another one may not be.
                    if matches!(fault, Fault::Unreachable(_) | Fault::Removed) {
                        self.turn();
                        if again && tries > 0 && Instant::now() < whole {
                            continue;
                        }
                    }
                    return Err(fault.into_error(&self.name));
                }
                Err(LinkError::NotSent(how)) => return Err(self.unreachable(how)),
                Err(LinkError::Lost(how)) => {
                    self.turn();
                    if again && tries > 0 && Instant::now() < whole {
                        continue;
                    }
                    let known = if again { "" } else { "; whether it was done is not known" };
                    return Err(self.unreachable(format!("{how}{known}")));
                }
            }
        }
    }

    fn keep(&self, link: Link) {
        let mut idle = self.idle.lock();
        if idle.len() < KEPT {
            idle.push(link);
        }
    }

    async fn write(&self, command: Command, again: bool) -> Result<Done> {
        self.done(self.call(|| Request::Write(command.clone()), again, |reply| reply).await?)
    }

    /// What a write did.
    fn done(&self, reply: Reply) -> Result<Done> {
        match reply {
            Reply::Outcome(Ok(done)) => Ok(done),
            Reply::Outcome(Err(refusal)) => Err(refusal.into_error(&self.name)),
            other => Err(self.odd(&other)),
        }
    }
}

#[async_trait]
impl KeyValue for Remote {
    fn describe(&self) -> String {
        self.shared.name.clone()
    }

    fn largest_value(&self) -> usize {
        LARGEST_VALUE
    }

    async fn get(&self, key: &str) -> Result<Option<Item>> {
        let request = || Request::Get { key: key.to_owned() };
        match self.shared.call(request, true, |reply| reply).await? {
            Reply::Item(item) => Ok(item.map(unplain)),
            other => Err(self.shared.odd(&other)),
        }
    }

    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        let mut found = Vec::new();
        let request = || Request::List { directory: directory.to_owned() };
        let take = |reply| match reply {
            None => {
                found.clear();
                None
            }
            Some(Reply::Items { items, more }) => {
                found.extend(items.into_iter().map(unplain));
                (!more).then_some(Reply::Done)
            }
            other => other,
        };
        match self.shared.call(request, true, take).await? {
            Reply::Done => Ok(found),
            other => Err(self.shared.odd(&other)),
        }
    }

    async fn put(&self, write: Write) -> Result<Revision> {
        match self.shared.write(write.into(), false).await? {
            Done::Written(revision) => Ok(Revision(revision)),
            other => Err(self.shared.odd(&Reply::Outcome(Ok(other)))),
        }
    }

    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        self.shared.write(Command::delete(key, expect, guard), false).await.map(drop)
    }

    fn watch(&self, directory: &str) -> Watch {
        watch(Arc::clone(&self.shared), directory.to_owned())
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        let (lease, command) = new_lease(ttl);
        self.shared.write(command, false).await?;
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        // A renewal waits for others; another manager is asked later than for other calls.
        let patience = self.shared.deadline * 2 / 3;
        let request = || Request::Write(Command::Renew { lease: lease.id.clone() });
        let reply = self.shared.call_within(patience, request, true, |reply| reply).await?;
        self.shared.done(reply).map(drop)
    }

    async fn revoke(&self, lease: &Lease) -> Result<()> {
        self.shared.write(Command::Revoke { lease: lease.id.clone() }, true).await.map(drop)
    }

    async fn renewed_ago(&self, key: &str) -> Result<Option<Duration>> {
        let request = || Request::RenewedAgo { key: key.to_owned() };
        match self.shared.call(request, true, |reply| reply).await? {
            Reply::Ago(ago) => Ok(ago.map(Duration::from_millis)),
            other => Err(self.shared.odd(&other)),
        }
    }
}

struct Watching {
    shared: Arc<Shared>,
    directory: String,
    link: Option<Link>,
    /// A failure that was told and is not over.
    failed: bool,
    pause: Duration,
    ready: VecDeque<Change>,
    whole: Vec<Item>,
}

fn watch(shared: Arc<Shared>, directory: String) -> Watch {
    let begin = Watching {
        shared,
        directory,
        link: None,
        failed: false,
        pause: PAUSE.0,
        ready: VecDeque::new(),
        whole: Vec::new(),
    };
    Box::pin(stream::unfold(begin, |mut watching| async move {
        let step = watching.next().await;
        Some((step, watching))
    }))
}

impl Watching {
    async fn next(&mut self) -> Result<Change> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            match self.step().await {
                Ok(()) => {}
                Err(error) => {
                    self.link = None;
                    self.whole.clear();
                    self.shared.turn();
                    if !std::mem::replace(&mut self.failed, true) {
                        return Err(error);
                    }
                    tokio::time::sleep(self.pause.mul_f64(rand::random_range(0.7..1.0))).await;
                    self.pause = (self.pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    async fn step(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let failed = |error: LinkError| match error {
            LinkError::Fault(fault) => fault.into_error(&shared.name),
            error => shared.unreachable(error.to_string()),
        };
        let until = Instant::now() + shared.deadline;
        let mut link = if let Some(link) = self.link.take() {
            link
        } else {
            let mut link = shared.dial(until).await.map_err(failed)?;
            let directory = self.directory.clone();
            link.send(None, Request::Watch { directory }, until).await.map_err(failed)?;
            link
        };
        match link.receive(Instant::now() + shared.deadline.max(3 * ALIVE)).await.map_err(failed)? {
            Reply::Quiet => {}
            Reply::Changed(PlainChange::Whole) => self.whole.clear(),
            Reply::Items { items, more } => {
                self.whole.extend(items.into_iter().map(unplain));
                if !more {
                    self.failed = false;
                    self.pause = PAUSE.0;
                    self.ready.push_back(Change::Whole(std::mem::take(&mut self.whole)));
                }
            }
            Reply::Changed(PlainChange::Put(item)) => {
                self.ready.push_back(Change::Put(unplain(item)));
            }
            Reply::Changed(PlainChange::Deleted(key)) => {
                self.ready.push_back(Change::Deleted(key));
            }
            other => return Err(shared.odd(&other)),
        }
        self.link = Some(link);
        Ok(())
    }
}
