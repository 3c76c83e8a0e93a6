//! This manager's part in the election of its pool's primary, from its flags.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::{KeyValue, Layout};
use swarm_pool::{Election, ElectionConfig};

use crate::config::Replication;
use crate::values::Listen;

/// How long the lock of a manager without `--replication` outlives it: as long as the default of
/// those with it.
const LONE_TTL: Duration = Duration::from_secs(20);

/// Campaigns in the store that the discovery is; without one there is nobody to elect from.
pub fn start(
    store: Option<(Arc<dyn KeyValue>, Layout)>,
    replication: Option<&Replication>,
    listen: &[Listen],
) -> Election {
    let Some((store, layout)) = store else { return Election::alone() };
    let config = match replication {
        Some(Replication { ttl, advertise }) => {
            ElectionConfig { replication: true, name: advertise.clone(), ttl: *ttl }
        }
        None => ElectionConfig { replication: false, name: lone_name(listen), ttl: LONE_TTL },
    };
    Election::start(store, &layout, &config)
}

/// Tells two managers apart that were not told where others reach them.
fn lone_name(listen: &[Listen]) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let place = match listen.first() {
        Some(Listen::Tcp(address)) => format!("tcp://{address}"),
        Some(Listen::Unix(path)) => format!("unix://{}", path.display()),
        None => "nowhere".to_owned(),
    };
    format!("{} on {place}", host.trim())
}

#[cfg(test)]
mod tests {
    use swarm_memory::Memory;
    use swarm_pool::Role;

    use super::*;

    #[tokio::test]
    async fn with_a_store_there_is_an_election_and_without_there_is_none() {
        assert_eq!(*start(None, None, &[]).role().borrow(), Role::Alone);
        let (store, layout) = (Memory::new(), Layout::new("p", None));
        let listen = [Listen::Unix("/run/s.sock".into())];
        let with = |replication| {
            let store: Arc<dyn KeyValue> = store.clone();
            start(Some((store, layout.clone())), replication, &listen)
        };
        let lock = async || {
            let lock = store.get(&layout.leader()).await.unwrap().unwrap();
            String::from_utf8(lock.value.to_vec()).unwrap()
        };
        let leads = async |election: &Election| {
            let mut role = election.role();
            role.wait_for(|role| matches!(role, Role::Primary { .. })).await.map(drop).unwrap();
        };
        let lone = with(None);
        leads(&lone).await;
        let name = lock().await;
        assert!(name.ends_with(" on unix:///run/s.sock (without --replication)"), "{name}");
        lone.resign().await;
        let replication = Replication { ttl: LONE_TTL, advertise: "m:1".to_owned() };
        let one = with(Some(&replication));
        leads(&one).await;
        assert_eq!(lock().await, "m:1");
        one.resign().await;
    }
}
