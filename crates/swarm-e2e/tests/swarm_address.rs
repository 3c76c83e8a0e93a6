//! Managers whose machines get other addresses: told so by a flag they come back as who they were, vote,
//! lead, and are found by workers that knew the old addresses alone.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Daemons, Lab, Scratch, swarm, until};

const LONG: Duration = Duration::from_mins(1);

/// Another address for a host; the old one is gone.
fn move_host(lab: &Lab, host: u8) -> Result<String> {
    let (old, gateway) = (lab.ip(host), lab.ip(0));
    let (net, last) = old.rsplit_once('.').context("an address")?;
    let new = format!("{net}.{}", last.parse::<u8>()? + 100);
    lab.sh(
        host,
        &format!(
            "ip addr del {old}/24 dev eth0 && ip addr add {new}/24 dev eth0 && \
             ip route replace default via {gateway}"
        ),
    )?;
    Ok(new)
}

fn containers(nodes: &Daemons<'_>, hosts: &[u8]) -> Result<Vec<String>> {
    hosts.iter().map(|host| nodes.engine(*host, &["ps", "--quiet", "--no-trunc"]).ok()).collect()
}

/// Waits until the manager `by` sees `host` well and at `address`.
fn at(nodes: &Daemons<'_>, by: u8, host: u8, address: &str) -> Result<()> {
    let format = "{{.Status.State}} {{.Status.Addr}} {{.ManagerStatus.Addr}} \
                  {{.ManagerStatus.Reachability}}";
    let name = format!("host-{host}");
    let wanted = format!("ready {address} {address}:2377 reachable");
    let mut last = String::new();
    until(LONG, format_args!("{name} is at {address}"), || {
        let told = nodes.docker(by, &["node", "inspect", "--format", format, &name]).ok();
        last = told.unwrap_or_else(|error| error.to_string());
        Ok((last == wanted).then_some(()))
    })
    .with_context(|| format!("{last}\n{}", nodes.logs()))
}

fn label(nodes: &Daemons<'_>, by: u8, label: &str) -> Result<()> {
    until(LONG, "a write is taken", || {
        let update = ["service", "update", "--detach", "--label-add", label, "web"];
        Ok(nodes.docker(by, &update).ok().ok().map(drop))
    })
    .with_context(|| nodes.logs())
}

/// The host that leads, as `by` says; another one than `gone`, of which `by` may not have heard yet that it is.
fn leader(nodes: &Daemons<'_>, by: u8, gone: Option<u8>) -> Result<u8> {
    until(LONG, "a leader", || {
        let format = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
        let Ok(listed) = nodes.docker(by, &format).ok() else { return Ok(None) };
        let name = listed.lines().find_map(|line| line.strip_suffix(" Leader"));
        let host = name.and_then(|name| name.strip_prefix("host-")?.parse().ok());
        Ok(host.filter(|host| Some(*host) != gone))
    })
    .with_context(|| nodes.logs())
}

#[test]
fn a_manager_comes_back_under_another_address() -> Result<()> {
    let lab = Scratch::boot(4, |_| {})?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3, 4], 3)?;
    nodes.everywhere(1, "web")?;
    let all = [1, 2, 3, 4];
    let before = containers(&nodes, &all)?;
    let lead = leader(&nodes, 1, None)?;
    let others: Vec<u8> = [1, 2, 3].into_iter().filter(|host| *host != lead).collect();
    let [follows, stays] = others[..] else { anyhow::bail!("{others:?}") };
    // Knows the addresses of now, and hears of no other before it is back.
    nodes.kill(4)?;

    // Without the flag it says what is wrong.
    nodes.stop(follows)?;
    let new = move_host(&lab, follows)?;
    nodes.launch(follows, &[])?;
    let told = nodes.info(follows)?;
    let warned = told["Warnings"].to_string();
    let words = format!("{}, where others reach this node, is none of", lab.ip(follows));
    ensure!(warned.contains(&words) && warned.contains("--advertise-addr"), "{warned}");
    ensure!(nodes.logs().contains(&words), "{}", nodes.logs());
    let printed = nodes.docker(follows, &["info", "--format", "{{json .Warnings}}"]).ok()?;
    ensure!(printed.contains(&words), "{printed}");
    let socket = format!("unix://{}", nodes.sock(follows).display());
    let said = Command::new(swarm()?).args(["status", "--host", &socket]).output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.contains(&words), "{said}");

    // With it, by its interface, all are told; and without it again it stays so.
    nodes.stop(follows)?;
    nodes.launch(follows, &["--advertise-addr", "eth0"])?;
    at(&nodes, stays, follows, &new)?;
    nodes.stop(follows)?;
    nodes.launch(follows, &[])?;
    at(&nodes, stays, follows, &new)?;
    let told = nodes.info(follows)?;
    ensure!(told["Swarm"]["NodeAddr"] == new.as_str(), "{}", told["Swarm"]);
    ensure!(!told["Warnings"].to_string().contains("swarm:"), "{}", told["Warnings"]);

    // The leader too, by its power cut.
    nodes.kill(lead)?;
    let led = move_host(&lab, lead)?;
    nodes.launch(lead, &["--advertise-addr", &led])?;
    at(&nodes, stays, lead, &led)?;

    // The worker knew one address that is still somebody's, and learns the others.
    nodes.launch(4, &[])?;
    nodes.ready(stays, 4)?;
    until(LONG, "the worker has the new addresses", || {
        let known = nodes.info(4)?["Swarm"]["RemoteManagers"].to_string();
        let has = |ip: &str| known.contains(&format!("\"{ip}:2377\""));
        let gone = [lead, follows].iter().all(|host| !has(&lab.ip(*host)));
        Ok((has(&new) && has(&led) && has(&lab.ip(stays)) && gone).then_some(()))
    })
    .with_context(|| nodes.logs())?;

    // Both count: without the third they are the quorum.
    nodes.stop(stays)?;
    label(&nodes, lead, "moved=both")?;
    let first = leader(&nodes, lead, Some(stays))?;
    let second = if first == lead { follows } else { lead };
    // Both lead: the third missed that write, so where it is asked for a vote it cannot be the one that asks.
    nodes.stop(first)?;
    nodes.launch(stays, &[])?;
    let leads = leader(&nodes, second, Some(first))?;
    ensure!(leads == second, "host {leads} leads, not {second}\n{}", nodes.logs());
    nodes.launch(first, &[])?;
    nodes.ready(second, 4)?;
    label(&nodes, second, "led=yes")?;
    ensure!(containers(&nodes, &all)? == before, "no container was touched");
    Ok(())
}

#[test]
fn a_manager_that_is_alone_moves_and_its_worker_is_told_where_to() -> Result<()> {
    let lab = Scratch::boot(2, |_| {})?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    nodes.everywhere(1, "web")?;
    let before = containers(&nodes, &[1, 2])?;
    nodes.kill(1)?;
    let new = move_host(&lab, 1)?;
    nodes.launch(
        1,
        &["--advertise-addr", &format!("{new}:2400"), "--listen-addr", "0.0.0.0:2400"],
    )?;
    let format = ["node", "inspect", "--format", "{{.ManagerStatus.Addr}}", "self"];
    until(LONG, "it says where it is", || {
        Ok((nodes.docker(1, &format).ok().ok().as_deref() == Some(&format!("{new}:2400")))
            .then_some(()))
    })
    .with_context(|| nodes.logs())?;
    // What the worker remembers is nobody's any more.
    let manager = format!("{new}:2400");
    nodes.stop(2)?;
    nodes.launch(2, &["--manager", &manager])?;
    nodes.ready(1, 2)?;
    nodes.stop(2)?;
    nodes.launch(2, &[])?;
    nodes.ready(1, 2)?;
    ensure!(containers(&nodes, &[1, 2])? == before, "no container was touched");

    // A flag that names nothing here is told, and the address of before stays.
    nodes.stop(1)?;
    nodes.launch(1, &["--advertise-addr", "eth7"])?;
    let warned = nodes.info(1)?["Warnings"].to_string();
    ensure!(warned.contains("--advertise-addr eth7") && warned.contains(&manager), "{warned}");
    nodes.ready(1, 2)?;
    Ok(())
}
