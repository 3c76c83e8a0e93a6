//! A pool of three managers that keep its store themselves, and agents of either version: replicas are upgraded
//! first, then the primary.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Managers, Scratch, Watch, until};

use crate::{LONG, previous};

const HOSTS: u8 = 3;
/// Shorter than a person would have it, so that the test does not wait for it.
const GRACE: [&str; 2] = ["--cluster-opt", "swarm.reschedule.grace=1s"];

/// A pool under upgrade.
struct Upgrade<'l> {
    managers: Managers<'l>,
    agents: Vec<Watch>,
    /// Containers that have to stay: name, and when it was started.
    before: Vec<(String, String)>,
    /// All that were made.
    made: Vec<String>,
    steps: u8,
}

impl Upgrade<'_> {
    /// An agent of that version, registered.
    fn agent(&self, host: u8, binary: &Path) -> Result<Watch> {
        let lab = self.managers.lab();
        let mut command = lab.network_command(host, &binary.display().to_string());
        let token = self.managers.token("node").display().to_string();
        command.args(["join", "--advertise", &format!("{}:2375", lab.ip(host))]);
        command.args(["--heartbeat", "1s", "--ttl", "3s"]);
        command.args(["--discovery-opt", &format!("kv.tokenfile={token}")]);
        command.arg(format!("swarm://{}", self.managers.stores()));
        let agent = Watch::start(command)?;
        agent.wait_for(" registered ", LONG)?;
        Ok(agent)
    }

    fn started(&self, name: &str) -> Result<String> {
        let by = self.managers.pool(0)?;
        by.docker(&["inspect", "--format", "{{.State.StartedAt}} {{.State.Running}}", name]).ok()
    }

    /// Makes a container that has to stay.
    fn keep(&mut self, by: usize, name: &str, more: &[&str]) -> Result<()> {
        self.managers.pool(by)?.sleeper(name, more).ok()?;
        self.made.push(name.to_owned());
        let started = self.started(name)?;
        self.before.push((name.to_owned(), started));
        Ok(())
    }

    /// What has to hold after each step: no container was touched, every manager makes some, and all of them
    /// list the same.
    fn check(&mut self, what: &str) -> Result<()> {
        self.steps += 1;
        println!("step {}: {what}", self.steps);
        for by in 0..3 {
            let name = format!("s{}-{}", self.steps, by + 1);
            let policy = ["-e", "reschedule:on-node-failure"];
            until(LONG, format_args!("{what}: manager {} makes {name}", by + 1), || {
                // While the primary changes, a manager says that there is none.
                Ok(self.managers.pool(by)?.sleeper(&name, &policy).ok().ok())
            })?;
            self.made.push(name);
        }
        for by in 0..3 {
            let mut last = Vec::new();
            until(LONG, format_args!("{what}: manager {} lists all", by + 1), || {
                let listed =
                    self.managers.pool(by)?.docker(&["ps", "--format", "{{.Names}}"]).ok()?;
                last =
                    listed.lines().filter_map(|l| l.split('/').nth(1)).map(str::to_owned).collect();
                Ok(self.made.iter().all(|name| last.contains(name)).then_some(()))
            })
            .with_context(|| format!("it lists {last:?} of {:?}", self.made))?;
        }
        for (name, before) in &self.before {
            ensure!(self.started(name)? == *before, "{what}: {name} was touched");
        }
        Ok(())
    }

    /// Ends a manager in order, and starts it again, as `binary` where one is named.
    fn restart(&mut self, by: usize, binary: Option<&Path>) -> Result<()> {
        self.managers.stop(by)?;
        if let Some(binary) = binary {
            self.managers.becomes(by, binary);
        }
        self.managers.restart(by)?;
        self.managers.pool(by)?.manager().wait_healthy(usize::from(HOSTS), LONG)
    }
}

#[test]
fn a_pool_is_upgraded_one_manager_after_the_other() -> Result<()> {
    let (previous, new) = (previous()?, swarm_e2e::swarm()?);
    let lab = Scratch::boot(HOSTS, |_| {})?;
    let managers = Managers::start_as(&previous, &lab, [0, 0, 0], None, &GRACE)?;
    let mut this =
        Upgrade { managers, agents: Vec::new(), before: Vec::new(), made: Vec::new(), steps: 0 };
    let done = upgrade(&mut this, &previous, new);
    done.with_context(|| this.managers.logs().join("\n"))
}

fn upgrade(this: &mut Upgrade<'_>, previous: &Path, new: &Path) -> Result<()> {
    for (host, binary) in [(1, previous), (2, new), (3, previous)] {
        let agent = this.agent(host, binary)?;
        this.agents.push(agent);
    }
    for by in 0..3 {
        this.managers.pool(by)?.manager().wait_healthy(usize::from(HOSTS), LONG)?;
    }
    for host in 1..=2 {
        let place = format!("constraint:node==host-{host}");
        this.keep(0, &format!("stays-{host}"), &["-e", &place])?;
    }
    this.check("old managers, an agent of the new version among old ones")?;

    // The primary last; on a busy machine it may become another one meanwhile.
    let (mut old, mut was_primary) = (vec![0, 1, 2], false);
    while old.len() > 1 {
        let primary = this.managers.primary(&[0, 1, 2])?;
        let by = *old.iter().find(|by| **by != primary).context("all of them are primary")?;
        this.restart(by, Some(new))?;
        old.retain(|one| *one != by);
        was_primary |= old.contains(&this.managers.primary(&[0, 1, 2])?);
        this.check(&format!("manager {} is new, {} old ones are left", by + 1, old.len()))?;
    }
    ensure!(was_primary, "no old manager was primary beside a new one");

    // What the old primary noted is done by a new one, with an old replica of the store beside it.
    let last = old[0];
    let held = ["-e", "reschedule:on-node-failure", "-e", "constraint:node==/host-[23]/"];
    let pool = this.managers.pool(last)?;
    pool.sleeper("held", &[&held[..], &["-e", "affinity:container!=~stays-2"]].concat()).ok()?;
    let place = pool.node_of("held")?;
    ensure!(place == "host-3", "held is on {place}");
    this.restart(last, None)?;
    let others: Vec<_> = (0..3).filter(|by| *by != last).collect();
    this.managers.primary(&others)?;
    this.made.push("held".to_owned());
    this.check("a new manager is primary, an old one is its replica")?;
    this.managers.lab().kill(3)?;
    let (to, after) = this.managers.pool(last)?.moved("held", "host-3", LONG)?;
    println!("held runs on {to} after {after:.1?}");
    // Others of that host were made elsewhere too, where they could be.
    this.managers.lab().start(3)?;
    this.agents[2] = this.agent(3, previous)?;
    for by in 0..3 {
        this.managers.pool(by)?.manager().wait_healthy(usize::from(HOSTS), LONG)?;
    }
    this.check("the machine that was lost is back")?;

    this.restart(last, Some(new))?;
    this.check("all managers are new, two agents are old")?;
    // Agents at any time.
    for host in [1, 3] {
        this.agents[usize::from(host) - 1] = this.agent(host, new)?;
    }
    this.check("all are new")
}
