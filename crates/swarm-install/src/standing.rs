//! A machine's part in a swarm, as its daemon tells it, and the swarm as a manager tells it. Pure.

use std::fmt;

use serde_json::Value;

use crate::facts::text_of;

/// The swarm's label that holds its name: `Spec.Name` is always `default`, as in Docker.
pub const NAME: &str = "swarm.cluster";

/// A machine's part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// No daemon runs.
    #[default]
    Absent,
    /// A daemon runs, in no swarm.
    Idle,
    /// It is a node.
    Member(Member),
    /// It is a manager that waits for its unlock key.
    Locked,
    /// Something else, in words.
    Odd(String),
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// Its id.
    pub node: String,
    /// Where others reach it.
    pub address: String,
    /// Whether it is a manager that answers.
    pub manager: bool,
    /// `HOST:PORT` of the managers that it knows.
    pub managers: Vec<String>,
    /// On managers: the swarm's id.
    pub swarm: Option<String>,
    /// On managers: the name that it was given.
    pub name: Option<String>,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "its daemon does not run",
            Self::Idle => "it is in no swarm",
            Self::Member(member) if member.manager => "it is a manager",
            Self::Member(_) => "it is a worker",
            Self::Locked => "it waits for its unlock key",
            Self::Odd(words) => words,
        })
    }
}

impl Standing {
    /// Of `GET /info`.
    pub fn read(info: &Value) -> Self {
        let swarm = &info["Swarm"];
        let error = text_of(swarm, "Error");
        match text_of(swarm, "LocalNodeState").as_str() {
            "inactive" | "" => Self::Idle,
            "locked" => Self::Locked,
            "active" if error.is_empty() => {
                let remote = swarm["RemoteManagers"].as_array();
                let remote = remote.into_iter().flatten().map(|one| text_of(one, "Addr"));
                let cluster = swarm.get("Cluster").filter(|cluster| !cluster.is_null());
                let label = cluster.and_then(|cluster| cluster["Spec"]["Labels"][NAME].as_str());
                Self::Member(Member {
                    node: text_of(swarm, "NodeID"),
                    address: text_of(swarm, "NodeAddr"),
                    manager: swarm["ControlAvailable"].as_bool().unwrap_or_default(),
                    managers: remote.filter(|address| !address.is_empty()).collect(),
                    swarm: cluster.map(|cluster| text_of(cluster, "ID")),
                    name: label.map(str::to_owned),
                })
            }
            state => Self::Odd(if error.is_empty() { state.to_owned() } else { error }),
        }
    }

    /// The node that it is.
    pub fn member(&self) -> Option<&Member> {
        match self {
            Self::Member(member) => Some(member),
            _ => None,
        }
    }
}

/// One node, as a manager lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its machine's name.
    pub hostname: String,
    /// Whether it is to be a manager.
    pub manager: bool,
    /// Whether it is heard of.
    pub ready: bool,
    /// On managers: whether the others hear of it.
    pub reachable: bool,
    /// Its availability, where that is not `active`: it is given no tasks.
    pub kept_free: Option<String>,
}

impl Listed {
    /// Of `GET /nodes`.
    pub fn read(nodes: &Value) -> Vec<Self> {
        let nodes = nodes.as_array().into_iter().flatten();
        let kept_free = |node: &Value| {
            Some(text_of(&node["Spec"], "Availability"))
                .filter(|word| !["active", ""].contains(&word.as_str()))
        };
        let read = |node: &Value| Self {
            id: text_of(node, "ID"),
            hostname: text_of(&node["Description"], "Hostname"),
            manager: node["Spec"]["Role"] == "manager",
            ready: node["Status"]["State"] == "ready",
            reachable: node["ManagerStatus"]["Reachability"] == "reachable",
            kept_free: kept_free(node),
        };
        nodes.map(read).collect()
    }
}

/// One engine, as a pool's manager lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its host, without the port.
    pub address: String,
    /// Whether it answers.
    pub healthy: bool,
    /// Why not, in the manager's words.
    pub error: String,
}

impl Served {
    /// Of `GET /info`: classic Swarm's lines, in which each engine has a row of its name and address, and below it
    /// rows of what is known of it.
    pub fn read(info: &Value) -> Vec<Self> {
        let rows = info["SystemStatus"].as_array().into_iter().flatten();
        let mut found: Vec<Self> = Vec::new();
        for row in rows {
            let [name, value] = [&row[0], &row[1]].map(|text| text.as_str().unwrap_or_default());
            match (name.trim().strip_prefix("└ "), found.last_mut()) {
                (Some("Status"), Some(last)) => last.healthy = value == "Healthy",
                (Some("Error"), Some(last)) => value.clone_into(&mut last.error),
                (None, _) if name.starts_with(' ') => {
                    let host = value.rsplit_once(':').map_or(value, |(host, _)| host);
                    let address = host.trim_matches(['[', ']']).to_owned();
                    found.push(Self { address, healthy: false, error: String::new() });
                }
                _ => {}
            }
        }
        found
    }
}

/// Whether a pool's manager has its part among the others again: the lock that they keep together tells it who is
/// primary. The words are what is in the way.
pub fn is_led(info: &Value) -> Result<(), String> {
    let rows = info["SystemStatus"].as_array().into_iter().flatten();
    let told = |name: &str| rows.clone().find(|row| row[0] == name).and_then(|row| row[1].as_str());
    match (told("Role"), told("Primary")) {
        (None, _) => Err("it does not tell what it is among the pool's managers".to_owned()),
        (Some(_), Some(primary)) if primary.is_empty() || primary.starts_with("(none") => {
            Err(format!("the others do not tell it who is primary {primary}").trim_end().to_owned())
        }
        // One that is alone names nobody.
        (Some(_), _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manager_has_its_part_when_it_knows_the_primary() {
        let info = |rows: Value| json!({ "SystemStatus": rows });
        for (rows, words) in [
            (json!([["Role", "primary"]]), ""),
            (json!([["Role", "primary"], ["Primary", "a:1"]]), ""),
            (json!([["Role", "replica"], ["Primary", "a:1"]]), ""),
            (json!([["Role", "replica"], ["Primary", "(none)"]]), "who is primary (none)"),
            (json!([["Role", "replica"], ["Primary", "(none; the last one was a:1)"]]), "was a:1)"),
            (json!([]), "does not tell what it is"),
        ] {
            let told = is_led(&info(rows.clone())).err().unwrap_or_default();
            assert!(told.contains(words) && told.is_empty() == words.is_empty(), "{rows}: {told}");
        }
    }

    #[test]
    fn a_part_is_read_of_what_the_daemon_tells() {
        let info = json!({ "Swarm": {
            "LocalNodeState": "active", "NodeID": "n1", "NodeAddr": "10.0.0.1",
            "ControlAvailable": true, "Error": "",
            "RemoteManagers": [{ "NodeID": "n1", "Addr": "10.0.0.1:2377" }],
            "Cluster": { "ID": "c1", "Spec": { "Labels": { "swarm.cluster": "prod" } } },
        }});
        let Standing::Member(member) = Standing::read(&info) else { panic!("{info}") };
        assert_eq!((member.node.as_str(), member.manager), ("n1", true));
        assert_eq!((member.swarm.as_deref(), member.name.as_deref()), (Some("c1"), Some("prod")));
        assert_eq!(member.managers, ["10.0.0.1:2377"]);
        for (state, error, standing) in [
            ("inactive", "", Standing::Idle),
            ("locked", "Swarm is encrypted", Standing::Locked),
            ("active", "was removed", Standing::Odd("was removed".into())),
            ("pending", "", Standing::Odd("pending".into())),
        ] {
            let info = json!({ "Swarm": { "LocalNodeState": state, "Error": error } });
            assert_eq!(Standing::read(&info), standing);
        }
    }

    #[test]
    fn engines_of_a_pool_are_read_of_its_status() {
        let info = json!({ "SystemStatus": [
            ["Role", "primary"], ["Nodes", "2"],
            [" h1", "10.0.0.1:2376"], ["  └ ID", "x"], ["  └ Status", "Healthy"], ["  └ Error", "(none)"],
            [" (unknown)", "[fd00::2]:2376"], ["  └ Status", "Pending"], ["  └ Error", "refused"],
        ]});
        let found = Served::read(&info);
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.address.as_str(), one.healthy, one.error.as_str()))
            .collect();
        assert_eq!(found, [("10.0.0.1", true, "(none)"), ("fd00::2", false, "refused")]);
        assert!(Served::read(&json!({})).is_empty());
    }

    #[test]
    fn nodes_are_read_of_their_list() {
        let nodes = json!([
            { "ID": "a", "Description": { "Hostname": "h1" }, "Spec": { "Role": "manager", "Availability": "active" },
              "Status": { "State": "ready" }, "ManagerStatus": { "Reachability": "reachable" } },
            { "ID": "b", "Spec": { "Role": "worker", "Availability": "drain" }, "Status": { "State": "down" } },
        ]);
        let listed = Listed::read(&nodes);
        assert!(listed[0].manager && listed[0].ready && listed[0].reachable);
        assert_eq!(listed[0].hostname, "h1");
        assert!(!listed[1].manager && !listed[1].ready && listed[1].id == "b");
        assert_eq!(
            (listed[0].kept_free.as_deref(), listed[1].kept_free.as_deref()),
            (None, Some("drain"))
        );
        assert!(Listed::read(&json!(null)).is_empty());
    }

    #[test]
    fn a_part_is_told_in_words() {
        let member = |manager| Standing::Member(Member { manager, ..Member::default() });
        for (standing, words) in [
            (Standing::Absent, "its daemon does not run"),
            (Standing::Idle, "it is in no swarm"),
            (member(true), "it is a manager"),
            (member(false), "it is a worker"),
            (Standing::Locked, "it waits for its unlock key"),
            (Standing::Odd("was removed".into()), "was removed"),
        ] {
            assert_eq!(standing.to_string(), words);
        }
    }
}
