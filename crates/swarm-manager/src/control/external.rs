//! External certificate authorities in a swarm's settings (`ExternalCAs`; swarmkit
//! `controlapi/ca_rotation.go`): their form, and whether one answers where nodes' certificates will
//! depend on it.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use swarm_backend::Result;
use swarm_ca::external::{DEADLINE, check_url};
use swarm_ca::tls::external;
use swarm_ca::{ExternalCa, RootCa, Roots};
use swarm_docker::ApiError;
use swarm_model::ClusterSpec;

use super::Control;
use super::cluster::{authority, no_swarm};
use super::rotation::given;
use crate::authority::external_urls;

/// Checks the form of each.
pub(super) fn check(entries: &[Value]) -> Result<()> {
    for entry in entries {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let protocol = text("Protocol");
        if !matches!(protocol, "" | "cfssl") {
            return Err(ApiError::invalid(format!("invalid protocol: {protocol:?}")));
        }
        check_url(text("URL")).map_err(|error| ApiError::invalid(error.to_string()))?;
        if !text("CACert").is_empty() {
            let read = Roots::kept(text("CACert"));
            read.map_err(|error| {
                let url = text("URL");
                ApiError::invalid(format!("external CA {url}: its CA certificate: {error}"))
            })?;
        }
    }
    Ok(())
}

impl Control {
    /// Looks, before the settings are written, whether an external authority answers for each root
    /// whose key the swarm does not have. Settings that leave authorities as they are ask nobody.
    pub(super) async fn authorities_answer(&self, asked: &ClusterSpec) -> Result<()> {
        let cluster = self.look(|tables| tables.cluster.clone()).await.ok_or_else(no_swarm)?;
        let present = authority(&cluster)?;
        let [certificate, key] = given(asked);
        let unread = |error: &dyn std::fmt::Display| ApiError::invalid(error.to_string());
        let pinned = present.pinned().map_err(|error| unread(&error))?;
        let desired = certificate.map(Roots::kept).transpose().map_err(|error| unread(&error))?;
        let changes = asked.ca_config.external_cas != cluster.spec.ca_config.external_cas
            || desired.is_some()
            || present.is_forced(asked.ca_config.force_rotate);
        if !changes {
            return Ok(());
        }
        let gives_key = key.is_some() && desired.as_ref() == Some(&pinned);
        if !present.has_key() && !gives_key {
            self.answers(asked, &pinned, &pinned, "current").await?;
        }
        match desired {
            Some(desired) if key.is_none() => {
                self.answers(asked, &desired, &pinned, "desired").await
            }
            None if present.is_rotating() && !present.next_has_key() => {
                let next = present.issuing().map_err(|error| unread(&error))?;
                self.answers(asked, &next, &pinned, "next").await
            }
            _ => Ok(()),
        }
    }

    /// Has the authorities that hold the present root's key cross-sign the next one.
    pub(super) async fn crossed(
        &self,
        asked: &ClusterSpec,
        present: &Roots,
        next: &RootCa,
    ) -> Result<String> {
        // Docker's words and status.
        let failed = |why: &dyn std::fmt::Display| {
            ApiError::system(format!(
                "unable to generate a cross-signed certificate for root rotation: {why}"
            ))
        };
        let outside = self.outside(asked, present, present)?.ok_or_else(|| {
            ApiError::invalid(
                "must provide an external CA for the current external root CA to generate a \
                 cross-signed certificate",
            )
        })?;
        let crossed = outside.cross_sign(next, present, SystemTime::now()).await;
        crossed.map_err(|error| failed(&error))
    }

    /// The authorities that sign for `root`; `None` where none is given.
    fn outside(
        &self,
        asked: &ClusterSpec,
        root: &Roots,
        pinned: &Roots,
    ) -> Result<Option<ExternalCa>> {
        let urls = external_urls(asked, root, pinned).map_err(ApiError::invalid)?;
        let Some(live) = self.identity.get().filter(|_| !urls.is_empty()) else { return Ok(None) };
        let tls = external(&Arc::clone(live), root);
        let tls = tls.map_err(|error| ApiError::system(error.to_string()))?;
        let outside = ExternalCa::new(&urls, tls, DEADLINE);
        outside.map(Some).map_err(|error| ApiError::invalid(error.to_string()))
    }

    /// Whether one that signs for `root` answers.
    async fn answers(
        &self,
        asked: &ClusterSpec,
        root: &Roots,
        pinned: &Roots,
        which: &str,
    ) -> Result<()> {
        let none = |why: &str| {
            ApiError::invalid(format!(
                "there must be at least one valid, reachable external CA corresponding to the \
                 {which} CA certificate{why}"
            ))
        };
        let Some(outside) = self.outside(asked, root, pinned)? else {
            return Err(none(": none is given"));
        };
        outside.reach().await.map_err(|error| none(&format!(": {error}")))
    }
}
