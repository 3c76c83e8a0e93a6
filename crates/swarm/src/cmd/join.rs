//! `swarm join`: keeps one engine registered until it is told to stop, then takes it back.
//! Whether a discovery has registration at all is the backend's to say; a refusal of the
//! first registration for that reason ends the command, any other failure is retried at the
//! next heartbeat, as in classic.

use std::time::Duration;

use anyhow::Context;
use swarm_discovery::{DiscoveryBackend, DiscoveryError, Entry};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::JoinFlags;
use crate::cmd::manage::stop_on_signals;
use crate::config::{Env, heartbeat, required_discovery, set};
use crate::usage::UsageError;
use crate::values::{advertise, duration};

/// How long taking the registration back may hold up the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// When to register, and for how long.
struct Rhythm {
    heartbeat: Duration,
    ttl: Duration,
    /// The longest random wait before the first time.
    delay: Duration,
}

/// Checks the flags and stays until a signal.
pub async fn run(flags: JoinFlags, env: Env<'_>) -> anyhow::Result<()> {
    let discovery = required_discovery("join", &flags.discovery, env)?;
    let rhythm = rhythm(&flags)?;
    let address = flags.advertise.or_else(|| set(env, "SWARM_ADVERTISE")).ok_or_else(|| {
        UsageError::flags("missing mandatory --advertise flag: HOST:PORT of the joining engine")
    })?;
    let entry = advertise("--advertise", &address)?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    keep_registered(&*discovery, &entry, &rhythm, &stop).await.context("cannot join")
}

fn rhythm(flags: &JoinFlags) -> Result<Rhythm, UsageError> {
    let heartbeat = heartbeat(flags.heartbeat.as_deref().unwrap_or("60s"))?;
    let ttl_text = flags.ttl.as_deref().unwrap_or("180s");
    let ttl = duration("--ttl", ttl_text)?;
    if ttl <= heartbeat {
        let problem = "--ttl must be strictly superior to the heartbeat value";
        return Err(UsageError::value("--ttl", ttl_text, problem));
    }
    let delay = duration("--delay", flags.delay.as_deref().unwrap_or("0s"))?;
    Ok(Rhythm { heartbeat, ttl, delay })
}

async fn keep_registered(
    discovery: &dyn DiscoveryBackend,
    entry: &Entry,
    rhythm: &Rhythm,
    stop: &CancellationToken,
) -> Result<(), DiscoveryError> {
    let mut wait = rhythm.delay.mul_f64(rand::random());
    while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        match discovery.register(entry, rhythm.ttl).await {
            Ok(()) => info!(%entry, discovery = %discovery.describe(), "registered"),
            Err(error @ DiscoveryError::NoRegistration { .. }) => return Err(error),
            Err(error) => warn!(%entry, %error, "not registered; trying again"),
        }
        wait = rhythm.heartbeat;
    }
    match tokio::time::timeout(FAREWELL, discovery.deregister(entry)).await {
        Ok(Ok(())) => info!(%entry, "left"),
        Ok(Err(error)) => warn!(%entry, %error, "the registration is left to run out"),
        Err(_) => warn!(%entry, "the registration is left to run out: the discovery is silent"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use swarm_discovery::EntryStream;

    use super::*;

    /// Writes down what it is asked, and refuses every second registration.
    #[derive(Debug, Default)]
    struct Book(Mutex<Vec<String>>);

    #[async_trait]
    impl DiscoveryBackend for Book {
        fn describe(&self) -> String {
            "book".to_owned()
        }
        async fn fetch(&self) -> Result<Vec<Entry>, DiscoveryError> {
            Ok(Vec::new())
        }
        fn watch(&self) -> EntryStream {
            unreachable!("join does not watch")
        }
        async fn register(&self, entry: &Entry, ttl: Duration) -> Result<(), DiscoveryError> {
            let mut book = self.0.lock().unwrap();
            book.push(format!("+{entry} {ttl:?}"));
            if book.len().is_multiple_of(2) {
                return Err(DiscoveryError::NotBuilt { scheme: "busy".to_owned() });
            }
            Ok(())
        }
        async fn deregister(&self, entry: &Entry) -> Result<(), DiscoveryError> {
            self.0.lock().unwrap().push(format!("-{entry}"));
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_registers_at_every_heartbeat_and_leaves_at_the_end() {
        let book = Book::default();
        let entry: Entry = "node:2375".parse().unwrap();
        let rhythm = Rhythm {
            heartbeat: Duration::from_mins(1),
            ttl: Duration::from_mins(3),
            delay: Duration::from_secs(10),
        };
        let stop = CancellationToken::new();
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(150)).await;
            stop.cancel();
        };
        let (outcome, ()) = tokio::join!(keep_registered(&book, &entry, &rhythm, &stop), stopping);
        outcome.unwrap();
        let expected = ["+node:2375 180s", "+node:2375 180s", "+node:2375 180s", "-node:2375"];
        assert_eq!(*book.0.lock().unwrap(), expected);
    }
}
