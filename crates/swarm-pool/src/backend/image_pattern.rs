//! The patterns of an image list's `reference` filter: Go's `path.Match`.
//!
//! `*` and `?` do not cross a `/`; `[a-z]` and `[^a-z]` are sets; `\` takes the next character as it
//! is. Matching is total and takes at most pattern times text steps.

use swarm_backend::{ApiError, Result};

/// Longest pattern; references end at some 400 characters.
const LONGEST: usize = 1024;

#[derive(Debug, Clone)]
enum Piece {
    Star,
    Any,
    Literal(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

/// One pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads a pattern; one that is malformed is a 400.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let bad =
            || ApiError::invalid(format!("invalid filter 'reference={text}': syntax error in it"));
        if text.len() > LONGEST {
            return Err(ApiError::invalid(format!(
                "invalid filter: a reference of more than {LONGEST} bytes"
            )));
        }
        let mut pieces = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(char) = rest.next() {
            pieces.push(match char {
                '*' => Piece::Star,
                '?' => Piece::Any,
                '\\' => Piece::Literal(rest.next().ok_or_else(bad)?),
                '[' => set(&mut rest).ok_or_else(bad)?,
                other => Piece::Literal(other),
            });
        }
        Ok(Self(pieces))
    }

    /// Whether the whole of `text` fits.
    pub(super) fn matches(&self, text: &str) -> bool {
        // `here[i]`: the pieces so far fit the first i characters.
        let text: Vec<char> = text.chars().collect();
        let mut here = vec![false; text.len() + 1];
        here[0] = true;
        for piece in &self.0 {
            let mut next = vec![false; text.len() + 1];
            if matches!(piece, Piece::Star) {
                let mut open = false;
                for at in 0..=text.len() {
                    open = here[at] || (open && at > 0 && text[at - 1] != '/');
                    next[at] = open;
                }
            } else {
                for (at, char) in text.iter().enumerate() {
                    next[at + 1] = here[at] && piece.takes(*char);
                }
            }
            here = next;
        }
        here[text.len()]
    }
}

impl Piece {
    fn takes(&self, char: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => char != '/',
            Self::Literal(literal) => *literal == char,
            Self::Set { negated, ranges } => {
                let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&char));
                within != *negated
            }
        }
    }
}

/// The rest of a set, after its `[`.
fn set(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Piece> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Some(Piece::Set { negated, ranges });
        }
        let low = one(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { one(rest)? } else { low };
        ranges.push((low, high));
    }
}

fn one(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '\\' => rest.next(),
        '-' | ']' => None,
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, expected) in [
            ("app", "app", true),
            ("app", "apps", false),
            ("a*", "app:1", true),
            ("*", "me/app", false),
            ("*/*", "me/app", true),
            ("*/*b", "x/y/zb", false),
            ("a?p", "app", true),
            ("a?p", "a/p", false),
            ("[a-c]pp:[^0-9]", "app:x", true),
            ("[a-c]pp:[^0-9]", "app:1", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("*a*b", "xaxab", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(text),
                expected,
                "{pattern} {text}"
            );
        }
        for bad in ["[", "[]a]", "[a", "[a-", "a\\", "[-x]"] {
            assert_eq!(Pattern::parse(bad).unwrap_err().status(), 400, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_is_read_or_refused(pattern in "[\\[\\]*?\\\\^a-c/-]{0,12}|\\PC{0,12}", text in "[a-c/]{0,9}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                let _ = pattern.matches(&text);
            }
        }

        #[test]
        fn a_text_without_signs_matches_itself(text in "[a-z0-9:/@._-]{0,40}") {
            prop_assert!(Pattern::parse(&text).unwrap().matches(&text));
        }
    }
}
