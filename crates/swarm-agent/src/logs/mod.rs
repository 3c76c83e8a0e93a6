//! What containers wrote, for the leader's subscriptions.
//!
//! Invariants: one line on its way is all that is kept of a container's output, besides a bounded number
//! that the leader has not taken yet; a subscription ends with its link, with the leader's word, or when
//! all its containers have no more to say.

mod cut;
mod reader;

use std::collections::HashMap;
use std::sync::Arc;

use swarm_rpc::v1::LogsWanted;
use swarm_rpc::v1::dispatcher_client::DispatcherClient;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::transport::Channel;

use crate::executor::Shared;
use reader::Reader;

/// Chunks that the leader has not taken yet, for one subscription.
const WAITING: usize = 64;
/// The metadata in which the subscription is named.
const SUBSCRIPTION: &str = "swarm-subscription";
/// Subscriptions at once.
const MOST: usize = 256;

/// The leader's subscriptions on one link; dropped, they end.
pub(crate) struct Subscriptions {
    shared: Arc<Shared>,
    channel: Channel,
    running: HashMap<String, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Subscriptions {
    pub(crate) fn new(shared: Arc<Shared>, channel: Channel) -> Self {
        Self { shared, channel, running: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Begins one.
    pub(crate) fn begin(&mut self, wanted: LogsWanted) {
        while self.tasks.try_join_next().is_some() {}
        self.running.retain(|_, running| !running.is_finished());
        let refused = (self.running.len() >= MOST)
            .then(|| format!("this node already reads for {MOST} subscriptions"));
        let subscription = wanted.subscription.clone();
        let publish = publish(Arc::clone(&self.shared), self.channel.clone(), wanted, refused);
        let handle = self.tasks.spawn(publish);
        if let Some(before) = self.running.insert(subscription, handle) {
            before.abort();
        }
    }

    /// Ends one.
    pub(crate) fn end(&mut self, subscription: &str) {
        if let Some(running) = self.running.remove(subscription) {
            running.abort();
        }
    }
}

async fn publish(
    shared: Arc<Shared>,
    channel: Channel,
    wanted: LogsWanted,
    refused: Option<String>,
) {
    let (chunks, outgoing) = mpsc::channel(WAITING);
    let mut client = DispatcherClient::new(channel);
    let wanted = Arc::new(wanted);
    let mut readers = JoinSet::new();
    for task in &wanted.task_ids {
        let reader = Reader {
            shared: Arc::clone(&shared),
            wanted: Arc::clone(&wanted),
            task: task.clone(),
            chunks: chunks.clone(),
        };
        readers.spawn(reader.run(refused.clone()));
    }
    drop(chunks);
    // Its end, good or bad, ends the readers, which go with this future.
    let mut request = Request::new(ReceiverStream::new(outgoing));
    // For when there is no line that names it.
    if let Ok(name) = wanted.subscription.parse() {
        request.metadata_mut().insert(SUBSCRIPTION, name);
    }
    if let Err(status) = client.publish_logs(request).await {
        tracing::debug!(%status, subscription = wanted.subscription, "logs are not taken");
    }
}
