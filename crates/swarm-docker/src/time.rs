//! Docker's times: RFC 3339 with Go's zero, Unix seconds with a fraction, Go durations, and the
//! wording of `docker ps` ("About a minute").
//!
//! No clock here: "now" is an argument.

use std::num::NonZeroI64;
use std::time::Duration;

use jiff::Timestamp;

/// A moment as nanoseconds since 1970, in 8 bytes even as an `Option`. Go's zero time, which
/// engines send for "never", has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(NonZeroI64);

const ONE: NonZeroI64 = match NonZeroI64::new(1) {
    Some(one) => one,
    None => NonZeroI64::MAX,
};

impl Moment {
    /// The moment `nanos` after 1970; 1970 itself counts as one nanosecond later.
    pub fn from_nanos(nanos: i64) -> Self {
        Self(NonZeroI64::new(nanos).unwrap_or(ONE))
    }

    /// Reads RFC 3339; Go's zero time and what is no time are `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let time: Timestamp = text.parse().ok()?;
        // 62,135,596,800 s before 1970 is year 1, Go's zero; the range of i64 ends in 1677.
        i64::try_from(time.as_nanosecond()).ok().map(Self::from_nanos)
    }

    /// Nanoseconds since 1970.
    pub fn as_nanos(self) -> i64 {
        self.0.get()
    }

    /// How long before `now` this was; zero for the future.
    pub fn age(self, now: Timestamp) -> Duration {
        let nanos = now.as_nanosecond() - i128::from(self.as_nanos());
        u64::try_from(nanos).map_or(Duration::ZERO, Duration::from_nanos)
    }
}

/// A length of time in Docker's words (go-units `HumanDuration`), without "ago".
pub fn human_duration(length: Duration) -> String {
    let mut out = Vec::with_capacity(24);
    write_human_duration(&mut out, length);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends [`human_duration`]: a list of tens of thousands writes as many of them per request, so
/// this allocates and formats nothing.
pub(crate) fn write_human_duration(out: &mut Vec<u8>, length: Duration) {
    let seconds = length.as_secs();
    let minutes = seconds / 60;
    // Hours are rounded to the nearest one; everything above is cut off.
    let hours = (seconds + 1800) / 3600;
    let (number, unit) = match () {
        () if seconds < 1 => return out.extend_from_slice(b"Less than a second"),
        () if seconds == 1 => return out.extend_from_slice(b"1 second"),
        () if seconds < 60 => (seconds, " seconds"),
        () if minutes == 1 => return out.extend_from_slice(b"About a minute"),
        () if minutes < 60 => (minutes, " minutes"),
        () if hours == 1 => return out.extend_from_slice(b"About an hour"),
        () if hours < 48 => (hours, " hours"),
        () if hours < 24 * 14 => (hours / 24, " days"),
        () if hours < 24 * 60 => (hours / 24 / 7, " weeks"),
        () if hours < 24 * 365 * 2 => (hours / 24 / 30, " months"),
        () => (seconds / 3600 / 24 / 365, " years"),
    };
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(unit.as_bytes());
}

/// Reads a Go duration such as `1h30m`, `1.5h`, `-10s`, `300ms`; in nanoseconds.
pub fn parse_go_duration(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(i128::from(whole) * unit)?;
        total += nanos_of_fraction(fraction)? * unit / 1_000_000_000;
        rest = tail;
    }
    Some(sign * total)
}

/// `.123` as nanoseconds of one; digits past the ninth are cut off, as the engine does.
fn nanos_of_fraction(digits: &str) -> Option<i128> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let cut = &digits[..digits.len().min(9)];
    let value: i128 = if cut.is_empty() { 0 } else { cut.parse().ok()? };
    Some(value * 10_i128.pow(9 - u32::try_from(cut.len()).ok()?))
}

/// Reads a point in time as Docker's `since` and `until` take it: Unix seconds with an optional
/// fraction, RFC 3339 (a missing zone is UTC, a missing time midnight), or a Go duration before
/// `now`.
pub fn parse_point(text: &str, now: Timestamp) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if let (Ok(seconds), Some(nanos)) = (whole.parse::<i64>(), nanos_of_fraction(fraction)) {
        return Timestamp::from_nanosecond(i128::from(seconds) * 1_000_000_000 + nanos).ok();
    }
    if let Some(length) = parse_go_duration(text) {
        return Timestamp::from_nanosecond(now.as_nanosecond().checked_sub(length)?).ok();
    }
    text.parse::<Timestamp>().ok().or_else(|| {
        let local: jiff::civil::DateTime = text.trim_end_matches('Z').parse().ok()?;
        local.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_worded_as_docker_words_them() {
        let (minute, hour, day) = (60, 3600, 24 * 3600);
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (minute, "About a minute"),
            (2 * minute - 1, "About a minute"),
            (2 * minute, "2 minutes"),
            (hour - 1, "59 minutes"),
            (hour, "About an hour"),
            (90 * minute, "2 hours"),
            (47 * hour, "47 hours"),
            (2 * day, "2 days"),
            (13 * day, "13 days"),
            (14 * day, "2 weeks"),
            (59 * day, "8 weeks"),
            (60 * day, "2 months"),
            (700 * day, "23 months"),
            (731 * day, "2 years"),
        ] {
            assert_eq!(human_duration(Duration::from_secs(seconds)), words, "{seconds} s");
        }
    }

    #[test]
    fn go_zero_is_no_moment() {
        assert_eq!(Moment::parse("0001-01-01T00:00:00Z"), None);
        assert_eq!(Moment::parse(""), None);
        let moment = Moment::parse("2024-05-01T10:00:00.5Z").unwrap();
        assert_eq!(moment.as_nanos(), 1_714_557_600_500_000_000);
        assert_eq!(Moment::from_nanos(0).as_nanos(), 1);
    }

    #[test]
    fn points_in_time_have_three_forms() {
        let now: Timestamp = "2024-05-01T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("1714557600", "2024-05-01T10:00:00Z"),
            ("1714557600.25", "2024-05-01T10:00:00.25Z"),
            ("10m", "2024-05-01T09:50:00Z"),
            ("1.5h", "2024-05-01T08:30:00Z"),
            ("-10s", "2024-05-01T10:00:10Z"),
            ("2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00Z"),
            ("2024-05-01T10:00:00", "2024-05-01T10:00:00Z"),
            ("2024-05-01", "2024-05-01T00:00:00Z"),
        ] {
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(parse_point(text, now), Some(expected), "{text}");
        }
        for text in ["", "soon", "10", "10x", "1.2.3", "2024-13-01"] {
            let read = parse_point(text, now);
            assert_eq!(read.is_some(), text == "10", "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parsers(text in "\\PC{0,20}|[-+0-9.hmsu]{0,12}") {
            let _ = parse_point(&text, Timestamp::UNIX_EPOCH);
            let _ = parse_go_duration(&text);
            let _ = Moment::parse(&text);
        }
    }
}
