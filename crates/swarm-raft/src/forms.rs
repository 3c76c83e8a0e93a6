//! What released versions wrote: their messages, and the folder of a manager as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use openraft::EntryPayload;
use openraft::entry::RaftEntry as _;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    VoteRequest, VoteResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use swarm_kv::{Item, KeyValue as _, Lease, Revision, Write};
use swarm_store::{Command, Done, Refusal, When};
use swarm_testkit::forms::{Form, check};
use zeroize::Zeroizing;

use crate::disk::{KEY, RECORDS};
use crate::journal::{decode, encode};
use crate::key::{StoreKey, StoreLock};
use crate::kinds::{Entry, Id, LogId, Membership, Meta, Peer, Vote};
use crate::mark::MARK;
use crate::net::wire::{Call, Fault, Hello, Joined, PlainChange, Reply, Request, plain};
use crate::origin::Origin;
use crate::trust::Authority;
use crate::{Embedded, EmbeddedOptions};

const LEADER: Id = 0x0102_0304_0506_0708;

fn leader() -> openraft::impls::leader_id_adv::LeaderId<u64, Id> {
    openraft::impls::leader_id_adv::LeaderId { term: 300, node_id: LEADER }
}

fn at(index: u64) -> LogId {
    LogId { leader_id: leader(), index }
}

fn vote() -> Vote {
    Vote { leader_id: leader(), committed: true }
}

fn members() -> openraft::Membership<Id, Peer> {
    let peer = |id: Id| (id, Peer { address: format!("10.0.0.{id}:2378") });
    let all = BTreeMap::from([peer(1), peer(2), peer(3)]);
    openraft::Membership::new(vec![BTreeSet::from([1, 2]), BTreeSet::from([1, 2, 3])], all).unwrap()
}

fn put() -> Command {
    Command::Put {
        key: "swarm/services/a".to_owned(),
        value: b"{}".as_slice().into(),
        when: When::At(300),
        lease: None,
        guard: None,
    }
}

fn entries() -> Vec<Entry> {
    let entry = |index, payload| Entry { payload, ..Entry::new_blank(at(index)) };
    vec![
        entry(70_000, EntryPayload::Blank),
        entry(70_001, EntryPayload::Normal(put())),
        entry(70_002, EntryPayload::Membership(members())),
    ]
}

fn meta() -> Meta {
    let last_membership = Membership::new(Some(at(3)), members());
    Meta { last_log_id: Some(at(70_000)), last_membership }
}

fn of<T: Serialize + DeserializeOwned>(name: &'static str, sample: &T) -> Form<'static> {
    Form::placed(name, encode(sample).unwrap(), |bytes| Ok(encode(&decode::<T>(bytes)?)?))
}

fn request(name: &'static str, request: Request) -> Form<'static> {
    of(name, &Call { to: Some(LEADER), request })
}

fn requests() -> Vec<Form<'static>> {
    let address = || "10.0.0.3:2378".to_owned();
    let key = || "pool/nodes/a".to_owned();
    let asked = VoteRequest { leadership_transfer: true, ..VoteRequest::new(vote(), Some(at(9))) };
    let append = AppendEntriesRequest {
        vote: vote(),
        prev_log_id: Some(at(69_999)),
        entries: entries(),
        leader_commit: Some(at(69_998)),
    };
    let secret = Some(Zeroizing::new("a token's secret".to_owned()));
    vec![
        of("hello", &Hello { version: 1, secret }),
        of("log entries", &entries()),
        of("log id", &Some(at(70_000))),
        of("vote", &vote()),
        of("snapshot meta", &meta()),
        request("append", Request::Append(Box::new(append))),
        request("request vote", Request::Vote(asked.clone())),
        request("request pre-vote", Request::PreVote(asked)),
        request("transfer", Request::Transfer(TransferLeaderRequest::new(vote(), 2, Some(at(9))))),
        request("snapshot", Request::Snapshot { vote: vote(), meta: meta(), chunks: 300 }),
        request("propose", Request::Propose(put())),
        request("read index", Request::ReadIndex),
        request("status", Request::Status),
        request("join", Request::Join { address: address() }),
        request("announce", Request::Announce { id: 3, address: address(), passed_on: true }),
        request("remove", Request::Remove { id: 3 }),
        request("get", Request::Get { key: key() }),
        request("list", Request::List { directory: "pool/nodes".to_owned() }),
        request("write", Request::Write(put())),
        request("watch", Request::Watch { directory: "pool/nodes".to_owned() }),
        request("renewed ago", Request::RenewedAgo { key: key() }),
        request("follows", Request::Follows { term: 7, leader: LEADER }),
    ]
}

fn replies() -> Vec<Form<'static>> {
    let item = || {
        let value = b"10.0.0.11:2375".as_slice().into();
        plain(Item { key: "pool/nodes/a".to_owned(), value, revision: Revision(70_000) })
    };
    let granted = VoteResponse { vote: vote(), vote_granted: true, last_log_id: Some(at(9)) };
    let peers = vec![(1, "10.0.0.1:2378".to_owned())];
    let joined = Joined { id: 3, authority: Authority::none(), peers };
    let appended = |reply| Reply::Append(reply);
    vec![
        of("appended", &appended(AppendEntriesResponse::Success)),
        of("partly appended", &appended(AppendEntriesResponse::PartialSuccess(Some(at(9))))),
        of("append conflict", &appended(AppendEntriesResponse::Conflict)),
        of("append higher vote", &appended(AppendEntriesResponse::HigherVote(vote()))),
        of("voted", &Reply::Vote(granted)),
        of("transferred", &Reply::Transfer(Ok(()))),
        of("snapshot taken", &Reply::Snapshot(SnapshotResponse::new(vote()))),
        of("outcome", &Reply::Outcome(Ok(Done::Written(70_000)))),
        of("refused outcome", &Reply::Outcome(Err(Refusal::Conflict("k".to_owned())))),
        of("read at", &Reply::ReadIndex(Some(70_000))),
        of("here is", &Reply::Status { id: LEADER }),
        of("joined", &Reply::Joined(joined)),
        of("done", &Reply::Done),
        of("item", &Reply::Item(Some(item()))),
        of("items", &Reply::Items { items: vec![item()], more: true }),
        of("changed whole", &Reply::Changed(PlainChange::Whole)),
        of("changed put", &Reply::Changed(PlainChange::Put(item()))),
        of("changed deleted", &Reply::Changed(PlainChange::Deleted("k".to_owned()))),
        of("quiet", &Reply::Quiet),
        of("ago", &Reply::Ago(Some(70_000))),
    ]
}

fn faults() -> Vec<Form<'static>> {
    let words = || "in words".to_owned();
    let fault = |name, fault| of(name, &Reply::Fault(fault));
    vec![
        fault("fault not leader", Fault::NotLeader),
        fault("fault unreachable", Fault::Unreachable(words())),
        fault("fault refused", Fault::Refused(words())),
        fault("fault elsewhere", Fault::Elsewhere),
        fault("fault removed", Fault::Removed),
        fault("fault conflict", Fault::Conflict(words())),
        fault("fault fenced", Fault::Fenced(words())),
        fault("fault lease lost", Fault::LeaseLost(words())),
        fault("fault too large", Fault::TooLarge(words(), 5 << 20)),
        fault("fault unwritable", Fault::Unwritable(words())),
        fault("fault unknown", Fault::Unknown(words())),
    ]
}

/// Files by name, packed.
fn pack(folder: &Path, names: &[&str]) -> Result<Vec<u8>> {
    let read = |name: &&str| Ok(((*name).to_owned(), fs::read(folder.join(name))?));
    let files: Vec<(String, Vec<u8>)> = names.iter().map(read).collect::<Result<_>>()?;
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&encode(&files)?)?;
    Ok(packer.finish()?)
}

fn unpack(bytes: &[u8]) -> Result<tempfile::TempDir> {
    let (folder, mut plain) = (tempfile::tempdir()?, Vec::new());
    GzDecoder::new(bytes).read_to_end(&mut plain)?;
    for (name, bytes) in decode::<Vec<(String, Vec<u8>)>>(&plain)? {
        fs::write(folder.path().join(name), bytes)?;
    }
    Ok(folder)
}

async fn open(folder: &Path) -> Result<Arc<Embedded>> {
    Ok(Embedded::open(EmbeddedOptions::new(folder)).await?)
}

const LEASE: Duration = Duration::from_hours(1);

/// A pool's manager that is alone: a snapshot, and a log after it.
async fn kept() -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let embedded = open(folder.path()).await?;
    let lease = embedded.grant(LEASE).await?;
    embedded.put(Write::new("d/lease", lease.id.clone())).await?;
    embedded.put(Write::new("d/leased", "before").leased(&lease)).await?;
    embedded.core.state.cut().await?;
    embedded.put(Write::new("d/after", "the snapshot")).await?;
    embedded.shutdown().await;
    drop(embedded);
    pack(folder.path(), &[RECORDS, KEY, MARK])
}

async fn is_kept(bytes: &[u8]) -> Result<()> {
    let folder = unpack(bytes)?;
    let embedded = open(folder.path()).await?;
    let get = async |key| Ok::<_, anyhow::Error>(embedded.get(key).await?.context(key)?.value);
    ensure!(get("d/leased").await? == "before" && get("d/after").await? == "the snapshot");
    let id = String::from_utf8(get("d/lease").await?.to_vec())?;
    embedded.renew(&Lease { id, holds: LEASE, gone_after: LEASE }).await?;
    let tokens = embedded.tokens().await?;
    ensure!(tokens != embedded.rotate_tokens(crate::Role::Node).await?, "it writes too");
    embedded.shutdown().await;
    Ok(())
}

fn lock() -> StoreLock {
    StoreLock::new(Zeroizing::new([7; 32]))
}

/// A key under a lock, and something sealed with it.
fn locked() -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let key = StoreKey::create(&folder.path().join(KEY), Some(&lock()))?;
    fs::write(folder.path().join("sealed"), key.seal()?.seal(b"its place", b"what is kept")?)?;
    pack(folder.path(), &[KEY, "sealed"])
}

fn is_locked(bytes: &[u8]) -> Result<()> {
    let folder = unpack(bytes)?;
    let key = StoreKey::load(&folder.path().join(KEY), Some(&lock()))?;
    let sealed = fs::read(folder.path().join("sealed"))?;
    ensure!(key.seal()?.open(b"its place", &sealed)? == b"what is kept");
    ensure!(StoreKey::load(&folder.path().join(KEY), None).is_err(), "it is locked");
    Ok(())
}

#[test]
fn what_released_versions_wrote_is_read() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut forms = requests();
    forms.extend(replies());
    forms.extend(faults());
    let mut origin = Origin::of_swarm();
    (origin.id, origin.peers) = (LEADER, vec![(1, "10.0.0.1:2378".to_owned())]);
    let origin = encode(&origin);
    let again = |bytes: &[u8]| Ok(encode(&decode::<Origin>(bytes)?)?);
    forms.push(Form::placed("origin", origin.unwrap(), again));
    forms.push(Form::new("locked key", locked, is_locked));
    let writes = || runtime.block_on(kept());
    forms.push(Form::new("folder", writes, |bytes| runtime.block_on(is_kept(bytes))));
    check(env!("CARGO_MANIFEST_DIR"), env!("CARGO_PKG_VERSION"), &forms).unwrap();
}
