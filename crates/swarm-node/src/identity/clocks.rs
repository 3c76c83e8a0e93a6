//! This machine's clock beside a manager's, for words: certificates have dates, and who sees only that one
//! "is not valid yet" does not know which of two clocks is wrong.
//!
//! Invariant: nothing is decided by a manager's clock here; it may come from anybody.

use std::time::Duration;

use jiff::Timestamp;
use swarm_ca::tls::first_contact;
use swarm_model::time::lasting;
use swarm_rpc::v1::RootsRequest;
use swarm_rpc::v1::authority_client::AuthorityClient;
use swarm_rpc::{CALLS, clock, connect};

/// Clocks that differ by more are told of. Certificates bear an hour, people's patience less.
const APART: Duration = Duration::from_mins(1);
/// How long a manager may take to tell its clock.
const ASK: Duration = Duration::from_millis(1500);

/// Two clocks at one moment, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clocks {
    own: i64,
    theirs: i64,
}

impl Clocks {
    /// A manager's clock showed `theirs` just now; `None` where it did not tell.
    pub fn beside(theirs: i64) -> Option<Self> {
        (theirs != 0).then(|| Self { own: clock(), theirs })
    }

    /// Asks the manager at `address`, over a connection that proves nothing.
    pub async fn ask(address: &str) -> Option<Self> {
        let asking = async {
            let tls = std::sync::Arc::new(first_contact().ok()?);
            let channel = connect(address, &tls, CALLS, ASK).await.ok()?;
            let told = AuthorityClient::new(channel).roots(RootsRequest {}).await.ok()?;
            Self::beside(told.into_inner().now)
        };
        tokio::time::timeout(ASK, asking).await.ok().flatten()
    }

    /// What there is to say, where they are far apart.
    pub fn words(self) -> Option<String> {
        let ahead = self.own.saturating_sub(self.theirs);
        if Duration::from_nanos(ahead.unsigned_abs()) < APART {
            return None;
        }
        let side = if ahead > 0 { "ahead" } else { "behind" };
        Some(format!(
            "this machine's clock shows {}, the manager's {}: it is {} {side}. Set whichever is wrong (by \
             NTP for example)",
            shown(self.own),
            shown(self.theirs),
            lasting(ahead)
        ))
    }
}

/// A failure in words, and what the clocks have to do with it.
pub(super) fn with_clocks(words: String, clocks: Option<Clocks>) -> String {
    match clocks.and_then(Clocks::words) {
        Some(apart) => format!("{words}; {apart}"),
        None => words,
    }
}

fn shown(nanos: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(nanos)) {
        Ok(moment) => moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{nanos} ns after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_apart_are_both_named() {
        let day = 86_400 * 1_000_000_000;
        let own = 1_800_000_000 * 1_000_000_000;
        let words = |theirs| Clocks { own, theirs }.words();
        assert_eq!(words(own + 59_000_000_000), None);
        let behind = words(own + 3 * day).unwrap();
        assert!(behind.contains("this machine's clock shows 2027-01-15 08:00:00 UTC"), "{behind}");
        assert!(behind.contains("the manager's 2027-01-18 08:00:00 UTC: it is 3 days behind"));
        let ahead = words(own - 7_200_000_000_000).unwrap();
        assert!(ahead.contains("it is 2 h ahead. Set whichever is wrong"), "{ahead}");
        assert!(words(i64::MIN).is_some() && words(i64::MAX).is_some());
        assert_eq!(Clocks::beside(0), None);
        let failure = || "m:2377: no".to_owned();
        assert_eq!(with_clocks(failure(), Some(Clocks { own, theirs: own })), failure());
        assert_eq!(with_clocks(failure(), None), failure());
    }
}
