//! Reading keys: one, or the direct children of a directory.
//!
//! Consul answers a listing that a token may not read with nothing at all. Invariant: an empty
//! directory is believed only when the token may read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde::Deserialize;
use swarm_kv::{Item, Result, Revision};

use crate::agents::{Agents, Answer, Request, key_path};

/// A key as Consul gives it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pair {
    key: String,
    /// `null` when empty.
    #[serde(default)]
    value: Option<String>,
    modify_index: u64,
}

/// A directory at one moment.
#[derive(Debug)]
pub(crate) struct Listing {
    /// In the order of their keys.
    pub(crate) items: Vec<Item>,
    /// Where a blocking query goes on from.
    pub(crate) index: u64,
}

pub(crate) async fn get(agents: &Agents, key: &str) -> Result<Option<Item>> {
    let answer = agents.ask(&Request::get(format!("{}?consistent", key_path(key)?))).await?;
    let mut items = items(agents, &answer)?;
    Ok(items.pop().filter(|item| item.key == key))
}

pub(crate) async fn list(agents: &Agents, directory: &str) -> Result<Listing> {
    let answer = agents.ask(&Request::list(list_path(directory)?)).await?;
    listing(agents, directory, &answer).await
}

/// What lists a directory; a blocking query adds to it.
pub(crate) fn list_path(directory: &str) -> Result<String> {
    Ok(format!("{}?recurse&consistent", key_path(&format!("{directory}/"))?))
}

/// Reads the answer to [`list_path`].
pub(crate) async fn listing(agents: &Agents, directory: &str, answer: &Answer) -> Result<Listing> {
    let mut items = items(agents, answer)?;
    if items.is_empty() {
        // A single key that may not be read is refused, a listing of such is empty.
        let own = Request::get(format!("{}?consistent", key_path(&format!("{directory}/"))?));
        agents.ask(&own).await?;
    }
    if answer.filtered {
        return Err(agents.words.no_rights());
    }
    items.retain(|item| is_child(directory, &item.key));
    items.sort_by(|a, b| a.key.cmp(&b.key));
    // Zero would ask for an answer at once, for ever.
    Ok(Listing { items, index: answer.index.unwrap_or(1).max(1) })
}

fn is_child(directory: &str, key: &str) -> bool {
    let name = key.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
    // A key that ends with a slash is how Consul's own pages mark a folder.
    name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

fn items(agents: &Agents, answer: &Answer) -> Result<Vec<Item>> {
    let is_ours = answer.index.is_some();
    match answer.status {
        StatusCode::NOT_FOUND if is_ours => Ok(Vec::new()),
        StatusCode::OK if is_ours => parse(&answer.body).ok_or_else(|| agents.strange(answer)),
        _ => Err(agents.strange(answer)),
    }
}

fn parse(body: &[u8]) -> Option<Vec<Item>> {
    let pairs: Vec<Pair> = serde_json::from_slice(body).ok()?;
    let item = |pair: Pair| {
        Some(Item {
            value: STANDARD.decode(pair.value.unwrap_or_default()).ok()?.into(),
            key: pair.key,
            revision: Revision(pair.modify_index),
        })
    };
    pairs.into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_direct_children_are_in_a_directory() {
        for (key, child) in
            [("d/a", true), ("d/a/b", false), ("d/", false), ("d", false), ("dx/a", false)]
        {
            assert_eq!(is_child("d", key), child, "{key}");
        }
    }

    #[test]
    fn what_consul_gives_is_read_and_nothing_else() {
        let pairs = br#"[{"LockIndex":1,"Key":"a","Flags":0,"Value":"/wA=","ModifyIndex":7},
            {"Key":"b","Value":null,"ModifyIndex":8}]"#;
        let read = parse(pairs).unwrap();
        assert_eq!((&read[0].value[..], read[0].revision), (&[255, 0][..], Revision(7)));
        assert!(read[1].value.is_empty());
        for strange in ["{}", "<html>", r#"[{"Key":"a","Value":"?","ModifyIndex":7}]"#, "[{}]"] {
            assert!(parse(strange.as_bytes()).is_none(), "{strange}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
        }
    }
}
