//! The server's side: takes connections and answers one call after another. Who may ask what is
//! `access`'s business.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use openraft::storage::Snapshot;
use parking_lot::RwLock;
use rustls::ServerConfig;
use swarm_kv::{Change, KeyValue};
use swarm_store::{Command, Done, Loader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::access::{Shown, allowed, introduce};
use super::append::append;
use super::wire::{self, Call, Fault, Hello, PlainChange, Reply, Request, plain};
use crate::core::Core;
use crate::kinds::{Meta, Vote};
use crate::members;
use crate::renewals::renew;
use crate::state::Parcel;
use crate::store::Handle;
use crate::transport::Stream;

/// How many connections there may be; each engine of a pool holds a few.
const MOST: usize = 8192;
/// How many of a swarm's managers there may be; each of the others holds a few.
pub(crate) const TAKEN: usize = 512;
/// How long a caller may take to introduce itself.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// How long a connection may stay without a call.
const IDLE: Duration = Duration::from_mins(5);
/// How long the next chunk of a snapshot may take to come in.
const CHUNK: Duration = Duration::from_secs(30);
/// How long an answer may take to be taken.
const ANSWER: Duration = Duration::from_secs(15);
/// How often a watch says that it is alive.
pub(crate) const ALIVE: Duration = Duration::from_secs(5);
/// Values in one frame of a list, in bytes.
const FRAME: usize = 1 << 20;
/// Answers until the manager stops.
pub(crate) async fn serve(
    core: Arc<Core>,
    listener: TcpListener,
    tls: Arc<RwLock<Arc<ServerConfig>>>,
) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "no connection could be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.read()));
        let core = Arc::clone(&core);
        let stop = core.stop.clone();
        core.tasks.clone().spawn(async move {
            let answered = stop.run_until_cancelled(connection(&core, stream, acceptor)).await;
            if let Some(Err(error)) = answered {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
}

async fn connection(core: &Arc<Core>, stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = timeout(INTRODUCTION, acceptor.accept(stream)).await.map_err(late)??;
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(<[_]>::first).cloned();
    converse(core, Box::new(stream), &Shown::Certificate(certificate)).await
}

/// Answers a manager of the swarm, over a connection that somebody else took.
pub(crate) fn take(core: &Arc<Core>, stream: Box<dyn Stream>) {
    let Ok(place) = Arc::clone(&core.places).try_acquire_owned() else {
        tracing::warn!("a manager's connection was refused: there are {TAKEN} already");
        return;
    };
    let (core, stop) = (Arc::clone(core), core.stop.clone());
    core.tasks.clone().spawn(async move {
        let answered = stop.run_until_cancelled(converse(&core, stream, &Shown::Swarm)).await;
        if let Some(Err(error)) = answered {
            tracing::debug!(%error, "a manager's connection ended");
        }
        drop(place);
    });
}

fn late(_: tokio::time::error::Elapsed) -> io::Error {
    io::Error::other("the caller did not introduce itself in time")
}

async fn converse(core: &Arc<Core>, mut stream: Box<dyn Stream>, shown: &Shown) -> io::Result<()> {
    let hello: Option<Hello> =
        timeout(INTRODUCTION, wire::read(&mut stream)).await.map_err(late)??;
    let Some(hello) = hello else { return Ok(()) };
    loop {
        let Ok(call) = timeout(IDLE, wire::read(&mut stream)).await else { return Ok(()) };
        let Some(Call { to, request }) = call? else { return Ok(()) };
        // Asked anew for every call: a token that was replaced is over at once.
        let caller = introduce(core, shown, &hello);
        let may = caller.clone().and_then(|caller| allowed(core, caller, &request));
        let reply = match may {
            Err(fault) => Err(fault),
            Ok(()) if to.is_some_and(|to| to != core.id) => Err(Fault::Elsewhere),
            Ok(()) => match request {
                Request::Snapshot { vote, meta, chunks } => {
                    take_snapshot(core, &mut stream, vote, meta, chunks).await
                }
                Request::Watch { directory } => {
                    return watch(core, &mut stream, (shown, &hello), &directory).await;
                }
                Request::List { directory } => list(core, &mut stream, &directory).await,
                request => answer(core, request).await,
            },
        };
        let failed = reply.is_err();
        let reply = reply.unwrap_or_else(Reply::Fault);
        say(&mut stream, &reply).await?;
        if failed && caller.is_err() {
            return Ok(());
        }
    }
}

async fn say(stream: &mut Box<dyn Stream>, reply: &Reply) -> io::Result<()> {
    match timeout(ANSWER, wire::write(stream, reply)).await {
        Ok(written) => written,
        Err(_) => Err(io::Error::other("the caller does not take its answer")),
    }
}

/// Everything that is one message each way.
async fn answer(core: &Arc<Core>, request: Request) -> Result<Reply, Fault> {
    let store = Handle(Arc::clone(core));
    match request {
        Request::Append(rpc) => append(core, *rpc).await.map(Reply::Append),
        // A vote that cannot be kept is none, and waiting for the disk with it would stop all else.
        Request::Vote(_) | Request::PreVote(_) if core.disk.trouble().is_some() => Err(stuck()),
        Request::Vote(rpc) => core.raft.vote(rpc).await.map(Reply::Vote).map_err(stopped),
        Request::PreVote(rpc) => core.raft.pre_vote(rpc).await.map(Reply::Vote).map_err(stopped),
        Request::Transfer(rpc) => {
            core.raft.handle_transfer_leader(rpc).await.map(Reply::Transfer).map_err(stopped)
        }
        Request::Propose(command) => {
            if !core.leads() {
                return Err(Fault::NotLeader);
            }
            core.append(command, core.until()).await.map(Reply::Outcome)
        }
        Request::ReadIndex => core.read_index(core.until()).await.map(Reply::ReadIndex),
        Request::Status => Ok(Reply::Status { id: core.id }),
        Request::Follows { term, leader } if core.follows(term, leader) => Ok(Reply::Done),
        Request::Follows { .. } => Err(Fault::NotLeader),
        Request::Join { address } => members::join(core, address).await,
        Request::Announce { id, address, passed_on: false } => {
            members::heard(core, id, address).await
        }
        Request::Announce { id, address, passed_on: true } => {
            members::announced(core, id, address).await
        }
        Request::Remove { id } => members::remove(core, id).await,
        Request::Get { key } => Ok(Reply::Item(store.get(&key).await?.map(plain))),
        Request::Write(Command::Renew { lease }) => {
            renew(core, lease).await?;
            Ok(Reply::Outcome(Ok(Done::Leased)))
        }
        Request::Write(command) => Ok(Reply::Outcome(Ok(core.propose(command).await?))),
        Request::RenewedAgo { key } => {
            let ago = store.renewed_ago(&key).await?;
            Ok(Reply::Ago(ago.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX))))
        }
        Request::Snapshot { .. } | Request::List { .. } | Request::Watch { .. } => {
            Err(Fault::Refused("a call that is answered elsewhere".to_owned()))
        }
    }
}

pub(super) fn stopped(error: impl std::fmt::Display) -> Fault {
    Fault::Unreachable(error.to_string())
}

/// What was asked waits for the disk.
pub(super) fn stuck() -> Fault {
    Fault::Unreachable("its disk does not take writes".to_owned())
}

/// A directory, in as many frames as it takes; the last one is the answer.
async fn list(
    core: &Arc<Core>,
    stream: &mut Box<dyn Stream>,
    directory: &str,
) -> Result<Reply, Fault> {
    let items = Handle(Arc::clone(core)).list(directory).await?;
    let (mut frame, mut size) = (Vec::new(), 0);
    for item in items {
        size += item.key.len() + item.value.len() + 16;
        frame.push(plain(item));
        if size > FRAME {
            let items = std::mem::take(&mut frame);
            say(stream, &Reply::Items { items, more: true }).await.map_err(stopped)?;
            size = 0;
        }
    }
    Ok(Reply::Items { items: frame, more: false })
}

/// Changes of a directory until the caller goes.
async fn watch(
    core: &Arc<Core>,
    stream: &mut Box<dyn Stream>,
    (shown, hello): (&Shown, &Hello),
    directory: &str,
) -> io::Result<()> {
    let mut changes = Handle(Arc::clone(core)).watch(directory);
    loop {
        let next = timeout(ALIVE, changes.next()).await;
        if let Err(fault) = introduce(core, shown, hello) {
            return say(stream, &Reply::Fault(fault)).await;
        }
        match next {
            Err(_) => say(stream, &Reply::Quiet).await?,
            Ok(None) => return Ok(()),
            // The caller tells it to whoever watches, and begins again.
            Ok(Some(Err(error))) => return say(stream, &Reply::Fault(error.into())).await,
            Ok(Some(Ok(Change::Whole(items)))) => {
                say(stream, &Reply::Changed(PlainChange::Whole)).await?;
                let (mut frame, mut size) = (Vec::new(), 0);
                for item in items {
                    size += item.key.len() + item.value.len() + 16;
                    frame.push(plain(item));
                    if size > FRAME {
                        let items = std::mem::take(&mut frame);
                        say(stream, &Reply::Items { items, more: true }).await?;
                        size = 0;
                    }
                }
                say(stream, &Reply::Items { items: frame, more: false }).await?;
            }
            Ok(Some(Ok(Change::Put(item)))) => {
                say(stream, &Reply::Changed(PlainChange::Put(plain(item)))).await?;
            }
            Ok(Some(Ok(Change::Deleted(key)))) => {
                say(stream, &Reply::Changed(PlainChange::Deleted(key))).await?;
            }
        }
    }
}

/// Takes a snapshot in, chunk by chunk, to disk and into a new machine, and hands it over when it is
/// whole.
async fn take_snapshot(
    core: &Arc<Core>,
    stream: &mut Box<dyn Stream>,
    vote: Vote,
    meta: Meta,
    chunks: u64,
) -> Result<Reply, Fault> {
    let generation = core.state.next_generation();
    let taken = async {
        let mut loader = Loader::new(core.state.now());
        for number in 0..chunks {
            let chunk = timeout(CHUNK, wire::read::<_, Bytes>(stream)).await.map_err(stopped)?;
            let chunk = chunk.map_err(stopped)?;
            let chunk = chunk.ok_or_else(|| stopped("the snapshot broke off"))?;
            loader.take(&chunk).map_err(stopped)?;
            core.state.keep(generation, number, chunk.to_vec()).await.map_err(stopped)?;
            core.heard.store(core.state.now().max(1), Ordering::Relaxed);
        }
        loader.finish().map_err(stopped)
    };
    let machine = match taken.await {
        Ok(machine) => Some(Box::new(machine)),
        Err(fault) => {
            core.state.discard(generation).await.map_err(stopped)?;
            return Err(fault);
        }
    };
    let begun = Instant::now();
    let source = Arc::clone(&core.state);
    let snapshot = Snapshot { meta, snapshot: Parcel { source, generation, chunks, machine } };
    let installed = core.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
    tracing::info!(chunks, took = ?begun.elapsed(), "the state was filled from the leader");
    Ok(Reply::Snapshot(installed))
}
