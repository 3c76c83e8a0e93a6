//! The filters of lists, as Docker has them (`daemon/cluster/filters.go`): names and ids by their
//! beginning, labels all, values of one key any.

use std::collections::BTreeMap;

use swarm_backend::{Exchange, Result};
use swarm_docker::Filters;

/// The request's filters, of which only these keys are known.
pub(super) fn read(exchange: &Exchange, accepted: &[&str]) -> Result<Filters> {
    let filters = Filters::from_query(&exchange.query)?;
    filters.accept(accepted)?;
    Ok(filters)
}

/// Whether the labels have all that `key` asks for: `name`, or `name=value`. A value that is empty
/// is any, as in Docker.
pub(super) fn labelled(filters: &Filters, key: &str, labels: &BTreeMap<String, String>) -> bool {
    filters.get(key).iter().all(|wanted| {
        let (name, value) = wanted.split_once('=').unwrap_or((wanted, ""));
        labels.get(name).is_some_and(|found| value.is_empty() || found == value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_matched_as_docker_does() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        for (text, expected) in [
            (r#"{"label":["a"]}"#, true),
            (r#"{"label":["a="]}"#, true),
            (r#"{"label":["a=1"]}"#, true),
            (r#"{"label":["a=2"]}"#, false),
            (r#"{"label":["a","b"]}"#, false),
            ("{}", true),
        ] {
            let filters = Filters::parse(text).unwrap();
            assert_eq!(labelled(&filters, "label", &labels), expected, "{text}");
        }
    }
}
