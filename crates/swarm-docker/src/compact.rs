//! String lists and label maps in two allocations: a pool keeps tens of thousands of containers,
//! and a `HashMap` of `String`s each would cost more than all else about them.
//!
//! Invariant: `ends` holds the end of each string in `text`, ascending, on character borders.

/// A list of strings that never changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StrList {
    text: Box<str>,
    ends: Box<[u32]>,
}

impl StrList {
    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string at `index`.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.text.get(start..end)
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// Whether `wanted` is among them.
    pub fn contains(&self, wanted: &str) -> bool {
        self.iter().any(|text| text == wanted)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<u32>()
    }
}

impl<S: AsRef<str>> FromIterator<S> for StrList {
    fn from_iter<I: IntoIterator<Item = S>>(items: I) -> Self {
        let mut text = String::new();
        let mut ends = Vec::new();
        for item in items {
            text.push_str(item.as_ref());
            // Answers are bounded far below 4 GiB; past it nothing more is taken in.
            let Ok(end) = u32::try_from(text.len()) else { break };
            ends.push(end);
        }
        Self { text: text.into_boxed_str(), ends: ends.into_boxed_slice() }
    }
}

/// Pairs of strings (labels, attributes) that never change, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StrPairs(StrList);

impl StrPairs {
    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.len() / 2
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        (0..self.len()).map(|index| {
            let part = |at| self.0.get(at).unwrap_or_default();
            (part(2 * index), part(2 * index + 1))
        })
    }

    /// The value of `key`; a list of pairs is short, so a walk beats hashing.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for StrPairs {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(items: I) -> Self {
        let mut text = String::new();
        let mut ends = Vec::new();
        for (key, value) in items {
            text.push_str(key.as_ref());
            let Ok(middle) = u32::try_from(text.len()) else { break };
            text.push_str(value.as_ref());
            let Ok(end) = u32::try_from(text.len()) else { break };
            ends.extend([middle, end]);
        }
        Self(StrList { text: text.into_boxed_str(), ends: ends.into_boxed_slice() })
    }
}

impl<'de> serde::Deserialize<'de> for StrPairs {
    /// Reads a JSON object of strings; `null` is empty, other values keep their JSON text.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Option::<crate::json::Members<'de>>::deserialize(deserializer)?;
        Ok(members
            .unwrap_or_default()
            .0
            .into_iter()
            .map(|(key, raw)| {
                let raw = raw.get();
                let plain = raw.strip_prefix('"').and_then(|r| r.strip_suffix('"'));
                let value = match plain {
                    Some(text) if !text.contains('\\') => text.into(),
                    Some(_) => serde_json::from_str::<String>(raw).unwrap_or_default().into(),
                    None => std::borrow::Cow::Borrowed(raw),
                };
                (key, value)
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_and_pairs_give_back_what_went_in(
            items in prop::collection::vec("\\PC{0,9}", 0..9),
            pairs in prop::collection::btree_map("\\PC{0,9}", "\\PC{0,9}", 0..9),
        ) {
            let list: StrList = items.iter().collect();
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), items);
            let json = serde_json::to_string(&pairs).unwrap();
            let read: StrPairs = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read.len(), pairs.len());
            for (key, value) in &pairs {
                prop_assert_eq!(read.get(key), Some(value.as_str()));
            }
        }
    }

    #[test]
    fn an_empty_list_needs_no_heap() {
        assert_eq!(StrList::from_iter([""; 0]).heap_bytes(), 0);
        assert!(serde_json::from_str::<StrPairs>("null").unwrap().is_empty());
    }
}
