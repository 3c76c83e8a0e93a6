//! What a person must mend is told in words, soon, and without harm.

use std::time::{Duration, Instant};

use swarm_kv::{Change, Expect, Secret, StoreError, StoreOptions, Write};
use swarm_testkit::stores::{Authority, Impostor, Manner, Validity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::rig::{LONG, next, open, plain, server};

fn user(name: &str, password: &str) -> StoreOptions {
    StoreOptions {
        username: Some(name.to_owned()),
        password: Some(Secret::new(password)),
        ..StoreOptions::default()
    }
}

fn refused(error: &StoreError, words: &str) {
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(!error.to_string().contains("hidden"), "a password is never shown: {error}");
}

#[tokio::test]
async fn users_are_told_what_they_lack() {
    let mut server = server(|_| {});
    // Whoever gives a password before users are turned on is let in too.
    let early = open(&server.url(), &user("root", "hidden"));
    early.put(Write::new("pool/a", "1")).await.unwrap();
    server.enable_users("hidden").unwrap();
    early.put(Write::new("pool/a", "2")).await.unwrap();
    server.add_user("reader", "hidden", "read", "pool/").unwrap();

    let url = server.url();
    refused(&plain(&server).get("pool/a").await.unwrap_err(), "give --discovery-opt kv.username");
    let wrong = open(&url, &user("root", "hidden too"));
    refused(&wrong.get("pool/a").await.unwrap_err(), "wrong user or password");
    let mut watch = wrong.watch("pool");
    refused(&next(&mut watch).await.unwrap_err(), "wrong user or password");
    let reader = open(&url, &user("reader", "hidden"));
    assert_eq!(reader.get("pool/a").await.unwrap().unwrap().value, "2");
    let error = reader.put(Write::new("pool/a", "3")).await.unwrap_err();
    refused(&error, "the user \"reader\" may not do this");
    let error = reader.delete("pool/a", Expect::Anything, None).await.unwrap_err();
    refused(&error, "grant its role `readwrite`");
    refused(&reader.list("elsewhere").await.unwrap_err(), "may not do this");
    let mut watch = reader.watch("pool");
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(items)) if items.len() == 1));
}

#[tokio::test]
async fn a_restarted_member_has_lost_its_tokens_and_gives_new_ones() {
    let mut server = server(|_| {});
    server.enable_users("hidden").unwrap();
    let store = open(&server.url(), &user("root", "hidden"));
    store.put(Write::new("pool/a", "1")).await.unwrap();
    let mut watch = store.watch("pool");
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(_))));
    server.member(0).stop().unwrap();
    server.restart(0).unwrap();
    assert!(next(&mut watch).await.is_err());
    assert!(matches!(next(&mut watch).await, Ok(Change::Whole(items)) if items.len() == 1));
    store.put(Write::new("pool/a", "2")).await.unwrap();
    assert!(matches!(next(&mut watch).await, Ok(Change::Put(_))));
}

#[tokio::test]
async fn certificates_that_cannot_be_trusted_are_named() {
    let good = server(|options| {
        options.tls = Some(Validity::Current);
        options.client_certificates = true;
    });
    let authority = good.authority().unwrap();
    let foreign = Authority::new(&good.folder().join("foreign")).unwrap();
    let ours = authority.issue("manager", Validity::Current).unwrap();
    let old = authority.issue("old", Validity::Expired).unwrap();
    let theirs = foreign.issue("stranger", Validity::Current).unwrap();
    let options = |ca, pair: Option<&swarm_testkit::stores::Pair>| StoreOptions {
        ca: Some(ca),
        cert: pair.map(|pair| pair.cert.clone()),
        key: pair.map(|pair| pair.key.clone()),
        ..StoreOptions::default()
    };
    for (options, words) in [
        (options(foreign.file(), Some(&ours)), "not from an authority of kv.cacertfile"),
        (options(authority.file(), Some(&theirs)), "does not accept our certificate"),
        (options(authority.file(), Some(&old)), "does not accept our certificate"),
        (options(authority.file(), None), "kv.certfile"),
    ] {
        let begun = Instant::now();
        refused(&open(&good.url(), &options).get("pool/a").await.unwrap_err(), words);
        assert!(begun.elapsed() < Duration::from_secs(3), "it is told at once");
    }
    let store = open(&good.url(), &options(authority.file(), Some(&ours)));
    store.put(Write::new("pool/a", "1")).await.unwrap();

    let error = plain(&good).get("pool/a").await.unwrap_err();
    assert!(error.to_string().contains("kv.cacertfile"), "without TLS: {error}");

    let expired = server(|options| options.tls = Some(Validity::Expired));
    let options = options(expired.authority().unwrap().file(), None);
    let error = open(&expired.url(), &options).get("pool/a").await.unwrap_err();
    refused(&error, "its certificate has expired");

    // One without TLS answers, or resets the connection before its answer is read.
    let bare = server(|_| {});
    let reset = Impostor::start(Manner::Reset).await.unwrap();
    for url in [bare.url(), format!("etcd://{}", reset.address())] {
        let error = open(&url, &options).get("pool/a").await.unwrap_err();
        assert!(error.to_string().contains("does not speak TLS at this port"), "{error}");
    }
}

#[tokio::test]
async fn a_full_database_refuses_writes_and_keeps_serving() {
    let server = server(|options| options.quota = Some(4 << 20));
    let store = plain(&server);
    let lease = store.grant(Duration::from_mins(1)).await.unwrap();
    store.put(Write::new("pool/held", "1").leased(&lease)).await.unwrap();
    let mut number = 0;
    let error = loop {
        number += 1;
        assert!(number < 20, "etcd takes no more than its quota");
        match store.put(Write::new(format!("pool/{number}"), vec![7; 1 << 20])).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    refused(&error, "its database is full");
    refused(&store.grant(Duration::from_secs(9)).await.unwrap_err(), "etcdctl alarm disarm");
    store.renew(&lease).await.unwrap();
    assert!(store.get("pool/held").await.unwrap().is_some());
    // As the words say: room is made, and the alarm disarmed.
    for key in 1..number {
        store.delete(&format!("pool/{key}"), Expect::Anything, None).await.unwrap();
    }
    let status = server.control(&["endpoint", "status", "--write-out=json"]).unwrap();
    let revision = status.split("\"revision\":").nth(1).and_then(|text| text.split(',').next());
    server.control(&["compact", revision.unwrap()]).unwrap();
    server.control(&["defrag"]).unwrap();
    server.control(&["alarm", "disarm"]).unwrap();
    store.put(Write::new("pool/a", "1")).await.unwrap();
}

#[tokio::test]
async fn what_is_no_etcd_is_told_so() {
    // Each answers every connection with the same bytes.
    let h2 = b"\0\0\0\x04\0\0\0\0\0\0\0\x06\x01\x05\0\0\0\x01\0\0\0\0\0\0".to_vec();
    for (bytes, words) in [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(), "is no HTTP/2"),
        (b"-ERR unknown command\r\n".repeat(4), "is no HTTP/2"),
        (h2, "is no HTTP/2"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("etcd://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(&bytes).await.unwrap();
                kept.push(stream);
            }
        });
        let error = open(&url, &StoreOptions::default()).get("a").await.unwrap_err();
        assert!(matches!(error, StoreError::Garbage { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        server.abort();
    }
}

#[tokio::test]
async fn what_says_nothing_and_what_is_not_there_end_with_the_deadline() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let absent = swarm_testkit::stores::free_port().unwrap();
    for (url, words) in [
        (format!("etcd://{}", mute.local_addr().unwrap()), "no answer within"),
        (format!("etcd://127.0.0.1:{absent}"), "Connection refused"),
    ] {
        let deadline = Duration::from_secs(2);
        let store = open(&url, &StoreOptions { deadline, ..StoreOptions::default() });
        let begun = Instant::now();
        let error = store.get("a").await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        assert!(error.is_passing() && error.to_string().contains(words), "{error}");
        assert!(begun.elapsed() < deadline + Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    // No connection is left to the silent one: each attempt's has ended.
    let (mut first, _) = mute.accept().await.unwrap();
    let mut said = Vec::new();
    let ended = tokio::time::timeout(LONG, first.read_to_end(&mut said));
    assert!(ended.await.is_ok(), "the connection stays open");
}
