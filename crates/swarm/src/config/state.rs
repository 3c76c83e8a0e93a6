//! Where a pool's state is kept, and whether this manager is one of several.

use std::path::PathBuf;
use std::time::Duration;

use super::{Env, set};
use crate::cli::ManageFlags;
use crate::store::{Choice, EmbeddedFlags, Named};
use crate::usage::UsageError;
use crate::values::{advertise, duration};

/// Classic's default of `--replication-ttl`.
const DEFAULT_REPLICATION_TTL: &str = "20s";
/// Below this a busy machine would lose its lock by itself.
const SHORTEST_REPLICATION_TTL: Duration = Duration::from_secs(1);

/// This manager is one of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    /// How long the lock outlives a killed primary.
    pub ttl: Duration,
    /// `HOST:PORT` where the others reach this manager.
    pub advertise: String,
}

/// Which store the flags ask for.
pub(super) fn choose_store(
    flags: &ManageFlags,
    named: Option<Named>,
    alone: bool,
    env: Env<'_>,
    notes: &mut Vec<String>,
) -> Result<Choice, UsageError> {
    let text = |flag: &Option<String>| flag.clone().filter(|text| !text.trim().is_empty());
    if flags.store_leave && (named.is_some() || text(&flags.store_listen).is_none()) {
        return Err(UsageError::flags(
            "--store-leave is for managers that keep their store together: give --data-dir and \
             --store-listen as while it ran",
        ));
    }
    let given = text(&flags.data_dir).or_else(|| set(env, "SWARM_DATA_DIR")).map(PathBuf::from);
    if let Some(named) = named {
        for (flag, used) in [
            ("--data-dir", flags.data_dir.is_some()),
            ("--store-listen", flags.store_listen.is_some()),
            ("--store-advertise", flags.store_advertise.is_some()),
            ("--store-join", flags.store_join.is_some()),
        ] {
            if used {
                notes.push(format!("{flag} has no effect: the pool's state is in the discovery"));
            }
        }
        return Ok(Choice::Shared(named));
    }
    let join = match (text(&flags.store_join), text(&flags.store_token_file)) {
        (None, None) => None,
        (Some(peers), Some(file)) => {
            let peers: Vec<String> = peers.split(',').map(|peer| peer.trim().to_owned()).collect();
            for peer in &peers {
                advertise("--store-join", peer)?;
            }
            Some((peers, PathBuf::from(file)))
        }
        _ => {
            return Err(UsageError::flags(
                "--store-join HOST:PORT[,HOST:PORT...] and --store-token-file FILE go together: \
                 managers are joined with the token that each of them writes into its data folder \
                 (join-token.manager)",
            ));
        }
    };
    let listen = text(&flags.store_listen);
    if (join.is_some() || flags.store_advertise.is_some()) && listen.is_none() {
        return Err(UsageError::flags(
            "--store-listen HOST:PORT is needed: managers of one pool reach each other there",
        ));
    }
    let wanted = given.is_some() || listen.is_some() || alone;
    let data_dir = given.or_else(|| crate::store::default_data_dir(env).filter(|_| wanted));
    let Some(data_dir) = data_dir else {
        if alone {
            notes.push("no HOME: the pool's state is in memory; give --data-dir to keep it".into());
        }
        return Ok(Choice::Memory);
    };
    Ok(Choice::Embedded(EmbeddedFlags {
        data_dir,
        listen,
        advertise: text(&flags.store_advertise),
        join,
    }))
}

/// `--replication` and what goes with it. Classic's rules: it needs an address where the others
/// reach this manager, and a store to elect in.
pub(super) fn replication(
    flags: &ManageFlags,
    discovery: Option<&str>,
    env: Env<'_>,
    notes: &mut Vec<String>,
) -> Result<Option<Replication>, UsageError> {
    let given = match &flags.advertise {
        Some(text) => Some(("--advertise", text.clone())),
        None => set(env, "SWARM_ADVERTISE").map(|text| ("SWARM_ADVERTISE", text)),
    };
    let ttl_text = flags.replication_ttl.as_deref().unwrap_or(DEFAULT_REPLICATION_TTL);
    // A negative one is read by Go, and refused in these words.
    let positive = "--replication-ttl should be a positive number";
    if ttl_text.starts_with('-') {
        return Err(UsageError::value("--replication-ttl", ttl_text, positive));
    }
    let ttl = duration("--replication-ttl", ttl_text)?;
    if ttl.is_zero() {
        return Err(UsageError::value("--replication-ttl", ttl_text, positive));
    }
    if ttl < SHORTEST_REPLICATION_TTL {
        let problem = "expected one second or more: the lock is renewed three times in it";
        return Err(UsageError::value("--replication-ttl", ttl_text, problem));
    }
    let address = given.as_ref().map(|(flag, text)| advertise(flag, text)).transpose()?;
    if !flags.replication {
        if let Some((flag, _)) = given {
            notes.push(format!("{flag} has no effect without --replication"));
        }
        if flags.replication_ttl.is_some() {
            notes.push("--replication-ttl has no effect without --replication".to_owned());
        }
        return Ok(None);
    }
    let Some(address) = address else {
        return Err(UsageError::flags(
            "--advertise address must be provided when using --replication: HOST:PORT where the \
             other managers reach this one",
        ));
    };
    let discovery = discovery.unwrap_or_default();
    let scheme = discovery.split_once("://").map_or("", |(scheme, _)| scheme);
    let is_store = crate::store::SHARED.iter().any(|store| scheme.eq_ignore_ascii_case(store));
    if !is_store && flags.store_listen.is_none() {
        let what = match scheme {
            "" if discovery.is_empty() => "without a DISCOVERY there is".to_owned(),
            "" | "nodes" | "unix" => "a list of engines has".to_owned(),
            scheme => format!("{scheme}:// has"),
        };
        return Err(UsageError::flags(format!(
            "--replication is only supported with consul, etcd and zookeeper discovery, or with \
             --store-listen, where the managers keep the store themselves; {what} no store"
        )));
    }
    Ok(Some(Replication { ttl, advertise: address.to_string() }))
}
