//! A pool under test: one manager over a lab's hosts, and the clients that talk to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use swarm_testkit::lab::{Lab, Manager, Newer, until};

use crate::ask::{Answered, ask};
use crate::binaries;
use crate::client::{Client, Ran};
use crate::labs::IMAGE;
use crate::watch::Watch;

/// For the manager to have looked at every engine.
const HEALTHY: Duration = Duration::from_secs(30);

/// A manager and its clients; the manager ends when this is dropped.
#[derive(Debug)]
pub struct Pool {
    manager: Manager,
    /// The clients' own settings folder: logins do not reach the person's, nor other tests.
    settings: PathBuf,
}

impl Pool {
    /// `swarm manage` over all hosts of the lab that are up, all of them healthy.
    pub fn start(lab: &Lab, arguments: &[&str]) -> Result<Self> {
        let hosts: Vec<u8> = lab.hosts().into_iter().filter(|i| lab.init(*i).is_some()).collect();
        let addresses: Vec<_> = hosts.iter().map(|i| format!("{}:2375", lab.ip(*i))).collect();
        let nodes = format!("nodes://{}", addresses.join(","));
        let pool = Self::launch(lab, &[arguments, &[nodes.as_str()]].concat())?;
        pool.manager.wait_healthy(hosts.len(), HEALTHY)?;
        Ok(pool)
    }

    /// `swarm manage` with exactly these arguments (discovery among them), answering but not
    /// necessarily knowing its nodes yet.
    pub fn launch(lab: &Lab, arguments: &[&str]) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("m{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self::launch_at(lab, 0, &name, arguments)
    }

    /// As [`Pool::launch`], in the network of host `place` (0: the fabric's), with a name that
    /// its socket and its log keep over restarts.
    pub fn launch_at(lab: &Lab, place: u8, name: &str, arguments: &[&str]) -> Result<Self> {
        Self::launch_as(binaries::swarm()?, lab, place, name, arguments)
    }

    /// The same of another binary.
    pub fn launch_as(
        binary: &Path,
        lab: &Lab,
        place: u8,
        name: &str,
        arguments: &[&str],
    ) -> Result<Self> {
        let settings = lab.dir().join("clients").join(name);
        fs::create_dir_all(&settings)?;
        let mut config = json!({});
        if let Ok(newer) = Newer::find() {
            config = json!({ "cliPluginsExtraDirs": [newer.plugins()] });
        }
        fs::write(settings.join("config.json"), config.to_string())?;
        Ok(Self { manager: lab.manage_at(place, name, binary, arguments)?, settings })
    }

    /// The manager: its socket, its log, its end.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// As [`Pool::manager`], for ending it.
    pub fn manager_mut(&mut self) -> &mut Manager {
        &mut self.manager
    }

    /// Any client program, set up for this pool.
    pub fn client(&self, program: impl Into<PathBuf>) -> Client {
        Client::new(program, &self.manager.docker_host())
            .env("DOCKER_CONFIG", self.settings.display().to_string())
    }

    /// The machine's `docker` (or the one in `E2E_DOCKER`), run to its end.
    pub fn docker(&self, arguments: &[&str]) -> Ran {
        let program = std::env::var_os("E2E_DOCKER").unwrap_or_else(|| "docker".into());
        self.client(program).run(arguments)
    }

    /// `docker run` of a container that stays, and dies at once when it is stopped.
    pub fn sleeper(&self, name: &str, more: &[&str]) -> Ran {
        let head = ["run", "--detach", "--stop-signal", "KILL", "--name", name];
        self.docker(&[&head, more, &[IMAGE, "sleep", "1d"]].concat())
    }

    /// `docker` beside the test.
    pub fn watch(&self, arguments: &[&str]) -> Result<Watch> {
        let program = std::env::var_os("E2E_DOCKER").unwrap_or_else(|| "docker".into());
        Watch::start(self.client(program).command(arguments))
    }

    /// One request with a JSON body (none where it is empty), and whatever answer it gets.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Result<Answered> {
        ask(self.manager.sock(), method, path, body)
    }

    /// The newer `docker` with BuildKit and Compose v2 as its plugins.
    pub fn newer_docker(&self, arguments: &[&str]) -> Result<Ran> {
        Ok(self.client(Newer::find()?.docker()).run(arguments))
    }

    /// Compose v1 (1.29) on the project in `folder`.
    pub fn compose_v1(&self, folder: &Path, arguments: &[&str]) -> Ran {
        compose(&self.client("docker-compose"), folder, arguments)
    }

    /// Compose v2 (2.40) on the project in `folder`.
    pub fn compose_v2(&self, folder: &Path, arguments: &[&str]) -> Result<Ran> {
        Ok(compose(&self.client(Newer::find()?.compose()), folder, arguments))
    }

    /// Waits until the pool shows a container running on another node than `from`; which, and after
    /// how long.
    pub fn moved(&self, name: &str, from: &str, limit: Duration) -> Result<(String, Duration)> {
        let begun = Instant::now();
        let to = until(limit, format_args!("{name} runs elsewhere than on {from}"), || {
            let listed = self.docker(&["ps", "--format", "{{.Names}} {{.Status}}"]).ok()?;
            let line = listed.lines().find(|line| line.contains(&format!("/{name} Up")));
            let node = line.and_then(|line| line.split('/').next()).filter(|node| *node != from);
            Ok(node.map(str::to_owned))
        })?;
        Ok((to, begun.elapsed()))
    }

    /// The name of the node that a container is on, as its inspection tells.
    pub fn node_of(&self, container: &str) -> Result<String> {
        let path = format!("/containers/{container}/json");
        let node = &self.manager.get(&path)?["Node"]["Name"];
        Ok(node.as_str().unwrap_or_default().to_owned())
    }
}

/// The lab's number of a node, by its name.
pub fn host_number(node: &str) -> Result<u8> {
    Ok(node.trim_start_matches("host-").parse()?)
}

fn compose(client: &Client, folder: &Path, arguments: &[&str]) -> Ran {
    let folder = folder.display().to_string();
    client.run(
        &[&["--project-directory", &folder, "--file", &format!("{folder}/compose.yml")], arguments]
            .concat(),
    )
}
