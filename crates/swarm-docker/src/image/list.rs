//! `GET /images/json` (API v1.24 and up): one engine's entry, and the union of many engines' into
//! one list with one entry per image id.
//!
//! Invariant: of a merged entry only `RepoTags`, `RepoDigests` and `Containers` are computed; every
//! other field, known here or not, is the first engine's.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Deserialize;

use crate::compact::{StrList, StrPairs};
use crate::json::{Edits, Members, ParseError, bytes, range_in, read};

/// What engines older than API 1.43 write for an image without a name.
const NO_TAG: &str = "<none>:<none>";
const NO_DIGEST: &str = "<none>@<none>";

/// One image of one engine.
#[derive(Debug, Clone)]
pub struct ImageEntry {
    /// `sha256:...`.
    pub id: Box<str>,
    /// Its names, `repository:tag`, without the placeholder of a nameless image.
    pub tags: StrList,
    /// Its digests, `repository@sha256:...`.
    pub digests: StrList,
    /// The image it was built from here; empty when there is none.
    pub parent: Box<str>,
    /// Seconds since 1970.
    pub created: i64,
    /// Bytes with all its layers.
    pub size: i64,
    /// Bytes shared with other images; -1 when not counted.
    pub shared_size: i64,
    /// Containers that use it; -1 when not counted.
    pub containers: i64,
    /// Its labels.
    pub labels: StrPairs,
    raw: Box<[u8]>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "Id")]
    id: Box<str>,
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
    #[serde(rename = "RepoDigests", default)]
    digests: Option<Vec<String>>,
    #[serde(rename = "ParentId", default)]
    parent: Option<Box<str>>,
    #[serde(rename = "Created", default)]
    created: i64,
    #[serde(rename = "Size", default)]
    size: i64,
    #[serde(rename = "SharedSize", default = "not_counted")]
    shared_size: i64,
    #[serde(rename = "Containers", default = "not_counted")]
    containers: i64,
    #[serde(rename = "Labels", default)]
    labels: StrPairs,
}

fn not_counted() -> i64 {
    -1
}

impl ImageEntry {
    /// Reads one element of an engine's list.
    pub fn parse(raw: &[u8]) -> Result<Self, ParseError> {
        let wire: Wire = read("an image of a list", raw)?;
        let named = |names: Option<Vec<String>>, none: &str| -> StrList {
            names.unwrap_or_default().into_iter().filter(|name| name != none).collect()
        };
        Ok(Self {
            id: wire.id,
            tags: named(wire.tags, NO_TAG),
            digests: named(wire.digests, NO_DIGEST),
            parent: wire.parent.unwrap_or_default(),
            created: wire.created,
            size: wire.size,
            shared_size: wire.shared_size,
            containers: wire.containers,
            labels: wire.labels,
            raw: raw.into(),
        })
    }

    /// The entry as the engine wrote it.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}

/// The united entry of one image that several engines have. `entries` must not be empty for there
/// to be anything to write.
pub fn merge(entries: &[&ImageEntry]) -> Vec<u8> {
    let Some((first, others)) = entries.split_first() else { return b"{}".to_vec() };
    let Ok(members) = Members::read("an image of a list", &first.raw) else {
        return first.raw.to_vec();
    };
    let mut edits = Edits::default();
    if !others.is_empty() {
        for (key, of, none) in [
            ("RepoTags", (|entry| &entry.tags) as fn(&ImageEntry) -> &StrList, NO_TAG),
            ("RepoDigests", |entry| &entry.digests, NO_DIGEST),
        ] {
            let mut all: Vec<&str> = Vec::new();
            for name in entries.iter().flat_map(|entry| of(entry).iter()) {
                if !all.contains(&name) {
                    all.push(name);
                }
            }
            let Some(old) = members.get(key) else { continue };
            // No engine had a name: the first one's way to say so stands.
            if !all.is_empty() {
                edits.replace(range_in(&first.raw, old.get()), bytes(&all));
            } else if old.get() == "null" && key == "RepoTags" {
                edits.replace(range_in(&first.raw, old.get()), bytes(&[none]));
            }
        }
        if let Some(old) = members.get("Containers") {
            let counted = entries.iter().map(|entry| entry.containers).filter(|count| *count >= 0);
            let sum = counted.reduce(i64::saturating_add).unwrap_or(-1);
            edits.replace(range_in(&first.raw, old.get()), bytes(&sum));
        }
    }
    edits.apply(&first.raw)
}

/// The whole list over all engines as JSON, newest first: one entry per id.
pub fn united<'a>(entries: impl IntoIterator<Item = &'a ImageEntry>) -> Vec<u8> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Vec<&ImageEntry>> = Vec::new();
    for entry in entries {
        let place = *places.entry(&entry.id).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(entry),
            None => groups.push(vec![entry]),
        }
    }
    groups.sort_by_key(|group| group.first().map(|entry| (Reverse(entry.created), &entry.id)));
    let mut out = vec![b'['];
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&merge(group));
    }
    out.push(b']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn entry(value: &Value) -> ImageEntry {
        ImageEntry::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn one_image_of_two_engines_has_the_names_of_both() {
        let image = |tags: Value, containers: i64| {
            entry(&json!({"Id": "sha256:a", "RepoTags": tags, "RepoDigests": null, "Created": 5,
                "Containers": containers, "Future": {"x": 1}}))
        };
        let one = image(json!(["a:1", "b:1"]), 2);
        let two = image(json!(["b:1", "c:1"]), 1);
        let nameless = image(json!(["<none>:<none>"]), -1);
        let newer = entry(&json!({"Id": "sha256:b", "RepoTags": ["z:1"], "Created": 9}));
        let list: Value = serde_json::from_slice(&united([&nameless, &one, &two, &newer])).unwrap();
        assert_eq!(list[0]["Id"], "sha256:b");
        assert_eq!(list[1]["RepoTags"], json!(["a:1", "b:1", "c:1"]));
        assert_eq!(list[1]["Containers"], 3);
        assert_eq!(list[1]["Future"], json!({"x": 1}));
        let both: Value = serde_json::from_slice(&merge(&[&nameless, &nameless])).unwrap();
        assert_eq!(
            (&both["RepoTags"], &both["Containers"]),
            (&json!(["<none>:<none>"]), &json!(-1))
        );
        assert_eq!(merge(&[&one]), one.raw());
        assert_eq!(united([]), b"[]");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = ImageEntry::parse(&raw);
        }
    }
}
