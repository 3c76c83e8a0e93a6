//! Tests of the service over its real file, with the clock in the test's hand.

use std::path::Path;

use super::*;

const TTL: u32 = 60;
const EXPIRE: Duration = Duration::from_hours(6);

struct Running {
    service: Arc<Service>,
    written: JoinHandle<()>,
    stop: CancellationToken,
    looking: JoinHandle<()>,
}

impl Running {
    async fn start(directory: &Path) -> Self {
        let (service, written) = Service::open(ServiceConfig {
            directory: directory.to_owned(),
            expire: EXPIRE,
            owner: OwnerKey::of_directory(directory).unwrap(),
            limits: Limits { creations: 2, waiters: 1, ..Limits::default() },
        })
        .await
        .unwrap();
        let stop = CancellationToken::new();
        let looking = tokio::spawn({
            let (service, stop) = (Arc::clone(&service), stop.clone());
            async move { service.look_after(&stop).await }
        });
        Self { service, written, stop, looking }
    }

    /// Ends as `serve` does; everything is written after it.
    async fn end(self) {
        self.stop.cancel();
        self.looking.await.unwrap();
        drop(self.service);
        self.written.await.unwrap();
    }

    async fn create(&self) -> Token {
        self.service.create([127, 0, 0, 1].into(), true).await.unwrap()
    }

    async fn set(&self, token: Token) -> Vec<Box<str>> {
        self.service.nodes(token, None, &self.stop).await.unwrap().set.unwrap()
    }

    async fn poll(&self, token: Token, index: u64, seconds: u64) -> Result<Nodes, Refusal> {
        let poll = Poll { index, wait: Duration::from_secs(seconds) };
        self.service.nodes(token, Some(poll), &self.stop).await
    }
}

#[tokio::test(start_paused = true)]
async fn registrations_and_tokens_end_and_stay_ended() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let (used, unused) = (running.create().await, running.create().await);
    for address in ["a:1", "b:1"] {
        running.service.register(used, address.into(), TTL).await.unwrap();
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(40)).await;
        running.service.register(used, "b:1".into(), TTL).await.unwrap();
    }
    assert_eq!(running.set(used).await, ["b:1".into()], "who renews stays, who does not goes");
    assert_eq!(running.service.node(used, "a:1"), Ok(NodeState::Absent));
    tokio::time::sleep(EXPIRE * 9 / 10).await;
    assert!(running.set(used).await.is_empty());
    tokio::time::sleep(EXPIRE / 5).await;
    let refused = running.service.nodes(unused, None, &running.stop).await;
    assert_eq!(refused, Err(Refusal::UnknownToken), "nobody used it for so long");
    running.end().await;

    let again = Running::start(folder.path()).await;
    assert!(again.set(used).await.is_empty());
    assert!(again.service.nodes(unused, None, &again.stop).await.is_err());
    again.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_loses_nothing_and_gives_everybody_time_to_renew() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let token = running.create().await;
    for address in ["a:1", "b:1", "c:1"] {
        running.service.register(token, address.into(), TTL).await.unwrap();
    }
    running.service.deregister(token, "c:1".into()).await.unwrap();
    running.end().await;

    let again = Running::start(folder.path()).await;
    assert_eq!(again.set(token).await, ["a:1".into(), "b:1".into()]);
    assert_eq!(again.service.node(token, "c:1"), Ok(NodeState::Left));
    tokio::time::sleep(Duration::from_secs(58)).await;
    assert_eq!(again.set(token).await.len(), 2);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(again.set(token).await.is_empty());
    again.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_question_waits_for_a_change_or_for_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let token = running.create().await;
    let index = running.service.nodes(token, None, &running.stop).await.unwrap().index;
    let before = tokio::time::Instant::now();
    let silent = running.poll(token, index, 55).await.unwrap();
    assert_eq!(silent, Nodes { index, set: None });
    assert!(before.elapsed() >= Duration::from_secs(55));

    let known = running.poll(token, index + 1, 55).await.unwrap();
    assert_eq!(known.set, Some(Vec::new()), "another index is answered at once");

    let (changed, refused) = tokio::join!(
        running.poll(token, index, 55),
        // The first one waits by now, and there is one place.
        async {
            let refused = running.poll(token, index, 55).await;
            running.service.register(token, "a:1".into(), TTL).await.unwrap();
            running.service.register(token, "b:1".into(), TTL).await.unwrap();
            refused
        }
    );
    assert_eq!(changed.unwrap().set, Some(vec!["a:1".into(), "b:1".into()]), "both, at once");
    assert_eq!(refused, Err(Refusal::TooManyWaiters { limit: 1 }));

    let index = running.service.nodes(token, None, &running.stop).await.unwrap().index;
    let (ended, ()) = tokio::join!(running.poll(token, index, 55), async {
        running.service.remove(token).await.unwrap();
    });
    assert_eq!(ended, Err(Refusal::UnknownToken));
    let other = running.create().await;
    let index = running.service.nodes(other, None, &running.stop).await.unwrap().index;
    let stop = running.stop.clone();
    let (ended, ()) = tokio::join!(running.poll(other, index, 55), async { stop.cancel() });
    assert_eq!(ended.unwrap().set, None, "the end of the service keeps nobody waiting");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn tokens_are_made_slowly_but_for_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let source = [192, 0, 2, 1].into();
    for _ in 0..2 {
        running.service.create(source, false).await.unwrap();
    }
    let refused = running.service.create(source, false).await;
    assert!(matches!(refused, Err(Refusal::TooFast { .. })), "{refused:?}");
    running.service.create(source, true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    running.service.create(source, false).await.unwrap();
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_replaced_set_is_kept_and_makes_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let token = Token::random();
    let set: Vec<Box<str>> = vec!["b:1".into(), "a:1".into(), "b:1".into()];
    running.service.replace(token, set, TTL).await.unwrap();
    running.service.register(token, "c:1".into(), TTL).await.unwrap();
    running.service.replace(token, vec!["a:1".into()], TTL).await.unwrap();
    running.end().await;
    let again = Running::start(folder.path()).await;
    assert_eq!(again.set(token).await, ["a:1".into()]);
    assert_eq!(again.service.clusters().len(), 1);
    again.service.remove(token).await.unwrap();
    assert_eq!(again.service.remove(token).await, Err(Refusal::UnknownToken));
    again.end().await;
    let last = Running::start(folder.path()).await;
    assert!(last.service.clusters().is_empty());
    last.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_registrations_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let token = running.create().await;
    let mut all = tokio::task::JoinSet::new();
    for n in 0..1_000 {
        let service = Arc::clone(&running.service);
        all.spawn(async move { service.register(token, format!("h{n}:1").into(), TTL).await });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap().unwrap();
    }
    // As a crash would: nothing is told to end.
    running.looking.abort();
    let _ = running.looking.await;
    drop(running.service);
    running.written.await.unwrap();
    let again = Running::start(folder.path()).await;
    assert_eq!(again.set(token).await.len(), 1_000);
    again.end().await;
}
