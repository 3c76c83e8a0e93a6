//! What is committed is seen, and only that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use swarm_kv::{Revision, StoreError};
use swarm_model::service::TaskSpec;
use swarm_model::{Id, Service, Task};
use swarm_store::{Followed, Transaction};
use tokio::sync::watch;

use super::memory::Memory;
use super::{Batch, Leadership, Member, Replica, Store};

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

/// A store that takes as long as it is held to tell what it has.
#[derive(Debug)]
struct Slow {
    memory: Arc<Memory>,
    is_held: Mutex<bool>,
    let_go: Condvar,
    /// Somebody waits for what it has.
    is_asked: AtomicBool,
}

#[async_trait]
impl Store for Slow {
    fn follow_all(&self, prefix: &str, since: Option<u64>) -> Followed {
        let held = self.is_held.lock().unwrap();
        self.is_asked.store(*held, Ordering::SeqCst);
        drop(self.let_go.wait_while(held, |held| *held).unwrap());
        self.memory.follow_all(prefix, since)
    }

    fn news(&self) -> watch::Receiver<()> {
        self.memory.news()
    }

    async fn barrier(&self) -> Result<(), StoreError> {
        self.memory.barrier().await
    }

    async fn transact(&self, transaction: Transaction) -> Result<Revision, StoreError> {
        self.memory.transact(transaction).await
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.memory.leadership()
    }

    fn own(&self) -> u64 {
        self.memory.own()
    }

    async fn members(&self) -> Vec<Member> {
        self.memory.members().await
    }

    async fn remove_member(&self, id: u64) -> Result<(), StoreError> {
        self.memory.remove_member(id).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_reading_of_all_keeps_no_thread_from_the_others() {
    let slow = Arc::new(Slow {
        memory: Memory::new(),
        is_held: Mutex::new(false),
        let_go: Condvar::new(),
        is_asked: AtomicBool::new(false),
    });
    let replica = Replica::new(Arc::clone(&slow) as _);
    *slow.is_held.lock().unwrap() = true;
    let fresh = || {
        let replica = Arc::clone(&replica);
        tokio::spawn(async move { replica.fresh().await })
    };
    let first = fresh();
    let goes_on = Arc::new(AtomicBool::new(false));
    // On a thread of its own: where no thread of the runtime is left, no clock of it goes.
    let (store, probe) = (Arc::clone(&slow), Arc::clone(&goes_on));
    let judge = std::thread::spawn(move || {
        let limit = Instant::now() + Duration::from_secs(10);
        while !probe.load(Ordering::SeqCst) && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
        let went_on = probe.load(Ordering::SeqCst);
        *store.is_held.lock().unwrap() = false;
        store.let_go.notify_all();
        went_on
    });
    while !slow.is_asked.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let others: Vec<_> = (0..4).map(|_| fresh()).collect();
    let work = tokio::spawn(async move {
        // After those before it had their turn.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        goes_on.store(true, Ordering::SeqCst);
    });
    let went_on = tokio::task::spawn_blocking(move || judge.join().unwrap()).await.unwrap();
    assert!(went_on, "all threads of the runtime wait");
    work.await.unwrap();
    for one in others.into_iter().chain([first]) {
        one.await.unwrap().unwrap();
    }
}
