//! What released versions said to each other: a message of each kind, and what opens a tunnel.

// A test's own set-up fails the test by failing.
#![allow(clippy::unwrap_used)]

use anyhow::{Result, ensure};
use bytes::Bytes;
use prost::Message;
use swarm_rpc::preamble::{self, TunnelId};
use swarm_rpc::v1;
use swarm_testkit::forms::{Form, check};

fn of<M: Message + Default>(name: &'static str, sample: &M) -> Form<'static> {
    Form::named(name, sample.encode_to_vec(), |bytes| Ok(M::decode(bytes)?.encode_to_vec()))
}

fn text(words: &str) -> String {
    words.to_owned()
}

fn authority() -> Vec<Form<'static>> {
    let pem = || text("-----BEGIN CERTIFICATE-----\n");
    let issued = v1::IssueReply {
        node_id: text("nhtb4v64nex8r51c01gqdadvi"),
        cluster_id: text("tehyu2bphyg3xa3d4f5q32a16"),
        chain: pem(),
        roots: pem(),
        unlock_key: text("SWMKEY-1-x"),
        now: 1_795_800_000_000_000_000,
    };
    let asked = v1::IssueRequest {
        signing_request: pem(),
        token_secret: text("secret"),
        availability: text("drain"),
        now: -1,
    };
    vec![
        of("roots request", &v1::RootsRequest {}),
        of("roots reply", &v1::RootsReply { pem: pem(), now: 7 }),
        of("issue request", &asked),
        of("renew request", &v1::RenewRequest { signing_request: pem(), now: 7 }),
        of("issue reply", &issued),
    ]
}

fn session() -> Vec<Form<'static>> {
    use v1::{from_agent, to_agent};
    let json = || Bytes::from_static(b"{\"ID\":\"a\"}");
    let agent = |name, what| of(name, &v1::FromAgent { what: Some(what) });
    let leader = |name, what| of(name, &v1::ToAgent { what: Some(what) });
    let status = v1::Status { task_id: text("t"), status: json() };
    let assignments = v1::Assignments {
        whole: true,
        tasks: vec![json(), json()],
        gone_tasks: vec![text("t")],
        secrets: vec![json()],
        gone_secrets: vec![text("s")],
        configs: vec![json()],
        gone_configs: vec![text("c")],
    };
    let wish = v1::Wish {
        role: text("manager"),
        availability: text("active"),
        managers: vec![text("10.0.0.1:2377"), text("10.0.0.2:2377")],
        roots: text("-----BEGIN CERTIFICATE-----\n"),
        issuer: text("08b5"),
        spec: json(),
        // Not told by the first versions.
        certificate_life: 0,
    };
    let short = v1::Wish { certificate_life: 3_600, ..wish.clone() };
    let wanted = v1::LogsWanted {
        subscription: text("l"),
        task_ids: vec![text("t")],
        stdout: true,
        stderr: true,
        follow: true,
        since: text("1.000000002"),
        tail: text("all"),
        details: true,
    };
    let hello = v1::Hello { description: json(), roots: text("-----BEGIN"), now: 7 };
    let statuses = v1::Statuses { statuses: vec![status.clone(), status] };
    let welcome = v1::Welcome { session_id: text("s"), beat_every: 1_000 };
    vec![
        agent("agent hello", from_agent::What::Hello(hello)),
        agent("agent beat", from_agent::What::Beat(v1::Beat { now: 7 })),
        agent("agent statuses", from_agent::What::Statuses(statuses)),
        agent("agent description", from_agent::What::Description(json())),
        leader("leader welcome", to_agent::What::Welcome(welcome)),
        leader("leader assignments", to_agent::What::Assignments(assignments)),
        leader("leader wish", to_agent::What::Wish(wish)),
        leader("leader wish of a certificate's life", to_agent::What::Wish(short)),
        leader("leader wants logs", to_agent::What::LogsWanted(wanted)),
        leader("leader ends logs", to_agent::What::LogsOver(text("l"))),
        leader("leader opens", to_agent::What::Tunnel(v1::OpenTunnel { id: vec![7; 32].into() })),
    ]
}

fn logs() -> Vec<Form<'static>> {
    use v1::logs_event::What;
    let chunk = v1::LogChunk {
        subscription: text("l"),
        task_id: text("t"),
        stream: 2,
        at: text("2026-11-27T06:00:00.000000001Z"),
        line: Bytes::from_static(b"what a container wrote\n"),
        error: text("in words"),
    };
    let asked = v1::LogsRequest {
        services: vec![text("s")],
        tasks: vec![text("t")],
        stdout: true,
        stderr: true,
        follow: true,
        since: text("1"),
        tail: text("10"),
        details: true,
    };
    let missing =
        v1::LogsMissing { node: text("n"), tasks: vec![text("t")], reason: text("it is down") };
    let line = v1::LogsLine { node: text("n"), chunk: Some(chunk.clone()) };
    let over = v1::LogsOver { missing: vec![missing] };
    let event = |name, what| of(name, &v1::LogsEvent { what: Some(what) });
    vec![
        of("log chunk", &chunk),
        of("logs done", &v1::LogsDone {}),
        of("logs request", &asked),
        event("logs line", What::Line(line)),
        event("logs over", What::Over(over)),
    ]
}

fn ways() -> Vec<Form<'static>> {
    let end =
        |id: &str, hostname: &str| Some(v1::WayEnd { id: text(id), hostname: text(hostname) });
    let way = v1::Way {
        to: end("b", "host-2"),
        address: text("10.0.0.2:2377"),
        failure: text("in words"),
    };
    vec![
        of("ways request", &v1::WaysRequest {}),
        of("ways reply", &v1::WaysReply { from: end("a", "host-1"), ways: vec![way] }),
    ]
}

/// What is said on a tunnel.
fn tunnel(
    runtime: &tokio::runtime::Runtime,
    name: &'static str,
    opened: Result<(), &'static str>,
) -> Form<'static> {
    let id = TunnelId([7; 32]);
    let mut said = Vec::new();
    runtime
        .block_on(preamble::write(&mut said, &id, opened.as_ref().copied().map_err(|w| *w)))
        .unwrap();
    let handle = runtime.handle().clone();
    Form::placed(name, said, move |mut bytes| {
        let (id, opened) = handle.block_on(preamble::read(&mut bytes))?;
        ensure!(bytes.is_empty(), "something follows");
        let mut again = Vec::new();
        let opened = opened.as_ref().copied().map_err(String::as_str);
        handle.block_on(preamble::write(&mut again, &id, opened))?;
        Ok(again)
    })
}

#[test]
fn what_released_versions_said_is_understood() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut forms = authority();
    forms.extend(session());
    forms.extend(logs());
    forms.extend(ways());
    forms.push(tunnel(&runtime, "tunnel open", Ok(())));
    forms.push(tunnel(&runtime, "tunnel refused", Err("dockerd is not there")));
    check(env!("CARGO_MANIFEST_DIR"), env!("CARGO_PKG_VERSION"), &forms).unwrap();
}
