//! Three machines, as the documentation speaks of them: node-1 to node-3, 10.0.0.11 to 10.0.0.13, each
//! with an engine; what a page's blocks do to them, and how they are made good as new.
//!
//! A page is one person's session: its blocks run one after the other in one shell's state, unless one
//! asks for machines where nothing was done. `/etc` and `/var/lib` of each machine are copies of this
//! machine's, so that a page may write there. Invariant: a page finds nothing of the page before.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use anyhow::{Context as _, Result, bail, ensure};
use swarm_testkit::lab::{Newer, run, told};

use super::block::Block;
use super::need::{Need, Stage, What};
use super::script::{Expected, PRELUDE, judge, render};
use super::steps::{Step, steps};
use crate::binaries;
use crate::labs::Scratch;

const HOSTS: [u8; 3] = [1, 2, 3];
/// Seconds for all commands of one block.
const DEADLINE: &str = "90";

/// The names of images that the pages use; all of them are the lab's own, which serves on port 80.
const IMAGES: [&str; 5] = ["nginx", "redis", "postgres", "alpine", "shop"];

/// Makes a machine's `/etc` and `/var/lib` its own.
const PREPARE: &str = r#"
[ ! -e /run/docs ] || exit 0
mkdir /run/docs && mount -t tmpfs tmpfs /run/docs
for place in /etc /var/lib; do
    own=/run/docs/own$place
    mkdir -p $own/up $own/work
    mount -t overlay overlay -o lowerdir=$place,upperdir=$own/up,workdir=$own/work $place
done
mount --bind "$1/etc-docker" /etc/docker
mount --bind "$1/../hosts" /etc/hosts
mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)"
[ ! -e /etc/hostname ] || mount --bind "$1/hostname" /etc/hostname
mkdir -p /etc/swarm
for image in $2; do docker tag nginx:latest $image:latest || exit; done
"#;

/// Ends all that a page started.
const END: &str = r#"
for signal in TERM KILL KILL; do
    left=
    for process in /proc/[0-9]*; do
        if grep -qzs '^SWARM_DOCS=1' $process/environ && [ ${process#/proc/} != $$ ]; then
            left="$left ${process#/proc/}"
        fi
    done
    [ -n "$left" ] || break
    kill -$signal $left 2>/dev/null
    tries=0
    while [ $tries -lt 60 ]; do
        alive=
        for process in $left; do
            # A dead one that nobody has waited for yet has no environment.
            grep -qzs '^SWARM_DOCS=1' /proc/$process/environ && alive=1
        done
        [ -n "$alive" ] || break
        tries=$((tries + 1))
        sleep 0.05
    done
done
"#;

/// Removes what it left beside its engine.
const CLEAN: &str = r#"
awk '$2 ~ "^/run/swarm" { print $2 }' /proc/self/mounts | while read -r m; do umount -l "$m"; done
rm -rf /run/swarm* /var/lib/swarm* /etc/swarm /etc/systemd/system/docker.service.d /run/docs/*.* /run/docs/etcd
mkdir -p /etc/swarm
"#;

/// A pool's manager on node-1, over all three engines.
const POOL: &str = "swarm manage -H unix:///run/swarm.sock -H tcp://10.0.0.11:3376 \
                    10.0.0.[11:13]:2375\nexport DOCKER_HOST=unix:///run/swarm.sock";

/// A daemon on each machine.
const DAEMON: &str = "swarm daemon\nexport DOCKER_HOST=unix:///run/swarm/docker.sock";

/// The machines, and what stands on them.
#[derive(Debug)]
pub struct World {
    lab: Scratch,
    /// Shared by all machines, as a person's home may be.
    folder: PathBuf,
    /// What the page's last block asked for; none on machines where nothing was done.
    stage: Option<Stage>,
    page: String,
}

impl World {
    /// Boots the machines.
    pub fn boot() -> Result<Self> {
        let lab = Scratch::boot(3, |config| {
            config.net = "10.0.0".into();
            config.host_names = "node-".into();
            for i in HOSTS {
                let mut host = config.host(i);
                // The loopback address is the manager's.
                host.listen = vec![format!("tcp://10.0.0.{}:2375", 10 + i)];
                let storage = if i == 3 { "disk" } else { "ssd" };
                host.args =
                    vec![format!("--label=storage={storage}"), "--label=region=eu-1".into()];
                config.hosts.insert(i, host);
            }
        })?;
        let serve = "CMD [\"sh\",\"-c\",\"trap exit TERM; httpd -f -h /www & wait\"]";
        lab.image_with("nginx:latest", &[serve, "EXPOSE 80"])?;
        let names = "10.0.0.11 node1 manager\n10.0.0.12 node2\n10.0.0.13 node3\n";
        let hosts = lab.dir().join("hosts");
        fs::write(&hosts, fs::read_to_string(&hosts)? + names)?;
        let folder = lab.dir().join("docs");
        let world = Self { lab, folder, stage: None, page: String::new() };
        world.tools()?;
        for i in HOSTS {
            world.prepare(i)?;
        }
        Ok(world)
    }

    /// The programs that pages call, and the prelude.
    fn tools(&self) -> Result<()> {
        let bin = self.folder.join("bin");
        fs::create_dir_all(&bin)?;
        fs::write(self.folder.join("prelude.sh"), PRELUDE)?;
        let link = |name: &str, to: PathBuf| {
            std::os::unix::fs::symlink(&to, bin.join(name))
                .with_context(|| to.display().to_string())
        };
        link("swarm", fs::canonicalize(binaries::swarm()?)?)?;
        let newer = Newer::find()?;
        link("docker", newer.docker())?;
        link("promtool", swarm_testkit::promtool::program()?)?;
        link("consul", swarm_testkit::stores::consul::program()?)?;
        let home = self.folder.join("home/.docker");
        fs::create_dir_all(&home)?;
        let plugins = serde_json::json!({ "cliPluginsExtraDirs": [newer.plugins()] });
        Ok(fs::write(home.join("config.json"), plugins.to_string())?)
    }

    fn prepare(&self, i: u8) -> Result<()> {
        let host = self.lab.dir().join(format!("h{i}"));
        let mut command = self.lab.command(i, "sh")?;
        run(command.args(["-ec", PREPARE, "sh"]).arg(host).arg(IMAGES[1..].join(" "))).map(drop)
    }

    /// Does with a block what its comment says.
    pub fn run(&mut self, block: &Block) -> Result<()> {
        let need = block.need.as_ref().with_context(|| format!("{}: no comment", block.place()))?;
        if block.page != self.page || need.fresh || self.stage != Some(need.stage) {
            self.renew().with_context(|| format!("clean machines for {}", block.place()))?;
            self.page.clone_from(&block.page);
            self.set(need.stage).with_context(|| format!("the stage of {}", block.place()))?;
        }
        let (earlier, given) = need.given.split_at(first_event(&need.given));
        if !earlier.is_empty() {
            self.shell(need.host, &block.page, &[prepared(block.line - 1, earlier)])?;
        }
        let all = self.expected(block, need, given)?;
        self.happen(given)?;
        self.shell(need.host, &block.page, &all)?;
        if !block.then.is_empty() {
            self.happen(&block.then)?;
            let line = block.line + block.lines.len() + 2;
            self.shell(need.host, &block.page, &[prepared(line, &block.then)])?;
        }
        Ok(())
    }

    /// The commands of a block, with those that are `given` for it, and what is expected of them.
    fn expected(&self, block: &Block, need: &Need, given: &[String]) -> Result<Vec<Expected>> {
        let given: Vec<_> = given.iter().filter(|line| !line.starts_with('@')).cloned().collect();
        let before = |given: &[String]| {
            if given.is_empty() { Vec::new() } else { vec![prepared(block.line - 1, given)] }
        };
        let mut all = match &need.what {
            What::Run => {
                let mut all = before(&given);
                for step in steps(&block.lines).with_context(|| block.place())? {
                    all.push(expected(block.line + 1, step));
                }
                all
            }
            What::File(path) => {
                let content = block.lines.join("\n") + "\n";
                let from = self.folder.join("file");
                fs::write(&from, content)?;
                let put = format!("mkdir -p \"$(dirname {path})\" && cp {} {path}", from.display());
                let mut all = vec![prepared(block.line, &[put])];
                for step in steps(&given)? {
                    all.push(expected(block.line, step));
                }
                all
            }
            What::Shown => {
                let (last, given) = given.split_last().context("nothing prints it")?;
                let mut all = before(given);
                let shown = block.lines.clone();
                all.push(Expected { line: block.line, command: last.clone(), fails: false, shown });
                all
            }
            What::Cargo | What::Usage | What::Not(_) => {
                bail!("{}: needs no machine", block.place())
            }
        };
        for step in &mut all {
            for (from, to) in &need.instead {
                step.command = step.command.replace(from, to);
            }
        }
        if let (true, Some(last)) = (need.fails, all.last_mut()) {
            last.fails = true;
        }
        Ok(all)
    }

    /// Brings machines where nothing was done to a stage.
    fn set(&mut self, stage: Stage) -> Result<()> {
        let one = |text: &str| [prepared(0, &[text.to_owned()])];
        match stage {
            Stage::Machine => {}
            Stage::Pool => self.shell(1, "pool", &one(POOL))?,
            Stage::Swarm => {
                for i in HOSTS {
                    self.shell(i, "swarm", &one(DAEMON))?;
                }
                self.shell(
                    1,
                    "swarm",
                    &one("docker swarm init --advertise-addr 10.0.0.11 >/dev/null"),
                )?;
                self.shell(1, "swarm", &one("docker swarm join-token -q worker >$WORK/token"))?;
                for i in [2, 3] {
                    self.shell(
                        i,
                        "swarm",
                        &one("docker swarm join --token $(cat $WORK/token) 10.0.0.11:2377"),
                    )?;
                }
                let ready = "docs_until sh -c 'test $(docker node ls | grep -c Ready) = 3'";
                self.shell(1, "swarm", &one(ready))?;
            }
        }
        self.stage = Some(stage);
        Ok(())
    }

    /// Machines where nothing was done: what was cut is healed, what ran is ended, what was written is gone.
    fn renew(&mut self) -> Result<()> {
        if self.stage.take().is_none() {
            return Ok(());
        }
        self.lab.heal_all()?;
        for i in HOSTS {
            self.engine(i)?;
        }
        std::thread::scope(|scope| {
            let clean = |i| {
                run(self.lab.command(i, "sh")?.args(["-c", END]))?;
                self.lab.empty(i)?;
                run(self.lab.command(i, "sh")?.args(["-c", CLEAN])).map(drop)
            };
            let all: Vec<_> = HOSTS.iter().map(|i| scope.spawn(move || clean(*i))).collect();
            for one in all {
                one.join().map_err(|_| anyhow::anyhow!("the cleaning panicked"))??;
            }
            anyhow::Ok(())
        })?;
        for name in ["work", "kept"] {
            let _ = fs::remove_dir_all(self.folder.join(name));
        }
        Ok(())
    }

    /// What happens to machines before a block: `@power-off node-3`.
    fn happen(&self, given: &[String]) -> Result<()> {
        for line in given.iter().filter_map(|line| line.strip_prefix('@')) {
            let words: Vec<_> = line.split_whitespace().collect();
            let machine = words.get(1).and_then(|name| name.strip_prefix("node-"));
            let i: u8 = machine.context("@… names a machine: node-3")?.parse()?;
            match words[0] {
                "power-off" => self.lab.kill(i)?,
                "power-on" => {
                    self.lab.start(i)?;
                    self.prepare(i)?;
                }
                "engine-off" => self.lab.kill_dockerd(i)?,
                "engine-on" => self.lab.start_dockerd(i)?,
                other => bail!("@{other}: not one of power-off, power-on, engine-off, engine-on"),
            }
        }
        Ok(())
    }

    /// The engine of a machine as it was at first, running.
    fn engine(&self, i: u8) -> Result<()> {
        if self.lab.init(i).is_none() {
            self.lab.start(i)?;
            return self.prepare(i);
        }
        if self.lab.exec(i, &["test", "-e", "/run/docs/engine.changed"])?.status.success() {
            self.lab.kill_dockerd(i)?;
        } else if self.lab.exec(i, &["docker", "version"])?.status.success() {
            return Ok(());
        }
        self.lab.start_dockerd(i)
    }

    /// Runs commands in a machine's shell, and looks at what they did.
    fn shell(&self, i: u8, page: &str, all: &[Expected]) -> Result<()> {
        let script = self.folder.join(format!("script-{i}"));
        fs::write(&script, render(all))?;
        let output = self.bash(i, &script)?;
        let said = String::from_utf8_lossy(&output.stdout);
        judge(page, all, &said)?;
        ensure!(output.status.success(), "{page}: the shell: {}: {}", output.status, told(&output));
        Ok(())
    }

    fn bash(&self, i: u8, script: &std::path::Path) -> Result<Output> {
        let kept = self.folder.join("kept");
        fs::create_dir_all(&kept)?;
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.folder.join("bin");
        let mut command = self.lab.command(i, "timeout")?;
        command
            .args(["--kill-after=5", DEADLINE, "bash", "--norc"])
            .arg(script)
            .env("PATH", format!("{}:{path}:/usr/sbin:/sbin", bin.display()))
            .env("DOCS", &self.folder)
            .env("KEPT", kept.join(format!("node-{i}")))
            .env("WORK", self.folder.join("work"))
            .env("HOME", self.folder.join("home"))
            .env("REPOSITORY", super::root().canonicalize()?)
            .env("SWARM_DOCS", "1")
            .env_remove("DOCKER_CONFIG");
        Ok(command.output()?)
    }
}

/// Where the first line is that happens to a machine: what is before it is done before it.
fn first_event(given: &[String]) -> usize {
    given.iter().position(|line| line.starts_with('@')).unwrap_or(0)
}

/// Commands that are not on the page, as one that has to succeed.
fn prepared(line: usize, lines: &[String]) -> Expected {
    let lines: Vec<_> =
        lines.iter().filter(|line| !line.starts_with('@')).map(String::as_str).collect();
    let command = format!("set -e\n{}\nset +e", lines.join("\n"));
    Expected { line, command, fails: false, shown: Vec::new() }
}

fn expected(first: usize, step: Step) -> Expected {
    // What docker itself says where it fails.
    let fails = step.shown.iter().any(|line| line.contains("Error response from daemon"));
    Expected { line: first + step.line, command: step.command, fails, shown: step.shown }
}
