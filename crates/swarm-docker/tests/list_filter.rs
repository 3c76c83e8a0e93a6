//! The filters of a container list over real entries' shapes.

// A test's own set-up fails the test by failing.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;
use swarm_docker::container::{ListEntry, ListFilter, ListQuery};
use swarm_docker::{Filters, Query};

fn entry(name: &str, created: i64, state: &str, status: &str) -> ListEntry {
    let raw = json!({
        "Id": format!("{created:064x}"), "Names": [format!("/{name}"), "/other/alias"],
        "Image": "busybox", "ImageID": "sha256:00", "Created": created, "Ports": [],
        "Labels": {"tier": "front", "com.docker.swarm.task": ""}, "State": state, "Status": status,
        "NetworkSettings": {"Networks": {"net": {"NetworkID": "abcdef"}}},
        "Mounts": [{"Name": "vol", "Destination": "/data"}, {"Source": "/srv", "Destination": "/x"}],
    });
    ListEntry::parse(raw.to_string().as_bytes(), "n1", "10.0.0.1", None).unwrap()
}

fn filter(filters: &str) -> ListFilter {
    ListFilter::parse(Filters::parse(filters).unwrap()).unwrap()
}

#[test]
fn each_filter_picks_what_it_says() {
    let web = entry("web", 10, "running", "Up 2 hours (healthy)");
    for (filters, expected) in [
        ("{}", true),
        (r#"{"name":["^web$"]}"#, true),
        (r#"{"name":["^/web"]}"#, true),
        (r#"{"name":["n1/web"]}"#, true),
        (r#"{"name":["alias"]}"#, true),
        (r#"{"name":["db"]}"#, false),
        (r#"{"id":["000000"]}"#, true),
        (r#"{"id":["a"]}"#, false),
        (r#"{"label":["tier=front"]}"#, true),
        (r#"{"label":["tier=front","x"]}"#, false),
        (r#"{"status":["exited","running"]}"#, true),
        (r#"{"status":["paused"]}"#, false),
        (r#"{"health":["healthy"]}"#, true),
        (r#"{"health":["none"]}"#, false),
        (r#"{"exited":["0"]}"#, false),
        (r#"{"is-task":["true"]}"#, true),
        (r#"{"is-task":["false"]}"#, false),
        (r#"{"volume":["vol"]}"#, true),
        (r#"{"volume":["/data"]}"#, true),
        (r#"{"volume":["/srv"]}"#, true),
        (r#"{"volume":["da"]}"#, false),
        (r#"{"network":["net"]}"#, true),
        (r#"{"network":["abc"]}"#, true),
        (r#"{"network":["ne"]}"#, false),
        (r#"{"node":["n1"]}"#, true),
        (r#"{"node":["n2"]}"#, false),
    ] {
        assert_eq!(filter(filters).matches(&web, "n1"), expected, "{filters}");
    }
    let failed = entry("failed", 10, "exited", "Exited (3) 5 seconds ago");
    assert!(filter(r#"{"exited":["3","4"]}"#).matches(&failed, "n1"));
    assert!(!filter(r#"{"exited":["0"]}"#).matches(&failed, "n1"));
}

#[test]
fn before_and_since_cut_the_list_at_a_container() {
    let all: Vec<_> = (1..=5).map(|at| entry(&format!("c{at}"), at, "running", "Up")).collect();
    let mut cut = filter(r#"{"before":["c4"],"since":["c1"]}"#);
    assert_eq!((cut.before(), cut.since()), (Some("c4"), Some("c1")));
    cut.set_bounds(Some(&all[3]), Some(&all[0]));
    let shown: Vec<_> =
        all.iter().filter(|entry| cut.matches(entry, "n1")).map(ListEntry::name).collect();
    assert_eq!(shown, ["c2", "c3"]);
    let mut sorted: Vec<_> = all.iter().collect();
    sorted.sort_by(|a, b| a.list_order().cmp(&b.list_order()));
    assert_eq!(sorted[0].name(), "c5");
}

#[test]
fn stopped_containers_need_a_reason_to_be_shown() {
    let up = entry("up", 1, "paused", "Up 2 hours (Paused)");
    let down = entry("down", 1, "exited", "Exited (0) 5 seconds ago");
    for (query, both) in [
        ("", false),
        ("limit=-1", false),
        ("all=1", true),
        ("limit=3", true),
        (r#"filters={"status":["exited","paused"]}"#, true),
    ] {
        let query = ListQuery::parse(&Query::parse(query)).unwrap();
        assert!(query.includes(&up, "n1", false) && query.from_cache());
        assert_eq!(query.includes(&down, "n1", false), both, "{query:?}");
        assert_eq!(query.includes(&up, "n1", true), both, "{query:?}");
    }
}

#[test]
fn what_a_list_cannot_tell_is_asked_of_the_engines() {
    let parse = |query: &str| ListQuery::parse(&Query::parse(query)).unwrap();
    assert!(!parse("size=1").from_cache());
    let query = parse(r#"filters={"publish":["80"],"ancestor":["a"],"name":["x"]}"#);
    assert!(!query.from_cache());
    let asked = query.filter.engine_only();
    assert_eq!(asked.keys().collect::<Vec<_>>(), ["ancestor", "publish"]);
}

#[test]
fn wrong_filters_are_refused_in_docker_words() {
    for (filters, words) in [
        (r#"{"x":["1"]}"#, "invalid filter 'x'"),
        (r#"{"status":["odd"]}"#, "invalid filter 'status=odd'"),
        (r#"{"status":["unknown"]}"#, "invalid filter 'status=unknown'"),
        (r#"{"exited":["odd"]}"#, "invalid filter 'exited=odd'"),
        (r#"{"health":["odd"]}"#, "Unrecognised filter value for health: odd"),
        (r#"{"is-task":["odd"]}"#, "invalid filter 'is-task=[odd]'"),
    ] {
        let error = ListFilter::parse(Filters::parse(filters).unwrap()).unwrap_err();
        assert_eq!((error.status().as_u16(), error.message.as_str()), (400, words));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_entry_or_refused(raw in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = ListEntry::parse(&raw, "n1", "10.0.0.1", None);
    }

    /// Whatever order, spacing and extra members an engine sends, what is written is JSON with the
    /// same members.
    #[test]
    fn the_fragment_is_always_whole(
        order in Just(vec!["Id", "Names", "Ports", "State", "Status", "Extra"]).prop_shuffle(),
        drop in 1_usize..6,
        state in "running|exited|odd",
        status in "\\PC{0,12}",
    ) {
        let mut object = serde_json::Map::new();
        for key in order.iter().filter(|key| **key == "Id" || **key != order[drop]) {
            let value = match *key {
                "Names" => json!(["/a"]),
                "Ports" => json!([{"IP": "0.0.0.0", "PrivatePort": 1, "PublicPort": 2, "Type": "tcp"}]),
                "State" => json!(state),
                "Status" => json!(status),
                "Extra" => json!({"State": "x", "deep": [null]}),
                _ => json!("ab"),
            };
            object.insert((*key).to_owned(), value);
        }
        let raw = serde_json::to_vec_pretty(&object).unwrap();
        let entry = ListEntry::parse(&raw, "n1", "10.0.0.1", None).unwrap();
        let mut out = Vec::new();
        entry.write_json(&mut out, jiff::Timestamp::UNIX_EPOCH, false);
        let written: serde_json::Map<_, _> = serde_json::from_slice(&out).unwrap();
        for (key, value) in &object {
            match key.as_str() {
                "Names" => prop_assert_eq!(&written[key], &json!(["/n1/a"])),
                "Ports" => prop_assert_eq!(&written[key][0]["IP"], &json!("10.0.0.1")),
                _ => prop_assert_eq!(&written[key], value),
            }
        }
        prop_assert!(written.contains_key("Status"));
    }
}
