//! What the consensus library sends, over connections of its own: one for the log, one for
//! heartbeats, one for a snapshot, so that none waits for another.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use tokio::time::Instant;

use super::link::{Link, LinkError};
use super::peers::Peers;
use super::wire::{Reply, Request};
use crate::kinds::{Id, Kinds, Peer, Vote};
use crate::state::{Parcel, Parceled};

/// How long an append may take at least: the library asks for a heartbeat's length, in which a busy
/// disk is not done.
const APPEND: Duration = Duration::from_secs(2);
/// How long somebody may take to say whether he votes for this manager.
const VOTE: Duration = Duration::from_secs(2);
/// How long one chunk of a snapshot may take.
const CHUNK: Duration = Duration::from_secs(10);
/// How long the other side may take to put a snapshot together once it has all of it.
const INSTALL: Duration = Duration::from_mins(2);

/// Makes connections for the library.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub peers: Arc<Peers>,
}

/// One connection, made when it is needed.
#[derive(Debug)]
pub(crate) struct Channel {
    network: Network,
    target: Id,
    link: Option<Link>,
}

impl RaftNetworkFactory<Kinds> for Network {
    type Network = Channel;

    async fn new_client(&mut self, target: Id, node: &Peer) -> Channel {
        if self.peers.address(target).is_none() {
            self.peers.add(target, &node.address);
        }
        Channel { network: self.clone(), target, link: None }
    }
}

impl Channel {
    async fn call(&mut self, request: Request, limit: Duration) -> Result<Reply, RPCError<Kinds>> {
        let until = Instant::now() + limit;
        let mut link = self.link(until).await.map_err(|error| failed(&error))?;
        let reply = link.call(Some(self.target), request, until).await;
        if matches!(reply, Ok(_) | Err(LinkError::Fault(_))) {
            self.link = Some(link);
        }
        reply.map_err(|error| failed(&error))
    }

    /// Asks for a vote. The library asks with a new channel each time, and gives up after an election's length, in which
    /// a busy machine has made no connection yet: each time anew, nobody would ever be elected there. So what was
    /// begun goes on by itself, and the connection is there when it is asked the next time.
    async fn canvass(&self, request: Request) -> Result<Reply, RPCError<Kinds>> {
        let (peers, target) = (Arc::clone(&self.network.peers), self.target);
        let asking =
            tokio::spawn(async move { peers.call(target, request, Instant::now() + VOTE).await });
        match asking.await {
            Ok(reply) => reply.map_err(|error| failed(&error)),
            Err(error) => Err(RPCError::Unreachable(Unreachable::from_string(error.to_string()))),
        }
    }

    async fn link(&mut self, until: Instant) -> Result<Link, LinkError> {
        let here = self.network.peers.way(self.target);
        let kept = self.link.take().filter(|link| Some(&link.address) == here.as_ref());
        if let Some(mut link) = kept
            && link.is_quiet()
        {
            return Ok(link);
        }
        self.network.peers.dial(self.target, until).await
    }

    async fn send_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Parceled,
    ) -> Result<SnapshotResponse<Kinds>, StreamingError<Kinds>> {
        let Parcel { source, generation, chunks, .. } = snapshot.snapshot;
        let until = Instant::now() + CHUNK;
        let mut link = self.link(until).await.map_err(|error| failed(&error))?;
        let begin = Request::Snapshot { vote, meta: snapshot.meta, chunks };
        link.send(Some(self.target), begin, until).await.map_err(|error| failed(&error))?;
        for number in 0..chunks {
            // One that was replaced meanwhile is gone; the newer one is sent then.
            let chunk = source.chunk(generation, number).await.map_err(|error| gone(&error))?;
            link.frame(&bytes::Bytes::from(chunk), Instant::now() + CHUNK)
                .await
                .map_err(|error| failed(&error))?;
        }
        let reply = link.receive(Instant::now() + INSTALL).await.map_err(|error| failed(&error))?;
        self.link = Some(link);
        match reply {
            Reply::Snapshot(response) => Ok(response),
            other => Err(odd(&other).into()),
        }
    }
}

fn failed(error: &LinkError) -> RPCError<Kinds> {
    match error {
        LinkError::Lost(_) => RPCError::Network(NetworkError::new(error)),
        LinkError::NotSent(_) | LinkError::Fault(_) => {
            RPCError::Unreachable(Unreachable::new(error))
        }
    }
}

fn gone(error: &io::Error) -> RPCError<Kinds> {
    RPCError::Network(NetworkError::new(error))
}

fn odd(reply: &Reply) -> RPCError<Kinds> {
    RPCError::Unreachable(Unreachable::from_string(format!("an unexpected answer: {reply:?}")))
}

impl RaftNetworkV2<Kinds> for Channel {
    type SnapshotData = Parcel;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Kinds>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Kinds>, RPCError<Kinds>> {
        let limit = option.hard_ttl().max(APPEND);
        match self.call(Request::Append(Box::new(rpc)), limit).await? {
            Reply::Append(response) => Ok(response),
            other => Err(odd(&other)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Kinds>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Kinds>, RPCError<Kinds>> {
        match self.canvass(Request::Vote(rpc)).await? {
            Reply::Vote(response) => Ok(response),
            other => Err(odd(&other)),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Kinds>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Kinds>, RPCError<Kinds>> {
        #[cfg(feature = "faults")]
        self.network.peers.stood.send_modify(|count| *count += 1);
        match self.canvass(Request::PreVote(rpc)).await? {
            Reply::Vote(response) => Ok(response),
            other => Err(odd(&other)),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Kinds>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Kinds>, RPCError<Kinds>> {
        match self.call(Request::Transfer(rpc), option.hard_ttl()).await? {
            Reply::Transfer(response) => Ok(response),
            other => Err(odd(&other)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Parceled,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Kinds>, StreamingError<Kinds>> {
        tokio::select! {
            sent = self.send_snapshot(vote, snapshot) => sent,
            closed = cancel => Err(closed.into()),
        }
    }
}
