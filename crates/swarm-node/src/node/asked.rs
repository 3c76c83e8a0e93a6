//! What a node says when it is asked: what answers for the swarm, and what it is itself.

use std::sync::Arc;

use swarm_backend::Result;
use swarm_manager::Control;

use super::warned::rotation_waits;
use super::{Node, Standing};
use crate::info::SwarmInfo;
use crate::manager::Manager;
use crate::member::Way;
use crate::words;

impl Node {
    /// Why it is not what it should be.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self.standing() {
            Standing::Member(member) => member.trouble(),
            Standing::Failed(why) => Some(why),
            Standing::Locked(_) => Some(words::LOCKED.to_owned()),
            Standing::Inactive | Standing::Pending => None,
        }
    }

    /// Its manager, where it runs and knows the swarm; otherwise why there is none.
    pub(crate) fn manager(&self) -> Result<Arc<Manager>> {
        self.control()?;
        match self.standing() {
            Standing::Member(member) => member.manager(),
            _ => None,
        }
        .ok_or_else(|| words::no_manager(self.standing().part(), None))
    }

    /// What answers for the swarm, on a manager.
    pub(crate) fn control(&self) -> Result<Arc<Control>> {
        let standing = self.standing();
        let why = match &standing {
            Standing::Member(member) => {
                let manager = member.manager();
                if let Some(control) = manager.as_ref().and_then(|manager| manager.control()) {
                    return Ok(Arc::clone(control));
                }
                member.trouble()
            }
            Standing::Failed(why) => Some(why.clone()),
            Standing::Inactive | Standing::Pending | Standing::Locked(_) => None,
        };
        Err(words::no_manager(standing.part(), why.as_deref()))
    }

    /// Whether it and the managers reach each other.
    pub(crate) async fn ways(&self) -> Result<Vec<Way>> {
        match self.standing() {
            Standing::Member(member) => Ok(member.ways().await),
            _ => Err(words::in_none()),
        }
    }

    /// `Swarm` of `/info`.
    pub(crate) fn info(&self) -> SwarmInfo {
        let standing = self.standing();
        let local_node_state = standing.part().state();
        let member = match standing {
            Standing::Member(member) => member,
            Standing::Failed(error) => {
                return SwarmInfo { local_node_state, error, ..SwarmInfo::default() };
            }
            Standing::Locked(kept) => {
                let node_addr = kept.advertise.ip().to_string();
                let error = words::LOCKED.to_owned();
                let warnings = self.warning_words();
                let info = SwarmInfo { node_addr, local_node_state, error, ..SwarmInfo::default() };
                return SwarmInfo { warnings, ..info };
            }
            Standing::Inactive | Standing::Pending => {
                return SwarmInfo { local_node_state, ..SwarmInfo::default() };
            }
        };
        let mut info = SwarmInfo {
            node_id: member.node_id().to_string(),
            node_addr: member.address(),
            local_node_state,
            error: member.trouble().or_else(|| member.ailment()).unwrap_or_default(),
            warnings: self.warning_words(),
            remote_managers: Some(member.managers()),
            ..SwarmInfo::default()
        };
        let manager = member.manager();
        if let Some(control) = manager.as_ref().and_then(|manager| manager.control()) {
            info.control_available = true;
            let summary = control.summary();
            info.nodes = Some(summary.nodes);
            info.managers = Some(summary.managers);
            info.cluster = summary.cluster;
            info.warnings.extend(rotation_waits(&summary.awaited).map(|warning| warning.words()));
        }
        info
    }
}
