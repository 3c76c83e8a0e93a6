//! One manager: what every store must do, restarts, crashes, damage, a disk in trouble.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_kv::{Expect, KeyValue, StoreError, Write};
use swarm_raft::{Embedded, EmbeddedOptions, Role};
use swarm_testkit::stores::conformance;

async fn open(folder: &Path) -> Result<Arc<Embedded>, StoreError> {
    Embedded::open(EmbeddedOptions::new(folder)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_what_every_store_must() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let embedded = open(folder.path()).await.unwrap();
    println!("opened in {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "it is ready at once");
    let store: Arc<dyn KeyValue> = embedded.clone();
    conformance::check(&store, &store, "check", Duration::from_secs(1)).await;
    embedded.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = open(folder.path()).await.unwrap();
    let lease = embedded.grant(Duration::from_mins(1)).await.unwrap();
    embedded.put(Write::new("d/leased", "1").leased(&lease)).await.unwrap();
    let revision = embedded.put(Write::new("d/k", "2")).await.unwrap();
    let tokens = embedded.tokens().await.unwrap();
    let begun = Instant::now();
    embedded.shutdown().await;
    println!("stopped in {:?}", begun.elapsed());
    drop(embedded);
    let begun = Instant::now();
    let embedded = open(folder.path()).await.unwrap();
    println!("reopened in {:?}", begun.elapsed());
    assert_eq!(embedded.get("d/k").await.unwrap().unwrap().revision, revision);
    assert_eq!(embedded.list("d").await.unwrap().len(), 2);
    embedded.renew(&lease).await.unwrap();
    embedded.put(Write::new("d/k", "3").expecting(Expect::Revision(revision))).await.unwrap();
    assert_eq!(embedded.tokens().await.unwrap(), tokens, "tokens stay");
    let rotated = embedded.rotate_tokens(Role::Node).await.unwrap();
    assert_eq!(rotated.manager, tokens.manager);
    assert_ne!(rotated.node, tokens.node);
    embedded.shutdown().await;
}
