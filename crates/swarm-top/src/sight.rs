//! What a manager's answers say of its pool, in the rows that are shown; a swarm's are read by `swarm`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;
use swarm_docker::{json, units};

use crate::swarm;

/// How many events are kept.
const EVENTS: usize = 500;
/// The labels by which Compose and stacks name the service of a container, and what it is a part of.
const SERVICE_LABELS: [(&str, &str); 2] = [
    ("com.docker.swarm.service.name", "com.docker.stack.namespace"),
    ("com.docker.compose.service", "com.docker.compose.project"),
];

/// A manager's answers.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// To `GET /info`.
    pub info: Value,
    /// To `GET /nodes`.
    pub nodes: Value,
    /// To `GET /containers/json?all=1`.
    pub containers: Value,
    /// Of a swarm's manager to `GET /services?status=1`; nothing of a pool's.
    pub services: Value,
    /// Of a swarm's manager to `GET /tasks`, those that are wanted.
    pub tasks: Value,
}

/// An amount in use, and how much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Use {
    pub used: i64,
    pub of: i64,
}

impl Use {
    /// In percent; 0 where there is nothing.
    pub fn percent(self) -> u16 {
        if self.of <= 0 {
            return 0;
        }
        let percent = i128::from(self.used.max(0)) * 100 / i128::from(self.of);
        u16::try_from(percent).unwrap_or(u16::MAX)
    }

    fn plus(self, other: Self) -> Self {
        let (used, of) = (self.used.saturating_add(other.used), self.of.saturating_add(other.of));
        Self { used, of }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub name: String,
    pub state: String,
    pub availability: String,
    pub running: i64,
    pub containers: i64,
    pub cpus: Use,
    pub memory: Use,
    pub engine: String,
    pub note: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Container {
    pub name: String,
    pub node: String,
    pub image: String,
    pub state: String,
    pub status: String,
    pub service: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Service {
    pub name: String,
    pub running: usize,
    pub containers: usize,
    pub nodes: usize,
    pub images: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub nanos: i64,
    pub node: String,
    pub what: String,
    pub whom: String,
}

/// A pool as it is shown.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    pub(crate) nodes: Vec<Node>,
    pub(crate) containers: Vec<Container>,
    pub(crate) services: Vec<Service>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) cpus: Use,
    pub(crate) memory: Use,
    pub(crate) role: String,
    pub(crate) primary: String,
    pub(crate) leader: String,
    pub(crate) is_swarm: bool,
    pub(crate) strategy: String,
    pub(crate) warnings: Vec<String>,
    pub(crate) waiting: String,
    /// Why what is shown is old, while it is.
    pub(crate) trouble: Option<String>,
}

impl Sight {
    /// The manager has answered.
    pub fn answered(&mut self, answers: &Answers) {
        let info = &answers.info;
        let row = |name: &str| {
            let rows = info["SystemStatus"].as_array().into_iter().flatten();
            let mut found = rows.filter(|row| row[0] == name).map(|row| text(&row[1]));
            found.next().unwrap_or_default()
        };
        (self.role, self.primary) = (row("Role"), row("Primary"));
        (self.strategy, self.waiting) = (row("Strategy"), row("Waiting"));
        let warnings = info["Warnings"].as_array().into_iter().flatten().map(text);
        self.warnings =
            warnings.map(|said| said.trim_start_matches("WARNING: ").to_owned()).collect();
        self.is_swarm = swarm::is_swarm(answers);
        if self.is_swarm {
            // What the pool behind its endpoint is called means nothing to a swarm's people.
            (self.role, self.primary, self.strategy) = Default::default();
            self.leader = swarm::leader(answers);
            self.nodes = swarm::nodes(answers);
            self.containers = swarm::containers(answers);
            self.services = swarm::services(answers);
        } else {
            self.nodes = list(&answers.nodes).map(node).collect();
            self.containers = list(&answers.containers).map(container).collect();
            self.services = services(&self.containers);
        }
        let sum = |of: fn(&Node) -> Use| self.nodes.iter().map(of).fold(Use::default(), Use::plus);
        (self.cpus, self.memory) = (sum(|node| node.cpus), sum(|node| node.memory));
        self.trouble = None;
    }

    /// The manager did not answer.
    pub fn failed(&mut self, why: impl Into<String>) {
        self.trouble = Some(why.into());
    }

    /// Something happened. Streams that are opened again tell some of it twice.
    pub fn happened(&mut self, event: &Value) {
        let Some(event) = read_event(event) else { return };
        if self
            .events
            .iter()
            .rev()
            .take_while(|known| known.nanos >= event.nanos)
            .any(|known| *known == event)
        {
            return;
        }
        self.events.push_back(event);
        if self.events.len() > EVENTS {
            self.events.pop_front();
        }
    }

    /// When the last event happened, in seconds since 1970: from where to read on.
    pub fn last_event(&self) -> Option<i64> {
        self.events.back().map(|event| event.nanos.div_euclid(1_000_000_000))
    }

    pub(crate) fn ready(&self) -> usize {
        self.nodes.iter().filter(|node| node.state == "ready").count()
    }

    pub(crate) fn running(&self) -> usize {
        self.containers.iter().filter(|container| container.state == "running").count()
    }
}

pub(crate) fn list(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.as_array().into_iter().flatten()
}

/// A text without what would move a terminal's cursor.
pub(crate) fn text(value: &Value) -> String {
    json::text(value).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A node as `GET /nodes` has it.
pub(crate) fn node(node: &Value) -> Node {
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let (has, own) = (&node["Description"]["Resources"], &node["Swarm"]);
    let reserved = &own["Reserved"];
    let use_of =
        |resource: &str| Use { used: number(&reserved[resource]), of: number(&has[resource]) };
    Node {
        name: text(&node["Spec"]["Name"]),
        state: text(&node["Status"]["State"]),
        availability: text(&node["Spec"]["Availability"]),
        running: number(&own["Running"]),
        containers: number(&own["Containers"]),
        cpus: use_of("NanoCPUs"),
        memory: use_of("MemoryBytes"),
        engine: text(&node["Description"]["Engine"]["EngineVersion"]),
        note: text(&node["Status"]["Message"]),
    }
}

pub(crate) fn container(container: &Value) -> Container {
    let full = text(&container["Names"][0]);
    let full = full.trim_start_matches('/');
    let (node, name) = full.split_once('/').unwrap_or(("", full));
    let labels = &container["Labels"];
    let service = SERVICE_LABELS.iter().find_map(|(service, group)| {
        let service = labels[service].as_str()?;
        Some(match labels[group].as_str() {
            // Stacks name their services by the stack already.
            Some(group) if !service.starts_with(&format!("{group}_")) => {
                format!("{group}/{service}")
            }
            _ => service.to_owned(),
        })
    });
    Container {
        name: name.to_owned(),
        node: node.to_owned(),
        image: text(&container["Image"]),
        state: text(&container["State"]),
        status: text(&container["Status"]),
        service: text(&Value::from(service.unwrap_or_default())),
    }
}

/// Containers by the service that their labels name.
fn services(containers: &[Container]) -> Vec<Service> {
    let mut by_name: BTreeMap<&str, Vec<&Container>> = BTreeMap::new();
    for container in containers.iter().filter(|container| !container.service.is_empty()) {
        by_name.entry(&container.service).or_default().push(container);
    }
    let service = |(name, all): (&str, Vec<&Container>)| {
        let distinct = |of: fn(&Container) -> &str| -> BTreeSet<&str> {
            all.iter().map(|container| of(container)).collect()
        };
        let images: Vec<_> = distinct(|container| &container.image).into_iter().collect();
        Service {
            name: name.to_owned(),
            running: all.iter().filter(|container| container.state == "running").count(),
            containers: all.len(),
            nodes: distinct(|container| &container.node).len(),
            images: images.join(", "),
        }
    };
    by_name.into_iter().map(service).collect()
}

fn read_event(event: &Value) -> Option<Event> {
    let actor = &event["Actor"];
    let attributes = &actor["Attributes"];
    let named = ["name", "container"].iter().find_map(|key| attributes[key].as_str());
    let whom = named.map_or_else(|| text(&actor["ID"]), str::to_owned);
    let node =
        ["node.name", "com.docker.swarm.node"].iter().find_map(|key| attributes[key].as_str());
    Some(Event {
        nanos: event["timeNano"]
            .as_i64()
            .or_else(|| event["time"].as_i64()?.checked_mul(1_000_000_000))?,
        node: text(&Value::from(node.unwrap_or_default())),
        what: format!("{} {}", text(&event["Type"]), text(&event["Action"])),
        whom: text(&Value::from(whom)),
    })
}

/// Memory in use and in all, in words.
pub(crate) fn memory_words(memory: Use) -> String {
    format!("{} / {}", units::bytes(memory.used), units::bytes(memory.of))
}

/// CPUs in use and in all, in words.
pub(crate) fn cpu_words(cpus: Use) -> String {
    format!("{} / {}", units::cpus(cpus.used), units::cpus(cpus.of))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn services_are_what_labels_name() {
        let of = |name: &str, state: &str, labels: Value| json!({"Names": [name], "Image": "i", "State": state, "Status": "x", "Labels": labels});
        let compose = |project: &str| json!({"com.docker.compose.service": "web", "com.docker.compose.project": project});
        let stack = json!({"com.docker.swarm.service.name": "shop_db",
                           "com.docker.stack.namespace": "shop"});
        let containers = json!([
            of("/n1/a", "running", compose("one")),
            of("/n2/b", "exited", compose("one")),
            of("/n1/c", "running", compose("two")),
            of("/n3/d", "running", stack),
            of("/alone", "running", json!({})),
        ]);
        let mut sight = Sight::default();
        sight.answered(&Answers { containers, ..Answers::default() });
        let seen: Vec<_> =
            sight.services.iter().map(|s| (&*s.name, s.running, s.containers, s.nodes)).collect();
        assert_eq!(seen, [("one/web", 1, 2, 2), ("shop_db", 1, 1, 1), ("two/web", 1, 1, 1)]);
        assert_eq!((sight.containers[4].node.as_str(), sight.running()), ("", 4));
    }

    #[test]
    fn what_is_told_twice_is_shown_once_and_only_so_much_is_kept() {
        let event = |nanos: i64, name: &str| {
            json!({"Type": "container", "Action": "start", "timeNano": nanos,
                   "Actor": {"ID": "c", "Attributes": {"name": name, "node.name": "n1"}}})
        };
        let mut sight = Sight::default();
        for nanos in [5, 6, 6, 5, 7] {
            sight.happened(&event(nanos * 1_000_000_000, "web"));
        }
        assert_eq!(sight.events.len(), 3);
        assert_eq!(sight.last_event(), Some(7));
        sight.happened(&event(7_000_000_000, "db"));
        assert_eq!(sight.events.len(), 4);
        for nanos in 8..2_000 {
            sight.happened(&event(nanos * 1_000_000_000, "web"));
        }
        assert_eq!(sight.events.len(), EVENTS);
        sight.happened(&json!({"Type": "container"}));
        assert_eq!(sight.events.len(), EVENTS);
    }

    #[test]
    fn no_name_moves_the_cursor() {
        assert_eq!(text(&json!("a\u{1b}[2Jb\nc")), "a [2Jb c");
    }

    proptest! {
        #[test]
        fn percents_are_total(used: i64, of: i64) {
            let _ = Use { used, of }.percent();
        }
    }
}
