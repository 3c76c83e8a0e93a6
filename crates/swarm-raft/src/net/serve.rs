//! The server's side: takes connections, learns who is there, answers one call after another.
//!
//! What a caller may do is decided here and nowhere else: managers everything, holders of a node
//! token only what registering and listing engines needs.

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
use swarm_store::{Command, Loader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::wire::{self, Call, Fault, Hello, PlainChange, Reply, Request, VERSION, plain};
use crate::core::Core;
use crate::embedded::Handle;
use crate::kinds::{Id, Meta, Vote};
use crate::members::{self, RESERVED};
use crate::state::Parcel;
use crate::trust::{Role, peer_id, same};

/// How many connections there may be; each engine of a pool holds a few.
const MOST: usize = 8192;
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
/// The largest value a holder of a node token may write, in bytes.
const NODE_VALUE: usize = 64 << 10;
/// How long a lease of a holder of a node token may be, in milliseconds.
const NODE_LEASE: u64 = 24 * 3600 * 1000;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// With a manager's certificate.
    Member(Id),
    /// With a manager token.
    Manager,
    /// With a node token.
    Node,
}

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
    let late = |_| io::Error::other("the caller did not introduce itself in time");
    let mut stream = timeout(INTRODUCTION, acceptor.accept(stream)).await.map_err(late)??;
    let hello: Option<Hello> =
        timeout(INTRODUCTION, wire::read(&mut stream)).await.map_err(late)??;
    let Some(hello) = hello else { return Ok(()) };
    loop {
        let Ok(call) = timeout(IDLE, wire::read(&mut stream)).await else { return Ok(()) };
        let Some(Call { to, request }) = call? else { return Ok(()) };
        // Asked anew for every call: a token that was replaced is over at once.
        let caller = introduce(core, &stream, &hello);
        let may = caller.clone().and_then(|caller| allowed(core, caller, &request));
        let reply = match may {
            Err(fault) => Err(fault),
            Ok(_) if to.is_some_and(|to| to != core.id) => Err(Fault::Elsewhere),
            Ok(_) => match request {
                Request::Snapshot { vote, meta, chunks } => {
                    take_snapshot(core, &mut stream, vote, meta, chunks).await
                }
                Request::Watch { directory } => {
                    return watch(core, &mut stream, &hello, &directory).await;
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

async fn say(stream: &mut TlsStream<TcpStream>, reply: &Reply) -> io::Result<()> {
    match timeout(ANSWER, wire::write(stream, reply)).await {
        Ok(written) => written,
        Err(_) => Err(io::Error::other("the caller does not take its answer")),
    }
}

/// Learns who is there.
fn introduce(core: &Core, stream: &TlsStream<TcpStream>, hello: &Hello) -> Result<Caller, Fault> {
    if hello.version != VERSION {
        return Err(Fault::Refused(format!(
            "it speaks version {} of the protocol, this manager version {VERSION}",
            hello.version
        )));
    }
    let certificates = stream.get_ref().1.peer_certificates();
    if let Some(certificate) = certificates.and_then(<[_]>::first) {
        let stranger = || Fault::Refused("its certificate is not a manager's".to_owned());
        return peer_id(certificate).map(Caller::Member).ok_or_else(stranger);
    }
    let Some(secret) = &hello.secret else {
        return Err(Fault::Refused("a join token is needed".to_owned()));
    };
    let holds = |role| members::secret(core, role).is_some_and(|kept| same(kept.reveal(), secret));
    // Both are looked at in any case, so that the time tells nothing.
    match (holds(Role::Manager), holds(Role::Node)) {
        (true, _) => Ok(Caller::Manager),
        (false, true) => Ok(Caller::Node),
        (false, false) => Err(Fault::Refused(
            "the join token is not valid (any more); a manager prints the present one".to_owned(),
        )),
    }
}

/// What a caller may ask.
fn allowed(core: &Core, caller: Caller, request: &Request) -> Result<(), Fault> {
    let refused = |words: &str| Err(Fault::Refused(words.to_owned()));
    let (reads, writes) = match request {
        Request::Status => return Ok(()),
        Request::Get { key } | Request::RenewedAgo { key } => (Some(child_of(key)), None),
        Request::List { directory } | Request::Watch { directory } => (Some(&**directory), None),
        Request::Write(command) => (None, Some(command)),
        Request::Join { .. } | Request::Remove { .. } => {
            return match caller {
                Caller::Member(_) | Caller::Manager => Ok(()),
                Caller::Node => refused("a manager token is needed, this is a node token"),
            };
        }
        _ => {
            return match caller {
                Caller::Member(_) => Ok(()),
                Caller::Manager | Caller::Node => {
                    refused("this is between managers; a join token does not do for it")
                }
            };
        }
    };
    if let Some(Command::Expire { .. }) = writes {
        return refused("leases are ended by the leader");
    }
    let keys = writes.map(keys_of).unwrap_or_default();
    let reserved = |key: &str| key.starts_with(RESERVED);
    if reads.is_some_and(|key| reserved(&format!("{key}/"))) || keys.iter().any(|key| reserved(key))
    {
        return refused("these keys are the store's own");
    }
    if caller != Caller::Node {
        return Ok(());
    }
    let may = |directory: &str| core.nodes.iter().any(|node| node == directory.trim_matches('/'));
    let outside = keys.iter().find(|key| !may(child_of(key)));
    if let Some(place) = reads.filter(|read| !may(read)).or(outside.copied()) {
        return Err(Fault::Refused(format!(
            "a node token does not give access to {place}; it registers and lists engines"
        )));
    }
    match writes {
        Some(Command::Put { key, value, .. }) if value.len() > NODE_VALUE => Err(Fault::Refused(
            format!("{key} would be {} bytes; a node may write at most {NODE_VALUE}", value.len()),
        )),
        Some(Command::Grant { ttl, .. }) if *ttl > NODE_LEASE => {
            refused("a node's lease may be a day long at most")
        }
        _ => Ok(()),
    }
}

/// The directory that a key is a direct child of.
fn child_of(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The keys that a command touches or looks at.
fn keys_of(command: &Command) -> Vec<&str> {
    match command {
        Command::Put { key, guard, .. } | Command::Delete { key, guard, .. } => {
            let guard = guard.iter().map(|guard| &*guard.key);
            std::iter::once(&**key).chain(guard).collect()
        }
        _ => Vec::new(),
    }
}

/// Everything that is one message each way.
async fn answer(core: &Arc<Core>, request: Request) -> Result<Reply, Fault> {
    let store = Handle(Arc::clone(core));
    match request {
        Request::Append(rpc) => {
            let response = core.raft.append_entries(*rpc).await.map_err(stopped)?;
            if response.is_success() {
                core.heard.store(core.state.now().max(1), Ordering::Relaxed);
            }
            Ok(Reply::Append(response))
        }
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
        Request::Join { address } => members::join(core, address).await,
        Request::Announce { id, address } => members::announced(core, id, address).await,
        Request::Remove { id } => members::remove(core, id).await,
        Request::Get { key } => Ok(Reply::Item(store.get(&key).await?.map(plain))),
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

fn stopped(error: impl std::fmt::Display) -> Fault {
    Fault::Unreachable(error.to_string())
}

/// A directory, in as many frames as it takes; the last one is the answer.
async fn list(
    core: &Arc<Core>,
    stream: &mut TlsStream<TcpStream>,
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
    stream: &mut TlsStream<TcpStream>,
    hello: &Hello,
    directory: &str,
) -> io::Result<()> {
    let mut changes = Handle(Arc::clone(core)).watch(directory);
    loop {
        let next = timeout(ALIVE, changes.next()).await;
        if let Err(fault) = introduce(core, stream, hello) {
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
    stream: &mut TlsStream<TcpStream>,
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
