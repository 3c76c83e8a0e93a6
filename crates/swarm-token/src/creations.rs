//! How fast one source may make tokens: some at once, then one every six seconds. Everything else
//! needs a token or the owner's key; this is the one thing that strangers can do, and each costs a
//! row on disk for as long as tokens last.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::clock::Millis;

/// One more token after so long.
const REFILL: Millis = 6_000;
/// Sources that are remembered at a time; more of them share one place.
const SOURCES: usize = 4_096;

/// Counts the tokens that sources made.
#[derive(Debug)]
pub(crate) struct Creations {
    burst: u32,
    /// When each source has all its tokens back. A time that is over is worth nothing.
    full_at: HashMap<u64, Millis>,
}

impl Creations {
    pub(crate) fn new(burst: u32) -> Self {
        Self { burst, full_at: HashMap::new() }
    }

    /// Takes one for `source`; otherwise the seconds until there is one.
    pub(crate) fn take(&mut self, source: IpAddr, now: Millis) -> Result<(), u64> {
        let mut key = key(source);
        if !self.full_at.contains_key(&key) && self.full_at.len() >= SOURCES {
            self.full_at.retain(|_, full| *full > now);
            if self.full_at.len() >= SOURCES {
                key = u64::MAX;
            }
        }
        let full = self.full_at.entry(key).or_insert(now);
        let after = (*full).max(now) + REFILL;
        let furthest = now + REFILL * u64::from(self.burst);
        if after > furthest {
            return Err((after - furthest).div_ceil(1000));
        }
        *full = after;
        Ok(())
    }
}

/// A machine with IPv6 has a whole /64 to choose its addresses from: that is one source.
fn key(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX) | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_makes_some_at_once_and_then_slowly() {
        let mut creations = Creations::new(3);
        let (a, b) = (source("10.0.0.1"), source("10.0.0.2"));
        for _ in 0..3 {
            assert_eq!(creations.take(a, 1_000), Ok(()));
        }
        assert_eq!(creations.take(a, 1_000), Err(6));
        assert_eq!(creations.take(a, 6_500), Err(1));
        assert_eq!(creations.take(b, 1_000), Ok(()), "others are not held up");
        assert_eq!(creations.take(a, 7_000), Ok(()));
        assert_eq!(creations.take(a, 7_000), Err(6));
        for _ in 0..3 {
            assert_eq!(creations.take(a, 1_000_000), Ok(()), "after a rest all are back");
        }
    }

    #[test]
    fn one_ipv6_network_is_one_source() {
        let mut creations = Creations::new(1);
        assert_eq!(creations.take(source("2001:db8::1"), 0), Ok(()));
        assert!(creations.take(source("2001:db8::2"), 0).is_err());
        assert_eq!(creations.take(source("2001:db8:0:1::1"), 0), Ok(()));
        assert_eq!(creations.take(source("10.0.0.1"), 0), Ok(()));
        assert!(creations.take(source("::ffff:10.0.0.1"), 0).is_err());
    }

    #[test]
    fn a_flood_of_sources_is_bounded() {
        let mut creations = Creations::new(1);
        let address = |n: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(n));
        let taken = (0..10_000).filter(|n| creations.take(address(*n), 0).is_ok()).count();
        assert_eq!(taken, SOURCES + 1);
        assert!(creations.full_at.len() <= SOURCES + 1);
        assert_eq!(creations.take(address(20_000), 60_000), Ok(()));
        assert_eq!(creations.full_at.len(), 1, "what is over is forgotten");
    }
}
