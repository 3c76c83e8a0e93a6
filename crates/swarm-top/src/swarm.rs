//! What a swarm's manager says, in the same rows: nodes with their roles, tasks in the place of
//! containers, and services as they are wanted.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use swarm_docker::container::LABEL_TASK_ID;
use swarm_docker::json;

use crate::sight::{self, Answers, Container, Node, Service, container, list, text};

/// Whether these are a swarm's answers.
pub(crate) fn is_swarm(answers: &Answers) -> bool {
    answers.services.is_array()
}

/// The leader's name, as far as it is known.
pub(crate) fn leader(answers: &Answers) -> String {
    let mut leading = list(&answers.nodes).filter(|node| node["ManagerStatus"]["Leader"] == true);
    leading.next().map(name_of).unwrap_or_default()
}

fn name_of(node: &Value) -> String {
    let name = text(&node["Description"]["Hostname"]);
    if name.is_empty() { text(&node["ID"]) } else { name }
}

/// Nodes, with their roles in the note.
pub(crate) fn nodes(answers: &Answers) -> Vec<Node> {
    let shown = |node: &Value| {
        let manager = &node["ManagerStatus"];
        let role = match (manager["Leader"] == true, manager["Reachability"].as_str()) {
            (true, _) => "leader",
            (false, Some("unreachable")) => "manager that does not answer",
            (false, Some(_)) => "manager",
            (false, None) => "worker",
        };
        let base = sight::node(node);
        let note =
            if base.note.is_empty() { role.to_owned() } else { format!("{role}: {}", base.note) };
        Node { name: name_of(node), note, ..base }
    };
    list(&answers.nodes).map(shown).collect()
}

/// Tasks that are wanted, and where all nodes' containers are asked those that are no tasks.
pub(crate) fn containers(answers: &Answers) -> Vec<Container> {
    let nodes: HashMap<String, String> =
        list(&answers.nodes).map(|node| (text(&node["ID"]), name_of(node))).collect();
    let services: HashMap<String, String> = list(&answers.services)
        .map(|service| (text(&service["ID"]), text(&service["Spec"]["Name"])))
        .collect();
    let known = |names: &HashMap<String, String>, id: &Value| {
        let id = json::text(id);
        names.get(&id).cloned().unwrap_or(id)
    };
    let task = |task: &Value| {
        let service = known(&services, &task["ServiceID"]);
        let node = known(&nodes, &task["NodeID"]);
        let slot = task["Slot"].as_u64().map_or_else(|| node.clone(), |slot| slot.to_string());
        let status = &task["Status"];
        let said = if status["Err"].is_string() { &status["Err"] } else { &status["Message"] };
        Container {
            name: format!("{service}.{slot}"),
            node,
            image: text(&task["Spec"]["ContainerSpec"]["Image"]),
            state: text(&status["State"]),
            status: text(said),
            service,
        }
    };
    let mut rows: Vec<_> = list(&answers.tasks).map(task).collect();
    // A node's own endpoint lists its own containers alone, which would look like all there are.
    if answers.info["SystemStatus"].is_array() {
        let alone = |one: &&Value| one["Labels"][LABEL_TASK_ID].is_null();
        rows.extend(list(&answers.containers).filter(alone).map(container));
    }
    rows
}

/// Services as they are wanted; on how many nodes is counted from their tasks.
pub(crate) fn services(answers: &Answers) -> Vec<Service> {
    let count = |value: &Value| {
        value.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
    };
    let service = |service: &Value| {
        let (id, status) = (&service["ID"], &service["ServiceStatus"]);
        let own = list(&answers.tasks).filter(|task| task["ServiceID"] == *id);
        let on: BTreeSet<String> =
            own.map(|task| text(&task["NodeID"])).filter(|node| !node.is_empty()).collect();
        Service {
            name: text(&service["Spec"]["Name"]),
            running: count(&status["RunningTasks"]),
            containers: count(&status["DesiredTasks"]),
            nodes: on.len(),
            images: text(&service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]),
        }
    };
    let mut services: Vec<_> = list(&answers.services).map(service).collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    services
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Sight;

    #[test]
    fn tasks_and_services_are_rows_too() {
        let manager = json!({"Leader": true, "Reachability": "reachable", "Addr": "a:2377"});
        let answers = Answers {
            info: json!({"Swarm": {"LocalNodeState": "active"}}),
            nodes: json!([
                {"ID": "n1", "Description": {"Hostname": "one"}, "Status": {"State": "ready"},
                 "Spec": {"Availability": "active"}, "ManagerStatus": manager,
                 "Swarm": {"Running": 1, "Containers": 2, "Reserved": {"NanoCPUs": 5}}},
                {"ID": "n2", "Description": {"Hostname": "two"},
                 "Status": {"State": "down", "Message": "heartbeat failure"}},
            ]),
            services: json!([{"ID": "s", "Spec": {"Name": "web"},
                "ServiceStatus": {"RunningTasks": 1, "DesiredTasks": 2}}]),
            tasks: json!([
                {"ID": "t1", "ServiceID": "s", "NodeID": "n1", "Slot": 1,
                 "Status": {"State": "running", "Message": "started"}},
                {"ID": "t2", "ServiceID": "s", "Slot": 2,
                 "Status": {"State": "pending", "Err": "no suitable node"}},
                {"ID": "t3", "ServiceID": "gone", "NodeID": "n2", "Status": {"State": "running"}},
            ]),
            containers: json!([{"Names": ["/alone"], "Image": "i", "State": "running"}]),
        };
        let mut sight = Sight::default();
        sight.answered(&answers);
        let rows: Vec<_> =
            sight.containers.iter().map(|one| (&*one.name, &*one.node, &*one.status)).collect();
        assert_eq!(
            rows,
            [
                ("web.1", "one", "started"),
                ("web.2", "", "no suitable node"),
                ("gone.two", "two", "")
            ]
        );
        let nodes: Vec<_> = sight.nodes.iter().map(|one| (&*one.name, &*one.note)).collect();
        assert_eq!(nodes, [("one", "leader"), ("two", "worker: heartbeat failure")]);
        assert_eq!(sight.leader, "one");
        let web = &sight.services[0];
        assert_eq!((&*web.name, web.running, web.containers, web.nodes), ("web", 1, 2, 1));
        // Where all nodes' containers are asked, those beside the services are there.
        let all = Answers { info: json!({"SystemStatus": []}), ..answers };
        sight.answered(&all);
        assert_eq!((sight.containers.len(), &*sight.containers[3].name), (4, "alone"));
    }
}
