//! The main job, with the plain client on real engines: containers are placed, found by name
//! from anywhere, and refused with reasons; a host that dies and returns is noticed.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use swarm_e2e::{IMAGE, Pool, Scratch, exclusive, until};

/// How soon a silent engine is to be noticed, and its return, where tests of the same machine run beside this one.
const NOTICED: Duration = Duration::from_secs(15);
const RETURNED: Duration = Duration::from_secs(10);

/// Arguments of `docker run` for a container that stays, and dies at once when it is stopped.
fn run<'a>(name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let head = ["run", "--detach", "--stop-signal", "KILL", "--name", name];
    [&head, more, &[IMAGE, "sleep", "1d"]].concat()
}

#[test]
fn containers_are_spread_and_found_by_name() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &["--strategy", "spread"])?;
    let mut nodes = BTreeSet::new();
    for name in ["one", "two", "three"] {
        let id = pool.docker(&run(name, &[])).ok()?;
        nodes.insert(pool.node_of(name)?);
        assert_eq!(pool.docker(&["inspect", "--format", "{{.Id}}", name]).ok()?, id);
        assert!(id.starts_with(&pool.docker(&["exec", name, "hostname"]).ok()?));
    }
    assert_eq!(nodes, ["host-1", "host-2", "host-3"].map(String::from).into());
    let names = pool.docker(&["ps", "--format", "{{.Names}}"]).ok()?;
    for name in ["one", "two", "three"] {
        let listed = format!("{}/{name}", pool.node_of(name)?);
        assert!(names.lines().any(|line| line == listed), "{listed} in {names}");
    }
    let taken = pool.docker(&run("one", &[])).fails()?;
    assert!(taken.contains("Conflict") && taken.contains("one"), "{taken}");
    pool.docker(&["rm", "--force", "one", "two", "three"]).ok()?;
    assert_eq!(pool.docker(&["ps", "--all", "--quiet"]).ok()?, "");
    Ok(())
}

#[test]
fn constraints_and_affinities_are_obeyed_and_refusals_say_why() -> Result<()> {
    let lab = Scratch::boot(2, |config| {
        for (i, disk) in [(1, "ssd"), (2, "hdd")] {
            let mut host = config.default.clone();
            host.args = vec![format!("--label=storage={disk}")];
            config.hosts.insert(i, host);
        }
    })?;
    let pool = Pool::start(&lab, &[])?;
    for (name, more, node) in [
        ("hdd", "constraint:storage==hdd", "host-2"),
        ("named", "constraint:node==host-1", "host-1"),
        ("beside", "affinity:container==hdd", "host-2"),
        ("apart", "affinity:container!=hdd", "host-1"),
        ("wish", "constraint:storage==~tape", ""),
    ] {
        pool.docker(&run(name, &["--env", more])).ok()?;
        let placed = pool.node_of(name)?;
        assert!(node.is_empty() || placed == node, "{more}: on {placed}");
    }
    let refused = pool.docker(&run("never", &["--env", "constraint:storage==tape"])).fails()?;
    assert!(refused.contains("storage==tape") && refused.contains("host-1"), "{refused}");
    assert!(!pool.docker(&["ps", "--all", "--format", "{{.Names}}"]).ok()?.contains("never"));
    Ok(())
}

#[test]
fn a_silent_host_is_noticed_and_its_return_too() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    lab.cut(3, None)?;
    until(NOTICED, "the silence is noticed", || {
        Ok((pool.manager().nodes_with_status("Healthy")? == 2).then_some(()))
    })?;
    pool.docker(&["run", "--rm", IMAGE, "true"]).ok()?;
    lab.heal(3, None)?;
    pool.manager().wait_healthy(3, RETURNED)?;

    lab.kill(2)?;
    pool.manager().wait_healthy(2, NOTICED)?;
    lab.start(2)?;
    pool.manager().wait_healthy(3, RETURNED)
}
