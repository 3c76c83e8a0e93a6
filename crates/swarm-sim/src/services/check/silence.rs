//! A cluster that has come to rest writes nothing.

use super::Breach;
use crate::services::cluster::Cluster;

pub(crate) fn look(cluster: &Cluster, writes: u64) -> Result<(), Breach> {
    let more = cluster.store.writes - writes;
    if more == 0 {
        return Ok(());
    }
    let words = format!("{more} writes after it came to rest");
    Err(Breach { rule: "converged means silent", words })
}
