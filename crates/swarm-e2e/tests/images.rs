//! Images over the pool, with the plain client: one row for what several engines have, archives
//! to and from all of them, and a private registry.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use swarm_e2e::{IMAGE, Lab, Pool, RegistryConfig, exclusive, run};

const NOTICED: Duration = Duration::from_secs(30);
const FORMAT: [&str; 2] = ["--format", "{{.Repository}}:{{.Tag}}"];

/// What `docker images` lists, the test image left out.
fn listed(pool: &Pool, more: &[&str]) -> Result<Vec<String>> {
    let out = pool.docker(&[&["images"], &FORMAT[..], more].concat()).ok()?;
    let mut names: Vec<String> = out.lines().map(str::to_owned).collect();
    names.retain(|name| name != IMAGE);
    names.sort();
    Ok(names)
}

/// The hosts that have an image of that name.
fn holders(lab: &Lab, name: &str) -> Vec<u8> {
    let has = |i: &u8| lab.sh(*i, &format!("docker image inspect {name}")).is_ok();
    (1..=3).filter(has).collect()
}

fn text(lab: &Lab, i: u8, script: &str) -> Result<String> {
    lab.sh(i, script)
}

#[test]
fn an_archive_is_loaded_on_all_engines_and_listed_as_one_image() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let tar = lab.image_archive("made:1", &["LABEL a=b"])?.display().to_string();
    pool.docker(&["rmi", "made:1"]).ok()?;
    assert_eq!(holders(&lab, "made:1"), [0_u8; 0]);

    let loaded = pool.docker(&["load", "--input", &tar]).ok()?;
    assert_eq!(loaded, "Loaded image: made:1", "into a pipe, as from one engine");
    assert_eq!(holders(&lab, "made:1"), [1, 2, 3]);
    assert_eq!(listed(&pool, &[])?, ["made:1"], "one row");
    assert_eq!(listed(&pool, &["--filter", "label=a=b", "--filter", "node=host-2"])?, ["made:1"]);
    assert_eq!(listed(&pool, &["--filter", "label=a=c"])?, [""; 0]);
    let id = pool.docker(&["image", "inspect", "--format", "{{.Id}}", "made:1"]).ok()?;
    assert_eq!(text(&lab, 3, "docker image inspect --format '{{.Id}}' made:1")?, id);

    pool.docker(&["tag", "made:1", "other/name:2"]).ok()?;
    assert_eq!(holders(&lab, "other/name:2"), [1, 2, 3]);
    assert!(pool.docker(&["history", "other/name:2"]).ok()?.contains("Imported from"));
    let copy = lab.dir().join("saved.tar").display().to_string();
    pool.docker(&["save", "--output", &copy, "other/name:2", IMAGE]).ok()?;
    let manifest = run(Command::new("tar").args(["-xOf", &copy, "manifest.json"]))?.stdout;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    assert_eq!(manifest.as_array().map(Vec::len), Some(2), "{manifest}");

    let removed = pool.docker(&["rmi", "made:1"]).ok()?;
    assert_eq!(removed, "Untagged: made:1", "once, and nothing deleted yet");
    assert_eq!(
        (holders(&lab, "made:1"), listed(&pool, &[])?),
        (vec![], vec!["other/name:2".into()])
    );
    pool.docker(&["rmi", &id]).ok()?;
    assert_eq!((holders(&lab, "other/name:2"), listed(&pool, &[])?), (vec![], vec![]));
    let gone = pool.docker(&["rmi", "made:1"]).fails()?;
    assert!(gone.contains("No such image: made:1"), "{gone}");
    let nothing = pool.docker(&["save", "--output", &copy, "made:1"]).fails()?;
    assert!(nothing.contains("made:1"), "{nothing}");
    Ok(())
}

#[test]
fn an_image_of_one_engine_is_found_there() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    text(&lab, 2, "docker tag busybox:latest alone:2")?;
    text(&lab, 2, "printf 'FROM busybox\\nLABEL only=here\\n' | docker build -t alone:1 -")?;
    let only = ["--filter", "reference=alone:1"];
    swarm_e2e::until(NOTICED, "the pool learns of it", || {
        Ok((listed(&pool, &only)? == ["alone:1"]).then_some(()))
    })?;
    assert_eq!(listed(&pool, &[&only[..], &["--filter", "node=host-1"]].concat())?, [""; 0]);
    assert_eq!(listed(&pool, &[&only[..], &["--filter", "node=host-2"]].concat())?, ["alone:1"]);
    let label = ["image", "inspect", "--format", "{{.Config.Labels.only}}", "alone:1"];
    assert_eq!(pool.docker(&label).ok()?, "here");
    for i in 0..3 {
        let name = format!("c{i}");
        let run = ["run", "-d", "--stop-signal=KILL", "--name", &name, "alone:1", "sleep", "1d"];
        pool.docker(&run).ok()?;
        assert_eq!(pool.node_of(&name)?, "host-2");
    }
    let used = pool.docker(&["rmi", "alone:1"]).fails()?;
    assert!(used.contains("container") && used.contains("alone:1"), "{used}");
    pool.docker(&["rm", "--force", "c0", "c1", "c2"]).ok()?;
    let pruned = ["image", "prune", "--all", "--force", "--filter", "label=only=here"];
    assert!(pool.docker(&pruned).ok()?.contains("alone:1"));
    assert_eq!(listed(&pool, &[])?, ["alone:2"]);
    Ok(())
}

#[test]
fn an_import_is_one_image_everywhere() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let folder = tempfile::tempdir()?;
    let tar = folder.path().join("root.tar").display().to_string();
    run(Command::new("tar").args(["-C", "/bin", "-cf", &tar, "busybox"]))?;
    let change = "CMD [\"/busybox\", \"echo\", \"imported\"]";
    let id = pool.docker(&["import", "--change", change, &tar, "fresh:1"]).ok()?;
    assert!(id.contains("sha256:"), "{id}");
    for i in 1..=3 {
        let own = text(&lab, i, "docker image inspect --format '{{.Id}}' fresh:1")?;
        assert!(id.contains(&own), "host {i}: {own}");
    }
    assert_eq!(listed(&pool, &[])?, ["fresh:1"]);
    assert_eq!(pool.docker(&["run", "--rm", "fresh:1"]).ok()?, "imported");
    Ok(())
}

#[test]
fn a_private_registry_takes_and_gives_images_and_its_password_stays_secret() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &["--debug"])?;
    let auth = Some(("ann".to_owned(), "hushed-word".to_owned()));
    let registry =
        lab.registry(&RegistryConfig { port: 5001, auth, ..RegistryConfig::default() })?;
    let name = format!("{}/team/box:1", registry.address);
    pool.docker(&["tag", IMAGE, &name]).ok()?;
    let denied = pool.docker(&["push", &name]).fails()?;
    assert!(denied.contains("no basic auth credentials"), "{denied}");
    let login = |password: &str| {
        let words = ["login", "--username", "ann", "--password-stdin", &registry.address];
        pool.client("docker").feed(&words, password.as_bytes())
    };
    let wrong = login("guessed-word").fails()?;
    assert!(wrong.contains("401") || wrong.contains("unauthorized"), "{wrong}");
    login("hushed-word").ok()?;

    assert!(pool.docker(&["push", &name]).ok()?.contains("digest: sha256:"));
    pool.docker(&["rmi", &name]).ok()?;
    let pulled = pool.docker(&["pull", &name]).ok()?;
    assert!(pulled.contains(&name), "{pulled}");
    assert_eq!(holders(&lab, &name), [1, 2, 3], "every engine pulled");
    // Also what is run without being there is fetched with the credentials.
    pool.docker(&["rmi", &name]).ok()?;
    assert_eq!(pool.docker(&["run", "--rm", &name, "echo", "fetched"]).ok()?, "fetched");
    let missing = pool.docker(&["pull", &format!("{}/team/none", registry.address)]).fails()?;
    assert!(missing.contains("not found") || missing.contains("manifest unknown"), "{missing}");

    let log = pool.manager().log();
    assert!(log.contains("/images/create"), "requests are logged: {log}");
    let encoded = ["aHVzaGVkLXdvcm", "h1c2hlZC13b3Jk", "odXNoZWQtd29yZ"];
    for secret in ["hushed-word", "guessed-word"].iter().chain(&encoded) {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    Ok(())
}

#[test]
fn a_pull_goes_on_without_the_engine_that_is_away() -> Result<()> {
    let lab = exclusive()?;
    let pool = Pool::start(&lab, &[])?;
    let registry = lab.registry(&RegistryConfig { port: 5002, ..RegistryConfig::default() })?;
    let name = format!("{}/box:1", registry.address);
    pool.docker(&["tag", IMAGE, &name]).ok()?;
    pool.docker(&["push", "--quiet", &name]).ok()?;
    pool.docker(&["rmi", &name]).ok()?;
    let seen = pool.manager().get(&format!("/distribution/{name}/json"))?;
    let digest = seen["Descriptor"]["digest"].as_str().unwrap_or_default();
    assert!(digest.starts_with("sha256:"), "{seen}");

    lab.cut(3, None)?;
    pool.manager().wait_healthy(2, NOTICED)?;
    pool.docker(&["pull", &name]).ok()?;
    assert_eq!(holders(&lab, &name), [1, 2]);
    let digests = ["image", "inspect", "--format", "{{index .RepoDigests 0}}", &name];
    assert!(pool.docker(&digests).ok()?.ends_with(digest));
    lab.heal(3, None)?;
    pool.manager().wait_healthy(3, NOTICED)?;
    // Where it is missing it is fetched when it is needed.
    let there = ["run", "--rm", "--env", "constraint:node==host-3", &name, "hostname"];
    pool.docker(&there).ok()?;
    assert_eq!(holders(&lab, &name), [1, 2, 3]);
    // Nobody can search without the world outside: the engine's words arrive.
    let search = pool.docker(&["search", "anything"]).fails()?;
    assert!(search.contains("index.docker.io"), "{search}");
    Ok(())
}
