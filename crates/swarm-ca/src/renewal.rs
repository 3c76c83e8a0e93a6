//! When a certificate is renewed: at a random moment between half and four fifths of its life, so
//! that a cluster's nodes do not all come at once (swarmkit `ca/certificates.go`:
//! `CertLowerRotationRange`, `CertUpperRotationRange`). Pure: `now` and chance are arguments.

use std::time::{Duration, SystemTime};

use rand::Rng;

use crate::root::BACKDATE;

/// The first wait after a failure (swarmkit `ca/renewer.go`: `RenewTLSExponentialBackoff`).
const FIRST: Duration = Duration::from_secs(5);
/// No wait is longer.
const LONGEST: Duration = Duration::from_hours(1);

/// Within this time all nodes come whose certificates are too old for a life that was made shorter: a
/// swarm's nodes hear of it in the same moment.
pub const SPREAD: Duration = Duration::from_secs(10);

/// When to renew a certificate with these dates: `now` if its life is half over or more. It is to last
/// for `wished` from when it was issued, if that is shorter (Docker lets it go on for its whole life).
///
/// Life counts from when it was issued, not from the date in it, which is an hour earlier: with the
/// shortest expiry that hour is half of all, and a new certificate would be renewed again at once.
pub fn moment(
    (not_before, not_after): (SystemTime, SystemTime),
    wished: Option<Duration>,
    now: SystemTime,
    rng: &mut impl Rng,
) -> SystemTime {
    let issued = not_before + BACKDATE;
    let issued = if issued < not_after { issued } else { not_before };
    let own = not_after.duration_since(issued).unwrap_or_default();
    if now >= issued + own / 2 {
        return now;
    }
    let life = wished.map_or(own, |wished| own.min(wished));
    if now >= issued + life / 2 {
        return now + SPREAD.mul_f64(rng.random_range(0.0..1.0));
    }
    issued + life.mul_f64(rng.random_range(0.5..0.8))
}

/// How long to wait after the renewal failed so many times in a row: doubling, at most an hour, less
/// up to a half by chance.
pub fn pause(failures: u32, rng: &mut impl Rng) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST * 2_u32.pow(doublings)).min(LONGEST).mul_f64(rng.random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    proptest! {
        #[test]
        fn a_young_certificate_waits_for_the_second_half(
            life in 3_600_u64..1_000_000_000, age in 0.0..0.49_f64, seed: u64)
        {
            let issued = at(2_000_000_000);
            let end = issued + Duration::from_secs(life);
            let now = issued + Duration::from_secs(life).mul_f64(age);
            let mut rng = StdRng::seed_from_u64(seed);
            let moment = moment((issued - BACKDATE, end), None, now, &mut rng);
            let waited = moment.duration_since(issued).unwrap();
            let part = waited.div_duration_f64(Duration::from_secs(life));
            prop_assert!((0.499..=0.801).contains(&part), "{part}");
        }

        #[test]
        fn an_old_or_expired_one_is_renewed_at_once(
            life in 3_600_u64..1_000_000_000, age in 0.5001..3.0_f64, seed: u64)
        {
            let issued = at(2_000_000_000);
            let end = issued + Duration::from_secs(life);
            let now = issued + Duration::from_secs(life).mul_f64(age);
            let mut rng = StdRng::seed_from_u64(seed);
            prop_assert_eq!(moment((issued - BACKDATE, end), None, now, &mut rng), now);
        }

        #[test]
        fn a_shorter_life_holds_for_the_certificate_that_is_there(
            life in 7_200_u64..100_000_000, part in 0.01..1.0_f64, age in 0.0..0.49_f64, seed: u64)
        {
            let issued = at(2_000_000_000);
            let (end, wished) =
                (issued + Duration::from_secs(life), Duration::from_secs(life).mul_f64(part));
            let now = issued + Duration::from_secs(life).mul_f64(age);
            let mut rng = StdRng::seed_from_u64(seed);
            let moment = moment((issued - BACKDATE, end), Some(wished), now, &mut rng);
            prop_assert!(moment >= now);
            // Not after four fifths of what is wished now, or, if that is over, at once.
            let latest = (issued + wished.mul_f64(0.801)).max(now + SPREAD);
            prop_assert!(moment <= latest, "{moment:?} {latest:?}");
            prop_assert!(moment >= issued + wished.mul_f64(0.499));
        }

        #[test]
        fn a_longer_life_is_waited_for_until_the_next_certificate(
            life in 3_600_u64..100_000_000, more in 1.0..1000.0_f64, age in 0.0..0.49_f64, seed: u64)
        {
            let issued = at(2_000_000_000);
            let dates = (issued - BACKDATE, issued + Duration::from_secs(life));
            let now = issued + Duration::from_secs(life).mul_f64(age);
            let wished = Duration::from_secs(life).mul_f64(more);
            let drawn = |wished| moment(dates, wished, now, &mut StdRng::seed_from_u64(seed));
            prop_assert_eq!(drawn(Some(wished)), drawn(None));
        }

        #[test]
        fn pauses_grow_and_are_bounded(failures: u32, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let pause = pause(failures, &mut rng);
            prop_assert!(pause >= FIRST / 2 && pause <= LONGEST);
            prop_assert!(failures < 11 || pause >= LONGEST / 2);
        }
    }

    #[test]
    fn a_new_certificate_of_an_hour_is_not_renewed_at_once() {
        let now = at(2_000_000_000);
        let end = now + Duration::from_hours(1);
        let moment = moment((now - BACKDATE, end), None, now, &mut StdRng::seed_from_u64(1));
        assert!(moment >= now + Duration::from_mins(30) && moment <= now + Duration::from_mins(48));
    }

    #[test]
    fn dates_without_sense_are_renewed_at_once() {
        let now = at(2_000_000_000);
        let mut rng = StdRng::seed_from_u64(1);
        assert_eq!(moment((now, now - Duration::from_secs(1)), None, now, &mut rng), now);
        assert!(moment((now, now + Duration::from_mins(10)), None, now, &mut rng) > now);
    }
}
