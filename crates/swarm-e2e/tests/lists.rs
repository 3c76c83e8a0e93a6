//! Lists of containers through the plain client: every filter, the order, limits and sizes.

use std::collections::BTreeSet;

use anyhow::Result;
use swarm_e2e::{IMAGE, Pool, exclusive};

fn names(pool: &Pool, arguments: &[&str]) -> Result<BTreeSet<String>> {
    let listed = pool.docker(&[&["ps", "--format", "{{.Names}}"], arguments].concat()).ok()?;
    let own = |line: &str| line.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(listed.lines().map(own).collect())
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn lists_take_every_filter_sort_and_limit_over_all_engines() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let on = |i: u8| format!("constraint:node==host-{i}");
    pool.sleeper("app", &["-e", &on(1), "--label", "tier=front"]).ok()?;
    pool.sleeper("bee", &["-e", &on(2), "--label", "tier=back", "--publish", "8080:80"]).ok()?;
    let fail =
        ["run", "--name", "cow", "-e", &on(3), "-v", "vol:/data", IMAGE, "sh", "-c", "exit 3"];
    pool.docker(&fail).fails()?;
    pool.docker(&["commit", "app", "child:1"]).ok()?;
    let beside = format!("constraint:node=={}", pool.node_of("app")?);
    pool.docker(&["create", "--name", "dog", "-e", &beside, "child:1"]).ok()?;
    for (filter, found) in [
        ("name=app", &["app"][..]),
        ("name=^bee$", &["bee"]),
        ("label=tier", &["app", "bee", "dog"]),
        ("label=tier=back", &["bee"]),
        ("status=running", &["app", "bee"]),
        ("status=created", &["dog"]),
        ("exited=3", &["cow"]),
        ("exited=0", &[]),
        ("node=host-1", &["app", "dog"]),
        ("node=host-3", &["cow"]),
        ("ancestor=busybox", &["app", "bee", "cow", "dog"]),
        ("ancestor=child:1", &["dog"]),
        ("before=cow", &["app", "bee"]),
        ("since=bee", &["cow", "dog"]),
        ("volume=vol", &["cow"]),
        ("volume=/data", &["cow"]),
        ("network=bridge", &["app", "bee", "cow", "dog"]),
        ("network=none", &[]),
        ("publish=8080", &["bee"]),
        ("expose=80/tcp", &["bee"]),
        ("health=none", &["app", "bee", "cow", "dog"]),
        ("is-task=false", &["app", "bee", "cow", "dog"]),
    ] {
        assert_eq!(names(&pool, &["--all", "--filter", filter])?, set(found), "{filter}");
    }
    let both = names(&pool, &["--all", "--filter", "label=tier", "--filter", "node=host-2"])?;
    assert_eq!(both, set(&["bee"]));
    let ordered = |more: &[&str]| -> Result<Vec<String>> {
        let listed = pool.docker(&[&["ps", "--format", "{{.Names}}"], more].concat()).ok()?;
        Ok(listed.lines().map(str::to_owned).collect())
    };
    assert_eq!(ordered(&["--all"])?, ["host-1/dog", "host-3/cow", "host-2/bee", "host-1/app"]);
    assert_eq!(ordered(&["--last", "2"])?, ["host-1/dog", "host-3/cow"]);
    assert_eq!(ordered(&["--latest"])?, ["host-1/dog"]);
    assert_eq!(ordered(&["--last", "1", "--filter", "label=tier=back"])?, ["host-2/bee"]);
    pool.docker(&["exec", "app", "sh", "-c", "head -c 5000 /dev/zero >/filler"]).ok()?;
    let sized = pool
        .docker(&["ps", "--size", "--filter", "name=app", "--format", "{{.Names}} {{.Size}}"])
        .ok()?;
    assert!(sized.starts_with("host-1/app 5kB (virtual "), "{sized}");
    Ok(())
}
