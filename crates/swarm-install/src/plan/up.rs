//! From what was seen to the steps of `swarm up`.
//!
//! Invariants: what is as it should be gets no step; managers that run are restarted, joined and promoted one
//! at a time, so that a swarm that works goes on; nothing is planned while anything stands in the way.

pub mod endpoint;
pub mod vain;

use std::collections::BTreeMap;

use super::{Action, Plan, Step, count, part};
use crate::check::{Refusal, node, notes};
use crate::look::{Look, Seen, Swarm};
use crate::manifest::{Endpoint, Manifest};
use crate::program::{Program, digest};
use crate::script::{BINARY, DATA, ENDPOINT, ENDPOINT_FILES, SETTINGS, UNIT_FILE};
use crate::standing::{Listed, Standing};

/// The unit, with the binary where `swarm up` puts it.
const PACKAGED_UNIT: &str = include_str!("../../../../contrib/systemd/swarm-daemon.service");
/// A name where none was chosen.
const DEFAULT: &str = "default";
/// The longest name.
const LONGEST: usize = 63;

/// The unit as it is put there; with the settings of an endpoint on TCP where there is one.
pub fn unit(endpoint: bool) -> String {
    let settings =
        if endpoint { format!("Environment=SWARM_CONFIG={ENDPOINT}\n") } else { String::new() };
    PACKAGED_UNIT.replace("ExecStart=/usr/bin/swarm", &format!("{settings}ExecStart={BINARY}"))
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct UpWish {
    /// The cluster's name, where one was chosen.
    pub name: Option<String>,
    /// Machines that are to be managers, by their place in the list.
    pub managers: Vec<usize>,
    /// How many of the machines are to be managers.
    pub count: Option<usize>,
    /// Where others reach a node, where that was chosen.
    pub advertise: BTreeMap<usize, String>,
    /// The binary.
    pub program: Program,
    /// The binary in words.
    pub what: String,
    /// The endpoint on TCP, where one is asked for.
    pub endpoint: Option<EndpointWish>,
}

/// An endpoint on TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointWish {
    /// Its port.
    pub port: u16,
    /// SHA-256 of the authority that is there; `None` where one will be made.
    pub authority: Option<String>,
    /// The folder of it, for words.
    pub folder: String,
    /// Seconds since 1970.
    pub now: i64,
}

/// The steps, or what stands in the way.
pub fn plan_up(look: &Look, wish: &UpWish) -> Result<Plan, Vec<Refusal>> {
    let mut refusals: Vec<_> = look
        .hosts
        .iter()
        .flat_map(|seen| {
            let words = node(seen, &wish.program);
            words.into_iter().map(|words| Refusal::new(&seen.target, words))
        })
        .collect();
    let name = match name(look, wish.name.as_deref()) {
        Ok(name) => name,
        Err(found) => {
            refusals.extend(found);
            String::new()
        }
    };
    for seen in look.hosts.iter().filter(|seen| part(seen).is_some()) {
        let words = "it is in a pool, and a machine is in a swarm or in a pool: swarm down it first, or give \
                     --pool";
        refusals.push(Refusal::new(&seen.target, words));
    }
    refusals.extend(strangers(look, look.swarm.as_ref()));
    let managers = managers(look, wish);
    refusals.extend(vain::refusals(look, wish, &managers));
    for (at, seen) in look.hosts.iter().enumerate() {
        if managers.contains(&at) {
            let words = endpoint::refusal(seen, wish);
            refusals.extend(words.map(|words| Refusal::new(&seen.target, words)));
        }
        let begins = !matches!(seen.standing, Standing::Member(_));
        if managers.contains(&at) && begins && seen.facts.port_taken {
            let words = "something else listens at port 2377, which a manager needs";
            refusals.push(Refusal::new(&seen.target, words));
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut plan = Plan { name, ..Plan::default() };
    for (at, seen) in look.hosts.iter().enumerate() {
        let mut told = notes(seen, managers.contains(&at));
        told.extend(endpoint::note(seen, wish));
        told.extend(kept_free(look, seen));
        plan.notes.extend(told.into_iter().map(|words| (at, words)));
    }
    install(look, wish, &managers, &mut plan);
    members(look, wish, &managers, &mut plan);
    Ok(plan)
}

/// The cluster's name: of the swarm that is there, or the chosen one.
pub fn name(look: &Look, chosen: Option<&str>) -> Result<String, Vec<Refusal>> {
    if let Some(chosen) = chosen {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let first = chosen.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if !first || chosen.len() > LONGEST || !chosen.chars().all(plain) {
            return Err(vec![Refusal {
                host: format!("--name {chosen}"),
                words: format!("expected up to {LONGEST} letters, digits, '-', '_' and '.'"),
            }]);
        }
    }
    let mut name = look.swarm.as_ref().and_then(|swarm| swarm.name.clone());
    let mut refusals = Vec::new();
    for seen in &look.hosts {
        let Some(manifest) = &seen.facts.manifest else { continue };
        let wanted = name.get_or_insert_with(|| manifest.cluster.clone());
        if *wanted != manifest.cluster {
            let words = format!(
                "it is in the cluster {}, others in {wanted}: swarm down it first",
                manifest.cluster
            );
            refusals.push(Refusal::new(&seen.target, words));
        }
    }
    match (chosen, &name) {
        (Some(chosen), Some(there)) if chosen != there => {
            let seen = look.swarm.as_ref().and_then(|swarm| look.hosts.get(swarm.by));
            let seen = seen.or_else(|| look.hosts.iter().find(|s| s.facts.manifest.is_some()));
            let host = seen.map_or_else(String::new, |seen| seen.target.to_string());
            let words = format!("its cluster is named {there}, not {chosen}; a name stays");
            refusals.push(Refusal { host, words });
        }
        _ => {}
    }
    if refusals.is_empty() {
        Ok(name.or_else(|| chosen.map(str::to_owned)).unwrap_or_else(|| DEFAULT.to_owned()))
    } else {
        Err(refusals)
    }
}

/// Nodes of a swarm that none of the machines' managers has.
fn strangers(look: &Look, swarm: Option<&Swarm>) -> Vec<Refusal> {
    let all = look.hosts.iter().filter_map(|seen| Some((seen, seen.standing.member()?)));
    let unknown = all.filter_map(|(seen, member)| match swarm {
        Some(swarm) if swarm.nodes.iter().any(|node| node.id == member.node) => None,
        Some(_) => {
            let words = "it is a node of another swarm: docker swarm leave over there first";
            Some(Refusal::new(&seen.target, words))
        }
        // All of them are workers, and nothing is to be changed about that; or one that is started may have it.
        None if look.hosts.iter().all(|other| other.standing.member().is_some()) => None,
        None if look.hosts.iter().any(sleeps) => None,
        None => {
            let words = format!(
                "it is a worker of a swarm whose managers are at {}: name one of them too, so that the \
                 others can join",
                member.managers.join(", ")
            );
            Some(Refusal::new(&seen.target, words))
        }
    });
    unknown.collect()
}

/// That a node is given no tasks: it was drained by a person, or by a `swarm down` that broke off.
fn kept_free(look: &Look, seen: &Seen) -> Option<String> {
    let id = match seen.standing.member() {
        Some(member) => &member.node,
        None => seen.facts.manifest.as_ref()?.node.as_ref()?,
    };
    let node = look.swarm.as_ref()?.nodes.iter().find(|node| node.id == *id)?;
    let availability = node.kept_free.as_ref()?;
    Some(format!(
        "its availability is {availability}, so that it is given no tasks: docker node update --availability \
         active {id} on a manager gives it some again"
    ))
}

/// Which machines are to be managers.
fn managers(look: &Look, wish: &UpWish) -> Vec<usize> {
    let is = |at: &usize| {
        look.hosts.get(*at).and_then(|seen| seen.standing.member()).is_some_and(|m| m.manager)
    };
    let all = 0..look.hosts.len();
    let mut managers: Vec<_> = all.clone().filter(is).collect();
    managers.extend(wish.managers.iter().filter(|at| !is(at)));
    // The first one of new machines; of nodes, each stays what it is.
    let is_node = |seen: &Seen| seen.standing.member().is_some() || sleeps(seen);
    let least = usize::from(!look.hosts.iter().any(is_node));
    let wanted = wish.count.unwrap_or(least).max(least);
    for at in all {
        if managers.len() >= wanted {
            break;
        }
        if !managers.contains(&at) {
            managers.push(at);
        }
    }
    managers.sort_unstable();
    managers.dedup();
    managers
}

/// What each machine lacks. Managers that run are restarted last, each alone.
fn install(look: &Look, wish: &UpWish, managers: &[usize], plan: &mut Plan) {
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for (host, seen) in look.hosts.iter().enumerate() {
        let asked = wish.endpoint.as_ref().filter(|_| managers.contains(&host));
        let advertise = wish.advertise.get(&host).map(String::as_str);
        let endpoint = asked.and_then(|asked| {
            let names = endpoint::names(seen, advertise);
            endpoint::lacking(seen, asked.port, asked.now, names)
        });
        let actions = of_host(seen, wish, &plan.name, endpoint);
        let manages = seen.standing.member().is_some_and(|member| member.manager);
        for action in actions {
            let step = Step { host, action };
            if manages && step.action == Action::Restart {
                later.push(step);
            } else {
                first.push(step);
            }
        }
    }
    plan.stage(first);
    plan.one_by_one(later);
}

fn of_host(seen: &Seen, wish: &UpWish, name: &str, endpoint: Option<Endpoint>) -> Vec<Action> {
    let facts = &seen.facts;
    let mut actions = Vec::new();
    let unit = facts.unit.as_ref();
    let runs = unit.is_some_and(|unit| unit.active);
    let mut renewed = false;
    if !facts.is_installed_otherwise() {
        let mut manifest = match &facts.manifest {
            Some(manifest) => manifest.clone(),
            None => Manifest::new(name, &wish.program.version),
        };
        let serves = manifest.endpoint.is_some() || endpoint.is_some();
        let old_binary = facts.binary.as_ref().is_some_and(|sum| *sum != wish.program.sum);
        let new_binary = facts.binary.is_none() || old_binary;
        let new_unit = unit.is_none_or(|unit| {
            unit.file != UNIT_FILE || unit.sum != digest(self::unit(serves).as_bytes())
        });
        if new_binary {
            manifest.version.clone_from(&wish.program.version);
            manifest.add_file(BINARY);
        }
        if new_unit {
            manifest.add_file(UNIT_FILE);
        }
        if endpoint.is_some() {
            for file in ENDPOINT_FILES.into_iter().chain([ENDPOINT]) {
                manifest.add_file(file);
            }
        }
        if facts.manifest.is_none() {
            for (folder, there) in [(SETTINGS, facts.settings), (DATA, facts.data)] {
                if !there {
                    manifest.folders.push(folder.to_owned());
                }
            }
        }
        if facts.manifest.as_ref() != Some(&manifest) {
            actions.push(Action::Manifest(manifest));
        }
        if new_binary {
            actions.push(Action::Binary { what: wish.what.clone(), replaces: old_binary });
        }
        renewed = new_binary || new_unit || endpoint.is_some();
        // Before the unit that names its settings.
        actions.extend(endpoint.map(Action::Endpoint));
        if new_unit {
            actions.push(Action::Unit);
        }
    }
    if !runs || unit.is_some_and(|unit| !unit.enabled) {
        actions.push(Action::Start);
    }
    if runs && renewed {
        actions.push(Action::Restart);
    }
    actions
}

/// Whether it was made a node before, and its daemon does not run.
fn sleeps(seen: &Seen) -> bool {
    let noted = seen.facts.manifest.as_ref().is_some_and(|manifest| manifest.node.is_some());
    seen.standing == Standing::Absent && noted && seen.facts.data
}

/// Who begins, joins, is promoted.
fn members(look: &Look, wish: &UpWish, managers: &[usize], plan: &mut Plan) {
    let hosts = look.hosts.iter().enumerate();
    let is_new = |seen: &Seen| seen.standing.member().is_none() && !sleeps(seen);
    let new: Vec<_> = hosts.filter(|(_, seen)| is_new(seen)).map(|(at, _)| at).collect();
    let asleep: Vec<_> = look.hosts.iter().filter(|seen| sleeps(seen)).collect();
    if !asleep.is_empty() && look.swarm.is_none() {
        // What they are a part of is only known when they run.
        plan.afterwards.push(format!(
            "{} had a daemon that did not run: the same command again goes on from there",
            count(asleep.len(), "node")
        ));
        return;
    }
    let advertise = |at: usize| {
        let seen = look.hosts.get(at).and_then(|seen| seen.address.clone());
        wish.advertise.get(&at).cloned().or(seen)
    };
    let keeper = match (&look.swarm, managers.iter().find(|at| new.contains(at))) {
        (Some(swarm), _) => Some(swarm.by),
        // Workers whose managers are elsewhere.
        (None, _) if new.is_empty() => None,
        (None, first) => first.copied(),
    };
    let Some(keeper) = keeper else { return };
    if look.swarm.is_none() {
        let action = Action::Begin { name: plan.name.clone(), advertise: advertise(keeper) };
        plan.stage(vec![Step { host: keeper, action }]);
    }
    let through = look.hosts.get(keeper).map_or_else(String::new, |seen| seen.target.to_string());
    let join = |host: usize, manager: bool| {
        let (through, advertise) = (through.clone(), advertise(host));
        Step { host, action: Action::Join { by: keeper, through, manager, advertise } }
    };
    let others: Vec<_> =
        new.iter().copied().filter(|at| look.swarm.is_some() || *at != keeper).collect();
    let (as_managers, as_workers): (Vec<_>, Vec<_>) =
        others.iter().partition(|at| managers.contains(at));
    plan.one_by_one(as_managers.iter().map(|at| join(*at, true)));
    plan.stage(as_workers.iter().map(|at| join(*at, false)).collect());
    let promoted: Vec<_> = managers
        .iter()
        .filter_map(|at| {
            let member = look.hosts.get(*at)?.standing.member().filter(|m| !m.manager)?;
            let node = member.node.clone();
            Some(Step { host: *at, action: Action::Promote { by: keeper, node } })
        })
        .collect();
    let more = promoted.len();
    plan.one_by_one(promoted);
    if plan.is_empty() {
        return;
    }
    let known = look.swarm.as_ref().map_or(&[][..], |swarm| &swarm.nodes);
    // Who is there, or is started; a node that is lost is not waited for.
    let starts = |node: &&Listed| {
        let mut noted = asleep.iter().filter_map(|seen| seen.facts.manifest.as_ref());
        noted.any(|manifest| manifest.node.as_ref() == Some(&node.id))
    };
    let there = known.iter().filter(|node| node.ready || starts(node)).count();
    let manage = known.iter().filter(|node| node.manager);
    let managing = manage.clone().filter(|node| node.reachable || starts(node)).count();
    let first = usize::from(look.swarm.is_none());
    let (nodes, more) = (there + others.len() + first, as_managers.len() + more + first);
    let action = Action::Ready { by: keeper, nodes, managers: managing + more };
    plan.stage(vec![Step { host: keeper, action }]);
    let all = manage.count() + more;
    if all.is_multiple_of(2) {
        let lost = all.saturating_sub(1) / 2;
        let words =
            format!("{} stand the loss of {lost}: an odd number is better", count(all, "manager"));
        plan.notes.push((keeper, words));
    }
}

#[cfg(test)]
mod tests;
