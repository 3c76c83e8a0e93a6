//! What answers at the address and is no Consul: told in words, within the deadline, by every call.

use std::time::{Duration, Instant};

use swarm_kv::{Expect, KeyValue, Lease, StoreError, StoreOptions, Write};
use swarm_testkit::stores::{Impostor, Manner};

use crate::opening::{next, open};

const DEADLINE: Duration = Duration::from_secs(1);

/// What an impostor is asked by.
fn at(impostor: &Impostor) -> String {
    format!("consul://{}", impostor.address())
}

async fn failures(store: &dyn KeyValue) -> Vec<(&'static str, Option<StoreError>)> {
    let lease = Lease {
        id: "6e1e8c1a-52a5-4b6c-9d0d-6a9d3b1f7c55".into(),
        holds: DEADLINE,
        gone_after: DEADLINE,
    };
    let watched = next(&mut store.watch("d")).await.err();
    vec![
        ("watch", watched),
        ("get", store.get("k").await.err()),
        ("list", store.list("d").await.err()),
        ("put", store.put(Write::new("k", "1")).await.err()),
        ("delete", store.delete("k", Expect::Absent, None).await.err()),
        ("grant", store.grant(DEADLINE).await.err()),
        ("renew", store.renew(&lease).await.err()),
        ("revoke", store.revoke(&lease).await.err()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_impostor_is_told_in_words() {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let page: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html><h1>Welcome to nginx!";
    let missing = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n<html>404 page not found";
    let json = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"version\": \"8.17\"}";
    let conflict = "HTTP/1.1 409 Conflict\r\nConnection: close\r\n\r\n{\"Errors\": null}";
    let list = "HTTP/1.1 200 OK\r\nX-Consul-Index: 1\r\nConnection: close\r\n\r\n[{\"a\": 1}]";
    let elsewhere = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n";
    for (says, words) in [
        (page, "200 OK: <html><h1>Welcome to nginx!"),
        (missing, "404 Not Found: <html>404 page not found"),
        (json, "200 OK: {\"version\": \"8.17\"}"),
        (conflict, "409 Conflict"),
        (list, "200 OK: [{\"a\": 1}]"),
        (head, "200 OK: "),
        (elsewhere, "which leads elsewhere"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
    ] {
        let options = StoreOptions { deadline: DEADLINE, ..StoreOptions::default() };
        let impostor = Impostor::start(Manner::AfterALine(says.as_bytes())).await.unwrap();
        let store = open(&at(&impostor), &options);
        for (call, error) in failures(&*store).await {
            let Some(error) = error else { panic!("{call} believed {says:?}") };
            assert!(matches!(error, StoreError::Garbage { .. }), "{call}, {says:?}: {error:?}");
            let text = error.to_string();
            assert!(
                text.contains(words) && text.contains("as a Consul store does"),
                "{call}: {text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mute_and_the_absent_are_unreachable_in_time() {
    let mute = Impostor::start(Manner::Mute).await.unwrap();
    let hang_up = Impostor::start(Manner::AfterALine(b"")).await.unwrap();
    let (mute, hang_up) = (at(&mute), at(&hang_up));
    // A port that was free a moment ago, and three hosts of which none answers.
    let absent = format!("consul://127.0.0.1:{}", swarm_testkit::stores::free_port().unwrap());
    let several = format!("{mute},{}", mute.trim_start_matches("consul://"));
    for (url, words) in [
        (&mute, "gave no answer within"),
        (&hang_up, "broke off"),
        (&absent, "cannot connect to 127.0.0.1"),
        (&several, "gave no answer within"),
    ] {
        let options = StoreOptions { deadline: DEADLINE, ..StoreOptions::default() };
        let store = open(url, &options);
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
