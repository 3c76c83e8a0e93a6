//! The steps of `swarm down` for machines of a pool.
//!
//! Invariants: agents take their leave while there is a manager that hears it; engines and what runs on them stay;
//! no engine is left without a manager unless that is asked for by force.

use super::{Service, manage_line, managers_of, part};
use crate::check::Refusal;
use crate::look::{Look, Seen};
use crate::plan::{Action, DownWish, Plan, Step, count};
use crate::script::MANAGE_UNIT;

/// The steps, or what stands in the way.
pub fn plan_pool_down(look: &Look, wish: &DownWish) -> Result<Plan, Vec<Refusal>> {
    let going: Vec<_> = (0..look.hosts.len()).filter(|at| !wish.stay.contains(at)).collect();
    let (managers, generation) = managers_of(look);
    let address = |at: &usize| look.hosts.get(*at).and_then(part).map(|part| &part.address);
    let gone = |manager: &String| going.iter().any(|at| address(at) == Some(manager));
    let staying: Vec<String> = managers.iter().filter(|one| !gone(one)).cloned().collect();
    let mut refusals = Vec::new();
    for (at, seen) in look.hosts.iter().enumerate() {
        if seen.facts.odd_manifest {
            let words = "what is on it was put there by another version of swarm: use that one";
            refusals.push(Refusal::new(&seen.target, words));
        }
        if seen.standing.member().is_some() {
            let words = "it is a node of a swarm, and others are in a pool: one at a time";
            refusals.push(Refusal::new(&seen.target, words));
        }
        if wish.stay.contains(&at) && part(seen).is_none_or(|part| !part.manages()) {
            refusals.push(Refusal::new(&seen.target, "it is no manager of the pool"));
        }
    }
    let name = look.hosts.iter().find_map(|seen| seen.facts.manifest.as_ref());
    let name = name.map(|manifest| manifest.cluster.clone()).unwrap_or_default();
    if staying.is_empty() && !wish.force {
        refusals.extend(left_alone(look, &going, &name));
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut plan = Plan { name, ..Plan::default() };
    let of = |service: Service| -> Vec<usize> {
        let there = |at: &usize| look.hosts.get(*at).is_some_and(|seen| is_on(seen, service));
        going.iter().copied().filter(there).collect()
    };
    let step = |host: usize, action: Action| Step { host, action };
    let agents = of(Service::Join).into_iter();
    plan.stage(agents.map(|host| step(host, Action::Halt(Service::Join))).collect());
    let stopped = of(Service::Manage);
    for host in &stopped {
        let line = look.hosts.get(*host).and_then(part).filter(|_| !staying.is_empty());
        // One after the other: each needs a quorum of those that are left.
        plan.one_by_one(
            line.map(|part| step(*host, Action::LeaveStore { line: manage_line(part) })),
        );
    }
    plan.stage(stopped.iter().map(|host| step(*host, Action::Halt(Service::Manage))).collect());
    let clean = going.iter().filter_map(|host| {
        let manifest = look.hosts.get(*host)?.facts.manifest.clone()?;
        Some(step(*host, Action::Clean(manifest)))
    });
    plan.stage(clean.collect());
    if staying.len() < managers.len() {
        let told = wish.stay.iter().filter_map(|host| {
            let mut manifest = look.hosts.get(*host)?.facts.manifest.clone()?;
            let part = manifest.pool.as_mut()?;
            part.managers.clone_from(&staying);
            part.generation = generation + 1;
            Some(step(*host, Action::Manifest(manifest)))
        });
        plan.stage(told.collect());
        if !staying.is_empty() {
            plan.afterwards.push(
                "swarm up --pool with the machines that stay, so that they know who their managers are"
                    .to_owned(),
            );
        }
    }
    Ok(plan)
}

fn is_on(seen: &Seen, service: Service) -> bool {
    let ours = part(seen).is_some();
    seen.facts.services.get(service.unit()).is_some_and(|unit| unit.active || unit.enabled) && ours
}

/// Engines that would have no manager any more.
fn left_alone(look: &Look, going: &[usize], name: &str) -> Option<Refusal> {
    let Some(pool) = look.pool.as_ref() else {
        let runs = |at: &&usize| {
            let unit = look.hosts.get(**at).and_then(|seen| seen.facts.services.get(MANAGE_UNIT));
            unit.is_some_and(|unit| unit.active)
        };
        let seen = look.hosts.get(*going.iter().find(runs)?)?;
        let words = format!(
            "its manager does not answer, so it is not known which engines the pool {name} would have left: \
             see journalctl -u swarm-manage over there, or --force"
        );
        return Some(Refusal::new(&seen.target, words));
    };
    let goes = |engine: &&String| {
        let address =
            |at: &usize| look.hosts.get(*at).and_then(part).map(|part| part.address.clone());
        going.iter().filter_map(address).any(|address| address == **engine)
    };
    let left: Vec<_> = pool.engines.iter().filter(|engine| !goes(engine)).cloned().collect();
    if left.is_empty() {
        return None;
    }
    let host = look.hosts.get(pool.by).map_or_else(String::new, |seen| seen.target.to_string());
    let words = format!(
        "{} of the pool {name} would be left without a manager ({}): name their machines too, or --force",
        count(left.len(), "engine"),
        left.join(", ")
    );
    Some(Refusal { host, words })
}
