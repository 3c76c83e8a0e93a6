//! Looking at all machines at once, before anything is changed: who we are there, what is there, and their
//! parts in a swarm.
//!
//! Leaves to `check` and `plan` what that means. Invariant: nothing is changed by looking.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use futures_util::stream::iter;

use crate::asked::Asked;
use crate::check::{Refusal, rights};
use crate::facts::{Facts, Rights, Who};
use crate::manifest::Part;
use crate::remote::Remote;
use crate::script::{BINARY, DATA, FACTS, MANIFEST, NODE_SOCKET, PACKAGED, POOL_SOCKET, UNIT, WHO};
use crate::ssh::{Errand, Input, Ssh, SshError};
use crate::standing::{Listed, Member, Standing};
use crate::target::Target;

/// Machines at a time.
const AT_ONCE: usize = 32;
/// To connect, jump hosts included.
const CONNECT: Duration = Duration::from_secs(30);
/// The same where a person types a password.
const PERSON: Duration = Duration::from_mins(3);
/// For the facts: the engine and the firewall have 5 s each.
const FACTS_PATIENCE: Duration = Duration::from_secs(30);

/// One machine, as it was found.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which.
    pub target: Target,
    /// Its own address, as ssh reached it.
    pub address: Option<String>,
    /// What is on it.
    pub facts: Facts,
    /// By how many seconds its clock is ahead of this machine's.
    pub ahead: i64,
    /// Its part in a swarm.
    pub standing: Standing,
    pub(crate) remote: Remote,
}

/// The swarm that some of them are in, as one of its managers tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// Which of the machines told it.
    pub by: usize,
    /// Its id.
    pub id: String,
    /// The name that it was given.
    pub name: Option<String>,
    /// All its nodes.
    pub nodes: Vec<Listed>,
    /// The names of its services.
    pub services: Vec<String>,
}

/// The pool that some of them are in, as one of its managers tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Which of the machines told it.
    pub by: usize,
    /// The addresses of its engines, without their ports.
    pub engines: Vec<String>,
}

/// All machines.
#[derive(Debug, Clone)]
pub struct Look {
    /// In the order in which they were named.
    pub hosts: Vec<Seen>,
    /// Where one of them is a manager.
    pub swarm: Option<Swarm>,
    /// The same of a pool.
    pub pool: Option<Pool>,
}

/// Looks at all of them.
pub async fn look(ssh: &Arc<Ssh>, targets: &[Target]) -> Result<Look, Vec<Refusal>> {
    let seen = iter(targets).map(|target| first(ssh, target)).buffered(AT_ONCE);
    let seen: Vec<_> = seen.collect().await;
    let (mut hosts, mut refusals) = (Vec::new(), Vec::new());
    for (target, outcome) in targets.iter().zip(seen) {
        let outcome = match outcome {
            // One after the other: there is one person and one terminal.
            Err(error) if ssh.has_person() && error.may_be_asked() => one(ssh, target, true).await,
            outcome => outcome,
        };
        match outcome {
            Ok(Ok(seen)) => hosts.push(seen),
            Ok(Err(refusal)) => refusals.push(refusal),
            Err(error) => refusals.push(Refusal::new(target, error.to_string())),
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let swarm = swarm(&hosts).await?;
    let pool = pool(&hosts).await;
    Ok(Look { hosts, swarm, pool })
}

async fn first(ssh: &Arc<Ssh>, target: &Target) -> Result<Result<Seen, Refusal>, SshError> {
    one(ssh, target, false).await
}

async fn one(
    ssh: &Arc<Ssh>,
    target: &Target,
    ask: bool,
) -> Result<Result<Seen, Refusal>, SshError> {
    let mut remote = Remote::new(Arc::clone(ssh), target.clone(), BINARY);
    let patience = if ask { PERSON } else { CONNECT };
    let errand = Errand { what: "connect", input: Input::Nothing, patience, ask };
    let told = remote.run(WHO, &[], errand).await?;
    let Some(who) = Who::read(&told) else {
        let words = format!("there is no shell to work with: it said {:?}", told.trim());
        return Ok(Err(Refusal::new(target, words)));
    };
    if let Some(words) = rights(who.rights) {
        return Ok(Err(Refusal::new(target, words)));
    }
    remote.sudo = who.rights == Rights::Sudo;
    let arguments = [BINARY, PACKAGED, UNIT, MANIFEST, DATA, NODE_SOCKET];
    let begun = SystemTime::now();
    let what = "look at the machine";
    let told = remote.script(what, FACTS, &arguments, Input::Nothing, FACTS_PATIENCE).await?;
    let Some(facts) = Facts::read(&told) else {
        let words = "it could not be looked at: its shell ended early";
        return Ok(Err(Refusal::new(target, words)));
    };
    let ahead = ahead(facts.clock, begun);
    if facts.binary.is_none() && facts.packaged.is_some() {
        PACKAGED.clone_into(&mut remote.program);
    }
    let runs = facts.node_socket && facts.unit.as_ref().is_some_and(|unit| unit.active);
    let standing = if runs {
        let asked = Asked::new(&remote).standing().await;
        asked.unwrap_or_else(|error| Standing::Odd(error.to_string()))
    } else {
        Standing::Absent
    };
    let target = target.clone();
    Ok(Ok(Seen { target, address: who.address, facts, ahead, standing, remote }))
}

/// Seconds by which a clock is ahead, beyond what looking took; 0 where it is not known.
fn ahead(clock: Option<i64>, begun: SystemTime) -> i64 {
    let seconds = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    let (from, to) = (seconds(begun), seconds(SystemTime::now()));
    match clock {
        Some(clock) if clock > to => clock - to,
        Some(clock) if clock < from => clock - from,
        _ => 0,
    }
}

/// Asks the first manager among them; another one of another swarm is in the way.
async fn swarm(hosts: &[Seen]) -> Result<Option<Swarm>, Vec<Refusal>> {
    let managers = hosts.iter().enumerate().filter_map(|(at, seen)| {
        let member = seen.standing.member().filter(|member| member.manager)?;
        Some((at, seen, member))
    });
    let mut found: Option<Swarm> = None;
    let mut refusals = Vec::new();
    for (at, seen, member) in managers {
        match &found {
            Some(swarm) if member.swarm.as_deref() != Some(&swarm.id) => {
                let first = hosts.get(swarm.by).map(|seen| seen.target.to_string());
                let first = first.unwrap_or_default();
                let words = format!("it is in another swarm than {first}: one swarm at a time");
                refusals.push(Refusal::new(&seen.target, words));
            }
            Some(_) => {}
            None => match ask(at, seen, member).await {
                Ok(swarm) => found = Some(swarm),
                Err(refusal) => refusals.push(refusal),
            },
        }
    }
    if refusals.is_empty() { Ok(found) } else { Err(refusals) }
}

/// Asks the first manager of a pool among them that answers.
async fn pool(hosts: &[Seen]) -> Option<Pool> {
    for (by, seen) in hosts.iter().enumerate() {
        let manages = seen.facts.manifest.as_ref().and_then(|one| one.pool.as_ref());
        if manages.is_some_and(Part::manages)
            && let Ok(engines) = Asked::at(&seen.remote, POOL_SOCKET).engines().await
        {
            let engines = engines.into_iter().map(|engine| engine.address).collect();
            return Some(Pool { by, engines });
        }
    }
    None
}

async fn ask(by: usize, seen: &Seen, member: &Member) -> Result<Swarm, Refusal> {
    let asked = Asked::new(&seen.remote);
    let failed = |error: crate::asked::AskError| Refusal::new(&seen.target, error.to_string());
    Ok(Swarm {
        by,
        id: member.swarm.clone().unwrap_or_default(),
        name: member.name.clone(),
        nodes: asked.nodes().await.map_err(failed)?,
        services: asked.services().await.map_err(failed)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_by_what_looking_does_not_explain() {
        let begun = SystemTime::now();
        let now = begun.duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
        assert_eq!(ahead(Some(now), begun), 0);
        assert!((99..=100).contains(&ahead(Some(now + 100), begun)));
        assert_eq!(ahead(Some(now - 100), begun), -100);
        assert_eq!(ahead(None, begun), 0);
    }
}
