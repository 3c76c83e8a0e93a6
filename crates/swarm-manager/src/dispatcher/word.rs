//! What nodes say, and what it changes in the store. Pure.
//!
//! Invariants: an agent moves only tasks of its own node, and only as `swarm_core::task` allows; a node
//! that says what is known already changes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use swarm_ca::IssuerInfo;
use swarm_core::task::{Owner, observe};
use swarm_kv::StoreError;
use swarm_model::node::{NodeDescription, NodeState};
use swarm_model::task::TaskStatus;
use swarm_model::{Id, Node, Task, Time};

use crate::replica::{Batch, Tables};

/// What is heard of a node.
#[derive(Debug, Clone)]
pub enum Word {
    /// It is there, as this describes it.
    Here {
        /// Which.
        node: Id,
        /// What it says of itself.
        description: Box<NodeDescription>,
        /// From where it calls.
        address: Option<IpAddr>,
    },
    /// It describes itself otherwise.
    Described {
        /// Which.
        node: Id,
        /// What it says of itself.
        description: Box<NodeDescription>,
    },
    /// Its clock is ahead of the leader's by so many nanoseconds, 0 for in step.
    Clock {
        /// Which.
        node: Id,
        /// Less than 0 for behind.
        ahead: i64,
    },
    /// It is silent.
    Silent {
        /// Which.
        node: Id,
        /// In words.
        message: String,
    },
    /// It took leave.
    Left {
        /// Which.
        node: Id,
    },
    /// What became of its tasks, in order.
    Statuses {
        /// Which.
        node: Id,
        /// Of these.
        statuses: Vec<(Id, TaskStatus)>,
    },
}

impl Word {
    /// How many objects it changes at most.
    pub fn weight(&self) -> usize {
        match self {
            Self::Statuses { statuses, .. } => statuses.len().max(1),
            _ => 1,
        }
    }
}

/// Writes into a description what the connection tells of a node's TLS, in Docker's form.
pub fn tls_info(description: &mut NodeDescription, roots: &str, issuer: Option<&IssuerInfo>) {
    if roots.is_empty() {
        return;
    }
    let mut info = json!({ "TrustRoot": roots });
    if let Some(issuer) = issuer {
        info["CertIssuerSubject"] = STANDARD.encode(&issuer.subject).into();
        info["CertIssuerPublicKey"] = STANDARD.encode(&issuer.public_key).into();
    }
    description.rest.insert("TLSInfo".to_owned(), info);
}

/// What these words change. `is_silent` says of a node whether it is so still.
pub fn changes(
    words: &[Word],
    tables: &Tables,
    now: Time,
    is_silent: &dyn Fn(&Id) -> bool,
) -> Result<Batch, StoreError> {
    let mut draft = Changes { tables, now, tasks: BTreeMap::new(), nodes: BTreeMap::new() };
    for word in words {
        match word {
            Word::Here { node, description, address } => draft.node(node, |node| {
                describe(node, description);
                ready(node, *address);
            }),
            Word::Described { node, description } => {
                draft.node(node, |node| describe(node, description));
            }
            Word::Clock { node, ahead } => draft.node(node, |node| node.clock_ahead = *ahead),
            Word::Silent { node, message } if is_silent(node) => draft.node(node, |node| {
                if node.status.state != NodeState::Down {
                    node.status.state = NodeState::Down;
                    node.status.message.clone_from(message);
                }
            }),
            Word::Silent { .. } => {}
            Word::Left { node } => draft.node(node, |node| {
                if node.status.state == NodeState::Ready {
                    node.status.state = NodeState::Disconnected;
                    "it took leave".clone_into(&mut node.status.message);
                }
            }),
            Word::Statuses { node, statuses } => {
                for (task, status) in statuses {
                    draft.status(node, task, status);
                }
            }
        }
    }
    let mut batch = Batch::default();
    for node in draft.nodes.values() {
        batch.put(node)?;
    }
    for task in draft.tasks.values() {
        batch.put(task)?;
    }
    Ok(batch)
}

struct Changes<'a> {
    tables: &'a Tables,
    now: Time,
    tasks: BTreeMap<Id, Task>,
    nodes: BTreeMap<Id, Node>,
}

impl Changes<'_> {
    fn node(&mut self, id: &Id, change: impl FnOnce(&mut Node)) {
        let Some(stored) = self.tables.nodes.get(id) else { return };
        let before = self.nodes.get(id).unwrap_or(stored);
        let mut after = before.clone();
        change(&mut after);
        if after == **stored {
            self.nodes.remove(id);
        } else {
            after.updated_at = self.now;
            if after.status.state != stored.status.state {
                after.state_since = self.now;
            }
            self.nodes.insert(id.clone(), after);
        }
    }

    fn status(&mut self, node: &Id, id: &Id, status: &TaskStatus) {
        let before = self.tasks.get(id).or_else(|| self.tables.tasks.get(id).map(|task| &**task));
        let Some(before) = before else {
            tracing::debug!(task = %id, "a status of a task that is gone");
            return;
        };
        if before.node_id != *node {
            tracing::warn!(task = %id, %node, "a node tells of a task that is not its own");
            return;
        }
        let mut after = before.clone();
        match observe(&mut after, Owner::Agent, status.clone(), self.now) {
            Ok(true) => {
                self.tasks.insert(id.clone(), after);
            }
            Ok(false) => {}
            Err(error) => tracing::debug!(task = %id, %error, "a late status"),
        }
    }
}

fn describe(node: &mut Node, description: &NodeDescription) {
    let mut description = description.clone();
    // What a session's beginning told of its TLS stays, where the node does not tell otherwise.
    if let (None, Some(info)) =
        (description.rest.get("TLSInfo"), node.description.rest.get("TLSInfo"))
    {
        description.rest.insert("TLSInfo".to_owned(), info.clone());
    }
    node.description = description;
}

fn ready(node: &mut Node, address: Option<IpAddr>) {
    let seen = match address {
        // A manager calls itself by a way that nobody else has.
        Some(address) if address.is_loopback() => {
            let own = node.manager_status.as_ref().map(|status| status.addr.as_str());
            own.and_then(|own| own.rsplit_once(':'))
                .map(|(host, _)| host.trim_start_matches('[').trim_end_matches(']').to_owned())
        }
        address => address.map(|address| address.to_canonical().to_string()),
    };
    match seen {
        Some(seen) => node.status.addr = seen,
        None if node.status.addr.is_empty() => {
            node.status.addr = address.map(|address| address.to_string()).unwrap_or_default();
        }
        None => {}
    }
    if node.status.state != NodeState::Ready {
        node.status.state = NodeState::Ready;
        node.status.message.clear();
    }
}
