//! Who keeps what is wanted of the endpoint's containers: the manager that leads, as soon as there is
//! anything to keep.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::{KeyValue, Layout, StoreError};
use swarm_pool::{Appointer, Called};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::kept::manager_of;
use crate::node::Node;

/// The pause after the store gave no answer.
const PAUSE: Duration = Duration::from_millis(250);

/// Calls this manager whenever it leads, until it is told to stop.
pub(super) async fn run(
    node: Arc<Node>,
    store: Arc<dyn KeyValue>,
    layout: Layout,
    mut appointer: Appointer,
    stop: CancellationToken,
) {
    let calling = async {
        loop {
            let manager = manager_of(&node).await;
            let mut leadership = manager.store().leadership();
            let leads = async { leadership.wait_for(|now| now.leads).await.is_ok() };
            tokio::select! {
                leads = leads => if leads {
                    let mut over = manager.store().leadership();
                    tokio::select! {
                        () = call(&*store, &layout, &mut appointer) => {}
                        _ = over.wait_for(|now| !now.leads) => {}
                        () = manager.ended() => {}
                    }
                },
                () = manager.ended() => {}
            }
            appointer.call(Called::No);
        }
    };
    let _ = stop.run_until_cancelled(calling).await;
}

/// One leadership; its end is the caller's to see.
async fn call(store: &dyn KeyValue, layout: &Layout, appointer: &mut Appointer) {
    let is_kept = async {
        loop {
            match keeps(store, layout).await {
                Ok(keeps) => return keeps,
                Err(error) => {
                    tracing::debug!(%error, "whether containers are kept is asked again soon");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    if !is_kept.await {
        appointer.call(Called::Unneeded);
        appointer.begun().await;
    }
    appointer.call(Called::Yes);
    std::future::pending::<()>().await;
}

async fn keeps(store: &dyn KeyValue, layout: &Layout) -> Result<bool, StoreError> {
    Ok(!store.list(&layout.intents()).await?.is_empty()
        || !store.list(&layout.removed()).await?.is_empty())
}
