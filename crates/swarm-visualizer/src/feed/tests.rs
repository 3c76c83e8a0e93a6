//! The feed over a backend that is what a test says: one look for all, slow clients, idle times.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body_util::BodyExt;
use swarm_backend::{
    ApiError, Body, ContainerSight, NodeSight, Overview, PoolSight, Reply, Result, Wanted,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;

/// A pool of one node, whose containers carry the number of the last change in their names.
struct Fake {
    changes: watch::Sender<u64>,
    looks: AtomicUsize,
    containers: usize,
    /// What each asking for events is told, after which the stream breaks off.
    told: Mutex<VecDeque<&'static str>>,
    /// Since when they were asked for.
    asked: Mutex<Vec<SystemTime>>,
}

impl Fake {
    fn of(containers: usize) -> Arc<Self> {
        Arc::new(Self {
            changes: watch::Sender::new(1),
            looks: AtomicUsize::new(0),
            containers,
            told: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    fn change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl Overview for Fake {
    fn watch(&self) -> BoxStream<'static, ()> {
        let changes = self.changes.subscribe();
        stream::unfold(changes, |mut changes| async move {
            changes.changed().await.is_ok().then_some(((), changes))
        })
        .boxed()
    }

    fn pool(&self) -> PoolSight {
        self.looks.fetch_add(1, Ordering::Relaxed);
        PoolSight::default()
    }

    fn nodes(&self) -> Vec<NodeSight> {
        let revision = *self.changes.borrow();
        vec![NodeSight { key: "n".to_owned(), revision, ..NodeSight::default() }]
    }

    fn containers(&self, key: &str) -> Vec<ContainerSight> {
        let count = *self.changes.borrow();
        let one = |index: usize| ContainerSight {
            id: index.to_string(),
            name: format!("c{index}-{count}"),
            node: key.to_owned(),
            ..ContainerSight::default()
        };
        (0..self.containers).map(one).collect()
    }

    fn plan(&self, _: &Wanted) -> Result<Reply> {
        Err(ApiError::not_found("no plan"))
    }

    async fn happenings(&self, since: SystemTime) -> Result<Reply> {
        self.asked.lock().push(since);
        let told = self.told.lock().pop_front();
        let told = told.ok_or_else(|| ApiError::not_found("no events"))?;
        Ok(Reply::streaming_json(http::StatusCode::OK, swarm_backend::full(told)))
    }
}

struct Reader {
    body: Body,
    text: String,
}

impl Reader {
    fn new(feed: &Arc<Feed>, place: Option<Place>) -> Self {
        Self { body: body(feed, place, CancellationToken::new()), text: String::new() }
    }

    /// Reads until an event of this name, and gives it with its id.
    async fn until(&mut self, name: &str) -> (Option<Place>, String) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |key: &str| {
                    event.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned)
                };
                if field("event: ").as_deref() == Some(name) {
                    let place = field("id: ").and_then(|id| Place::parse(&id));
                    return (place, field("data: ").unwrap());
                }
                continue;
            }
            let frame = self.body.frame().await.unwrap().unwrap();
            self.text += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
        }
    }
}

fn started(fake: &Arc<Fake>) -> (Arc<Feed>, CancellationToken) {
    let feed = Feed::new(Arc::clone(fake) as Arc<dyn Overview>, None);
    let stop = CancellationToken::new();
    tokio::spawn(run(Arc::clone(&feed), stop.clone()));
    (feed, stop)
}

#[tokio::test]
async fn many_look_and_the_pool_is_looked_at_once() {
    let fake = Fake::of(3);
    let (feed, _stop) = started(&fake);
    assert_eq!(fake.looks.load(Ordering::Relaxed), 0, "nobody looks");
    let mut readers: Vec<_> = (0..20).map(|_| Reader::new(&feed, None)).collect();
    for reader in &mut readers {
        reader.until("ready").await;
    }
    let before = fake.looks.load(Ordering::Relaxed);
    fake.change();
    for reader in &mut readers {
        let (_, change) = reader.until("change").await;
        assert!(change.contains("c0-2"), "{change}");
    }
    assert!(fake.looks.load(Ordering::Relaxed) <= before + 2);
}

#[tokio::test]
async fn who_comes_back_gets_what_he_missed_and_who_was_too_slow_everything() {
    let fake = Fake::of(2);
    let (feed, _stop) = started(&fake);
    let mut first = Reader::new(&feed, None);
    let (place, _) = first.until("ready").await;
    fake.change();
    first.until("change").await;
    let mut back = Reader::new(&feed, place);
    let (_, missed) = back.until("change").await;
    assert!(missed.contains("c1-2") && !back.text.contains("begin"));

    // A slow client: more happens than is kept, and it holds nothing of it.
    let mut slow = Reader::new(&feed, None);
    slow.until("ready").await;
    feed.changed(|state| {
        for _ in 0..=journal::CHANGES {
            state.journal.push(|place| crate::sse::event("change", Some(place), b"{}"));
        }
    });
    let (_, begin) = slow.until("begin").await;
    assert!(begin.contains("\"containers\":2"), "{begin}");
    let (place, _) = slow.until("ready").await;
    assert_eq!(place, Some(feed.state.lock().journal.place()));
}

#[tokio::test]
async fn a_large_pool_begins_in_parts() {
    let fake = Fake::of(1_001);
    let (feed, _stop) = started(&fake);
    let mut reader = Reader::new(&feed, None);
    reader.until("begin").await;
    let mut sizes = Vec::new();
    for _ in 0..5 {
        let (place, part) = reader.until("part").await;
        assert_eq!(place, None, "who is cut off here begins again");
        sizes.push(part.matches("\"id\"").count());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 1_001);
    assert!(reader.until("ready").await.0.is_some());
    let snapshot = feed.snapshot().await.unwrap();
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot).unwrap();
    assert_eq!(snapshot["containers"].as_array().unwrap().len(), 1_001);
}

#[tokio::test(start_paused = true)]
async fn the_past_is_told_and_what_happens_while_the_events_are_broken_off() {
    let fake = Fake::of(1);
    fake.told.lock().extend([
        concat!(
            r#"{"Type":"container","Action":"die","Actor":{"ID":"before"},"#,
            r#""timeNano":9000000000000000000}"#,
            "\n"
        ),
        concat!(
            r#"{"Type":"container","Action":"die","Actor":{"ID":"meanwhile"},"#,
            r#""timeNano":9000000001000000000}"#,
            "\n"
        ),
    ]);
    let begun = SystemTime::now();
    let (feed, _stop) = started(&fake);
    let _looker = feed.look();
    let mut news = feed.news.subscribe();
    news.wait_for(|_| feed.state.lock().events.len() == 2).await.unwrap();
    let told: Vec<_> = feed.state.lock().events.iter().map(|one| one.get().to_owned()).collect();
    assert!(told[0].contains("before") && told[1].contains("meanwhile"), "{told:?}");
    let asked = fake.asked.lock().clone();
    let past = begun.duration_since(asked[0]).unwrap();
    assert!((595..=600).contains(&past.as_secs()), "{past:?}");
    let millis = asked[1].duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    assert_eq!(millis, 9_000_000_000_001, "after the last one that was told");
}
