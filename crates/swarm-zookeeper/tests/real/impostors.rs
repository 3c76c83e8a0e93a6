//! What answers at the address and is no ZooKeeper: told in words, within the deadline.

use std::time::{Duration, Instant};

use swarm_kv::{Expect, KeyValue, StoreError, StoreOptions, Write};
use swarm_testkit::stores::{Impostor, Manner};

use crate::opening::{next, open};

const DEADLINE: Duration = Duration::from_secs(2);

/// What an impostor is asked by.
fn at(impostor: &Impostor) -> String {
    format!("zk://{}", impostor.address())
}

async fn failures(store: &dyn KeyValue) -> Vec<(&'static str, Option<StoreError>)> {
    let watched = next(&mut store.watch("d")).await.err();
    vec![
        ("watch", watched),
        ("get", store.get("k").await.err()),
        ("list", store.list("d").await.err()),
        ("put", store.put(Write::new("k", "1")).await.err()),
        ("delete", store.delete("k", Expect::Absent, None).await.err()),
        ("grant", store.grant(DEADLINE).await.err()),
    ]
}

fn hasty(url: &str) -> std::sync::Arc<dyn KeyValue> {
    open(url, &StoreOptions { deadline: DEADLINE, ..StoreOptions::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_impostor_is_told_in_words() {
    let page = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n";
    let long = vec![b'x'; 100_000].leak();
    for (manner, words) in [
        (Manner::AfterALine(page), "says \"HTTP/1.1 400 Bad Request"),
        (Manner::AtOnce(b"SSH-2.0-OpenSSH_9.2\r\n"), "says \"SSH-2.0-OpenSSH_9.2\""),
        (Manner::AtOnce(b"220 mail ready\n"), "says \"220 mail ready\""),
        (Manner::AtOnce(&[0, 0, 0, 37, 0xff, 0xfe]), "says"),
        (Manner::AfterALine(long), "says \"xxxx"),
    ] {
        let impostor = Impostor::start(manner).await.unwrap();
        let store = hasty(&at(&impostor));
        for (call, error) in failures(&*store).await {
            let Some(error) = error else { panic!("{call} believed it") };
            assert!(matches!(error, StoreError::Garbage { .. }), "{call}: {error:?}");
            let text = error.to_string();
            assert!(
                text.contains(words) && text.contains("as a ZooKeeper store does"),
                "{call}: {text}"
            );
            assert!(text.len() < 300, "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_only_asks_like_a_zookeeper_is_unreachable() {
    // It answers the question whether it serves, and then says nonsense in a session.
    let liar = b"Zookeeper version: 3.8.0\nMode: standalone\n";
    let liar = Impostor::start(Manner::AtOnce(liar)).await.unwrap();
    let store = hasty(&at(&liar));
    for (call, error) in failures(&*store).await {
        let error = error.unwrap_or_else(|| panic!("{call} believed it"));
        assert!(
            matches!(error, StoreError::Unreachable { .. } | StoreError::Garbage { .. }),
            "{call}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mute_and_the_absent_are_unreachable_in_time() {
    let mute = Impostor::start(Manner::Mute).await.unwrap();
    let absent = format!("zk://127.0.0.1:{}", swarm_testkit::stores::free_port().unwrap());
    let hung_up = Impostor::start(Manner::AtOnce(b"")).await.unwrap();
    let (mute, hung_up) = (at(&mute), at(&hung_up));
    let several = format!("{mute},{}", mute.trim_start_matches("zk://"));
    for (url, words) in [
        (&mute, "gave no answer within"),
        (&absent, "cannot be reached"),
        (&hung_up, "hung up without a word"),
        (&several, "gave no answer within"),
    ] {
        let store = hasty(url);
        for (call, error) in failures(&*store).await {
            let error = error.unwrap_or_else(|| panic!("{call} of {url}"));
            assert!(matches!(error, StoreError::Unreachable { .. }), "{call}, {url}: {error:?}");
            assert!(error.to_string().contains(words), "{call}: {error}");
        }
        let begun = Instant::now();
        assert!(store.get("k").await.is_err());
        assert!(begun.elapsed() < DEADLINE + Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}
