//! The link with the leader: found, followed, lost and found again, on a simulated engine.

mod common;

use anyhow::{Result, ensure};
use common::{Node, id, linked, task};
use swarm_rpc::v1::{LogsWanted, Wish, to_agent};
use swarm_testkit::leader::Leader;

#[tokio::test]
async fn a_node_says_what_it_is_and_that_it_is_there() -> Result<()> {
    let (_node, leader, agent) = linked().await?;
    let heard = leader.until("beats", |heard| heard.beats > 2).await?;
    let description = &heard.description;
    ensure!(description["Hostname"] == "engine-0000", "{description}");
    ensure!(description["Resources"]["NanoCPUs"] == 16_000_000_000_i64, "{description}");
    ensure!(description["Engine"]["EngineVersion"] == "28.5.2", "{description}");
    let leads = Some(leader.address());
    agent.leader().wait_for(|leader| *leader == leads).await?;
    Ok(())
}

#[tokio::test]
async fn the_leader_is_found_by_those_who_know_it() -> Result<()> {
    let node = Node::start().await?;
    let (follower, leader) = (Leader::start().await?, Leader::start().await?);
    follower.follow(Some(leader.address()));
    let agent = node.agent(&[&follower])?;
    leader.until("a session", |heard| heard.sessions == 1).await?;
    // The leader changes, and says so.
    leader.follow(Some(follower.address()));
    follower.follow(None);
    leader.hang_up();
    follower.until("a session", |heard| heard.sessions == 1).await?;
    let leads = Some(follower.address());
    agent.leader().wait_for(|leader| *leader == leads).await?;
    Ok(())
}

#[tokio::test]
async fn wishes_are_handed_on_and_tell_where_managers_are() -> Result<()> {
    let (_node, leader, agent) = linked().await?;
    let next = Leader::start().await?;
    let wish = Wish {
        role: "manager".to_owned(),
        managers: vec![leader.address(), next.address()],
        ..Wish::default()
    };
    leader.say(to_agent::What::Wish(wish.clone()))?;
    let mut wishes = agent.wishes();
    ensure!(*wishes.wait_for(Option::is_some).await? == Some(wish));
    // It dies without a word on who follows.
    drop(leader);
    next.until("a session", |heard| heard.sessions == 1).await?;
    Ok(())
}

#[tokio::test]
async fn words_that_nobody_heard_are_said_again_and_in_order() -> Result<()> {
    let (node, leader, _agent) = linked().await?;
    leader.assign(false, &[task("a", "running"), task("b", "running")], &[])?;
    leader.state(&id("a"), "running").await?;
    leader.state(&id("b"), "running").await?;
    // Away while one ends; the other goes on.
    leader.follow(Some(leader.address()));
    leader.hang_up();
    node.engine().finish(&common::name("a"), 4);
    let before = leader.heard().statuses[&id("b")].len();
    leader.follow(None);
    leader.state(&id("a"), "failed").await?;
    let heard = leader.until("b again", |heard| heard.statuses[&id("b")].len() > before).await?;
    let words = &heard.statuses[&id("b")];
    ensure!(words[before] == words[before - 1], "the same word, with its moment: {words:?}");
    Ok(())
}

#[tokio::test]
async fn a_new_link_is_made_on_request() -> Result<()> {
    let (_node, leader, agent) = linked().await?;
    agent.reconnect();
    leader.until("another session", |heard| heard.sessions == 2).await?;
    Ok(())
}

#[tokio::test]
async fn logs_of_what_is_not_here_end_with_a_reason() -> Result<()> {
    let (_node, leader, _agent) = linked().await?;
    leader.say(to_agent::What::LogsWanted(LogsWanted {
        subscription: "l1".to_owned(),
        task_ids: vec![id("x")],
        stdout: true,
        ..LogsWanted::default()
    }))?;
    let heard = leader.until("an error", |heard| !heard.logs.is_empty()).await?;
    ensure!(heard.logs[0].error.ends_with("is not on this node"), "{:?}", heard.logs);
    ensure!(heard.logs[0].subscription == "l1");
    Ok(())
}
