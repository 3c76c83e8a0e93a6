//! Who calls, and what he may ask: decided here and nowhere else. Managers may everything, holders
//! of a manager token what a manager's user may, holders of a node token only what registering and
//! listing engines needs.

use rustls_pki_types::CertificateDer;
use swarm_kv::Secret;
use swarm_store::{Command, Transaction};

use super::wire::{Fault, Hello, Request, VERSION};
use crate::core::Core;
use crate::kinds::Id;
use crate::members::{self, RESERVED};
use crate::trust::{Role, peer_id};

/// The largest value a holder of a node token may write, in bytes.
const NODE_VALUE: usize = 64 << 10;
/// How long a lease of a holder of a node token may be, in milliseconds.
const NODE_LEASE: u64 = 24 * 3600 * 1000;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// With a manager's certificate.
    Member(Id),
    /// A manager of the swarm, as whoever took the connection saw.
    Swarm,
    /// With a manager token.
    Manager,
    /// With a node token.
    Node,
}

/// What a caller showed when it connected.
#[derive(Debug)]
pub(super) enum Shown {
    /// To a pool's manager.
    Certificate(Option<CertificateDer<'static>>),
    /// To a swarm's, and was let in.
    Swarm,
}

/// Learns who is there.
pub(super) fn introduce(core: &Core, shown: &Shown, hello: &Hello) -> Result<Caller, Fault> {
    if hello.version != VERSION {
        return Err(Fault::Refused(format!(
            "it speaks version {} of the protocol, this manager version {VERSION}",
            hello.version
        )));
    }
    let certificate = match shown {
        Shown::Swarm => return Ok(Caller::Swarm),
        Shown::Certificate(certificate) => certificate,
    };
    if let Some(certificate) = certificate {
        let stranger = || Fault::Refused("its certificate is not a manager's".to_owned());
        return peer_id(certificate).map(Caller::Member).ok_or_else(stranger);
    }
    let Some(secret) = &hello.secret else {
        return Err(Fault::Refused("a join token is needed".to_owned()));
    };
    let shown = Secret::new(secret.as_str());
    let holds = |role| members::secret(core, role).is_some_and(|kept| kept == shown);
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
pub(super) fn allowed(core: &Core, caller: Caller, request: &Request) -> Result<(), Fault> {
    let refused = |words: &str| Err(Fault::Refused(words.to_owned()));
    if let Caller::Member(id) = caller
        && !is_between_managers(request)
        && !core.knows(id)
    {
        // It may have joined a moment ago, so this is nothing final.
        return Err(Fault::Unreachable("it is no manager of this pool (any more)".to_owned()));
    }
    let (reads, writes) = match request {
        Request::Status => return Ok(()),
        Request::Get { key } | Request::RenewedAgo { key } => (Some(child_of(key)), None),
        Request::List { directory } | Request::Watch { directory } => (Some(&**directory), None),
        Request::Write(command) => (None, Some(command)),
        Request::Join { .. } | Request::Remove { .. } => {
            return match caller {
                Caller::Member(_) | Caller::Swarm | Caller::Manager => Ok(()),
                Caller::Node => refused("a manager token is needed, this is a node token"),
            };
        }
        _ => {
            return match caller {
                Caller::Member(_) | Caller::Swarm => Ok(()),
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
        Some(Command::Transact(_)) => refused("a node writes one key at a time"),
        Some(Command::Grant { ttl, .. }) if *ttl > NODE_LEASE => {
            refused("a node's lease may be a day long at most")
        }
        _ => Ok(()),
    }
}

/// What managers say to each other whether or not the one that hears it knows the other already: it
/// may have missed much.
fn is_between_managers(request: &Request) -> bool {
    matches!(
        request,
        Request::Append(_)
            | Request::Vote(_)
            | Request::PreVote(_)
            | Request::Transfer(_)
            | Request::Snapshot { .. }
            | Request::Announce { .. }
    )
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
        Command::Transact(Transaction { expects, puts, deletes }) => {
            let expects = expects.iter().map(|(key, _)| &**key);
            let puts = puts.iter().map(|(key, _)| &**key);
            expects.chain(puts).chain(deletes.iter().map(|key| &**key)).collect()
        }
        _ => Vec::new(),
    }
}
