//! A change of the managers that is left in the middle.

use openraft::async_runtime::watch::WatchReceiver as _;

use super::*;
use crate::members::is_joint;

/// So long a write takes here: what is begun is not agreed on at once.
const WRITE: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_leader_began_the_next_one_ends() {
    let streets = Arc::new(Streets::default());
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [first, second, third] = three(&folders, &streets).await;
    for manager in [&second, &third] {
        manager.slow_disk(WRITE);
    }
    let folder = tempfile::tempdir().unwrap();
    let fourth = open(&folder, &streets, "d:1", &["a:1"]).await;
    // The leader lets it count by two steps; all know of the first one when the leader is lost.
    let begun = async {
        for manager in [&second, &third] {
            while !is_joint(&manager.core.raft.metrics().borrow_watched().membership_config) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    timeout(PATIENCE, begun).await.unwrap();
    let others = [&second, &third, &fourth];
    first.cut(&others.map(|manager| manager.id()));
    for manager in others {
        manager.cut(&[first.id()]);
        manager.slow_disk(Duration::ZERO);
    }
    let members = second.members().await;
    let joined = members.iter().find(|member| member.id == fourth.id()).unwrap();
    assert!(!joined.is_voter, "before all have agreed that it counts it does not");
    let counts = async {
        while !second.members().await.iter().all(|member| member.is_voter) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, counts).await.expect("nobody ended what was begun");
    assert!(!is_joint(&second.core.state.membership()));
    for manager in [first, second, third, fourth] {
        manager.shutdown().await;
    }
}
