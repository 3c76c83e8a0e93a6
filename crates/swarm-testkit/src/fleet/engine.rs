//! One simulated engine: its address, its books, and the switches for its faults.
//!
//! Leaves HTTP to `serve` and the meaning of requests to the route files.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::control::Control;
use super::seed::Catalog;
use super::state::Books;
use super::{Fault, FleetConfig, Id, Release, serve};

/// See the module's words.
#[derive(Debug)]
pub struct Engine {
    address: SocketAddr,
    id: String,
    name: String,
    pub(super) release: Release,
    pub(super) api_version: String,
    pub(super) min_api_version: String,
    pub(super) cpus: u32,
    pub(super) memory: u64,
    pub(super) labels: Vec<String>,
    pub(super) books: Mutex<Books>,
    pub(super) control: watch::Sender<Control>,
    /// Rung whenever a container's state changes, for `wait` and `logs -f`.
    pub(super) changed: Notify,
    requests: Mutex<BTreeMap<&'static str, u64>>,
    /// The last `traceparent` by route; none where the last request had none.
    pub(super) traces: Mutex<BTreeMap<&'static str, Option<String>>>,
    pub(super) open: AtomicUsize,
    accepted: AtomicU64,
    skew_nanos: AtomicI64,
    assumed_id: Mutex<Option<String>>,
}

/// Blocks of 127/8 handed to fleets without a base, so that two never meet.
static NEXT_BLOCK: AtomicU32 = AtomicU32::new(0);

impl Engine {
    pub(super) fn start(
        index: usize,
        config: &FleetConfig,
        catalog: &Catalog,
    ) -> anyhow::Result<Arc<Self>> {
        let ip = if let Some(base) = config.base {
            FleetConfig::address_of(base, index)
        } else {
            let next = NEXT_BLOCK.fetch_add(1, Ordering::Relaxed) % 2_000_000;
            let base = Ipv4Addr::new(127, 64, 0, 1);
            FleetConfig::address_of(base, usize::try_from(next).unwrap_or(0))
        };
        let wanted = SocketAddr::new(IpAddr::V4(ip), config.port);
        let listener = bind(wanted)?;
        let address = listener.local_addr().context("address of a bound listener")?;
        let name = format!("{}{index:04}", config.name_prefix);
        let release = config.release;
        let or =
            |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.to_owned());
        let labels = config.labels.iter().map(|l| l.replace("{i}", &index.to_string())).collect();
        let engine = Arc::new(Self {
            address,
            id: engine_id(release, &format!("{address}/{name}")),
            name,
            release,
            api_version: or(&config.api_version, release.api_version()),
            min_api_version: or(&config.min_api_version, release.min_api_version()),
            cpus: config.cpus,
            memory: config.memory,
            labels,
            books: Mutex::new(catalog.books(index, config)),
            control: watch::Sender::new(Control { listening: true, ..Control::default() }),
            changed: Notify::new(),
            requests: Mutex::default(),
            traces: Mutex::default(),
            open: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            skew_nanos: AtomicI64::new(0),
            assumed_id: Mutex::default(),
        });
        tokio::spawn(serve::listen(Arc::clone(&engine), listener));
        Ok(engine)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `ID` it was made with.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its `ID` as `/info` tells: its own, or the one it took.
    pub(super) fn shown_id(&self) -> String {
        self.assumed_id.lock().clone().unwrap_or_else(|| self.id.clone())
    }

    /// Shows another engine's `ID` as its own, as hosts cloned from one image do.
    pub fn assume_id(&self, id: &str) {
        *self.assumed_id.lock() = Some(id.to_owned());
    }

    /// While set, what happens on it makes no event: none is sent, none remembered for `since`.
    pub fn lose_events(&self, lost: bool) {
        self.books.lock().events.lost = lost;
    }

    /// Its host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What trace the last request to this route was part of, as its `traceparent` told.
    pub fn traceparent(&self, route: &str) -> Option<String> {
        self.traces.lock().get(route).cloned().flatten()
    }

    /// Its containers: (all, running).
    pub fn containers(&self) -> (usize, usize) {
        let books = self.books.lock();
        let up = books.containers.values().filter(|c| c.state.is_up()).count();
        (books.containers.len(), up)
    }

    /// Ids of its containers, oldest first.
    pub fn container_ids(&self) -> Vec<Id> {
        self.books.lock().containers.values().map(|c| c.id).collect()
    }

    /// Names of its containers, oldest first.
    pub fn container_names(&self) -> Vec<String> {
        self.books.lock().containers.values().map(|c| c.name.to_string()).collect()
    }

    /// Ends a running container from inside, as a finishing process does.
    /// Unknown names and stopped containers are left alone.
    pub fn finish(&self, container: &str, code: i32) {
        let now = self.now();
        let mut books = self.books.lock();
        if let Ok(at) = books.find(container) {
            books.die(at, code, now);
            books.reap(at, now);
        }
        drop(books);
        self.changed.notify_waiters();
    }

    /// Emits one exec event of one of its containers, in turn; `number` tells them apart.
    pub fn emit_synthetic(&self, number: usize) {
        let now = self.now();
        let mut books = self.books.lock();
        let after = books.cursor + 1;
        let at = books.containers.range(after..).next().map(|(at, _)| *at);
        let Some(at) = at.or_else(|| books.containers.keys().next().copied()) else { return };
        books.cursor = at;
        let action = match number % 3 {
            0 => "exec_create: /bin/sh -c check",
            1 => "exec_start: /bin/sh -c check",
            _ => "exec_die",
        };
        books.publish(at, now, action, &format!("\"execID\":\"{number:064x}\""));
    }

    /// Requests received since the last reset, by route.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.requests.lock().clone()
    }

    /// All requests received since the last reset.
    pub fn request_count(&self) -> u64 {
        self.requests.lock().values().sum()
    }

    /// Forgets the request counts.
    pub fn reset_requests(&self) {
        self.requests.lock().clear();
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections ever accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Event streams open now.
    pub fn event_streams(&self) -> usize {
        self.books.lock().events.subscribers()
    }

    /// Sets a fault, or lifts it with [`Fault::None`].
    pub fn fault(&self, fault: Fault) {
        self.control.send_modify(|control| control.fault = fault);
    }

    /// Goes silent: see [`Fault::Silent`].
    pub fn silence(&self) {
        self.fault(Fault::Silent);
    }

    /// Lifts any fault; what waited in silence is answered now.
    pub fn restore(&self) {
        self.fault(Fault::None);
    }

    /// Answers only after `delay` more; zero ends it.
    pub fn delay(&self, delay: Duration) {
        self.control.send_modify(|control| control.delay = delay);
    }

    /// Closes the listener: new connections are refused, open ones go on.
    pub fn refuse(&self) {
        self.control.send_modify(|control| control.listening = false);
    }

    /// Closes every open connection.
    pub fn close_connections(&self) {
        self.control.send_modify(|control| control.connections += 1);
    }

    /// Breaks off every event stream, and only those.
    pub fn cut_events(&self) {
        self.control.send_modify(|control| control.streams += 1);
    }

    /// As if dockerd stopped: listener and connections closed, the books kept.
    pub fn stop(&self) {
        self.refuse();
        self.close_connections();
    }

    /// Listens again after `refuse` or `stop`, on the same address.
    pub fn resume(self: &Arc<Self>) -> anyhow::Result<()> {
        if self.control.borrow().listening {
            return Ok(());
        }
        let listener = bind(self.address)?;
        self.control.send_modify(|control| control.listening = true);
        tokio::spawn(serve::listen(Arc::clone(self), listener));
        Ok(())
    }

    /// Sets the engine's clock off the machine's by `millis`.
    pub fn skew(&self, millis: i64) {
        self.skew_nanos.store(millis * 1_000_000, Ordering::Relaxed);
    }

    /// The engine's clock, nanoseconds since 1970.
    pub fn now(&self) -> i64 {
        system_nanos() + self.skew_nanos.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, route: &'static str) {
        *self.requests.lock().entry(route).or_insert(0) += 1;
    }

    pub(super) fn count_connection(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn system_nanos() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn bind(address: SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("a simulated engine cannot listen on {address}"))?;
    listener.set_nonblocking(true)?;
    Ok(tokio::net::TcpListener::from_std(listener)?)
}

/// 20.10 has twelve groups of four base-32 characters; later ones have a UUID.
fn engine_id(release: Release, seed: &str) -> String {
    let id = Id::of(seed);
    match release {
        Release::Docker20 => {
            let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
            let mut text = String::new();
            for group in 0..12 {
                if group > 0 {
                    text.push(':');
                }
                for position in 0..4 {
                    let byte = id.bytes()[(group * 4 + position) % 32]
                        .wrapping_add(u8::try_from(group).unwrap_or(0));
                    text.push(char::from(digits[usize::from(byte % 32)]));
                }
            }
            text
        }
        Release::Docker28 => {
            let hex = id.to_string();
            format!(
                "{}-{}-4{}-8{}-{}",
                &hex[..8],
                &hex[8..12],
                &hex[12..15],
                &hex[15..18],
                &hex[18..30]
            )
        }
    }
}
