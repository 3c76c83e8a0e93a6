//! Secrets and configs.

use serde_json::{Value, json};
use swarm_backend::{Configs as _, Secrets as _};

use super::{Rig, ask, filtered, read, refused};

/// `docker secret create` and `docker config create` send this (CLI 28.2).
const KEY: &str = r#"{"Name":"key","Labels":{},"Data":"aGkK"}"#;

#[tokio::test]
async fn a_secret_s_bytes_are_shown_to_nobody_and_a_config_s_to_all() {
    let rig = Rig::new();
    let secret = read(rig.control.create_secret(ask("", KEY)).await).await;
    let config = read(rig.control.create_config(ask("", KEY)).await).await;
    let shown = read(rig.control.inspect_secret("key", ask("", "")).await).await;
    assert_eq!(shown["ID"], secret["ID"]);
    assert_eq!(shown["Spec"], json!({ "Name": "key", "Labels": {} }));
    let list = read(rig.control.list_secrets(ask("", "")).await).await;
    assert_eq!(list, json!([shown]));
    let shown = read(rig.control.inspect_config("key", ask("", "")).await).await;
    assert_eq!((&shown["ID"], &shown["Spec"]["Data"]), (&config["ID"], &json!("aGkK")));
    assert_eq!(read(rig.control.list_configs(ask("", "")).await).await, json!([shown]));
}

#[tokio::test]
async fn what_is_wrong_with_a_secret_is_said_in_docker_s_words_and_without_it() {
    let rig = Rig::new();
    read(rig.control.create_secret(ask("", KEY)).await).await;
    let long = "a".repeat(65);
    let name = "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end \
        character must be [a-zA-Z0-9]";
    let large = "QUFB".repeat(512_000 / 3 + 1);
    let size = "secret data must be larger than 0 and less than 512000 bytes";
    for (body, status, words) in [
        (json!({ "Name": "key", "Data": "aGkK" }), 409, "secret key already exists"),
        (json!({ "Data": "aGkK" }), 400, "name must be provided"),
        (json!({ "Name": long, "Data": "aGkK" }), 400, name),
        (json!({ "Name": "-a", "Data": "aGkK" }), 400, name),
        (json!({ "Name": "a/b", "Data": "aGkK" }), 400, name),
        (json!({ "Name": "a" }), 400, size),
        (json!({ "Name": "a", "Data": large }), 400, size),
        (
            json!({ "Name": "a", "Data": "hunter2!" }),
            400,
            "invalid JSON: the data of secret a is not base64",
        ),
        (json!({ "Name": "a", "Driver": {} }), 400, "secret driver must have a name"),
        (
            json!({ "Name": "a", "Driver": { "Name": "vault" }, "Data": "aGkK" }),
            400,
            "secret a: when using a secret driver, the secret data must be empty",
        ),
    ] {
        let refused = refused(rig.control.create_secret(ask("", body.to_string())).await);
        assert_eq!(refused, (status, words.to_owned()));
    }
    let missing = refused(rig.control.inspect_secret("nope", ask("", "")).await);
    assert_eq!(missing, (404, "secret nope not found".to_owned()));
    let driven =
        json!({ "Name": "driven", "Driver": { "Name": "vault", "Options": { "a": "b" } } });
    read(rig.control.create_secret(ask("", driven.to_string())).await).await;
    let shown = read(rig.control.inspect_secret("driven", ask("", "")).await).await;
    assert_eq!(shown["Spec"]["Driver"], driven["Driver"]);
    let config = refused(rig.control.create_config(ask("", driven.to_string())).await);
    assert_eq!(config, (400, "config driven: only secrets have drivers".to_owned()));
    // Configs may be twice as large.
    let body = json!({ "Name": "a", "Data": large });
    read(rig.control.create_config(ask("", body.to_string())).await).await;
}

#[tokio::test]
async fn only_labels_are_changed() {
    let rig = Rig::new();
    read(rig.control.create_secret(ask("", KEY)).await).await;
    let shown = read(rig.control.inspect_secret("key", ask("", "")).await).await;
    let query = format!("version={}", shown["Version"]["Index"]);
    for body in [json!({ "Name": "other" }), json!({ "Name": "key", "Data": "aGkL" })] {
        let refused =
            refused(rig.control.update_secret("key", ask(&query, body.to_string())).await);
        assert_eq!(refused, (400, "only updates to Labels are allowed".to_owned()));
    }
    let body = json!({ "Name": "key", "Labels": { "a": "1" } }).to_string();
    read(rig.control.update_secret("key", ask(&query, body.clone())).await).await;
    let stale = refused(rig.control.update_secret("key", ask(&query, body)).await);
    assert!(stale.0 == 500 && stale.1.ends_with("update out of sequence"), "{stale:?}");
    let kept = rig.replica.read(|tables| {
        let secret = tables.secrets.values().next().unwrap();
        (secret.spec.labels.len(), secret.spec.data.as_ref().unwrap().reveal().to_owned())
    });
    assert_eq!(kept, (1, "aGkK".to_owned()));
}

#[tokio::test]
async fn filters_find_names_whole_and_by_their_beginning() {
    let rig = Rig::new();
    for name in ["key", "key2", "other"] {
        let body = json!({ "Name": name, "Labels": { "n": name }, "Data": "aGkK" });
        read(rig.control.create_config(ask("", body.to_string())).await).await;
    }
    for (filters, expected) in [
        (json!({ "name": ["key"] }), vec!["key", "key2"]),
        (json!({ "names": ["key"] }), vec!["key"]),
        (json!({ "names": ["key"], "name": ["oth"] }), vec!["key", "other"]),
        (json!({ "label": ["n=other"] }), vec!["other"]),
    ] {
        let list = read(rig.control.list_configs(filtered(&filters)).await).await;
        let list = list.as_array().unwrap().iter();
        let mut names: Vec<_> = list.map(|one: &Value| one["Spec"]["Name"].clone()).collect();
        names.sort_by_key(ToString::to_string);
        assert_eq!(names, expected, "{filters}");
    }
}
