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

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
