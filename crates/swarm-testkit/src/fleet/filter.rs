//! Docker's `filters` parameter, in both its spellings (`{"k":["v"]}`, `{"k":{"v":true}}`).

use serde_json::Value;

use super::reply::Refusal;

/// Parsed filters: each key with its alternatives.
#[derive(Debug, Default, Clone)]
pub(super) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    pub fn parse(text: Option<&str>) -> Result<Self, Refusal> {
        let Some(text) = text.filter(|t| !t.is_empty()) else {
            return Ok(Self::default());
        };
        let invalid = || Refusal::bad("invalid filter");
        let parsed: Value = serde_json::from_str(text).map_err(|_| invalid())?;
        let mut list = Vec::new();
        for (key, values) in parsed.as_object().ok_or_else(invalid)? {
            let values = match values {
                Value::Array(items) => {
                    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                Value::Object(items) => items.keys().cloned().collect(),
                _ => return Err(invalid()),
            };
            list.push((key.clone(), values));
        }
        Ok(Self(list))
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, values)| values.is_empty())
    }

    pub fn get(&self, key: &str) -> &[String] {
        self.0.iter().find(|(k, _)| k == key).map_or(&[], |(_, values)| values)
    }

    /// Whether `key` is not asked for, or one of its values satisfies `test`.
    pub fn any(&self, key: &str, test: impl FnMut(&String) -> bool) -> bool {
        let values = self.get(key);
        values.is_empty() || values.iter().any(test)
    }

    /// Whether every `label` wanted (`k` or `k=v`) is among the labels `find` knows.
    pub fn labels(&self, find: impl Fn(&str) -> Option<String>) -> bool {
        self.get("label").iter().all(|want| match want.split_once('=') {
            Some((key, value)) => find(key).as_deref() == Some(value),
            None => find(want).is_some(),
        })
    }

    /// Docker's name filter without its regular expressions: a part of the name, or
    /// anchored by `^` (with or without the leading slash) and `$`.
    pub fn name(&self, name: &str) -> bool {
        self.any("name", |want| {
            let (start, rest) = match want.strip_prefix('^') {
                Some(rest) => (true, rest),
                None => (false, want.as_str()),
            };
            let (end, rest) = match rest.strip_suffix('$') {
                Some(rest) => (true, rest),
                None => (false, rest),
            };
            let rest = rest.strip_prefix('/').unwrap_or(rest);
            match (start, end) {
                (true, true) => name == rest,
                (true, false) => name.starts_with(rest),
                (false, true) => name.ends_with(rest),
                (false, false) => name.contains(rest),
            }
        })
    }
}
