//! `GET /tasks` and `GET /tasks/{id}` (API v1.24).

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use swarm_backend::{Exchange, Reply, Result, Tasks};
use swarm_core::orchestrator::View;
use swarm_core::orchestrator::differs::differs;
use swarm_docker::{ApiError, Filters};
use swarm_model::{Id, Node, Service, Task, TaskState};

use super::answer::list;
use super::lookup::find;
use super::{Control, filters, shown};
use crate::replica::Tables;

/// `_up-to-date` is for the CLI's progress display.
const ACCEPTED: [&str; 8] =
    ["name", "id", "label", "service", "node", "desired-state", "_up-to-date", "runtime"];

#[async_trait]
impl Tasks for Control {
    async fn list_tasks(&self, exchange: Exchange) -> Result<Reply> {
        let filters = filters::read(&exchange, &ACCEPTED)?;
        let found = self
            .look(|tables| {
                let wanted = Wanted::read(&filters, tables)?;
                let found = wanted.candidates(tables).into_iter();
                let found = found.filter(|task| wanted.has(task, tables));
                Result::Ok(found.cloned().collect::<Vec<_>>())
            })
            .await?;
        let mut tasks = shown::Tasks::default();
        Ok(list(found, move |task: &Arc<Task>| tasks.show(task)))
    }

    async fn inspect_task(&self, name: &str, _exchange: Exchange) -> Result<Reply> {
        let task = self.look(|tables| find::<Task>(tables, name).cloned()).await?;
        Reply::ok(&shown::Tasks::default().show(&task))
    }
}

/// The filters, with ids in the place of names.
struct Wanted<'f> {
    filters: &'f Filters,
    services: BTreeSet<Id>,
    nodes: BTreeSet<Id>,
    states: Vec<TaskState>,
}

impl<'f> Wanted<'f> {
    fn read(filters: &'f Filters, tables: &Tables) -> Result<Self> {
        let services = filters.get("service").iter();
        let services = services.map(|name| Ok(find::<Service>(tables, name)?.id.clone()));
        let nodes = filters.get("node").iter();
        let nodes = nodes.map(|name| Ok(find::<Node>(tables, name)?.id.clone()));
        let states = filters.get("desired-state").iter().filter(|state| !state.is_empty());
        let states = states.map(|word| {
            let mut all = TaskState::ALL.into_iter();
            all.find(|state| state.as_str().eq_ignore_ascii_case(word))
                .ok_or_else(|| ApiError::invalid(format!("Invalid desired-state filter: '{word}'")))
        });
        Ok(Self {
            filters,
            services: services.collect::<Result<_>>()?,
            nodes: nodes.collect::<Result<_>>()?,
            states: states.collect::<Result<_>>()?,
        })
    }

    /// A few tasks that have all that are wanted among them.
    fn candidates<'t>(&self, tables: &'t Tables) -> Vec<&'t Arc<Task>> {
        if !self.services.is_empty() {
            return self.services.iter().flat_map(|id| tables.tasks_of_service(id)).collect();
        }
        if !self.nodes.is_empty() {
            return self.nodes.iter().flat_map(|id| tables.tasks_of_node(id)).collect();
        }
        tables.tasks.values().collect()
    }

    fn has(&self, task: &Task, tables: &Tables) -> bool {
        let filters = self.filters;
        let among = |ids: &BTreeSet<Id>, id: &Id| ids.is_empty() || ids.contains(id);
        let service = tables.services.get(&task.service_id);
        let is_current = || {
            service.is_some_and(|service| {
                let view = View { service, tasks: &[], nodes: &tables.nodes, history: 0 };
                differs(task, service, &view).is_none()
            })
        };
        let named = || filters.get("name").is_empty() || filters.fuzzy("name", &task.name());
        among(&self.services, &task.service_id)
            && among(&self.nodes, &task.node_id)
            && (self.states.is_empty() || self.states.contains(&task.desired_state))
            && filters.fuzzy("id", &task.id)
            && filters.exact("runtime", "container")
            && filters::labelled(filters, "label", &task.service_annotations.labels)
            && named()
            && (filters.get("_up-to-date").is_empty() || is_current())
    }
}
