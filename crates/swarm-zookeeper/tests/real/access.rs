//! Users and rights: who may not is told so in words, and nothing is shown or changed.

use swarm_kv::{Change, Expect, StoreError, Write};
use swarm_testkit::stores::zookeeper::{Config, ZooKeeperServer};

use crate::opening::{next, open, plain, whole, with_user};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_made_is_open_to_that_user_alone() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let url = server.url("");
    let owner = open(&url, &with_user("swarm", "opensesame"));
    owner.put(Write::new("pool/k", "1")).await.unwrap();
    let lease = owner.grant(std::time::Duration::from_secs(10)).await.unwrap();
    owner.put(Write::new("pool/leased", "1").leased(&lease)).await.unwrap();

    let guess = open(&url, &with_user("swarm", "guessed"));
    let nobody = plain(&url);
    let with_password = "not open to the user \"swarm\" with this password";
    for (store, words) in [(&guess, with_password), (&nobody, "give --discovery-opt kv.username")] {
        let other = store.grant(std::time::Duration::from_secs(10)).await.unwrap();
        for (call, error) in [
            ("get", store.get("pool/k").await.err()),
            ("list", store.list("pool").await.err()),
            ("put", store.put(Write::new("pool/k", "2")).await.err()),
            ("take", store.put(Write::new("pool/leased", "2").leased(&other)).await.err()),
            ("make", store.put(Write::new("pool/new", "2")).await.err()),
            ("delete", store.delete("pool/k", Expect::Anything, None).await.err()),
            ("watch", next(&mut store.watch("pool")).await.err()),
        ] {
            let error = error.unwrap_or_else(|| panic!("{call} was allowed"));
            assert!(matches!(error, StoreError::Refused { .. }), "{call}: {error:?}");
            let text = error.to_string();
            assert!(text.contains(words) && text.contains("pool"), "{call}: {text}");
            assert!(!text.contains("guessed") && !text.contains("opensesame"), "{text}");
        }
    }
    // The owner's watch, and a new client of the same user, see all of it.
    let again = open(&url, &with_user("swarm", "opensesame"));
    assert_eq!(whole(&mut again.watch("pool")).await, ["pool/k", "pool/leased"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_watch_goes_on_when_the_rights_are_there() {
    let server = ZooKeeperServer::start(Config::default()).unwrap();
    let url = server.url("");
    let owner = open(&url, &with_user("swarm", "opensesame"));
    owner.put(Write::new("pool/nodes/a", "1")).await.unwrap();
    let mut watch = plain(&url).watch("pool/nodes");
    assert!(matches!(next(&mut watch).await, Err(StoreError::Refused { .. })));
    // Told once; then the directory is deleted and made anew by somebody without a password.
    for key in ["pool/nodes/a", "pool/nodes", "pool"] {
        let bare = owner.put(Write::new(key, "").expecting(Expect::Anything)).await;
        bare.unwrap();
        owner.delete(key, Expect::Anything, None).await.unwrap();
    }
    plain(&url).put(Write::new("pool/nodes/b", "2")).await.unwrap();
    match next(&mut watch).await {
        Ok(Change::Whole(items)) => assert_eq!(items[0].key, "pool/nodes/b"),
        other => panic!("the whole was due, there was {other:?}"),
    }
}
