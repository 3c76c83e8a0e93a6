//! Watching a directory: the whole of it, then every change after that revision, so that nothing
//! falls between.
//!
//! One failure is told once, however long it lasts; tries follow with growing pauses, and the
//! first that succeeds begins with the whole again. The watch's connection is pinged, so that an
//! endpoint that falls silent is noticed (`connection`).

use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use swarm_backoff::Backoff;
use swarm_kv::{Change, StoreError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::ask::Lane;
use crate::client::{Client, FIRST_PAUSE};
use crate::connection::Purpose;
use crate::fault::{Fault, of_status};
use crate::proto::event::EventType;
use crate::proto::watch_request::RequestUnion;
use crate::proto::{Event, WatchCreateRequest, WatchRequest, WatchResponse};
use crate::read::{child, span};

/// Between tries while the store is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The endless stream of a directory's changes.
pub(crate) fn watch(client: Arc<Client>, directory: &str) -> swarm_kv::Watch {
    let watcher = Watcher {
        client,
        directory: directory.to_owned(),
        ready: VecDeque::new(),
        open: None,
        pause: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        told: None,
    };
    Box::pin(stream::unfold(watcher, |mut watcher| async move {
        let next = watcher.next().await;
        Some((next, watcher))
    }))
}

struct Watcher {
    client: Arc<Client>,
    directory: String,
    /// Read, and not yet taken.
    ready: VecDeque<Change>,
    open: Option<Open>,
    pause: Backoff,
    /// What was told last, while it goes on.
    told: Option<Discriminant<StoreError>>,
}

/// A watch that the store has confirmed.
struct Open {
    place: usize,
    lane: Lane,
    answers: Streaming<WatchResponse>,
    /// The stream of requests must stay open.
    _requests: mpsc::Sender<WatchRequest>,
}

impl Watcher {
    async fn next(&mut self) -> Result<Change, StoreError> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            let stepped = match &mut self.open {
                Some(open) => match open.read(&self.client).await {
                    Ok(events) => {
                        let directory = &self.directory;
                        self.ready.extend(events.into_iter().filter_map(|e| change(directory, e)));
                        Ok(())
                    }
                    Err(fault) => Err(fault),
                },
                None => self.begin().await,
            };
            let Err(fault) = stepped else { continue };
            self.open = None;
            let error = self.client.error(fault);
            tracing::debug!(directory = self.directory, %error, "a watch is interrupted");
            let kind = discriminant(&error);
            if self.told.replace(kind) != Some(kind) {
                return Err(error);
            }
        }
    }

    /// Reads the whole, and watches from the next revision on.
    async fn begin(&mut self) -> Result<(), Fault> {
        if self.told.is_some() {
            tokio::time::sleep(self.pause.step()).await;
        }
        let listing = self.client.children(&self.directory).await?;
        let place = self.client.endpoints.current();
        let opening = self.open(place, listing.revision + 1);
        let opened = tokio::time::timeout(self.client.deadline, opening).await;
        let opened = opened.unwrap_or_else(|_| {
            self.client.endpoints.forget(place, Purpose::Watches);
            let name = self.client.endpoints.name(place);
            Err(Fault::unsent(name, "it does not confirm a watch in time"))
        });
        if let Err(Fault::Elsewhere { .. }) = &opened {
            self.client.endpoints.leave(place);
        }
        self.open = Some(opened?);
        self.told = None;
        self.pause.reset();
        self.ready.push_back(Change::Whole(listing.items));
        Ok(())
    }

    async fn open(&self, place: usize, from: i64) -> Result<Open, Fault> {
        let mut renewed = false;
        loop {
            let lane = self.client.lane(place, Purpose::Watches).await?;
            let token = lane.token.clone();
            match Open::start(&self.client, place, lane, &self.directory, from).await {
                // etcd calls a token that it does not know a lack of permission.
                Err(Fault::Refused(_) | Fault::Token)
                    if !renewed && self.client.auth.forget(&token) =>
                {
                    renewed = true;
                }
                other => return other,
            }
        }
    }
}

impl Open {
    async fn start(
        client: &Client,
        place: usize,
        lane: Lane,
        directory: &str,
        from: i64,
    ) -> Result<Self, Fault> {
        let (key, range_end) = span(directory);
        let create = WatchCreateRequest { key, range_end, start_revision: from, fragment: true };
        let create = RequestUnion::CreateRequest(create);
        let (requests, outgoing) = mpsc::channel(1);
        // The channel is new and empty: this cannot fail, and if it did, no confirmation came.
        let _ = requests.try_send(WatchRequest { request_union: Some(create) });
        let answers = match lane.watch(ReceiverStream::new(outgoing)).await {
            Ok(answers) => answers,
            Err(status) => return Err(client.explain(place, &lane.connection, &status).await),
        };
        let mut open = Self { place, lane, answers, _requests: requests };
        let confirmed = open.answer(client).await?;
        open.check(client, &confirmed)?;
        Ok(open)
    }

    /// The next events.
    async fn read(&mut self, client: &Client) -> Result<Vec<Event>, Fault> {
        match self.answer(client).await.and_then(|answer| {
            self.check(client, &answer)?;
            Ok(answer.events)
        }) {
            Err(fault @ Fault::Elsewhere { .. }) => {
                client.endpoints.leave(self.place);
                Err(fault)
            }
            other => other,
        }
    }

    async fn answer(&mut self, client: &Client) -> Result<WatchResponse, Fault> {
        match self.answers.message().await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => {
                let name = client.endpoints.name(self.place);
                Err(Fault::unanswered(name, "it ended the watch"))
            }
            Err(status) => Err(client.explain(self.place, &self.lane.connection, &status).await),
        }
    }

    fn check(&self, client: &Client, answer: &WatchResponse) -> Result<(), Fault> {
        if answer.compact_revision != 0 {
            return Err(Fault::Compacted);
        }
        if !answer.canceled {
            return Ok(());
        }
        let name = client.endpoints.name(self.place);
        let code = match &answer.cancel_reason {
            reason if reason.contains("permission denied") => tonic::Code::PermissionDenied,
            reason if reason.contains("auth token") => tonic::Code::Unauthenticated,
            _ => tonic::Code::Unavailable,
        };
        let status = tonic::Status::new(code, &*answer.cancel_reason);
        Err(of_status(name, client.auth.user(), &status))
    }
}

/// An event as the port tells it; none where it is not of a direct child.
fn change(directory: &str, event: Event) -> Option<Change> {
    let deleted = event.r#type == i32::from(EventType::Delete);
    let item = child(directory, event.kv?)?;
    Some(if deleted { Change::Deleted(item.key) } else { Change::Put(item) })
}
