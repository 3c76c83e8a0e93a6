//! Which metrics and labels an expression of PromQL names. It reads what alerts and dashboards here
//! are made of; a word that it does not know fails the test. Whether an expression is one at all is
//! promtool's to say.

use std::iter::Peekable;
use std::str::Chars;

/// A metric with the labels that its selector asks for: name, operator, value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    pub matchers: Vec<(String, String, String)>,
}

/// What an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub selectors: Vec<Selector>,
    /// Labels of `by (…)`, `on (…)` and the like.
    pub groups: Vec<String>,
}

const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const WORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

type Text<'a> = Peekable<Chars<'a>>;

/// Reads one; panics, as tests do, at what it does not know.
pub fn read(expression: &str) -> Named {
    let mut named = Named::default();
    let mut text = expression.chars().peekable();
    while let Some(&c) = text.peek() {
        if c == '"' {
            quoted(&mut text);
        } else if c == '[' {
            // A range: a duration, or one that the dashboard fills in.
            while text.next().is_some_and(|c| c != ']') {}
        } else if c.is_ascii_digit() {
            while text.next_if(|c| c.is_ascii_alphanumeric() || *c == '.').is_some() {}
        } else if c.is_ascii_alphabetic() || c == '_' {
            let name = word(&mut text);
            let next = after_spaces(&mut text);
            if GROUPING.contains(&name.as_str()) {
                assert_eq!(text.next(), Some('('), "{name} of {expression}");
                named.groups.extend(list(&mut text));
            } else if ["swarm_", "process_"].iter().any(|ours| name.starts_with(ours))
                || name == "up"
            {
                let matchers = if next == Some('{') { matchers(&mut text) } else { Vec::new() };
                named.selectors.push(Selector { metric: name, matchers });
            } else {
                let known = next == Some('(') || WORDS.contains(&name.as_str());
                // An aggregation may have its labels before what it aggregates.
                let aggregates = next.is_some_and(|c| c == 'b' || c == 'w');
                assert!(known || aggregates, "{name:?} of {expression} is no metric of ours");
            }
        } else {
            text.next();
        }
    }
    named
}

fn word(text: &mut Text<'_>) -> String {
    let mut word = String::new();
    while let Some(c) = text.next_if(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == ':') {
        word.push(c);
    }
    word
}

fn after_spaces(text: &mut Text<'_>) -> Option<char> {
    while text.next_if(|c| c.is_whitespace()).is_some() {}
    text.peek().copied()
}

fn quoted(text: &mut Text<'_>) -> String {
    assert_eq!(text.next(), Some('"'));
    text.by_ref().take_while(|c| *c != '"').collect()
}

fn list(text: &mut Text<'_>) -> Vec<String> {
    let inside: String = text.by_ref().take_while(|c| *c != ')').collect();
    inside.split(',').map(|name| name.trim().to_owned()).collect()
}

fn matchers(text: &mut Text<'_>) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    while text.next().is_some_and(|c| c != '}') {
        after_spaces(text);
        let name = word(text);
        let mut operator = String::new();
        while let Some(c) = text.next_if(|c| "=!~".contains(*c)) {
            operator.push(c);
        }
        found.push((name, operator, quoted(text)));
        after_spaces(text);
    }
    found
}

#[test]
fn metrics_labels_and_groups_are_found() {
    let named = read(
        r#"histogram_quantile(0.99, sum by (job, le) (rate(swarm_a_bucket{m="GET",r!~"x|y"}[5m]))) > 2.5
           and on (job) up == 0"#,
    );
    let of = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(named.groups, ["job", "le", "job"]);
    let [first, second] = &named.selectors[..] else { panic!("{named:?}") };
    assert_eq!(first.metric, "swarm_a_bucket");
    assert_eq!(first.matchers, [of("m", "=", "GET"), of("r", "!~", "x|y")]);
    assert_eq!((second.metric.as_str(), second.matchers.len()), ("up", 0));
    assert!(std::panic::catch_unwind(|| read("sum(other_metric) > 1")).is_err());
}
