//! Whether a swarm's managers can decide, and how many of them may be lost.

use serde_json::Value;

use super::name_of;
use crate::verdict::{Level, Verdict};

/// How many of the managers that answer are more than a majority.
fn spare(answering: usize, all: usize) -> usize {
    answering.saturating_sub(all / 2 + 1)
}

/// What follows where some managers do not answer.
pub fn may_be_lost(answering: usize, all: usize) -> String {
    match spare(answering, all) {
        0 => "if one more is lost nothing can be changed".to_owned(),
        spare => format!("{spare} more may be lost"),
    }
}

/// The leader's name; whether managers may be lost.
pub(super) fn judge(nodes: &[Value], verdict: &mut Verdict) -> String {
    let managers: Vec<_> = nodes.iter().filter(|node| node["ManagerStatus"].is_object()).collect();
    let all = managers.len();
    let answers = |node: &&&Value| node["ManagerStatus"]["Reachability"] == "reachable";
    let answering = managers.iter().filter(answers).count();
    let leading = managers.iter().find(|node| node["ManagerStatus"]["Leader"] == true);
    let Some(leading) = leading else {
        let what = format!("the swarm has no leader: {answering} of {all} managers answer");
        let todo = "what runs goes on, and nothing can be changed: bring managers back until more than \
                    half of them answer; if they are lost for good: docker swarm init --force-new-cluster";
        verdict.find(Level::Critical, what, todo);
        return "(none)".to_owned();
    };
    let spare = spare(answering, all);
    if answering < all {
        let silent = managers.iter().filter(|node| !answers(node)).map(|node| name_of(node));
        let silent: Vec<_> = silent.collect();
        let what = format!(
            "{answering} of {all} managers answer ({} {} not): {}",
            silent.join(", "),
            if silent.len() == 1 { "does" } else { "do" },
            may_be_lost(answering, all)
        );
        let todo = "look at swarm daemon there; if it is gone for good: docker node demote it, and \
                    promote another";
        verdict.find(Level::Warning, what, todo);
    } else if spare == 0 {
        let what = format!(
            "no manager may be lost: there {}",
            match all {
                1 => "is one".to_owned(),
                all => format!("are {all}"),
            }
        );
        verdict.find(Level::Healthy, what, "three can lose one: docker node promote NODE");
    } else {
        verdict.fact(format!("{answering} of {all} managers answer: {spare} may be lost"));
    }
    name_of(leading)
}
