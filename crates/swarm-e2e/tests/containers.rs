//! Containers through the plain client: their whole life, their names, and the lists of them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use swarm_e2e::{IMAGE, Pool, exclusive, until};

const SOON: Duration = Duration::from_secs(30);

fn names(pool: &Pool, arguments: &[&str]) -> Result<BTreeSet<String>> {
    let listed = pool.docker(&[&["ps", "--format", "{{.Names}}"], arguments].concat()).ok()?;
    let own = |line: &str| line.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(listed.lines().map(own).collect())
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn shown(pool: &Pool, name: &str, format: &str) -> Result<String> {
    pool.docker(&["inspect", "--format", format, name]).ok()
}

#[test]
fn a_container_lives_its_whole_life_through_the_pool() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let docker = |arguments: &[&str]| pool.docker(arguments).ok();
    let script = "trap 'exit 7' TERM; echo born; echo wrong >&2; touch /made; \
                  while :; do sleep 0.1; done";
    let id = docker(&["create", "--name", "life", IMAGE, "sh", "-c", script])?;
    assert_eq!(id.len(), 64);
    let status = || shown(&pool, "life", "{{.State.Status}}");
    assert_eq!(status()?, "created");
    assert_eq!(names(&pool, &[])?, set(&[]), "a created one is shown with --all only");
    docker(&["start", "life"])?;
    assert_eq!(names(&pool, &[])?, set(&["life"]));
    until(SOON, "it is born", || Ok(docker(&["logs", "life"])?.contains("born").then_some(())))?;
    let logs = pool.docker(&["logs", "life"]).output()?;
    assert_eq!(
        (&*logs.stdout, &*logs.stderr),
        (&b"born\n"[..], &b"wrong\n"[..]),
        "streams are kept apart"
    );
    assert!(docker(&["top", "life"])?.contains("while :;"));
    until(SOON, "the change shows", || {
        Ok((docker(&["diff", "life"])?.contains("A /made")).then_some(()))
    })?;
    let stats = docker(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "life"])?;
    assert!(stats.starts_with("life ") && !stats.ends_with(" 0"), "{stats}");
    docker(&["pause", "life"])?;
    assert!(docker(&["ps", "--format", "{{.Status}}"])?.contains("(Paused)"));
    docker(&["unpause", "life"])?;
    assert!(!docker(&["ps", "--format", "{{.Status}}"])?.contains("(Paused)"));
    docker(&["update", "--memory", "64m", "--memory-swap", "128m", "life"])?;
    assert_eq!(shown(&pool, "life", "{{.HostConfig.Memory}}")?, (64 << 20).to_string());
    docker(&["rename", "life", "second"])?;
    assert_eq!(names(&pool, &[])?, set(&["second"]));
    assert!(pool.docker(&["port", "life"]).fails()?.contains("No such container: life"));
    let before = shown(&pool, "second", "{{.State.StartedAt}}")?;
    docker(&["restart", "second"])?;
    assert_ne!(shown(&pool, "second", "{{.State.StartedAt}}")?, before);
    until(SOON, "its trap is set", || {
        Ok((docker(&["logs", "second"])?.matches("born").count() == 2).then_some(()))
    })?;
    docker(&["stop", "second"])?;
    assert_eq!(docker(&["wait", "second"])?, "7");
    let listed = docker(&["ps", "--all", "--format", "{{.Status}}"])?;
    assert!(listed.starts_with("Exited (7)"), "{listed}");
    docker(&["start", "second"])?;
    docker(&["kill", "--signal", "KILL", "second"])?;
    assert_eq!(docker(&["wait", "second"])?, "137");
    assert!(pool.docker(&["kill", "second"]).fails()?.contains("is not running"));
    docker(&["start", "second"])?;
    assert!(pool.docker(&["rm", "second"]).fails()?.contains("running container"));
    docker(&["rm", "--force", "second"])?;
    assert_eq!(names(&pool, &["--all"])?, set(&[]));
    Ok(())
}

#[test]
fn a_name_is_given_once_over_the_whole_pool() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let run = || pool.docker(&["run", "--detach", "--name", "same", IMAGE, "true"]).output();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut winners = 0;
    for output in outcomes {
        let output = output?;
        winners += u8::from(output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        let conflict = error.contains("Conflict") && error.contains("\"/same\" is already in use");
        assert!(output.status.success() || conflict, "{error}");
    }
    assert_eq!(winners, 1);
    assert_eq!(pool.docker(&["ps", "--all", "--quiet"]).ok()?.lines().count(), 1);
    let refused =
        pool.ask("POST", "/containers/create?name=same", &format!(r#"{{"Image":"{IMAGE}"}}"#))?;
    assert_eq!(refused.status, 409, "{}", refused.text());

    pool.docker(&["create", "--name", "other", IMAGE]).ok()?;
    assert!(pool.docker(&["rename", "other", "same"]).fails()?.contains("already in use"));
    assert!(
        pool.docker(&["rename", "other", "other"]).fails()?.contains("same name as its current")
    );
    pool.docker(&["rename", "other", "third"]).ok()?;
    for name in ["other", "same"] {
        let _ = pool.docker(&["rm", "--force", name]);
        pool.docker(&["create", "--name", name, IMAGE]).ok()?;
    }
    assert_eq!(names(&pool, &["--all"])?, set(&["other", "same", "third"]));
    Ok(())
}

#[test]
fn a_container_is_found_by_id_prefix_name_and_node() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let id = pool.sleeper("web", &[]).ok()?;
    let node = pool.node_of("web")?;
    for name in [&id, &id[..12], "web", "/web", &format!("{node}/web")] {
        assert_eq!(shown(&pool, name, "{{.Id}}")?, id, "by {name}");
    }
    let others = ["host-1", "host-2", "host-3"].into_iter().filter(|other| *other != node);
    for other in others {
        assert_eq!(pool.ask("GET", &format!("/containers/{other}/web/json"), "")?.status, 404);
    }
    // Two of seventeen ids share their first digit.
    let mut ids = vec![id];
    let shared = loop {
        let next = pool.docker(&["create", IMAGE]).ok()?;
        if ids.iter().any(|id| id[..1] == next[..1]) {
            break next[..1].to_owned();
        }
        ids.push(next);
    };
    for (method, action) in [("GET", "/json"), ("POST", "/stop"), ("DELETE", "")] {
        let answer = pool.ask(method, &format!("/containers/{shared}{action}"), "")?;
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert!(answer.message().contains(&shared), "{}", answer.text());
    }
    let missing = pool.ask("GET", "/containers/nobody/json", "")?;
    assert_eq!((missing.status, missing.message().as_str()), (404, "No such container: nobody"));
    Ok(())
}

#[test]
fn published_ports_and_inspection_show_the_node() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let publish =
        ["--publish", "8080:80", "--publish", "127.0.0.1:9090:90", "-e", "constraint:node==host-2"];
    pool.sleeper("web", &publish).ok()?;
    let ip = lab.ip(2);
    let ports = pool.docker(&["ps", "--format", "{{.Ports}}"]).ok()?;
    assert!(ports.contains(&format!("{ip}:8080->80/tcp")), "{ports}");
    assert!(ports.contains("127.0.0.1:9090->90/tcp") && !ports.contains("0.0.0.0"), "{ports}");
    let port = pool.docker(&["port", "web", "80"]).ok()?;
    assert!(
        port.lines().any(|line| line == format!("{ip}:8080")) && !port.contains("0.0.0.0"),
        "{port}"
    );
    let node = &pool.manager().get("/containers/web/json")?["Node"];
    let engine = lab.sh(2, "docker info --format '{{.ID}} {{.NCPU}} {{.MemTotal}}'")?;
    let [id, cpus, memory] = engine.split(' ').collect::<Vec<_>>()[..] else { panic!("{engine}") };
    assert_eq!(node["ID"], id);
    assert_eq!(node["Name"], "host-2");
    assert_eq!(node["IP"], ip);
    assert_eq!(node["Addr"], format!("{ip}:2375"));
    assert_eq!(node["Cpus"].to_string(), cpus);
    assert_eq!(node["Memory"].to_string(), memory);
    assert!(node["Labels"]["storagedriver"].is_string(), "{node}");
    Ok(())
}

#[test]
fn what_happens_beside_the_manager_is_seen_at_once() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let id =
        lab.sh(3, &format!("docker run -d --stop-signal KILL --name stray {IMAGE} sleep 1d"))?;
    assert_eq!(shown(&pool, "stray", "{{.Id}} {{.State.Status}}")?, format!("{id} running"));
    assert_eq!(names(&pool, &[])?, set(&["stray"]));
    let taken = pool.docker(&["create", "--name", "stray", IMAGE]).fails()?;
    assert!(taken.contains("already in use"), "{taken}");
    lab.sh(3, "docker stop stray && docker rename stray lost")?;
    let listed = || pool.docker(&["ps", "--all", "--format", "{{.Names}} {{.Status}}"]).ok();
    until(SOON, "the change shows", || {
        Ok(listed()?.starts_with("host-3/lost Exited").then_some(()))
    })?;
    lab.sh(3, "docker rm lost")?;
    until(SOON, "its end shows", || Ok(listed()?.is_empty().then_some(())))
}

#[test]
fn commit_and_export_take_what_is_on_the_containers_node() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    pool.docker(&[
        "run",
        "--name",
        "src",
        "-e",
        "constraint:node==host-3",
        IMAGE,
        "sh",
        "-c",
        "echo kept >/kept",
    ])
    .ok()?;
    let change = [
        "commit",
        "--author",
        "me",
        "--message",
        "why",
        "--change",
        "CMD cat /kept",
        "src",
        "made:2",
    ];
    assert!(pool.docker(&change).ok()?.starts_with("sha256:"));
    let made = "docker image inspect --format '{{.Author}} {{.Comment}}' made:2";
    assert_eq!(lab.sh(3, made)?, "me why");
    assert_eq!(pool.docker(&["run", "--rm", "made:2"]).ok()?, "kept");
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().display().to_string();
    pool.docker(&["export", "--output", &path, "src"]).ok()?;
    let listed = swarm_e2e::run(std::process::Command::new("tar").args(["-tf", &path]))?;
    assert!(String::from_utf8_lossy(&listed.stdout).lines().any(|line| line == "kept"));
    Ok(())
}

#[test]
fn prune_removes_what_stopped_on_every_engine_and_nothing_else() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    for i in 1..=3 {
        let on = format!("constraint:node==host-{i}");
        pool.sleeper(&format!("up-{i}"), &["-e", &on]).ok()?;
        for kind in ["old", "kept"] {
            let (name, label) = (format!("{kind}-{i}"), format!("kind={kind}"));
            pool.docker(&["create", "--name", &name, "--label", &label, "-e", &on, IMAGE]).ok()?;
        }
    }
    let pruned =
        pool.docker(&["container", "prune", "--force", "--filter", "label=kind=old"]).ok()?;
    assert_eq!(pruned.lines().filter(|line| line.len() == 64).count(), 3, "{pruned}");
    assert_eq!(
        names(&pool, &["--all"])?,
        set(&["up-1", "up-2", "up-3", "kept-1", "kept-2", "kept-3"])
    );
    pool.docker(&["container", "prune", "--force"]).ok()?;
    assert_eq!(names(&pool, &["--all"])?, set(&["up-1", "up-2", "up-3"]));
    Ok(())
}
