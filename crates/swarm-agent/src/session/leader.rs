//! Finding the leader among the managers: asked in quick succession, the last leader first, without
//! waiting for one that is silent; a manager that names the leader is followed at once.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rand::seq::SliceRandom as _;
use swarm_rpc::v1;
use swarm_rpc::v1::dispatcher_client::DispatcherClient;
use swarm_rpc::v1::{FromAgent, ToAgent, from_agent, to_agent};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::dial::Dial;

/// From the connect to the welcome.
const ATTEMPT: Duration = Duration::from_secs(4);
/// A manager on the same continent has answered by then.
const NEXT_AFTER: Duration = Duration::from_millis(100);
/// Messages on their way out; a leader that does not read them is given up.
const OUTBOX: usize = 64;
/// A whole assignment with its secrets and configs.
const LARGEST: usize = 256 << 20;
/// Where a manager that does not lead names the one that does.
const LEADER: &str = "swarm-leader";

/// A link that the leader has welcomed.
pub(super) struct Open {
    pub address: String,
    pub channel: Channel,
    pub outbox: mpsc::Sender<FromAgent>,
    pub inbox: Streaming<ToAgent>,
    pub beat_every: Duration,
}

/// Why a manager is not the leader.
enum No {
    /// Another is.
    Leads(String),
    /// In words.
    Words(String),
}

type Attempt = BoxFuture<'static, (String, Result<Open, No>)>;

/// Asks the managers; the first that leads is taken. The error names each and what it said.
pub(super) async fn find(
    dial: &Arc<dyn Dial>,
    addresses: &[String],
    last: Option<&str>,
    hello: &v1::Hello,
) -> Result<Open, String> {
    let mut asked: HashSet<String> = HashSet::new();
    let mut waiting = order(addresses, last);
    let mut running: FuturesUnordered<Attempt> = FuturesUnordered::new();
    let mut refusals = Vec::new();
    loop {
        if let Some(address) = waiting.pop_front()
            && asked.insert(address.clone())
        {
            running.push(Box::pin(attempt(Arc::clone(dial), address, hello.clone())));
        }
        if running.is_empty() && waiting.is_empty() {
            let words = refusals.join("; ");
            return Err(if words.is_empty() { "no manager is known".to_owned() } else { words });
        }
        tokio::select! {
            Some((address, result)) = running.next() => match result {
                Ok(open) => return Ok(open),
                Err(No::Leads(leader)) => {
                    refusals.push(format!("{address}: {leader} leads"));
                    waiting.push_front(leader);
                }
                // What was said of the way to it has the address already.
                Err(No::Words(words)) if words.starts_with(&address) => refusals.push(words),
                Err(No::Words(words)) => refusals.push(format!("{address}: {words}")),
            },
            () = tokio::time::sleep(NEXT_AFTER), if !waiting.is_empty() => {}
        }
    }
}

/// The last leader, then the others in any order: nodes spread over the managers.
fn order(addresses: &[String], last: Option<&str>) -> VecDeque<String> {
    let mut others: Vec<String> =
        addresses.iter().filter(|address| Some(address.as_str()) != last).cloned().collect();
    others.shuffle(&mut rand::rng());
    last.map(str::to_owned).into_iter().chain(others).collect()
}

async fn attempt(
    dial: Arc<dyn Dial>,
    address: String,
    hello: v1::Hello,
) -> (String, Result<Open, No>) {
    let open = open(&dial, &address, hello);
    let result = match tokio::time::timeout(ATTEMPT, open).await {
        Ok(result) => result,
        Err(_) => Err(No::Words(format!("no answer within {ATTEMPT:?}"))),
    };
    (address, result)
}

async fn open(dial: &Arc<dyn Dial>, address: &str, hello: v1::Hello) -> Result<Open, No> {
    let channel = dial.channel(address).await.map_err(|error| No::Words(causes(&*error)))?;
    let (outbox, messages) = mpsc::channel(OUTBOX);
    let first = FromAgent { what: Some(from_agent::What::Hello(hello)) };
    // The channel is new, and has room.
    let _ = outbox.try_send(first);
    let mut client = DispatcherClient::new(channel.clone()).max_decoding_message_size(LARGEST);
    let answer = client.session(ReceiverStream::new(messages)).await.map_err(|s| refused(&s))?;
    let mut inbox = answer.into_inner();
    match inbox.message().await.map_err(|status| refused(&status))? {
        Some(ToAgent { what: Some(to_agent::What::Welcome(welcome)) }) => {
            // A beat a hundred times a second is a mistake, and none at all too.
            let beat_every = Duration::from_millis(welcome.beat_every.clamp(10, 3_600_000));
            Ok(Open { address: address.to_owned(), channel, outbox, inbox, beat_every })
        }
        _ => Err(No::Words("it did not welcome this node".to_owned())),
    }
}

fn refused(status: &Status) -> No {
    let leader = status.metadata().get(LEADER).and_then(|value| value.to_str().ok());
    match leader {
        Some(leader) if status.code() == Code::FailedPrecondition && !leader.is_empty() => {
            No::Leads(leader.to_owned())
        }
        _ => No::Words(format!("{:?}: {}", status.code(), status.message())),
    }
}

/// An error with its causes: the outer ones say little ("transport error").
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        next = cause.source();
    }
    words
}
