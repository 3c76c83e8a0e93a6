//! A stack's default network, as `docker stack deploy` and `rm` use it.

use http::Method;
use serde_json::{Value, json};
use swarm_backend::Services as _;

use super::{Engine, Rig, ask, networks, read, refused};

/// What the CLI (28.2) sends for the stack `demo`.
const CREATE: &str = r#"{"Driver":"overlay","Scope":"","IPAM":null,"Internal":false,"Attachable":false,"Ingress":false,"ConfigOnly":false,"ConfigFrom":null,"Options":null,"Labels":{"com.docker.stack.namespace":"demo"},"Name":"demo_default"}"#;
const SERVICE: &str = r#"{"Name":"demo_db","Labels":{"com.docker.stack.image":"redis:7","com.docker.stack.namespace":"demo"},"TaskTemplate":{"ContainerSpec":{"Image":"redis:7","Labels":{"com.docker.stack.namespace":"demo"},"Privileges":{"CredentialSpec":null,"SELinuxContext":null,"NoNewPrivileges":false}},"Resources":{},"Placement":{},"Networks":[{"Target":"demo_default","Aliases":["db"]}],"ForceUpdate":0},"Mode":{"Replicated":{}},"EndpointSpec":{}}"#;

async fn create(rig: &Rig, body: &str) -> swarm_backend::Result<swarm_backend::Reply> {
    rig.control.create_network(networks(Method::POST, "", body), &Engine).await
}

async fn list(rig: &Rig, filters: Value) -> Vec<Value> {
    let mut ask = networks(Method::GET, "", "");
    ask.query.set("filters", filters.to_string());
    let list = read(rig.control.list_networks(ask, &Engine).await).await;
    list.as_array().unwrap().iter().map(|one| one["Name"].clone()).collect()
}

#[tokio::test]
async fn a_stack_that_names_no_network_is_on_the_engines_bridge() {
    let rig = Rig::new();
    let id = read(create(&rig, CREATE).await).await["Id"].clone();
    let label = json!({ "label": { "com.docker.stack.namespace=demo": true } });
    assert_eq!(
        list(&rig, label).await,
        ["bridge", "demo_default"],
        "the engine has no filters here"
    );
    assert_eq!(list(&rig, json!({ "scope": ["local"] })).await, ["bridge"]);
    let ask_one = |query: &str| networks(Method::GET, query, "");
    let shown = rig.control.inspect_network("demo_default", ask_one(""), &Engine).await;
    let shown = read(shown).await;
    assert_eq!(
        (&shown["Id"], &shown["Scope"], &shown["Driver"]),
        (&id, &json!("swarm"), &json!("overlay"))
    );
    read(rig.control.create_service(ask("", SERVICE)).await).await;
    let kept = rig.replica.read(|tables| {
        let service = tables.services.values().next().unwrap();
        service.spec.task_template.networks().map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(kept, ["bridge"], "what nodes are told");
    let service = read(rig.control.inspect_service("demo_db", ask("", "")).await).await;
    let attached = json!([{ "Target": id, "Aliases": ["db"] }]);
    let shown = &service["Spec"]["TaskTemplate"]["Networks"];
    assert_eq!(shown[0]["Target"], attached[0]["Target"], "what clients see");
    assert_eq!(shown[0]["Aliases"], attached[0]["Aliases"]);
    assert_eq!(shown[0].as_object().unwrap().len(), 2);
    // As an update sends it back.
    let query = format!("version={}", service["Version"]["Index"]);
    let again = ask(&query, service["Spec"].to_string());
    read(rig.control.update_service("demo_db", again).await).await;
    let remove = || networks(Method::DELETE, "", "");
    let used = rig.control.remove_network("demo_default", remove(), &Engine).await;
    assert_eq!(
        refused(used),
        (400, "network demo_default is in use by service demo_db".to_owned())
    );
    read(rig.control.remove_service("demo_db", ask("", "")).await).await;
    read(rig.control.remove_network(id.as_str().unwrap(), remove(), &Engine).await).await;
    assert_eq!(list(&rig, json!({})).await, ["bridge"]);
    let gone = refused(rig.control.create_service(ask("", SERVICE)).await);
    assert_eq!(gone.0, 501);
}

#[tokio::test]
async fn every_other_cluster_network_is_refused_by_name_and_the_engine_s_are_passed_on() {
    let rig = Rig::new();
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut body: Value = serde_json::from_str(CREATE).unwrap();
        edit(&mut body);
        body.to_string()
    };
    for body in [
        edited(&|body| body["Name"] = "demo_front".into()),
        edited(&|body| body["Labels"] = json!({})),
        edited(&|body| body["Attachable"] = true.into()),
        edited(&|body| body["Options"] = json!({ "encrypted": "" })),
        edited(&|body| body["IPAM"] = json!({ "Config": [{ "Subnet": "10.1.0.0/16" }] })),
    ] {
        let refused = refused(create(&rig, &body).await);
        assert!(refused.0 == 501 && refused.1.starts_with("network demo_"), "{refused:?}");
    }
    read(create(&rig, CREATE).await).await;
    let twice = refused(create(&rig, CREATE).await);
    assert_eq!(twice, (409, "network with name demo_default already exists".to_owned()));
    for body in [r#"{"Name":"mine","Driver":"bridge"}"#, r#"{"Name":"mine"}"#, "not JSON"] {
        assert_eq!(read(create(&rig, body).await).await["engine"], body);
    }
    let removed =
        rig.control.remove_network("mine", networks(Method::DELETE, "", ""), &Engine).await;
    assert_eq!(read(removed).await["engine"], "");
}

#[tokio::test]
async fn an_engine_s_own_network_has_one_name_for_services() {
    let rig = Rig::new();
    let ask = |query: &str| networks(Method::GET, query, "");
    let host = rig.control.inspect_network("host", ask("scope=swarm"), &Engine).await;
    assert_eq!(read(host).await["Id"], "host");
    let none = rig.control.inspect_network("mine", ask("scope=swarm"), &Engine).await;
    assert_eq!(refused(none), (404, "network mine not found".to_owned()));
    let mut mine = ask("");
    mine.path = swarm_backend::ObjectPath::whole("/networks/mine");
    let passed = rig.control.inspect_network("mine", mine, &Engine).await.unwrap();
    assert_eq!(passed.status, 404);
}
