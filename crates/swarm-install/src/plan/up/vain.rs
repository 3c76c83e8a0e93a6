//! Wishes that no steps can fulfil: refused, never dropped.

use super::{UpWish, sleeps};
use crate::check::Refusal;
use crate::look::Look;

/// What is wished in vain. `managers` are the machines that are to be some.
pub fn refusals(look: &Look, wish: &UpWish, managers: &[usize]) -> Vec<Refusal> {
    too_many(look, wish).into_iter().chain(cannot_be_promoted(look, managers)).collect()
}

/// More managers than machines.
pub fn too_many(look: &Look, wish: &UpWish) -> Option<Refusal> {
    let wanted = wish.count.filter(|wanted| *wanted > look.hosts.len())?;
    let words = match look.hosts.len() {
        1 => "only 1 machine is named".to_owned(),
        named => format!("only {named} machines are named"),
    };
    Some(Refusal { host: format!("--managers {wanted}"), words })
}

/// Workers whose managers are elsewhere: nobody among the machines can promote them.
fn cannot_be_promoted(look: &Look, managers: &[usize]) -> Vec<Refusal> {
    // One that is started may be a manager: what can be done is known then.
    if look.swarm.is_some() || look.hosts.iter().any(sleeps) {
        return Vec::new();
    }
    let wanted = managers.iter().filter_map(|at| look.hosts.get(*at));
    let workers = wanted.filter_map(|seen| {
        let member = seen.standing.member().filter(|member| !member.manager)?;
        let words = format!(
            "it is a worker: name one of its swarm's managers ({}) too, so that it can be promoted",
            member.managers.join(", ")
        );
        Some(Refusal::new(&seen.target, words))
    });
    workers.collect()
}
