//! What is shown of a small swarm.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;
use swarm_backend::Wanted;
use swarm_model::node::{ManagerStatus, NodeState};
use swarm_model::service::{ContainerSpec, Replicated, ResourceRequirements, Resources, TaskSpec};
use swarm_model::task::{ServiceAnnotations, TaskStatus};
use swarm_model::{Service, TaskState};

use super::*;

fn node(tables: &mut Tables, id: &str, change: impl FnOnce(&mut Node)) {
    let mut node = Node { id: id.into(), ..Node::default() };
    node.description.hostname = format!("host-{id}");
    node.description.resources =
        Resources { nano_cpus: 4_000_000_000, memory_bytes: 1 << 30, ..Resources::default() };
    node.status.state = NodeState::Ready;
    change(&mut node);
    tables.nodes.insert(id.into(), Arc::new(node));
}

fn spec() -> Arc<TaskSpec> {
    let reservations =
        Resources { nano_cpus: 500_000_000, memory_bytes: 64 << 20, ..Resources::default() };
    let container = ContainerSpec { image: "nginx:1".to_owned(), ..ContainerSpec::default() };
    Arc::new(TaskSpec {
        container_spec: Some(container),
        resources: Some(ResourceRequirements {
            reservations: Some(reservations),
            ..ResourceRequirements::default()
        }),
        ..TaskSpec::default()
    })
}

fn service(tables: &mut Tables, id: &str, replicas: u64) {
    let mut service = Service { id: id.into(), ..Service::default() };
    service.spec.name = format!("name-{id}");
    service.spec.mode.replicated = Some(Replicated { replicas: Some(replicas) });
    service.spec.task_template = spec();
    tables.services.insert(id.into(), Arc::new(service));
}

fn task(tables: &mut Tables, id: &str, place: (&str, u64, &str), states: (TaskState, TaskState)) {
    let (service, slot, node) = place;
    let (desired_state, state) = states;
    let name = format!("name-{service}");
    let mut task = Task {
        id: id.into(),
        service_id: service.into(),
        service_annotations: Arc::new(ServiceAnnotations { name, ..ServiceAnnotations::default() }),
        slot,
        node_id: node.into(),
        spec: spec(),
        desired_state,
        status: TaskStatus { state, message: format!("says {id}"), ..TaskStatus::default() },
        ..Task::default()
    };
    task.lineage.nth = id.bytes().map(u64::from).sum();
    if state.is_end() {
        task.status.err = format!("error of {id}");
    }
    tables.insert(Arc::new(task));
}

use TaskState::{Complete, Failed, Pending, Running, Shutdown};

fn small() -> Tables {
    let mut tables = Tables::default();
    node(&mut tables, "a", |node| {
        node.member = 7;
        let addr = "10.0.0.1:2377".to_owned();
        node.manager_status = Some(ManagerStatus { addr, ..ManagerStatus::default() });
    });
    node(&mut tables, "b", |node| node.status.state = NodeState::Down);
    node(&mut tables, "c", |_| {});
    service(&mut tables, "s", 3);
    task(&mut tables, "t1", ("s", 1, "a"), (Running, Running));
    task(&mut tables, "t0", ("s", 1, "a"), (Shutdown, Failed));
    task(&mut tables, "t2", ("s", 2, "a"), (Shutdown, Running));
    task(&mut tables, "t3", ("s", 3, ""), (Running, Pending));
    task(&mut tables, "t4", ("s", 4, "c"), (Shutdown, Failed));
    task(&mut tables, "t5", ("s", 4, "c"), (Shutdown, Failed));
    task(&mut tables, "t6", ("s", 5, "c"), (Shutdown, Shutdown));
    tables
}

fn names(look: &Look, node: &str) -> Vec<String> {
    look.on(node).iter().map(|task| format!("{} {}", task.id, look.name(task))).collect()
}

#[test]
fn what_is_wanted_or_runs_is_shown_and_of_the_rest_what_failed_last() {
    let look = Look::new(&small(), None, &[]);
    assert_eq!(names(&look, "a"), ["t1 name-s.1", "t2 name-s.2"]);
    assert_eq!(names(&look, "c"), ["t5 name-s.4"], "the newest of its slot");
    assert_eq!(names(&look, ""), ["t3 name-s.3"]);
    let waiting = Waiting { name: "name-s.3".to_owned(), reason: "says t3".to_owned() };
    assert_eq!(look.waiting, [waiting]);
    let failed = task_sight(&look.on("c")[0], "x".to_owned(), "c");
    let told = failed.task.unwrap();
    assert_eq!((failed.state.as_str(), told.error.as_str()), ("failed", "error of t5"));
    assert_eq!((told.desired, told.slot, failed.image.as_str()), ("shutdown", 4, "nginx:1"));
    let waits = task_sight(&look.on("")[0], "x".to_owned(), "~");
    assert_eq!(waits.waits.as_deref(), Some("says t3"));
}

#[test]
fn the_first_of_a_job_is_one_slot_wherever_it_runs() {
    let mut tables = small();
    service(&mut tables, "j", 1);
    let job = tables.services.get(&Id::from("j")).unwrap();
    let mut job = Service::clone(job);
    job.spec.mode.replicated = None;
    job.spec.mode.replicated_job = Some(swarm_model::service::ReplicatedJob::default());
    tables.services.insert("j".into(), Arc::new(job));
    task(&mut tables, "j1", ("j", 0, "c"), (Shutdown, Failed));
    task(&mut tables, "j2", ("j", 0, "a"), (Complete, Running));
    let look = Look::new(&tables, None, &[]);
    assert_eq!(names(&look, "c"), ["t5 name-s.4"], "it is followed elsewhere");
    assert!(names(&look, "a").contains(&"j2 name-j.host-a".to_owned()));
    task(&mut tables, "j2", ("j", 0, ""), (Complete, Pending));
    assert!(names(&Look::new(&tables, None, &[]), "").contains(&"j2 name-j.0".to_owned()));
}

#[test]
fn nodes_have_roles_and_what_is_reserved_and_a_revision_of_their_tasks() {
    let mut tables = small();
    let silent = Member {
        id: 7,
        address: "10.0.0.1:2377".to_owned(),
        leads: true,
        votes: true,
        reachable: false,
    };
    let look = Look::new(&tables, Some("10.0.0.1:2377"), &[silent]);
    let seen: Vec<_> =
        look.nodes.iter().map(|node| (&*node.name, &*node.role, &*node.state)).collect();
    let expected = [
        ("host-a", "leader", "ready"),
        ("host-b", "worker", "down"),
        ("host-c", "worker", "ready"),
    ];
    assert_eq!(seen, expected);
    let first = &look.nodes[0];
    assert_eq!(first.message, "its manager does not answer");
    assert_eq!((first.cpus, first.reserved_nano_cpus), (4, 1_000_000_000), "of two that hold it");
    assert_eq!(first.reserved_memory, 128 << 20);
    let other = Look::new(&tables, Some("10.0.0.9:2377"), &[]);
    assert_eq!((&*other.nodes[0].role, &*other.nodes[0].message), ("manager", ""));
    // Only a node whose tasks changed has another revision.
    let revisions = |look: &Look| look.nodes.iter().map(|node| node.revision).collect::<Vec<_>>();
    let before = revisions(&other);
    let mut changed = Task::clone(&tables.tasks["t1"]);
    changed.version.index = 9;
    tables.insert(Arc::new(changed));
    let after = revisions(&Look::new(&tables, None, &[]));
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1..], after[1..]);
}

#[test]
fn services_say_what_they_lack() {
    let tables = small();
    let services = Look::new(&tables, None, &[]).services;
    let [one] = services.as_slice() else { panic!("{services:?}") };
    assert_eq!(
        (one.name.as_str(), one.mode, one.image.as_str()),
        ("name-s", "replicated", "nginx:1")
    );
    assert_eq!((one.running, one.desired, one.completed), (2, 3, None));
    assert_eq!(one.lacks, "1 × says t3");
}

#[test]
fn a_drain_s_plan_names_what_moves_and_what_would_run_nowhere() {
    let mut tables = small();
    let drain = |tables: &Tables, node: &str| {
        let wanted = Wanted::Drain { node: node.to_owned() };
        plan(tables, &wanted, Time(1), &mut StdRng::seed_from_u64(1)).map_err(|error| error.message)
    };
    let found = drain(&tables, "host-a").unwrap();
    let moves = found["Moves"].as_array().unwrap();
    assert_eq!(moves.len(), 1, "what is to stop anyway does not move: {found}");
    assert_eq!((&moves[0]["ID"], &moves[0]["From"]), (&json!("t1"), &json!("host-a")));
    assert_eq!(
        (&moves[0]["To"], &found["Note"]),
        (&json!("host-c"), &json!("1 would move off host-a"))
    );
    assert!(!moves[0]["Reason"].as_str().unwrap().is_empty());
    // Nowhere to go.
    node(&mut tables, "c", |node| node.status.state = NodeState::Down);
    let found = drain(&tables, "a").unwrap();
    assert!(found["Moves"].as_array().unwrap().is_empty(), "{found}");
    let why = found["Kept"][0]["Reason"].as_str().unwrap();
    assert!(why.starts_with("it would wait: "), "{why}");
    // One on each node.
    let mut global = Service::clone(&tables.services["s"]);
    global.spec.mode = serde_json::from_value(json!({"Global": {}})).unwrap();
    tables.services.insert("s".into(), Arc::new(global));
    let found = drain(&tables, "a").unwrap();
    assert!(found["Kept"][0]["Reason"].as_str().unwrap().contains("one on each node"), "{found}");
    assert!(drain(&tables, "nobody").unwrap_err().contains("not found"));
    let even =
        plan(&tables, &Wanted::Rebalance { limit: 3 }, Time(1), &mut StdRng::seed_from_u64(1));
    let even = even.unwrap();
    assert!(even["Note"].is_string() && even["Moves"].is_array(), "{even}");
}

#[test]
fn a_plan_is_the_same_by_the_same_chance_and_goes_to_any_node_that_is_as_good() {
    let mut tables = small();
    node(&mut tables, "d", |_| {});
    let wanted = Wanted::Drain { node: "a".to_owned() };
    let by = |seed| plan(&tables, &wanted, Time(1), &mut StdRng::seed_from_u64(seed)).unwrap();
    let to = |seed| by(seed)["Moves"][0]["To"].as_str().unwrap().to_owned();
    assert!((0..20).all(|seed| by(seed) == by(seed)));
    assert_eq!((0..20).map(to).collect::<BTreeSet<_>>().len(), 2);
}

#[test]
fn a_service_that_waits_as_a_whole_is_looked_at_again_in_one_pass() {
    let mut tables = small();
    let count = 20_000;
    service(&mut tables, "w", count);
    for slot in 1..=count {
        task(&mut tables, &format!("w{slot:05}"), ("w", slot, ""), (Running, Pending));
    }
    let touched = crate::replica::Touched {
        services_of_tasks: BTreeSet::from(["w".into()]),
        nodes_of_tasks: BTreeSet::from(["".into()]),
        ..crate::replica::Touched::default()
    };
    let took = |look: &mut dyn FnMut()| {
        let begun = std::time::Instant::now();
        look();
        begun.elapsed()
    };
    let mut look = Look::default();
    // Beside each other, whatever else the machine does: a pass for each task would be a hundred times that.
    let first = (0..3).map(|_| took(&mut || look = Look::new(&tables, None, &[]))).max().unwrap();
    let again =
        (0..3).map(|_| took(&mut || look.again(&tables, &touched, None, &[]))).min().unwrap();
    assert!(again < first * 8, "{again:?}, and {first:?} for all of it");
    assert_eq!(look.on("").len(), Look::new(&tables, None, &[]).on("").len());
}

#[test]
fn looking_again_at_what_changed_gives_what_a_new_look_gives() {
    use rand::Rng as _;

    use crate::replica::Touched;

    let pick = |random: &mut StdRng, all: &[&'static str]| all[random.random_range(0..all.len())];
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut tables = small();
        let mut look = Look::new(&tables, None, &[]);
        for _ in 0..30 {
            let mut touched = Touched::default();
            for _ in 0..random.random_range(1..4) {
                match random.random_range(0..5) {
                    0 => {
                        let id = pick(&mut random, &["a", "b", "c", "d"]);
                        touched.nodes.insert(id.into());
                        if tables.nodes.remove(id).is_none() || random.random_bool(0.7) {
                            let named = format!("host-{}", random.random_range(0..9));
                            node(&mut tables, id, |node| node.description.hostname = named);
                        }
                    }
                    1 => {
                        let id = pick(&mut random, &["s", "r"]);
                        touched.services.insert(id.into());
                        if tables.services.remove(id).is_none() || random.random_bool(0.7) {
                            service(&mut tables, id, random.random_range(0..4));
                        }
                    }
                    _ => {
                        // As the tables tell of a task that moved, or became another one's.
                        let id = pick(&mut random, &["t0", "t1", "t2", "t3", "t7", "t8"]);
                        let at = pick(&mut random, &["a", "b", "c", "d", ""]);
                        let of = pick(&mut random, &["s", "r"]);
                        let desired = if random.random_bool(0.5) { Running } else { Shutdown };
                        let states = [Pending, Running, Failed, Shutdown];
                        let state = states[random.random_range(0..states.len())];
                        if let Some(old) = tables.tasks.get(id) {
                            touched.nodes_of_tasks.insert(old.node_id.clone());
                            touched.services_of_tasks.insert(old.service_id.clone());
                        }
                        touched.nodes_of_tasks.insert(at.into());
                        touched.services_of_tasks.insert(of.into());
                        task(
                            &mut tables,
                            id,
                            (of, random.random_range(0..3), at),
                            (desired, state),
                        );
                    }
                }
            }
            let leader = random.random_bool(0.5).then_some("10.0.0.1:2377");
            look.again(&tables, &touched, leader, &[]);
            let fresh = Look::new(&tables, leader, &[]);
            assert_eq!(look.nodes, fresh.nodes, "seed {seed}");
            assert_eq!(look.services, fresh.services, "seed {seed}");
            assert_eq!(look.waiting, fresh.waiting, "seed {seed}");
            for at in ["a", "b", "c", "d", ""] {
                assert_eq!(names(&look, at), names(&fresh, at), "seed {seed}, node {at}");
            }
        }
    }
}
