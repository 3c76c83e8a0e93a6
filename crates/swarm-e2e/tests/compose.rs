//! Compose over the pool, with the real clients of both generations and an unchanged file.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use swarm_e2e::{Pool, Ran, exclusive};

const FILE: &str = r#"
version: "2.4"
services:
  web:
    image: busybox:latest
    command: ["sh", "-c", "echo hello from web; exec sleep 1d"]
    stop_signal: SIGKILL
    network_mode: bridge
"#;

fn whole_life(pool: &Pool, compose: &dyn Fn(&Path, &[&str]) -> Result<Ran>) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("project").tempdir()?;
    std::fs::write(folder.path().join("compose.yml"), FILE)?;
    let compose = |arguments: &[&str]| compose(folder.path(), arguments)?.ok();
    compose(&["up", "--detach", "--scale", "web=3"])?;
    let names = pool.docker(&["ps", "--format", "{{.Names}}"]).ok()?;
    let nodes: BTreeSet<_> = names.lines().filter_map(|name| name.split('/').next()).collect();
    assert_eq!(nodes.len(), 3, "three instances are spread: {names}");
    assert_eq!(compose(&["ps", "--quiet"])?.lines().count(), 3);
    assert_eq!(compose(&["logs"])?.matches("hello from web").count(), 3);
    assert!(compose(&["exec", "-T", "web", "hostname"])?.len() == 12);
    compose(&["up", "--detach", "--scale", "web=1"])?;
    assert_eq!(compose(&["ps", "--quiet"])?.lines().count(), 1);
    compose(&["down"])?;
    assert_eq!(pool.docker(&["ps", "--all", "--quiet"]).ok()?, "");
    Ok(())
}

#[test]
fn compose_v1_runs_a_project_over_the_pool() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    whole_life(&pool, &|folder, arguments| Ok(pool.compose_v1(folder, arguments)))
}

#[test]
fn compose_v2_runs_a_project_over_the_pool() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    whole_life(&pool, &|folder, arguments| pool.compose_v2(folder, arguments))
}
