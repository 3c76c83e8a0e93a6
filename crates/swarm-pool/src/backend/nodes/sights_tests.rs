//! What is told to managers that see no engine.

use std::collections::BTreeMap;

use futures_util::stream::BoxStream;
use swarm_backend::{PoolSight, Wanted};

use super::*;

/// What a pool shows.
#[derive(Default)]
struct Shown {
    nodes: BTreeMap<&'static str, (u64, &'static str)>,
    containers: Vec<ContainerSight>,
    waiting: Vec<Waiting>,
}

#[async_trait]
impl Overview for Shown {
    fn watch(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }

    fn pool(&self) -> PoolSight {
        PoolSight { waiting: self.waiting.clone(), ..PoolSight::default() }
    }

    fn nodes(&self) -> Vec<NodeSight> {
        let node = |(key, (revision, state)): (&&str, &(u64, &str))| NodeSight {
            key: (*key).to_owned(),
            state: (*state).to_owned(),
            revision: *revision,
            ..NodeSight::default()
        };
        self.nodes.iter().map(node).collect()
    }

    fn containers(&self, key: &str) -> Vec<ContainerSight> {
        self.containers.iter().filter(|one| one.node == key).cloned().collect()
    }

    fn plan(&self, _: &Wanted) -> Result<Reply> {
        unreachable!("nobody plans here")
    }

    async fn happenings(&self, _since: std::time::SystemTime) -> Result<Reply> {
        unreachable!("nobody asks for events here")
    }
}

fn container(node: &str, id: &str, labels: &[(&str, &str)]) -> ContainerSight {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ContainerSight {
        id: id.to_owned(),
        node: node.to_owned(),
        labels: labels.collect(),
        policy: Some("off".into()),
        ..ContainerSight::default()
    }
}

fn told(told: &mut Told, shown: &Shown, first: bool) -> Vec<SightLine> {
    let lines = told.look(shown, first);
    lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[test]
fn everything_is_told_first_and_then_what_differs() {
    let mut shown = Shown {
        nodes: BTreeMap::from([("a", (1, "healthy")), ("b", (1, "healthy")), ("~", (ALWAYS, ""))]),
        containers: vec![container("a", "c1", &[("tier", "db")])],
        ..Shown::default()
    };
    let mut known = Told::default();
    let lines = told(&mut known, &shown, true);
    let [SightLine::Node(a, on_a), SightLine::Node(b, on_b), SightLine::Node(..), SightLine::Ready] =
        &lines[..]
    else {
        panic!("{lines:?}")
    };
    assert_eq!((a.key.as_str(), b.key.as_str(), on_b.len()), ("a", "b", 0));
    assert_eq!(on_a[..], shown.containers[..], "as they are");
    assert!(told(&mut known, &shown, false).is_empty(), "also what is looked at each time");

    // Another number alone is nothing to tell; another state under the same number is.
    shown.nodes.insert("a", (2, "healthy"));
    assert!(told(&mut known, &shown, false).is_empty());
    shown.nodes.insert("b", (1, "unhealthy"));
    let lines = told(&mut known, &shown, false);
    assert!(matches!(&lines[..], [SightLine::Node(b, _)] if b.state == "unhealthy"), "{lines:?}");
    shown.containers[0].state = "exited".to_owned();
    shown.nodes.insert("a", (3, "healthy"));
    shown.waiting = vec![Waiting { name: "w".to_owned(), reason: "r".to_owned() }];
    let lines = told(&mut known, &shown, false);
    let [SightLine::Node(_, on_a), SightLine::Waiting(waiting)] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!((on_a[0].state.as_str(), waiting.len()), ("exited", 1));
    shown.nodes.remove("a");
    assert_eq!(told(&mut known, &shown, false), [SightLine::Gone("a".to_owned())]);
}

#[test]
fn of_a_task_only_its_name_is_told() {
    let labels = [(LABEL_TASK_ID, "t1"), ("com.docker.swarm.service.name", "web")];
    let shown = Shown {
        nodes: BTreeMap::from([("a", (1, "healthy"))]),
        containers: vec![container("a", "c1", &labels)],
        ..Shown::default()
    };
    let lines = told(&mut Told::default(), &shown, true);
    let Some(SightLine::Node(_, on_a)) = lines.first() else { panic!("{lines:?}") };
    assert_eq!(
        on_a[0].labels.iter().collect::<Vec<_>>(),
        [(&LABEL_TASK_ID.to_owned(), &"t1".to_owned())]
    );
}
