//! The port filter: every wished host port must be free. Containers in the host's network are
//! compared with each other by the ports they expose, all others by the ports they publish.

use super::{Check, Push, Tier};
use crate::placement::node::NodeSummary;
use crate::placement::ports::{PortUse, PortWish};
use crate::placement::request::Request;

struct Published<'a>(&'a PortWish);

impl Check for Published<'_> {
    fn passes(&self, node: &NodeSummary) -> bool {
        self.0.pick(&node.ports, &[]).is_some()
    }

    fn what(&self) -> String {
        self.0.to_string()
    }

    fn why(&self, node: &NodeSummary) -> Option<String> {
        Some(format!("taken on {}", node.name))
    }
}

struct InHostNetwork<'a>(&'a PortUse);

impl Check for InHostNetwork<'_> {
    fn passes(&self, node: &NodeSummary) -> bool {
        node.host_ports.conflict(self.0).is_none()
    }

    fn what(&self) -> String {
        format!("{} (Host mode)", self.0)
    }

    fn why(&self, node: &NodeSummary) -> Option<String> {
        Some(format!("taken on {}", node.name))
    }
}

pub(super) fn rules<'a>(request: &'a Request, push: &mut Push<'_, 'a>) {
    for wish in &request.ports {
        push(Tier::Hard, Box::new(Published(wish)));
    }
    for port in &request.host_ports {
        push(Tier::Hard, Box::new(InHostNetwork(port)));
    }
}
