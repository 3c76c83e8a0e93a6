//! What `swarm daemon` tells of its requests: numbers by endpoint, and one trace over two managers, through placement and a
//! node's session to its engine, and down to the swarm's store.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarm_e2e::{Daemons, IMAGE, Scratch, ask_raw, until};

const LONG: Duration = Duration::from_mins(1);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const METRICS: &str = "127.0.0.1:9324";
const STATSD: &str = "127.0.0.1:8125";

/// Spans of the trace that a host's daemon has printed, those of one request last ended.
fn spans(nodes: &Daemons<'_>, host: u8, last: &str) -> Result<Vec<Value>> {
    until(LONG, format_args!("host {host} tells of {last}"), || {
        let log = std::fs::read_to_string(nodes.folder(host).join("log"))?;
        // The last one may be written just now.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().filter(|line| line.starts_with("{\"trace_id\""));
        let spans = lines.map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let ours: Vec<_> = spans.into_iter().filter(|span| span["trace_id"] == TRACE).collect();
        Ok(ours.iter().any(|span| span["name"] == last).then_some(ours))
    })
    .with_context(|| nodes.logs())
}

fn named<'s>(spans: &'s [Value], name: &str) -> Result<&'s Value> {
    spans.iter().find(|span| span["name"] == name).with_context(|| format!("{name}: {spans:#?}"))
}

/// Asks at a host's socket as part of the trace.
fn post(nodes: &Daemons<'_>, host: u8, socket: &str, path: &str, body: &Value) -> Result<()> {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\n\r\n{body}",
        body.len()
    );
    let answer = ask_raw(&nodes.folder(host).join(socket), request.as_bytes())?;
    ensure!(answer.status == 201, "{}: {}", answer.status, answer.text());
    Ok(())
}

#[test]
fn one_trace_goes_over_managers_and_sessions_to_the_engine_and_the_store() -> Result<()> {
    let lab = Scratch::boot(2, |config| config.default.listen.clear())?;
    let mut nodes = Daemons::start(&lab, &[])?;
    for host in [1, 2] {
        let to_log = [("OTEL_TRACES_EXPORTER", "console"), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
        let more = ["--metrics-addr", METRICS, "--statsd", STATSD, "--statsd-interval", "1s"];
        nodes.launch_with(host, &more, &to_log)?;
    }
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    nodes.join(2, 1, "manager")?.ok()?;
    nodes.ready(1, 2)?;
    let info = ["info", "--format", "{{json .SystemStatus}}"];
    let socket = format!("unix://{}", nodes.folder(2).join("cluster.sock").display());
    let docker = swarm_e2e::Client::new("docker", &socket);
    until(LONG, "both engines are behind the endpoint", || {
        let Ok(told) = docker.run(&info).ok() else { return Ok(None) };
        Ok((told.matches("\"Healthy\"").count() == 2).then_some(()))
    })?;

    // Asked at the manager that does not lead, for a place on its own node.
    let body = serde_json::json!({
        "Image": IMAGE, "Cmd": ["true"], "Env": ["constraint:node==host-2", "PASSWORD=s3cret"],
    });
    post(&nodes, 2, "cluster.sock", "/containers/create?name=traced", &body)?;
    let create = "POST /containers/create";
    let there = spans(&nodes, 2, create)?;
    let asked = named(&there, create)?;
    ensure!(asked["parent_span_id"] == PARENT && asked["kind"] == "server", "{asked}");
    ensure!(asked["attributes"]["swarm.endpoint"] == "cluster", "{asked}");
    let passed_on = named(&there, "POST /containers")?;
    ensure!(passed_on["parent_span_id"] == asked["span_id"], "{passed_on}");
    let here = spans(&nodes, 1, create)?;
    let served = named(&here, create)?;
    ensure!(served["parent_span_id"] == passed_on["span_id"], "{served}");
    let placed = named(&here, "placement")?;
    ensure!(placed["parent_span_id"] == served["span_id"], "{placed}");
    let told = &placed["attributes"];
    ensure!(told["swarm.engine"] == "host-2", "{placed}");
    ensure!(
        told["swarm.placement.removed"] == serde_json::json!(["constraint removed 1"]),
        "{told}"
    );
    let engine = here.iter().find(|span| span["attributes"]["url.path"] == "/containers/create");
    let engines = here.iter().filter(|span| span["kind"] == "client");
    let created = engines.clone().find(|span| span["attributes"]["swarm.engine"] == "host-2");
    let created = created.with_context(|| format!("{engine:?} of {here:#?}"))?;
    ensure!(created["parent_span_id"] == served["span_id"], "{created}");
    ensure!(created["attributes"]["http.response.status_code"] == 201, "{created}");

    // A change of the swarm's objects, at the node endpoint.
    let service = serde_json::json!({
        "Name": "web",
        "Mode": {"Replicated": {"Replicas": 0}},
        "TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "Env": ["PASSWORD=s3cret"]}},
    });
    post(&nodes, 2, "docker.sock", "/services/create", &service)?;
    let there = spans(&nodes, 2, "POST /services/create")?;
    let asked = named(&there, "POST /services/create")?;
    ensure!(asked["attributes"]["swarm.endpoint"] == "node", "{asked}");
    let written = named(&there, "store write")?;
    ensure!(written["parent_span_id"] == asked["span_id"], "{written}");
    ensure!(written["attributes"]["swarm.store.attempts"] == 1, "{written}");
    ensure!(!nodes.logs().contains("s3cret"), "a secret: {}", nodes.logs());
    numbers(&lab)
}

/// The numbers of both endpoints; those of all nodes' engines from the manager alone that asks them.
fn numbers(lab: &Scratch) -> Result<()> {
    let read = |host: u8| {
        lab.inside(host, || {
            let mut stream = TcpStream::connect(METRICS)?;
            stream.set_read_timeout(Some(LONG))?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        })
    };
    let create = r#"method="POST",route="/containers/create",status="2xx",endpoint="cluster""#;
    let service = r#"method="POST",route="/services/create",status="2xx",endpoint="node""#;
    let (leads, other) = (read(1)?, read(2)?);
    let counted = |labels: &str| format!("swarm_api_requests_total{{{labels}}} 1\n");
    for (text, all) in [
        (&leads, &[counted(create), "swarm_engines{state=\"healthy\"} 2".into()]),
        (&other, &[counted(create), counted(service)]),
    ] {
        for line in all {
            ensure!(text.contains(line), "{line} is not in {text}");
        }
    }
    let created = "swarm_container_creates_total{result=\"created\"} 1\n";
    ensure!(leads.contains(created) && leads.contains("swarm_containers{state="), "{leads}");
    ensure!(!other.contains("swarm_engines{") && !other.contains("swarm_primary"), "{other}");
    for begin in [
        "swarm_manager_managers_ready 2",
        "swarm_manager_task_failures_total 0",
        "swarm_node_certificate_issued_timestamp_seconds 1",
        "swarm_node_certificate_expiry_timestamp_seconds 1",
        "swarm_raft_transaction_latency_seconds_bucket{le=\"0.5\"} ",
        "swarm_trace_spans_total{result=\"exported\"} ",
    ] {
        ensure!(leads.lines().any(|line| line.starts_with(begin)), "{begin}: {leads}");
    }
    // The same is sent.
    let sent = lab.inside(1, || {
        let socket = UdpSocket::bind(STATSD)?;
        socket.set_read_timeout(Some(LONG))?;
        Ok(socket)
    })?;
    until(LONG, "the leader's numbers are sent", || {
        let mut datagram = [0; 2048];
        let length = sent.recv(&mut datagram)?;
        let text = String::from_utf8_lossy(&datagram[..length]);
        Ok(text.lines().any(|line| line == "swarm.engines.state.healthy:2|g").then_some(()))
    })
}
