//! The store among managers that know each other by node certificates.

use swarm_manager::{Batch, Store as _};
use swarm_model::Service;
use tokio::time::timeout;

use crate::manager::{Manager, PATIENCE, eventually};

async fn write(manager: &Manager, id: &str) {
    let service = Service { id: id.into(), ..Service::default() };
    eventually("a write is taken", async || {
        let mut batch = Batch::default();
        batch.put(&service).unwrap();
        manager.gate.replica.commit(batch).await.ok()
    })
    .await;
}

async fn sees(manager: &Manager, id: &str) {
    let replica = &manager.gate.replica;
    eventually("a write is seen", async || {
        replica.read(|tables| tables.services.contains_key(id)).then_some(())
    })
    .await;
}

async fn all_vote(manager: &Manager, count: usize) {
    eventually("all managers vote", async || {
        let members = manager.members().await;
        let all = members.iter().filter(|member| member.votes && member.reachable).count();
        (all == count && members.len() == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_join_replicate_and_follow_another_leader() {
    let first = Manager::found().await;
    let second = first.join().await;
    // Through one that does not lead.
    let third = second.join().await;
    for manager in [&first, &second, &third] {
        all_vote(manager, 3).await;
    }
    for (number, writer) in [&first, &second, &third].into_iter().enumerate() {
        let id = format!("s{number}");
        write(writer, &id).await;
        for reader in [&first, &second, &third] {
            sees(reader, &id).await;
        }
    }
    // A node can join through each of them.
    for manager in [&second, &third] {
        let worker = manager.issued(&manager.tokens().worker).await.unwrap().1;
        let id = worker.identity.subject.node_id();
        manager.gate.replica.read(|tables| assert!(tables.nodes.contains_key(id)));
    }
    let mut led = second.gate.store.leadership();
    first.shutdown().await;
    let elsewhere =
        |leader: &Option<String>| leader.as_ref().is_some_and(|leader| *leader != first.address);
    timeout(PATIENCE, led.wait_for(|now| elsewhere(&now.leader))).await.unwrap().unwrap();
    write(&third, "after").await;
    sees(&second, "after").await;
    second.shutdown().await;
    third.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_taken_out_leaves_the_others_a_quorum() {
    let first = Manager::found().await;
    let second = first.join().await;
    all_vote(&first, 2).await;
    let gone = second.gate.store.own();
    first.gate.store.remove_member(gone).await.unwrap();
    all_vote(&first, 1).await;
    write(&first, "alone").await;
    eventually("it knows that it is out", async || second.gate.store.is_removed().then_some(()))
        .await;
    let refused = first.gate.store.remove_member(first.gate.store.own()).await.unwrap_err();
    assert!(refused.to_string().contains("the last manager of a swarm"), "{refused}");
    second.shutdown().await;
    first.shutdown().await;
}
