//! Docker Engine API versions: parse, compare, negotiate.
//!
//! Invariant: an `ApiVersion` is always `major.minor` with both parts present, so ordering is
//! numeric and never textual ("1.9" < "1.24").

use std::fmt;
use std::str::FromStr;

/// One version of the Docker Engine API, such as `1.41`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// First number; 1 in every version published so far.
    pub major: u16,
    /// Second number.
    pub minor: u16,
}

impl ApiVersion {
    /// Oldest version served and spoken (the engine's own floor until release 25).
    pub const OLDEST: Self = Self { major: 1, minor: 24 };
    /// Newest version this build knows the routes of (Docker Engine 29).
    pub const NEWEST: Self = Self { major: 1, minor: 52 };

    /// Builds a version from its two numbers.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The version to speak to an engine that serves `oldest..=newest`, for a client that asked
    /// for `self`: the nearest one inside the engine's range.
    #[must_use]
    pub fn clamp_to(self, oldest: Self, newest: Self) -> Self {
        self.min(newest).max(oldest)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text is not `MAJOR.MINOR`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an API version (expected MAJOR.MINOR, such as 1.41)")]
pub struct BadVersion(pub String);

impl FromStr for ApiVersion {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let number = |part: &str| -> Option<u16> {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            if digits { part.parse().ok() } else { None }
        };
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self { major: number(major)?, minor: number(minor)? }))
            .ok_or_else(|| BadVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_numeric() {
        let parse = |text: &str| text.parse::<ApiVersion>().unwrap();
        assert!(parse("1.9") < parse("1.24"));
        assert_eq!(parse("1.41").to_string(), "1.41");
    }

    #[test]
    fn malformed_versions_are_named_in_the_error() {
        for text in ["", "1", "1.", ".41", "1.4.1", "v1.41", "1.-1", "+1.2", "1.99999"] {
            let error = text.parse::<ApiVersion>().unwrap_err();
            assert_eq!(error, BadVersion(text.to_owned()));
        }
    }

    #[test]
    fn clamping_stays_inside_the_engine_range() {
        let v = |minor| ApiVersion::new(1, minor);
        assert_eq!(v(30).clamp_to(v(24), v(41)), v(30));
        assert_eq!(v(52).clamp_to(v(24), v(41)), v(41));
        assert_eq!(v(30).clamp_to(v(44), v(52)), v(44));
    }
}
