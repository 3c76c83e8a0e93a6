//! The page over a swarm's store that is filled in this process: as many nodes, services and tasks as are
//! wished, without any engine, and changes of them at a rate.
//!
//! It prints one line of JSON with the page's address when the page answers; a line `change RATE SECONDS` on
//! its standard input has that many tasks changed, and is answered by a line when that is over. It ends when
//! its standard input closes. What a manager shows of plain containers, and its agents' sessions, are not in
//! it: the figures are the page's own.

mod content;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::StatusCode;
use http_body_util::{BodyExt as _, StreamBody};
use parking_lot::Mutex;
use serde_json::json;
use swarm_backend::{
    ApiError, Asked, ContainerSight, NodeSight, Onward, Overview, PoolSight, Reply, ServiceSight,
    Wanted,
};
use swarm_manager::Clock;
use swarm_manager::overview::{self, Look};
use swarm_manager::replica::memory::Memory;
use swarm_manager::replica::{Replica, Touched};
use swarm_visualizer::{Backend, Door, Guard};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::cli::SwarmShape;

/// Changes are written so often.
const TICK: Duration = Duration::from_millis(20);

/// Serves it until standard input closes.
pub async fn serve(shape: &SwarmShape) -> Result<()> {
    let stop = CancellationToken::new();
    let replica = Replica::new(Memory::new() as _);
    tokio::spawn(Arc::clone(&replica).run(stop.clone()));
    for batch in content::batches(shape)? {
        replica.commit(batch).await.context("the store does not take it")?;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({"page": listener.local_addr()?.to_string()}));
    let place = swarm_listen::Door { listener, tls: None };
    let door = Door { place, guard: Guard::Local, writes: false };
    let since = Touched { whole: true, ..Touched::default() };
    let sight = Arc::new(Shown {
        replica: Arc::clone(&replica),
        last: Mutex::default(),
        since: Arc::new(Mutex::new(since)),
    });
    let backend = Backend { sight, api: Arc::new(NoEngines) };
    let page = swarm_visualizer::serve(door, backend, stop.clone());
    let steered = async {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = lines.next_line().await? {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ["change", rate, seconds] = words[..] else {
                anyhow::bail!("expected `change RATE SECONDS`, and not {line:?}")
            };
            let changed = change(&replica, rate.parse()?, seconds.parse()?).await?;
            println!("{}", json!({"changed": changed}));
        }
        anyhow::Ok(())
    };
    tokio::select! {
        () = page => Ok(()),
        end = steered => end,
    }
}

/// Changes `rate` tasks per second for so long; how many there were.
async fn change(replica: &Replica, rate: u32, seconds: u64) -> Result<usize> {
    ensure!((1..=100_000).contains(&rate), "a rate is 1 to 100,000 per second");
    let ticks = u32::try_from(Duration::from_secs(seconds).as_millis() / TICK.as_millis())?;
    let mut pace = interval(TICK);
    // What cannot keep the pace falls behind it, and is seen to.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut done, mut owed) = (0, 0.0);
    for _ in 0..ticks {
        pace.tick().await;
        owed += f64::from(rate) * TICK.as_secs_f64();
        let batch = replica.read(|tables| {
            let mut batch = swarm_manager::Batch::default();
            while owed >= 1.0 {
                owed -= 1.0;
                batch.put(&content::changed(tables, done))?;
                done += 1;
            }
            Ok::<_, swarm_kv::StoreError>(batch)
        });
        replica.commit(batch?).await?;
    }
    Ok(done)
}

/// The swarm at a glance, as a manager has it.
struct Shown {
    replica: Arc<Replica>,
    last: Mutex<Look>,
    /// What changed since.
    since: Arc<Mutex<Touched>>,
}

#[async_trait]
impl Overview for Shown {
    fn watch(&self) -> BoxStream<'static, ()> {
        let since = Arc::clone(&self.since);
        since.lock().whole = true;
        stream::unfold((self.replica.feed(), since), |(feed, since)| async move {
            let touched = feed.changed().await;
            since.lock().merge(&touched);
            Some(((), (feed, since)))
        })
        .boxed()
    }

    fn pool(&self) -> PoolSight {
        let mut look = self.last.lock();
        let touched = std::mem::take(&mut *self.since.lock());
        self.replica.read(|tables| look.again(tables, &touched, None, &[]));
        let waiting = look.waiting.clone();
        let (version, role) = (env!("CARGO_PKG_VERSION").to_owned(), "leader".to_owned());
        PoolSight { kind: "swarm", version, role, keeps: true, waiting, ..PoolSight::default() }
    }

    fn nodes(&self) -> Vec<NodeSight> {
        self.last.lock().nodes.clone()
    }

    fn services(&self) -> Vec<ServiceSight> {
        self.last.lock().services.clone()
    }

    fn containers(&self, key: &str) -> Vec<ContainerSight> {
        let look = self.last.lock();
        let tasks = look.on(key).iter();
        tasks.map(|task| overview::task_sight(task, look.name(task), key)).collect()
    }

    fn plan(&self, wanted: &Wanted) -> swarm_backend::Result<Reply> {
        let plan = self.replica.read(|tables| {
            overview::plan(tables, wanted, Clock::system().now(tables), &mut rand::rng())
        });
        Reply::ok(&plan?)
    }

    async fn happenings(&self, _since: std::time::SystemTime) -> swarm_backend::Result<Reply> {
        let body = StreamBody::new(stream::once(pending())).boxed_unsync();
        Ok(Reply::streaming_json(StatusCode::OK, body))
    }
}

/// There is nothing to ask.
struct NoEngines;

#[async_trait]
impl Asked for NoEngines {
    async fn ask(&self, _: Onward) -> swarm_backend::Result<Reply> {
        Err(ApiError::unavailable("this swarm has no engines"))
    }
}
