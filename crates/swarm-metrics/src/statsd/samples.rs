//! What is registered, as a list of numbers: read from the text that Prometheus would get, so that
//! both are told the same.

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It is as it is.
    Gauge,
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample<'a> {
    pub kind: Kind,
    /// The metric without what tells its kind: no `_total`, and no `_sum` or `_count`.
    pub metric: &'a str,
    /// `sum` or `count` of a histogram.
    pub part: Option<&'static str>,
    pub labels: Vec<(&'a str, &'a str)>,
    pub value: f64,
    /// The series as it stands in the text: its identity.
    pub series: &'a str,
}

/// Reads Prometheus text. Buckets of histograms are left out: receivers make no quantiles of them.
/// What cannot be read as a number is left out too.
pub(super) fn read(text: &str) -> Vec<Sample<'_>> {
    let mut samples = Vec::new();
    let (mut family, mut form) = ("", "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            (family, form) = rest.split_once(' ').unwrap_or_default();
        }
        if line.starts_with('#') {
            continue;
        }
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let Some(value) = value.parse().ok().filter(|value: &f64| value.is_finite()) else {
            continue;
        };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let (kind, metric, part) = match form {
            "counter" => (Kind::Counter, name.strip_suffix("_total").unwrap_or(name), None),
            "histogram" => match name.strip_prefix(family) {
                Some("_sum") => (Kind::Counter, family, Some("sum")),
                Some("_count") => (Kind::Counter, family, Some("count")),
                _ => continue,
            },
            _ => (Kind::Gauge, name, None),
        };
        samples.push(Sample { kind, metric, part, labels: pairs(labels), value, series });
    }
    samples
}

/// `name="value",…}`. Labels are words of the program's own and hold no quotation marks.
fn pairs(labels: &str) -> Vec<(&str, &str)> {
    let mut pairs = Vec::new();
    let mut rest = labels;
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some((value, after)) = after.split_once('"') else { break };
        pairs.push((name.trim_start_matches(','), value));
        rest = after;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_buckets_are_left_out() {
        let text = "# HELP swarm_x_total Things.\n# TYPE swarm_x_total counter\n\
            swarm_x_total{a=\"b\",c=\"/d,{e}\"} 3\n# TYPE swarm_d_seconds histogram\n\
            swarm_d_seconds_bucket{le=\"1\"} 1\nswarm_d_seconds_sum 0.5\nswarm_d_seconds_count 2\n\
            # TYPE swarm_g gauge\nswarm_g NaN\nswarm_g{a=\"b\"} 7\nnothing\n";
        let read: Vec<_> =
            read(text).into_iter().map(|s| (s.kind, s.metric, s.part, s.labels, s.value)).collect();
        let expected = [
            (Kind::Counter, "swarm_x", None, vec![("a", "b"), ("c", "/d,{e}")], 3.0),
            (Kind::Counter, "swarm_d_seconds", Some("sum"), vec![], 0.5),
            (Kind::Counter, "swarm_d_seconds", Some("count"), vec![], 2.0),
            (Kind::Gauge, "swarm_g", None, vec![("a", "b")], 7.0),
        ];
        assert_eq!(read, expected);
    }
}
