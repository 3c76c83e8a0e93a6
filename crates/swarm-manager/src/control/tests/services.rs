//! Services made, changed and removed.

use serde_json::{Value, json};
use swarm_backend::{Secrets as _, Services as _};

use super::{Rig, ask, read, refused, with_auth};

/// As `docker service create --name plain redis` sends it (CLI 28.2).
const PLAIN: &str = r#"{"Name":"plain","Labels":{},"TaskTemplate":{"ContainerSpec":{"Image":"redis:latest","Init":false,"DNSConfig":{}},"Resources":{"Limits":{},"Reservations":{}},"Placement":{},"ForceUpdate":0},"Mode":{"Replicated":{}},"EndpointSpec":{"Mode":"vip"}}"#;

/// `docker service create --mode replicated-job`.
const JOB: &str = r#"{"Name":"job","Labels":{},"TaskTemplate":{"ContainerSpec":{"Image":"redis:latest","Args":["true"],"Init":false,"DNSConfig":{}},"Resources":{"Limits":{},"Reservations":{}},"Placement":{},"ForceUpdate":0},"Mode":{"ReplicatedJob":{}},"EndpointSpec":{"Mode":"vip"}}"#;

async fn create(rig: &Rig, body: &str) -> String {
    let made = read(rig.control.create_service(ask("", body)).await).await;
    assert_eq!(made["Warnings"], Value::Null, "{made}");
    made["ID"].as_str().unwrap().to_owned()
}

async fn inspect(rig: &Rig, name: &str) -> Value {
    read(rig.control.inspect_service(name, ask("", "")).await).await
}

/// Sends back what an inspect shows, with a change.
async fn change(
    rig: &Rig,
    name: &str,
    query: &str,
    edit: impl FnOnce(&mut Value),
) -> swarm_backend::Result<swarm_backend::Reply> {
    let mut shown = inspect(rig, name).await;
    let version = shown["Version"]["Index"].clone();
    edit(&mut shown["Spec"]);
    let query = format!("version={version}&{query}");
    rig.control.update_service(name, ask(&query, shown["Spec"].to_string())).await
}

#[tokio::test]
async fn a_service_is_made_shown_and_found_by_id_name_and_beginning() {
    let rig = Rig::new();
    let id = create(&rig, PLAIN).await;
    let shown = inspect(&rig, "plain").await;
    assert_eq!(shown["ID"], id);
    assert_eq!(shown["Spec"]["Mode"], json!({ "Replicated": { "Replicas": 1 } }));
    assert_eq!(shown["Endpoint"], json!({ "Spec": { "Mode": "vip" } }));
    assert_eq!(shown["Spec"]["TaskTemplate"]["ContainerSpec"]["Init"], false);
    assert_eq!(shown["Spec"]["TaskTemplate"]["Runtime"], "container");
    assert!(shown["Version"]["Index"].as_u64().unwrap() > 0);
    for name in [&id, &id[..6]] {
        assert_eq!(inspect(&rig, name).await, shown);
    }
    let missing = refused(rig.control.inspect_service("nope", ask("", "")).await);
    assert_eq!(missing, (404, "service nope not found".to_owned()));
    let twice = refused(rig.control.create_service(ask("", PLAIN)).await);
    let words = "name conflicts with an existing object: service plain already exists";
    assert_eq!(twice, (409, words.to_owned()));
    let full = read(rig.control.inspect_service("plain", ask("insertDefaults=1", "")).await).await;
    assert_eq!(full["Spec"]["UpdateConfig"]["Monitor"], 5_000_000_000_i64);
    assert_eq!(full["Spec"]["TaskTemplate"]["RestartPolicy"]["Delay"], 5_000_000_000_i64);
    let bad = refused(rig.control.inspect_service("plain", ask("insertDefaults=maybe", "")).await);
    assert_eq!(bad, (400, "invalid value for insertDefaults: maybe".to_owned()));
    read(rig.control.remove_service("plain", ask("", "")).await).await;
    assert_eq!(refused(rig.control.remove_service("plain", ask("", "")).await).0, 404);
}

#[tokio::test]
async fn an_update_keeps_the_spec_before_and_a_rollback_takes_it_back() {
    let rig = Rig::new();
    create(&rig, PLAIN).await;
    let before = inspect(&rig, "plain").await;
    let none = ask(&format!("version={}&rollback=previous", before["Version"]["Index"]), PLAIN);
    let none = refused(rig.control.update_service("plain", none).await);
    assert_eq!(
        none,
        (400, format!("service {} does not have a previous spec", before["ID"].as_str().unwrap()))
    );
    let image = |image: &'static str| {
        move |spec: &mut Value| spec["TaskTemplate"]["ContainerSpec"]["Image"] = image.into()
    };
    read(change(&rig, "plain", "", image("redis:8")).await).await;
    let after = inspect(&rig, "plain").await;
    assert_eq!(after["PreviousSpec"], before["Spec"]);
    assert_eq!(after["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"], "redis:8");
    assert_eq!(after.get("UpdateStatus"), None);
    assert!(after["UpdatedAt"].as_str() > before["UpdatedAt"].as_str());
    read(change(&rig, "plain", "rollback=previous", |_| ()).await).await;
    let back = inspect(&rig, "plain").await;
    assert_eq!((&back["Spec"], &back["PreviousSpec"]), (&before["Spec"], &after["Spec"]));
    assert_eq!(back["UpdateStatus"]["State"], "rollback_started");
    assert_eq!(back["UpdateStatus"]["Message"], "manually requested rollback");
    let odd = refused(change(&rig, "plain", "rollback=later", |_| ()).await);
    assert_eq!(odd, (400, "unrecognized rollback option later".to_owned()));
}

#[tokio::test]
async fn stale_missing_and_forbidden_changes_are_refused_in_docker_s_words() {
    let rig = Rig::new();
    create(&rig, PLAIN).await;
    let stale = refused(rig.control.update_service("plain", ask("version=1234", PLAIN)).await);
    assert_eq!(stale, (500, "rpc error: code = Unknown desc = update out of sequence".to_owned()));
    let none = refused(rig.control.update_service("plain", ask("", PLAIN)).await);
    let words =
        "invalid service version '': strconv.ParseUint: parsing \"\": invalid syntax".to_owned();
    assert_eq!(none, (400, words));
    let renamed = refused(change(&rig, "plain", "", |spec| spec["Name"] = "x".into()).await);
    assert_eq!(renamed, (501, "renaming services is not supported".to_owned()));
    let moved = change(&rig, "plain", "", |spec| spec["Mode"] = json!({ "Global": {} })).await;
    assert_eq!(refused(moved), (501, "service mode change is not allowed".to_owned()));
    for (body, words) in [
        ("", "invalid JSON: got EOF while reading request body"),
        ("{", "invalid JSON: EOF while parsing an object at line 1 column 1"),
    ] {
        let refused = refused(rig.control.create_service(ask("", body)).await);
        assert_eq!(refused, (400, words.to_owned()));
    }
}

#[tokio::test]
async fn what_there_is_not_yet_is_refused_by_name() {
    let rig = Rig::new();
    let create = async |edit: &dyn Fn(&mut Value)| {
        let mut body: Value = serde_json::from_str(PLAIN).unwrap();
        edit(&mut body);
        refused(rig.control.create_service(ask("", body.to_string())).await)
    };
    let mut refusals = Vec::new();
    refusals.push(create(&|body| {
        let port = json!({ "Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress" });
        body["EndpointSpec"] = json!({ "Ports": [port] });
    }).await);
    assert!(refusals[0].1.contains("mode=host,published=8080,target=80"), "{}", refusals[0].1);
    refusals.push(create(&|body| body["EndpointSpec"]["Mode"] = "dnsrr".into()).await);
    refusals.push(create(&|body| body["TaskTemplate"]["Runtime"] = "plugin".into()).await);
    let words = "unimplemented runtime in service spec: \"plugin\"; services run containers";
    assert!(refusals[2].1.contains(words), "{}", refusals[2].1);
    refusals.push(
        create(&|body| {
            body["TaskTemplate"]["Networks"] = json!([{ "Target": "backend" }]);
        })
        .await,
    );
    assert!(refusals[3].1.starts_with("network backend: cluster networks"), "{}", refusals[3].1);
    for kind in ["cluster", "npipe"] {
        refusals.push(
            create(&|body| {
                body["TaskTemplate"]["ContainerSpec"]["Mounts"] =
                    json!([{ "Type": kind, "Target": "/v" }]);
            })
            .await,
        );
    }
    for (status, words) in refusals {
        assert_eq!(status, 501, "{words}");
    }
    assert_eq!(rig.store.writes(), 0);
}

#[tokio::test]
async fn networks_that_engines_have_and_ports_on_the_host_are_taken() {
    let rig = Rig::new();
    let mut body: Value = serde_json::from_str(PLAIN).unwrap();
    body["TaskTemplate"]["Networks"] = json!([{ "Target": "host" }]);
    let port = json!({ "Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host" });
    body["EndpointSpec"]["Ports"] = json!([port]);
    create(&rig, &body.to_string()).await;
    let shown = inspect(&rig, "plain").await;
    assert_eq!(shown["Spec"]["TaskTemplate"]["Networks"], json!([{ "Target": "host" }]));
    assert_eq!(shown["Endpoint"]["Ports"], json!([port]));
    body["Name"] = "other".into();
    body["TaskTemplate"]["Networks"] = json!([{ "Target": "host" }, { "Target": "bridge" }]);
    assert_eq!(refused(rig.control.create_service(ask("", body.to_string())).await).0, 501);
    body["TaskTemplate"]["Networks"] = json!([{ "Target": "host", "DriverOpts": { "a": "b" } }]);
    assert_eq!(refused(rig.control.create_service(ask("", body.to_string())).await).0, 501);
}

#[tokio::test]
async fn credentials_are_kept_for_the_nodes_and_shown_to_nobody() {
    let rig = Rig::new();
    let kept = |rig: &Rig| {
        rig.replica.read(|tables| {
            let service = tables.services.values().next().unwrap();
            let container = service.spec.task_template.container_spec.clone().unwrap();
            container.rest.get("PullOptions").map(|options| options["RegistryAuth"].clone())
        })
    };
    let mut body: Value = serde_json::from_str(PLAIN).unwrap();
    body["TaskTemplate"]["ContainerSpec"]["PullOptions"] = json!({ "RegistryAuth": "mine" });
    let made = with_auth(ask("", body.to_string()), "e30=");
    read(rig.control.create_service(made).await).await;
    assert_eq!(kept(&rig), Some("e30=".into()));
    let shown = inspect(&rig, "plain").await.to_string();
    assert!(!shown.contains("PullOptions") && !shown.contains("e30="), "{shown}");
    // An update without credentials keeps them, also those of the spec before.
    read(change(&rig, "plain", "registryAuthFrom=spec", |_| ()).await).await;
    assert_eq!(kept(&rig), Some("e30=".into()));
    let shown = inspect(&rig, "plain").await;
    let query = format!("version={}", shown["Version"]["Index"]);
    let other = with_auth(ask(&query, shown["Spec"].to_string()), "e30");
    read(rig.control.update_service("plain", other).await).await;
    assert_eq!(kept(&rig), Some("e30".into()));
    read(change(&rig, "plain", "registryAuthFrom=previous-spec", |_| ()).await).await;
    assert_eq!(kept(&rig), Some("e30=".into()));
    let odd = refused(change(&rig, "plain", "registryAuthFrom=thin-air", |_| ()).await);
    assert_eq!(odd, (400, "unsupported registryAuthFrom value".to_owned()));
    let bad = with_auth(ask("", PLAIN), "secret!!");
    let bad = refused(rig.control.create_service(bad).await);
    assert!(bad.0 == 400 && !bad.1.contains("secret"), "{}", bad.1);
}

#[tokio::test]
async fn a_job_has_its_numbers_and_each_update_is_another_run() {
    let rig = Rig::new();
    create(&rig, JOB).await;
    let shown = inspect(&rig, "job").await;
    let mode = json!({ "ReplicatedJob": { "MaxConcurrent": 1, "TotalCompletions": 1 } });
    assert_eq!(shown["Spec"]["Mode"], mode);
    assert_eq!(shown["JobStatus"]["JobIteration"]["Index"], 0);
    let raise = |spec: &mut Value| spec["TaskTemplate"]["ForceUpdate"] = 1.into();
    read(change(&rig, "job", "", raise).await).await;
    let after = inspect(&rig, "job").await;
    assert_eq!(after["JobStatus"]["JobIteration"]["Index"], 1);
    assert!(
        after["JobStatus"]["LastExecution"].as_str() > shown["JobStatus"]["LastExecution"].as_str()
    );
}

#[tokio::test]
async fn secrets_that_a_service_refers_to_must_be_there_and_then_stay() {
    let rig = Rig::new();
    let body = |id: &str, name: &str, file: &str| {
        let mut body: Value = serde_json::from_str(PLAIN).unwrap();
        body["TaskTemplate"]["ContainerSpec"]["Secrets"] = json!([{
            "SecretID": id, "SecretName": name,
            "File": { "Name": file, "UID": "0", "GID": "0", "Mode": 292 },
        }]);
        body
    };
    let made = ask("", r#"{"Name":"key","Labels":{},"Data":"aGkK"}"#);
    let made = read(rig.control.create_secret(made).await).await;
    let id = made["ID"].as_str().unwrap();
    for (body, words) in [
        (body("nope", "key", "key"), "secret not found: key"),
        (body(id, "other", "key"), "secret not found: other"),
        (body("", "key", "key"), "malformed secret reference"),
        (body(id, "key", ""), "malformed file secret reference, invalid target file name provided"),
    ] {
        let refused = refused(rig.control.create_service(ask("", body.to_string())).await);
        assert_eq!(refused, (400, words.to_owned()));
    }
    let mut twice = body(id, "key", "key");
    let list = twice["TaskTemplate"]["ContainerSpec"]["Secrets"].as_array_mut().unwrap();
    list.push(list[0].clone());
    let twice = refused(rig.control.create_service(ask("", twice.to_string())).await);
    assert_eq!(twice.1, "secret references 'key' and 'key' have a conflicting target: 'key'");
    create(&rig, &body(id, "key", "key").to_string()).await;
    let used = refused(rig.control.remove_secret("key", ask("", "")).await);
    let words = "secret 'key' is in use by the following service: plain";
    assert_eq!(used, (400, words.to_owned()));
    read(rig.control.remove_service("plain", ask("", "")).await).await;
    read(rig.control.remove_secret("key", ask("", "")).await).await;
}

#[tokio::test]
async fn an_old_client_is_told_that_no_registry_was_asked() {
    let rig = Rig::new();
    let mut old = ask("", PLAIN);
    old.version = Some(swarm_docker::ApiVersion::new(1, 29));
    let made = read(rig.control.create_service(old).await).await;
    let words = made["Warnings"][0].as_str().unwrap();
    assert!(words.starts_with("image redis:latest could not be accessed on a registry"), "{words}");
}

#[tokio::test]
async fn what_a_service_asks_of_its_host_is_said_by_its_labels_alone() {
    let rig = Rig::new();
    let kept = |rig: &Rig| {
        rig.replica.read(|tables| {
            let service = tables.services.values().next().unwrap();
            json!(service.spec.task_template.host)
        })
    };
    let mut body: Value = serde_json::from_str(PLAIN).unwrap();
    body["TaskTemplate"]["Host"] = json!({ "privileged": "true" });
    let asked = ask("", body.to_string());
    let (status, words) = refused(rig.control.create_service(asked).await);
    assert_eq!((status, &*words), (400, "unsupported field Host of TaskTemplate"));
    body["TaskTemplate"].as_object_mut().unwrap().remove("Host");
    body["Labels"] = json!({ "swarm.host.shm-size": "64m", "swarm.host": "x" });
    create(&rig, &body.to_string()).await;
    assert_eq!(kept(&rig), json!({ "shm-size": "64m" }));
    let shown = inspect(&rig, "plain").await;
    assert_eq!(shown["Spec"]["TaskTemplate"].get("Host"), None);
    let ipc = |spec: &mut Value| spec["Labels"] = json!({ "swarm.host.ipc": "host" });
    read(change(&rig, "plain", "", ipc).await).await;
    assert_eq!(kept(&rig), json!({ "ipc": "host" }));
    read(change(&rig, "plain", "rollback=previous", |_| ()).await).await;
    assert_eq!(kept(&rig), json!({ "shm-size": "64m" }));
    let wrong = |spec: &mut Value| spec["Labels"] = json!({ "swarm.host.ipc": "container:a" });
    let (status, words) = refused(change(&rig, "plain", "", wrong).await);
    assert_eq!(status, 400);
    assert!(words.starts_with("label swarm.host.ipc: \"container:a\" is none of"), "{words}");
}
