//! Where tasks go, and in which words they go nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use swarm_model::service::PortConfig;
use swarm_model::{Id, Node, Task, TaskState, Time};

use super::fixture::{node, task};
use super::*;

fn run(board: &mut Board, tasks: &[Task]) -> Vec<Result<String, String>> {
    let tasks: Vec<&Task> = tasks.iter().collect();
    let outcomes = assign(board, &tasks, Time(1), &mut StdRng::seed_from_u64(1));
    let words = |outcome: (Id, Result<Assignment, Arc<Refusal>>)| match outcome.1 {
        Ok(assignment) => Ok(assignment.node.to_string()),
        Err(refusal) => Err(refusal.to_string()),
    };
    outcomes.into_iter().map(words).collect()
}

fn many(service: &str, count: usize, template: &Value) -> Vec<Task> {
    (0..count).map(|at| task(service, &format!("{service}-{at}"), template)).collect()
}

fn constrained(constraint: &str) -> Value {
    json!({"Placement": {"Constraints": [constraint]}})
}

fn place_one(nodes: &[Arc<Node>], template: &Value) -> Result<String, String> {
    run(&mut Board::new(nodes.iter().cloned(), []), &many("s", 1, template)).remove(0)
}

#[test]
fn constraints_choose_by_every_key() {
    let nodes = [
        node("a", &json!({})),
        node(
            "B",
            &json!({"Spec": {"Role": "manager", "Labels": {"disk": "SSD"}},
                    "Description": {"Platform": {"Architecture": "aarch64", "OS": "windows"},
                                    "Engine": {"Labels": {"zone": "x"}}},
                    "Status": {"Addr": "10.1.2.3"}}),
        ),
    ];
    for constraint in [
        "node.id==b",
        "node.id != a",
        "node.hostname==b",
        "NODE.role==Manager",
        "node.labels.disk==ssd",
        "node.labels.disk!=",
        "engine.labels.zone==x",
        "node.platform.os==windows",
        "node.platform.arch==aarch64",
        "node.ip==10.1.2.3",
        "node.ip==10.1.0.0/16",
        "node.ip!=10.0.0.0/16",
    ] {
        let expected = if constraint == "node.labels.disk!=" { None } else { Some("B") };
        let placed = place_one(&nodes, &constrained(constraint));
        assert_eq!(placed.as_deref().ok(), expected, "{constraint}");
    }
    for constraint in ["node.ip==here", "node.ip!=here", "node.colour==red", "node.id==c"] {
        assert_eq!(
            place_one(&nodes, &constrained(constraint)).unwrap_err(),
            "no suitable node (scheduling constraints not satisfied on 2 nodes)",
            "{constraint}"
        );
    }
}

#[test]
fn a_refusal_counts_nodes_by_filter() {
    let nodes = [
        node("a", &json!({"Spec": {"Availability": "pause"}})),
        node("b", &json!({"Status": {"State": "down"}})),
        node("c", &json!({"Description": {"Resources": {"NanoCPUs": 1}}})),
        node("d", &json!({"Description": {"Platform": {"OS": "windows"}}})),
        node("e", &json!({"Spec": {"Labels": {"x": "1"}}})),
    ];
    let template = json!({
        "Resources": {"Reservations": {"NanoCPUs": 1_000_000_000}},
        "Placement": {"Constraints": ["node.labels.x!=1"], "Platforms": [{"OS": "linux"}]}
    });
    assert_eq!(
        place_one(&nodes, &template).unwrap_err(),
        "no suitable node (2 nodes not available for new tasks; insufficient resources on 1 node; \
         scheduling constraints not satisfied on 1 node; unsupported platform on 1 node)"
    );
    assert_eq!(place_one(&[], &json!({})).unwrap_err(), "no suitable node (there are no nodes)");
}

#[test]
fn what_owners_do_not_allow_is_counted_in_words() {
    let allowing = |name, allows: &[&str]| node(name, &json!({"Description": {"Allows": allows}}));
    let nodes = [
        allowing("a", &[]),
        allowing("b", &["devices"]),
        allowing("c", &["privileged", "devices=/dev/fuse"]),
    ];
    let asking = |host: Value| json!({"Host": host});
    let both = asking(json!({"privileged": "true", "devices": "/dev/fuse"}));
    assert_eq!(place_one(&nodes, &both).unwrap(), "c");
    assert_eq!(
        place_one(&nodes, &asking(json!({"privileged": "true", "devices": "/dev/null"})))
            .unwrap_err(),
        "no suitable node (2 nodes do not allow the devices; 1 node does not allow privileged \
         containers)"
    );
    assert!(place_one(&nodes, &asking(json!({"privileged": "false"}))).is_ok());
}

#[test]
fn plugins_and_platforms_must_be_there() {
    let plain = node("a", &json!({}));
    let nfs = node(
        "b",
        &json!({"Description": {"Engine":
        {"Plugins": [{"Type": "Volume", "Name": "nfs:latest"}]}}}),
    );
    let template = json!({"ContainerSpec": {"Image": "x", "Mounts":
        [{"Target": "/a", "VolumeOptions": {"DriverConfig": {"Name": "nfs"}}}]}});
    let refused = place_one(std::slice::from_ref(&plain), &template).unwrap_err();
    assert_eq!(refused, "no suitable node (missing plugin on 1 node)");
    assert_eq!(place_one(&[plain.clone(), nfs], &template).unwrap(), "b");
    let platforms =
        |arch: &str| json!({"Placement": {"Platforms": [{"Architecture": arch, "OS": "linux"}]}});
    assert!(place_one(std::slice::from_ref(&plain), &platforms("amd64")).is_ok());
    assert!(place_one(std::slice::from_ref(&plain), &platforms("")).is_ok());
    assert!(place_one(&[plain], &platforms("arm64")).is_err());
}

#[test]
fn ports_and_replicas_are_limited_per_node() {
    let nodes = [node("a", &json!({})), node("b", &json!({}))];
    let mut tasks = many("s", 3, &json!({}));
    for task in &mut tasks {
        task.host_ports = vec![PortConfig { published_port: 80, ..PortConfig::default() }];
    }
    let mut board = Board::new(nodes.clone(), []);
    let mut placed = run(&mut board, &tasks);
    let refused = placed.pop().unwrap().unwrap_err();
    assert_eq!(refused, "no suitable node (host-mode port already in use on 2 nodes)");
    assert_ne!(placed[0], placed[1]);

    // The engine chooses the host's port: no two are the same.
    for task in &mut tasks {
        task.host_ports = vec![PortConfig { target_port: 80, ..PortConfig::default() }];
    }
    assert!(run(&mut Board::new(nodes.clone(), []), &tasks).iter().all(Result::is_ok));

    let mut board = Board::new(nodes, []);
    let mut placed = run(&mut board, &many("s", 5, &json!({"Placement": {"MaxReplicas": 2}})));
    let refused = placed.pop().unwrap().unwrap_err();
    assert_eq!(refused, "no suitable node (max replicas per node limit exceed)");
    assert!(placed.iter().all(Result::is_ok));
}

#[test]
fn what_is_held_is_given_back() {
    let template = json!({"Resources": {"Reservations": {"MemoryBytes": 8_i64 << 30,
        "GenericResources": [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 1}}]}}});
    let nodes = [node(
        "a",
        &json!({"Description": {"Resources": {"GenericResources":
        [{"NamedResourceSpec": {"Kind": "gpu", "Value": "g0"}}]}}}),
    )];
    let mut board = Board::new(nodes, []);
    let mut tasks = many("s", 2, &template);
    let outcomes =
        assign(&mut board, &[&tasks[0], &tasks[1]], Time(1), &mut StdRng::seed_from_u64(1));
    let assignment = outcomes[0].1.as_ref().unwrap();
    assert!(outcomes[1].1.is_err());
    assignment.apply(&mut tasks[0], Time(2)).unwrap();
    assert_eq!(tasks[0].generic_resources.len(), 1);
    board.set_task(&tasks[0]);
    assert!(run(&mut board, &tasks[1..])[0].is_err(), "told twice, held once");
    tasks[0].status.state = TaskState::Shutdown;
    board.set_task(&tasks[0]);
    assert!(run(&mut board, &tasks[1..])[0].is_ok());
    assert_eq!(board.overbooked().count(), 0);
}

#[test]
fn preferences_spread_over_a_tree() {
    let at = |name: &str, zone: &str, rack: &str| {
        node(name, &json!({"Spec": {"Labels": {"zone": zone, "rack": rack}}}))
    };
    let nodes = [at("a", "1", "x"), at("b", "1", "y"), at("c", "1", "y"), at("d", "2", "x")];
    let template = json!({"Placement": {"Preferences": [
        {"Spread": {"SpreadDescriptor": "node.labels.zone"}},
        {"Spread": {"SpreadDescriptor": "node.labels.rack"}}]}});
    let placed = run(&mut Board::new(nodes, []), &many("s", 8, &template));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in placed {
        *counts.entry(node.unwrap()).or_default() += 1;
    }
    let expected = [("a", 2), ("b", 1), ("c", 1), ("d", 4)];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
}

#[test]
fn the_fewest_tasks_of_the_service_go_before_the_fewest() {
    let nodes = [node("a", &json!({})), node("b", &json!({}))];
    let held = |service: &str, id: &str, on: &str| {
        let mut task = task(service, id, &json!({}));
        (task.node_id, task.status.state) = (Id::from(on), TaskState::Running);
        task
    };
    let running =
        [held("s", "1", "a"), held("o", "2", "b"), held("o", "3", "b"), held("o", "4", "b")];
    let mut board = Board::new(nodes, &running);
    let placed = run(&mut board, &many("s", 2, &json!({})));
    assert_eq!(placed, [Ok("b".to_owned()), Ok("a".to_owned())]);
    let third = many("t", 1, &json!({}));
    let outcome = assign(&mut board, &[&third[0]], Time(1), &mut StdRng::seed_from_u64(1));
    assert_eq!(
        outcome[0].1.as_ref().unwrap().reason,
        "scheduler assigned task to a: it has 0 of the service's tasks and 2 in all, the fewest of 2 \
         suitable nodes"
    );
}

#[test]
fn nodes_where_it_failed_often_come_last_for_a_while() {
    let nodes = [node("a", &json!({})), node("b", &json!({}))];
    let mut board = Board::new(nodes, []);
    let template = json!({});
    for at in 0..5 {
        let mut failing = task("s", &format!("f{at}"), &template);
        (failing.node_id, failing.status.state) = (Id::from("a"), TaskState::Running);
        board.set_task(&failing);
        failing.status.state = TaskState::Failed;
        failing.lineage.ended_at = Time(at);
        board.set_task(&failing);
    }
    let tasks = many("s", 2, &template);
    assert_eq!(run(&mut board, &tasks), [Ok("b".to_owned()), Ok("b".to_owned())]);
    let other = json!({"ForceUpdate": 1});
    let mut fresh = board.clone();
    assert_eq!(run(&mut fresh, &many("s", 1, &other)), [Ok("a".to_owned())], "another spec");
    let later = Time(board::FAILURES_COUNT + 5);
    let outcome =
        assign(&mut board, &[&many("s", 3, &template)[2]], later, &mut StdRng::seed_from_u64(1));
    assert_eq!(&*outcome[0].1.as_ref().unwrap().node, "a");
}

#[test]
fn a_global_service_s_task_is_checked_on_its_node() {
    let nodes = [node("a", &json!({})), node("b", &json!({"Spec": {"Availability": "drain"}}))];
    let bound = |on: &str| Task { node_id: Id::from(on), ..task("s", on, &json!({})) };
    let placed = run(&mut Board::new(nodes, []), &[bound("a"), bound("b"), bound("c")]);
    let words = "no suitable node (1 node not available for new tasks)".to_owned();
    assert_eq!(placed, [Ok("a".to_owned()), Err(words.clone()), Err(words)]);
}

#[test]
fn a_refusal_is_news_once() {
    let mut task = task("s", "1", &json!({}));
    let refusal = Refusal::default();
    assert_eq!(refusal.apply(&mut task, Time(1)), Ok(true));
    assert_eq!(refusal.apply(&mut task, Time(2)), Ok(false));
    assert_eq!(task.status.state, TaskState::Pending);
}

proptest! {
    /// Nothing is overbooked, a refusal is right, and no node has two tasks more of the service than
    /// another that could have had them.
    #[test]
    fn tasks_are_even_and_nothing_is_overbooked(
        sizes in prop::collection::vec(0_i64..6, 1..8), count in 1_usize..30, seed: u64,
    ) {
        let unit = 1_000_000_000_i64;
        let nodes: Vec<_> = sizes.iter().enumerate().map(|(at, size)| {
            node(&format!("n{at}"), &json!({"Description": {"Resources": {"NanoCPUs": size * unit}}}))
        }).collect();
        let template = json!({"Resources": {"Reservations": {"NanoCPUs": unit}}});
        let tasks = many("s", count, &template);
        let mut board = Board::new(nodes, []);
        let all: Vec<&Task> = tasks.iter().collect();
        let outcomes = assign(&mut board, &all, Time(1), &mut StdRng::seed_from_u64(seed));
        let total: i64 = sizes.iter().sum();
        let mut got = vec![0_i64; sizes.len()];
        for (_, outcome) in &outcomes {
            if let Ok(assignment) = outcome {
                got[assignment.node[1..].parse::<usize>().unwrap()] += 1;
            }
        }
        prop_assert_eq!(got.iter().sum::<i64>(), total.min(i64::try_from(count).unwrap()));
        prop_assert_eq!(board.overbooked().count(), 0);
        let most = got.iter().max().unwrap();
        for (have, size) in got.iter().zip(&sizes) {
            prop_assert!(have <= size && (have == size || have + 1 >= *most));
        }
    }
}

proptest! {
    /// A plan keeps every rule, makes the spread better with each move, and leaves nothing to move.
    #[test]
    fn a_plan_evens_out_and_then_there_is_none(
        on in prop::collection::vec(0..4_usize, 1..16), most in 0..4_u64, limit in 1..20_usize,
    ) {
        let names = ["a", "b", "c", "d"];
        let nodes = names.map(|name| {
            let ssd = if name == "d" { "0" } else { "1" };
            node(name, &json!({"Spec": {"Labels": {"ssd": ssd}}}))
        });
        let template = json!({"Placement": {"Constraints": ["node.labels.ssd==1"], "MaxReplicas": most}});
        let mut tasks = many("s", on.len(), &template);
        for (task, at) in tasks.iter_mut().zip(&on) {
            task.node_id = names[*at].into();
            task.status.state = TaskState::Running;
        }
        let mut board = Board::new(nodes, &tasks);
        let all: Vec<&Task> = tasks.iter().collect();
        let mut rng = StdRng::seed_from_u64(3);
        let mut counts = BTreeMap::<&str, i64>::new();
        for at in &on {
            *counts.entry(names[*at]).or_default() += 1;
        }
        let moves = even::even(&mut board, &all, limit, Time(1), &mut rng);
        prop_assert!(moves.len() <= limit);
        for one in &moves {
            let (from, to) = (counts[&*one.from], counts.get(&*one.to).copied().unwrap_or(0));
            prop_assert!(from >= to + 2, "{one:?} {counts:?}");
            prop_assert!(&*one.to != "d" && (most == 0 || to < i64::try_from(most).unwrap()));
            *counts.get_mut(&*one.from).unwrap() -= 1;
            *counts.entry(names[names.iter().position(|name| *name == &*one.to).unwrap()]).or_default() += 1;
        }
        if moves.len() < limit {
            for task in &mut tasks {
                if let Some(one) = moves.iter().find(|one| one.task == task.id) {
                    task.node_id = one.to.clone();
                }
            }
            let all: Vec<&Task> = tasks.iter().collect();
            let again = even::even(&mut board, &all, limit, Time(1), &mut rng);
            prop_assert_eq!(again, vec![]);
        }
    }
}
