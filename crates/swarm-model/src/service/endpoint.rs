//! `EndpointSpec` of a service: its published ports.

use serde::{Deserialize, Serialize};

use crate::meta::{Rest, is_default, or_default};

/// How clients find the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resolution {
    /// One address for the service.
    #[default]
    #[serde(alias = "")]
    Vip,
    /// The tasks' addresses.
    Dnsrr,
}

/// `EndpointSpec`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointSpec {
    /// How clients find the tasks.
    pub mode: Resolution,
    /// Published ports.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortConfig>,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A transport.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    #[serde(alias = "")]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Where a port is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishMode {
    /// On every node.
    #[default]
    #[serde(alias = "")]
    Ingress,
    /// On the task's own node.
    Host,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortConfig {
    /// A name for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The transport.
    pub protocol: Protocol,
    /// In the container.
    pub target_port: u16,
    /// Outside; 0 for one that is chosen.
    #[serde(skip_serializing_if = "is_default")]
    pub published_port: u16,
    /// Where.
    pub publish_mode: PublishMode,
}

impl EndpointSpec {
    /// The host-mode ports. Two tasks on one node cannot share one that is fixed.
    pub fn host_ports(&self) -> impl Iterator<Item = &PortConfig> {
        self.ports.iter().filter(|port| port.publish_mode == PublishMode::Host)
    }
}
