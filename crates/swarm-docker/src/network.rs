//! `GET /networks` (API v1.24 and up): an entry, the list's filters, and the entry under another
//! name (`node/name` for one that is local to its node).
//!
//! Source of the filters: the engine's `daemon/network/filter.go` (v20.10).

use serde::Deserialize;

use crate::compact::{StrList, StrPairs};
use crate::error::ApiError;
use crate::filters::{Filters, Matcher};
use crate::json::{Edits, Members, ParseError, bytes, range_in, read};

/// Every filter of a network list: Docker's, and `node`.
pub const ACCEPTED: [&str; 8] =
    ["dangling", "driver", "id", "label", "name", "node", "scope", "type"];

/// The networks every engine has, which Docker calls built in.
const BUILTIN: [&str; 5] = ["bridge", "host", "none", "nat", "ingress"];

/// One network of one engine.
#[derive(Debug, Clone)]
pub struct NetworkEntry {
    /// The full id.
    pub id: Box<str>,
    /// The engine's name for it.
    pub name: Box<str>,
    /// `bridge`, `overlay`, ...
    pub driver: Box<str>,
    /// `local`, `global` or `swarm`.
    pub scope: Box<str>,
    /// Its labels.
    pub labels: StrPairs,
    /// The ids of the containers on it; only an inspect answer has them.
    pub containers: StrList,
    raw: Box<[u8]>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    id: Box<str>,
    name: Box<str>,
    #[serde(default)]
    driver: Box<str>,
    #[serde(default)]
    scope: Box<str>,
    #[serde(default)]
    labels: StrPairs,
    #[serde(borrow, default)]
    containers: Option<Members<'a>>,
}

impl NetworkEntry {
    /// Reads one element of a list, or an inspect answer.
    pub fn parse(raw: &[u8]) -> Result<Self, ParseError> {
        let wire: Wire<'_> = read("a network", raw)?;
        Ok(Self {
            id: wire.id,
            name: wire.name,
            driver: wire.driver,
            scope: wire.scope,
            labels: wire.labels,
            containers: wire.containers.unwrap_or_default().0.iter().map(|(id, _)| id).collect(),
            raw: raw.into(),
        })
    }

    /// Whether it exists on this one node only.
    pub fn is_local(&self) -> bool {
        self.scope.is_empty() || &*self.scope == "local"
    }

    /// Whether every engine has one of this name by itself.
    pub fn is_builtin(&self) -> bool {
        BUILTIN.contains(&&*self.name)
    }

    /// The entry as the engine wrote it.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The entry with `Name` changed and every other byte kept.
    pub fn renamed(&self, name: &str) -> Vec<u8> {
        rename(&self.raw, name)
    }
}

/// A network's or volume's JSON with another `Name`; what is no object stays as it is.
pub fn rename(body: &[u8], name: &str) -> Vec<u8> {
    let mut edits = Edits::default();
    if let Ok(members) = Members::read("an object", body)
        && let Some(old) = members.get("Name")
    {
        edits.replace(range_in(body, old.get()), bytes(name));
    }
    edits.apply(body)
}

/// A network list's filters, checked and compiled.
#[derive(Debug, Clone)]
pub struct NetworkFilter {
    filters: Filters,
    names: Matcher,
    ids: Matcher,
    nodes: Matcher,
    dangling: Option<bool>,
}

impl NetworkFilter {
    /// Checks keys and values; a wrong one is a 400 in Docker's words.
    pub fn parse(filters: Filters) -> Result<Self, ApiError> {
        filters.accept(&ACCEPTED)?;
        if let Some(kind) =
            filters.get("type").iter().find(|kind| *kind != "custom" && *kind != "builtin")
        {
            return Err(ApiError::invalid(format!("invalid filter: 'type'='{kind}'")));
        }
        Ok(Self {
            names: filters.matcher("name"),
            ids: filters.matcher("id"),
            nodes: filters.matcher("node"),
            dangling: filters.flag("dangling")?,
            filters,
        })
    }

    /// The `dangling` filter: a list does not say whether a network is in use, so whoever knows the
    /// containers must answer this one.
    pub fn dangling(&self) -> Option<bool> {
        self.dangling
    }

    /// Whether the network on `node` passes every filter but `dangling`. A name may be given as the
    /// engine's or as `node/name`.
    pub fn matches(&self, network: &NetworkEntry, node: &str) -> bool {
        let shown = [node, "/", &network.name].concat();
        let builtin = if network.is_builtin() { "builtin" } else { "custom" };
        // `node` picks among local networks; a cluster-wide one is everywhere.
        (self.nodes.matches(node) || !network.is_local())
            && (self.names.matches(&network.name) || self.names.matches(&shown))
            && self.ids.matches(&network.id)
            && self.filters.exact("driver", &network.driver)
            && self.filters.exact("scope", &network.scope)
            && self.filters.exact("type", builtin)
            && self.filters.matches_kv("label", |key| network.labels.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &[u8] = br#"{"Name":"web","Id":"abc","Created":"x","Scope":"local","Driver":"bridge","Containers":{"c1":{},"c2":{}},"Labels":{"a":"1"},"New":[ 1 ]}"#;

    #[test]
    fn a_network_is_renamed_and_nothing_else() {
        let network = NetworkEntry::parse(RAW).unwrap();
        assert!(network.is_local() && !network.is_builtin());
        assert_eq!(network.containers.iter().collect::<Vec<_>>(), ["c1", "c2"]);
        let expected = String::from_utf8(RAW.to_vec()).unwrap().replace("\"web\"", "\"n1/web\"");
        assert_eq!(String::from_utf8(network.renamed("n1/web")).unwrap(), expected);
        assert_eq!(rename(b"[1]", "x"), b"[1]");
    }

    #[test]
    fn filters_are_docker_s_and_node() {
        let network = NetworkEntry::parse(RAW).unwrap();
        for (filters, expected) in [
            ("{}", true),
            (r#"{"name":["we"]}"#, true),
            (r#"{"name":["^n1/web$"]}"#, true),
            (r#"{"name":["db"]}"#, false),
            (r#"{"id":["ab"]}"#, true),
            (r#"{"driver":["overlay"]}"#, false),
            (r#"{"type":["custom"]}"#, true),
            (r#"{"type":["builtin"]}"#, false),
            (r#"{"label":["a=1"],"scope":["local"]}"#, true),
            (r#"{"node":["n2"]}"#, false),
        ] {
            let filter = NetworkFilter::parse(Filters::parse(filters).unwrap()).unwrap();
            assert_eq!(filter.matches(&network, "n1"), expected, "{filters}");
        }
        for (filters, words) in [
            (r#"{"x":["1"]}"#, "invalid filter 'x'"),
            (r#"{"type":["odd"]}"#, "invalid filter: 'type'='odd'"),
            (r#"{"dangling":["odd"]}"#, "invalid filter 'dangling=[odd]'"),
        ] {
            let error = NetworkFilter::parse(Filters::parse(filters).unwrap()).unwrap_err();
            assert_eq!(error.message, words);
        }
    }
}
