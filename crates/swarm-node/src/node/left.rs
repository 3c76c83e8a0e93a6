//! How a member leaves: what it ran ends with it, and what it kept goes.

use swarm_backend::{Part, Result};

use super::{CERTIFICATES, Node, Standing};
use crate::kept::Kept;
use crate::manager::Manager;
use crate::words;

impl Node {
    /// `docker swarm leave`.
    pub(crate) async fn leave(&self, force: bool) -> Result<()> {
        let _one_at_a_time = self.changing.lock().await;
        match self.standing() {
            Standing::Member(member) => {
                if !force && let Some(manager) = member.manager() {
                    let members = manager.store().members().await;
                    let answering = members.iter().filter(|member| member.reachable).count();
                    return Err(words::leaving_manager(answering, members.len()));
                }
                member.stop(true).await;
            }
            Standing::Failed(_) | Standing::Locked(_) if force => self.end_tasks().await,
            Standing::Locked(_) => return Err(words::leaving_locked()),
            Standing::Failed(why) => return Err(words::no_manager(Part::Error, Some(&why))),
            Standing::Inactive | Standing::Pending => return Err(words::in_none()),
        }
        self.forget().await;
        self.told.write().clear();
        self.set(Standing::Inactive);
        Ok(())
    }

    /// Stops and removes the tasks of a swarm that is left, where no agent can be started: whose they are,
    /// its certificate says. What cannot be removed does not keep the node in its swarm.
    async fn end_tasks(&self) {
        match self.tasks_ended().await {
            Ok(tasks) => {
                tracing::info!(tasks, "the tasks of the left swarm are stopped and removed");
            }
            Err(error) => tracing::warn!(error, "tasks of the left swarm stay"),
        }
    }

    async fn tasks_ended(&self) -> std::result::Result<usize, String> {
        let disk = self.disk().map_err(|error| error.message)?;
        let identity = tokio::task::spawn_blocking(move || disk.identity()).await;
        let identity = identity.map_err(|error| error.to_string())?;
        // Without a certificate it never had any.
        let Some(identity) = identity.map_err(|error| error.to_string())? else { return Ok(0) };
        let (client, cluster) = (self.engine.client().clone(), identity.subject.cluster_id());
        let removed = swarm_agent::remove_tasks(client, cluster).await;
        removed.map_err(|error| error.to_string())
    }

    /// Takes away what a member keeps.
    pub(super) async fn forget(&self) {
        let folder = &self.options.folder;
        if let Err(error) = Kept::forget(folder) {
            tracing::warn!(%error, "a left swarm's file stays");
        }
        if let Err(error) = Manager::forget(folder).await {
            tracing::warn!(%error, "a left swarm's store stays");
        }
        match tokio::fs::remove_dir_all(folder.join(CERTIFICATES)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "a left swarm's certificate stays");
            }
            _ => {}
        }
    }
}
