//! A fleet of simulated Docker Engines: thousands in one process, each on its own
//! loopback address, speaking real HTTP/1.1 with keep-alive and real event streams.
//!
//! What it is for: unit tests of whatever talks to engines, and the benchmark. It
//! keeps the books an engine keeps (containers, names, images, networks, volumes,
//! events) and runs nothing. Real engines stay the judge of behaviour; the fleet is
//! the judge of numbers and of faults that a real engine will not produce on demand.
//!
//! Invariants: an engine's `timeNano` strictly increases; an event is published after
//! the state it tells of can be read; a request is counted when it arrives, whether
//! or not a fault lets it be answered; dropping the [`Fleet`] closes every socket.

mod config;
mod container;
mod containers;
mod control;
mod engine;
mod events;
mod exec;
mod filter;
mod id;
mod images;
mod networks;
mod reply;
mod route;
mod seed;
mod serve;
mod spec;
mod state;
mod system;
mod volumes;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

pub use config::{FleetConfig, Release};
pub use control::Fault;
pub use engine::Engine;
pub use id::Id;

/// The running fleet. Dropping it stops all its engines.
#[derive(Debug)]
pub struct Fleet {
    engines: Vec<Arc<Engine>>,
}

impl Fleet {
    /// Binds and serves every engine of `config`; all listen when this returns.
    ///
    /// Fails when an address cannot be bound, naming it.
    #[allow(clippy::unused_async)] // Binding may come to wait; callers are async anyway.
    pub async fn start(config: FleetConfig) -> anyhow::Result<Self> {
        let catalog = Arc::new(seed::Catalog::new(&config));
        let mut engines = Vec::with_capacity(config.engines);
        for index in config.first..config.first + config.engines {
            engines.push(Engine::start(index, &config, &catalog)?);
        }
        Ok(Self { engines })
    }

    /// The engine at `index`, counted from 0 in address order.
    ///
    /// # Panics
    /// When the fleet has no such engine.
    pub fn engine(&self, index: usize) -> &Arc<Engine> {
        &self.engines[index]
    }

    /// All engines, in address order.
    pub fn engines(&self) -> &[Arc<Engine>] {
        &self.engines
    }

    /// The engines' addresses, in order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.engines.iter().map(|engine| engine.address()).collect()
    }

    /// The fleet as a static discovery URL, `nodes://A:P,B:P,…`.
    pub fn discovery_url(&self) -> String {
        let list: Vec<String> =
            self.engines.iter().map(|engine| engine.address().to_string()).collect();
        format!("nodes://{}", list.join(","))
    }

    /// Containers over all engines: (all, running).
    pub fn containers(&self) -> (usize, usize) {
        self.engines.iter().fold((0, 0), |(all, running), engine| {
            let (a, r) = engine.containers();
            (all + a, running + r)
        })
    }

    /// Requests received since the last reset, summed over the engines, by route
    /// (`GET /containers/{id}/json`).
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        let mut sum = BTreeMap::new();
        for engine in &self.engines {
            for (route, count) in engine.requests() {
                *sum.entry(route).or_insert(0) += count;
            }
        }
        sum
    }

    /// Forgets the request counts of every engine.
    pub fn reset_requests(&self) {
        for engine in &self.engines {
            engine.reset_requests();
        }
    }

    /// Event streams open over all engines.
    pub fn event_streams(&self) -> usize {
        self.engines.iter().map(|e| e.event_streams()).sum()
    }

    /// Emits exec events (the commonest on real hosts: health checks) with these
    /// `numbers` at `per_second`, round robin over the engines, and returns when the last
    /// is out. Behind schedule it catches up in bursts, as busy engines do.
    pub async fn emit_events(&self, numbers: Range<usize>, per_second: u32) {
        let start = tokio::time::Instant::now();
        let (first, count) = (numbers.start, numbers.len());
        let mut sent = 0_usize;
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while sent < count && !self.engines.is_empty() {
            tick.tick().await;
            let due = start.elapsed().as_millis() * u128::from(per_second) / 1000;
            let due = usize::try_from(due).unwrap_or(usize::MAX).min(count);
            while sent < due {
                self.engines[sent % self.engines.len()].emit_synthetic(first + sent);
                sent += 1;
            }
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for engine in &self.engines {
            engine.stop();
        }
    }
}

#[cfg(test)]
mod tests;
