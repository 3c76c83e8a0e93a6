//! A manager goes on without the others.

use std::sync::Arc;

use swarm_backend::{ApiError, Part, Result};
use swarm_ca::Role;

use super::{Node, Standing};
use crate::manager::Beginning;
use crate::member::Member;
use crate::requests::Init;
use crate::words;

impl Node {
    /// `docker swarm init --force-new-cluster`: the other managers are lost for good.
    pub(super) async fn go_on_alone(&self, member: &Arc<Member>, init: &Init) -> Result<String> {
        if member.role() != Role::Manager {
            return Err(words::no_manager(Part::Worker, None));
        }
        let said = self.said_by(init, &member.kept_now())?;
        let (id, lock) = (member.node_id().to_string(), member.lock_key());
        member.stop(false).await;
        let alone = Beginning { alone: true, ..Beginning::default() };
        let why = match self.resume(Some(alone), lock, said).await {
            Ok(again @ Standing::Member(_)) => {
                self.set(again);
                return Ok(id);
            }
            Ok(_) => "what this node keeps of the swarm is gone".to_owned(),
            Err(why) => why.to_string(),
        };
        self.set(Standing::Failed(why.clone()));
        Err(ApiError::system(why))
    }
}
