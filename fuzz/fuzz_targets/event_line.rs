//! Event lines: parsing takes anything, and an event passed on with its node is one line of JSON
//! that parses to the same event. The same properties run as `event::tests` in swarm-docker.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use swarm_docker::event::{Event, EventFilter, EventNode};
use swarm_docker::node::NodeJson;

fuzz_target!(|data: &[u8]| {
    let Ok(event) = Event::parse(Bytes::copy_from_slice(data)) else { return };
    let node = EventNode::new(&NodeJson {
        id: "ID".to_owned(),
        ip: "10.0.0.1".to_owned(),
        addr: "10.0.0.1:2375".to_owned(),
        name: "node-\"1\"".to_owned(),
        cpus: 2,
        memory: 1 << 30,
        labels: [("storage".to_owned(), "ssd".to_owned())].into(),
    });
    let line = event.with_node(&node);
    assert!(serde_json::from_slice::<&RawValue>(&line).is_ok());
    let passed = Event::parse(Bytes::from(line)).expect("what was passed on is an event");
    assert_eq!((passed.kind(), passed.action()), (event.kind(), event.action()));
    assert_eq!(passed.actor_id(), event.actor_id());
    assert_eq!(passed.time_nanos(), event.time_nanos());
    assert_eq!(passed.attributes().get("node.name"), Some("node-\"1\""));
    let _ = EventFilter::default().includes(&event, Some(&node));
});
