//! Docker's `filters` query parameter: read in both encodings, checked, matched, written again.
//!
//! Both `{"status":["a"]}` and `{"status":{"a":true}}` are read (the engine takes either); the map
//! form is written, as the docker CLI does since API 1.22. What a key means is its resource's
//! business; an absent key matches everything.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::error::ApiError;
use crate::query::Query;

/// A pattern from a request may compile to this many bytes at most; names need a few hundred.
const PATTERN_LIMIT: usize = 1 << 20;

/// The filters of one request: each key with its values, repeats dropped, in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    fields: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "the values of a filter must be a list of strings or an object of {\"value\": true}"
)]
enum Values {
    List(Vec<String>),
    Set(serde_json::Map<String, serde_json::Value>),
}

impl Filters {
    /// Reads the parameter's value; empty text is no filter, anything malformed a 400.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let read: Option<BTreeMap<String, Option<Values>>> = serde_json::from_str(text)
            .map_err(|error| ApiError::invalid(format!("invalid filter: {error}")))?;
        let mut filters = Self::default();
        for (key, values) in read.unwrap_or_default() {
            // A key without values is still a key the resource must know.
            filters.fields.entry(key.clone()).or_default();
            match values {
                None => {}
                Some(Values::List(values)) => {
                    for value in values {
                        filters.add(&key, value);
                    }
                }
                Some(Values::Set(values)) => {
                    for (value, _) in values {
                        filters.add(&key, value);
                    }
                }
            }
        }
        Ok(filters)
    }

    /// Reads the `filters` parameter of a query.
    pub fn from_query(query: &Query) -> Result<Self, ApiError> {
        Self::parse(query.get("filters").unwrap_or_default())
    }

    /// Refuses a key that is not among `accepted`, in Docker's words.
    pub fn accept(&self, accepted: &[&str]) -> Result<(), ApiError> {
        match self.fields.keys().find(|key| !accepted.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(ApiError::invalid(format!("invalid filter '{key}'"))),
        }
    }

    /// Whether there is no filter at all.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether `key` is given.
    pub fn contains(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    /// The keys given, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// The values of `key`; none when it is absent.
    pub fn get(&self, key: &str) -> &[String] {
        self.fields.get(key).map_or(&[], Vec::as_slice)
    }

    /// Adds one value of `key`.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        let values = self.fields.entry(key.to_owned()).or_default();
        let value = value.into();
        if !values.contains(&value) {
            values.push(value);
        }
    }

    /// Takes `key` out and gives its values.
    pub fn remove(&mut self, key: &str) -> Vec<String> {
        self.fields.remove(key).unwrap_or_default()
    }

    /// A copy without `key`: what an engine is asked when the pool answers `key` itself.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let mut copy = self.clone();
        copy.remove(key);
        copy
    }

    /// Adds every value of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (key, values) in &other.fields {
            self.fields.entry(key.clone()).or_default();
            for value in values {
                self.add(key, value.clone());
            }
        }
    }

    /// As the parameter's value; empty text when there is no filter.
    pub fn encode(&self) -> String {
        if self.fields.is_empty() {
            return String::new();
        }
        let set = |values: &Vec<String>| -> BTreeMap<String, bool> {
            values.iter().map(|value| (value.clone(), true)).collect()
        };
        let fields: BTreeMap<&String, _> =
            self.fields.iter().map(|(key, values)| (key, set(values))).collect();
        String::from_utf8(crate::json::bytes(&fields)).unwrap_or_default()
    }

    /// Puts these filters into `query` (or takes the parameter out when there is none).
    pub fn write_to(&self, query: &mut Query) {
        if self.fields.is_empty() {
            query.remove("filters");
        } else {
            query.set("filters", self.encode());
        }
    }

    /// A yes/no filter (`dangling`, `is-task`): `true`/`1` or `false`/`0`, anything else a 400.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, ApiError> {
        let values = self.get(key);
        if !self.contains(key) {
            return Ok(None);
        }
        let given = |texts: [&str; 2]| values.iter().any(|value| texts.contains(&value.as_str()));
        match (given(["1", "true"]), given(["0", "false"])) {
            (true, false) => Ok(Some(true)),
            (false, true) => Ok(Some(false)),
            _ => Err(ApiError::invalid(format!("invalid filter '{key}=[{}]'", values.join(" ")))),
        }
    }

    /// Docker's `ExactMatch`: no such filter, or `source` is one of its values.
    pub fn exact(&self, key: &str, source: &str) -> bool {
        let values = self.get(key);
        values.is_empty() || values.iter().any(|value| value == source)
    }

    /// Docker's `FuzzyMatch`: no such filter, or one of its values is a prefix of `source`.
    pub fn fuzzy(&self, key: &str, source: &str) -> bool {
        let values = self.get(key);
        values.is_empty() || values.iter().any(|value| source.starts_with(value.as_str()))
    }

    /// Docker's `Match`, compiled once for many sources.
    pub fn matcher(&self, key: &str) -> Matcher {
        let values = self.get(key);
        Matcher {
            patterns: values
                .iter()
                .map(|value| {
                    let pattern = RegexBuilder::new(value).size_limit(PATTERN_LIMIT).build().ok();
                    (value.clone(), pattern)
                })
                .collect(),
        }
    }

    /// Whether labels satisfy every value of `key`: `k` (present) or `k=v` (with this value).
    /// For a key that ends in `!` (prune's `label!`) they must satisfy none.
    pub fn matches_kv<'a>(&self, key: &str, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let satisfied = |wanted: &String| {
            let (name, value) = match wanted.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (wanted.as_str(), None),
            };
            label(name).is_some_and(|found| value.is_none_or(|value| value == found))
        };
        if key.ends_with('!') {
            !self.get(key).iter().any(satisfied)
        } else {
            self.get(key).iter().all(satisfied)
        }
    }
}

/// The values of one key, each as plain text and as a regular expression. A pattern that does not
/// compile matches as plain text only, as in Docker.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    patterns: Vec<(String, Option<Regex>)>,
}

impl Matcher {
    /// Whether the key was not given (then everything matches).
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether one value equals `source` or is found in it.
    pub fn matches(&self, source: &str) -> bool {
        self.patterns.is_empty()
            || self.patterns.iter().any(|(text, _)| text == source)
            || self.patterns.iter().any(|(_, pattern)| {
                pattern.as_ref().is_some_and(|pattern| pattern.is_match(source))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Filters {
        Filters::parse(text).unwrap()
    }

    #[test]
    fn both_encodings_read_the_same() {
        let list = parse(r#"{"status":["a","b"],"label":["x=1"]}"#);
        let map = parse(r#"{"status":{"a":true,"b":true},"label":{"x=1":true}}"#);
        assert_eq!(list, map);
        assert_eq!(list.encode(), r#"{"label":{"x=1":true},"status":{"a":true,"b":true}}"#);
        assert_eq!(parse(""), Filters::default());
        assert_eq!(parse("null"), Filters::default());
    }

    #[test]
    fn bad_filters_are_refused_with_docker_words() {
        for text in ["x", "[]", "{\"a\":1}", "{\"a\":[1]}", "{"] {
            let error = Filters::parse(text).unwrap_err();
            assert_eq!(error.status(), 400, "{text}");
            assert!(error.message.starts_with("invalid filter"), "{}", error.message);
        }
        let error = Filters::parse(r#"{"a":1}"#).unwrap_err();
        assert!(error.message.contains("must be a list of strings"), "{}", error.message);
        let error = parse(r#"{"name":["a"],"nope":[]}"#).accept(&["name"]).unwrap_err();
        assert_eq!(
            (error.status().as_u16(), error.message.as_str()),
            (400, "invalid filter 'nope'")
        );
        let error = parse(r#"{"dangling":["maybe"]}"#).flag("dangling").unwrap_err();
        assert_eq!(error.message, "invalid filter 'dangling=[maybe]'");
    }

    #[test]
    fn matching_is_exact_prefix_or_regular_expression() {
        let filters = parse(r#"{"name":["^web","db["],"event":["exec_create"]}"#);
        let name = filters.matcher("name");
        assert!(name.matches("web-1") && name.matches("db["));
        assert!(!name.matches("my-web") && !name.matches("db"));
        assert!(filters.matcher("id").matches("anything"));
        assert!(
            filters.fuzzy("event", "exec_create: sh") && !filters.exact("event", "exec_create: sh")
        );
        assert!(filters.exact("other", "x"));
    }

    #[test]
    fn labels_match_by_key_or_pair() {
        let label = |key: &str| (key == "a").then_some("1");
        for (text, expected) in [
            (r#"{"label":["a"]}"#, true),
            (r#"{"label":["a=1"]}"#, true),
            (r#"{"label":["a=2"]}"#, false),
            (r#"{"label":["a","b"]}"#, false),
            (r"{}", true),
        ] {
            assert_eq!(parse(text).matches_kv("label", label), expected, "{text}");
        }
        assert!(!parse(r#"{"label!":["a"]}"#).matches_kv("label!", label));
        assert!(parse(r#"{"label!":["b"]}"#).matches_kv("label!", label));
    }

    #[test]
    fn a_key_can_be_taken_out_and_filters_united() {
        let mut filters = parse(r#"{"node":["n1"],"name":["a"]}"#);
        assert_eq!(filters.without("node").encode(), r#"{"name":{"a":true}}"#);
        assert_eq!(filters.remove("node"), ["n1"]);
        filters.merge(&parse(r#"{"name":["b"],"id":["c"]}"#));
        assert_eq!(filters.get("name"), ["a", "b"]);
        assert_eq!(filters.get("id"), ["c"]);
        let mut query = Query::parse("all=1&filters=x");
        filters.write_to(&mut query);
        assert_eq!(Filters::from_query(&query).unwrap(), filters);
        Filters::default().write_to(&mut query);
        assert_eq!(query.encode(), "all=1");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[{}\\[\\]\":,a-c]{0,30}") {
            let _ = Filters::parse(&text);
        }

        #[test]
        fn encode_then_parse_is_the_identity(
            fields in prop::collection::btree_map("\\PC{1,6}", prop::collection::btree_set("\\PC{0,6}", 1..4), 0..4)
        ) {
            let mut filters = Filters::default();
            for (key, values) in &fields {
                for value in values {
                    filters.add(key, value.clone());
                }
            }
            prop_assert_eq!(Filters::parse(&filters.encode()).unwrap(), filters);
        }
    }
}
