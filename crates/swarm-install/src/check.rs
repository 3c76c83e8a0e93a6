//! What stands in the way on a machine, and what to do about it. Pure.

use std::fmt;

use crate::facts::{Engine, Facts, Rights};
use crate::look::Seen;
use crate::program::{Program, is_after};
use crate::script::{BINARY, MANIFEST};
use crate::standing::Standing;
use crate::target::Target;

/// Seconds of difference from which certificates and logs are in doubt.
const CLOCK: i64 = 30;

/// What stands in the way on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub host: String,
    /// In words, with what to do.
    pub words: String,
}

impl Refusal {
    /// On that machine.
    pub fn new(target: &Target, words: impl Into<String>) -> Self {
        Self { host: target.to_string(), words: words.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.host, self.words)
    }
}

/// Why we may not do there what has to be done.
pub fn rights(rights: Rights) -> Option<&'static str> {
    match rights {
        Rights::Root | Rights::Sudo => None,
        Rights::Refused => Some(
            "this user is not root, and sudo asks for a password or refuses: log in as root, or allow it \
             sudo without a password (NOPASSWD)",
        ),
        Rights::None => Some("this user is not root, and there is no sudo: log in as root"),
    }
}

/// Why a machine cannot become or stay a node by `swarm up`.
pub fn node(seen: &Seen, program: &Program) -> Vec<String> {
    let facts = &seen.facts;
    let mut found = system(facts);
    if facts.kernel != "Linux" {
        return found;
    }
    found.extend(other_swarm(&facts.engine));
    if !facts.is_installed_otherwise() {
        found.extend(binary(facts, program));
        found.extend(older(facts, program));
    }
    match &seen.standing {
        Standing::Locked => found.push(
            "its manager waits for the unlock key: docker swarm unlock over there, then again"
                .to_owned(),
        ),
        Standing::Odd(words) => found.push(format!("its swarm daemon is not well: {words}")),
        Standing::Absent | Standing::Idle | Standing::Member(_) => {}
    }
    found
}

/// Why a machine cannot be in a pool. Its engine may be in a swarm of its own.
pub fn machine(seen: &Seen, program: &Program) -> Vec<String> {
    let mut found = system(&seen.facts);
    if seen.facts.kernel == "Linux" {
        found.extend(binary(&seen.facts, program));
        found.extend(older(&seen.facts, program));
    }
    found
}

/// What every machine needs.
fn system(facts: &Facts) -> Vec<String> {
    if facts.kernel != "Linux" {
        return vec![format!("it runs {}: nodes are Linux machines", facts.kernel)];
    }
    let mut found = Vec::new();
    if !facts.systemd {
        found.push("no systemd runs it: install it by hand (docs/install.md)".to_owned());
    }
    found.extend(engine(&facts.engine));
    found
}

fn engine(engine: &Engine) -> Option<String> {
    Some(match engine {
        Engine::None => "there is no Docker Engine: install one (https://docs.docker.com/engine/install, or the \
             distribution's docker.io), then again"
            .to_owned(),
        Engine::Stopped => {
            "its Docker Engine does not run: systemctl start docker over there, then again".to_owned()
        }
        Engine::Silent => {
            "its Docker Engine does not answer at /var/run/docker.sock: see journalctl -u docker over there"
                .to_owned()
        }
        // What cannot be asked is asked by the daemon, once it is there.
        Engine::Unasked | Engine::Answers { .. } => return None,
    })
}

fn other_swarm(engine: &Engine) -> Option<String> {
    let Engine::Answers { swarm, .. } = engine else { return None };
    (!["inactive", ""].contains(&swarm.as_str())).then(|| {
        format!(
            "its engine is in a swarm of its own ({swarm}); an engine is in one of the two: docker swarm leave \
             over there first, and see docs/from-swarm-mode.md"
        )
    })
}

fn binary(facts: &Facts, program: &Program) -> Vec<String> {
    let mut found = Vec::new();
    if facts.machine != program.machine {
        found.push(format!(
            "its processor is {}, and the binary is for {}: give one for it with --binary FILE",
            facts.machine, program.machine
        ));
    }
    if facts.odd_manifest {
        found.push(format!("its {MANIFEST} was written by another version of swarm: use that one"));
    } else if facts.manifest.is_none()
        && facts.binary.as_ref().is_some_and(|sum| *sum != program.sum)
    {
        found.push(format!("there is a {BINARY} that swarm up did not put there: move it away"));
    }
    found
}

/// An older program is not put over a newer one, whose store it may not read.
fn older(facts: &Facts, program: &Program) -> Option<String> {
    let there = &facts.manifest.as_ref()?.version;
    let replaces = facts.binary.as_ref() != Some(&program.sum);
    (replaces && is_after(there, &program.version)).then(|| {
        format!(
            "it has swarm {there}, and this is {}, which may not read what that one wrote: use swarm {there} \
             or a newer one",
            program.version
        )
    })
}

/// What does not stand in the way, and should be known. `manager`: whether it is to be one.
pub fn notes(seen: &Seen, manager: bool) -> Vec<String> {
    let mut notes: Vec<_> = notes_of_clock(seen).into_iter().collect();
    if let Some(firewall) = seen.facts.firewall.as_ref().filter(|_| manager) {
        notes.push(format!(
            "its firewall ({firewall}) seems to keep others from port 2377 (TCP), which all nodes need of a \
             manager; swarm up opens nothing"
        ));
    }
    notes
}

/// The same of its clock.
pub fn notes_of_clock(seen: &Seen) -> Option<String> {
    let way = if seen.ahead > 0 { "ahead of" } else { "behind" };
    (seen.ahead.abs() > CLOCK).then(|| {
        format!(
            "its clock is {} s {way} this machine's: certificates may not hold yet or any more; set it by NTP",
            seen.ahead.abs()
        )
    })
}

#[cfg(test)]
pub mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::manifest::Manifest;
    use crate::remote::Remote;
    use crate::ssh::Ssh;

    /// The program of the tests.
    pub fn program() -> Program {
        Program {
            path: "/here/swarm".into(),
            version: "1.0.0".into(),
            sum: "new".into(),
            size: 23 << 20,
            machine: "x86_64".into(),
        }
    }

    /// A machine that is as it should be, with nothing of ours.
    pub fn fresh(name: &str) -> Seen {
        let target = Target::parse(name).unwrap();
        let ssh = Arc::new(Ssh::new("ssh", false).unwrap());
        let facts = Facts {
            kernel: "Linux".into(),
            machine: "x86_64".into(),
            hostname: name.into(),
            systemd: true,
            engine: Engine::Answers { version: "28".into(), swarm: "inactive".into() },
            ..Facts::default()
        };
        let remote = Remote::new(ssh, target.clone(), BINARY);
        let (address, standing) = (Some("10.0.0.1".into()), Standing::Absent);
        Seen { target, address, facts, ahead: 0, standing, remote }
    }

    #[test]
    fn each_thing_in_the_way_is_told_with_what_to_do() {
        type Change = fn(&mut Seen);
        assert_eq!(node(&fresh("h1"), &program()), [""; 0]);
        let cases: [(Change, &str); 11] = [
            (|seen| seen.facts.kernel = "Darwin".into(), "Linux machines"),
            (|seen| seen.facts.systemd = false, "docs/install.md"),
            (|seen| seen.facts.engine = Engine::None, "install one"),
            (|seen| seen.facts.engine = Engine::Stopped, "systemctl start docker"),
            (|seen| seen.facts.engine = Engine::Silent, "journalctl -u docker"),
            (
                |seen| {
                    let swarm = "active".to_owned();
                    seen.facts.engine = Engine::Answers { version: "28".into(), swarm };
                },
                "docker swarm leave",
            ),
            (|seen| seen.facts.machine = "aarch64".into(), "--binary FILE"),
            (|seen| seen.facts.binary = Some("other".into()), "move it away"),
            (|seen| seen.facts.odd_manifest = true, "another version"),
            (|seen| seen.standing = Standing::Locked, "docker swarm unlock"),
            (|seen| seen.standing = Standing::Odd("was removed".into()), "was removed"),
        ];
        for (change, words) in cases {
            let mut seen = fresh("h1");
            change(&mut seen);
            let found = node(&seen, &program());
            assert!(found.len() == 1 && found[0].contains(words), "{words}: {found:?}");
        }
        assert!(rights(Rights::Refused).unwrap().contains("NOPASSWD"));
        assert!(rights(Rights::None).unwrap().contains("as root"));
    }

    #[test]
    fn an_older_program_replaces_no_newer_one_in_a_pool_either() {
        let mut seen = fresh("h1");
        seen.facts.manifest = Some(Manifest::new("pool", "1.1.0"));
        seen.facts.binary = Some("other".into());
        let found = machine(&seen, &program());
        assert!(found.len() == 1 && found[0].contains("it has swarm 1.1.0"), "{found:?}");
        seen.facts.binary = Some(program().sum);
        assert_eq!(machine(&seen, &program()), [""; 0]);
    }

    #[test]
    fn what_should_be_known_is_noted() {
        let mut seen = fresh("h1");
        assert_eq!(notes(&seen, true), [""; 0]);
        seen.ahead = -90;
        seen.facts.firewall = Some("ufw".into());
        assert!(notes(&seen, true)[0].contains("90 s behind"));
        assert!(notes(&seen, true)[1].contains("ufw"));
        assert_eq!(notes(&seen, false).len(), 1, "a worker listens nowhere");
    }
}
