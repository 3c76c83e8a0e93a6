//! Builds over the pool: the classic builder, BuildKit in the old client and in buildx, and Compose;
//! each on one engine; then what builds leave, cleared and counted.

use std::fs;

use anyhow::Result;
use serde_json::Value;
use swarm_e2e::{Client, Lab, Pool, exclusive};
use tempfile::TempDir;

const DOCKERFILE: &str = "FROM busybox:latest\n\
    ARG WORD=none\n\
    COPY file /file\n\
    RUN echo \"$WORD\" >/word\n\
    LABEL kept=yes\n\
    CMD [\"cat\", \"/file\", \"/word\"]\n";

fn context(dockerfile: &str) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("Dockerfile"), dockerfile)?;
    fs::write(folder.path().join("file"), "from the context\n")?;
    Ok(folder)
}

/// The machine's own client of 20.10, with its own BuildKit client or without.
fn old_client(pool: &Pool, buildkit: &str) -> Client {
    pool.client("/usr/bin/docker").env("DOCKER_BUILDKIT", buildkit)
}

fn holders(lab: &Lab, name: &str) -> Vec<u8> {
    let has = |i: &u8| lab.sh(*i, &format!("docker image inspect {name}")).is_ok();
    (1..=3).filter(has).collect()
}

fn path(folder: &TempDir) -> String {
    folder.path().display().to_string()
}

#[test]
fn both_builders_build_where_a_build_arg_says() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let kept = context(DOCKERFILE)?;
    let folder = path(&kept);
    for (buildkit, name) in [("0", "classic:1"), ("1", "buildkit:1")] {
        let client = old_client(&pool, buildkit);
        for i in [3, 2] {
            let node = format!("constraint:node==host-{i}");
            let args = ["--build-arg", &node, "--build-arg", "WORD=built", "--label", "mine=too"];
            let build = [&["build", "--no-cache", "--tag", name], &args[..], &[&folder]].concat();
            client.run(&build).ok()?;
            assert_eq!(holders(&lab, name), [i], "{name}");
            assert_eq!(pool.docker(&["run", "--rm", name]).ok()?, "from the context\nbuilt");
            let labels = ["image", "inspect", "--format", "{{json .Config.Labels}}", name];
            let labels: Value = serde_json::from_str(&pool.docker(&labels).ok()?)?;
            assert!(labels["kept"] == "yes" && labels["mine"] == "too", "{labels}");
            pool.docker(&["rmi", name]).ok()?;
        }
        let nowhere = ["build", "--build-arg", "constraint:node==host-9", &folder];
        let refused = client.run(&nowhere).fails()?;
        assert!(refused.contains("node==host-9"), "{name}: {refused}");
    }
    Ok(())
}

#[test]
fn a_failing_step_fails_the_build_in_the_builders_words() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let failing = context("FROM busybox:latest\nRUN echo so far; exit 7\n")?;
    let broken = path(&failing);
    let unreadable = context("FROM busybox:latest\nNONSENSE\n")?;
    let wrong = path(&unreadable);
    for buildkit in ["0", "1"] {
        let client = old_client(&pool, buildkit);
        let said = client.run(&["build", &broken]).fails()?;
        assert!(said.contains('7'), "{said}");
        let said = client.run(&["build", &wrong]).fails()?;
        assert!(said.contains("NONSENSE"), "{said}");
    }
    Ok(())
}

#[test]
fn buildkit_sessions_carry_secrets_and_contexts_to_one_engine() -> Result<()> {
    const SECRET: &str = "FROM busybox:latest\n\
        COPY file /file\n\
        RUN --mount=type=secret,id=word cp /run/secrets/word /seen\n";
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let folder = context(SECRET)?;
    fs::write(folder.path().join("word"), "whispered")?;
    let secret = format!("id=word,src={}/word", path(&folder));
    let build = ["build", "--no-cache", "--secret", &secret, "--tag"];
    // Each may land anywhere; several, so that a session led astray is not lucky each time.
    for round in 0..3 {
        let (old, new) = (format!("old:{round}"), format!("new:{round}"));
        old_client(&pool, "1").run(&[&build[..], &[&old, &path(&folder)]].concat()).ok()?;
        pool.newer_docker(&[&build[..], &[&new, &path(&folder)]].concat())?.ok()?;
        for name in [&old, &new] {
            assert_eq!(pool.docker(&["run", "--rm", name, "cat", "/seen"]).ok()?, "whispered");
            assert_eq!(holders(&lab, name).len(), 1, "{name}");
        }
    }
    assert!(!pool.manager().log().contains("whispered"));
    Ok(())
}

#[test]
fn compose_builds_what_it_runs() -> Result<()> {
    const FILE: &str = "services:\n  made:\n    build: .\n    stop_signal: SIGKILL\n    \
                        command: [sleep, 1d]\n    network_mode: bridge\n";
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    for generation in [1, 2] {
        let folder = context(DOCKERFILE)?;
        let file = if generation == 1 { format!("version: '2.4'\n{FILE}") } else { FILE.into() };
        fs::write(folder.path().join("compose.yml"), file)?;
        let compose = |arguments: &[&str]| match generation {
            1 => pool.compose_v1(folder.path(), arguments).ok(),
            _ => pool.compose_v2(folder.path(), arguments)?.ok(),
        };
        compose(&["up", "--detach", "--build"])?;
        assert_eq!(compose(&["exec", "-T", "made", "cat", "/file"])?, "from the context");
        compose(&["down", "--rmi", "local"])?;
        assert_eq!(pool.docker(&["ps", "--all", "--quiet"]).ok()?, "", "v{generation}");
    }
    Ok(())
}

#[test]
fn what_builds_leave_is_counted_and_cleared_on_all_engines() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let kept = context(DOCKERFILE)?;
    let folder = path(&kept);
    for i in 1..=3 {
        let node = format!("constraint:node==host-{i}");
        let name = format!("left:{i}");
        let args = ["build", "--no-cache", "--build-arg", &node, "--tag", &name, &folder];
        old_client(&pool, "1").run(&args).ok()?;
    }
    pool.sleeper("resting", &["--volume", "kept:/d"]).ok()?;
    let usage = pool.manager().get("/v1.41/system/df")?;
    let count = |key: &str| usage[key].as_array().map_or(0, Vec::len);
    assert_eq!((count("Images"), count("Containers"), count("Volumes")), (4, 1, 1), "{usage}");
    assert!(count("BuildCache") >= 3, "each engine's: {usage}");
    let table = pool.docker(&["system", "df"]).ok()?;
    assert!(table.contains("Build Cache") && table.contains("Local Volumes"), "{table}");
    let node = pool.node_of("resting")?;
    let long = pool.docker(&["system", "df", "--verbose"]).ok()?;
    assert!(long.contains(&format!("{node}/kept")) && long.contains("resting"), "{long}");

    // The newer client's buildx would speak to one engine's BuildKit alone.
    let cleared = old_client(&pool, "1").run(&["builder", "prune", "--all", "--force"]).ok()?;
    assert!(cleared.contains("Total"), "{cleared}");
    let usage = pool.manager().get("/v1.41/system/df")?;
    assert_eq!(usage["BuildCache"].as_array().map_or(0, Vec::len), 0, "{usage}");
    Ok(())
}
