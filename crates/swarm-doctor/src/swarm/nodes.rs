//! A swarm's nodes: those that are not heard of, and those whose certificates end.

use serde_json::Value;
use swarm_docker::json::text;
use swarm_docker::time::Moment;

use super::{SwarmSeen, ago, list, name_of};
use crate::certificate::LEFT;
use crate::verdict::{Level, Verdict};

/// A node that is not ready, since when and why.
pub(super) fn silent(node: &Value, now: i64, verdict: &mut Verdict) {
    let (name, state) = (name_of(node), text(&node["Status"]["State"]));
    if state == "ready" {
        return;
    }
    let since = Moment::parse(&text(&node["Swarm"]["StateSince"]));
    let since = since.map(|since| format!(" since {}", ago(now, since.as_nanos())));
    let message = text(&node["Status"]["Message"]);
    let what = format!("node {name} is {state}{}: {message}", since.unwrap_or_default());
    let todo = format!(
        "look at swarm daemon there; if it is gone for good: docker node rm --force {name}"
    );
    verdict.find(Level::Warning, what, todo);
}

/// A node's certificate that was not renewed in time.
pub(super) fn certificate(seen: &SwarmSeen, node: &Value, verdict: &mut Verdict) {
    let Some(ends) = Moment::parse(&text(&node["Swarm"]["CertificateEnds"])) else { return };
    let life = &seen.info["Swarm"]["Cluster"]["Spec"]["CAConfig"]["NodeCertExpiry"];
    let Some(life) = life.as_i64().filter(|life| *life > 0) else { return };
    let left = ends.as_nanos().saturating_sub(seen.now);
    let name = name_of(node);
    let todo =
        "it is renewed when the node reaches a manager: look at its daemon's log, and at its clock";
    if left <= 0 {
        let what = format!("the certificate of node {name} has ended");
        verdict.find(Level::Warning, what, todo);
    } else if left < life / 100 * LEFT {
        let what = format!("the certificate of node {name} ends in {}", ago(left, 0));
        verdict.find(Level::Warning, what, todo);
    }
}

/// The nodes whose certificates are by the root that the swarm rotates to (`TLSInfo` of `GET /swarm`, API v1.30),
/// as the docker command counts them.
pub(super) fn moved(seen: &SwarmSeen) -> impl Iterator<Item = &Value> {
    let wanted = &seen.info["Swarm"]["Cluster"]["TLSInfo"];
    let issuer =
        |info: &Value| ["CertIssuerSubject", "CertIssuerPublicKey"].map(|key| text(&info[key]));
    let wanted = issuer(wanted);
    list(&seen.nodes).iter().filter(move |node| issuer(&node["Description"]["TLSInfo"]) == wanted)
}
