//! A swarm of three managers and a worker, as docs/operations.md upgrades one: the worker first, then managers, the
//! leader last.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarm_e2e::{Client, Daemons, IMAGE, Scratch, ask, until};

use crate::{LONG, previous};

const MANAGERS: [u8; 3] = [1, 2, 3];
const WORKER: u8 = 4;
const ALL: [u8; 4] = [1, 2, 3, 4];
/// What all managers have to know alike.
const LISTS: [&str; 6] = ["/services", "/tasks", "/nodes", "/secrets", "/configs", "/networks"];

/// A swarm under upgrade.
struct Upgrade<'l> {
    nodes: Daemons<'l>,
    /// Containers of `web` and when they were started, by host.
    before: BTreeMap<u8, String>,
    steps: u8,
}

/// The containers of a service on a host, and when each was started.
fn containers(nodes: &Daemons<'_>, host: u8, service: &str) -> Result<String> {
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let ids = nodes.engine(host, &["ps", "--all", "--quiet", "--filter", &filter]).ok()?;
    let ids: Vec<_> = ids.lines().collect();
    if ids.is_empty() {
        return Ok(String::new());
    }
    let format = "{{.Id}} {{.State.StartedAt}} {{.State.Running}}";
    nodes.engine(host, &[&["inspect", "--format", format], &ids[..]].concat()).ok()
}

/// The ids and versions of a list's objects.
fn versions(nodes: &Daemons<'_>, host: u8, list: &str) -> Result<Vec<(String, u64)>> {
    let answer = ask(&nodes.sock(host), "GET", list, "")?.json();
    let objects = answer.as_array().with_context(|| format!("host {host}: {list}: {answer}"))?;
    // Of networks, those of the swarm: the others are each engine's own.
    let ours = |object: &&Value| list != "/networks" || object["Scope"] == "swarm";
    let object = |object: &Value| {
        let id = ["ID", "Id"].iter().find_map(|name| object[*name].as_str()).unwrap_or_default();
        (id.to_owned(), object["Version"]["Index"].as_u64().unwrap_or_default())
    };
    let mut found: Vec<_> = objects.iter().filter(ours).map(object).collect();
    found.sort();
    Ok(found)
}

impl Upgrade<'_> {
    /// Who leads, as any manager tells.
    fn leader(&self) -> Result<u8> {
        until(LONG, "somebody leads", || {
            let format = "{{.Hostname}} {{.ManagerStatus}}";
            for host in MANAGERS {
                let listed = self.nodes.docker(host, &["node", "ls", "--format", format]).ok();
                let listed = listed.unwrap_or_default();
                let leads = listed.lines().find(|line| line.ends_with(" Leader"));
                let number = leads.and_then(|line| line.split([' ', '-']).nth(1));
                if let Some(number) = number {
                    return Ok(number.parse().ok());
                }
            }
            Ok(None)
        })
    }

    /// Ends the daemon of a host in order, and starts it again, as `binary` where one is named.
    fn restart(&mut self, host: u8, binary: Option<&Path>) -> Result<()> {
        self.nodes.stop(host)?;
        if let Some(binary) = binary {
            self.nodes.becomes(host, binary);
        }
        let cluster = format!("unix://{}", self.nodes.folder(host).join("cluster.sock").display());
        let more: &[&str] =
            if MANAGERS.contains(&host) { &["--cluster-host", &cluster] } else { &[] };
        self.nodes.launch(host, more)?;
        self.nodes.ready(if host == 1 { 2 } else { 1 }, ALL.len())
    }

    /// What has to hold after each step: no task was touched, every manager takes writes and all know them, new
    /// tasks run where they are to, and the cluster endpoint of each manager that has one shows all nodes.
    fn check(&mut self, what: &str) -> Result<()> {
        self.steps += 1;
        let step = self.steps;
        println!("step {step}: {what}");
        for host in ALL {
            let now = containers(&self.nodes, host, "web")?;
            ensure!(now == self.before[&host], "{what}: a task on host {host} was touched: {now}");
        }
        for host in MANAGERS {
            let (name, place) = (format!("s{step}-{host}"), format!("host-{host}"));
            let asked = self.nodes.client(host);
            asked.feed(&["config", "create", &name, "-"], name.as_bytes()).ok()?;
            asked.feed(&["secret", "create", &name, "-"], name.as_bytes()).ok()?;
            let constraint = format!("node.hostname=={place}");
            let begin =
                ["service", "create", "--detach", "--name", &name, "--constraint", &constraint];
            let data = ["--config", &name, "--secret", &name, "--stop-signal", "KILL"];
            // It has ended where it was not given what it asks for.
            let sleep = format!(
                "grep -qx {name} /{name} && grep -qx {name} /run/secrets/{name} && exec sleep 1d"
            );
            let task = [IMAGE, "sh", "-c", &sleep];
            self.nodes.docker(host, &[&begin[..], &data, &task].concat()).ok()?;
        }
        for host in MANAGERS {
            let name = format!("s{step}-{host}");
            until(LONG, format_args!("{what}: the task of {name} runs on its node"), || {
                Ok(containers(&self.nodes, host, &name)?.ends_with(" true").then_some(()))
            })
            .with_context(|| {
                self.nodes.docker(host, &["service", "ps", &name]).ok().unwrap_or_default()
            })?;
            // Written again, and gone: by one manager, heard by the others.
            self.nodes.docker(host, &["service", "rm", &name]).ok()?;
        }
        self.agree(what)?;
        for host in MANAGERS {
            let sock = self.nodes.folder(host).join("cluster.sock");
            if !sock.exists() {
                continue;
            }
            let cluster = Client::new("docker", &format!("unix://{}", sock.display()));
            let filter = "label=com.docker.swarm.service.name=web";
            until(
                LONG,
                format_args!("{what}: the cluster endpoint of host {host} shows all"),
                || {
                    let listed =
                        cluster.run(&["ps", "--filter", filter, "--format", "{{.Names}}"]).ok();
                    Ok((listed.unwrap_or_default().lines().count() == ALL.len()).then_some(()))
                },
            )?;
            let ran = ["run", "--rm", "--label", "plain", IMAGE, "echo", "through it"];
            ensure!(cluster.run(&ran).ok()? == "through it", "{what}: a container by host {host}");
        }
        Ok(())
    }

    /// All managers know the same objects in the same versions.
    fn agree(&self, what: &str) -> Result<()> {
        for list in LISTS {
            let mut last = Vec::new();
            until(LONG, format_args!("{what}: managers agree on {list}"), || {
                last.clear();
                for host in MANAGERS {
                    last.push(versions(&self.nodes, host, list)?);
                }
                Ok(last.windows(2).all(|pair| pair[0] == pair[1]).then_some(()))
            })
            .with_context(|| format!("{last:#?}"))?;
        }
        Ok(())
    }
}

/// The `swarm` command of a version.
fn command(binary: &Path, nodes: &Daemons<'_>, arguments: &[&str]) -> Result<String> {
    Client::new(binary, &format!("unix://{}", nodes.sock(1).display())).run(arguments).ok()
}

#[test]
fn a_swarm_is_upgraded_one_node_after_the_other() -> Result<()> {
    let (previous, new) = (previous()?, swarm_e2e::swarm()?);
    let lab = Scratch::boot(4, |_| {})?;
    let nodes = Daemons::swarm_as(&previous, &lab, &ALL, MANAGERS.len())?;
    let mut this = Upgrade { nodes, before: BTreeMap::new(), steps: 0 };
    let done = upgrade(&mut this, &previous, new);
    done.with_context(|| this.nodes.logs())
}

fn upgrade(this: &mut Upgrade<'_>, previous: &Path, new: &Path) -> Result<()> {
    this.nodes.everywhere(1, "web")?;
    for host in ALL {
        let task = until(LONG, format_args!("host {host} has its task"), || {
            let found = containers(&this.nodes, host, "web")?;
            Ok(found.ends_with(" true").then_some(found))
        })?;
        this.before.insert(host, task);
    }
    let folder = tempfile::tempdir()?;
    let (key, file) = (folder.path().join("key"), folder.path().join("backup"));
    std::fs::write(&key, "four words of chance\n")?;
    let (key, file) = (key.display().to_string(), file.display().to_string());
    command(previous, &this.nodes, &["backup", "--passphrase-file", &key, &file])?;

    this.restart(WORKER, Some(new))?;
    this.check("the worker is new, all managers are old")?;
    // The leader last; on a busy machine it may become another one meanwhile.
    let (mut old, mut led) = (MANAGERS.to_vec(), false);
    while old.len() > 1 {
        let leader = this.leader()?;
        let host = *old.iter().find(|host| **host != leader).context("all of them lead")?;
        this.restart(host, Some(new))?;
        old.retain(|one| *one != host);
        led |= old.contains(&this.leader()?);
        this.check(&format!("host {host} is new, {old:?} are old, {} leads", this.leader()?))?;
    }
    ensure!(led, "no old manager led a new one");

    // The last old one goes and comes back as it was: a new one leads, and it hears what that writes.
    let last = old[0];
    this.restart(last, None)?;
    let leader = this.leader()?;
    ensure!(leader != last, "host {last} leads again");
    let update = ["service", "update", "--detach", "--label-add", "by=new", "web"];
    this.nodes.docker(leader, &update).ok()?;
    this.nodes.docker(last, &["node", "update", "--label-add", "by=old", "host-4"]).ok()?;
    this.check("a new manager leads, an old one follows")?;
    let format = "{{.Spec.Labels.by}}";
    let service = ["service", "inspect", "--format", format, "web"];
    ensure!(this.nodes.docker(last, &service).ok()? == "new");

    this.restart(last, Some(new))?;
    this.check("all are new")?;
    let node = ["node", "inspect", "--format", format, "host-4"];
    ensure!(this.nodes.docker(leader, &node).ok()? == "old");

    // What the version before has kept is restored by this one.
    let trial = folder.path().join("trial").display().to_string();
    let restore = ["restore", "--passphrase-file", &key, "--data-dir", &trial, &file];
    command(new, &this.nodes, &restore)?;
    ensure!(folder.path().join("trial").join("raft").is_dir());
    Ok(())
}
