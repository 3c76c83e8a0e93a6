//! Engines and clients of different ages in one pool: 20.10 (API 1.41) and 28.5 (API 1.51).

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use swarm_e2e::{IMAGE, Newer, Pool, Ran, Scratch, until};

const OLD_API: &str = "1.41";
const NEW_API: &str = "1.51";
const SOON: Duration = Duration::from_mins(1);

type Docker<'a> = &'a dyn Fn(&[&str]) -> Result<String>;

/// Debian's own client, which is as old as its engine.
fn older(pool: &Pool, arguments: &[&str]) -> Ran {
    pool.client("/usr/bin/docker").run(arguments)
}

/// Host 1 with the machine's engine, host 2 with the newer one.
fn mixed() -> Result<Scratch> {
    let newer = Newer::find()?;
    let lab = Scratch::open(|_| ())?;
    lab.configure(2, |host| newer.engine(host))?;
    lab.up(2)?;
    lab.image(IMAGE)?;
    Ok(lab)
}

fn on(i: u8) -> String {
    format!("constraint:node==host-{i}")
}

#[test]
fn a_pool_of_old_and_new_engines_serves_old_and_new_clients() -> Result<()> {
    let lab = mixed()?;
    let pool = Pool::start(&lab, &[])?;
    let info = pool.docker(&["info"]).ok()?;
    assert!(
        info.contains("ServerVersion: 20.10") && info.contains("ServerVersion: 28.5"),
        "{info}"
    );

    let old = |arguments: &[&str]| older(&pool, arguments).ok();
    let new = |arguments: &[&str]| pool.newer_docker(arguments)?.ok();
    for (age, docker) in [("old", &old as Docker<'_>), ("new", &new)] {
        let api =
            docker(&["version", "--format", "{{.Server.APIVersion}} {{.Client.APIVersion}}"])?;
        assert_eq!(api, format!("{OLD_API} {OLD_API}"), "{age}: the lowest of all");
        for i in [1, 2] {
            let name = format!("{age}-{i}");
            let script = "echo out; echo err >&2; touch /made; exec sleep 1d";
            let head = ["run", "-d", "--stop-signal=KILL", "--name", &name, "--env", &on(i)];
            let id = docker(&[&head[..], &["-m=64m", IMAGE, "sh", "-c", script]].concat())?;
            assert_eq!(
                docker(&["inspect", "--format", "{{.Id}} {{.Config.Image}}", &name])?,
                format!("{id} {IMAGE}")
            );
            assert_eq!(docker(&["exec", &name, "echo", "in"])?, "in");
            until(SOON, "the log", || {
                let output = pool.client("/usr/bin/docker").run(&["logs", &name]).output()?;
                Ok((output.stdout == b"out\n" && output.stderr == b"err\n").then_some(()))
            })?;
            assert!(docker(&["diff", &name])?.contains("/made"), "{name}");
            assert!(docker(&["top", &name])?.contains("sleep"), "{name}");
            let stats = ["stats", "--no-stream", "--format", "{{.MemUsage}}", &name];
            assert!(docker(&stats)?.contains("64MiB"), "{name}");
            docker(&["update", "--memory=32m", "--memory-swap=32m", &name])?;
            docker(&["restart", "--time=1", &name])?;
            docker(&["rename", &name, &format!("{name}-new")])?;
        }
        let names = docker(&["ps", "--format", "{{.Names}}", "--filter", &format!("name={age}")])?;
        let mut names: Vec<_> = names.lines().collect();
        names.sort_unstable();
        assert_eq!(names, [1, 2].map(|i| format!("host-{i}/{age}-{i}-new")), "{age}");
        docker(&["network", "create", &format!("{age}-net")])?;
        let net = ["run", "--rm", "--network", &format!("{age}-net"), IMAGE, "echo", "met"];
        assert_eq!(docker(&net)?, "met");
        docker(&["network", "rm", &format!("{age}-net")])?;
        docker(&["rm", "--force", &format!("{age}-1-new"), &format!("host-2/{age}-2-new")])?;
    }
    assert_eq!(old(&["ps", "--all", "--quiet"])?, "");
    Ok(())
}

#[test]
fn the_api_version_rises_when_the_last_old_engine_has_gone() -> Result<()> {
    let lab = mixed()?;
    let list = lab.put("nodes", format!("{}:2375\n{}:2375\n", lab.ip(1), lab.ip(2)))?;
    let pool = Pool::launch(&lab, &[&format!("file://{}", list.display())])?;
    pool.manager().wait_healthy(2, SOON)?;
    let version = ["version", "--format", "{{.Server.APIVersion}}"];
    assert_eq!(pool.newer_docker(&version)?.ok()?, OLD_API);
    std::fs::write(&list, format!("{}:2375\n", lab.ip(2)))?;
    until(SOON, "the newer version", || {
        Ok((pool.newer_docker(&version)?.ok()? == NEW_API).then_some(()))
    })
}

#[test]
fn a_pool_of_new_engines_gives_all_that_the_new_api_has() -> Result<()> {
    let newer = Newer::find()?;
    let lab = Scratch::boot(2, |config| newer.engine(&mut config.default))?;
    let pool = Pool::start(&lab, &[])?;
    let docker = |arguments: &[&str]| pool.newer_docker(arguments)?.ok();
    let api = docker(&["version", "--format", "{{.Server.APIVersion}} {{.Client.APIVersion}}"])?;
    assert_eq!(api, format!("{NEW_API} {NEW_API}"));
    // 1.43 brought annotations, 1.44 the start interval and a MAC address by endpoint.
    let health = ["--health-cmd=true", "--health-start-interval=3s", "--health-start-period=9s"];
    let more = ["--annotation=a=b", "--mac-address=02:42:ac:11:00:77", "--name=one"];
    let head = ["run", "--detach", "--stop-signal=KILL"];
    docker(&[&head[..], &health, &more, &[IMAGE, "sleep", "1d"]].concat())?;
    let seen: Value = serde_json::from_str(&docker(&["inspect", "one"])?)?;
    assert_eq!(seen[0]["Config"]["Healthcheck"]["StartInterval"], 3_000_000_000_i64);
    assert_eq!(seen[0]["HostConfig"]["Annotations"]["a"], "b");
    assert_eq!(seen[0]["NetworkSettings"]["Networks"]["bridge"]["MacAddress"], "02:42:ac:11:00:77");
    // 1.42: named volumes are pruned only when asked for.
    docker(&["volume", "create", "named"])?;
    docker(&["volume", "prune", "--force"])?;
    assert_eq!(docker(&["volume", "ls", "--quiet"])?.lines().count(), 2);
    docker(&["volume", "prune", "--force", "--all"])?;
    assert_eq!(docker(&["volume", "ls", "--quiet"])?, "");
    // The old client goes along, at its own version.
    let old = older(&pool, &["version", "--format", "{{.Client.APIVersion}}"]).ok()?;
    assert_eq!(old, OLD_API);
    assert_eq!(
        older(&pool, &["ps", "--format", "{{.Names}}"]).ok()?.rsplit('/').next(),
        Some("one")
    );
    assert_eq!(older(&pool, &["exec", "one", "echo", "hello"]).ok()?, "hello");
    let output = older(&pool, &["exec", "one", "sh", "-c", "exit 3"]).output()?;
    assert_eq!(output.status.code(), Some(3));
    Ok(())
}
