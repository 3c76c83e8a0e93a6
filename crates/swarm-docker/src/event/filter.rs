//! The query of `GET /events`: `since`, `until`, and which events a client wants.
//!
//! Source: the engine's `daemon/events/filter.go` (v20.10): it does not refuse unknown filters. The
//! docker CLI turns durations into Unix seconds itself; other clients may send them as they are.

use jiff::Timestamp;

use super::{Event, EventNode};
use crate::error::ApiError;
use crate::filters::Filters;
use crate::query::Query;
use crate::time::parse_point;

/// Actions that carry details after a colon; a filter for one matches by prefix.
const DETAILED: [&str; 3] = ["health_status", "exec_create", "exec_start"];

/// Object kinds whose filter matches the start of the actor's id or name. `node` is told apart.
const BY_ACTOR: [&str; 8] =
    ["daemon", "container", "plugin", "volume", "network", "service", "secret", "config"];

/// The whole query of an event stream.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// Past events from here on come first.
    pub since: Option<Timestamp>,
    /// The stream ends here.
    pub until: Option<Timestamp>,
    /// Which events.
    pub filter: EventFilter,
}

impl EventQuery {
    /// Reads `since`, `until` and `filters`; what is no time, or an end before the beginning, is a
    /// 400.
    pub fn parse(query: &Query, now: Timestamp) -> Result<Self, ApiError> {
        let point = |key: &str| {
            match query.get(key).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => parse_point(text, now).map(Some).ok_or_else(|| {
                ApiError::invalid(format!(
                    "invalid value for {key:?}: {text:?} is neither Unix seconds, RFC 3339 nor a duration"
                ))
            }),
        }
        };
        let (since, until) = (point("since")?, point("until")?);
        if let (Some(since), Some(until)) = (since, until)
            && since > until
        {
            return Err(ApiError::invalid(format!(
                "`since` time ({}) cannot be after `until` time ({})",
                since.as_second(),
                until.as_second()
            )));
        }
        Ok(Self { since, until, filter: EventFilter::new(Filters::from_query(query)?) })
    }
}

/// Which events a client wants.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    filters: Filters,
    by_prefix: bool,
}

impl EventFilter {
    /// Takes the filters of a request.
    pub fn new(filters: Filters) -> Self {
        let by_prefix = filters.get("event").iter().any(|event| DETAILED.contains(&event.as_str()));
        Self { filters, by_prefix }
    }

    /// The filters as given.
    pub fn filters(&self) -> &Filters {
        &self.filters
    }

    /// Whether the client wants this event of `node` (`None`: an event of the cluster itself).
    pub fn includes(&self, event: &Event, node: Option<&EventNode>) -> bool {
        if self.filters.is_empty() {
            return true;
        }
        let filters = &self.filters;
        let attribute = |key: &str| event.attributes().get(key).unwrap_or_default();
        let action = if self.by_prefix {
            filters.fuzzy("event", event.action())
        } else {
            filters.exact("event", event.action())
        };
        let by_actor = |key: &&str| {
            filters.fuzzy(key, event.actor_id()) || filters.fuzzy(key, attribute("name"))
        };
        action
            && filters.exact("type", event.kind())
            && filters.exact("scope", event.scope())
            && BY_ACTOR.iter().all(by_actor)
            && self.node_matches(event, node)
            && self.image_matches(event)
            && filters.matches_kv("label", |key| event.attributes().get(key))
    }

    /// Container and other events by the node they happened on; swarm mode's own node events by
    /// their actor.
    fn node_matches(&self, event: &Event, node: Option<&EventNode>) -> bool {
        let wanted = self.filters.get("node");
        wanted.is_empty()
            || wanted.iter().any(|wanted| {
                let name = event.attributes().get("name").unwrap_or_default();
                let actor = event.kind() == "node"
                    && (event.actor_id().starts_with(wanted.as_str()) || name == wanted);
                actor || node.is_some_and(|node| node.name() == wanted || node.id() == wanted)
            })
    }

    /// An image's own events by its id or name, a container's by the name of its image; a tag in
    /// the event may be left out of the filter.
    fn image_matches(&self, event: &Event) -> bool {
        let id = event.actor_id();
        let key = if event.kind() == "image" { "name" } else { "image" };
        let name = event.attributes().get(key).unwrap_or_default();
        [id, name, strip_tag(id), strip_tag(name)]
            .into_iter()
            .any(|image| self.filters.exact("image", image))
    }
}

/// `registry:5000/name:tag` without its tag or digest.
fn strip_tag(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeJson;
    use bytes::Bytes;

    fn event(kind: &str, action: &str, id: &str, attributes: &str) -> Event {
        let raw = format!(
            r#"{{"Type":"{kind}","Action":"{action}","Actor":{{"ID":"{id}","Attributes":{attributes}}},"scope":"local"}}"#
        );
        Event::parse(Bytes::from(raw)).unwrap()
    }

    #[test]
    fn filters_read_events_as_the_engine_does() {
        let web = event(
            "container",
            "exec_create: sh",
            "abc123",
            r#"{"name":"web","image":"reg:5000/busybox:1","tier":"front"}"#,
        );
        let node = EventNode::new(&NodeJson { name: "n1".into(), ..NodeJson::default() });
        for (filters, expected) in [
            ("{}", true),
            (r#"{"type":["container"]}"#, true),
            (r#"{"type":["image"]}"#, false),
            (r#"{"event":["exec_create"]}"#, true),
            (r#"{"event":["exec"]}"#, false),
            (r#"{"container":["web"]}"#, true),
            (r#"{"container":["abc"]}"#, true),
            (r#"{"container":["db"]}"#, false),
            (r#"{"network":["web"]}"#, true),
            (r#"{"image":["reg:5000/busybox"]}"#, true),
            (r#"{"image":["busybox"]}"#, false),
            (r#"{"label":["tier=front"]}"#, true),
            (r#"{"label":["tier=back"]}"#, false),
            (r#"{"scope":["swarm"]}"#, false),
            (r#"{"node":["n1"]}"#, true),
            (r#"{"node":["n2"]}"#, false),
        ] {
            let filter = EventFilter::new(Filters::parse(filters).unwrap());
            assert_eq!(filter.includes(&web, Some(&node)), expected, "{filters}");
        }
    }

    #[test]
    fn the_period_is_checked() {
        let now: Timestamp = "2024-05-01T10:00:00Z".parse().unwrap();
        let parse = |query: &str| EventQuery::parse(&Query::parse(query), now);
        let query = parse("since=10m&until=1714557600.5").unwrap();
        assert_eq!(query.since.unwrap().as_second(), 1_714_557_000);
        assert_eq!(query.until.unwrap().subsec_nanosecond(), 500_000_000);
        assert_eq!(
            parse("since=2&until=1").unwrap_err().message,
            "`since` time (2) cannot be after `until` time (1)"
        );
        assert!(
            parse("since=soon").unwrap_err().message.starts_with("invalid value for \"since\"")
        );
        assert!(parse("filters=x").is_err());
    }

    #[test]
    fn tags_are_stripped_and_ports_kept() {
        assert_eq!(strip_tag("a:5000/b"), "a:5000/b");
        assert_eq!(strip_tag("a:5000/b:1"), "a:5000/b");
        assert_eq!(strip_tag("b@sha256:00"), "b");
    }
}
