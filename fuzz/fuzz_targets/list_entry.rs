//! Containers as engines list and inspect them: parsing takes anything, and what is shown of it is
//! JSON again. The same properties run as `container::list::tests` in swarm-docker.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use swarm_docker::container::{InspectFacts, ListEntry, inspect};
use swarm_docker::node::NodeJson;

fuzz_target!(|data: (&[u8], &[u8])| {
    let (listed, inspected) = data;
    let facts = InspectFacts::parse(inspected).ok();
    for facts in [None, facts.as_ref()] {
        let Ok(entry) = ListEntry::parse(listed, "node-1", "10.0.0.1", facts) else { continue };
        for down in [false, true] {
            let mut shown = Vec::new();
            entry.write_json(&mut shown, Timestamp::now(), down);
            assert!(serde_json::from_slice::<&RawValue>(&shown).is_ok());
        }
    }
    let node = NodeJson {
        id: "ID".to_owned(),
        ip: "10.0.0.1".to_owned(),
        addr: "10.0.0.1:2375".to_owned(),
        name: "node-1".to_owned(),
        cpus: 2,
        memory: 1 << 30,
        labels: [("storage".to_owned(), "ssd".to_owned())].into(),
    };
    if let Ok(shown) = inspect::with_node(inspected, &node) {
        assert!(serde_json::from_slice::<&RawValue>(&shown).is_ok());
    }
});
