//! Until when a certificate is good.

use crate::verdict::{Level, Verdict};

const DAY: i64 = 24 * 3_600;
/// From how long before its end on a certificate is worth a warning, in seconds.
const SOON: i64 = 30 * DAY;
/// One that is renewed by itself was not renewed in time when less than this share is left, in percent.
pub(crate) const LEFT: i64 = 15;

/// A certificate's life, in seconds since 1970.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Which, in words.
    pub name: String,
    /// From when on it is good.
    pub begins: i64,
    /// Until when.
    pub ends: i64,
}

impl Certificate {
    /// Whether it is good, and for how long.
    pub fn judge(&self, now: i64) -> Verdict {
        let mut verdict = Verdict::new(String::new());
        let Self { name, begins, ends } = self;
        let renew = "make a new one; SIGHUP has a manager read it";
        if now < *begins {
            let days = (begins - now).div_euclid(DAY) + 1;
            let todo = "set the clock, or take another certificate";
            verdict.find(Level::Critical, format!("{name} is not good yet, for {days} days"), todo);
        } else if now >= *ends {
            let days = (now - ends).div_euclid(DAY);
            verdict.find(Level::Critical, format!("{name} has ended {days} days ago"), renew);
        } else {
            let days = (ends - now).div_euclid(DAY);
            if ends - now < SOON {
                verdict.find(Level::Warning, format!("{name} ends in {days} days"), renew);
            } else {
                verdict.fact(format!("{name} is good for {days} days"));
            }
        }
        verdict
    }

    /// The same of one that its owner renews by himself, between half and four fifths of its life.
    pub fn judge_renewed(&self, now: i64) -> Verdict {
        let mut verdict = Verdict::new(String::new());
        let Self { name, begins, ends } = self;
        let (left, life) = (ends - now, ends - begins);
        let words = |seconds: i64| match seconds {
            ..7_200 => format!("{} min", seconds / 60),
            7_200..172_800 => format!("{} h", seconds / 3_600),
            _ => format!("{} days", seconds / DAY),
        };
        if left <= 0 {
            let what = format!("{name} has ended {} ago", words(-left));
            let todo = "a manager renews it as soon as one is reached: look whether the daemon runs, at \
                        its log, and at this machine's clock";
            verdict.find(Level::Critical, what, todo);
        } else if left < life / 100 * LEFT {
            let todo = "a manager renews it: look whether one is reached, and at the daemon's log";
            verdict.find(Level::Warning, format!("{name} ends in {}", words(left)), todo);
        } else {
            verdict.fact(format!("{name} is good for {}, and is renewed before", words(left)));
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_renews_itself_is_told_of_when_it_did_not() {
        let name = "the node's certificate".to_owned();
        let certificate = Certificate { name, begins: 0, ends: 90 * DAY };
        for (day, level, words) in [
            (60, Level::Healthy, "is good for 30 days, and is renewed before"),
            (80, Level::Warning, "ends in 10 days"),
            (89, Level::Warning, "ends in 24 h"),
            (91, Level::Critical, "has ended 24 h ago"),
        ] {
            let verdict = certificate.judge_renewed(day * DAY);
            assert_eq!(verdict.level(), level, "{day}");
            assert!(verdict.words().contains(words), "{}", verdict.words());
        }
    }

    #[test]
    fn a_certificate_is_told_of_before_it_ends() {
        let certificate = Certificate { name: "cert.pem".into(), begins: 0, ends: 100 * DAY };
        for (now, level, words) in [
            (-2 * DAY, Level::Critical, "critical: cert.pem is not good yet, for 3 days"),
            (0, Level::Healthy, "ok: cert.pem is good for 100 days"),
            (71 * DAY, Level::Warning, "warning: cert.pem ends in 29 days"),
            (103 * DAY, Level::Critical, "critical: cert.pem has ended 3 days ago"),
        ] {
            let verdict = certificate.judge(now);
            assert_eq!(verdict.level(), level, "{now}");
            assert!(verdict.words().contains(words), "{}", verdict.words());
        }
    }
}
