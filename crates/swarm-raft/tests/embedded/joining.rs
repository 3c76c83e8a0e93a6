//! Who is taken in, who is not, and what each may do; managers that come, move, lose their data and
//! are removed.

use std::time::Duration;

use futures_util::StreamExt as _;
use swarm_kv::{Change, Expect, Guard, KeyValue, Layout, Secret, StoreError, Write};
use swarm_raft::{Embedded, Remote, Role};
use swarm_store::{Transaction, When};

use crate::pool::{PATIENCE, Pool, eventually, folder, join, listen, url};

const DEADLINE: Duration = Duration::from_secs(5);

fn remote(hosts: &[&str], token: &Secret) -> Remote {
    Remote::open(&url(hosts), token, DEADLINE).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, StoreError>, words: &str) {
    match answer {
        Err(StoreError::Refused { reason, .. }) if reason.contains(words) => {}
        other => unreachable!("should have been refused with {words:?}, was {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_token_gives_all_that_a_store_must_do() {
    let pool = Pool::of(1).await;
    let tokens = pool.managers[0].tokens().await.unwrap();
    let store: std::sync::Arc<dyn KeyValue> =
        std::sync::Arc::new(remote(&[pool.managers[0].address()], &tokens.manager));
    let other = std::sync::Arc::clone(&pool.managers[0]) as _;
    let ttl = Duration::from_secs(1);
    swarm_testkit::stores::conformance::check(&store, &other, "check", ttl).await;
    for number in 0..3000 {
        let write = Write::new(format!("many/{number:04}"), vec![1; 2000]);
        pool.managers[0].put(write).await.unwrap();
    }
    // More than one frame.
    assert_eq!(store.list("many").await.unwrap().len(), 3000);
    let mut watch = store.watch("many");
    assert!(matches!(watch.next().await, Some(Ok(Change::Whole(all))) if all.len() == 3000));
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_token_registers_and_lists_engines_and_nothing_else() {
    let pool = Pool::of(3).await;
    let manager = &pool.managers[0];
    let tokens = manager.tokens().await.unwrap();
    let layout = Layout::new("", None);
    let hosts: Vec<_> = pool.managers.iter().map(|manager| manager.address()).collect();
    let node = remote(&[&["127.0.0.1:1"], &hosts[..]].concat(), &tokens.node);
    let key = layout.node("10.0.0.1:2375");
    let lease = node.grant(Duration::from_secs(30)).await.unwrap();
    let mut watch = node.watch(layout.nodes());
    assert_eq!(watch.next().await, Some(Ok(Change::Whole(vec![]))));
    let revision = node.put(Write::new(&*key, "10.0.0.1:2375").leased(&lease)).await.unwrap();
    assert!(matches!(watch.next().await, Some(Ok(Change::Put(item))) if item.key == key));
    assert_eq!(manager.get(&key).await.unwrap().unwrap().revision, revision);
    node.renew(&lease).await.unwrap();
    assert!(node.renewed_ago(&key).await.unwrap().is_some());
    assert_eq!(node.list(layout.nodes()).await.unwrap().len(), 1);
    node.put(Write::new(format!("{}/10.0.0.1:2375", layout.left()), "x")).await.unwrap();
    // Nothing else, neither read nor written, nor asked for by a guard.
    manager.put(Write::new(layout.leader(), "10.0.0.9:3375")).await.unwrap();
    let secret = format!("{}/i", layout.intents());
    manager.put(Write::new(&*secret, "environment")).await.unwrap();
    let words = "a node token does not give access to";
    refused(node.put(Write::new(&*secret, "mine")).await, words);
    refused(node.put(Write::new(layout.leader(), "me")).await, words);
    refused(node.put(Write::new(format!("{key}/deeper"), "x")).await, words);
    refused(node.put(Write::new("docker/swarm/nodesx/a", "x")).await, words);
    refused(node.delete(&layout.leader(), Expect::Anything, None).await, words);
    refused(node.get(&secret).await, words);
    refused(node.list(&layout.intents()).await, words);
    refused(node.list("").await, words);
    refused(node.renewed_ago(&secret).await, words);
    let guard = Guard { key: secret.clone(), revision };
    refused(node.put(Write::new(&*key, "x").guarded(Some(&guard))).await, words);
    let told = node.watch(&layout.intents()).next().await;
    assert!(matches!(&told, Some(Err(StoreError::Refused { .. }))), "{told:?}");
    refused(node.put(Write::new(&*key, vec![0; 100_000])).await, "a node may write at most");
    refused(node.grant(Duration::from_hours(100)).await, "a day long at most");
    // The store's own keys are nobody's.
    let own = "\u{1}store/token/manager";
    refused(node.get(own).await, "the store's own");
    let full = remote(&hosts, &tokens.manager);
    refused(full.get(own).await, "the store's own");
    refused(full.list("\u{1}store/token").await, "the store's own");
    refused(full.put(Write::new(own, "known")).await, "the store's own");
    refused(manager.put(Write::new(own, "known")).await, "the store's own");
    for part in 0..3 {
        let key = || own.to_owned();
        let transaction = Transaction {
            expects: (part == 0).then(|| (key(), When::Absent)).into_iter().collect(),
            puts: (part == 1).then(|| (key(), "known".into())).into_iter().collect(),
            deletes: (part == 2).then(key).into_iter().collect(),
        };
        refused(manager.transact(transaction).await, "the store's own");
    }
    assert_eq!(manager.get(&secret).await.unwrap().unwrap().value, "environment");
    node.revoke(&lease).await.unwrap();
    assert_eq!(node.get(&key).await.unwrap(), None);
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_refused_in_words_and_nothing_is_shown_to_strangers() {
    let (pool, stranger) = (Pool::of(1).await, Pool::of(1).await);
    let (ours, theirs) = (&pool.managers[0], &stranger.managers[0]);
    let tokens = ours.tokens().await.unwrap();
    let nodes = Layout::new("", None).nodes().to_owned();
    // A mistyped secret under the right digest.
    let text = tokens.node.reveal();
    let (kept, last) = text.split_at(text.len() - 1);
    let wrong = Secret::new(format!("{kept}{}", if last == "0" { "1" } else { "0" }));
    refused(remote(&[ours.address()], &wrong).list(&nodes).await, "the join token is not valid");
    refused(join(&folder(), &[ours], &wrong).await, "the join token is not valid");
    // A node's token does not make a manager.
    refused(join(&folder(), &[ours], &tokens.node).await, "a manager token is needed");
    // Another pool's: the joiner notices before it says anything.
    let other = theirs.tokens().await.unwrap();
    for error in [
        remote(&[ours.address()], &other.node).list(&nodes).await.unwrap_err(),
        join(&folder(), &[ours], &other.manager).await.unwrap_err(),
    ] {
        let words = error.to_string();
        assert!(words.contains("it belongs to another pool than the join token"), "{words}");
        assert!(!words.contains(other.node.reveal()), "{words}");
    }
    let error = Remote::open(&url(&["a:1"]), &Secret::new("SWMTKN-1-x"), DEADLINE).unwrap_err();
    assert!(error.to_string().contains("this is no join token"), "{error}");
    // A token that was replaced is over; who has joined stays.
    let before = remote(&[ours.address()], &tokens.node);
    before.list(&nodes).await.unwrap();
    let rotated = ours.rotate_tokens(Role::Node).await.unwrap();
    refused(before.list(&nodes).await, "not valid");
    refused(remote(&[ours.address()], &tokens.node).list(&nodes).await, "not valid");
    remote(&[ours.address()], &rotated.node).list(&nodes).await.unwrap();
    remote(&[ours.address()], &tokens.manager).list(&nodes).await.unwrap();
    // A folder of one pool is not taken into another.
    let options = crate::pool::options(pool.folders[0].path(), "127.0.0.1:0").await;
    ours.shutdown().await;
    let peers = vec![theirs.address().to_owned()];
    let joins = Some(swarm_raft::Join { peers, token: other.manager.clone() });
    let opened = Embedded::open(swarm_raft::EmbeddedOptions { join: joins, ..options }).await;
    refused(opened, "it belongs to another pool than the join token");
    stranger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_comes_back_elsewhere_and_one_without_its_data_as_another() {
    let mut pool = Pool::of(3).await;
    pool.managers[0].put(Write::new("d/k", "1")).await.unwrap();
    let token = pool.managers[0].tokens().await.unwrap().manager;
    // Elsewhere.
    let moved = pool.managers.remove(2);
    let before = moved.address().to_owned();
    moved.shutdown().await;
    let id = moved.id();
    drop(moved);
    let back = crate::pool::open(&pool.folders[2], "127.0.0.1:0").await;
    assert!(back.id() == id && back.address() != before);
    pool.managers.push(back);
    pool.all_vote(3).await;
    let members = pool.managers[0].members().await;
    assert!(members.iter().all(|member| member.address != before), "{members:?}");
    // Without its data, at the same address: it is another one now.
    let lost = pool.managers.remove(2);
    let address = lost.address().to_owned();
    lost.shutdown().await;
    drop(lost);
    std::fs::remove_file(pool.folders[2].path().join("store.redb")).unwrap();
    let again = eventually("it joins again", async || {
        let mut options = crate::pool::options(pool.folders[2].path(), &address).await;
        let peers = pool.managers.iter().map(|one| one.address().to_owned()).collect();
        options.join = Some(swarm_raft::Join { peers, token: token.clone() });
        Embedded::open(options).await.ok()
    })
    .await;
    assert_ne!(again.id(), id);
    pool.managers.push(again);
    pool.all_vote(3).await;
    assert_eq!(pool.managers[2].get("d/k").await.unwrap().unwrap().value, "1");
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_is_removed_and_says_so_and_the_last_one_stays() {
    let pool = Pool::of(3).await;
    let leader = pool.leader().await;
    let (one, gone) = (&pool.managers[leader], &pool.managers[(leader + 1) % 3]);
    refused(one.remove_member(12345).await, "no manager of this pool has the id");
    one.remove_member(gone.id()).await.unwrap();
    let told = eventually("it knows", async || match gone.get("d/k").await {
        Err(StoreError::Refused { reason, .. }) => Some(reason),
        _ => None,
    })
    .await;
    assert!(told.contains("this manager was removed from the pool"), "{told}");
    // The leader itself, asked through the other.
    let other = &pool.managers[(leader + 2) % 3];
    other.remove_member(one.id()).await.unwrap();
    eventually("one is left and leads", async || {
        let members = other.members().await;
        (members.len() == 1 && other.is_leader()).then_some(())
    })
    .await;
    other.put(Write::new("d/k", "alone")).await.unwrap();
    refused(other.remove_member(other.id()).await, "the last manager");
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_joined_is_told() {
    let pool = Pool::of(1).await;
    let token = pool.managers[0].tokens().await.unwrap().manager;
    // Nobody is there.
    let empty = folder();
    let mut options = crate::pool::options(empty.path(), "127.0.0.1:0").await;
    let peers = vec!["127.0.0.1:1".to_owned()];
    options.join = Some(swarm_raft::Join { peers, token: token.clone() });
    let error = Embedded::open(options).await.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("127.0.0.1:1"), "{error}");
    // Somebody else is: a server that never says a word.
    let silent = listen("127.0.0.1:0").await;
    let address = silent.local_addr().unwrap().to_string();
    let remote = Remote::open(&url(&[&address]), &token, Duration::from_secs(2)).unwrap();
    let asked = tokio::time::timeout(PATIENCE, remote.get("d/k")).await.unwrap();
    assert!(matches!(&asked, Err(StoreError::Unreachable { .. })), "{asked:?}");
    // An address that is taken by one of this pool.
    let mut options = crate::pool::options(empty.path(), "127.0.0.1:0").await;
    options.advertise = Some(pool.managers[0].address().to_owned());
    let peers = vec![pool.managers[0].address().to_owned()];
    options.join = Some(swarm_raft::Join { peers, token });
    refused(Embedded::open(options).await, "answers at");
    // Without a listener, or with one that is everywhere and nowhere.
    let mut options = swarm_raft::EmbeddedOptions::new(empty.path());
    options.listen = Some(listen("0.0.0.0:0").await);
    let error = Embedded::open(options).await.unwrap_err().to_string();
    assert!(error.contains("--advertise"), "{error}");
    pool.shutdown().await;
}
