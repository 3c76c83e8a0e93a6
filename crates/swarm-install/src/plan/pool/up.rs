//! The steps of `swarm up --pool`.
//!
//! Invariants: managers that work are restarted and join one at a time; agents begin when a manager is there to
//! register with; what is as it should be gets no step.

use super::{ENGINE_PORT, STORE_PORT, Service, managers_of, part};
use crate::check::{Refusal, machine, notes_of_clock};
use crate::look::{Look, Seen};
use crate::manifest::{Endpoint, Manifest, Part};
use crate::plan::up::endpoint::{lacking, names};
use crate::plan::up::name;
use crate::plan::up::vain::too_many;
use crate::plan::{Action, Plan, Step, UpWish, count};
use crate::program::digest;
use crate::script::{BINARY, DATA, ENDPOINT_FILES, NODE_TOKEN, SETTINGS};
use crate::standing::Standing;

/// The steps, or what stands in the way.
pub fn plan_pool_up(look: &Look, wish: &UpWish) -> Result<Plan, Vec<Refusal>> {
    let Some(asked) = wish.endpoint.as_ref() else {
        let words = "a pool has an endpoint, and none was asked for".to_owned();
        return Err(vec![Refusal { host: "--pool".to_owned(), words }]);
    };
    let named = name(look, wish.name.as_deref());
    let (name, mut refusals) = match named {
        Ok(name) => (name, Vec::new()),
        Err(found) => (String::new(), found),
    };
    refusals.extend(too_many(look, wish));
    let parts = parts(look, wish, asked.port, &mut refusals);
    for (at, seen) in look.hosts.iter().enumerate() {
        let planned = parts.get(at).and_then(Option::as_ref);
        let words = in_the_way(seen, wish, planned);
        refusals.extend(words.into_iter().map(|words| Refusal::new(&seen.target, words)));
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let parts: Vec<Part> = parts.into_iter().flatten().collect();
    let mut plan = Plan { name, ..Plan::default() };
    for (at, seen) in look.hosts.iter().enumerate() {
        plan.notes.extend(notes_of_clock(seen).map(|words| (at, words)));
    }
    steps(look, wish, &parts, &mut plan);
    Ok(plan)
}

/// What each machine is to be; `None` where that is not known, which is told.
fn parts(look: &Look, wish: &UpWish, port: u16, refusals: &mut Vec<Refusal>) -> Vec<Option<Part>> {
    let (mut managers, generation) = managers_of(look);
    let known = managers.len();
    let begins = managers.is_empty();
    let addresses: Vec<_> = look
        .hosts
        .iter()
        .enumerate()
        .map(|(at, seen)| {
            let chosen = wish.advertise.get(&at);
            let there = part(seen).map(|part| &part.address);
            if let (Some(chosen), Some(there)) = (chosen, there)
                && chosen != there
            {
                let words = format!("it is in the pool at {there}: swarm down it first");
                refusals.push(Refusal::new(&seen.target, words));
            }
            let address = there.or(chosen).or(seen.address.as_ref()).cloned();
            if address.is_none() {
                let words = "it was reached in a way that others do not have: give --advertise-addr \
                             HOST=ADDRESS";
                refusals.push(Refusal::new(&seen.target, words));
            }
            address
        })
        .collect();
    for (at, address) in addresses.iter().enumerate() {
        let twice = address.is_some() && addresses.iter().take(at).any(|other| other == address);
        if let Some(seen) = look.hosts.get(at).filter(|_| twice) {
            let words = "another machine has the same address: give --advertise-addr HOST=ADDRESS";
            refusals.push(Refusal::new(&seen.target, words));
        }
    }
    let chosen = wish.managers.iter().filter_map(|at| addresses.get(*at)?.clone());
    for address in chosen {
        if !managers.contains(&address) {
            managers.push(address);
        }
    }
    let wanted = wish.count.unwrap_or(1).max(usize::from(begins));
    for address in addresses.iter().flatten() {
        if managers.len() >= wanted {
            break;
        }
        if !managers.contains(address) {
            managers.push(address.clone());
        }
    }
    // Who is new needs a token, which a manager that is there tells.
    let new = look.hosts.iter().find(|seen| part(seen).is_none());
    let named =
        addresses.iter().flatten().any(|address| managers.iter().take(known).any(|m| m == address));
    if let Some(seen) = new.filter(|_| !begins && !named) {
        let words = format!(
            "to join the pool it needs one of its managers: name the machine of {} too",
            managers.iter().take(known).cloned().collect::<Vec<_>>().join(" or ")
        );
        refusals.push(Refusal::new(&seen.target, words));
    }
    let generation = if managers.len() == known { generation } else { generation + 1 };
    let part = |address: Option<String>| {
        Some(Part { address: address?, port, managers: managers.clone(), generation })
    };
    addresses.into_iter().map(part).collect()
}

/// Why a machine cannot be in the pool, or stay in it.
fn in_the_way(seen: &Seen, wish: &UpWish, planned: Option<&Part>) -> Vec<String> {
    let facts = &seen.facts;
    let mut found = machine(seen, &wish.program);
    let swarms = facts.manifest.as_ref().is_some_and(|manifest| manifest.pool.is_none());
    if swarms || !matches!(seen.standing, Standing::Absent) {
        found.push(
            "a swarm daemon is on it, and a machine is in a swarm or in a pool: swarm down it first"
                .to_owned(),
        );
    }
    let (Some(planned), Some(asked)) = (planned, &wish.endpoint) else { return found };
    let manifest = facts.manifest.as_ref();
    if let Some(there) = manifest.and_then(|manifest| manifest.endpoint.as_ref())
        && asked.authority.as_ref() != Some(&there.authority)
        && !there.authority.is_empty()
    {
        found.push(format!(
            "it has the certificate of another authority than the one in {}: name that folder with --certs",
            asked.folder
        ));
    }
    if let Some(there) = part(seen).filter(|there| there.port != planned.port) {
        found.push(format!(
            "its pool's managers listen on port {0}: give --endpoint {0}",
            there.port
        ));
    }
    let mut services = vec![(Service::Join, vec![(ENGINE_PORT, "the agent")])];
    if planned.manages() {
        let ports = vec![(STORE_PORT, "the managers' store"), (planned.port, "the pool's API")];
        services.push((Service::Manage, ports));
    }
    for (service, ports) in services {
        let runs = facts.services.get(service.unit()).filter(|unit| unit.active || unit.enabled);
        if runs.is_some_and(|_| manifest.is_none()) {
            found.push(format!(
                "its {} was set up by hand: systemctl disable --now {0} over there first",
                service.unit()
            ));
        } else if runs.is_none_or(|unit| !unit.active) {
            let taken = ports.iter().filter(|(port, _)| facts.listening.contains(port));
            found.extend(taken.map(|(port, what)| {
                format!("something else listens at port {port}, which {what} needs")
            }));
        }
    }
    found
}

/// All steps.
fn steps(look: &Look, wish: &UpWish, parts: &[Part], plan: &mut Plan) {
    let Some(first) = parts.first() else { return };
    let at = |address: &String| parts.iter().position(|part| part.address == *address);
    // In the order in which they began; who is asked is the first that is named.
    let managers: Vec<usize> = first.managers.iter().filter_map(at).collect();
    let works = |at: &usize| look.hosts.get(*at).is_some_and(|seen| runs(seen, Service::Manage));
    let keeper = managers.iter().find(|at| works(at)).or(managers.first()).copied();
    let mut files = Vec::new();
    let mut renewed = vec![false; parts.len()];
    for (host, (seen, part)) in look.hosts.iter().zip(parts).enumerate() {
        let actions = of_host(seen, wish, &plan.name, part);
        // A new list of managers alone is in a manifest, and in the units that are compared below.
        if let Some(renewed) = renewed.get_mut(host) {
            *renewed = actions.iter().any(|action| !matches!(action, Action::Manifest(_)));
        }
        files.extend(actions.into_iter().map(|action| Step { host, action }));
    }
    plan.stage(files);
    let through = |by: usize| look.hosts.get(by).map_or_else(String::new, |s| s.target.to_string());
    let of = |host: usize, service: Service| -> Vec<Step> {
        let (Some(seen), Some(part)) = (look.hosts.get(host), parts.get(host)) else {
            return Vec::new();
        };
        let founds = service == Service::Manage && part.managers.first() == Some(&part.address);
        let mut actions = Vec::new();
        if let Some(by) = keeper.filter(|_| !founds && !seen.facts.tokens.contains(service.token()))
        {
            actions.push(Action::Token { by, through: through(by), service });
        }
        let unit = seen.facts.services.get(service.unit());
        let text = service.text(part);
        let new = unit
            .is_none_or(|unit| unit.file != service.file() || unit.sum != digest(text.as_bytes()));
        if new {
            actions.push(Action::Service { service, text });
        }
        let again = unit.is_some_and(|unit| unit.active);
        let renewed = renewed.get(host).is_some_and(|renewed| *renewed);
        if !again || unit.is_some_and(|unit| !unit.enabled) || new || renewed {
            actions.push(Action::Serve { service, again });
        }
        actions.into_iter().map(|action| Step { host, action }).collect()
    };
    // Those that work before those that join them.
    let (there, coming): (Vec<usize>, Vec<usize>) = managers.iter().partition(|at| works(at));
    for host in there.into_iter().chain(coming) {
        plan.stage(of(host, Service::Manage));
    }
    plan.stage((0..parts.len()).flat_map(|host| of(host, Service::Join)).collect());
    if plan.is_empty() {
        return;
    }
    if let Some(by) = keeper {
        let action = Action::Engines {
            by,
            engines: parts.iter().map(|part| part.address.clone()).collect(),
        };
        plan.stage(vec![Step { host: by, action }]);
    }
    let all = first.managers.len();
    if let Some(by) = keeper.filter(|_| all.is_multiple_of(2)) {
        let lost = all.saturating_sub(1) / 2;
        let words =
            format!("{} stand the loss of {lost}: an odd number is better", count(all, "manager"));
        plan.notes.push((by, words));
    }
}

fn runs(seen: &Seen, service: Service) -> bool {
    seen.facts.services.get(service.unit()).is_some_and(|unit| unit.active)
}

/// What a machine lacks before its services can run.
fn of_host(seen: &Seen, wish: &UpWish, name: &str, part: &Part) -> Vec<Action> {
    let facts = &seen.facts;
    let mut manifest = match &facts.manifest {
        Some(manifest) => manifest.clone(),
        None => Manifest::new(name, &wish.program.version),
    };
    manifest.pool = Some(part.clone());
    let old_binary = facts.binary.as_ref().is_some_and(|sum| *sum != wish.program.sum);
    let new_binary = facts.binary.is_none() || old_binary;
    if new_binary {
        manifest.version.clone_from(&wish.program.version);
    }
    let certificate = certificate(seen, wish, part);
    let mut files = vec![BINARY.to_owned(), Service::Join.file(), NODE_TOKEN.to_owned()];
    files.extend(ENDPOINT_FILES.map(str::to_owned));
    if part.manages() {
        files.push(Service::Manage.file());
        if part.managers.first() != Some(&part.address) {
            files.push(Service::Manage.token().to_owned());
        }
    }
    for file in files {
        manifest.add_file(&file);
    }
    for (folder, there) in [(SETTINGS, facts.settings), (DATA, facts.data)] {
        if facts.manifest.is_none() && !there {
            manifest.folders.push(folder.to_owned());
        }
    }
    let mut actions = Vec::new();
    if facts.manifest.as_ref() != Some(&manifest) {
        actions.push(Action::Manifest(manifest));
    }
    if new_binary {
        actions.push(Action::Binary { what: wish.what.clone(), replaces: old_binary });
    }
    actions.extend(certificate.map(Action::Certificate));
    actions
}

/// The certificate that a machine lacks: a manager's is for its API and for reaching agents.
fn certificate(seen: &Seen, wish: &UpWish, part: &Part) -> Option<Endpoint> {
    let asked = wish.endpoint.as_ref()?;
    let port = if part.manages() { part.port } else { ENGINE_PORT };
    lacking(seen, port, asked.now, names(seen, Some(&part.address)))
}
