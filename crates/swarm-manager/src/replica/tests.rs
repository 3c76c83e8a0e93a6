//! What is committed is seen, and only that.

use std::sync::Arc;

use swarm_kv::StoreError;
use swarm_model::service::TaskSpec;
use swarm_model::{Id, Service, Task};

use super::memory::Memory;
use super::{Batch, Replica};

fn task(number: u128, node: &str) -> Task {
    Task {
        id: Id::from_bits(number),
        service_id: "web".into(),
        node_id: node.into(),
        spec: Arc::new(TaskSpec { force_update: 7, ..TaskSpec::default() }),
        ..Task::default()
    }
}

async fn put(replica: &Replica, tasks: &[Task]) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    for task in tasks {
        batch.put(task)?;
    }
    replica.commit(batch).await
}

#[tokio::test]
async fn what_is_committed_is_seen_at_once_and_told_to_followers() {
    let replica = Replica::new(Memory::new());
    let feed = replica.feed();
    put(&replica, &[task(1, ""), task(2, "a")]).await.unwrap();
    let mut moved = replica.read(|tables| {
        assert_eq!(tables.tasks_of_service("web").count(), 2);
        assert_eq!(tables.tasks_of_node("a").count(), 1);
        let tasks: Vec<_> = tables.tasks.values().collect();
        assert!(Arc::ptr_eq(&tasks[0].spec, &tasks[1].spec), "a spec is kept once");
        Task::clone(tasks[1])
    });
    let touched = feed.changed().await;
    assert_eq!((touched.tasks.len(), touched.services_of_tasks.len()), (2, 1));
    moved.node_id = "b".into();
    put(&replica, &[moved.clone()]).await.unwrap();
    let touched = feed.changed().await;
    let nodes: Vec<_> = touched.nodes_of_tasks.iter().map(Id::as_str).collect();
    assert_eq!(nodes, ["a", "b"]);
    replica.read(|tables| assert_eq!(tables.tasks_of_node("a").count(), 0));
    let mut batch = Batch::default();
    replica.read(|tables| batch.delete(&*tables.tasks[&moved.id]));
    replica.commit(batch).await.unwrap();
    replica.read(|tables| assert_eq!(tables.tasks_of_service("web").count(), 1));
}

#[tokio::test]
async fn an_old_version_is_refused_and_nothing_of_the_batch_is_written() {
    let replica = Replica::new(Memory::new());
    put(&replica, &[task(1, "")]).await.unwrap();
    let old = replica.read(|tables| Task::clone(&tables.tasks[&Id::from_bits(1)]));
    put(&replica, std::slice::from_ref(&old)).await.unwrap();
    let refused = put(&replica, &[task(2, ""), old]).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert!(matches!(put(&replica, &[task(1, "")]).await, Err(StoreError::Conflict { .. })));
    replica.read(|tables| assert_eq!(tables.tasks.len(), 1));
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_one_transaction_is_written_in_several() {
    let store = Memory::new();
    let replica = Replica::new(Arc::clone(&store) as _);
    let many: Vec<_> = (1..=5_000).map(|number| task(number, "a")).collect();
    put(&replica, &many).await.unwrap();
    assert!(store.writes() > 1);
    replica.read(|tables| assert_eq!(tables.tasks_of_node("a").count(), 5_000));
    let service = Service { id: "web".into(), ..Service::default() };
    let mut batch = Batch::default();
    batch.put(&service).unwrap();
    replica.commit(batch).await.unwrap();
    // A replica that begins later reads the same.
    let later = Replica::new(store);
    later.read(|tables| assert_eq!((tables.tasks.len(), tables.services.len()), (5_000, 1)));
}
