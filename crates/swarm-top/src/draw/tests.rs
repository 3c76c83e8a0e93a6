//! The picture of a small pool and of odd ones, at several sizes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Answers, Key};

fn node(name: &str, state: &str, note: &str) -> Value {
    json!({
        "Spec": {"Name": name, "Availability": "active"},
        "Status": {"State": state, "Message": note},
        "Description": {"Resources": {"NanoCPUs": 4_000_000_000_i64, "MemoryBytes": 8_i64 << 30},
                        "Engine": {"EngineVersion": "28.5.2"}},
        "Swarm": {"Containers": 3, "Running": 2,
                  "Reserved": {"NanoCPUs": 3_800_000_000_i64, "MemoryBytes": 1_i64 << 30}}
    })
}

fn container(node: &str, name: &str, state: &str) -> Value {
    json!({"Names": [format!("/{node}/{name}")], "Image": "nginx:1", "State": state,
           "Status": "Up 2 minutes (healthy)",
           "Labels": {"com.docker.compose.service": "web", "com.docker.compose.project": "shop"}})
}

fn small() -> Sight {
    let mut sight = Sight::default();
    sight.answered(&Answers {
        info: json!({"SystemStatus": [["Role", "primary"], ["Strategy", "spread"]], "Warnings": null}),
        nodes: json!([node("n1", "ready", ""), node("n2", "down", "timed out")]),
        containers: json!([container("n1", "web-1", "running"), container("n2", "web-2", "exited")]),
        ..Answers::default()
    });
    sight
        .happened(&json!({"Type": "container", "Action": "die", "timeNano": 3_661_000_000_000_i64,
        "Actor": {"ID": "c", "Attributes": {"name": "web-2", "node.name": "n2"}}}));
    sight
}

fn shown(sight: &Sight, screen: &mut Screen, width: u16, height: u16) -> Vec<String> {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    paint(sight, screen, area, &mut buffer);
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(line).collect()
}

#[test]
fn everything_is_there_in_words() {
    let (sight, mut screen) = (small(), Screen::default());
    let picture = text(&sight, &mut screen, 160);
    for words in [
        "swarm 1 of 2 nodes ready  1 of 2 containers running  strategy spread  this manager is primary",
        "reserved  CPUs [||||||||||] 7.6 / 8   memory [||        ] 2 GiB / 16 GiB",
        "n1          ready         active  2 of 3      [||||||||||] 3.8 / 4    [||        ] 1 GiB / 8 GiB",
        "timed out",
        "web-1       n1          running     Up 2 minutes (healthy)        shop/web",
        "01:01:01  n2          container die                 web-2",
    ] {
        assert!(picture.contains(words), "{words:?} is not in\n{picture}");
    }
    assert_eq!(picture.lines().count(), usize::from(height(&sight, &screen)) - 1);
    let narrow = text(&sight, &mut screen, 80);
    let words = "n2          down          active  2 of 3      95%    12%    timed out";
    assert!(narrow.contains(words), "{words:?} is not in\n{narrow}");
    screen.press(Key::Char('c'));
    assert!(text(&sight, &mut screen, 120).contains("shop/web    1 of 2          2       nginx:1"));
}

#[test]
fn trouble_and_what_waits_are_said_at_the_top() {
    let mut sight = small();
    sight.waiting = "db: it has data there".to_owned();
    assert!(text(&sight, &mut Screen::default(), 120).contains("not rescheduled: db: it has data"));
    sight.failed("connection refused");
    let picture = text(&sight, &mut Screen::default(), 120);
    assert!(picture.contains("what is shown is old: connection refused"), "{picture}");
    assert!(picture.contains("web-1"), "what was known stays: {picture}");
}

#[test]
fn what_the_manager_warns_of_is_said_at_the_top() {
    let top = |warnings: Value| {
        let mut sight = Sight::default();
        sight.answered(&Answers { info: json!({ "Warnings": warnings }), ..Answers::default() });
        text(&sight, &mut Screen::default(), 120)
    };
    let one = top(json!(["WARNING: API is accessible on http://0.0.0.0:2375"]));
    assert!(one.contains("\nwarning: API is accessible on http://0.0.0.0:2375"), "{one}");
    let two = top(json!(["WARNING: node n2 is down: timed out", "WARNING: another"]));
    assert!(two.contains("\n2 warnings, see docker info: node n2 is down: timed out"), "{two}");
    assert!(!top(json!([])).contains("warning"));
}

#[test]
fn a_pool_larger_than_the_screen_is_seen_in_parts() {
    let mut sight = Sight::default();
    let nodes: Vec<_> = (0..50).map(|n| node(&format!("n{n:02}"), "ready", "")).collect();
    let containers: Vec<_> =
        (0..500).map(|n| container("n1", &format!("c{n:03}"), "running")).collect();
    let (nodes, containers) = (Value::from(nodes), Value::from(containers));
    sight.answered(&Answers { nodes, containers, ..Answers::default() });
    let mut screen = Screen::default();
    let lines = shown(&sight, &mut screen, 120, 40).join("\n");
    assert!(
        lines.contains(" nodes 1 to 10 of 50 ") && lines.contains(" containers 1 to "),
        "{lines}"
    );
    screen.press(Key::End);
    screen.press(Key::Tab);
    screen.press(Key::PageDown);
    let lines = shown(&sight, &mut screen, 120, 40).join("\n");
    assert!(
        lines.contains(" nodes 41 to 50 of 50 ") && lines.contains(" containers 11 to "),
        "{lines}"
    );
    for key in "/c499".chars() {
        screen.press(Key::Char(key));
    }
    let lines = shown(&sight, &mut screen, 120, 40).join("\n");
    assert!(lines.contains(" containers 1 ") && lines.contains("look for: c499_"), "{lines}");
}

proptest! {
    #[test]
    fn any_size_can_be_drawn(width in 0_u16..200, height in 0_u16..60, keys in "[cs/?jkq]{0,6}") {
        let mut screen = Screen::default();
        for key in keys.chars() {
            screen.press(Key::Char(key));
        }
        screen.press(Key::End);
        prop_assert_eq!(shown(&small(), &mut screen, width, height).len(), usize::from(height));
    }

    #[test]
    fn any_answer_can_be_shown(info in answer(), nodes in answer(), containers in answer(), event in answer()) {
        let mut sight = Sight::default();
        sight.answered(&Answers { info, nodes, containers, ..Answers::default() });
        sight.happened(&event);
        text(&sight, &mut Screen::default(), 80);
    }
}

/// JSON with the names that are read, in shapes that are not expected.
fn answer() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from)
    ];
    let keys = prop::sample::select(vec![
        "Spec",
        "Name",
        "Status",
        "Names",
        "State",
        "Labels",
        "Swarm",
        "Reserved",
        "NanoCPUs",
        "Description",
        "Resources",
        "SystemStatus",
        "Warnings",
        "Actor",
        "Attributes",
        "timeNano",
    ]);
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let keys = keys.clone();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..4).prop_map(|fields| {
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}
