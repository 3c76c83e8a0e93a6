//! One event of an engine's `GET /events` stream (API v1.24 and up): what a filter or a cache needs
//! of it, the line itself, and the line with classic Swarm's node attributes spliced in.
//!
//! Invariant: the line is kept as it came; the splice changes `Actor.Attributes` and `from` and
//! nothing else.

mod filter;

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use filter::{EventFilter, EventQuery};

use crate::compact::StrPairs;
use crate::json::{Edits, ParseError, range_in, read, write_string};
use crate::node::NodeJson;

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    raw: Bytes,
    kind: Box<str>,
    action: Box<str>,
    actor_id: Box<str>,
    attributes: StrPairs,
    scope: Box<str>,
    from: Box<str>,
    time_nanos: i64,
    places: Places,
}

/// Where the splice goes, so that it needs no second look at the line.
#[derive(Debug, Clone, Default)]
struct Places {
    attributes: Option<Range<usize>>,
    actor: Option<Range<usize>>,
    from: Option<Range<usize>>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "Type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(rename = "Action", borrow, default)]
    action: Cow<'a, str>,
    #[serde(rename = "Actor", borrow, default, deserialize_with = "present")]
    actor: Option<&'a RawValue>,
    #[serde(borrow, default)]
    scope: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    from: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(default)]
    time: i64,
    #[serde(rename = "timeNano", default)]
    time_nanos: i64,
}

#[derive(Deserialize, Default)]
struct WireActor<'a> {
    #[serde(rename = "ID", borrow, default)]
    id: Cow<'a, str>,
    #[serde(rename = "Attributes", borrow, default, deserialize_with = "present")]
    attributes: Option<&'a RawValue>,
}

/// A value that is there keeps its place, also when it is `null`.
fn present<'de, D: serde::Deserializer<'de>>(raw: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(raw).map(Some)
}

impl Event {
    /// Reads one line (the trailing newline may be there or not).
    pub fn parse(raw: Bytes) -> Result<Self, ParseError> {
        const WHAT: &str = "an event";
        let refused = |why: &str| ParseError { what: WHAT, source: serde::de::Error::custom(why) };
        // The JSON reader does not look into strings it skips, and all of the line is passed on.
        let text = std::str::from_utf8(&raw).map_err(|error| refused(&error.to_string()))?;
        // It also takes an array for a struct.
        if !text.trim_start().starts_with('{') {
            return Err(refused("not an object"));
        }
        let wire: Wire<'_> = read(WHAT, &raw)?;
        let actor: WireActor<'_> = match wire.actor {
            Some(actor) => read::<Option<_>>(WHAT, actor.get().as_bytes())?.unwrap_or_default(),
            None => WireActor::default(),
        };
        let attributes = match actor.attributes {
            Some(attributes) => read(WHAT, attributes.get().as_bytes())?,
            None => StrPairs::default(),
        };
        let place = |value: Option<&RawValue>| value.map(|value| range_in(&raw, value.get()));
        let from = match wire.from {
            Some(from) => read::<Option<String>>(WHAT, from.get().as_bytes())?.unwrap_or_default(),
            None => String::new(),
        };
        // Engines older than API 1.22 name the object and what happened outside of `Actor`.
        let or = |new: Cow<'_, str>, old: &Cow<'_, str>| -> Box<str> {
            if new.is_empty() { old.as_ref().into() } else { new.into() }
        };
        let is_container = wire.kind.is_empty() && !wire.status.is_empty();
        let (id, from) = (or(actor.id, &wire.id), from.into());
        let event = Self {
            kind: if is_container { "container".into() } else { wire.kind.into() },
            action: or(wire.action, &wire.status),
            actor_id: id,
            attributes,
            scope: wire.scope.into(),
            from,
            time_nanos: match wire.time_nanos {
                0 => wire.time.saturating_mul(1_000_000_000),
                nanos => nanos,
            },
            places: Places {
                attributes: place(actor.attributes),
                actor: place(wire.actor),
                from: place(wire.from),
            },
            raw: Bytes::new(),
        };
        Ok(Self { raw, ..event })
    }

    /// The line as the engine sent it.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// `Type`: `container`, `image`, `network`, ...
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// `Action`, whole: `start`, `exec_create: sh -c x`, `health_status: healthy`.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// `Action` up to its colon: `start`, `exec_create`, `health_status`.
    pub fn verb(&self) -> &str {
        self.action.split_once(':').map_or(&*self.action, |(verb, _)| verb)
    }

    /// `Actor.ID`.
    pub fn actor_id(&self) -> &str {
        &self.actor_id
    }

    /// `Actor.Attributes`: the object's labels and facts.
    pub fn attributes(&self) -> &StrPairs {
        &self.attributes
    }

    /// `scope`: `local` or `swarm`.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// `from`: the container's image.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// `timeNano`: nanoseconds since 1970 on the engine's clock.
    pub fn time_nanos(&self) -> i64 {
        self.time_nanos
    }

    /// The line with the node's attributes in it, as classic Swarm sends it on: `node.name`,
    /// `node.id`, `node.addr`, `node.ip` under `Actor.Attributes` and ` node:NAME` after `from`.
    /// Ends as the engine's line ended.
    pub fn with_node(&self, node: &EventNode) -> Vec<u8> {
        let mut edits = Edits::default();
        // Members that have no place yet go in front of all others, in one edit.
        let mut missing = Vec::new();
        let attributes = [b"{", node.attributes.as_slice(), b"}"].concat();
        let is_object = |place: &Range<usize>| self.raw.get(place.start) == Some(&b'{');
        match (&self.places.attributes, &self.places.actor) {
            (Some(place), _) if is_object(place) => {
                edits.insert_first(&self.raw, place, &node.attributes);
            }
            (Some(null), _) => edits.replace(null.clone(), attributes),
            (None, Some(actor)) if is_object(actor) => {
                let members = [b"\"Attributes\":", attributes.as_slice()].concat();
                edits.insert_first(&self.raw, actor, &members);
            }
            (None, actor) => {
                let value = [b"{\"Attributes\":", attributes.as_slice(), b"}"].concat();
                match actor {
                    Some(null) => edits.replace(null.clone(), value),
                    None => missing = [b"\"Actor\":", value.as_slice()].concat(),
                }
            }
        }
        let mut from = Vec::with_capacity(self.from.len() + node.suffix.len() + 2);
        write_string(&mut from, &[&self.from, node.suffix.as_str()].concat());
        if let Some(place) = &self.places.from {
            edits.replace(place.clone(), from);
        } else {
            if !missing.is_empty() {
                missing.push(b',');
            }
            missing.extend_from_slice(b"\"from\":");
            missing.extend_from_slice(&from);
        }
        if let Some(start) = self.raw.iter().position(|byte| *byte == b'{')
            && !missing.is_empty()
        {
            edits.insert_first(&self.raw, &(start..self.raw.len()), &missing);
        }
        edits.apply(&self.raw)
    }
}

/// What is spliced into a node's events, made ready once per node.
#[derive(Debug, Clone)]
pub struct EventNode {
    name: Box<str>,
    id: Box<str>,
    attributes: Vec<u8>,
    suffix: String,
}

impl EventNode {
    /// Prepares the splice for one node.
    pub fn new(node: &NodeJson) -> Self {
        let mut attributes = Vec::new();
        let members =
            [("addr", &node.addr), ("id", &node.id), ("ip", &node.ip), ("name", &node.name)];
        for (index, (key, value)) in members.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            attributes.extend_from_slice(format!("{comma}\"node.{key}\":").as_bytes());
            write_string(&mut attributes, value);
        }
        Self {
            name: node.name.as_str().into(),
            id: node.id.as_str().into(),
            attributes,
            suffix: format!(" node:{}", node.name),
        }
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine's ID.
    pub fn id(&self) -> &str {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn node() -> EventNode {
        EventNode::new(&NodeJson {
            id: "ABCD".into(),
            ip: "10.0.0.7".into(),
            addr: "10.0.0.7:2375".into(),
            name: "node-1".into(),
            ..NodeJson::default()
        })
    }

    fn spliced(raw: &str) -> Value {
        let event = Event::parse(Bytes::copy_from_slice(raw.as_bytes())).unwrap();
        serde_json::from_slice(&event.with_node(&node())).unwrap()
    }

    #[test]
    fn a_line_that_is_no_object_or_no_text_is_refused() {
        assert!(Event::parse(Bytes::from_static(b"[]")).is_err());
        let line = b"{\"Type\":\"container\",\"unknown\":\"\xed\"}";
        assert!(Event::parse(Bytes::from_static(line)).is_err());
    }

    #[test]
    fn the_node_goes_into_attributes_and_from() {
        let raw = r#"{"status":"start","id":"c1","from":"busybox","Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":{"image":"busybox","name":"web"}},"scope":"local","time":1,"timeNano":1000000001,"new":[1, 2]}"#;
        let value = spliced(raw);
        assert_eq!(value["from"], "busybox node:node-1");
        assert_eq!(value["new"], json!([1, 2]));
        let wanted = json!({
            "node.name": "node-1", "node.id": "ABCD", "node.addr": "10.0.0.7:2375",
            "node.ip": "10.0.0.7", "image": "busybox", "name": "web",
        });
        assert_eq!(value["Actor"]["Attributes"], wanted);
    }

    #[test]
    fn events_without_from_attributes_or_actor_get_them() {
        for raw in [
            r#"{"Type":"network","Action":"create","Actor":{"ID":"n","Attributes":{}}}"#,
            r#"{"Type":"network","Action":"create","Actor":{"ID":"n","Attributes":null}}"#,
            r#"{"Type":"network","Action":"create","Actor":{"ID":"n"}}"#,
            r#"{"Type":"network","Action":"create","Actor":null,"from":null}"#,
            r#"{"Type":"network","Actor":{}}"#,
            r#"{"status":"start","id":"n"}"#,
            r"{}",
        ] {
            let value = spliced(raw);
            assert_eq!(value["Actor"]["Attributes"]["node.name"], "node-1", "{raw}");
            assert_eq!(value["from"], " node:node-1", "{raw}");
        }
    }

    #[test]
    fn an_action_has_a_verb() {
        let raw =
            r#"{"Type":"container","Action":"exec_create: sh -c \"a:b\"","Actor":{"ID":"c"}}"#;
        let event = Event::parse(Bytes::from_static(raw.as_bytes())).unwrap();
        assert_eq!((event.verb(), event.actor_id()), ("exec_create", "c"));
        let old =
            Event::parse(Bytes::from_static(br#"{"status":"die","id":"c","time":2}"#)).unwrap();
        assert_eq!(
            (old.kind(), old.action(), old.time_nanos()),
            ("container", "die", 2_000_000_000)
        );
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(event) = Event::parse(line.into()) {
                event.with_node(&node());
            }
        }

        #[test]
        fn the_splice_always_gives_json(
            from in "\\PC{0,8}", name in "\\PC{0,8}",
            labels in prop::collection::btree_map("\\PC{0,8}", "\\PC{0,8}", 0..4),
        ) {
            let raw = json!({"from": from, "Type": name, "Actor": {"ID": name, "Attributes": labels}});
            let value = spliced(&raw.to_string());
            prop_assert_eq!(value["from"].as_str().unwrap(), format!("{from} node:node-1"));
            prop_assert_eq!(value["Actor"]["Attributes"].as_object().unwrap().len(), labels.len() + 4);
        }
    }
}
