//! `GET /volumes` (API v1.24 and up): an entry, the list's filters, and the entry under another name
//! (`node/name` for one that is local to its node).

use serde::Deserialize;

use crate::compact::StrPairs;
use crate::error::ApiError;
use crate::filters::{Filters, Matcher};
use crate::json::{ParseError, read};

/// Every filter of a volume list: Docker's, and `node`.
pub const ACCEPTED: [&str; 5] = ["dangling", "driver", "label", "name", "node"];

/// One volume of one engine.
#[derive(Debug, Clone)]
pub struct VolumeEntry {
    /// The engine's name for it.
    pub name: Box<str>,
    /// `local` or a plugin's name.
    pub driver: Box<str>,
    /// Where it is on the node.
    pub mountpoint: Box<str>,
    /// Its labels.
    pub labels: StrPairs,
    /// `local` or `global`.
    pub scope: Box<str>,
    raw: Box<[u8]>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    name: Box<str>,
    #[serde(default)]
    driver: Box<str>,
    #[serde(default)]
    mountpoint: Box<str>,
    #[serde(default)]
    labels: StrPairs,
    #[serde(default)]
    scope: Box<str>,
}

impl VolumeEntry {
    /// Reads one element of a list's `Volumes`, or an inspect answer.
    pub fn parse(raw: &[u8]) -> Result<Self, ParseError> {
        let wire: Wire = read("a volume", raw)?;
        Ok(Self {
            name: wire.name,
            driver: wire.driver,
            mountpoint: wire.mountpoint,
            labels: wire.labels,
            scope: wire.scope,
            raw: raw.into(),
        })
    }

    /// Reads a whole answer of `GET /volumes`: the volumes and the warnings.
    pub fn parse_list(body: &[u8]) -> Result<(Vec<Self>, Vec<String>), ParseError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct List<'a> {
            #[serde(borrow, default)]
            volumes: Option<Vec<&'a serde_json::value::RawValue>>,
            #[serde(default)]
            warnings: Option<Vec<String>>,
        }
        let list: List<'_> = read("a list of volumes", body)?;
        let raw = list.volumes.unwrap_or_default();
        let volumes = raw.into_iter().map(|raw| Self::parse(raw.get().as_bytes()));
        Ok((volumes.collect::<Result<_, _>>()?, list.warnings.unwrap_or_default()))
    }

    /// Whether it exists on this one node only.
    pub fn is_local(&self) -> bool {
        self.scope.is_empty() || &*self.scope == "local"
    }

    /// The entry as the engine wrote it.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The entry with `Name` changed and every other byte kept.
    pub fn renamed(&self, name: &str) -> Vec<u8> {
        crate::network::rename(&self.raw, name)
    }
}

/// A volume list's filters, checked and compiled.
#[derive(Debug, Clone)]
pub struct VolumeFilter {
    filters: Filters,
    names: Matcher,
    nodes: Matcher,
    dangling: Option<bool>,
}

impl VolumeFilter {
    /// Checks keys and values; a wrong one is a 400 in Docker's words.
    pub fn parse(filters: Filters) -> Result<Self, ApiError> {
        filters.accept(&ACCEPTED)?;
        Ok(Self {
            names: filters.matcher("name"),
            nodes: filters.matcher("node"),
            dangling: filters.flag("dangling")?,
            filters,
        })
    }

    /// The `dangling` filter: whoever knows the containers must answer this one.
    pub fn dangling(&self) -> Option<bool> {
        self.dangling
    }

    /// Whether the volume on `node` passes every filter but `dangling`. A name may be given as the
    /// engine's or as `node/name`.
    pub fn matches(&self, volume: &VolumeEntry, node: &str) -> bool {
        let shown = [node, "/", &volume.name].concat();
        (self.nodes.matches(node) || !volume.is_local())
            && (self.names.matches(&volume.name) || self.names.matches(&shown))
            && self.filters.exact("driver", &volume.driver)
            && self.filters.matches_kv("label", |key| volume.labels.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whole_and_filtered() {
        let body = br#"{"Volumes":[{"Name":"data","Driver":"local","Labels":null,"Mountpoint":"/v","Scope":"local","X":1}],"Warnings":["w"]}"#;
        let (volumes, warnings) = VolumeEntry::parse_list(body).unwrap();
        assert_eq!((volumes.len(), warnings.as_slice()), (1, ["w".to_owned()].as_slice()));
        let renamed = String::from_utf8(volumes[0].renamed("n1/data")).unwrap();
        assert!(
            renamed.starts_with(r#"{"Name":"n1/data","Driver""#) && renamed.ends_with(r#""X":1}"#)
        );
        for (filters, expected) in [
            (r#"{"name":["da"],"node":["n1"]}"#, true),
            (r#"{"name":["n1/data"]}"#, true),
            (r#"{"driver":["nfs"]}"#, false),
            (r#"{"node":["n2"]}"#, false),
            (r#"{"label":["a"]}"#, false),
        ] {
            let filter = VolumeFilter::parse(Filters::parse(filters).unwrap()).unwrap();
            assert_eq!(filter.matches(&volumes[0], "n1"), expected, "{filters}");
        }
        assert!(VolumeEntry::parse_list(b"{\"Volumes\":null}").unwrap().0.is_empty());
        assert!(VolumeFilter::parse(Filters::parse(r#"{"id":["x"]}"#).unwrap()).is_err());
    }
}
