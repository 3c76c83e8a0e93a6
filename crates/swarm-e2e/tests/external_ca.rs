//! A swarm of real daemons whose root's key is outside: it goes to an external authority that really
//! signs, takes a node in by it, and leaves it again by the root that it cross-signs.

#![allow(clippy::unwrap_used)] // The server is shared with the authority's own tests.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use swarm_ca::Roots;
use swarm_e2e::{Daemons, exclusive, until};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

#[path = "../../swarm-ca/tests/ca/signing_server.rs"]
#[allow(dead_code, missing_docs)] // Its other conducts are tried where it is at home.
mod signing_server;

use signing_server::{Conduct, start_at};

/// What the server needs of the authority's tests.
mod cluster {
    use std::time::{Duration, SystemTime};

    use swarm_ca::RootCa;

    pub fn now() -> SystemTime {
        SystemTime::now()
    }

    pub fn root() -> RootCa {
        RootCa::create(now() - Duration::from_hours(100)).unwrap()
    }
}

const LONG: Duration = Duration::from_mins(1);
const PORT: u16 = 8888;

/// Waits until all nodes are by the root that is the only one.
fn moved(nodes: &Daemons<'_>, count: usize) -> Result<()> {
    until(LONG, format_args!("{count} nodes have moved"), || {
        let format = ["node", "ls", "--format", "{{.Status}} {{.TLSStatus}}"];
        let Ok(listed) = nodes.docker(1, &format).ok() else { return Ok(None) };
        Ok((listed.lines().filter(|line| *line == "Ready Ready").count() == count).then_some(()))
    })
    .with_context(|| nodes.logs())
}

#[test]
fn a_swarm_goes_to_an_external_authority_and_away_from_it() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    let mut nodes = nodes;
    let root = |nodes: &Daemons<'_>| nodes.docker(1, &["swarm", "ca"]).ok();
    let present = Roots::kept(&root(&nodes)?)?;
    let theirs = cluster::root();
    let listener = lab.listen(1, PORT)?;
    listener.set_nonblocking(true)?;
    let runtime = Runtime::new()?;
    let server = runtime.block_on(async {
        let clients = [&present.certificates()[0], theirs.certificate()];
        anyhow::Ok(start_at(TcpListener::from_std(listener)?, &theirs, &clients, Conduct::Sign))
    })?;
    let asked = |profile: Option<&str>| {
        let asked = server.asked.lock().unwrap();
        asked.iter().filter(|one| one["profile"].as_str() == profile).count()
    };

    let file = lab.put("theirs.pem", theirs.certificate_pem())?.display().to_string();
    let entry = format!("protocol=cfssl,url={},cacert={file}", server.url);
    let rotate =
        ["swarm", "ca", "--rotate", "--quiet", "--ca-cert", &file, "--external-ca", &entry];
    nodes.docker(1, &rotate).ok().with_context(|| nodes.logs())?;
    moved(&nodes, 2)?;
    ensure!(Roots::kept(&root(&nodes)?)? == theirs.roots()?, "its root is the only one");
    let signed = asked(None);
    ensure!(signed >= 2, "each node's certificate is by it: {signed}");

    nodes.launch(3, &[])?;
    nodes.join(3, 1, "worker")?.ok().with_context(|| nodes.logs())?;
    moved(&nodes, 3)?;
    ensure!(asked(None) > signed, "who joins is given one by it, too");
    ensure!(asked(Some("CA")) == 0);

    // Away from it, to a root of the swarm's own.
    nodes.docker(1, &["swarm", "ca", "--rotate", "--quiet"]).ok().with_context(|| nodes.logs())?;
    moved(&nodes, 3)?;
    ensure!(asked(Some("CA")) == 1, "it cross-signed the next root");
    let own = Roots::kept(&root(&nodes)?)?;
    ensure!(own != theirs.roots()? && own != present);
    // It is not asked any more: another node joins without it.
    let signed = asked(None);
    nodes.docker(3, &["swarm", "leave"]).ok()?;
    nodes.join(3, 1, "worker")?.ok().with_context(|| nodes.logs())?;
    ensure!(asked(None) == signed, "the swarm signs by itself");
    Ok(())
}
