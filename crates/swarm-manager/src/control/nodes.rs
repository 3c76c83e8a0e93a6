//! `/nodes` (API v1.24; swarmkit `controlapi/node.go`).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use swarm_backend::{Exchange, Nodes, Reply, Result};
use swarm_docker::{ApiError, Filters};
use swarm_model::node::{ManagerStatus, NodeSpec, NodeState, Reachability, Role};
use swarm_model::{Node, TaskState, Time};

use super::answer::{body, done, list, parse, version};
use super::lookup::find;
use super::write::guard;
use super::{Control, failed, filters, now, out_of_sequence};
use crate::overview::reserved;
use crate::replica::{Batch, Member, Object as _, Tables};

const ACCEPTED: [&str; 6] = ["name", "id", "label", "node.label", "role", "membership"];

/// How long managers are asked who of them answers.
const MEMBERS: Duration = Duration::from_secs(2);

/// How long a removed node is remembered beyond its certificate's end, in nanoseconds (a week):
/// clocks differ.
const REMEMBERED: i64 = 7 * 24 * 3600 * 1_000_000_000;

#[async_trait]
impl Nodes for Control {
    async fn list_nodes(&self, exchange: Exchange) -> Result<Reply> {
        let filters = filters::read(&exchange, &ACCEPTED)?;
        check(&filters)?;
        let found: Vec<_> = self
            .look(|tables| {
                let nodes = tables.nodes.values().filter(|node| matches(node, &filters));
                nodes.map(|node| (Arc::clone(node), beside(node, tables))).collect()
            })
            .await;
        let members = self.members().await;
        Ok(list(found, move |(node, beside): &(Arc<Node>, Value)| show(node, beside, &members)))
    }

    async fn inspect_node(&self, name: &str, _exchange: Exchange) -> Result<Reply> {
        let found = |tables: &Tables| {
            let node = find::<Node>(tables, name)?;
            Ok::<_, ApiError>((Arc::clone(node), beside(node, tables)))
        };
        let (node, beside) = self.look(found).await?;
        Reply::ok(&show(&node, &beside, &self.members().await))
    }

    async fn update_node(&self, name: &str, mut exchange: Exchange) -> Result<Reply> {
        let body: Value = parse(&body(&mut exchange).await?)?;
        let spec = spec(body)?;
        let version = version(&exchange, "node")?;
        let members = self.members().await;
        self.write(|tables, batch| {
            let old = find::<Node>(tables, name)?;
            if old.spec.role == Role::Manager && spec.role == Role::Worker {
                may_demote(old, tables, &members)?;
            }
            if old.version.index != version {
                return Err(out_of_sequence());
            }
            if old.spec.role != spec.role {
                guard(tables, batch, Node::TABLE)?;
            }
            let node = Node { spec: spec.clone(), updated_at: now(tables), ..Node::clone(old) };
            batch.put(&node).map_err(failed)
        })
        .await?;
        Ok(done())
    }

    async fn remove_node(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let force = exchange.query.flag("force");
        let members = self.members().await;
        self.write(|tables, batch| {
            let node = find::<Node>(tables, name)?;
            may_remove(node, force, &members)?;
            forget(node, tables, batch)
        })
        .await?;
        Ok(done())
    }
}

impl Control {
    /// The managers; none where they cannot be asked.
    async fn members(&self) -> Vec<Member> {
        let members = self.replica.store().members();
        tokio::time::timeout(MEMBERS, members).await.unwrap_or_default()
    }
}

fn check(filters: &Filters) -> Result<()> {
    for (key, words) in [("role", &["worker", "manager"]), ("membership", &["accepted", "pending"])]
    {
        let mut values = filters.get(key).iter().filter(|value| !value.is_empty());
        if let Some(value) =
            values.find(|value| !words.iter().any(|word| value.eq_ignore_ascii_case(word)))
        {
            return Err(ApiError::invalid(format!("Invalid {key} filter: '{value}'")));
        }
    }
    Ok(())
}

fn matches(node: &Node, filters: &Filters) -> bool {
    let is = |key: &str, word: &str| {
        let mut values = filters.get(key).iter().filter(|value| !value.is_empty()).peekable();
        values.peek().is_none() || values.any(|value| value.eq_ignore_ascii_case(word))
    };
    filters.fuzzy("name", &node.description.hostname)
        && filters.fuzzy("id", &node.id)
        && filters::labelled(filters, "label", &node.description.engine.labels)
        && filters::labelled(filters, "node.label", &node.spec.labels)
        && is("role", node.spec.role.as_str())
        && is("membership", "accepted")
}

/// This project's own of a node, in the form that a pool has it too.
fn beside(node: &Node, tables: &Tables) -> Value {
    let (cpus, memory) = reserved(tables, &node.id);
    let wanted = tables.tasks_of_node(&node.id).filter(|task| task.is_wanted());
    let (mut all, mut running) = (0_u64, 0_u64);
    for task in wanted {
        all += 1;
        running += u64::from(task.status.state == TaskState::Running);
    }
    let mut own = json!({"Containers": all, "Running": running,
        "Reserved": {"NanoCPUs": cpus, "MemoryBytes": memory}});
    for (key, time) in
        [("StateSince", node.state_since), ("CertificateEnds", node.certificate_ends)]
    {
        if !time.is_never() {
            own[key] = json!(time);
        }
    }
    if node.clock_ahead != 0 {
        own["ClockAhead"] = json!(node.clock_ahead);
    }
    own
}

/// As Docker's API shows it.
fn show(node: &Node, beside: &Value, members: &[Member]) -> Node {
    let mut shown = node.clone();
    let member = members.iter().find(|member| node.member != 0 && member.id == node.member);
    if let Some(member) = member {
        let reachability =
            if member.reachable { Reachability::Reachable } else { Reachability::Unreachable };
        let (leader, addr) = (member.leads, member.address.clone());
        shown.manager_status = Some(ManagerStatus { leader, reachability, addr });
    }
    shown.member = 0;
    (shown.certificate_ends, shown.state_since) = (Time::NEVER, Time::NEVER);
    if let Some(words) = node.clock_words().filter(|_| node.status.state == NodeState::Ready) {
        shown.status.message = words;
    }
    shown.clock_ahead = 0;
    shown.rest.insert("Swarm".to_owned(), beside.clone());
    shown
}

/// The body of an update. Role and availability have to be there, as in Docker: without them a
/// client that changes a label would demote a manager.
fn spec(body: Value) -> Result<NodeSpec> {
    for (key, words) in
        [("Role", &["worker", "manager"][..]), ("Availability", &["active", "pause", "drain"][..])]
    {
        let word = body.get(key).and_then(Value::as_str).unwrap_or_default();
        if !words.contains(&word) {
            return Err(ApiError::invalid(format!("invalid {key}: {word:?}")));
        }
    }
    serde_json::from_value(body)
        .map_err(|error| ApiError::invalid(format!("invalid JSON: {error}")))
}

fn may_demote(node: &Node, tables: &Tables, members: &[Member]) -> Result<()> {
    let managers = tables.nodes.values().filter(|other| other.spec.role == Role::Manager);
    if managers.count() == 1 {
        let words = "attempting to demote the last manager of the swarm";
        return Err(ApiError::invalid(words));
    }
    // One that never came, or was lost, is no member: nothing is lost with it.
    if !members.iter().any(|member| member.id == node.member) {
        return Ok(());
    }
    let left: Vec<_> =
        members.iter().filter(|member| member.votes && member.id != node.member).collect();
    let reachable = left.iter().filter(|member| member.reachable).count();
    if reachable <= left.len() / 2 {
        return Err(ApiError::invalid(
            "can't remove member from the raft: this would result in a loss of quorum",
        ));
    }
    Ok(())
}

fn may_remove(node: &Node, force: bool, members: &[Member]) -> Result<()> {
    let id = &node.id;
    let is_member = members.iter().any(|member| node.member != 0 && member.id == node.member);
    if is_member || (node.spec.role == Role::Manager && !force) {
        return Err(ApiError::invalid(format!(
            "node {id} is a cluster manager and is a member of the raft cluster. It must be demoted to \
             worker before removal"
        )));
    }
    if !force && node.status.state == NodeState::Ready {
        return Err(ApiError::invalid(format!("node {id} is not down and can't be removed")));
    }
    Ok(())
}

/// Takes the node out, and remembers it until its last certificate has ended.
fn forget(node: &Node, tables: &Tables, batch: &mut Batch) -> Result<()> {
    let Some(cluster) = &tables.cluster else {
        return Err(ApiError::system("the swarm's own object is missing in the store"));
    };
    let now = now(tables);
    let mut cluster = swarm_model::Cluster::clone(cluster);
    cluster.removed.retain(|_, ends| ends.plus(REMEMBERED) > now);
    let longest = now.plus(cluster.spec.ca_config.node_cert_expiry);
    let ends = if node.certificate_ends.is_never() { longest } else { node.certificate_ends };
    cluster.removed.insert(node.id.clone(), ends);
    cluster.updated_at = now;
    batch.put(&cluster).map_err(failed)?;
    batch.delete(node);
    Ok(())
}
