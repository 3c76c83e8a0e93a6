//! Writing: each write is one transaction of Consul's, and its refusal says which part was not met.
//!
//! The order of the parts is fixed: guard, expectation, deletion, value. Consul tries all of them
//! and names each that failed; a guard that does not hold outweighs a lease that is over, and that
//! outweighs an expectation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use swarm_kv::{Expect, Guard, Result, Revision, StoreError, Write};

use crate::agents::{Agents, Answer, Request, encoded};
use crate::failure::cut;

/// One part of a transaction.
#[derive(Debug, Serialize)]
struct Part<'a> {
    #[serde(rename = "KV")]
    kv: Deed<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Deed<'a> {
    verb: &'static str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
}

/// What became of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome {
    #[serde(default)]
    results: Option<Vec<Done>>,
    #[serde(default)]
    errors: Option<Vec<NotMet>>,
}

#[derive(Debug, Deserialize)]
struct Done {
    #[serde(rename = "KV")]
    kv: Option<DoneKey>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DoneKey {
    key: String,
    modify_index: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NotMet {
    op_index: usize,
    #[serde(default)]
    what: String,
}

/// What a transaction is about, to read its refusal by.
#[derive(Debug, Clone, Copy)]
struct About<'a> {
    key: &'a str,
    size: usize,
    guard: Option<&'a Guard>,
    lease: Option<&'a str>,
}

pub(crate) async fn put(agents: &Agents, write: &Write) -> Result<Revision> {
    let key = write.key.as_str();
    let lease = write.lease.as_ref().map(|lease| lease.id.as_str());
    let mut parts = conditions(key, write.expect, write.guard.as_ref())?;
    if write.expect != Expect::Absent {
        parts.push(Part::new("delete", key));
    }
    let mut last = Part::new(if lease.is_some() { "lock" } else { "set" }, key);
    last.kv.value = Some(STANDARD.encode(&write.value));
    last.kv.session = lease;
    parts.push(last);
    let about = About { key, size: write.value.len(), guard: write.guard.as_ref(), lease };
    let (answer, done) = send(agents, &parts, write.expect, about).await?;
    let own = done.into_iter().rev().filter_map(|done| done.kv).find(|done| done.key == key);
    own.map(|done| Revision(done.modify_index)).ok_or_else(|| agents.strange(&answer))
}

pub(crate) async fn delete(
    agents: &Agents,
    key: &str,
    expect: Expect,
    guard: Option<&Guard>,
) -> Result<()> {
    let mut parts = conditions(key, expect, guard)?;
    parts.push(Part::new("delete", key));
    send(agents, &parts, expect, About { key, size: 0, guard, lease: None }).await.map(drop)
}

impl<'a> Part<'a> {
    fn new(verb: &'static str, key: &'a str) -> Self {
        Self { kv: Deed { verb, key, value: None, index: None, session: None } }
    }

    fn at(mut self, revision: Revision) -> Self {
        self.kv.index = Some(revision.0);
        self
    }
}

fn conditions<'a>(key: &'a str, expect: Expect, guard: Option<&'a Guard>) -> Result<Vec<Part<'a>>> {
    // A key that could not be read again is not written.
    encoded(key)?;
    let mut parts = Vec::with_capacity(4);
    parts.extend(guard.map(|guard| Part::new("check-index", &guard.key).at(guard.revision)));
    match expect {
        Expect::Anything => {}
        Expect::Absent => parts.push(Part::new("check-not-exists", key)),
        Expect::Revision(revision) => parts.push(Part::new("check-index", key).at(revision)),
    }
    Ok(parts)
}

async fn send(
    agents: &Agents,
    parts: &[Part<'_>],
    expect: Expect,
    about: About<'_>,
) -> Result<(Answer, Vec<Done>)> {
    let body = serde_json::to_vec(parts)
        .map_err(|error| agents.words.refused(format!("the request cannot be written: {error}")))?;
    // Done twice, a conditional write would find its own first.
    let conditional = expect != Expect::Anything || about.guard.is_some();
    let answer = agents.ask(&Request::put("/v1/txn", body).once(conditional)).await?;
    let outcome = || {
        let outcome = serde_json::from_slice::<Outcome>(&answer.body).ok();
        outcome.ok_or_else(|| agents.strange(&answer))
    };
    match answer.status {
        StatusCode::OK => {
            let done = outcome()?.results.ok_or_else(|| agents.strange(&answer))?;
            Ok((answer, done))
        }
        StatusCode::CONFLICT => {
            let not_met = outcome()?.errors.unwrap_or_default();
            Err(judge(&not_met, about, agents).unwrap_or_else(|| agents.strange(&answer)))
        }
        StatusCode::PAYLOAD_TOO_LARGE => Err(too_large(&answer, about)),
        _ => Err(agents.strange(&answer)),
    }
}

/// The weightiest of what was not met.
fn judge(not_met: &[NotMet], about: About<'_>, agents: &Agents) -> Option<StoreError> {
    if not_met.is_empty() {
        return None;
    }
    if not_met.iter().any(|failed| failed.what.contains("Permission denied")) {
        return Some(agents.words.no_rights());
    }
    if let Some(guard) = about.guard.filter(|_| not_met.iter().any(|failed| failed.op_index == 0)) {
        return Some(StoreError::Fenced { key: guard.key.clone() });
    }
    // "invalid session" of one that is over, "failed session lookup" of what never was one.
    let of_session = |failed: &NotMet| failed.what.contains(" session");
    if let Some(id) = about.lease.filter(|_| not_met.iter().any(of_session)) {
        return Some(StoreError::LeaseLost { id: id.to_owned() });
    }
    let of_state =
        |failed: &&NotMet| ["exist", "index", "lock"].iter().any(|word| failed.what.contains(word));
    match not_met.iter().find(|failed| !of_state(failed)) {
        None => Some(StoreError::Conflict { key: about.key.to_owned() }),
        Some(other) => Some(agents.words.refused(cut(other.what.as_bytes()))),
    }
}

/// The limit is the server's own word where it says one, as the bytes of a request.
fn too_large(answer: &Answer, about: About<'_>) -> StoreError {
    let text = cut(&answer.body);
    let said =
        text.split("max size: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    let bytes = said.unwrap_or(0_usize).saturating_sub(beside_value(about));
    StoreError::TooLarge { key: about.key.to_owned(), size: about.size, limit: bytes / 4 * 3 }
}

/// What a request has beside its value, at most.
fn beside_value(about: About<'_>) -> usize {
    256 + 3 * about.key.len() + about.guard.map_or(0, |guard| guard.key.len())
}

#[cfg(test)]
mod tests {
    use swarm_kv::{StoreOptions, StoreUrl};

    use super::*;

    fn agents() -> Agents {
        let url = StoreUrl::parse("consul://a", 1).unwrap();
        Agents::new(&url, &StoreOptions::default()).unwrap()
    }

    #[test]
    fn the_weightiest_reason_is_told() {
        let guard = Guard { key: "epoch".into(), revision: Revision(3) };
        let stale = "failed index check for key \"k\", current modify index 15 != 3";
        let exists = "key \"k\" exists";
        let invalid = "invalid session \"s\"";
        for (not_met, guarded, leased, expected) in [
            (&[(0, stale)][..], true, false, "Fenced"),
            (&[(1, stale)], true, false, "Conflict"),
            (&[(0, stale)], false, false, "Conflict"),
            (&[(0, exists), (1, invalid)], false, true, "LeaseLost"),
            (&[(0, stale), (1, exists), (2, invalid)], true, true, "Fenced"),
            (&[(0, "Permission denied")], true, true, "Refused"),
            (&[(0, "transaction has an unknown part")], false, false, "Refused"),
        ] {
            let failed = |(op_index, what): &(usize, &str)| NotMet {
                op_index: *op_index,
                what: (*what).to_owned(),
            };
            let not_met: Vec<_> = not_met.iter().map(failed).collect();
            let about = About {
                key: "k",
                size: 1,
                guard: guarded.then_some(&guard),
                lease: leased.then_some("s"),
            };
            let error = judge(&not_met, about, &agents()).unwrap();
            assert!(format!("{error:?}").starts_with(expected), "{not_met:?}: {error:?}");
        }
    }

    #[test]
    fn parts_stand_in_their_order_and_say_only_what_they_must() {
        let guard = Guard { key: "g".into(), revision: Revision(7) };
        let parts = conditions("k", Expect::Absent, Some(&guard)).unwrap();
        assert_eq!(
            serde_json::to_string(&parts).unwrap(),
            "[{\"KV\":{\"Verb\":\"check-index\",\"Key\":\"g\",\"Index\":7}},\
             {\"KV\":{\"Verb\":\"check-not-exists\",\"Key\":\"k\"}}]"
        );
        assert!(conditions("a/../k", Expect::Anything, None).is_err());
    }
}
