//! `SERVICE_*` and `SERVICE_<port>_*`, as gliderlabs/registrator reads them (`bridge/util.go`,
//! `docs/user/services.md`): keys in any case after the prefix, a port's own before the general ones,
//! commas in tags escaped by a backslash.

use std::collections::BTreeMap;

/// What is said of one port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// By key, in lower case, without the prefix and the port. Empty values count as not given.
    values: BTreeMap<String, String>,
    /// The name was given for this port alone.
    pub own_name: bool,
}

impl Said {
    /// What `variables` say of `port`.
    pub fn of(variables: &BTreeMap<String, String>, port: u16) -> Self {
        let mut said = Self::default();
        let mut own = BTreeMap::new();
        for (key, value) in variables {
            let Some(key) = key.strip_prefix("SERVICE_").map(str::to_ascii_lowercase) else {
                continue;
            };
            if key.is_empty() || value.is_empty() {
                continue;
            }
            match of_port(&key) {
                Some((number, rest)) if number == port => {
                    own.insert(rest.to_owned(), value.clone());
                }
                Some(_) => {}
                None => {
                    said.values.insert(key, value.clone());
                }
            }
        }
        said.own_name = own.contains_key("name");
        said.values.append(&mut own);
        said
    }

    /// What is said of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Everything that is no part of the service by itself.
    pub fn attributes(mut self) -> BTreeMap<String, String> {
        self.values.retain(|key, _| !matches!(key.as_str(), "id" | "name" | "tags" | "ignore"));
        self.values
    }
}

/// `80_name` is `name` of port 80; `80` alone is a key like any other.
fn of_port(key: &str) -> Option<(u16, &str)> {
    let (number, rest) = key.split_once('_')?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (digits && !rest.is_empty()).then(|| (number.parse().unwrap_or(0), rest))
}

/// The tags of a list; empty ones are left out.
pub fn tags(list: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut tag = String::new();
    let mut rest = list.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.peek() == Some(&',') => {
                rest.next();
                tag.push(',');
            }
            ',' => all.push(std::mem::take(&mut tag)),
            c => tag.push(c),
        }
    }
    all.push(tag);
    all.retain(|tag| !tag.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(pairs: &[(&str, &str)], port: u16) -> Said {
        Said::of(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(), port)
    }

    #[test]
    fn a_ports_own_words_come_first() {
        let pairs = [
            ("SERVICE_NAME", "all"),
            ("SERVICE_80_NAME", "own"),
            ("SERVICE_443_NAME", "other"),
            ("SERVICE_REGION", "us"),
            ("SERVICE_80_check_HTTP", "/"),
            ("SERVICE_80", "odd"),
            ("SERVICE_IGNORE", ""),
        ];
        let http = said(&pairs, 80);
        assert_eq!((http.get("name"), http.own_name), (Some("own"), true));
        assert_eq!(http.get("check_http"), Some("/"));
        assert_eq!(http.get("ignore"), None, "an empty value is none");
        let attributes: Vec<_> = http.attributes().into_keys().collect();
        assert_eq!(attributes, ["80", "check_http", "region"]);
        let other = said(&pairs, 9000);
        assert_eq!((other.get("name"), other.own_name), (Some("all"), false));
        assert_eq!(other.get("check_http"), None);
        // Whoever says nothing for this port alone has the general word, also where it is empty.
        assert_eq!(
            said(&[("SERVICE_NAME", "x"), ("SERVICE_1_NAME", "")], 1).get("name"),
            Some("x")
        );
    }

    #[test]
    fn tags_are_parted_at_commas_that_are_not_escaped() {
        for (list, expected) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("master,backups", &["master", "backups"]),
            (",a,,b,", &["a", "b"]),
            (r"/(;\,:-_)/,b", &["/(;,:-_)/", "b"]),
            (r"a\b", &[r"a\b"]),
        ] {
            assert_eq!(tags(list), expected, "{list}");
        }
    }

    proptest! {
        #[test]
        fn tags_come_back(all in proptest::collection::vec("[a-z,:/]{1,6}", 0..5)) {
            let list = all.iter().map(|tag| tag.replace(',', "\\,")).collect::<Vec<_>>().join(",");
            prop_assert_eq!(tags(&list), all);
        }

        #[test]
        fn any_key_is_read(key in "SERVICE_\\PC{0,12}", value in "\\PC{0,12}", port: u16) {
            let _ = said(&[(&key, &value)], port).attributes();
            let _ = tags(&value);
        }
    }
}
