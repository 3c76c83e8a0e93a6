//! From what was seen to the steps of `swarm down`.
//!
//! Invariants: a swarm that goes on keeps its quorum, or it is asked for by force; no manager's store goes
//! unless somebody answered for its swarm, or by force; nothing is removed that no manifest names; what is gone
//! already gets no step.

use super::{Action, Plan, Step, count, pool};
use crate::check::Refusal;
use crate::look::{Look, Seen, Swarm};
use crate::script::DATA;
use crate::standing::{Listed, Standing};

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct DownWish {
    /// Machines that stay, and are asked as managers: by their place in the list.
    pub stay: Vec<usize>,
    /// Whatever the swarm loses by it.
    pub force: bool,
}

/// The steps, or what stands in the way.
pub fn plan_down(look: &Look, wish: &DownWish) -> Result<Plan, Vec<Refusal>> {
    if look.hosts.iter().any(|seen| pool::part(seen).is_some()) {
        return pool::plan_pool_down(look, wish);
    }
    let going: Vec<_> = (0..look.hosts.len()).filter(|at| !wish.stay.contains(at)).collect();
    let mut refusals = in_the_way(look, wish, &going);
    let rest = Rest::of(look, &going);
    if !wish.force {
        refusals.extend(rest.as_ref().and_then(|rest| rest.refusal(look)));
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let manifests = look.hosts.iter().find_map(|seen| seen.facts.manifest.as_ref());
    let name = look.swarm.as_ref().and_then(|swarm| swarm.name.clone());
    let name = name.or_else(|| manifests.map(|manifest| manifest.cluster.clone()));
    let mut plan = Plan { name: name.unwrap_or_default(), ..Plan::default() };
    match &rest {
        Some(rest) if !rest.ends() && rest.has_managers() && !rest.is_orderly() => {
            break_off(look, &going, rest, &mut plan);
        }
        rest => leave(look, &going, rest.as_ref(), &mut plan),
    }
    let off = going.iter().flat_map(|at| off(*at, look.hosts.get(*at))).collect();
    plan.stage(off);
    Ok(plan)
}

fn in_the_way(look: &Look, wish: &DownWish, going: &[usize]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for at in &wish.stay {
        let Some(seen) = look.hosts.get(*at) else { continue };
        if seen.standing.member().is_none_or(|member| !member.manager) {
            refusals.push(Refusal::new(&seen.target, "it is no manager that could be asked"));
        }
    }
    for seen in going.iter().filter_map(|at| look.hosts.get(*at)) {
        if seen.facts.odd_manifest {
            let words = "what is on it was put there by another version of swarm: use that one";
            refusals.push(Refusal::new(&seen.target, words));
        }
        if seen.standing == Standing::Locked && !wish.force {
            let words = "its manager waits for the unlock key: docker swarm unlock over there first, or --force";
            refusals.push(Refusal::new(&seen.target, words));
        }
        let words = unknown(look, seen).filter(|_| !wish.force);
        refusals.extend(words.map(|words| Refusal::new(&seen.target, words)));
        let Some(member) = seen.standing.member() else { continue };
        if let Some(swarm) = &look.swarm
            && !swarm.nodes.iter().any(|node| node.id == member.node)
        {
            let words = "it is a node of another swarm than the others: one swarm at a time";
            refusals.push(Refusal::new(&seen.target, words));
        }
    }
    refusals
}

/// Why nobody knows what ends with a machine.
fn unknown(look: &Look, seen: &Seen) -> Option<String> {
    if let Standing::Odd(words) = &seen.standing {
        return Some(format!("its daemon is not well ({words}): mend it, or --force"));
    }
    let manifest = seen.facts.manifest.as_ref()?;
    let would_go = seen.facts.store && manifest.folders.iter().any(|folder| folder == DATA);
    let told = look.swarm.iter().flat_map(|swarm| &swarm.nodes);
    let is_listed = told.into_iter().any(|node| Some(&node.id) == manifest.node.as_ref());
    (seen.standing == Standing::Absent && would_go && !is_listed).then(|| {
        "its daemon does not run, and it is a manager: nobody knows what ends with its store; start it, name \
         a manager of its swarm by --manager, or --force"
            .to_owned()
    })
}

/// What is left of the swarm.
struct Rest<'a> {
    swarm: &'a Swarm,
    /// Nodes that are not named.
    nodes: Vec<&'a Listed>,
    /// Who is asked: one that stays, or the last of those that go.
    keeper: usize,
}

impl<'a> Rest<'a> {
    fn of(look: &'a Look, going: &[usize]) -> Option<Self> {
        let swarm = look.swarm.as_ref()?;
        let named = |node: &Listed| going.iter().any(|at| node_of(look, *at) == Some(&node.id));
        let nodes = swarm.nodes.iter().filter(|node| !named(node)).collect();
        let manages = |at: &usize| {
            let member = look.hosts.get(*at).and_then(|seen| seen.standing.member());
            member.is_some_and(|member| member.manager)
        };
        let mut managers: Vec<_> = (0..look.hosts.len()).filter(manages).collect();
        managers.sort_by_key(|at| going.contains(at));
        let stays = managers.iter().find(|at| !going.contains(at));
        let keeper = *stays.or(managers.last())?;
        Some(Self { swarm, nodes, keeper })
    }

    fn ends(&self) -> bool {
        self.nodes.is_empty()
    }

    fn has_managers(&self) -> bool {
        self.nodes.iter().any(|node| node.manager)
    }

    /// Whether nodes can be taken out in order: there is a quorum now, and after them.
    fn is_orderly(&self) -> bool {
        let [now, after] = [quorum(&self.swarm.nodes), quorum(self.nodes.iter().copied())];
        now.holds() && after.holds()
    }

    /// What the swarm would lose.
    fn refusal(&self, look: &Look) -> Option<Refusal> {
        let host = look.hosts.get(self.keeper).map_or_else(String::new, |s| s.target.to_string());
        let refuse = |words: String| Some(Refusal { host: host.clone(), words });
        let name = self.swarm.name.as_deref().unwrap_or(&self.swarm.id);
        if self.ends() {
            let services = &self.swarm.services;
            if services.is_empty() {
                return None;
            }
            return refuse(format!(
                "the swarm {name} would end, with {} ({}): --force, if that is meant",
                count(services.len(), "service"),
                few(services)
            ));
        }
        let names: Vec<_> = self.nodes.iter().map(|node| node.hostname.clone()).collect();
        if !self.has_managers() {
            return refuse(format!(
                "{} of the swarm {name} would be left without a manager ({}): name them too, make one of \
                 them a manager (swarm up --manager), or --force",
                count(self.nodes.len(), "node"),
                few(&names)
            ));
        }
        let now = quorum(&self.swarm.nodes);
        if !now.holds() {
            return refuse(format!(
                "the swarm {name} has no quorum now: of its {} {} can be reached, so that nobody is taken out in \
                 order; bring them back first, or --force",
                count(now.all, "manager"),
                now.reachable
            ));
        }
        let after = quorum(self.nodes.iter().copied());
        if !after.holds() {
            return refuse(format!(
                "the swarm {name} would be left without a quorum: of the {} that stay {} can be reached; bring \
                 them back first, or --force",
                count(after.all, "manager"),
                after.reachable
            ));
        }
        None
    }
}

/// How many managers there are.
struct Quorum {
    all: usize,
    reachable: usize,
}

impl Quorum {
    fn holds(&self) -> bool {
        self.reachable > self.all / 2
    }
}

fn quorum<'a>(nodes: impl IntoIterator<Item = &'a Listed>) -> Quorum {
    let mut found = Quorum { all: 0, reachable: 0 };
    for node in nodes.into_iter().filter(|node| node.manager) {
        found.all += 1;
        found.reachable += usize::from(node.reachable);
    }
    found
}

/// Some names, and how many more.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// The node that a machine is, or was by its manifest.
fn node_of(look: &Look, at: usize) -> Option<&String> {
    let seen = look.hosts.get(at)?;
    match seen.standing.member() {
        Some(member) => Some(&member.node),
        None => seen.facts.manifest.as_ref()?.node.as_ref(),
    }
}

/// Those whose daemon runs as a node's, and is told to leave.
fn running(look: &Look, going: &[usize]) -> Vec<usize> {
    let runs = |at: &&usize| {
        let standing = look.hosts.get(**at).map(|seen| &seen.standing);
        matches!(standing, Some(Standing::Member(_) | Standing::Odd(_)))
    };
    going.iter().filter(runs).copied().collect()
}

/// Out of a swarm that cannot take them out: nobody is asked, each leaves by itself.
fn break_off(look: &Look, going: &[usize], rest: &Rest<'_>, plan: &mut Plan) {
    let listed = |at: usize| {
        let node = node_of(look, at)?;
        rest.swarm.nodes.iter().find(|one| one.id == *node)
    };
    let manages = |at: &usize| listed(*at).is_some_and(|node| node.manager);
    let (managers, workers): (Vec<_>, Vec<_>) = running(look, going).into_iter().partition(manages);
    let step = |host: usize| Step { host, action: Action::Leave { force: true } };
    plan.stage(workers.into_iter().map(step).collect());
    plan.one_by_one(managers.into_iter().map(step));
    let left = going.iter().filter_map(|at| listed(*at)).map(|node| {
        let demote =
            if node.manager { format!("docker node demote {}; ", node.id) } else { String::new() };
        format!(
            "on a manager that stays, once it has a quorum (where the others are lost for good: docker swarm \
             init --force-new-cluster): {demote}docker node rm --force {}",
            node.id
        )
    });
    plan.afterwards.extend(left);
}

/// Out of the swarm, in order.
fn leave(look: &Look, going: &[usize], rest: Option<&Rest<'_>>, plan: &mut Plan) {
    let members = running(look, going);
    let is_well = |at: &usize| look.hosts.get(*at).is_some_and(|s| s.standing.member().is_some());
    let Some(rest) = rest else {
        // Workers, and no manager who could be told.
        let step = |host: &usize| Step { host: *host, action: Action::Leave { force: true } };
        plan.stage(members.iter().map(step).collect());
        plan.afterwards.extend(members.iter().filter_map(|at| {
            Some(format!("on a manager: docker node rm {}", node_of(look, *at)?))
        }));
        return;
    };
    let by = rest.keeper;
    let listed = |at: usize| {
        let node = node_of(look, at)?;
        rest.swarm.nodes.iter().find(|one| one.id == *node)
    };
    let (managers, workers): (Vec<_>, Vec<_>) =
        members.iter().partition(|at| listed(**at).is_some_and(|node| node.manager));
    let all = |hosts: &[usize], force: bool| {
        let step = |host: &usize| {
            let force = force || !is_well(host);
            Step { host: *host, action: Action::Leave { force } }
        };
        hosts.iter().map(step).collect()
    };
    if rest.ends() || !rest.has_managers() {
        // No swarm is left to be kept in order.
        plan.stage(all(&workers, false));
        plan.one_by_one(all(&managers, true).into_iter().collect::<Vec<_>>());
        return;
    }
    let told = |host: usize, make: fn(usize, String) -> Action| {
        let action = make(by, listed(host)?.id.clone());
        Some(Step { host, action })
    };
    let drain = |by, node| Action::Drain { by, node };
    let demote = |by, node| Action::Demote { by, node };
    let remove = |by, node| Action::Remove { by, node };
    plan.stage(members.iter().filter_map(|host| told(*host, drain)).collect());
    // Machines whose daemon does not run, and which the swarm still has.
    let silent: Vec<_> =
        going.iter().copied().filter(|at| !members.contains(at) && listed(*at).is_some()).collect();
    let lost = silent.iter().copied().filter(|at| listed(*at).is_some_and(|node| node.manager));
    let lost = lost.chain(managers.iter().copied().filter(|at| !is_well(at)));
    plan.one_by_one(lost.filter_map(|host| told(host, demote)).collect::<Vec<_>>());
    let last = members.iter().copied().filter(|at| *at == by);
    let before: Vec<_> = members.iter().copied().filter(|at| *at != by).collect();
    let demoted = managers.iter().copied().filter(|at| *at != by && is_well(at));
    plan.one_by_one(demoted.filter_map(|host| told(host, demote)).collect::<Vec<_>>());
    plan.stage(all(&before, false));
    plan.stage(before.iter().chain(&silent).filter_map(|host| told(*host, remove)).collect());
    // It was asked until now; nobody is left to take it out of the list.
    for host in last {
        plan.one_by_one(told(host, demote));
        plan.stage(all(&[host], false));
        plan.afterwards.extend(
            listed(host).map(|node| format!("on a manager that stays: docker node rm {}", node.id)),
        );
    }
}

/// The daemon off, and what was put there removed.
fn off(host: usize, seen: Option<&Seen>) -> Vec<Step> {
    let Some(seen) = seen else { return Vec::new() };
    let mut actions = Vec::new();
    if seen.facts.unit.as_ref().is_some_and(|unit| unit.active || unit.enabled) {
        actions.push(Action::Stop);
    }
    actions.extend(seen.facts.manifest.clone().map(Action::Clean));
    actions.into_iter().map(|action| Step { host, action }).collect()
}

#[cfg(test)]
mod tests;
