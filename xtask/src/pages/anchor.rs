//! The anchors of headings, as GitHub makes them: lower case, blanks to dashes, no other punctuation than
//! `-` and `_`; a second heading of one name gets `-1`.

use std::collections::BTreeMap;

/// The anchors of one page, given out in the order of its headings.
#[derive(Debug, Default)]
pub struct Anchors(BTreeMap<String, usize>);

impl Anchors {
    /// The anchor of the next heading.
    pub fn next(&mut self, heading: &str) -> String {
        let keep = |c: char| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c),
            _ => None,
        };
        let name: String = heading.trim().to_lowercase().chars().filter_map(keep).collect();
        let count = self.0.entry(name.clone()).or_default();
        let anchor = if *count == 0 { name } else { format!("{name}-{count}") };
        *count += 1;
        anchor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_githubs() {
        let mut anchors = Anchors::default();
        for (heading, anchor) in [
            ("Two managers by mistake", "two-managers-by-mistake"),
            ("Tokens: the self-hosted service", "tokens-the-self-hosted-service"),
            ("Is the pool well?", "is-the-pool-well"),
            ("What is whose (the node endpoint)", "what-is-whose-the-node-endpoint"),
            ("TLS", "tls"),
            ("TLS", "tls-1"),
            ("a & b_c", "a--b_c"),
        ] {
            assert_eq!(anchors.next(heading), anchor);
        }
    }
}
