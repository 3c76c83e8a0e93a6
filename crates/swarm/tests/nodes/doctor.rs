//! `swarm doctor` on this machine, over simulated engines.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_and_a_pool_are_looked_at() {
    let rig = Rig::of(2).await;
    let engine = format!("tcp://{}", rig.fleet.addresses()[0]);
    let look = rig.swarm(&["doctor", "--engine", &engine, "-H", &rig.address, "--json"]).await;
    let verdict: Value = serde_json::from_slice(&look.stdout).unwrap();
    // What this machine's kernel lacks is its own business; the engine and the pool are well.
    let facts: Vec<_> = verdict["Facts"].as_array().unwrap().iter().map(text).collect();
    for words in [
        "engine 20.10.24 at",
        "of memory, storage",
        "this machine reaches 2 of 2 nodes",
        "the manager reaches this machine's engine, engine-",
        "engines are of version 20.10.24",
    ] {
        assert!(facts.iter().any(|fact| fact.contains(words)), "{words} is not in {facts:?}");
    }
    let findings = verdict["Findings"].to_string();
    for words in ["the engine at", "does not reach", "node engine-"] {
        assert!(!findings.contains(words), "{findings}");
    }
    rig.fleet.engines()[1].stop();
    rig.until("one is down", |output| stdout(output).contains(" down ")).await;
    let look = rig.swarm(&["doctor", "--engine", &engine, "-H", &rig.address]).await;
    assert!(matches!(code(&look), Some(1 | 2)), "{look:?}");
    let words = stdout(&look);
    assert!(words.contains("is down: "), "{words}");
    assert!(words.contains("ok: this machine reaches 1 of 2 nodes"), "{words}");
    // The manager has told of it; it is not told twice.
    assert!(!words.contains("this machine does not reach"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_answer_is_critical_and_has_a_remedy() {
    let rig = Rig::of(1).await;
    for (engine, words) in [
        ("unix:///nowhere/docker.sock", "    install Docker, or name its socket with --engine\n"),
        ("tcp://127.0.0.1:1", "    start it: systemctl start docker\n"),
    ] {
        let look = rig.swarm(&["doctor", "--engine", engine]).await;
        assert_eq!(code(&look), Some(2), "{look:?}");
        let said = stdout(&look);
        assert!(said.starts_with("critical: this machine as a node of a pool\n"), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let look = rig.swarm(&["doctor", "--engine", "ftp://x"]).await;
    assert_eq!(code(&look), Some(2));
    assert!(stderr(&look).contains("--engine"), "{look:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_has_what_helps_and_no_secret() {
    let rig = Rig::of(1).await;
    let secret = json!({"Image": "busybox", "Env": ["KEY=hunter2"], "Cmd": ["hunter2"],
                        "Labels": {"key": "hunter2"}});
    rig.run("seen", secret).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.tar.gz");
    let file = file.to_str().unwrap();
    let made = rig.swarm(&["support-bundle", file]).await;
    assert_eq!(code(&made), Some(0), "{made:?}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let read = flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap());
    let mut archive = tar::Archive::new(read);
    let mut parts = std::collections::BTreeMap::new();
    for part in archive.entries().unwrap() {
        let mut part = part.unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut part, &mut text).unwrap();
        parts.insert(part.path().unwrap().display().to_string(), text);
    }
    for (part, words) in [
        ("README.txt", "journalctl"),
        ("doctor.json", "\"Findings\""),
        ("version.json", "\"ApiVersion\""),
        ("info.json", "\"Nodes\""),
        ("nodes.json", "engine-0000"),
        ("containers.json", "/seen"),
        ("events.jsonl", "\"name\":\"seen\""),
    ] {
        let text = &parts[&format!("swarm-support/{part}")];
        assert!(text.contains(words), "{words} is not in {part}: {text}");
        assert!(!text.contains("hunter2"), "{part}: {text}");
    }
    // What is there already is not lost.
    let again = rig.swarm(&["support-bundle", file]).await;
    assert_eq!(code(&again), Some(1), "{again:?}");
    assert!(stderr(&again).contains("cannot make "), "{again:?}");
    // Without a manager the bundle says so, and tells of the machine.
    let alone = rig.swarm(&["support-bundle", "-", "-H", "tcp://127.0.0.1:1"]).await;
    assert_eq!(code(&alone), Some(3), "{alone:?}");
    let told = stderr(&alone);
    assert!(
        told.contains("no manager can be asked; missing are version.json, info.json"),
        "{told}"
    );
    assert!(
        told.contains("events.jsonl: not there: cannot reach the manager at tcp://127"),
        "{told}"
    );
    assert_eq!(alone.stdout[..2], [0x1f, 0x8b]);
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
