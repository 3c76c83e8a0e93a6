//! The receivers' notation: a line for each number.
//!
//! Plain `StatsD` knows names alone, so labels become parts of them; `DogStatsD` has tags.

use std::fmt::Write as _;

use super::samples::{Kind, Sample};

/// Which notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `swarm.engines.state.healthy:3|g`.
    Statsd,
    /// `swarm.engines:3|g|#state:healthy`.
    Dogstatsd,
}

impl Dialect {
    /// Its line for `value`: a gauge's value, or what a counter has grown by.
    pub(super) fn line(self, prefix: &str, sample: &Sample<'_>, value: f64) -> String {
        // The prefix stands for the program's own; what is every process's keeps its first word.
        let metric = sample.metric.strip_prefix("swarm_").unwrap_or(sample.metric);
        let mut name = format!("{prefix}.{metric}");
        if self == Self::Statsd {
            for (label, value) in &sample.labels {
                // Writing into a string cannot fail.
                let _ = write!(name, ".{label}.{}", in_name(value));
            }
        }
        if let Some(part) = sample.part {
            let _ = write!(name, ".{part}");
        }
        let tags = match self {
            Self::Dogstatsd if !sample.labels.is_empty() => {
                let tag = |(label, value): &(&str, &str)| format!("{label}:{}", in_tag(value));
                format!("|#{}", sample.labels.iter().map(tag).collect::<Vec<_>>().join(","))
            }
            _ => String::new(),
        };
        match sample.kind {
            Kind::Counter => format!("{name}:{value}|c{tags}"),
            // A sign would say: by so much less than it was.
            Kind::Gauge if self == Self::Statsd && value < 0.0 => {
                format!("{name}:0|g\n{name}:{value}|g")
            }
            Kind::Gauge => format!("{name}:{value}|g{tags}"),
        }
    }
}

/// A label's value as one part of a name: `/containers/{name}/json` is `containers_name_json`.
fn in_name(value: &str) -> String {
    let words = value.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

/// A label's value with what Datadog keeps in tags; it would make `_` of the rest itself.
fn in_tag(value: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
    value.chars().map(|c| if kept(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations() {
        let labels = vec![("method", "GET"), ("route", "/containers/{name}/json")];
        let counter = Sample {
            kind: Kind::Counter,
            metric: "swarm_api_requests",
            part: None,
            labels,
            value: 9.0,
            series: "",
        };
        let time = Sample { metric: "swarm_t_seconds", part: Some("sum"), ..counter.clone() };
        let gauge = Sample {
            kind: Kind::Gauge,
            metric: "process_threads",
            labels: vec![],
            ..counter.clone()
        };
        let table = [
            (
                &counter,
                2.0,
                "p.api_requests.method.GET.route.containers_name_json:2|c",
                "p.api_requests:2|c|#method:GET,route:/containers/_name_/json",
            ),
            (
                &time,
                0.000_25,
                "p.t_seconds.method.GET.route.containers_name_json.sum:0.00025|c",
                "p.t_seconds.sum:0.00025|c|#method:GET,route:/containers/_name_/json",
            ),
            (
                &gauge,
                1e12,
                "p.process_threads:1000000000000|g",
                "p.process_threads:1000000000000|g",
            ),
            (
                &gauge,
                -3.0,
                "p.process_threads:0|g\np.process_threads:-3|g",
                "p.process_threads:-3|g",
            ),
        ];
        for (sample, value, plain, tagged) in table {
            assert_eq!(Dialect::Statsd.line("p", sample, value), plain);
            assert_eq!(Dialect::Dogstatsd.line("p", sample, value), tagged);
        }
    }
}
