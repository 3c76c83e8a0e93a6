//! Tokens: the right one, a wrong one, one without rights, and none.

use std::time::Duration;

use swarm_kv::{Expect, Guard, KeyValue, Revision, StoreError, StoreOptions, Write};
use swarm_testkit::stores::consul::{Config, ConsulServer};

use crate::opening::{next, open, with_token};

const RULES: &str = r#"
    key_prefix "prod/docker/swarm" { policy = "write" }
    session_prefix "" { policy = "write" }
"#;

/// What every call of a store that may do nothing answers, by the call's name.
async fn everything(store: &dyn KeyValue) -> Vec<(&'static str, Option<StoreError>)> {
    let key = "prod/docker/swarm/x/k";
    let guard = Guard { key: key.to_owned(), revision: Revision(1) };
    let watched = next(&mut store.watch("prod/docker/swarm/x")).await.err();
    vec![
        ("get", store.get(key).await.err()),
        ("list", store.list("prod/docker/swarm/x").await.err()),
        ("put", store.put(Write::new(key, "1")).await.err()),
        ("guarded put", store.put(Write::new(key, "1").guarded(Some(&guard))).await.err()),
        ("delete", store.delete(key, Expect::Anything, None).await.err()),
        ("grant", store.grant(Duration::from_secs(20)).await.err()),
        ("watch", watched),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_done_is_refused_with_the_rules_that_are_needed() {
    let server = ConsulServer::start(Config { acl: true, ..Config::default() }).unwrap();
    let right = server.token("right", RULES).unwrap();
    let poor = server.token("poor", "key_prefix \"other\" { policy = \"write\" }").unwrap();
    let url = server.url("prod");
    let store = open(&url, &with_token(&right));
    let lease = store.grant(Duration::from_secs(20)).await.unwrap();
    store.put(Write::new("prod/docker/swarm/x/k", "1").leased(&lease)).await.unwrap();
    assert_eq!(store.list("prod/docker/swarm/x").await.unwrap().len(), 1);
    assert_eq!(store.list("prod/docker/swarm/none").await.unwrap(), []);
    store.renew(&lease).await.unwrap();

    let unknown = "11111111-2222-3333-4444-555555555555";
    for (options, words) in [
        (with_token(&poor), "permission denied: the token of --discovery-opt kv.token needs"),
        (with_token(unknown), "does not know the token"),
        (StoreOptions::default(), "nobody may without a token"),
    ] {
        for (call, error) in everything(&*open(&url, &options)).await {
            let Some(error) = error else { panic!("{call} was allowed: {words}") };
            let text = error.to_string();
            assert!(matches!(error, StoreError::Refused { .. }), "{call}: {text}");
            assert!(text.contains(words), "{call}: {text}");
            let rules =
                "key_prefix \"prod/docker/swarm\" { policy = \"write\" } and session_prefix";
            assert!(text.contains(rules), "{call}: {text}");
            assert!(!text.contains(unknown) && !text.contains(&poor), "{call}: {text}");
        }
    }
    // What another may only read is not written, and says so.
    let reader = "key_prefix \"prod\" { policy = \"read\" }";
    let reader = open(&url, &with_token(&server.token("reader", reader).unwrap()));
    assert_eq!(reader.list("prod/docker/swarm/x").await.unwrap().len(), 1);
    let refused = reader.put(Write::new("prod/docker/swarm/x/k", "2")).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    let kept = store.get("prod/docker/swarm/x/k").await.unwrap().map(|item| item.value);
    assert_eq!(kept, Some("1".into()));
    for error in [reader.revoke(&lease).await, reader.renew(&lease).await] {
        assert!(matches!(error, Err(StoreError::Refused { .. })), "{error:?}");
    }
}
