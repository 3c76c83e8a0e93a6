//! Real engines that join a pool without an outside store: by a token of the token service, and
//! straight to a manager that keeps the pool's state itself.

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use swarm_e2e::{IMAGE, Lab, Pool, Watch, exclusive, until};
use tempfile::TempDir;

const SOON: Duration = Duration::from_mins(1);

/// `swarm` beside the managers.
fn swarm(lab: &Lab, arguments: &[&str]) -> Result<Command> {
    let mut command = lab.fabric_command(&swarm_e2e::swarm()?.display().to_string());
    command.args(arguments);
    Ok(command)
}

fn ended(lab: &Lab, arguments: &[&str]) -> Result<Output> {
    Ok(swarm(lab, arguments)?.output()?)
}

/// `swarm join` for a host's engine, registered.
fn join(lab: &Lab, host: u8, arguments: &[&str]) -> Result<Watch> {
    let engine = format!("{}:2375", lab.ip(host));
    let head = ["join", "--advertise", &engine, "--heartbeat", "1s", "--ttl", "3s"];
    let agent = Watch::start(swarm(lab, &[&head[..], arguments].concat())?)?;
    agent.wait_for(" registered ", SOON)?;
    Ok(agent)
}

/// Waits until the pool has exactly these engines, all of them healthy.
fn has(lab: &Lab, pool: &Pool, hosts: &[u8]) -> Result<()> {
    until(SOON, format_args!("the pool has the hosts {hosts:?}"), || {
        let listed = pool.docker(&["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]).ok();
        // An old engine that joins between the client's two requests lowers the API's version.
        let Ok(listed) = listed else { return Ok(None) };
        let mut listed: Vec<_> = listed.lines().collect();
        listed.sort_unstable();
        let wanted: Vec<_> = hosts.iter().map(|host| format!("host-{host} Ready")).collect();
        Ok((listed == wanted).then_some(()))
    })?;
    let name = format!("on-{}", hosts.len());
    let last = format!("constraint:node==host-{}", hosts.last().unwrap_or(&1));
    pool.docker(&["create", "--name", &name, "-e", &last, IMAGE]).ok()?;
    let node = lab.hosts().into_iter().find(|host| format!("constraint:node==host-{host}") == last);
    ensure!(Some(pool.node_of(&name)?) == node.map(|host| format!("host-{host}")));
    Ok(())
}

/// Two engines join, one leaves, and one comes back.
fn engines_come_and_go(lab: &Lab, pool: &Pool, arguments: &[&str]) -> Result<()> {
    let first = join(lab, 1, arguments)?;
    has(lab, pool, &[1])?;
    let mut second = join(lab, 2, arguments)?;
    has(lab, pool, &[1, 2])?;
    second.signal(Signal::SIGTERM)?;
    ensure!(second.wait_end(SOON)?.success(), "{:?}", second.lines());
    until(SOON, "it is gone", || {
        let ready = pool.manager().nodes_with_status("Healthy")?;
        Ok((ready == 1).then_some(()))
    })?;
    drop(first);
    Ok(())
}

#[test]
fn engines_join_by_a_token() -> Result<()> {
    let lab = exclusive()?;
    let folder = TempDir::new()?;
    let data = folder.path().display().to_string();
    let listen = format!("{}:2374", lab.ip(0));
    let service = swarm(&lab, &["discovery", "--listen", &listen, "--data-dir", &data])?;
    let service = Watch::start(service)?;
    service.wait_for("serving tokens", SOON)?;
    let at = format!("http://{listen}");
    let made = ended(&lab, &["create", "--discovery-url", &at])?;
    ensure!(made.status.success(), "{made:?}");
    let url = format!("token://{}", String::from_utf8(made.stdout)?.trim());
    let pool = Pool::launch(&lab, &["--discovery-url", &at, &url])?;
    engines_come_and_go(&lab, &pool, &["--discovery-url", &at, &url])?;
    let key = folder.path().join("owner.key").display().to_string();
    let owner = ["discovery", "list", "--owner-key-file", &key, "--discovery-url", &at];
    let table = ended(&lab, &owner)?;
    let table = String::from_utf8(table.stdout)?;
    ensure!(table.contains(&url["token://".len()..]) && table.contains(&lab.ip(1)), "{table}");
    Ok(())
}

#[test]
fn engines_join_a_manager_that_keeps_the_store_itself() -> Result<()> {
    let lab = exclusive()?;
    let folder = TempDir::new()?;
    let data = folder.path().display().to_string();
    let listen = format!("{}:2378", lab.ip(0));
    let pool = Pool::launch(&lab, &["--data-dir", &data, "--store-listen", &listen])?;
    let token = folder.path().join("join-token.node");
    until(SOON, "the token is there", || Ok(token.exists().then_some(())))?;
    let url = format!("swarm://{listen}");
    let by =
        |token: &str| ["--discovery-opt".to_owned(), format!("kv.tokenfile={token}"), url.clone()];

    let wrong = folder.path().join("wrong");
    let right = fs::read_to_string(&token)?;
    let secret = right.trim().rsplit('-').next().unwrap_or_default();
    fs::write(&wrong, right.replace(secret, &"0".repeat(secret.len())))?;
    let wrong = by(&wrong.display().to_string());
    let list: Vec<&str> = ["list"].into_iter().chain(wrong.iter().map(String::as_str)).collect();
    let refused = ended(&lab, &list)?;
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && words.contains("token"), "{words}");
    ensure!(!words.contains(secret), "the token is not told: {words}");

    let right = by(&token.display().to_string());
    let right: Vec<&str> = right.iter().map(String::as_str).collect();
    engines_come_and_go(&lab, &pool, &right)
}
