//! Managed plugins over the pool, with the plain client: made or installed on every engine, or on
//! one by the name `node/plugin`.

use std::fs;

use anyhow::Result;
use swarm_e2e::{Pool, RegistryConfig, exclusive};
use tempfile::TempDir;

/// A plugin that does nothing: it is never enabled. Engines of 20.10 refuse two of one content.
fn plugin(description: &str) -> Result<TempDir> {
    const CONFIG: &str = r#"{
        "description": "nothing", "documentation": "none", "entrypoint": ["/bin/none"],
        "interface": { "types": ["docker.logdriver/1.0"], "socket": "none.sock" },
        "network": { "type": "none" }, "linux": { "capabilities": null },
        "env": [{ "name": "WORD", "description": "any", "settable": ["value"], "value": "one" }]
    }"#;
    let folder = tempfile::tempdir()?;
    fs::create_dir_all(folder.path().join("rootfs/bin"))?;
    fs::write(folder.path().join("rootfs/bin/none"), description)?;
    let config = CONFIG.replace("nothing", description);
    fs::write(folder.path().join("config.json"), config)?;
    Ok(folder)
}

/// What `docker plugin ls` lists, in order.
fn listed(pool: &Pool) -> Result<Vec<String>> {
    let out = pool.docker(&["plugin", "ls", "--format", "{{.Name}} {{.Enabled}}"]).ok()?;
    let mut names: Vec<String> = out.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

#[test]
fn a_plugin_is_made_set_and_removed_on_all_engines_or_on_one() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    for name in ["demo/all:1", "host-2/demo/one"] {
        let folder = plugin(name)?;
        pool.docker(&["plugin", "create", name, &folder.path().display().to_string()]).ok()?;
    }
    let all = ["host-1", "host-2", "host-3"].map(|node| format!("{node}/demo/all:1 false"));
    let one = "host-2/demo/one:latest false".to_owned();
    assert_eq!(listed(&pool)?, [&all[..2], std::slice::from_ref(&one), &all[2..]].concat());
    assert!(!lab.sh(1, "docker plugin ls")?.contains("demo/one"));

    pool.docker(&["plugin", "set", "demo/all:1", "WORD=two"]).ok()?;
    pool.docker(&["plugin", "set", "host-3/demo/all:1", "WORD=three"]).ok()?;
    for (i, word) in [(1, "two"), (2, "two"), (3, "three")] {
        let name = format!("host-{i}/demo/all:1");
        let seen = ["plugin", "inspect", "--format", "{{.Settings.Env}}", &name];
        assert_eq!(pool.docker(&seen).ok()?, format!("[WORD={word}]"), "{name}");
    }
    pool.docker(&["plugin", "rm", "host-1/demo/all:1"]).ok()?;
    assert_eq!(listed(&pool)?, [all[1].clone(), one, all[2].clone()]);
    pool.docker(&["plugin", "rm", "demo/all:1", "demo/one"]).ok()?;
    assert_eq!(listed(&pool)?, [""; 0]);
    for verb in ["rm", "enable", "inspect"] {
        let gone = pool.docker(&["plugin", verb, "demo/all:1"]).fails()?;
        assert!(gone.contains("not found"), "{verb}: {gone}");
    }
    Ok(())
}

#[test]
fn a_plugin_is_installed_from_a_registry_on_all_engines() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &["--debug"])?;
    let auth = Some(("ann".to_owned(), "hushed-word".to_owned()));
    let registry =
        lab.registry(&RegistryConfig { port: 5003, auth, ..RegistryConfig::default() })?;
    let words = ["login", "--username", "ann", "--password-stdin", &registry.address];
    pool.client("docker").feed(&words, b"hushed-word").ok()?;
    let name = format!("{}/demo/far:1", registry.address);
    let folder = plugin("far")?;
    pool.docker(&["plugin", "create", &name, &folder.path().display().to_string()]).ok()?;
    pool.docker(&["plugin", "push", &name]).ok()?;
    pool.docker(&["plugin", "rm", &name]).ok()?;
    assert_eq!(listed(&pool)?, [""; 0]);
    let install = ["plugin", "install", "--grant-all-permissions", "--disable", &name];
    pool.docker(&install).ok()?;
    let all = [1, 2, 3].map(|i| format!("host-{i}/{name} false"));
    assert_eq!(listed(&pool)?, all);
    pool.docker(&["plugin", "rm", &name]).ok()?;
    assert_eq!(listed(&pool)?, [""; 0]);
    assert!(!pool.manager().log().contains("hushed-word"));
    Ok(())
}
