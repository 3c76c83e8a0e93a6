//! What clients see when primaries stop and die.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use swarm_backend::{Exchange, Reply};
use swarm_memory::Memory;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, parse, request};
use crate::rig::{Manager, SOON, TTL, pair, until};

fn served() -> Fake {
    Fake::acting(|_, _, _: Exchange| async { Reply::ok(&"done") })
}

#[tokio::test]
async fn a_change_under_way_when_the_primary_dies_gets_words_and_is_not_repeated() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let hanging = Fake::acting(move |_, _, _: Exchange| {
        count.fetch_add(1, Ordering::SeqCst);
        async { std::future::pending().await }
    });
    let (_store, primary, replica) = pair(hanging, served()).await;
    let change = replica.running.ask("POST /containers/a/start", &[], b"");
    let death = async {
        until("it is asked", || asked.load(Ordering::SeqCst) == 1).await;
        primary.kill();
    };
    let (answer, ()) = tokio::join!(change, death);
    assert_eq!(answer.status, 503);
    let words = answer.message();
    assert!(words.contains("whether the change was made is not known"), "{words}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_killed_primary_is_replaced_and_reads_never_fail() {
    let (_store, primary, replica) = pair(served(), served()).await;
    assert_eq!(replica.running.ask("POST /containers/a/start", &[], b"").await.status, 200);
    primary.kill();
    let killed = Instant::now();
    let mut refused = 0;
    loop {
        assert_eq!(replica.running.get("/containers/json").await.status, 200);
        let change = replica.running.ask("POST /containers/a/start", &[], b"").await;
        if change.status == 200 {
            break;
        }
        refused += 1;
        assert_eq!(change.status, 503);
        assert!(change.message().contains("try again in some seconds"), "{}", change.message());
        assert!(killed.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = killed.elapsed();
    println!("changes were refused {refused} times, for {took:?} after the kill");
    assert!(refused > 0 && took < TTL + Duration::from_secs(1), "{took:?}");
}

/// One request on a connection of its own; `None` where no answer came.
async fn try_ask(address: &str, line: &str) -> Option<u16> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    stream.write_all(&request(line, &[], b"")).await.ok()?;
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer)).await.ok()?.ok()?;
    (!answer.is_empty()).then(|| parse(&answer).status.as_u16())
}

/// What clients saw.
#[derive(Default)]
struct Seen {
    made: AtomicUsize,
    refused: AtomicUsize,
}

/// Asks any manager that lives, without a pause, until it is told to stop. What is asked of a
/// manager that goes meanwhile may fail.
async fn ask_on(living: Arc<Mutex<Vec<String>>>, stop: CancellationToken, seen: Arc<Seen>) {
    let mut turn = 0;
    while !stop.is_cancelled() {
        turn += 1;
        let address = {
            let living = living.lock().unwrap();
            living[turn % living.len()].clone()
        };
        let lives = || living.lock().unwrap().contains(&address);
        let read = try_ask(&address, "GET /containers/json").await;
        assert!(read == Some(200) || !lives(), "a read was answered with {read:?}");
        match try_ask(&address, "POST /containers/a/start").await {
            Some(200) => seen.made.fetch_add(1, Ordering::SeqCst),
            Some(503) => seen.refused.fetch_add(1, Ordering::SeqCst),
            other => {
                assert!(!lives(), "a change was answered with {other:?}");
                0
            }
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primaries_stop_and_die_one_after_another_under_load() {
    let store = Memory::new();
    let mut managers = Vec::new();
    for _ in 0..3 {
        managers.push(Manager::start(&store, served()).await);
    }
    let living = Arc::new(Mutex::new(managers.iter().map(Manager::address).collect::<Vec<_>>()));
    let (stop, seen) = (CancellationToken::new(), Arc::new(Seen::default()));
    let clients: Vec<_> = (0..3)
        .map(|_| tokio::spawn(ask_on(Arc::clone(&living), stop.clone(), Arc::clone(&seen))))
        .collect();
    let (mut stopped, mut killed) = (Duration::ZERO, Duration::ZERO);
    for round in 0..12 {
        until("a primary", || managers.iter().any(Manager::is_primary)).await;
        let at = managers.iter().position(Manager::is_primary).unwrap();
        let primary = managers.remove(at);
        let next = Manager::start(&store, served()).await;
        *living.lock().unwrap() =
            managers.iter().chain([&next]).map(Manager::address).collect::<Vec<_>>();
        managers.push(next);
        let begun = Instant::now();
        let dies = round % 4 == 3;
        if dies {
            primary.kill();
        } else {
            primary.election.resign().await;
        }
        until("the next", || managers.iter().any(Manager::is_primary)).await;
        let longest = if dies { &mut killed } else { &mut stopped };
        *longest = begun.elapsed().max(*longest);
        let made = seen.made.load(Ordering::SeqCst);
        until("changes go on", || seen.made.load(Ordering::SeqCst) > made + 20).await;
    }
    stop.cancel();
    for client in clients {
        client.await.unwrap();
    }
    let (made, refused) = (&seen.made, &seen.refused);
    println!(
        "{made:?} changes made, {refused:?} refused; the next primary was there at most \
         {stopped:?} after a clean stop, {killed:?} after a kill"
    );
    assert!(stopped < Duration::from_secs(1), "{stopped:?}");
    assert!(killed < TTL + Duration::from_secs(1), "{killed:?}");
}
