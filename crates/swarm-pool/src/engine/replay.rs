//! Tells new events from replayed ones when an event stream is opened again.
//!
//! An engine keeps its last 256 events and replays those at or after `since`; its stream is not
//! strictly in the order of its time stamps. So the stream is opened again a little before the
//! last event seen, and what was seen already is recognised by its bytes.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};

/// As many as an engine can replay (moby `daemon/events`: a buffer of 256 events).
const REMEMBERED: usize = 256;
/// How far before the newest event a stream is opened again, in nanoseconds: more than events of
/// one engine can be out of order by.
const OVERLAP_NANOS: i64 = 2_000_000_000;

/// The memory of one engine's stream.
#[derive(Debug, Default)]
pub struct Replay {
    seen: VecDeque<u64>,
    newest: Option<i64>,
    /// When the stream was first opened: what came before is not this stream's to tell.
    first: i64,
    catching_up: bool,
}

impl Replay {
    /// Where to open the stream, in nanoseconds since 1970 by the engine's clock, which shows `now`;
    /// `None` for a first opening, which wants only what comes.
    pub fn since(&self, now: i64) -> Option<i64> {
        // A clock that was set back must not leave the stream waiting for the old time.
        let newest = self.newest?.min(now);
        Some((newest - OVERLAP_NANOS).max(self.first.min(now)))
    }

    /// A stream is being opened when the engine's clock shows `now`; until something new is seen,
    /// each event may be a repeat.
    pub fn opened(&mut self, now: i64) {
        self.catching_up = self.newest.is_some();
        if self.newest.is_none() {
            // Even when nothing ever came, a second opening must cover the gap before it.
            self.newest = Some(now);
            self.first = now;
        }
    }

    /// True when `line` has not been seen before. `nanos` is the event's own time.
    pub fn is_new(&mut self, line: &[u8], nanos: i64) -> bool {
        let mut hasher = DefaultHasher::new();
        hasher.write(line);
        let hash = hasher.finish();
        if self.catching_up && self.seen.contains(&hash) {
            return false;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(hash);
        if let Some(newest) = &mut self.newest {
            // Past the overlap nothing can be a repeat, and the look-up is saved.
            if nanos > *newest + OVERLAP_NANOS {
                self.catching_up = false;
            }
            *newest = nanos.max(*newest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(nanos: i64) -> (Vec<u8>, i64) {
        (format!("{{\"timeNano\":{nanos}}}").into_bytes(), nanos)
    }

    #[test]
    fn a_reopened_stream_yields_each_event_once() {
        let mut replay = Replay::default();
        replay.opened(1_000_000_000);
        let history: Vec<_> = (0..300).map(|n| event(1_000_000_000 + n * 50_000_000)).collect();
        let mut passed = 0;
        for (line, nanos) in &history[..200] {
            passed += usize::from(replay.is_new(line, *nanos));
        }
        // The connection breaks; the engine replays its buffer from `since` and goes on.
        let since = replay.since(i64::MAX).unwrap();
        replay.opened(0);
        for (line, nanos) in history.iter().filter(|(_, nanos)| *nanos >= since) {
            passed += usize::from(replay.is_new(line, *nanos));
        }
        assert_eq!(passed, 300);
    }

    #[test]
    fn a_gap_before_the_first_event_is_covered() {
        let mut replay = Replay::default();
        assert_eq!(replay.since(5_000_000_000), None);
        replay.opened(5_000_000_000);
        // Not earlier: what was before the first opening was nobody's to hear.
        assert_eq!(replay.since(6_000_000_000), Some(5_000_000_000));
        let (line, nanos) = event(9_000_000_000);
        assert!(replay.is_new(&line, nanos));
        assert_eq!(replay.since(9_500_000_000), Some(7_000_000_000));
    }

    #[test]
    fn a_clock_that_was_set_back_loses_nothing() {
        let mut replay = Replay::default();
        replay.opened(50_000_000_000);
        let (line, nanos) = event(60_000_000_000);
        assert!(replay.is_new(&line, nanos));
        assert_eq!(replay.since(20_000_000_000), Some(20_000_000_000));
    }

    #[test]
    fn out_of_order_events_are_not_taken_for_repeats() {
        let mut replay = Replay::default();
        replay.opened(0);
        let (late, at) = event(10);
        let (newer, then) = event(20);
        assert!(replay.is_new(&newer, then));
        replay.opened(0);
        assert!(!replay.is_new(&newer, then));
        assert!(replay.is_new(&late, at));
    }
}
