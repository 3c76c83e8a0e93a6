//! Rules for placement: constraints, affinities, dependencies, whitelists and slots, given by
//! `-e` and by label, and the words of each filter's refusal.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;
use swarm_e2e::{IMAGE, LabConfig, Pool, Scratch, exclusive};

/// Tries by which a node that chance alone kept out so far has been chosen: of three nodes one is missed by all of
/// them once in 10⁸ times.
const MOST: usize = 50;

/// Where a container with these arguments goes: every node that was chosen, in so many tries that one which must
/// not be is found, and in as many more as chance needs to bring all that are `expected`.
fn choices(pool: &Pool, arguments: &[&str], expected: &[u8]) -> Result<BTreeSet<String>> {
    let least = if expected.len() == 1 { 3 } else { 12 };
    let (expected, mut nodes) = (hosts(expected), BTreeSet::new());
    for tried in 0..MOST {
        if tried >= least && nodes.is_superset(&expected) {
            break;
        }
        let id = pool.docker(&[&["create"], arguments, &[IMAGE]].concat()).ok()?;
        nodes.insert(pool.node_of(&id)?);
        pool.docker(&["rm", &id]).ok()?;
    }
    Ok(nodes)
}

fn hosts(numbers: &[u8]) -> BTreeSet<String> {
    numbers.iter().map(|i| format!("host-{i}")).collect()
}

fn refused(pool: &Pool, arguments: &[&str]) -> Result<String> {
    let words = pool.docker(&[&["create"], arguments, &[IMAGE]].concat()).fails()?;
    anyhow::ensure!(words.contains("no suitable node"), "{words}");
    Ok(words)
}

/// Three hosts: fast disks in two regions, and one without labels but for its slots.
fn labelled(config: &mut LabConfig) {
    for (i, labels) in [
        (1, &["storage=ssd", "region=us-east"][..]),
        (2, &["storage=hdd", "region=us-west"]),
        (3, &["region=eu", "containerslots=2"]),
    ] {
        let mut host = config.default.clone();
        host.args = labels.iter().map(|label| format!("--label={label}")).collect();
        config.hosts.insert(i, host);
    }
}

#[test]
fn constraints_select_by_name_label_and_fact() -> Result<()> {
    let lab = Scratch::boot(3, labelled)?;
    // Random, so that a choice tells the rule and not the load.
    let pool = Pool::start(&lab, &["--strategy", "random"])?;
    let id = lab.sh(2, "docker info --format '{{.ID}}'")?;
    let driver = lab.sh(1, "docker info --format '{{.Driver}}'")?;
    let kernel = lab.sh(1, "uname -r")?;
    for (rule, nodes) in [
        ("node==host-2", &[2][..]),
        (&format!("node=={id}"), &[2]),
        ("node!=host-2", &[1, 3]),
        ("node==host-*", &[1, 2, 3]),
        ("node==/host-[12]/", &[1, 2]),
        ("node!=/host-[12]/", &[3]),
        ("node==/(?i)HOST-3/", &[3]),
        ("storage==ssd", &[1]),
        ("storage!=ssd", &[2, 3]),
        ("region==us*", &[1, 2]),
        ("region!=us*", &[3]),
        ("region==/^us-w/", &[2]),
        ("region==~eu", &[3]),
        ("region==~mars", &[1, 2, 3]),
        ("storage!=~hdd", &[1, 3]),
        ("ostype==linux", &[1, 2, 3]),
        (&format!("storagedriver=={driver}"), &[1, 2, 3]),
        (&format!("kernelversion=={kernel}"), &[1, 2, 3]),
        ("architecture==/x86_64|aarch64/", &[1, 2, 3]),
        ("operatingsystem==/./", &[1, 2, 3]),
    ] {
        let chosen = choices(&pool, &["-e", &format!("constraint:{rule}")], nodes)?;
        assert_eq!(chosen, hosts(nodes), "{rule}");
    }
    let two = ["-e", "constraint:region==us*", "-e", "constraint:storage!=ssd"];
    assert_eq!(choices(&pool, &two, &[2])?, hosts(&[2]));
    let words = refused(&pool, &["-e", "constraint:storage==tape"])?;
    assert!(words.contains("constraint storage==tape removed 3"), "{words}");
    assert!(
        words.contains("host-1 has storage=ssd") && words.contains("host-3 has no storage"),
        "{words}"
    );
    refused(&pool, &["-e", "constraint:storagedriver==none"])?;

    for _ in 0..2 {
        pool.docker(&["create", "-e", "constraint:node==host-3", IMAGE]).ok()?;
    }
    let words = refused(&pool, &["-e", "constraint:node==host-3"])?;
    assert!(
        words.contains("containerslots removed 1 (host-3 has 2 containers in 2 slots)"),
        "{words}"
    );
    let words = refused(&pool, &["-e", "whitelist:node==host-7|host-8"])?;
    assert!(words.contains("whitelist") && words.contains("removed"), "{words}");
    assert_eq!(
        choices(&pool, &["-e", "whitelist:node==host-2|host-3"], &[2])?,
        hosts(&[2]),
        "host-3 is full"
    );
    let chosen = choices(&pool, &["-e", "whitelist:node==host-1|host-2"], &[1, 2])?;
    assert_eq!(chosen, hosts(&[1, 2]));
    let lax = Pool::start(&lab, &["--filter", "health", "--filter", "port"])?;
    lax.docker(&["create", "-e", "constraint:storage==tape", IMAGE]).ok()?;
    Ok(())
}

#[test]
fn affinities_bring_containers_together_and_apart() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &["--strategy", "random"])?;
    let on = |i: u8| format!("constraint:node==host-{i}");
    pool.docker(&["create", "--name", "front", "--label", "tier=front", "-e", &on(1), IMAGE])
        .ok()?;
    let back = pool
        .docker(&["create", "--name", "back", "--label", "tier=back", "-e", &on(2), IMAGE])
        .ok()?;
    for (rule, nodes) in [
        ("container==front", &[1][..]),
        (&format!("container=={back}"), &[2]),
        (&format!("container=={}", &back[..12]), &[2]),
        ("container==fro*", &[1]),
        ("container==/^(ba|no)/", &[2]),
        ("container!=front", &[2, 3]),
        ("container!=/front|back/", &[3]),
        ("container==~nobody", &[1, 2, 3]),
        ("container!=~front", &[2, 3]),
        ("tier==front", &[1]),
        ("tier!=front", &[2, 3]),
        ("tier==/back|none/", &[2]),
        ("image==busybox", &[1, 2, 3]),
        ("image==busybox:latest", &[1, 2, 3]),
        ("image==busy*", &[1, 2, 3]),
        ("image!=nothing", &[1, 2, 3]),
    ] {
        let chosen = choices(&pool, &["-e", &format!("affinity:{rule}")], nodes)?;
        assert_eq!(chosen, hosts(nodes), "{rule}");
    }
    let words = refused(&pool, &["-e", "affinity:container==nobody"])?;
    assert!(
        words.contains("affinity container==nobody removed 3 (there is no such container"),
        "{words}"
    );
    let words = refused(&pool, &["-e", "affinity:image==nothing"])?;
    assert!(words.contains("affinity image==nothing removed 3"), "{words}");
    let words =
        refused(&pool, &["-e", "affinity:container==front", "-e", "constraint:node==host-2"])?;
    assert!(words.contains("removed 2") && words.contains("removed 1"), "{words}");
    Ok(())
}

#[test]
fn dependent_containers_follow_the_one_they_need() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &["--strategy", "random"])?;
    pool.sleeper("base", &["-v", "/data", "--ipc", "shareable", "-e", "constraint:node==host-3"])
        .ok()?;
    pool.sleeper("far", &["-e", "constraint:node==host-1"]).ok()?;
    for (at, arguments) in [
        &["--link", "base:db"][..],
        &["--link", "host-3/base:db"],
        &["--volumes-from", "base:ro"],
        &["--volumes-from", "host-3/base"],
        &["--network", "container:base"],
        &["--network", "container:host-3/base"],
        &["--pid", "container:base"],
        &["--ipc", "container:base"],
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("dep-{at}");
        pool.sleeper(&name, arguments).ok()?;
        assert_eq!(pool.node_of(&name)?, "host-3", "{arguments:?}");
    }
    assert!(pool.docker(&["exec", "dep-0", "cat", "/etc/hosts"]).ok()?.contains("db"));
    assert!(pool.docker(&["exec", "dep-6", "ps"]).ok()?.contains("sleep 1d"));
    let words = refused(&pool, &["--link", "nobody:x"])?;
    assert!(
        words.contains("dependency") && words.contains("there is no such container"),
        "{words}"
    );
    let words = refused(&pool, &["--link", "base:a", "--volumes-from", "far"])?;
    assert!(words.contains("base") && words.contains("far"), "{words}");
    let words = refused(&pool, &["--network", "container:base", "-e", "constraint:node==host-1"])?;
    assert!(words.contains("dependency") && words.contains("constraint"), "{words}");
    Ok(())
}

#[test]
fn rules_are_kept_in_labels_and_read_from_them() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let labels = |name: &str| -> Result<Value> {
        Ok(pool.manager().get(&format!("/containers/{name}/json"))?["Config"]["Labels"].clone())
    };
    let rules = ["-e", "constraint:node==host-2", "-e", "affinity:container!=x", "-e", "KEEP=me"];
    let more = ["-e", "reschedule:on-node-failure", "--label", "mine=1"];
    pool.docker(&[&["create", "--name", "kept"], &rules[..], &more, &[IMAGE]].concat()).ok()?;
    let kept = labels("kept")?;
    assert_eq!(kept["com.docker.swarm.constraints"], r#"["node==host-2"]"#);
    assert_eq!(kept["com.docker.swarm.affinities"], r#"["container!=x"]"#);
    assert_eq!(kept["com.docker.swarm.reschedule-policies"], r#"["on-node-failure"]"#);
    assert_eq!(kept["com.docker.swarm.id"].as_str().map(str::len), Some(64));
    assert_eq!(kept["mine"], "1");
    let env = pool.docker(&["inspect", "--format", "{{.Config.Env}}", "kept"]).ok()?;
    assert!(env.contains("KEEP=me") && !env.contains("constraint"), "{env}");

    let label = r#"com.docker.swarm.constraints=["node==host-3"]"#;
    pool.docker(&["create", "--name", "labelled", "--label", label, IMAGE]).ok()?;
    assert_eq!(pool.node_of("labelled")?, "host-3");
    let both = ["create", "--label", label, "-e", "constraint:node==host-1", IMAGE];
    assert!(pool.docker(&both).fails()?.contains("no suitable node"));
    for (arguments, words) in [
        (["-e", "constraint:node=host-1"], "constraint"),
        (["-e", "constraint:node==/[/"], "node==/[/"),
        (["-e", "affinity:==x"], "affinity"),
        (["-e", "reschedule:never"], "reschedule policy"),
        (["--label", "com.docker.swarm.constraints=node==x"], "com.docker.swarm.constraints"),
    ] {
        let error = pool.docker(&[&["create"], &arguments[..], &[IMAGE]].concat()).fails()?;
        assert!(error.contains(words) && !error.contains("no suitable"), "{arguments:?}: {error}");
    }
    Ok(())
}
