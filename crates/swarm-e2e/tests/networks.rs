//! Networks over the pool, with the plain client: the pool's own once, an engine's as `node/name`,
//! and engines that come late.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use swarm_e2e::{Lab, Pool, Scratch, exclusive, shared, until};

const HEALTHY: Duration = Duration::from_mins(1);

/// The names of custom networks that the pool lists.
fn listed(pool: &Pool) -> Result<Vec<String>> {
    let out = pool.docker(&["network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"]);
    Ok(out.ok()?.lines().map(str::to_owned).collect())
}

/// Whether engine `i` itself has a network of that name.
fn engine_has(lab: &Lab, i: u8, name: &str) -> Result<bool> {
    let names = lab.sh(i, "docker network ls --format '{{.Name}}'")?;
    Ok(names.lines().any(|known| known == name))
}

/// The names of the containers that a network's inspection tells.
fn members(pool: &Pool, network: &str) -> Result<Vec<String>> {
    let text = pool.docker(&["network", "inspect", network]).ok()?;
    let seen: Value = serde_json::from_str(&text)?;
    let containers = seen[0]["Containers"].as_object().cloned().unwrap_or_default();
    let mut names: Vec<String> =
        containers.values().filter_map(|one| one["Name"].as_str().map(str::to_owned)).collect();
    names.sort();
    Ok(names)
}

fn on(i: u8) -> String {
    format!("constraint:node==host-{i}")
}

#[test]
fn a_network_of_the_pool_is_one_with_one_id_on_all_engines() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let id = pool.docker(&["network", "create", "--label", "a=b", "web"]).ok()?;
    assert_eq!(listed(&pool)?, ["web"]);
    for i in 1..=3 {
        assert!(engine_has(&lab, i, "web")?, "host {i} has its copy");
    }
    for name in ["web", &id, &id[..12]] {
        let seen = pool.docker(&["network", "inspect", "--format", "{{.Id}} {{.Name}}", name]);
        assert_eq!(seen.ok()?, format!("{id} web"));
    }
    let again = pool.docker(&["network", "create", "web"]).fails()?;
    assert!(again.contains("already exists"), "{again}");

    pool.sleeper("first", &["--network", "web", "--env", &on(1)]).ok()?;
    pool.sleeper("second", &["--network", &id, "--env", &on(2)]).ok()?;
    assert_eq!(members(&pool, "web")?, ["first", "second"]);
    for name in ["first", "second"] {
        let ids =
            "{{range $name, $n := .NetworkSettings.Networks}}{{$name}} {{$n.NetworkID}}{{end}}";
        assert_eq!(pool.docker(&["inspect", "--format", ids, name]).ok()?, format!("web {id}"));
    }
    for filter in [format!("network={id}"), "network=web".to_owned()] {
        let names = pool.docker(&["ps", "--filter", &filter, "--format", "{{.Names}}"]).ok()?;
        let mut names: Vec<_> = names.lines().collect();
        names.sort_unstable();
        assert_eq!(names, ["host-1/first", "host-2/second"], "{filter}");
    }
    let label = pool.docker(&["network", "ls", "--filter", "label=a=b", "--format", "{{.ID}}"]);
    assert_eq!(label.ok()?, id[..12]);
    Ok(())
}

#[test]
fn containers_are_connected_and_disconnected_by_the_networks_one_name() -> Result<()> {
    let lab = shared()?;
    let pool = Pool::start(&lab, &[])?;
    pool.docker(&["network", "create", "cd-net"]).ok()?;
    pool.sleeper("cd-server", &["--env", &on(3)]).ok()?;
    pool.docker(&["network", "connect", "--alias", "database", "cd-net", "cd-server"]).ok()?;
    assert_eq!(members(&pool, "cd-net")?, ["cd-server"]);
    let ping =
        ["--network", "cd-net", "--env", &on(3), "busybox", "ping", "-c1", "-W2", "database"];
    pool.docker(&[&["run", "--rm"], &ping[..]].concat()).ok()?;
    pool.docker(&["network", "disconnect", "cd-net", "host-3/cd-server"]).ok()?;
    assert_eq!(members(&pool, "cd-net")?, [""; 0]);
    let again = pool.docker(&["network", "disconnect", "cd-net", "cd-server"]).fails()?;
    assert!(again.contains("not connected"), "{again}");
    let nobody = pool.docker(&["network", "connect", "cd-net", "no-such"]).fails()?;
    assert!(nobody.contains("no-such"), "{nobody}");
    // Each engine has a bridge: the one that is meant is the container's.
    pool.docker(&["network", "disconnect", "bridge", "cd-server"]).ok()?;
    pool.docker(&["network", "connect", "bridge", "cd-server"]).ok()?;
    assert_eq!(members(&pool, "host-3/bridge")?, ["cd-server"]);
    // What no engine can do is said once, and with nothing that a pool refuses.
    let overlay = pool.docker(&["network", "create", "-d", "overlay", "cd-far"]).fails()?;
    assert!(overlay.contains("a pool has no overlay networks"), "{overlay}");
    pool.docker(&["network", "create", "--subnet", "10.98.0.0/24", "cd-one"]).ok()?;
    let overlaps = ["network", "create", "--subnet", "10.98.0.0/24", "cd-two"];
    let refused = pool.docker(&overlaps).fails()?;
    assert_eq!(refused.matches("verlaps").count(), 1, "{refused}");
    pool.docker(&["network", "rm", "cd-one"]).ok()?;
    pool.docker(&["rm", "--force", "cd-server"]).ok()?;
    pool.docker(&["network", "rm", "cd-net"]).ok()?;
    Ok(())
}

#[test]
fn a_network_in_use_on_one_engine_stays_on_all_until_it_is_free() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    pool.docker(&["network", "create", "busy"]).ok()?;
    pool.docker(&["network", "create", "idle"]).ok()?;
    pool.docker(&["network", "create", "host-2/idle-too"]).ok()?;
    pool.sleeper("user", &["--network", "busy", "--env", &on(2)]).ok()?;
    let refused = pool.docker(&["network", "rm", "busy"]).fails()?;
    assert!(refused.contains("host-2") && refused.contains("user"), "{refused}");
    let pruned = pool.docker(&["network", "prune", "--force"]).ok()?;
    assert_eq!(pruned.matches("idle").count(), 2, "each once: {pruned}");
    assert_eq!(listed(&pool)?, ["busy"]);
    for i in 1..=3 {
        assert!(engine_has(&lab, i, "busy")? && !engine_has(&lab, i, "idle")?, "host {i}");
    }
    pool.docker(&["rm", "--force", "user"]).ok()?;
    pool.docker(&["network", "rm", "busy"]).ok()?;
    assert_eq!(listed(&pool)?, [""; 0]);
    for i in 1..=3 {
        assert!(!engine_has(&lab, i, "busy")?, "host {i}");
    }
    let gone = pool.docker(&["network", "inspect", "busy"]).fails()?;
    assert!(gone.contains("busy not found"), "{gone}");
    Ok(())
}

#[test]
fn a_network_of_one_node_draws_its_containers_there() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    pool.docker(&["network", "create", "host-3/own"]).ok()?;
    lab.sh(2, "docker network create made-there")?;
    assert!(engine_has(&lab, 3, "own")? && !engine_has(&lab, 1, "own")?);
    until(HEALTHY, "the other one is listed", || {
        Ok((listed(&pool)? == ["host-2/made-there", "host-3/own"]).then_some(()))
    })?;
    // Spread alone would put them side by side on three nodes.
    for (i, (network, node)) in
        [("host-3/own", 3), ("own", 3), ("host-3/own", 3), ("made-there", 2)].iter().enumerate()
    {
        let name = format!("c{i}");
        pool.sleeper(&name, &["--network", network]).ok()?;
        assert_eq!(pool.node_of(&name)?, format!("host-{node}"), "{network}");
    }
    assert_eq!(members(&pool, "host-3/own")?, ["c0", "c1", "c2"]);
    let apart = pool.sleeper("c9", &["--network", "own", "--env", &on(1)]).fails()?;
    assert!(apart.contains("node==host-3"), "{apart}");
    let elsewhere = pool.docker(&["network", "connect", "own", "c3"]).fails()?;
    assert!(elsewhere.contains("host-3/own") && elsewhere.contains("host-2"), "{elsewhere}");
    let unknown = pool.docker(&["network", "create", "host-9/own"]).fails()?;
    assert!(unknown.contains("host-9") && unknown.contains("host-1"), "{unknown}");
    Ok(())
}

#[test]
fn an_engine_that_joins_later_gets_its_copy_with_the_first_container() -> Result<()> {
    let lab = Scratch::boot(3, |_| ())?;
    let list = lab.put("nodes", format!("{}:2375\n{}:2375\n", lab.ip(1), lab.ip(2)))?;
    let pool = Pool::launch(&lab, &[&format!("file://{}", list.display())])?;
    pool.manager().wait_healthy(2, HEALTHY)?;
    let fixed = ["--subnet", "10.201.0.0/24", "--gateway", "10.201.0.9", "--internal"];
    let driver = ["--opt", "com.docker.network.bridge.name=br-wide", "--label", "x=y", "wide"];
    let id = pool.docker(&[&["network", "create"], &fixed[..], &driver].concat()).ok()?;

    std::fs::write(&list, format!("{}:2375\n{}:2375\n{}:2375\n", lab.ip(1), lab.ip(2), lab.ip(3)))?;
    pool.manager().wait_healthy(3, HEALTHY)?;
    assert!(!engine_has(&lab, 3, "wide")?, "nobody needed it there yet");
    pool.sleeper("late", &["--network", "wide", "--ip", "10.201.0.7", "--env", &on(3)]).ok()?;
    let copy = lab.sh(3, "docker network inspect wide; ip -o link show br-wide")?;
    for part in ["10.201.0.0/24", "10.201.0.9", "\"Internal\": true", "\"x\": \"y\"", "br-wide:"] {
        assert!(copy.contains(part), "{part} in {copy}");
    }
    assert_eq!(listed(&pool)?, ["wide"]);
    let seen = pool.docker(&["network", "inspect", "--format", "{{.Id}}", "wide"]).ok()?;
    assert_eq!(seen, id);
    assert_eq!(members(&pool, "wide")?, ["late"]);

    // One that was away when a network was made is no different, also by connecting.
    lab.cut(2, None)?;
    pool.manager().wait_healthy(2, HEALTHY)?;
    pool.docker(&["network", "create", "meanwhile"]).ok()?;
    pool.docker(&["network", "create", "passing"]).ok()?;
    lab.heal(2, None)?;
    pool.manager().wait_healthy(3, HEALTHY)?;
    lab.cut(1, None)?;
    pool.manager().wait_healthy(2, HEALTHY)?;
    // Its copy there cannot be removed now; which engine it is is said once.
    let away = pool.docker(&["network", "rm", "passing"]).fails()?;
    assert_eq!(away.matches("host-1").count(), 1, "{away}");
    lab.heal(1, None)?;
    pool.manager().wait_healthy(3, HEALTHY)?;
    pool.docker(&["network", "rm", "passing"]).ok()?;
    pool.sleeper("back", &["--env", &on(2)]).ok()?;
    pool.docker(&["network", "connect", "meanwhile", "back"]).ok()?;
    assert!(engine_has(&lab, 2, "meanwhile")?);
    assert_eq!(members(&pool, "meanwhile")?, ["back"]);
    Ok(())
}
