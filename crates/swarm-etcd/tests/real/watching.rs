//! Watches over compaction and silence, and directories longer than a message.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use swarm_kv::{Change, Write};

use crate::rig::{next, next_whole, plain, server};

#[tokio::test]
async fn a_watch_begins_anew_where_the_history_is_gone() {
    let mut server = server(|_| {});
    let store = plain(&server);
    store.put(Write::new("pool/a", "1")).await.unwrap();
    let mut watch = store.watch("pool");
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(_))));
    // Compaction past what a living watch has seen does it no harm.
    let revision = store.put(Write::new("pool/a", "2")).await.unwrap();
    server.control(&["compact", &revision.0.to_string()]).unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(item)) if item.value == "2"));
    // One that was away meanwhile cannot be told what it missed.
    server.member(0).crash().unwrap();
    assert!(next(&mut watch).await.is_err());
    server.restart(0).unwrap();
    for number in 0..10 {
        store.put(Write::new("pool/b", number.to_string())).await.unwrap();
    }
    let revision = store.get("pool/b").await.unwrap().unwrap().revision;
    server.control(&["compact", &revision.0.to_string()]).unwrap();
    let (keys, errors) = next_whole(&mut watch).await;
    assert_eq!((keys, errors), (vec!["pool/a".to_owned(), "pool/b".to_owned()], 0));
    store.put(Write::new("pool/c", "1")).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(item)) if item.key == "pool/c"));
}

#[tokio::test]
async fn a_silent_endpoint_is_noticed_by_an_idle_watch() {
    let mut server = server(|_| {});
    let store = plain(&server);
    let mut watch = store.watch("pool");
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(_))));
    server.member(0).freeze().unwrap();
    let begun = Instant::now();
    let error = next(&mut watch).await.unwrap_err();
    println!("noticed after {:.1?}: {error}", begun.elapsed());
    assert!(error.is_passing() && error.to_string().contains("fallen silent"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    server.member(0).thaw().unwrap();
    assert_eq!(next_whole(&mut watch).await, (vec![], 0));
}

#[tokio::test]
async fn an_idle_watch_is_not_cut_off_for_its_pings() {
    let server = server(|_| {});
    let store = plain(&server);
    let mut watch = store.watch("pool");
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(_))));
    // Several pings long; etcd ends connections of those who ping too often.
    let quiet = tokio::time::timeout(Duration::from_secs(25), watch.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    store.put(Write::new("pool/a", "1")).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(_))));
}

#[tokio::test]
async fn nothing_falls_between_the_whole_and_the_changes() {
    let server = server(|_| {});
    let (store, other) = (plain(&server), plain(&server));
    let writer = tokio::spawn(async move {
        for number in 0..300 {
            other.put(Write::new(format!("pool/{number:03}"), "x")).await.unwrap();
        }
    });
    let mut watches: Vec<_> = (0..10).map(|_| store.watch("pool")).collect();
    for watch in &mut watches {
        let mut known = 0;
        while known < 300 {
            match next(watch).await.unwrap() {
                Change::Whole(items) => known = items.len(),
                Change::Put(item) => {
                    assert_eq!(item.key, format!("pool/{known:03}"), "in order and without a gap");
                    known += 1;
                }
                Change::Deleted(key) => panic!("{key} was never deleted"),
            }
        }
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn thirty_thousand_intents_are_listed() {
    const COUNT: usize = 30_000;
    let server = server(|_| {});
    let store = plain(&server);
    let value = vec![b'x'; 2048];
    stream::iter(0..COUNT)
        .for_each_concurrent(256, |number| {
            let write = Write::new(format!("pool/intents/{number:05}"), value.clone());
            async { assert!(store.put(write).await.is_ok()) }
        })
        .await;
    let begun = Instant::now();
    let items = store.list("pool/intents").await.unwrap();
    println!("{COUNT} intents of 2 KB were listed in {:.1?}", begun.elapsed());
    assert_eq!(items.len(), COUNT);
    assert!(items.is_sorted_by(|a, b| a.key < b.key));
    let mut watch = store.watch("pool/intents");
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(whole)) if whole == items));
    // Values that do not fit into one answer by the thousand come by fewer at a time.
    for number in 0..24 {
        store.put(Write::new(format!("pool/large/{number:02}"), vec![7; 1 << 20])).await.unwrap();
    }
    assert_eq!(store.list("pool/large").await.unwrap().len(), 24);
}
