//! Metrics that are sent, as a `StatsD` server gets them.
// It fails tests, and so may fail as they do.
#![allow(clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::{Daemon, SOON, client, fleet, wait_for_healthy};

/// A server: what has come, added up as it does.
struct Receiver {
    socket: UdpSocket,
    counts: BTreeMap<String, f64>,
    gauges: BTreeMap<String, f64>,
}

impl Receiver {
    fn new() -> Self {
        Self::at("127.0.0.1:0")
    }

    fn at(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Self { socket, counts: BTreeMap::new(), gauges: BTreeMap::new() }
    }

    fn address(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }

    /// Reads what is there, and checks every line.
    fn read(&mut self, tagged: bool) {
        let mut buffer = [0; 8192];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            assert!(length <= 1432, "{length} bytes");
            for line in std::str::from_utf8(&buffer[..length]).unwrap().lines() {
                let (line, tags) = line.split_once("|#").unwrap_or((line, ""));
                assert!(tagged || tags.is_empty(), "{line} {tags}");
                let (name, rest) = line.split_once(':').expect(line);
                let (value, kind) = rest.split_once('|').expect(line);
                let letters = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
                assert!(name.chars().all(letters) && !name.contains(".."), "{line}");
                let ours = tags.chars().all(|c| letters(c) || ":/,".contains(c));
                assert!(name.starts_with("swarm.") && ours, "{line} {tags}");
                let value: f64 = value.parse().expect(line);
                let series = if tags.is_empty() { name.into() } else { format!("{name}#{tags}") };
                match kind {
                    "c" => {
                        assert!(value > 0.0, "{line}");
                        *self.counts.entry(series).or_default() += value;
                    }
                    "g" => drop(self.gauges.insert(series, value)),
                    _ => panic!("{line}"),
                }
            }
        }
    }

    /// Reads until that counter has this value, which it does not outgrow.
    fn wait(&mut self, tagged: bool, counter: &str, value: f64) {
        let until = Instant::now() + SOON;
        loop {
            self.read(tagged);
            let count = self.counts.get(counter).copied().unwrap_or_default();
            assert!(count <= value, "{counter}: {count}");
            if (count - value).abs() < 0.5 {
                return;
            }
            assert!(Instant::now() < until, "{counter} is {count} in {:?}", self.counts);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_add_up_to_what_happened_in_both_formats() {
    let fleet = fleet(2).await;
    let discovery = fleet.discovery_url();
    for (format, counter, gauge, time) in [
        (
            "statsd",
            "swarm.api_requests.method.GET.route.containers_name_json.status.4xx.endpoint.pool",
            "swarm.engines.state.healthy",
            "swarm.api_request_duration_seconds.method.GET.route.containers_name_json.endpoint.pool.count",
        ),
        (
            "dogstatsd",
            "swarm.api_requests#method:GET,route:/containers/_name_/json,status:4xx,endpoint:pool",
            "swarm.engines#state:healthy",
            "swarm.api_request_duration_seconds.count#method:GET,route:/containers/_name_/json,endpoint:pool",
        ),
    ] {
        let mut receiver = Receiver::new();
        let address = receiver.address();
        let line = ["m", "-H", "tcp://127.0.0.1:0", "--statsd", &address, &discovery];
        let variables = [("SWARM_STATSD_FORMAT", format), ("SWARM_STATSD_INTERVAL", "1s")];
        let mut daemon = Daemon::start(&line, &variables);
        let api = client(&daemon.tcp_address().await, None);
        wait_for_healthy(&api, 2).await;
        let ask = async |times: usize| {
            for _ in 0..times {
                assert!(api.get_bytes("/containers/nobody/json", 1 << 20, SOON).await.is_err());
            }
        };
        let tagged = format == "dogstatsd";
        ask(7).await;
        receiver.wait(tagged, counter, 7.0);
        ask(4).await;
        receiver.wait(tagged, counter, 11.0);
        // As many as cost some hundredths of a second, in which processors' time is counted.
        ask(402).await;
        // The end sends what is left.
        daemon.signal("TERM");
        assert_eq!(daemon.wait(SOON), Some(0));
        receiver.wait(tagged, counter, 413.0);
        receiver.wait(tagged, time, 413.0);
        assert_eq!(receiver.gauges.get(gauge), Some(&2.0), "{:?}", receiver.gauges);
        assert!(receiver.gauges["swarm.process_resident_memory_bytes"] > 1e6);
        assert!(receiver.counts["swarm.process_cpu_seconds"] > 0.0);
        assert!(!receiver.counts.keys().any(|name| name.contains("bucket")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_not_there_is_told_once_and_costs_clients_nothing() {
    let fleet = fleet(1).await;
    let discovery = fleet.discovery_url();
    let gone = Receiver::new();
    let address = gone.address();
    drop(gone);
    let line = ["m", "-H", "tcp://127.0.0.1:0", "--statsd", &address, "--statsd-interval", "1s"];
    let line: Vec<_> = line.into_iter().chain([discovery.as_str()]).collect();
    let daemon = Daemon::start(&line, &[]);
    let api = client(&daemon.tcp_address().await, None);
    wait_for_healthy(&api, 1).await;
    let words = format!("metrics do not reach the StatsD server {address}");
    daemon.wait_for(&words).await;
    for _ in 0..10 {
        api.get_bytes("/info", 1 << 20, Duration::from_secs(2)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(daemon.log().matches(&words).count(), 1, "{}", daemon.log());
    let mut back = Receiver::at(&address);
    daemon.wait_for(&format!("metrics reach the StatsD server {address} again")).await;
    back.read(false);
    assert_eq!(back.gauges.get("swarm.engines.state.healthy"), Some(&1.0));
}
