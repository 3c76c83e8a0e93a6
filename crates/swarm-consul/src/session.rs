//! Leases: sessions of Consul that delete their keys when they end.
//!
//! Consul promises to end a session not before its TTL and to have ended it after twice that, so
//! half of what is asked for becomes the TTL: a holder may count on that half, and the others wait
//! for the whole. When Consul's servers elect a new leader, every session's time begins anew.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use swarm_kv::{Lease, Result, StoreError};

use crate::agents::{Agents, Request, encoded};

/// Consul grants no shorter TTL.
const SHORTEST: Duration = Duration::from_secs(10);
/// Consul grants no longer TTL.
const LONGEST: Duration = Duration::from_hours(24);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Session {
    id: String,
}

pub(crate) async fn grant(agents: &Agents, wanted: Duration) -> Result<Lease> {
    let (ttl, holds) = terms(wanted);
    let body = json!({
        "Name": "swarm",
        "TTL": format!("{}ms", ttl.as_millis()),
        "Behavior": "delete",
        // A lock is free for the next in the moment its session ends: writes are guarded, so that
        // a holder who does not know yet does no harm.
        "LockDelay": "0s",
        // Not even the health of the agent asked, which is another machine's than the holder's.
        // Consul 1.7 and newer have the first name of it, older ones the second.
        "NodeChecks": [],
        "Checks": [],
    });
    // One made twice ends by itself, unused.
    let request = Request::put("/v1/session/create", body.to_string());
    let answer = agents.ask(&request).await?;
    match serde_json::from_slice::<Session>(&answer.body) {
        Ok(Session { id }) if answer.status.is_success() => {
            Ok(Lease { id, holds, gone_after: ttl * 2 })
        }
        _ => Err(agents.strange(&answer)),
    }
}

/// The TTL to ask for, and how long the holder may count on it.
fn terms(wanted: Duration) -> (Duration, Duration) {
    // In whole milliseconds, rounded up: rounded down, it might be gone before what was asked for.
    let half = u64::try_from(wanted.as_nanos().div_ceil(2_000_000)).unwrap_or(u64::MAX);
    let ttl = Duration::from_millis(half).clamp(SHORTEST, LONGEST);
    (ttl, ttl.min(wanted))
}

pub(crate) async fn renew(agents: &Agents, lease: &Lease) -> Result<()> {
    let path = format!("/v1/session/renew/{}", encoded(&lease.id)?);
    let answer = agents.ask(&Request::put(path, "")).await?;
    let is_it = |found: Vec<Session>| found.iter().any(|session| session.id == lease.id);
    match answer.status {
        StatusCode::OK if serde_json::from_slice(&answer.body).is_ok_and(is_it) => Ok(()),
        // A server that is no Consul says 404 too, but not of this session.
        StatusCode::NOT_FOUND if String::from_utf8_lossy(&answer.body).contains(&lease.id) => {
            Err(StoreError::LeaseLost { id: lease.id.clone() })
        }
        _ => Err(agents.strange(&answer)),
    }
}

pub(crate) async fn revoke(agents: &Agents, lease: &Lease) -> Result<()> {
    let path = format!("/v1/session/destroy/{}", encoded(&lease.id)?);
    let answer = agents.ask(&Request::put(path, "")).await?;
    // Consul says `true` whether there was one or not.
    if answer.status == StatusCode::OK && answer.body.trim_ascii() == b"true" {
        return Ok(());
    }
    Err(agents.strange(&answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_asked_for_holds() {
        let s = Duration::from_secs;
        for (wanted, ttl, holds) in [
            (s(20), s(10), s(10)),
            (s(60), s(30), s(30)),
            (s(15), s(10), s(10)),
            (s(3), s(10), s(3)),
            (
                Duration::from_micros(20_001_001),
                Duration::from_millis(10_001),
                Duration::from_millis(10_001),
            ),
            (s(1 << 30), s(86_400), s(86_400)),
        ] {
            assert_eq!(terms(wanted), (ttl, holds), "{wanted:?}");
        }
    }
}
