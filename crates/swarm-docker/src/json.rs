//! Cutting and splicing of ready JSON: an engine's answer is changed in the places that must change
//! and stays byte for byte what it was everywhere else, so fields nobody here knows survive.
//!
//! Invariant: every range handed to [`Edits`] comes from a value borrowed out of the same body.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::ApiError;

/// An engine's answer that is not what its API promises.
#[derive(Debug, thiserror::Error)]
#[error("the engine's answer is not {what}: {source}")]
pub struct ParseError {
    /// What the bytes should have been.
    pub what: &'static str,
    /// Where and why they are not.
    #[source]
    pub source: serde_json::Error,
}

impl From<ParseError> for ApiError {
    fn from(error: ParseError) -> Self {
        Self::system(error.to_string())
    }
}

/// Reads one JSON value of type `T` that borrows from `body`.
pub(crate) fn read<'a, T: Deserialize<'a>>(
    what: &'static str,
    body: &'a [u8],
) -> Result<T, ParseError> {
    serde_json::from_slice(body).map_err(|source| ParseError { what, source })
}

/// The elements of a JSON array, each as its raw text; `null` is an empty list, as Go writes one.
pub fn elements<'a>(what: &'static str, body: &'a [u8]) -> Result<Vec<&'a RawValue>, ParseError> {
    Ok(read::<Option<Vec<&'a RawValue>>>(what, body)?.unwrap_or_default())
}

/// The members of one JSON object in their order, values as raw text.
#[derive(Debug, Default)]
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads the members of the object in `body`; `null` has none.
    pub fn read(what: &'static str, body: &'a [u8]) -> Result<Self, ParseError> {
        Ok(read::<Option<Self>>(what, body)?.unwrap_or_default())
    }

    /// The raw value of `key`.
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| *v)
    }

    /// The value of `key` as `T`; `None` when it is absent, `null` or of another type.
    pub fn read_as<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.get(key).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    members.push((key.0, map.next_value()?));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Keys).map(Self)
    }
}

/// A key that borrows where it holds no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// `value` as JSON bytes. Strings, numbers and maps with string keys cannot fail to encode.
pub(crate) fn bytes<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Appends `text` as a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(&bytes(text));
    }
}

/// Where `part`, borrowed from `whole`, lies in it.
pub(crate) fn range_in(whole: &[u8], part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr()).min(whole.len());
    start..(start + part.len()).min(whole.len())
}

/// Replacements to make in one body.
#[derive(Debug, Default)]
pub(crate) struct Edits(Vec<(Range<usize>, Vec<u8>)>);

impl Edits {
    /// Puts `with` in the place of `range`.
    pub fn replace(&mut self, range: Range<usize>, with: Vec<u8>) {
        self.0.push((range, with));
    }

    /// Puts `members` (`"key":value,...`, no braces) first into the object at `range`.
    pub fn insert_first(&mut self, body: &[u8], range: &Range<usize>, members: &[u8]) {
        let at = range.start + 1;
        let rest = body.get(at..range.end).unwrap_or_default();
        let empty = rest.trim_ascii_start().first() == Some(&b'}');
        let mut with = members.to_vec();
        if !empty {
            with.push(b',');
        }
        self.0.push((at..at, with));
    }

    /// The body with every edit made; edits that overlap an earlier one are dropped.
    pub fn apply(mut self, body: &[u8]) -> Vec<u8> {
        self.0.sort_by_key(|(range, _)| range.start);
        let grown: usize = self.0.iter().map(|(_, with)| with.len()).sum();
        let mut out = Vec::with_capacity(body.len() + grown);
        let mut at = 0;
        for (range, with) in self.0 {
            if range.start < at || range.end > body.len() {
                continue;
            }
            out.extend_from_slice(&body[at..range.start]);
            out.extend_from_slice(&with);
            at = range.end;
        }
        out.extend_from_slice(&body[at..]);
        out
    }
}

/// A JSON text as it is, anything else as it is written, and nothing for null: for showing.
pub fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_keep_their_order_and_ranges() {
        let body = br#" {"b": 1, "a\n": [2, 3], "c": {"d": null}}"#;
        let members = Members::read("an object", body).unwrap();
        let keys: Vec<_> = members.0.iter().map(|(key, _)| key.as_ref()).collect();
        assert_eq!(keys, ["b", "a\n", "c"]);
        let range = range_in(body, members.get("a\n").unwrap().get());
        assert_eq!(&body[range], b"[2, 3]");
        assert_eq!(members.read_as::<i64>("b"), Some(1));
    }

    #[test]
    fn edits_go_into_empty_and_full_objects() {
        for (body, expected) in [("{ }", "{\"x\":1 }"), ("{\"a\":2}", "{\"x\":1,\"a\":2}")] {
            let mut edits = Edits::default();
            edits.insert_first(body.as_bytes(), &(0..body.len()), b"\"x\":1");
            assert_eq!(edits.apply(body.as_bytes()), expected.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn strings_are_written_as_serde_reads_them(text in "\\PC*|[\\x00-\\x7f]*") {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
