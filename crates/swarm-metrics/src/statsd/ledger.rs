//! What the receiver has been told: a counter is sent as what it has grown by since.
//!
//! Invariant: only what was handed to the network counts as told ([`Ledger::told`]).

use std::collections::HashMap;

use super::LARGEST;
use super::samples::{Kind, Sample};
use super::wire::Dialect;

/// Counters' values as far as they are told.
#[derive(Debug, Default)]
pub(super) struct Ledger(HashMap<String, f64>);

/// What is sent at once, and which counters' values it tells.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Datagram {
    pub text: String,
    counters: Vec<(String, f64)>,
}

impl Ledger {
    /// What is to be sent now. Counters that have not grown are not in it. A line that no datagram
    /// has room for is an error, beside the rest: its name.
    pub fn due(
        &self,
        dialect: Dialect,
        prefix: &str,
        samples: &[Sample<'_>],
    ) -> (Vec<Datagram>, Option<String>) {
        let mut datagrams: Vec<Datagram> = Vec::new();
        let mut too_long = None;
        for sample in samples {
            let counter = sample.kind == Kind::Counter;
            let told = if counter { self.0.get(sample.series).copied() } else { None };
            // The program's counters begin at 0 with it.
            let value = sample.value - told.unwrap_or_default();
            if counter && value <= 0.0 {
                continue;
            }
            let line = dialect.line(prefix, sample, value);
            if line.len() > LARGEST {
                too_long = Some(sample.series.to_owned());
                continue;
            }
            let fits = |last: &&mut Datagram| last.text.len() + 1 + line.len() <= LARGEST;
            let datagram = match datagrams.last_mut().filter(fits) {
                Some(last) => {
                    last.text.push('\n');
                    last
                }
                None => datagrams.push_mut(Datagram::default()),
            };
            datagram.text.push_str(&line);
            if counter {
                datagram.counters.push((sample.series.to_owned(), sample.value));
            }
        }
        (datagrams, too_long)
    }

    /// It has been sent.
    pub fn told(&mut self, datagram: Datagram) {
        self.0.extend(datagram.counters);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn text(count: usize, value: u32) -> String {
        let series = (0..count).map(|i| format!("swarm_things_total{{kind=\"k{i}\"}} {value}\n"));
        format!("# TYPE swarm_things_total counter\n{}", series.collect::<String>())
    }

    #[test]
    fn what_was_not_sent_is_part_of_what_is_sent_next() {
        let mut ledger = Ledger::default();
        let due = |ledger: &Ledger, value| {
            let text = text(1, value);
            ledger.due(Dialect::Statsd, "s", &samples::read(&text)).0
        };
        assert_eq!(due(&ledger, 0), []);
        let first = due(&ledger, 5).pop().unwrap();
        assert_eq!(first.text, "s.things.kind.k0:5|c");
        // It was lost: nobody says that it was told.
        let second = due(&ledger, 7).pop().unwrap();
        assert_eq!(second.text, "s.things.kind.k0:7|c");
        ledger.told(second);
        assert_eq!(due(&ledger, 7), []);
        assert_eq!(due(&ledger, 9)[0].text, "s.things.kind.k0:2|c");
    }

    #[test]
    fn datagrams_are_filled_and_never_too_long() {
        let text = text(200, 1);
        let samples = samples::read(&text);
        for dialect in [Dialect::Statsd, Dialect::Dogstatsd] {
            let (datagrams, too_long) = Ledger::default().due(dialect, "swarm", &samples);
            assert_eq!(too_long, None);
            let lines: usize = datagrams.iter().map(|one| one.text.lines().count()).sum();
            assert_eq!(lines, 200);
            let lengths: Vec<_> = datagrams.iter().map(|one| one.text.len()).collect();
            assert!(lengths.iter().all(|length| *length <= LARGEST), "{lengths:?}");
            let full = lengths.iter().rev().skip(1).all(|length| *length > LARGEST - 60);
            assert!(lengths.len() > 1 && full, "{lengths:?}");
        }
        let (datagrams, too_long) =
            Ledger::default().due(Dialect::Statsd, &"p".repeat(LARGEST), &samples[..1]);
        assert!(datagrams.is_empty());
        assert_eq!(too_long.as_deref(), Some("swarm_things_total{kind=\"k0\"}"));
    }
}
