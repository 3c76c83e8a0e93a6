//! A parsed query string with Docker's own reading of booleans and numbers.
//!
//! Source: Docker's `httputils.BoolValue` reads "", "0", "no", "false" and "none" (any case) as
//! false and everything else as true; numbers that do not parse are a 400.

use crate::error::ApiError;

/// The query of one request: decoded pairs in their order, repeats kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads `a=1&b=2`; never fails (what is not valid UTF-8 becomes U+FFFD).
    pub fn parse(raw: &str) -> Self {
        Self { pairs: form_urlencoded::parse(raw.as_bytes()).into_owned().collect() }
    }

    /// The first value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Every value of `key`, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.pairs.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Docker's boolean: absent is false.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| {
            let value = value.trim().to_ascii_lowercase();
            !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
        })
    }

    /// A whole number; absent or empty is `None`, anything else that is no number a 400.
    pub fn number(&self, key: &str) -> Result<Option<i64>, ApiError> {
        match self.get(key).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value.parse().map(Some).map_err(|_| {
                ApiError::invalid(format!("query parameter {key}: {value:?} is not a whole number"))
            }),
        }
    }

    /// Sets `key` to one value, in the place of its first, dropping repeats.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        let at = self.pairs.iter().position(|(k, _)| k == key);
        self.pairs.retain(|(k, _)| k != key);
        let at = at.unwrap_or(self.pairs.len()).min(self.pairs.len());
        self.pairs.insert(at, (key.to_owned(), value.into()));
    }

    /// Drops every value of `key`.
    pub fn remove(&mut self, key: &str) {
        self.pairs.retain(|(k, _)| k != key);
    }

    /// Adds one more value of `key`.
    pub fn push(&mut self, key: &str, value: impl Into<String>) {
        self.pairs.push((key.to_owned(), value.into()));
    }

    /// The pairs in order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Encoded again, without the leading `?`; empty when there is nothing.
    pub fn encode(&self) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        out.extend_pairs(&self.pairs);
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn booleans_are_read_as_docker_reads_them() {
        for (raw, expected) in [
            ("all=1", true),
            ("all=true", true),
            ("all=yes", true),
            ("all=", false),
            ("all=0", false),
            ("all=False", false),
            ("all=none", false),
            ("", false),
        ] {
            assert_eq!(Query::parse(raw).flag("all"), expected, "{raw}");
        }
    }

    #[test]
    fn a_bad_number_names_the_parameter() {
        let error = Query::parse("limit=ten").number("limit").unwrap_err();
        assert_eq!(error.message, "query parameter limit: \"ten\" is not a whole number");
    }

    #[test]
    fn set_keeps_the_place_and_drops_repeats() {
        let mut query = Query::parse("a=1&b=2&a=3&c=4");
        query.set("a", "9");
        assert_eq!(query.encode(), "a=9&b=2&c=4");
    }

    proptest! {
        #[test]
        fn encode_then_parse_is_the_identity(pairs in prop::collection::vec(("\\PC*", "\\PC*"), 0..8)) {
            let mut query = Query::default();
            for (key, value) in &pairs {
                query.push(key, value.clone());
            }
            prop_assert_eq!(Query::parse(&query.encode()).pairs().to_vec(), pairs);
        }
    }
}
