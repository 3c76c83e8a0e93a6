//! A moment as swarm mode's objects carry it: RFC 3339 with nanoseconds in JSON, one number in
//! memory. No clock: "now" is always an argument.

use std::fmt;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Go's zero time, which Docker writes for "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Nanoseconds since 1970; 0 is "never".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// Never; in JSON, Go's zero time.
    pub const NEVER: Self = Self(0);

    /// Whether it is [`Time::NEVER`].
    pub fn is_never(&self) -> bool {
        self.0 == 0
    }

    /// So many nanoseconds later; the end of time when that overflows.
    #[must_use]
    pub fn plus(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Nanoseconds from `earlier` to this; negative when it is the later one.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How long so many nanoseconds are, whatever their sign, in one unit, rounded, and for people.
pub fn lasting(nanos: i64) -> String {
    let seconds = (nanos.unsigned_abs() + 500_000_000) / 1_000_000_000;
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_170 => format!("{} min", (seconds + 30) / 60),
        7_170..171_000 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} days", (seconds + 43_200) / 86_400),
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) if !self.is_never() => write!(f, "{time}"),
            _ => f.write_str(NEVER),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let time: Timestamp = text.parse().map_err(D::Error::custom)?;
        // i64 ends in 1677; Go's zero is in year 1.
        Ok(i64::try_from(time.as_nanosecond()).map_or(Self::NEVER, Self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_as_docker_s() {
        for (json, nanos) in [
            (r#""2024-05-01T10:00:00.5Z""#, 1_714_557_600_500_000_000),
            (r#""0001-01-01T00:00:00Z""#, 0),
        ] {
            let time: Time = serde_json::from_str(json).unwrap();
            assert_eq!(time, Time(nanos));
            assert_eq!(serde_json::to_string(&time).unwrap(), json);
        }
        assert!(serde_json::from_str::<Time>("\"soon\"").is_err());
    }
}
