//! One look at everything that the endpoint tells, made from its answers: sorted, so that what does not
//! change renders to the same text.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::cluster::{Node, Service, Task};
use crate::container::{Container, Lasting};

/// What is there, as templates see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sight {
    /// The nodes, by name; of a plain engine the one that it is.
    pub nodes: Vec<Node>,
    /// The containers that run, by name.
    pub containers: Vec<Container>,
    /// The services, by name, where the endpoint has them.
    pub services: Vec<Service>,
    /// Their tasks that are to run, by service and slot.
    pub tasks: Vec<Task>,
    /// The endpoint has services, even if there are none now.
    pub has_services: bool,
}

/// What the endpoint answered.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// `GET /info`.
    pub info: Value,
    /// `GET /nodes`; `None` where there are none.
    pub nodes: Option<Value>,
    /// `GET /services`; `None` where there are none.
    pub services: Option<Value>,
    /// `GET /tasks`.
    pub tasks: Option<Value>,
    /// `GET /containers/json?all=1`.
    pub containers: Value,
    /// By id, of containers that were inspected.
    pub lasting: BTreeMap<String, Lasting>,
    /// The endpoint's own address: `None` for a socket of this machine.
    pub address: Option<String>,
}

fn list(json: Option<&Value>) -> impl Iterator<Item = &Value> {
    json.and_then(Value::as_array).into_iter().flatten()
}

impl Sight {
    /// Puts the answers together.
    pub fn of(answers: &Answers) -> Self {
        let mut containers: Vec<Container> = list(Some(&answers.containers))
            .filter_map(|entry| {
                let id = entry.get("Id").and_then(Value::as_str).unwrap_or_default();
                Container::read(entry, answers.lasting.get(id))
            })
            .collect();
        containers.sort_by(|a, b| (&a.name, &a.node, &a.id).cmp(&(&b.name, &b.node, &b.id)));
        let mut nodes: Vec<Node> = match &answers.nodes {
            Some(nodes) => list(Some(nodes)).filter_map(Node::read).collect(),
            None => vec![engine(&answers.info, answers.address.as_deref())],
        };
        for node in &mut nodes {
            node.amend(&containers, answers);
        }
        nodes.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        if answers.nodes.is_none() {
            let own = nodes.first().map(|node| node.name.clone()).unwrap_or_default();
            for container in &mut containers {
                container.node.clone_from(&own);
            }
        }
        let mut services: Vec<Service> =
            list(answers.services.as_ref()).filter_map(Service::read).collect();
        services.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        let mut tasks: Vec<Task> = list(answers.tasks.as_ref()).filter_map(Task::read).collect();
        let of_services: BTreeMap<&str, &str> =
            services.iter().map(|one| (one.id.as_str(), one.name.as_str())).collect();
        let of_nodes: BTreeMap<&str, &str> =
            nodes.iter().map(|one| (one.id.as_str(), one.name.as_str())).collect();
        let name = |names: &BTreeMap<&str, &str>, id: &str| {
            names.get(id).copied().unwrap_or_default().to_owned()
        };
        for task in &mut tasks {
            task.service = name(&of_services, &task.service_id);
            task.node = name(&of_nodes, &task.node_id);
        }
        tasks.sort_by(|a, b| (&a.service, a.slot, &a.id).cmp(&(&b.service, b.slot, &b.id)));
        let has_services = answers.services.is_some();
        Self { nodes, containers, services, tasks, has_services }
    }

    /// Nodes that the endpoint has not read yet: what is on them is not known.
    pub fn unread(&self) -> usize {
        self.nodes.iter().filter(|node| node.state == "unknown").count()
    }

    /// The node with this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name && !name.is_empty())
    }
}

/// The node that a plain engine is.
fn engine(info: &Value, address: Option<&str>) -> Node {
    let text = |key: &str| info.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let labels = info.get("Labels").and_then(Value::as_array).into_iter().flatten();
    Node {
        id: text("ID"),
        name: text("Name"),
        address: address.unwrap_or("127.0.0.1").to_owned(),
        availability: "active".to_owned(),
        state: "ready".to_owned(),
        ready: true,
        labels: crate::container::pairs(labels.filter_map(Value::as_str)),
        role: String::new(),
    }
}

impl Node {
    /// An engine that a pool reaches by a socket has no address but the one its containers tell, or
    /// this machine's.
    fn amend(&mut self, containers: &[Container], answers: &Answers) {
        if self.address.starts_with('/') {
            let mut own = containers.iter().filter(|container| container.node == self.name);
            let told = own.find_map(|one| answers.lasting.get(&one.id)?.node_ip.clone());
            let usual = answers.address.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
            self.address = told.unwrap_or(usual);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plain_engine_is_one_node() {
        let sight = Sight::of(&Answers {
            info: json!({"ID": "i", "Name": "h", "Labels": ["a=b"]}),
            containers: json!([{"Id": "a", "Names": ["/web"], "State": "running"}]),
            address: Some("10.0.0.9".into()),
            ..Answers::default()
        });
        assert_eq!(sight.nodes[0].address, "10.0.0.9");
        assert_eq!(sight.containers[0].node, "h");
        assert!(!sight.has_services && sight.unread() == 0);
    }

    #[test]
    fn tasks_get_names_and_unread_nodes_are_counted() {
        let sight = Sight::of(&Answers {
            nodes: Some(json!([
                {"ID": "n", "Description": {"Hostname": "h"}, "Status": {"State": "unknown"}},
                {"ID": "s", "Status": {"State": "ready", "Addr": "unix:///run/a.sock"}}])),
            services: Some(json!([{"ID": "s", "Spec": {"Name": "web"}}])),
            tasks: Some(
                json!([{"ID": "t", "ServiceID": "s", "NodeID": "n", "DesiredState": "running"}]),
            ),
            containers: json!([]),
            ..Answers::default()
        });
        let task = &sight.tasks[0];
        assert_eq!((task.service.as_str(), task.node.as_str()), ("web", "h"));
        assert_eq!(sight.unread(), 1);
        assert_eq!(sight.nodes[0].address, "127.0.0.1", "a socket is this machine's");
    }
}
