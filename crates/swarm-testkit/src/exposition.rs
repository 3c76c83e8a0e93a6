//! Reads metrics as Prometheus does, and more strictly: what a real reader would let pass and a
//! person would stumble over fails the test in words.
//!
//! Both formats are read: Prometheus text 0.0.4 and OpenMetrics 1.0.0.
// It fails tests, and so may fail as they do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashSet};

/// Published series: `name{label="value",…}` with its labels sorted, and its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    series: BTreeMap<String, f64>,
    /// Families in order, with their types.
    pub families: Vec<(String, String)>,
}

impl Exposition {
    /// Reads one; panics, as tests do, at the first thing that is wrong.
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let open = text.ends_with("# EOF\n");
        let mut read = Self::default();
        let (mut help, mut seen) = (String::new(), HashSet::new());
        for line in text.lines() {
            if line == "# EOF" {
                continue;
            }
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, words) = rest.split_once(' ').expect(line);
                assert!(words.len() > 15 && words.ends_with('.'), "it says too little: {line}");
                assert!(!words.ends_with(".."), "{line}");
                name.clone_into(&mut help);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                assert_eq!(name, help, "help goes before type");
                assert!(seen.insert(name.to_owned()), "{name} comes twice");
                check_name(name, kind, open);
                read.families.push((name.to_owned(), kind.to_owned()));
            } else if let Some(rest) = line.strip_prefix("# UNIT ") {
                let (name, unit) = rest.split_once(' ').expect(line);
                assert!(open && name.ends_with(unit) && name == help, "{line}");
            } else {
                let (series, value) = line.rsplit_once(' ').expect(line);
                let (name, labels) = read_series(series);
                let (family, kind) = read.families.last().expect("a type before the first series");
                let rest = name.strip_prefix(family.as_str()).unwrap_or_else(|| {
                    panic!("{name} stands below {family}");
                });
                let fits = match (kind.as_str(), open) {
                    ("histogram", _) => ["_bucket", "_sum", "_count"].contains(&rest),
                    ("counter", true) => rest == "_total",
                    ("info", true) => rest == "_info",
                    _ => rest.is_empty(),
                };
                assert!(fits, "{name} is no series of the {kind} {family}");
                let value: f64 = value.parse().expect(line);
                assert!(value >= 0.0 && value.is_finite(), "{line}");
                let key = key(name, &labels);
                assert!(read.series.insert(key, value).is_none(), "twice: {line}");
            }
        }
        read.check_histograms();
        read
    }

    /// A histogram's buckets only grow, and the last one is its count.
    fn check_histograms(&self) {
        for (family, _) in self.families.iter().filter(|(_, kind)| kind == "histogram") {
            let mut of: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
            for (series, value) in &self.series {
                let (name, mut labels) = read_series(series);
                if name != format!("{family}_bucket") {
                    continue;
                }
                let bound = labels.iter().position(|(name, _)| name == "le").expect("a bound");
                let (_, bound) = labels.remove(bound);
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
                of.entry(key(&format!("{family}_count"), &labels))
                    .or_default()
                    .push((bound, *value));
            }
            for (count, mut buckets) in of {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{count}: {buckets:?}");
                let last = buckets.last().unwrap();
                assert!(last.0.is_infinite(), "{count} has no bucket for all");
                assert!((last.1 - self.series[&count]).abs() < f64::EPSILON, "{count}");
            }
        }
    }

    /// The value of a series, its labels in any order; `None` when it is not there.
    pub fn get(&self, series: &str) -> Option<f64> {
        let (name, labels) = read_series(series);
        self.series.get(&key(name, &labels)).copied()
    }

    /// All series, sorted.
    pub fn series(&self) -> impl Iterator<Item = (&str, f64)> {
        self.series.iter().map(|(series, value)| (series.as_str(), *value))
    }
}

fn key(name: &str, labels: &[(String, String)]) -> String {
    let mut labels: Vec<_> =
        labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    labels.sort();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

/// Names by the conventions: ours or the process's, counters end in `_total`, nothing else does.
fn check_name(name: &str, kind: &str, open: bool) {
    let letters = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
    assert!(name.chars().all(letters), "{name}");
    assert!(name.starts_with("swarm_") || name.starts_with("process_"), "{name}");
    let total = name.ends_with("_total");
    assert_eq!(total, kind == "counter" && !open, "{name} is a {kind}");
    for unit in ["_ms", "_millis", "_percent", "_mb", "_kb"] {
        assert!(!name.ends_with(unit), "{name} is not in a base unit");
    }
    assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{name} is a {kind}");
}

fn read_series(text: &str) -> (&str, Vec<(String, String)>) {
    let Some((name, rest)) = text.split_once('{') else { return (text, Vec::new()) };
    let mut rest = rest.strip_suffix('}').expect(text);
    let mut labels = Vec::new();
    let mut names = HashSet::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").expect(text);
        // Labels are words of the program's own: none needs an escape.
        let (value, after) = after.split_once('"').expect(text);
        assert!(!value.is_empty() && !value.contains('\\'), "{text}");
        assert!(names.insert(label), "{label} twice in {text}");
        labels.push((label.to_owned(), value.to_owned()));
        rest = match after.strip_prefix(',') {
            Some(after) => after,
            None if after.is_empty() => after,
            None => panic!("{text}"),
        };
    }
    assert!(!labels.is_empty(), "empty brackets in {text}");
    (name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP swarm_x_total Things that were done.\n# TYPE swarm_x_total counter\n\
        swarm_x_total{a=\"b\",c=\"d\"} 3\n\
        # HELP swarm_d_seconds How long things took.\n# TYPE swarm_d_seconds histogram\n\
        swarm_d_seconds_bucket{le=\"1\"} 1\nswarm_d_seconds_bucket{le=\"+Inf\"} 2\n\
        swarm_d_seconds_sum 4\nswarm_d_seconds_count 2\n";

    #[test]
    fn what_is_right_is_read() {
        let read = Exposition::parse(GOOD);
        assert_eq!(read.get("swarm_x_total{c=\"d\",a=\"b\"}"), Some(3.0));
        assert_eq!(read.get("swarm_d_seconds_count"), Some(2.0));
        assert_eq!(read.get("swarm_x_total"), None);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (from, to) in [
            ("swarm_x_total{a", "swarm_y_total{a"),
            ("\"+Inf\"} 2", "\"+Inf\"} 0"),
            ("\"+Inf\"} 2\n", "\"+Inf\"} 2\nswarm_d_seconds_sum 4\n"),
            ("_count 2", "_count 3"),
            ("} 3", "} -3"),
            ("Things that were done.", "Things."),
            ("swarm_x_total", "swarm_x"),
            ("c=\"d\"", "a=\"d\""),
            ("swarm_d", "other_d"),
        ] {
            let wrong = GOOD.replace(from, to);
            let read = std::panic::catch_unwind(|| Exposition::parse(&wrong));
            assert!(read.is_err(), "{wrong}");
        }
    }
}
