//! Where containers go: strategies, reserved CPUs and memory, ports, images, failing engines; and
//! that parallel creates never overbook.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use swarm_e2e::{IMAGE, Pool, Ran, exclusive};

const HOSTS: usize = 3;

/// How many containers each node has.
fn counts(pool: &Pool) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for name in pool.docker(&["ps", "--all", "--format", "{{.Names}}"]).ok()?.lines() {
        *counts.entry(name.split('/').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    Ok(counts)
}

fn clear(pool: &Pool) -> Result<()> {
    let all = pool.docker(&["ps", "--all", "--quiet"]).ok()?;
    let arguments: Vec<_> = ["rm", "--force"].into_iter().chain(all.lines()).collect();
    pool.docker(&arguments).ok().map(drop)
}

/// `docker create` of `count` containers at once.
fn together(pool: &Pool, count: usize, more: &[&str]) -> Vec<Ran> {
    let create = || pool.docker(&[&["create"], more, &[IMAGE]].concat());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(create)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

fn engine_number(pool: &Pool, field: &str) -> Result<i64> {
    pool.docker(&["create", "--name", "probe", IMAGE]).ok()?;
    let number = pool.manager().get("/containers/probe/json")?["Node"][field].as_i64();
    pool.docker(&["rm", "probe"]).ok()?;
    number.context("no number")
}

#[test]
fn each_strategy_chooses_as_its_name_says() -> Result<()> {
    let lab = exclusive()?;
    for strategy in ["spread", "binpack", "random"] {
        let pool = Pool::start(&lab, &["--strategy", strategy])?;
        for _ in 0..if strategy == "random" { 12 } else { 6 } {
            pool.docker(&["create", "--memory", "64m", IMAGE]).ok()?;
        }
        let counts = counts(&pool)?;
        match strategy {
            "spread" => assert_eq!(counts.values().collect::<Vec<_>>(), [&2; HOSTS], "{counts:?}"),
            "binpack" => assert_eq!(counts.len(), 1, "{counts:?}"),
            _ => assert!(counts.len() > 1, "{counts:?}"),
        }
        let info = pool.docker(&["info"]).output()?;
        let info = String::from_utf8_lossy(&info.stdout).into_owned();
        assert!(info.contains(&format!("Strategy: {strategy}")), "{info}");
        clear(&pool)?;
    }
    Ok(())
}

#[test]
fn spread_goes_by_reservations_before_it_counts_containers() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    for i in 1..=2 {
        let on = format!("constraint:node==host-{i}");
        pool.docker(&["create", "--memory", "2g", "-e", &on, IMAGE]).ok()?;
    }
    for _ in 0..3 {
        pool.docker(&["create", "-e", "constraint:node==host-3", IMAGE]).ok()?;
    }
    pool.docker(&["create", "--name", "next", "--memory", "64m", IMAGE]).ok()?;
    assert_eq!(pool.node_of("next")?, "host-3");
    Ok(())
}

#[test]
fn cpus_are_reserved_up_to_the_overcommit_and_shown() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let cpus = engine_number(&pool, "Cpus")?;
    for flag in [&["--cpus", "1"], &["--cpu-shares", "1"]] {
        // 5 % more than there is makes no whole CPU on a small machine.
        for _ in 0..cpus * i64::try_from(HOSTS)? {
            pool.docker(&[&["create"], &flag[..], &[IMAGE]].concat()).ok()?;
        }
        let refused = pool.docker(&[&["create"], &flag[..], &[IMAGE]].concat()).fails()?;
        assert!(refused.contains("no resources available to schedule container"), "{refused}");
        assert!(refused.contains("CPUs free, 1 wanted") && refused.contains("host-2"), "{refused}");
        let info = pool.docker(&["info"]).output()?;
        let info = String::from_utf8_lossy(&info.stdout).into_owned();
        let row = format!("Reserved CPUs: {cpus} / {cpus}");
        assert_eq!(info.matches(&row).count(), HOSTS, "{info}");
        // Without a wish there is room on a full engine.
        pool.docker(&["create", IMAGE]).ok()?;
        clear(&pool)?;
    }
    let generous = Pool::start(&lab, &["--cluster-opt", "swarm.overcommit=1"])?;
    let both = (2 * cpus).to_string();
    let first = ["create", "--cpu-shares", &both, "-e", "constraint:node==host-1", IMAGE];
    generous.docker(&first).ok()?;
    generous.docker(&first).fails()?;
    Ok(())
}

#[test]
fn parallel_creates_never_overbook() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &["--cluster-opt", "swarm.overcommit=0"])?;
    // Two of them fit each host, three do not.
    let memory = format!("{}", engine_number(&pool, "Memory")? * 2 / 5);
    for _ in 0..2 {
        let mut created = 0;
        for outcome in together(&pool, 16, &["--memory", &memory]) {
            let output = outcome.output()?;
            let error = String::from_utf8_lossy(&output.stderr);
            created += usize::from(output.status.success());
            assert!(output.status.success() || error.contains("no resources available"), "{error}");
        }
        assert_eq!(created, 2 * HOSTS);
        assert!(counts(&pool)?.values().all(|count| *count == 2), "{:?}", counts(&pool)?);
        clear(&pool)?;
    }
    // One port, three hosts.
    let outcomes = together(&pool, 9, &["--publish", "7000:7000"]);
    let created = outcomes.into_iter().filter_map(|outcome| outcome.ok().ok()).count();
    assert_eq!((created, counts(&pool)?.len()), (HOSTS, HOSTS));
    Ok(())
}

#[test]
fn what_was_just_removed_is_free_at_once() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &["--cluster-opt", "swarm.overcommit=0"])?;
    let memory = engine_number(&pool, "Memory")? * 4 / 5;
    let host =
        format!(r#"{{"Memory":{memory},"PortBindings":{{"80/tcp":[{{"HostPort":"80"}}]}}}}"#);
    let body = format!(r#"{{"Image":"{IMAGE}","HostConfig":{host}}}"#);
    let create = |name: &str| pool.ask("POST", &format!("/containers/create?name={name}"), &body);
    for name in ["full-1", "full-2", "full-3"] {
        assert_eq!(create(name)?.status, 201);
    }
    // Each client's next request comes sooner than the engine's event.
    let replace = &|name: &str| -> Result<()> {
        for round in 0..60 {
            assert_eq!(pool.ask("DELETE", &format!("/containers/{name}"), "")?.status, 204);
            let created = create(name)?;
            assert_eq!(created.status, 201, "round {round}: {}", created.text());
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let clients = ["full-1", "full-2", "full-3"].map(|name| scope.spawn(move || replace(name)));
        clients.into_iter().try_for_each(|client| client.join().expect("a client's thread"))
    })
}

#[test]
fn a_port_is_published_once_per_node() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let mut nodes = BTreeSet::new();
    for name in ["p1", "p2", "p3"] {
        pool.sleeper(name, &["--publish", "8080:80"]).ok()?;
        nodes.insert(pool.node_of(name)?);
    }
    assert_eq!(nodes.len(), HOSTS);
    let refused = pool.docker(&["create", "--publish", "8080:81", IMAGE]).fails()?;
    assert!(
        refused.contains("port") && refused.contains("8080") && refused.contains("taken on host-1"),
        "{refused}"
    );
    pool.docker(&["create", "--publish", "8080:80/udp", IMAGE]).ok()?;
    pool.docker(&["create", "--publish", "80", IMAGE]).ok()?;
    let node = pool.node_of("p2")?;
    pool.docker(&["rm", "--force", "p2"]).ok()?;
    pool.sleeper("p4", &["--publish", "127.0.0.1:8080:80"]).ok()?;
    assert_eq!(pool.node_of("p4")?, node, "the port is free again there");

    let exposed = ["create", "--network", "host", "--expose", "9000"];
    for name in ["h1", "h2", "h3"] {
        pool.docker(&[&exposed[..], &["--name", name, IMAGE]].concat()).ok()?;
    }
    let refused = pool.docker(&[&exposed[..], &[IMAGE]].concat()).fails()?;
    assert!(refused.contains("(Host mode)"), "{refused}");
    Ok(())
}

#[test]
fn a_container_goes_where_its_image_is() -> Result<()> {
    let lab = exclusive()?;
    let archive = lab.image_archive("special:1", &["LABEL special=1"])?;
    let first = (1..=3).find(|i| lab.sh(*i, "docker image inspect special:1").is_ok());
    if let Some(i) = first.filter(|i| *i != 2) {
        lab.sh(i, "docker rmi special:1")?;
    }
    lab.load(2, &archive)?;
    let pool = Pool::start(&lab, &[])?;
    // The least loaded first is where it is not.
    pool.docker(&["create", "-e", "constraint:node==host-2", IMAGE]).ok()?;
    for name in ["i1", "i2", "i3"] {
        pool.docker(&["create", "--name", name, "special:1", "true"]).ok()?;
        assert_eq!(pool.node_of(name)?, "host-2");
    }
    pool.docker(&["create", "--name", "i4", "-e", "affinity:image==special:1", IMAGE]).ok()?;
    assert_eq!(pool.node_of("i4")?, "host-2");
    pool.docker(&["create", "--name", "i5", "-e", "affinity:image!=special:1", IMAGE]).ok()?;
    assert_ne!(pool.node_of("i5")?, "host-2");
    let refused = pool.ask(
        "POST",
        "/containers/create",
        r#"{"Image":"special:1","Env":["constraint:node==host-1"]}"#,
    )?;
    assert_eq!(refused.status, 404, "{}", refused.text());
    assert!(refused.message().contains("No such image: special:1"), "{}", refused.text());
    Ok(())
}

#[test]
fn a_create_that_an_engine_fails_is_tried_elsewhere_when_asked_to() -> Result<()> {
    let lab = exclusive()?;
    for i in 1..=2 {
        let place = lab.sh(i, "echo $(docker info --format '{{.DockerRootDir}}')/containers")?;
        lab.sh(i, &format!("mount -t tmpfs -o ro none {place}"))?;
    }
    let outcome = || -> Result<()> {
        let plain = Pool::start(&lab, &[])?;
        let on = "constraint:node==/host-[12]/";
        let refused = plain.docker(&["create", "-e", on, IMAGE]).fails()?;
        assert!(refused.contains("read-only file system"), "{refused}");
        let patient = Pool::start(&lab, &["--cluster-opt", "swarm.createretry=2"])?;
        for name in ["r1", "r2", "r3"] {
            patient.docker(&["create", "--name", name, IMAGE]).ok()?;
            assert_eq!(patient.node_of(name)?, "host-3");
        }
        let refused = patient.docker(&["create", "-e", on, IMAGE]).fails()?;
        assert!(refused.contains("already failed this request"), "{refused}");
        Ok(())
    }();
    for i in 1..=2 {
        lab.sh(i, "umount $(docker info --format '{{.DockerRootDir}}')/containers")?;
    }
    outcome
}
