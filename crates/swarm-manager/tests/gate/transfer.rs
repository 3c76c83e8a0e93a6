//! A large swarm's store comes to new managers: whole, while writes go on, without another election, and
//! though the way is cut in the midst of it. Prints the figures that docs/benchmarks.md tells; how large the
//! swarm is may be said (`SWARM_TRANSFER_SERVICES`, of which each has ten tasks).

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use swarm_kv::Change;
use swarm_manager::{Batch, Replica};
use swarm_model::{Service, Task};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::manager::Manager;

/// Tasks of each service.
const EACH: usize = 10;
/// Objects in one write.
const AT_ONCE: usize = 500;
/// How long a large store may take on a busy machine.
const LONG: Duration = Duration::from_mins(10);
/// After so many bytes the way is cut, once.
const CUT: u64 = 3 << 20;

fn services() -> usize {
    let asked = std::env::var("SWARM_TRANSFER_SERVICES").ok();
    asked.and_then(|number| number.parse().ok()).unwrap_or(1_000)
}

fn service(number: usize) -> Service {
    let environment: Vec<String> = (0..10).map(|n| format!("VARIABLE_{n}=value-{n}")).collect();
    let service = json!({
        "ID": format!("service{number:018}"),
        "Spec": {
            "Name": format!("service-{number}"), "Labels": {"team": "a"},
            "Mode": { "Replicated": { "Replicas": EACH } },
            "TaskTemplate": {
                "ContainerSpec": { "Image": "registry/team/web:1", "Env": environment },
                "Resources": { "Reservations": { "MemoryBytes": 1 << 20 } },
            },
        },
    });
    serde_json::from_value(service).unwrap()
}

fn task(of: &Service, slot: usize) -> Task {
    let task = json!({
        "ID": format!("task{slot:03}{}", &of.id[7..]), "ServiceID": of.id, "Slot": slot,
        "Spec": of.spec.task_template, "DesiredState": "running",
        "Status": {"State": "running", "Message": "started"},
    });
    serde_json::from_value(task).unwrap()
}

async fn fill(replica: &Arc<Replica>, count: usize) {
    let (mut batch, mut written) = (Batch::default(), 0);
    for number in 0..count {
        let service = service(number);
        batch.put(&service).unwrap();
        for slot in 1..=EACH {
            batch.put(&task(&service, slot)).unwrap();
        }
        if batch.len() >= AT_ONCE || number + 1 == count {
            written += batch.len();
            replica.commit(std::mem::take(&mut batch)).await.unwrap();
        }
    }
    assert_eq!(written, count * (EACH + 1));
}

/// Resident memory of this process, in MiB.
fn memory() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    (pages.unwrap_or(0) * 4096) >> 20
}

/// All objects with their revisions, in one number; and how many.
fn digest(manager: &Manager) -> (usize, u64) {
    let mut all = BTreeMap::new();
    for change in manager.gate.store.follow_all("swarm/", None).changes {
        let Change::Whole(items) = change else { panic!("everything was asked for") };
        all.extend(items.into_iter().map(|item| (item.key, (item.value, item.revision.0))));
    }
    let mut hasher = DefaultHasher::new();
    all.hash(&mut hasher);
    (all.len(), hasher.finish())
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !is_so().await {
        assert!(Instant::now() < limit, "it never came to pass that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a manager has all objects and counts towards the quorum.
async fn filled(manager: &Manager, count: usize, voters: usize) {
    until("it has all objects", async || {
        let replica = &manager.gate.replica;
        replica.read(|tables| (tables.services.len(), tables.tasks.len())) == (count, count * EACH)
    })
    .await;
    until("it votes", async || {
        manager.members().await.iter().filter(|member| member.votes).count() == voters
    })
    .await;
}

/// Writes one service after another until it is told to stop; how many, and the longest that one took.
async fn write_on(replica: Arc<Replica>, over: Arc<AtomicBool>) -> (u32, Duration) {
    let (mut count, mut longest) = (0, Duration::ZERO);
    while !over.load(Ordering::SeqCst) {
        let id = format!("service{:018}", count % 100);
        let mut changed = replica.read(|tables| Service::clone(&tables.services[id.as_str()]));
        changed.spec.labels.insert("written".to_owned(), count.to_string());
        let mut batch = Batch::default();
        batch.put(&changed).unwrap();
        let begun = Instant::now();
        replica.commit(batch).await.unwrap();
        longest = longest.max(begun.elapsed());
        count += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (count, longest)
}

/// Passes bytes on to `there`; cuts the first connection over which more than [`CUT`] came.
async fn passage(listener: TcpListener, there: String, is_cut: Arc<AtomicBool>) {
    while let Ok((here, _)) = listener.accept().await {
        let Ok(there) = TcpStream::connect(&there).await else { continue };
        let ((from, to), (back_from, back_to)) = (here.into_split(), there.into_split());
        let passed = Arc::new(AtomicU64::new(0));
        let ways = [(from, back_to), (back_from, to)];
        for (from, to) in ways {
            tokio::spawn(pass(from, to, Arc::clone(&passed), Arc::clone(&is_cut)));
        }
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    passed: Arc<AtomicU64>,
    is_cut: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let all = passed.fetch_add(count as u64, Ordering::SeqCst);
        if all > CUT && !is_cut.swap(true, Ordering::SeqCst) {
            // Dropped with what is on its way.
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_managers_are_filled_with_a_large_swarm_while_writes_go_on() {
    let count = services();
    let before = memory();
    let first = Manager::found().await;
    let begun = Instant::now();
    fill(&first.gate.replica, count).await;
    let tasks = count * EACH;
    println!("{count} services and {tasks} tasks written in {:.1?}", begun.elapsed());
    println!("one manager: {} MiB of memory", memory() - before);
    let term = first.gate.store.leadership().borrow().term;
    let over = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write_on(Arc::clone(&first.gate.replica), Arc::clone(&over)));

    let begun = Instant::now();
    let second = first.join().await;
    filled(&second, count, 2).await;
    println!("a second manager has all and votes after {:.1?}", begun.elapsed());

    // The way to the third is cut in the midst of it.
    let is_cut = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let third = first.join_behind(|listener, there| {
        tokio::spawn(passage(listener, there, Arc::clone(&is_cut)));
    });
    let third = third.await;
    filled(&third, count, 3).await;
    println!("a third one, though its connection was cut, after {:.1?}", begun.elapsed());
    assert!(is_cut.load(Ordering::SeqCst), "it was cut");

    over.store(true, Ordering::SeqCst);
    let (written, longest) = writing.await.unwrap();
    println!("{written} writes meanwhile, the longest took {longest:.1?}");
    assert!(written > 10, "writes go on: {written}");
    assert!(longest < Duration::from_secs(4), "none waits for all of it: {longest:?}");
    let led = first.gate.store.leadership().borrow().clone();
    assert!(led.leads && led.term == term, "no other was elected meanwhile: {led:?}");
    println!("three managers in one process: {} MiB of memory", memory() - before);
    for manager in [&second, &third] {
        manager.gate.store.barrier().await.unwrap();
    }
    let all = digest(&first);
    assert!(all.0 > count * (EACH + 1), "{all:?}");
    assert_eq!([digest(&second), digest(&third)], [all; 2], "all have the same");
    for manager in [&third, &second, &first] {
        manager.shutdown().await;
    }
}
