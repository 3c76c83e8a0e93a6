//! Containers that are moved off engines that work, and those that may not move, on real engines.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use swarm_e2e::{Client, IMAGE, Lab, Pool, Ran, exclusive, until};

const LONG: Duration = Duration::from_secs(90);
const MOVES: [&str; 2] = ["-e", "reschedule:on-node-failure"];
const GRACE: [&str; 2] = ["--cluster-opt", "swarm.reschedule.grace=1s"];

/// `swarm` as a client of the pool.
fn swarm(pool: &Pool, arguments: &[&str]) -> Result<Ran> {
    Ok(pool.client(swarm_e2e::swarm()?).run(arguments))
}

/// An engine's own `docker`.
fn own(lab: &Lab, host: u8) -> Client {
    Client::new("docker", &format!("unix://{}", lab.sock(host).display()))
}

/// The names of the pool's running containers on a node.
fn on(pool: &Pool, node: &str) -> Result<BTreeSet<String>> {
    let filter = format!("node={node}");
    let listed = pool.docker(&["ps", "--filter", &filter, "--format", "{{.Names}}"]).ok()?;
    Ok(listed.lines().filter_map(|name| name.split('/').nth(1)).map(str::to_owned).collect())
}

/// Lets new containers go to this node alone, or to all where none is named.
fn only(pool: &Pool, node: &str) -> Result<()> {
    for host in ["host-1", "host-2", "host-3"] {
        let open = node.is_empty() || node == host;
        let availability = if open { "active" } else { "pause" };
        pool.docker(&["node", "update", "--availability", availability, host]).ok()?;
    }
    Ok(())
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_cordon_keeps_a_drain_moves_and_a_rebalance_evens_out() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    only(&pool, "host-1")?;
    for name in ["c1", "c2", "c3"] {
        pool.sleeper(name, &MOVES).ok()?;
    }
    pool.sleeper("data", &[&MOVES[..], &["--volume", "/srv:/srv"]].concat()).ok()?;
    only(&pool, "")?;
    let all = set(&["c1", "c2", "c3", "data"]);
    ensure!(on(&pool, "host-1")? == all, "all are where they were asked to be");

    ensure!(swarm(&pool, &["node", "cordon", "host-1"])?.ok()?.contains("cordoned"));
    let ids = pool.docker(&["ps", "--quiet"]).ok()?;
    let wish = ["-e", "constraint:node==~host-1"];
    pool.sleeper("elsewhere", &wish).ok()?;
    ensure!(pool.node_of("elsewhere")? != "host-1", "a cordoned node gets nothing new");
    pool.docker(&["rm", "--force", "elsewhere"]).ok()?;
    ensure!(pool.docker(&["ps", "--quiet"]).ok()? == ids, "and keeps what it has");

    let drain = swarm(&pool, &["node", "drain", "--strict", "host-1"])?;
    let told = drain.fails()?;
    ensure!(told.contains("data cannot be moved: it has data there: host path /srv"), "{told}");
    ensure!(on(&pool, "host-1")? == set(&["data"]), "what can move moved");
    let rest: BTreeSet<_> = on(&pool, "host-2")?.union(&on(&pool, "host-3")?).cloned().collect();
    ensure!(rest == set(&["c1", "c2", "c3"]), "under its own name: {rest:?}");
    let copies = own(&lab, 1).run(&["ps", "--all", "--format", "{{.Names}}"]).ok()?;
    ensure!(copies == "data", "no copy was left: {copies}");
    let listed =
        pool.docker(&["node", "ls", "--format", "{{.Hostname}} {{.Availability}}"]).ok()?;
    ensure!(listed.contains("host-1 Drain"), "{listed}");

    only(&pool, "host-2")?;
    for name in ["d1", "d2", "d3"] {
        pool.sleeper(name, &MOVES).ok()?;
    }
    only(&pool, "")?;
    let before = on(&pool, "host-2")?;
    let plan = swarm(&pool, &["rebalance"])?.ok()?;
    ensure!(plan.contains("nothing was moved; --apply moves"), "{plan}");
    ensure!(on(&pool, "host-2")? == before, "a plan moves nothing");
    let done = swarm(&pool, &["rebalance", "--apply"])?.ok()?;
    ensure!(done.contains("moved to "), "{done}");
    let counts = ["host-1", "host-2", "host-3"].map(|node| on(&pool, node).map(|on| on.len()));
    let counts = counts.into_iter().collect::<Result<Vec<_>>>()?;
    let (most, least) = (counts.iter().max(), counts.iter().min());
    ensure!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{counts:?}\n{plan}");
    Ok(())
}

#[test]
fn a_copy_that_is_not_healthy_leaves_the_old_one_running() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let health =
        ["--health-cmd", "test -f /ok", "--health-interval", "1s", "--health-retries", "1"];
    pool.sleeper("web", &[&MOVES[..], &health].concat()).ok()?;
    pool.docker(&["exec", "web", "touch", "/ok"]).ok()?;
    let (node, id) = (pool.node_of("web")?, pool.docker(&["ps", "--quiet"]).ok()?);
    swarm(&pool, &["node", "drain", "--no-wait", &node])?.ok()?;
    until(LONG, "the move has failed", || {
        let told = pool.docker(&["node", "inspect", &node]).ok()?;
        Ok(told.contains("its new copy is unhealthy").then_some(()))
    })?;
    until(LONG, "only the old copy is there", || {
        Ok((pool.docker(&["ps", "--all", "--quiet"]).ok()? == id).then_some(()))
    })?;
    for host in (1..=3).filter(|host| node != format!("host-{host}")) {
        let copies = own(&lab, host).run(&["ps", "--all", "--format", "{{.Names}}"]).ok()?;
        // The next attempt may be under way.
        ensure!(copies.is_empty() || copies == "web-next", "host-{host} has {copies}");
    }
    Ok(())
}

#[test]
fn a_volume_that_the_image_asks_for_keeps_a_container_where_it_is() -> Result<()> {
    let lab = exclusive()?;
    for host in 1..=3 {
        let docker = own(&lab, host);
        docker.run(&["create", "--name", "form", IMAGE]).ok()?;
        docker.run(&["commit", "--change", "VOLUME /data", "form", "stateful"]).ok()?;
        docker.run(&["rm", "form"]).ok()?;
    }
    let pool = Pool::start(&lab, &GRACE)?;
    let start = |name: &str, policy: &str| {
        let policy = format!("reschedule:{policy}");
        let head = ["run", "--detach", "--name", name, "-e", &policy, "-e"];
        let tail = ["constraint:node==~host-1", "stateful", "sleep", "1d"];
        pool.docker(&[&head[..], &tail].concat()).ok()
    };
    start("stays", "on-node-failure")?;
    start("goes", "on-node-failure-with-volumes")?;
    ensure!(on(&pool, "host-1")? == set(&["stays", "goes"]));
    lab.kill(1)?;
    until(LONG, "one runs elsewhere", || {
        let (second, third) = (on(&pool, "host-2")?, on(&pool, "host-3")?);
        Ok((second.union(&third).cloned().collect::<BTreeSet<_>>() == set(&["goes"])).then_some(()))
    })?;
    let info = pool.docker(&["info"]).ok()?;
    ensure!(info.contains("stays") && info.contains("volume at /data"), "{info}");
    Ok(())
}

/// What a container says goes before what the pool says, and old copies are kept where asked.
#[test]
fn policies_of_the_pool_of_labels_and_of_expressions() -> Result<()> {
    let lab = exclusive()?;
    let default = ["--cluster-opt", "swarm.reschedule=on-node-failure"];
    let pool = Pool::start(&lab, &[&GRACE[..], &default].concat())?;
    only(&pool, "host-1")?;
    let keep = "com.docker.swarm.reschedule-stale=keep";
    let label = r#"com.docker.swarm.reschedule-policies=["off"]"#;
    pool.sleeper("by-default", &["--label", keep, "--label", "tier=web"]).ok()?;
    pool.sleeper("not-by-label", &["--label", label]).ok()?;
    pool.sleeper("not-asked", &["-e", "reschedule:off"]).ok()?;
    pool.sleeper("stopped", &[]).ok()?;
    pool.docker(&["stop", "stopped"]).ok()?;
    only(&pool, "")?;
    lab.kill(1)?;
    until(LONG, "two have moved", || {
        let listed = pool.docker(&["ps", "--all", "--format", "{{.Names}} {{.Status}}"]).ok()?;
        let has = |name: &str, status: &str| {
            listed.lines().any(|line| {
                let moved = line.split_once('/').filter(|(node, _)| *node != "host-1");
                moved.is_some_and(|(_, rest)| rest.starts_with(&format!("{name} {status}")))
            })
        };
        Ok((has("by-default", "Up") && has("stopped", "Created")).then_some(()))
    })?;
    let moved = pool.manager().get("/containers/by-default/json")?;
    ensure!(moved["Config"]["Labels"]["tier"] == "web", "{}", moved["Config"]["Labels"]);
    for stays in ["not-by-label", "not-asked"] {
        let elsewhere =
            on(&pool, "host-2")?.contains(stays) || on(&pool, "host-3")?.contains(stays);
        ensure!(!elsewhere, "{stays} moved");
    }
    lab.start(1)?;
    until(LONG, "the old copy is set aside, and the other one gone", || {
        let format = ["ps", "--all", "--format", "{{.Names}} {{.State}}"];
        let copies = own(&lab, 1).run(&format).ok()?;
        let aside = copies
            .lines()
            .any(|line| line.starts_with("by-default.stale-1-") && line.ends_with(" exited"));
        Ok((aside && !copies.contains("stopped")).then_some(()))
    })
}

#[test]
fn a_pool_that_evens_out_by_itself_fills_an_engine_that_comes() -> Result<()> {
    let lab = exclusive()?;
    lab.kill(3)?;
    let auto = ["--cluster-opt", "swarm.rebalance=auto", &lab.nodes(3)];
    let pool = Pool::launch(&lab, &auto)?;
    pool.manager().wait_healthy(2, LONG)?;
    for name in ["c1", "c2", "c3", "c4", "c5", "c6"] {
        pool.sleeper(name, &MOVES).ok()?;
    }
    // Engines that come as the manager begins count as there already.
    std::thread::sleep(Duration::from_secs(30));
    lab.start(3)?;
    until(LONG, "the third engine has its share", || {
        Ok((on(&pool, "host-3")?.len() == 2).then_some(()))
    })
}
