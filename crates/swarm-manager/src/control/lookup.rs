//! Finding the object a client means: by its id, else by its name, else by the beginning of its id.
//! Docker's order and words (`daemon/cluster/helpers.go`).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use swarm_backend::Result;
use swarm_docker::ApiError;
use swarm_model::{Id, Network, Node, Service, Task};

use crate::replica::{Config, Secret, Tables};

/// What can be looked up.
pub(crate) trait Named: Sized {
    /// Docker's word for it.
    const KIND: &'static str;

    /// Where it is kept.
    fn table(tables: &Tables) -> &BTreeMap<Id, Arc<Self>>;
    /// Whether this is its name.
    fn is_named(&self, name: &str) -> bool;
}

/// The one that `input` names.
pub(crate) fn find<'t, N: Named>(tables: &'t Tables, input: &str) -> Result<&'t Arc<N>> {
    let table = N::table(tables);
    if let Some(found) = table.get(input) {
        return Ok(found);
    }
    let mut found: Vec<_> = table.values().filter(|one| one.is_named(input)).collect();
    if found.is_empty() && !input.is_empty() {
        let begins = table.range::<str, _>((Bound::Included(input), Bound::Unbounded));
        found = begins.take_while(|(id, _)| id.starts_with(input)).map(|(_, one)| one).collect();
    }
    match found.as_slice() {
        [] => Err(missing::<N>(input)),
        [one] => Ok(one),
        several => Err(ApiError::invalid(format!(
            "{} {input} is ambiguous ({} matches found)",
            N::KIND,
            several.len()
        ))),
    }
}

pub(crate) fn missing<N: Named>(input: &str) -> ApiError {
    ApiError::not_found(format!("{} {input} not found", N::KIND))
}

impl Named for Service {
    const KIND: &'static str = "service";
    fn table(tables: &Tables) -> &BTreeMap<Id, Arc<Self>> {
        &tables.services
    }
    fn is_named(&self, name: &str) -> bool {
        self.spec.name == name
    }
}

impl Named for Task {
    const KIND: &'static str = "task";
    fn table(tables: &Tables) -> &BTreeMap<Id, Arc<Self>> {
        &tables.tasks
    }
    fn is_named(&self, name: &str) -> bool {
        // Its id is the end of its name: most are told apart by it, without a name being made.
        name.ends_with(self.id.as_str()) && self.name() == name
    }
}

impl Named for Node {
    const KIND: &'static str = "node";
    fn table(tables: &Tables) -> &BTreeMap<Id, Arc<Self>> {
        &tables.nodes
    }
    fn is_named(&self, name: &str) -> bool {
        self.description.hostname == name && !name.is_empty()
    }
}

impl Named for Secret {
    const KIND: &'static str = "secret";
    fn table(tables: &Tables) -> &BTreeMap<Id, Arc<Self>> {
        &tables.secrets
    }
    fn is_named(&self, name: &str) -> bool {
        self.spec.name == name
    }
}

impl Named for Config {
    const KIND: &'static str = "config";
    fn table(tables: &Tables) -> &BTreeMap<Id, Arc<Self>> {
        &tables.configs
    }
    fn is_named(&self, name: &str) -> bool {
        self.spec.name == name
    }
}

impl Named for Network {
    const KIND: &'static str = "network";
    fn table(tables: &Tables) -> &BTreeMap<Id, Arc<Self>> {
        &tables.networks
    }
    fn is_named(&self, name: &str) -> bool {
        self.spec.name == name
    }
}
