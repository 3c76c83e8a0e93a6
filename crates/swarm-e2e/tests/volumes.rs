//! Volumes over the pool, with the plain client: made everywhere or on one node, refused while in
//! use, and brought with their options to engines that come late.

use std::time::Duration;

use anyhow::Result;
use swarm_e2e::{Pool, Scratch, exclusive};

const HEALTHY: Duration = Duration::from_mins(1);

/// What `docker volume ls` with more arguments lists, in order.
fn listed(pool: &Pool, more: &[&str]) -> Result<Vec<String>> {
    let out = pool.docker(&[&["volume", "ls", "--quiet"], more].concat()).ok()?;
    let mut names: Vec<String> = out.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

fn on(i: u8) -> String {
    format!("constraint:node==host-{i}")
}

#[test]
fn a_volume_of_the_pool_is_on_every_node_and_each_can_be_named() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let made = pool.docker(&["volume", "create", "--label", "tier=db", "data"]).ok()?;
    assert_eq!(made, "data");
    assert_eq!(listed(&pool, &[])?, ["host-1/data", "host-2/data", "host-3/data"]);
    assert_eq!(listed(&pool, &["--filter", "node=host-2"])?, ["host-2/data"]);
    assert_eq!(listed(&pool, &["--filter", "label=tier=db", "--filter", "name=data"])?.len(), 3);
    assert_eq!(listed(&pool, &["--filter", "label=tier=web"])?, [""; 0]);
    let inspect = |name: &str| {
        pool.docker(&["volume", "inspect", "--format", "{{.Name}} {{.Mountpoint}}", name]).ok()
    };
    assert!(inspect("data")?.starts_with("data /"));
    let second = inspect("host-2/data")?;
    assert!(second.starts_with("host-2/data /") && second.contains("/h2/"), "{second}");

    // Each engine has its own data under the one name.
    for i in [1, 2] {
        let write = format!("echo from {i} >/d/file");
        let run = ["run", "--rm", "--env", &on(i), "--volume", "data:/d", "busybox", "sh", "-c"];
        pool.docker(&[&run[..], &[&write]].concat()).ok()?;
    }
    let read = ["run", "--rm", "--volume", "host-2/data:/d:ro", "busybox", "cat", "/d/file"];
    assert_eq!(pool.docker(&read).ok()?, "from 2");
    Ok(())
}

#[test]
fn a_volume_in_use_on_one_engine_is_kept_on_all() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    pool.docker(&["volume", "create", "busy"]).ok()?;
    pool.docker(&["volume", "create", "idle"]).ok()?;
    pool.sleeper("user", &["--env", &on(2), "--volume", "busy:/d"]).ok()?;
    let refused = pool.docker(&["volume", "rm", "busy"]).fails()?;
    assert!(refused.contains("host-2") && refused.contains("user"), "{refused}");
    assert_eq!(listed(&pool, &["--filter", "name=busy"])?.len(), 3, "nothing was removed");
    assert_eq!(listed(&pool, &["--filter", "dangling=false"])?, ["host-2/busy"]);
    let users = ["ps", "--filter", "volume=busy", "--format", "{{.Names}}"];
    assert_eq!(pool.docker(&users).ok()?, "host-2/user");

    pool.docker(&["volume", "rm", "host-1/busy"]).ok()?;
    assert_eq!(listed(&pool, &["--filter", "name=busy"])?, ["host-2/busy", "host-3/busy"]);
    pool.docker(&["volume", "rm", "idle"]).ok()?;
    assert_eq!(listed(&pool, &["--filter", "name=idle"])?, [""; 0]);
    let pruned = pool.docker(&["volume", "prune", "--force"]).ok()?;
    assert!(pruned.contains("host-3/busy") && !pruned.contains("host-2/busy"), "{pruned}");
    pool.docker(&["rm", "--force", "user"]).ok()?;
    pool.docker(&["volume", "rm", "busy"]).ok()?;
    let gone = pool.docker(&["volume", "inspect", "busy"]).fails()?;
    assert!(gone.contains("no such volume"), "{gone}");
    assert_eq!(lab.sh(2, "docker volume ls --quiet")?, "");
    Ok(())
}

#[test]
fn a_volume_of_one_node_draws_its_containers_there() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    // The printed name is the one to mount by.
    let name = pool.docker(&["volume", "create", "host-3/only"]).ok()?;
    assert_eq!(name, "host-3/only");
    assert_eq!(listed(&pool, &[])?, ["host-3/only"]);
    for i in 0..2 {
        let (short, long) = (format!("short{i}"), format!("long{i}"));
        pool.sleeper(&short, &["--volume", &format!("{name}:/d")]).ok()?;
        pool.sleeper(&long, &["--mount", &format!("type=volume,src={name},dst=/d")]).ok()?;
        for container in [short, long] {
            assert_eq!(pool.node_of(&container)?, "host-3", "{container}");
        }
    }
    let source = "{{range .Mounts}}{{.Name}}{{end}}";
    assert_eq!(pool.docker(&["inspect", "--format", source, "long1"]).ok()?, "only");
    let apart = pool.sleeper("apart", &["--env", &on(1), "--volume", "host-3/only:/d"]).fails()?;
    assert!(apart.contains("node==host-3"), "{apart}");
    let unknown = pool.docker(&["volume", "create", "host-9/x1"]).fails()?;
    assert!(unknown.contains("host-9") && unknown.contains("host-1"), "{unknown}");
    let driver = pool.docker(&["volume", "create", "--driver", "nothing", "vol"]).fails()?;
    assert!(driver.contains("nothing") && driver.contains("not found"), "{driver}");
    Ok(())
}

#[test]
fn a_volumes_driver_options_reach_engines_that_come_late() -> Result<()> {
    let lab = Scratch::boot(3, |_| ())?;
    let list = lab.put("nodes", format!("{}:2375\n{}:2375\n", lab.ip(1), lab.ip(2)))?;
    let pool = Pool::launch(&lab, &[&format!("file://{}", list.display())])?;
    pool.manager().wait_healthy(2, HEALTHY)?;
    let tmpfs = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=3m"];
    let create = [&["volume", "create", "--label", "k=v"], &tmpfs[..], &["ram"]].concat();
    pool.docker(&create).ok()?;
    std::fs::write(&list, format!("{}:2375\n{}:2375\n{}:2375\n", lab.ip(1), lab.ip(2), lab.ip(3)))?;
    pool.manager().wait_healthy(3, HEALTHY)?;
    assert_eq!(lab.sh(3, "docker volume ls --quiet")?, "", "nobody needed it there yet");
    for (i, mount) in [(1, "ram:/d"), (3, "ram:/d")] {
        let df = ["--volume", mount, "busybox", "sh", "-c", "df -m /d | tail -n1"];
        let out = pool.docker(&[&["run", "--rm", "--env", &on(i)], &df[..]].concat()).ok()?;
        let words: Vec<_> = out.split_whitespace().collect();
        assert_eq!(words[..2], ["tmpfs", "3"], "host {i}: {out}");
    }
    let label = lab.sh(3, "docker volume inspect --format '{{.Labels.k}}' ram")?;
    assert_eq!(label, "v");

    // One that was away is no different, also through --mount.
    lab.cut(2, None)?;
    pool.manager().wait_healthy(2, HEALTHY)?;
    pool.docker(&["volume", "create", "--label", "made=away", "other"]).ok()?;
    lab.heal(2, None)?;
    pool.manager().wait_healthy(3, HEALTHY)?;
    let mount = ["--mount", "type=volume,src=other,dst=/d", "busybox", "true"];
    pool.docker(&[&["run", "--rm", "--env", &on(2)], &mount[..]].concat()).ok()?;
    assert_eq!(listed(&pool, &["--filter", "label=made=away"])?.len(), 3);
    Ok(())
}
