//! Metrics of the process, read as Prometheus reads them.

use http_body_util::BodyExt as _;
use swarm_backend::Body;
use swarm_engine::Outgoing;
use swarm_testkit::exposition::Exposition;

use super::{Daemon, SOON, client, fleet, wait_for_healthy};

/// The address in the log.
pub async fn metrics_at(daemon: &Daemon) -> String {
    daemon.wait_for("metrics at http://").await;
    let log = daemon.log();
    let rest = log.split("metrics at http://").nth(1).unwrap();
    rest.split('/').next().unwrap().to_owned()
}

pub async fn read(
    address: &str,
    path: &str,
    accept: Option<&'static str>,
) -> (u16, String, String) {
    let mut asked = Outgoing::get(path);
    if let Some(accept) = accept {
        asked.headers.insert("accept", accept.parse().unwrap());
    }
    let reply = client(address, None).send(asked, Some(SOON)).await.unwrap();
    let kind = reply.headers["content-type"].to_str().unwrap().to_owned();
    let status = reply.status.as_u16();
    let body: Body = reply.body;
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (status, kind, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_prometheus_what_it_does_in_the_format_that_is_wanted() {
    let fleet = fleet(2).await;
    let line = ["manage", "-H", "tcp://127.0.0.1:0", &fleet.discovery_url()];
    let daemon = Daemon::start(&line, &[("SWARM_METRICS_ADDR", ":0")]);
    let api = client(&daemon.tcp_address().await, None);
    let address = metrics_at(&daemon).await;
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    wait_for_healthy(&api, 2).await;
    assert!(api.get_bytes("/secret", 1 << 20, SOON).await.is_err());

    let (status, kind, text) = read(&address, "/metrics", None).await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let told = Exposition::parse(&text);
    let get = |series: &str| told.get(series).unwrap_or_else(|| panic!("no {series} in {text}"));
    assert!((get(r#"swarm_engines{state="healthy"}"#) - 2.0).abs() < 0.1);
    assert!(
        get(r#"swarm_api_requests_total{method="GET",route="/info",status="2xx",endpoint="pool"}"#)
            >= 1.0
    );
    assert!(
        get(
            r#"swarm_api_requests_total{method="other",route="other",status="4xx",endpoint="pool"}"#
        ) >= 1.0
    );
    assert!(get(r#"swarm_store_operations_total{operation="list",result="ok"}"#) >= 1.0);
    assert!(get("swarm_store_reachable") > 0.0 && get("swarm_primary") > 0.0);
    assert!(get("process_resident_memory_bytes") > 1e6 && get("process_open_fds") > 3.0);
    assert!(get(r#"swarm_build_info{version="0.1.0",commit="unknown"}"#) > 0.0);
    assert!(!text.contains("secret"), "{text}");
    for engine in fleet.engines() {
        assert!(!text.contains(engine.name()), "no engine is named");
    }

    let (_, kind, text) = read(&address, "/metrics", Some("application/openmetrics-text")).await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.ends_with("# EOF\n"));
    Exposition::parse(&text);

    let (status, _, text) = read(&address, "/", None).await;
    assert_eq!((status, text.as_str()), (404, "metrics are at /metrics\n"));
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md"));
    let page = page.unwrap();
    for (family, _) in &told.families {
        assert!(page.contains(family.as_str()), "{family} is not in docs/metrics.md");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_had_ends_it_and_an_open_one_is_warned_of() {
    let fleet = fleet(1).await;
    let discovery = fleet.discovery_url();
    let line = |address| ["m", "-H", "tcp://127.0.0.1:0", "--metrics-addr", address, &discovery];
    let open = Daemon::start(&line("0.0.0.0:0"), &[]);
    open.wait_for("/metrics SEES HOW LARGE THIS POOL IS AND WHAT IT DOES").await;
    let taken = metrics_at(&open).await;
    let mut second = Daemon::start(&line(&taken), &[]);
    second.wait_for(&format!("cannot listen on tcp://{taken} for metrics: Address")).await;
    assert_eq!(second.wait(SOON), Some(1));
    let mut wrong = Daemon::start(&line("tcp://127.0.0.1:1"), &[]);
    wrong.wait_for("expected HOST:PORT, or :PORT for this machine alone").await;
    assert_eq!(wrong.wait(SOON), Some(2));
    let closed = Daemon::start(&["m", "-H", "tcp://127.0.0.1:0", &discovery], &[]);
    closed.wait_for("starting the pool").await;
    assert!(!closed.log().contains("metrics"), "{}", closed.log());
}
