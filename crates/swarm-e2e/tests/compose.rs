//! Compose over the pool, with the real clients of both generations and unchanged files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result};
use swarm_e2e::{Pool, Ran, exclusive};
use tempfile::TempDir;

/// Version 1 of the format: no networks of its own, but links and volumes-from.
const LINKED: &str = r#"
store:
  image: busybox:latest
  command: ["sleep", "1d"]
  stop_signal: SIGKILL
  volumes: ["/data"]
db:
  image: busybox:latest
  command: ["sh", "-c", "mkdir -p /www; echo from the database >/www/index.html; exec httpd -f -h /www"]
  stop_signal: SIGKILL
  volumes_from: ["store"]
web:
  image: busybox:latest
  command: ["sh", "-c", "echo hello from web; exec sleep 1d"]
  stop_signal: SIGKILL
  links: ["db:database"]
"#;

/// Version 2 of the format: networks, volumes, an order, and a shared network namespace.
const NETWORKED: &str = r#"
version: "2.4"
services:
  db:
    image: busybox:latest
    command: ["sh", "-c", "echo from the database >/d/index.html; exec httpd -f -h /d"]
    stop_signal: SIGKILL
    networks: { back: { aliases: [database] } }
    volumes: ["data:/d"]
  web:
    image: busybox:latest
    command: ["sh", "-c", "echo hello from web; exec sleep 1d"]
    stop_signal: SIGKILL
    depends_on: [db]
    networks: [back, front]
    environment: ["affinity:com.docker.compose.service==db"]
  side:
    image: busybox:latest
    command: ["sleep", "1d"]
    stop_signal: SIGKILL
    network_mode: "service:db"
  worker:
    image: busybox:latest
    command: ["sh", "-c", "echo hello from worker; exec sleep 1d"]
    stop_signal: SIGKILL
    labels: { tier: workers }
networks:
  back: { internal: true }
  front: {}
volumes:
  data: {}
"#;

type Compose<'a> = &'a dyn Fn(&TempDir, &[&str]) -> Result<Ran>;

fn project(name: &str, file: &str) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix(name).tempdir()?;
    fs::write(folder.path().join("compose.yml"), file)?;
    Ok(folder)
}

/// Ids, nodes and times of start of all containers, by service and number.
fn placed(pool: &Pool) -> Result<BTreeMap<String, (String, String, String)>> {
    let ids = pool.docker(&["ps", "--quiet", "--no-trunc"]).ok()?;
    let mut all = BTreeMap::new();
    for id in ids.lines() {
        let seen = pool.manager().get(&format!("/containers/{id}/json"))?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let label =
            |key: &str| text(&seen["Config"]["Labels"][format!("com.docker.compose.{key}")]);
        let name = format!("{}{}", label("service"), label("container-number"));
        let facts = (id.to_owned(), text(&seen["Node"]["Name"]), text(&seen["State"]["StartedAt"]));
        all.insert(name, facts);
    }
    Ok(all)
}

fn nodes(placed: &BTreeMap<String, (String, String, String)>, service: &str) -> BTreeSet<String> {
    let mine = placed.iter().filter(|(name, _)| name.starts_with(service));
    mine.map(|(_, (_, node, _))| node.clone()).collect()
}

/// Nothing of a project is left, on no engine.
fn assert_clean(lab: &swarm_e2e::Lab) -> Result<()> {
    for i in 1..=3 {
        let left = "docker ps --all --quiet; docker volume ls --quiet; \
                    docker network ls --quiet --filter type=custom";
        assert_eq!(lab.sh(i, left)?, "", "host {i}");
    }
    Ok(())
}

fn whole_life(pool: &Pool, lab: &swarm_e2e::Lab, compose: Compose<'_>) -> Result<()> {
    let folder = project("whole", NETWORKED)?;
    let compose = |arguments: &[&str]| {
        compose(&folder, arguments)?.ok().with_context(|| pool.manager().log())
    };
    compose(&["up", "--detach", "--scale", "worker=3", "worker"])?;
    assert_eq!(nodes(&placed(pool)?, "worker").len(), 3, "scaled services are spread");
    compose(&["up", "--detach", "--scale", "worker=3"])?;
    let first = placed(pool)?;
    assert_eq!(first.len(), 6, "{first:?}");
    for service in ["side", "web"] {
        assert_eq!(nodes(&first, service), nodes(&first, "db"), "{service} is beside db");
    }
    assert_eq!(compose(&["ps", "--quiet"])?.lines().count(), 6);
    let logs = compose(&["logs", "--no-color"])?;
    assert_eq!(logs.matches("hello from worker").count(), 3, "{logs}");
    let fetch = ["exec", "-T", "web", "wget", "-q", "-O-", "http://database/"];
    assert_eq!(compose(&fetch)?, "from the database");
    let local = ["exec", "-T", "side", "wget", "-q", "-O-", "http://127.0.0.1/"];
    assert_eq!(compose(&local)?, "from the database");

    compose(&["up", "--detach", "--scale", "worker=3"])?;
    assert_eq!(placed(pool)?, first, "nothing was made again or started again");

    // Only what changed is made again, beside its data.
    let changed = NETWORKED.replace("labels: { tier: workers }", "labels: { tier: changed }");
    fs::write(folder.path().join("compose.yml"), changed)?;
    compose(&["up", "--detach", "--scale", "worker=2"])?;
    let second = placed(pool)?;
    assert_eq!(second.len(), 5, "{second:?}");
    for (name, facts) in &second {
        assert_eq!(facts == &first[name], !name.starts_with("worker"), "{name}");
    }
    let moved = NETWORKED.replace("from the database", "from the new database");
    fs::write(folder.path().join("compose.yml"), moved)?;
    compose(&["up", "--detach", "--no-deps", "db"])?;
    assert_eq!(nodes(&placed(pool)?, "db"), nodes(&first, "db"), "its volume is there");

    compose(&["stop", "worker"])?;
    assert_eq!(nodes(&placed(pool)?, "worker").len(), 0);
    compose(&["down", "--volumes"])?;
    assert_clean(lab)
}

#[test]
fn compose_v1_runs_a_project_of_the_first_file_format() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let folder = project("linked", LINKED)?;
    let compose = |arguments: &[&str]| pool.compose_v1(folder.path(), arguments).ok();
    compose(&["up", "-d", "--scale", "web=2"])?;
    let first = placed(&pool)?;
    assert_eq!(first.len(), 4, "{first:?}");
    let all: BTreeSet<_> = first.values().map(|(_, node, _)| node.clone()).collect();
    assert_eq!(all.len(), 1, "links and volumes bind them together: {first:?}");
    let fetch = ["exec", "-T", "--index=2", "web", "wget", "-q", "-O-", "http://database/"];
    assert_eq!(compose(&fetch)?, "from the database");
    compose(&["exec", "-T", "db", "sh", "-c", "echo kept >/data/file"])?;
    assert_eq!(compose(&["exec", "-T", "store", "cat", "/data/file"])?, "kept");
    compose(&["up", "-d", "--scale", "web=2"])?;
    assert_eq!(placed(&pool)?, first, "nothing was made again or started again");
    compose(&["down", "-v"])?;
    assert_clean(&lab)
}

#[test]
fn a_container_made_again_finds_its_anonymous_volumes() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let v1 = |folder: &TempDir, arguments: &[&str]| Ok(pool.compose_v1(folder.path(), arguments));
    let v2 = |folder: &TempDir, arguments: &[&str]| pool.compose_v2(folder.path(), arguments);
    for (age, compose) in [("v1", &v1 as Compose<'_>), ("v2", &v2)] {
        let file = LINKED.replace('\n', "\n  ");
        let folder = project(age, &format!("version: '2.4'\nservices:\n  {}", file.trim()))?;
        let compose = |arguments: &[&str]| compose(&folder, arguments)?.ok();
        compose(&["up", "-d", "store"])?;
        let write = "echo kept >/data/file";
        compose(&["exec", "-T", "store", "sh", "-c", write])?;
        for round in 0..3 {
            compose(&["up", "-d", "--force-recreate", "store"])?;
            let read = compose(&["exec", "-T", "store", "cat", "/data/file"])?;
            assert_eq!(read, "kept", "{age}, round {round}");
        }
        compose(&["down", "-v"])?;
    }
    Ok(())
}

#[test]
fn compose_v1_runs_a_project_over_the_pool() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    whole_life(&pool, &lab, &|folder, arguments| Ok(pool.compose_v1(folder.path(), arguments)))
}

#[test]
fn compose_v2_runs_a_project_over_the_pool() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    whole_life(&pool, &lab, &|folder, arguments| pool.compose_v2(folder.path(), arguments))
}

#[test]
fn a_services_labels_place_its_containers() -> Result<()> {
    const PINNED: &str = r#"
services:
  one:
    image: busybox:latest
    command: ["sleep", "1d"]
    stop_signal: SIGKILL
    network_mode: bridge
    labels:
      com.docker.swarm.constraints: '["node==host-2"]'
  two:
    image: busybox:latest
    command: ["sleep", "1d"]
    stop_signal: SIGKILL
    network_mode: bridge
    labels:
      com.docker.swarm.affinities: '["com.docker.compose.service!=one"]'
    scale: 4
"#;
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let folder = project("pinned", PINNED)?;
    let compose = |arguments: &[&str]| pool.compose_v2(folder.path(), arguments)?.ok();
    compose(&["up", "--detach", "one"])?;
    compose(&["up", "--detach"])?;
    let seen = placed(&pool)?;
    assert_eq!(nodes(&seen, "one"), ["host-2".to_owned()].into());
    assert_eq!(nodes(&seen, "two"), ["host-1", "host-3"].map(str::to_owned).into());
    compose(&["down"])?;
    assert_clean(&lab)
}
