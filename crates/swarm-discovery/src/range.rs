//! Ranges in addresses: `10.0.0.[10:200]:2375` stands for 191 addresses.
//!
//! As in classic Swarm a range is `[FROM:TO]`, both ends included, and numbers are
//! written without padding (`[08:10]` gives 8, 9, 10). Unlike there, an address may
//! hold several ranges (the rightmost counts fastest), and a range that cannot be one
//! is an error instead of an address that no engine can have. Brackets around two or
//! more colons are an IPv6 address and are left alone.
//!
//! Invariants: parsing is total; the number of addresses is known, and refused when it
//! is above [`MAX_ENTRIES`], before the first one is written out.

/// The most engines one discovery may name: an order above the largest pool that is
/// planned for, and small enough to be held in memory whole.
pub const MAX_ENTRIES: usize = 65_536;

/// The longest address, in bytes: a host name has at most 253, a unix socket's path 108.
const MAX_PATTERN: usize = 512;

/// Why a range cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// More addresses than a pool may have.
    #[error("{pattern:?} stands for more than {MAX_ENTRIES} addresses")]
    TooMany {
        /// The pattern as given.
        pattern: String,
    },
    /// Brackets that hold neither a range nor an IPv6 address.
    #[error("{pattern:?} holds [{found}], which is no range; expected [FROM:TO] with two numbers")]
    Malformed {
        /// The pattern as given.
        pattern: String,
        /// What stands between the brackets.
        found: String,
    },
    /// A range that runs backwards.
    #[error("{pattern:?} holds the range [{from}:{to}], which runs backwards")]
    Backwards {
        /// The pattern as given.
        pattern: String,
        /// Its first number.
        from: u32,
        /// Its last number.
        to: u32,
    },
    /// Longer than any address.
    #[error("an address that begins with {start:?} is longer than {MAX_PATTERN} bytes")]
    TooLong {
        /// Its first characters.
        start: String,
    },
}

/// An address with its ranges found and counted, not yet written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern<'a> {
    pieces: Vec<Piece<'a>>,
    count: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Range { from: u32, to: u32 },
}

impl<'a> Pattern<'a> {
    /// Finds the ranges of one address.
    pub fn parse(pattern: &'a str) -> Result<Self, RangeError> {
        if pattern.len() > MAX_PATTERN {
            return Err(RangeError::TooLong { start: pattern.chars().take(32).collect() });
        }
        let mut pieces = Vec::new();
        let mut count: usize = 1;
        let mut rest = pattern;
        while let Some((before, inside, after)) = next_brackets(rest) {
            if inside.matches(':').count() >= 2 {
                // An IPv6 address: its brackets are part of the text.
                pieces.push(Piece::Text(&rest[..rest.len() - after.len()]));
            } else {
                let (from, to) = range(inside).ok_or_else(|| RangeError::Malformed {
                    pattern: pattern.to_owned(),
                    found: inside.to_owned(),
                })?;
                let steps = to.checked_sub(from).ok_or_else(|| RangeError::Backwards {
                    pattern: pattern.to_owned(),
                    from,
                    to,
                })?;
                count = usize::try_from(steps)
                    .ok()
                    .and_then(|steps| steps.checked_add(1))
                    .and_then(|width| width.checked_mul(count))
                    .filter(|count| *count <= MAX_ENTRIES)
                    .ok_or_else(|| RangeError::TooMany { pattern: pattern.to_owned() })?;
                pieces.push(Piece::Text(before));
                pieces.push(Piece::Range { from, to });
            }
            rest = after;
        }
        pieces.push(Piece::Text(rest));
        Ok(Self { pieces, count })
    }

    /// How many addresses it stands for: 1 ..= [`MAX_ENTRIES`].
    pub fn count(&self) -> usize {
        self.count
    }

    /// Writes all addresses out, the rightmost range counting fastest.
    pub fn expand(&self) -> Vec<String> {
        let mut addresses = vec![String::new()];
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    for address in &mut addresses {
                        address.push_str(text);
                    }
                }
                Piece::Range { from, to } => {
                    addresses = addresses
                        .iter()
                        .flat_map(|address| (*from..=*to).map(move |n| format!("{address}{n}")))
                        .collect();
                }
            }
        }
        addresses
    }
}

/// Splits at the first closed pair of brackets: before, inside, after.
fn next_brackets(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('[')?;
    let (inside, after) = rest.split_once(']')?;
    Some((before, inside, after))
}

fn range(inside: &str) -> Option<(u32, u32)> {
    let (from, to) = inside.split_once(':')?;
    Some((number(from)?, number(to)?))
}

/// Decimal digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand(pattern: &str) -> Result<Vec<String>, RangeError> {
        Pattern::parse(pattern).map(|pattern| pattern.expand())
    }

    #[test]
    fn ranges_expand_as_written() {
        let table: &[(&str, &[&str])] = &[
            ("10.0.0.1:2375", &["10.0.0.1:2375"]),
            ("10.0.0.[1:3]:2375", &["10.0.0.1:2375", "10.0.0.2:2375", "10.0.0.3:2375"]),
            ("host[9:10]:1", &["host9:1", "host10:1"]),
            // No padding, as in classic.
            ("host[08:10]:1", &["host8:1", "host9:1", "host10:1"]),
            ("h:[1:2]", &["h:1", "h:2"]),
            ("[1:2]-[3:4]:5", &["1-3:5", "1-4:5", "2-3:5", "2-4:5"]),
            ("[::1]:2375", &["[::1]:2375"]),
            ("[fe80::1]:[1:2]", &["[fe80::1]:1", "[fe80::1]:2"]),
            ("unix:///run/e[1:2].sock", &["unix:///run/e1.sock", "unix:///run/e2.sock"]),
            ("10.0.0.[7:7]:1", &["10.0.0.7:1"]),
            ("[unclosed:1", &["[unclosed:1"]),
            ("", &[""]),
        ];
        for (pattern, expected) in table {
            assert_eq!(expand(pattern).unwrap(), *expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_in_words() {
        let table = [
            ("h[a:b]:1", "holds [a:b], which is no range; expected [FROM:TO]"),
            ("h[1-3]:1", "holds [1-3], which is no range"),
            ("h[:3]:1", "holds [:3], which is no range"),
            ("h[+1:3]:1", "holds [+1:3], which is no range"),
            ("h[]:1", "holds [], which is no range"),
            ("h[1:99999999999]:1", "which is no range"),
            ("h[3:1]:1", "the range [3:1], which runs backwards"),
            ("h[0:65536]:1", "more than 65536 addresses"),
            ("h[0:4294967295]:1", "more than 65536 addresses"),
            ("[1:1000].[1:1000]:1", "more than 65536 addresses"),
        ];
        for (pattern, words) in table {
            let error = expand(pattern).unwrap_err().to_string();
            assert!(error.contains(words), "{pattern}: {error}");
        }
        let error = Pattern::parse(&"x".repeat(513)).unwrap_err();
        assert!(matches!(error, RangeError::TooLong { .. }));
    }

    proptest! {
        #[test]
        fn any_text_expands_or_is_refused(text in "[\\[\\]:0-9a-z.,/-]{0,60}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert!((1..=MAX_ENTRIES).contains(&pattern.count()));
                prop_assert_eq!(pattern.expand().len(), pattern.count());
            }
        }

        #[test]
        fn any_unicode_is_taken_without_a_panic(text in "\\PC{0,80}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert!(!pattern.expand().is_empty());
            }
        }

        #[test]
        fn a_range_gives_each_number_once(from in 0u32..500, width in 0u32..500) {
            let to = from + width;
            let got = expand(&format!("n[{from}:{to}]:1")).unwrap();
            let expected: Vec<_> = (from..=to).map(|n| format!("n{n}:1")).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
