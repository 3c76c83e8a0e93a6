//! The task that sends, by period and once more at the end.
//!
//! Everything of the network is within a deadline. An error is told when it comes and when it
//! changes, not again while it lasts, and so is its end.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::ledger::Ledger;
use super::samples;
use super::wire::Dialect;
use crate::format::Format;

/// How long a name is believed: receivers move, mostly within minutes.
const BELIEVED: Duration = Duration::from_mins(1);
/// How long the look-up of a name may take; the next period asks again.
const LOOKING_UP: Duration = Duration::from_secs(5);
/// How long the kernel may want to take a datagram.
const SENDING: Duration = Duration::from_secs(1);
/// Between two datagrams, so that a receiver's small buffer does not overflow.
const PACE: Duration = Duration::from_millis(1);

/// Where to send, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsdConfig {
    /// `HOST:PORT`.
    pub address: String,
    /// The notation.
    pub dialect: Dialect,
    /// How often.
    pub interval: Duration,
    /// The first word of every name.
    pub prefix: String,
}

/// Sends what is registered until `stop`, and then what is left.
pub async fn send(config: StatsdConfig, registry: Registry, stop: CancellationToken) {
    let registry = Arc::new(registry);
    let mut sender =
        Sender { config, ledger: Ledger::default(), socket: None, failures: 0, trouble: None };
    let mut period = interval(sender.config.interval);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first moment has nothing to tell yet.
    period.tick().await;
    loop {
        let ending = tokio::select! {
            () = stop.cancelled() => true,
            _ = period.tick() => false,
        };
        let outcome = sender.round(&registry).await;
        sender.tell(outcome.err());
        if ending {
            return;
        }
    }
}

struct Sender {
    config: StatsdConfig,
    ledger: Ledger,
    /// To whom, and until when the name is believed.
    socket: Option<(UdpSocket, SocketAddr, Instant)>,
    /// How often sending failed: a name may have several addresses, and each gets its turn.
    failures: usize,
    /// What was told last.
    trouble: Option<String>,
}

impl Sender {
    async fn round(&mut self, registry: &Arc<Registry>) -> Result<(), String> {
        // Thousands of containers are counted: that is no work for a thread that serves clients.
        let registry = Arc::clone(registry);
        let rendered = tokio::task::spawn_blocking(move || Format::Text.render(&registry)).await;
        let Ok(Ok(text)) = rendered else {
            return Err(format!("cannot write the metrics down: {rendered:?}"));
        };
        let samples = samples::read(&text);
        let (datagrams, too_long) =
            self.ledger.due(self.config.dialect, &self.config.prefix, &samples);
        self.connect().await?;
        for datagram in datagrams {
            let Some((socket, address, _)) = &self.socket else {
                return Err("there is no socket".to_owned());
            };
            let sent = timeout(SENDING, socket.send(datagram.text.as_bytes())).await;
            let error = match sent {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("the network took nothing for {SENDING:?}")),
            };
            if let Some(error) = error {
                let error = format!("{address}: {error}");
                self.socket = None;
                self.failures = self.failures.wrapping_add(1);
                return Err(error);
            }
            self.ledger.told(datagram);
            sleep(PACE).await;
        }
        too_long.map_or(Ok(()), |series| Err(format!("{series} is too long for a datagram")))
    }

    /// Sees to a socket. While a name cannot be looked up, the address that it had is used.
    async fn connect(&mut self) -> Result<(), String> {
        if self.socket.as_ref().is_some_and(|(_, _, until)| Instant::now() < *until) {
            return Ok(());
        }
        let looked_up = match timeout(LOOKING_UP, lookup_host(&self.config.address)).await {
            Ok(Ok(found)) => {
                let found: Vec<_> = found.collect();
                let known = self.socket.as_ref().map(|(_, address, _)| *address);
                let address = choose(&found, known, self.failures);
                address.ok_or_else(|| "the name has no address".to_owned())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer to the name's look-up within {LOOKING_UP:?}")),
        };
        let until = Instant::now() + BELIEVED;
        match (looked_up, &mut self.socket) {
            (Ok(address), Some((_, known, believed))) if *known == address => *believed = until,
            (Ok(address), _) => {
                let socket = open(address).await.map_err(|error| format!("{address}: {error}"))?;
                self.socket = Some((socket, address, until));
            }
            (Err(_), Some((_, _, believed))) => *believed = until,
            (Err(error), None) => return Err(error),
        }
        Ok(())
    }

    fn tell(&mut self, trouble: Option<String>) {
        if trouble == self.trouble {
            return;
        }
        let to = &self.config.address;
        if let Some(trouble) = &trouble {
            warn!(
                "metrics do not reach the StatsD server {to}: {trouble}; it is tried again every \
                 {:?}, and counts are kept until then",
                self.config.interval
            );
        } else {
            info!("metrics reach the StatsD server {to} again");
        }
        self.trouble = trouble;
    }
}

/// The address that is in use, as long as the name has it; else the next one's turn.
fn choose(found: &[SocketAddr], known: Option<SocketAddr>, failures: usize) -> Option<SocketAddr> {
    let turn = failures.checked_rem(found.len())?;
    known.filter(|address| found.contains(address)).or_else(|| found.get(turn).copied())
}

/// Connected, so that the kernel tells when nobody listens there.
async fn open(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn an_address_is_kept_while_the_name_has_it_and_the_next_is_tried_after_a_failure() {
        let [a, b, c] = ["[::1]:1", "127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap());
        for (found, known, failures, chosen) in [
            (&[][..], None, 0, None),
            (&[a, b], None, 0, Some(a)),
            (&[a, b], None, 1, Some(b)),
            (&[a, b], None, 2, Some(a)),
            (&[a, b], Some(b), 0, Some(b)),
            (&[a, b], Some(c), 0, Some(a)),
        ] {
            assert_eq!(choose(found, known, failures), chosen, "{found:?} {known:?} {failures}");
        }
    }

    /// A name may have an IPv6 address too, where nobody listens; it is `localhost` on many machines.
    #[tokio::test]
    async fn a_name_reaches_the_address_that_listens() {
        let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = receiver.local_addr().unwrap().port();
        let mut registry = Registry::default();
        let counter = Counter::<u64>::default();
        registry.register("swarm_things", "Things", counter.clone());
        counter.inc();
        let config = StatsdConfig {
            address: format!("localhost:{port}"),
            dialect: Dialect::Statsd,
            interval: Duration::from_millis(50),
            prefix: "test".to_owned(),
        };
        let stop = CancellationToken::new();
        let sending = tokio::spawn(send(config, registry, stop.clone()));
        let mut buffer = [0; 2048];
        let patience = Duration::from_secs(20);
        let told = async {
            // More happens until something comes: what was sent to nobody is lost.
            loop {
                counter.inc();
                let wait = Duration::from_millis(100);
                if let Ok(length) = timeout(wait, receiver.recv(&mut buffer)).await {
                    return length.unwrap();
                }
            }
        };
        let length = timeout(patience, told).await.unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(text.starts_with("test.things:") && text.ends_with("|c"), "{text}");
        stop.cancel();
        timeout(patience, sending).await.unwrap().unwrap();
    }
}
