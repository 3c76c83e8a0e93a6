//! Nodes shown, changed and removed.

use serde_json::{Value, json};
use swarm_backend::Nodes as _;
use swarm_model::node::{NodeState, Role};
use swarm_model::{Node, Time};

use super::{Rig, ask, filtered, read, refused};

fn node(id: &str, role: Role, member: u64) -> Node {
    let mut node =
        Node { id: id.into(), member, certificate_ends: Time(i64::MAX), ..Node::default() };
    node.spec.role = role;
    node.spec.labels.insert("disk".to_owned(), "ssd".to_owned());
    node.description.hostname = format!("host-{id}");
    node.description.engine.labels.insert("os".to_owned(), "linux".to_owned());
    node.status.state = NodeState::Ready;
    node
}

async fn rig() -> Rig {
    let rig = Rig::begun().await;
    rig.put(&node("manager", Role::Manager, 1)).await;
    rig.put(&node("worker", Role::Worker, 0)).await;
    rig
}

async fn change(
    rig: &Rig,
    name: &str,
    edit: impl FnOnce(&mut Value),
) -> Result<Value, (u16, String)> {
    let mut shown = read(rig.control.inspect_node(name, ask("", "")).await).await;
    let query = format!("version={}", shown["Version"]["Index"]);
    edit(&mut shown["Spec"]);
    match rig.control.update_node(name, ask(&query, shown["Spec"].to_string())).await {
        Ok(reply) => Ok(read(Ok(reply)).await),
        refusal => Err(refused(refusal)),
    }
}

#[tokio::test]
async fn nodes_are_shown_with_what_managers_are_and_filtered() {
    let rig = rig().await;
    let manager = read(rig.control.inspect_node("host-manager", ask("", "")).await).await;
    let status = json!({ "Leader": true, "Reachability": "reachable", "Addr": "127.0.0.1:2377" });
    assert_eq!(manager["ManagerStatus"], status);
    for hidden in ["Member", "CertificateEnds"] {
        assert_eq!(manager.get(hidden), None);
    }
    let worker = read(rig.control.inspect_node("work", ask("", "")).await).await;
    assert_eq!(worker.get("ManagerStatus"), None);
    for (filters, expected) in [
        (json!({}), &["manager", "worker"][..]),
        (json!({ "role": ["worker"] }), &["worker"]),
        (json!({ "name": ["host-m"] }), &["manager"]),
        (json!({ "node.label": ["disk=ssd"], "id": ["w"] }), &["worker"]),
        (json!({ "label": ["os=linux"] }), &["manager", "worker"]),
        (json!({ "label": ["disk=ssd"] }), &[]),
        (json!({ "membership": ["pending"] }), &[]),
    ] {
        let list = read(rig.control.list_nodes(filtered(&filters)).await).await;
        let ids: Vec<_> = list.as_array().unwrap().iter().map(|one| &one["ID"]).collect();
        assert_eq!(ids, expected, "{filters}");
    }
    for (filters, words) in [
        (json!({ "role": ["king"] }), "Invalid role filter: 'king'"),
        (json!({ "membership": ["x"] }), "Invalid membership filter: 'x'"),
        (json!({ "age": ["x"] }), "invalid filter 'age'"),
    ] {
        let refused = refused(rig.control.list_nodes(filtered(&filters)).await);
        assert_eq!(refused, (400, words.to_owned()));
    }
}

#[tokio::test]
async fn a_node_is_drained_labelled_and_promoted() {
    let rig = rig().await;
    change(&rig, "worker", |spec| {
        spec["Availability"] = "drain".into();
        spec["Labels"] = json!({ "rack": "7" });
        spec["Role"] = "manager".into();
    })
    .await
    .unwrap();
    let shown = read(rig.control.inspect_node("worker", ask("", "")).await).await;
    let spec = json!({ "Labels": { "rack": "7" }, "Role": "manager", "Availability": "drain" });
    assert_eq!(shown["Spec"], spec);
    let missing = change(&rig, "worker", |spec| drop(spec.as_object_mut().unwrap().remove("Role")));
    assert_eq!(missing.await.unwrap_err(), (400, "invalid Role: \"\"".to_owned()));
    let stale = ask("version=1", spec.to_string());
    assert_eq!(refused(rig.control.update_node("worker", stale).await).0, 500);
}

#[tokio::test]
async fn the_last_manager_is_not_demoted_nor_one_that_the_quorum_needs() {
    let rig = rig().await;
    let demote = |spec: &mut Value| spec["Role"] = "worker".into();
    let last = change(&rig, "manager", demote).await.unwrap_err();
    assert_eq!(last, (400, "attempting to demote the last manager of the swarm".to_owned()));
    // A second one that has no part in the store yet.
    rig.put(&node("second", Role::Manager, 0)).await;
    let words = "can't remove member from the raft: this would result in a loss of quorum";
    let needed = change(&rig, "manager", demote).await.unwrap_err();
    assert_eq!(needed, (400, words.to_owned()));
    // Nothing is lost with the second one: it is demoted, or removed by force.
    change(&rig, "second", demote).await.unwrap();
    rig.put(&node("third", Role::Manager, 99)).await;
    assert_eq!(refused(rig.control.remove_node("third", ask("", "")).await).0, 400);
    read(rig.control.remove_node("third", ask("force=1", "")).await).await;
}

#[tokio::test]
async fn only_a_worker_that_is_down_is_removed_and_it_is_remembered() {
    let rig = rig().await;
    let manager = refused(rig.control.remove_node("manager", ask("force=1", "")).await);
    let words = "node manager is a cluster manager and is a member of the raft cluster. It must be \
        demoted to worker before removal";
    assert_eq!(manager, (400, words.to_owned()));
    let up = refused(rig.control.remove_node("worker", ask("", "")).await);
    assert_eq!(up, (400, "node worker is not down and can't be removed".to_owned()));
    read(rig.control.remove_node("worker", ask("force=true", "")).await).await;
    rig.replica.read(|tables| {
        assert!(!tables.nodes.contains_key("worker"));
        let removed = &tables.cluster.as_ref().unwrap().removed;
        assert!(removed["worker"] > tables.newest);
    });
}
