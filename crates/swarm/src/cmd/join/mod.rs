//! `swarm join`: keeps one engine registered until it is told to stop, then takes it back.
//! Whether a discovery has registration at all is the backend's to say; a refusal of the
//! first registration for that reason ends the command, any other failure is retried at the
//! next heartbeat, as in classic. With `--register` it is a registrator beside that, with `--listen` it serves
//! the engine itself (`door`), which then listens on no TCP port.

mod door;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use swarm_discovery::{DiscoveryBackend, DiscoveryError, Entry};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::door::{DoorConfig, OpenDoor};
use crate::cli::JoinFlags;
use crate::cmd::manage::{notify, reload_on_hangup, stop_on_signals};
use crate::cmd::registrator::Prepared;
use crate::config::{Env, heartbeat, required_discovery, set};
use crate::tls::Tls;
use crate::usage::UsageError;
use crate::values::{advertise, duration};

/// How long taking the registration back may hold up the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long the engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest pause after a registration that did not work.
const SOON: Duration = Duration::from_secs(2);

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
    let door = DoorConfig::resolve(&flags)?;
    let address = flags.advertise.or_else(|| set(env, "SWARM_ADVERTISE")).ok_or_else(|| {
        UsageError::flags("missing mandatory --advertise flag: HOST:PORT of the joining engine")
    })?;
    let entry = advertise("--advertise", &address)?;
    // Managers reach the engine there, so others reach its services there, too.
    let ip = match &entry {
        Entry::Tcp { host, .. } => host.parse::<IpAddr>().ok().filter(|ip| !ip.is_loopback()),
        _ => None,
    };
    let ip = ip.map(|ip| ip.to_string());
    let register_engine = flags.register_engine.or(flags.engine);
    let registrator = match flags.register.given(register_engine, ip, env)? {
        Some(flags) => Some(Prepared::new(&flags).await?),
        None => None,
    };
    let engine = door.as_ref().map(|door| door.engine.clone());
    let door = match door {
        Some(door) => Some(door.open().await?),
        None => None,
    };
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let server = door.as_ref().and_then(|door| door.tls.clone());
    reload_on_hangup(Tls { server, page: None, client: None })?;
    notify(sd_notify::NotifyState::Ready);
    // Managers that use the engine hear first that it leaves.
    let left = CancellationToken::new();
    let joined = async {
        let joined = match engine {
            Some(engine) => {
                keep_registered(&*discovery, &BySocket(engine), &entry, &rhythm, &stop).await
            }
            None => keep_registered(&*discovery, &OverTcp, &entry, &rhythm, &stop).await,
        };
        // One that cannot join ends, and its registrator with it.
        stop.cancel();
        left.cancel();
        joined.context("cannot join")
    };
    let served = async {
        if let Some(door) = door {
            OpenDoor::serve(door, left.clone()).await;
        }
    };
    let registering = async {
        match registrator {
            Some(registrator) => {
                let registered = registrator.run(stop.clone(), || {}).await;
                // Whoever wants both is not left with one.
                if registered.is_err() {
                    stop.cancel();
                }
                registered
            }
            None => Ok(()),
        }
    };
    let (joined, registered, ()) = tokio::join!(joined, registering, served);
    joined.and(registered)
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

/// What was said last: a state that lasts is told once.
#[derive(Default)]
struct Told(Option<String>);

impl Told {
    fn tell(&mut self, state: &str, say: impl FnOnce()) {
        if self.0.as_deref() != Some(state) {
            self.0 = Some(state.to_owned());
            say();
        }
    }
}

/// Whether an engine answers.
trait Asked {
    async fn answers(&self, entry: &Entry) -> Result<(), String>;
}

/// The engine itself, over TCP. Any answer counts: one that speaks TLS says in plain words that it
/// does, and its certificates are the managers' business.
struct OverTcp;

impl Asked for OverTcp {
    async fn answers(&self, entry: &Entry) -> Result<(), String> {
        let Entry::Tcp { host, port } = entry else { return Ok(()) };
        answers(tokio::net::TcpStream::connect((host.as_str(), *port)), entry).await
    }
}

/// The engine itself, by its socket, where this agent is the way to it.
struct BySocket(PathBuf);

impl Asked for BySocket {
    async fn answers(&self, entry: &Entry) -> Result<(), String> {
        answers(door::dial(&self.0), entry).await
    }
}

/// Whether anything is said on a connection.
async fn answers<S>(
    connecting: impl Future<Output = std::io::Result<S>>,
    entry: &Entry,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = async {
        let mut stream = connecting.await?;
        let question = format!("GET /_ping HTTP/1.1\r\nHost: {entry}\r\nConnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await?;
        let read = stream.read(&mut [0; 64]).await?;
        if read == 0 {
            return Err(std::io::Error::other("it hung up without a word"));
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

async fn keep_registered(
    discovery: &dyn DiscoveryBackend,
    engine: &impl Asked,
    entry: &Entry,
    rhythm: &Rhythm,
    stop: &CancellationToken,
) -> Result<(), DiscoveryError> {
    if !discovery.takes_registrations() {
        // In its own words.
        return discovery.register(entry, rhythm.ttl).await;
    }
    let mut wait = rhythm.delay.mul_f64(rand::random());
    let mut told = Told::default();
    let mut registered = false;
    while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        wait = rhythm.heartbeat;
        // Whoever registers an engine vouches for it.
        if let Err(error) = engine.answers(entry).await {
            told.tell(
                &error,
                || warn!(%entry, error, "the engine does not answer: not registered"),
            );
            wait = wait.min(SOON);
            continue;
        }
        let registering = discovery.register(entry, rhythm.ttl);
        // A renewal may wait for others in the store; leaving does not wait for a renewal.
        let outcome = if registered {
            let Some(outcome) = stop.run_until_cancelled(registering).await else { break };
            outcome
        } else {
            registering.await
        };
        registered = outcome.is_ok();
        match outcome {
            Ok(()) => told.tell("", || {
                info!(%entry, discovery = %discovery.describe(), "registered");
            }),
            Err(
                error @ (DiscoveryError::NoRegistration { .. }
                | DiscoveryError::NotRegistrable { .. }),
            ) => return Err(error),
            Err(error) => {
                told.tell(&error.to_string(), || {
                    warn!(%entry, %error, "not registered; trying again");
                });
                // The registration runs on meanwhile; a store that is back is to hear of it soon.
                wait = wait.min(SOON).mul_f64(1.0 + rand::random::<f64>() / 2.0);
            }
        }
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

    /// Writes down what it is asked, and refuses every second registration, or else takes its time
    /// for each.
    #[derive(Debug, Default)]
    struct Book(Mutex<Vec<String>>, Duration);

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
        fn takes_registrations(&self) -> bool {
            true
        }
        async fn register(&self, entry: &Entry, ttl: Duration) -> Result<(), DiscoveryError> {
            let written = {
                let mut book = self.0.lock().unwrap();
                book.push(format!("+{entry} {ttl:?}"));
                book.len()
            };
            tokio::time::sleep(self.1).await;
            if self.1.is_zero() && written.is_multiple_of(2) {
                return Err(DiscoveryError::Store(swarm_kv::StoreError::Unreachable {
                    store: "book".to_owned(),
                    reason: "busy".to_owned(),
                }));
            }
            Ok(())
        }
        async fn deregister(&self, entry: &Entry) -> Result<(), DiscoveryError> {
            self.0.lock().unwrap().push(format!("-{entry}"));
            Ok(())
        }
    }

    /// An engine that answers for its first minutes.
    struct For(tokio::time::Instant, Duration);

    impl Asked for For {
        async fn answers(&self, _: &Entry) -> Result<(), String> {
            if self.0.elapsed() < self.1 { Ok(()) } else { Err("silent".to_owned()) }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_does_not_answer_is_not_registered() {
        let book = Book::default();
        let entry: Entry = "node:2375".parse().unwrap();
        let (heartbeat, ttl, delay) =
            (Duration::from_mins(1), Duration::from_mins(3), Duration::ZERO);
        let rhythm = Rhythm { heartbeat, ttl, delay };
        let stop = CancellationToken::new();
        let stopping = async {
            tokio::time::sleep(Duration::from_mins(10)).await;
            stop.cancel();
        };
        let engine = For(tokio::time::Instant::now(), Duration::from_secs(1));
        let (outcome, ()) =
            tokio::join!(keep_registered(&book, &engine, &entry, &rhythm, &stop), stopping);
        outcome.unwrap();
        assert_eq!(*book.0.lock().unwrap(), ["+node:2375 180s", "-node:2375"]);
    }

    #[tokio::test(start_paused = true)]
    async fn leaving_does_not_wait_for_a_renewal() {
        let book = Book(Mutex::default(), Duration::from_secs(2));
        let entry: Entry = "node:2375".parse().unwrap();
        let (heartbeat, ttl) = (Duration::from_mins(1), Duration::from_mins(3));
        let rhythm = Rhythm { heartbeat, ttl, delay: Duration::ZERO };
        let begun = tokio::time::Instant::now();
        let engine = For(begun, Duration::from_mins(10));
        let stop = CancellationToken::new();
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(63)).await;
            stop.cancel();
        };
        let (outcome, ()) =
            tokio::join!(keep_registered(&book, &engine, &entry, &rhythm, &stop), stopping);
        outcome.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(63_500), "{:?}", begun.elapsed());
        let written = ["+node:2375 180s", "+node:2375 180s", "-node:2375"];
        assert_eq!(*book.0.lock().unwrap(), written);
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
        let engine = For(tokio::time::Instant::now(), Duration::from_mins(10));
        let stop = CancellationToken::new();
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(150)).await;
            stop.cancel();
        };
        let (outcome, ()) =
            tokio::join!(keep_registered(&book, &engine, &entry, &rhythm, &stop), stopping);
        outcome.unwrap();
        let book = book.0.lock().unwrap();
        // Each second one is refused here, and tried again soon.
        assert!((4..=7).contains(&book.len()), "{book:?}");
        assert!(book[..book.len() - 1].iter().all(|line| line == "+node:2375 180s"), "{book:?}");
        assert_eq!(book.last().map(String::as_str), Some("-node:2375"));
    }
}
