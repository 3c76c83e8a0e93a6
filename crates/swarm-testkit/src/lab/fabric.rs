//! The lab's bridge and cables, and cutting them.
//!
//! Leaves hosts' processes to `host`. Invariants: a cut drops without a word, both ways; cutting
//! and healing twice is the same as once; wiring that was interrupted is done again from scratch.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, setns};

use super::layout::{Layout, MARK};
use super::run::{feed, run};
use super::{Lab, sweep};

/// Frames between two interfaces in `pairs`, or between one in `alone` and the fabric itself,
/// are dropped.
const FIREWALL: &str = "
add table bridge lab
add set bridge lab pairs { type ifname . ifname; }
add set bridge lab alone { type ifname; }
add chain bridge lab between { type filter hook forward priority 0; }
add chain bridge lab inward { type filter hook input priority 0; }
add chain bridge lab outward { type filter hook output priority 0; }
add rule bridge lab between iifname . oifname @pairs drop
add rule bridge lab inward iifname @alone drop
add rule bridge lab outward oifname @alone drop
";

impl Lab {
    /// A command that runs in the fabric's network and otherwise in this machine's namespaces.
    pub fn fabric_command(&self, program: &str) -> Command {
        self.network_command(0, program)
    }

    /// A command in the network of host `i` (0: the fabric's) and otherwise in this machine's
    /// namespaces: a manager there has a cable of its own that can be cut.
    pub fn network_command(&self, i: u8, program: &str) -> Command {
        let name = if i == 0 { self.layout.fabric_netns() } else { self.layout.netns(i) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", Layout::netns_path(&name).display()));
        command.arg("--").arg(program).env(MARK, self.layout.dir());
        command
    }

    /// A TCP connection made in the fabric's network, as the manager's own would be.
    pub fn dial(&self, address: &str, patience: Duration) -> Result<TcpStream> {
        let address = address.parse().with_context(|| format!("{address}: not IP:PORT"))?;
        let dialled = self.inside(0, || Ok(TcpStream::connect_timeout(&address, patience)?));
        dialled.with_context(|| format!("dial {address}"))
    }

    /// A listener in the network of host `i` that this process serves: something between the
    /// managers and an engine. It goes deaf when the host loses power.
    pub fn listen(&self, i: u8, port: u16) -> Result<TcpListener> {
        let address = format!("{}:{port}", self.ip(i));
        self.inside(i, || Ok(TcpListener::bind(&address)?))
            .with_context(|| format!("listen on {address}"))
    }

    /// Does something in the network of host `i` (0: the fabric's): sockets that it opens and
    /// processes that it starts are there for good. A thread of its own changes its namespace and ends.
    pub fn inside<T: Send>(&self, i: u8, make: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let name = if i == 0 { self.layout.fabric_netns() } else { self.layout.netns(i) };
        let netns = File::open(Layout::netns_path(&name))?;
        let made = std::thread::scope(|scope| {
            let inside = || {
                setns(&netns, CloneFlags::CLONE_NEWNET)?;
                make()
            };
            scope.spawn(inside).join()
        });
        made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Cuts host `i` off: from everyone, from host `j`, or (0) from the fabric and its manager.
    pub fn cut(&self, i: u8, j: Option<u8>) -> Result<()> {
        self.known(i)?;
        match j {
            None => self.link(i, "down"),
            Some(j) => self.nft(&format!("add element bridge lab {}\n", self.element(i, j)?)),
        }
    }

    /// Undoes [`Lab::cut`] with the same arguments.
    pub fn heal(&self, i: u8, j: Option<u8>) -> Result<()> {
        self.known(i)?;
        match j {
            None => self.link(i, "up"),
            Some(j) => {
                let element = self.element(i, j)?;
                // Added first, because deleting what is not there is an error.
                self.nft(&format!(
                    "add element bridge lab {element}\ndelete element bridge lab {element}\n"
                ))
            }
        }
    }

    /// Undoes every cut.
    pub fn heal_all(&self) -> Result<()> {
        self.nft("flush set bridge lab pairs\nflush set bridge lab alone\n")?;
        let mut up = self.hosts().into_iter().filter(|i| self.init(*i).is_some());
        up.try_for_each(|i| self.link(i, "up"))
    }

    fn element(&self, i: u8, j: u8) -> Result<String> {
        if i == j {
            bail!("host {i} cannot be cut off from itself");
        }
        if j == 0 {
            return Ok(format!("alone {{ \"h{i}\" }}"));
        }
        self.known(j)?;
        Ok(format!("pairs {{ \"h{i}\" . \"h{j}\", \"h{j}\" . \"h{i}\" }}"))
    }

    pub(super) fn link(&self, i: u8, state: &str) -> Result<()> {
        ip_batch(&self.layout.fabric_netns(), &format!("link set h{i} {state}\n"))
    }

    fn nft(&self, script: &str) -> Result<()> {
        feed(self.fabric_command("nft").args(["-f", "-"]), script).map(drop)
    }

    /// The bridge in its namespace; does nothing where it stands.
    pub(super) fn make_fabric(&self) -> Result<()> {
        let (name, done) = (self.layout.fabric_netns(), self.dir().join("fabric.done"));
        if done.exists() && sweep::is_netns(&name) {
            return Ok(());
        }
        sweep::remove_netns(&name)?;
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let config = self.config();
        ip_batch(
            &name,
            &format!(
                "link set lo up\nlink add br0 mtu {} type bridge\naddr add {}.1/24 dev br0\n\
                 link set br0 up\n",
                config.mtu, config.net
            ),
        )?;
        // Hosts' frames are not for the machine's firewall; a name look-up that nobody answers
        // is refused at once and each time.
        run(self.fabric_command("sh").args([
            "-c",
            "cd /proc/sys/net; echo 0 >ipv4/icmp_ratelimit
             [ ! -e bridge ] || echo 0 >bridge/bridge-nf-call-iptables",
        ]))?;
        self.nft(FIREWALL)?;
        Ok(fs::write(done, "")?)
    }

    /// Namespace and cable of host `i`; does nothing where they stand.
    pub(super) fn wire(&self, i: u8) -> Result<()> {
        let (name, done) = (self.layout.netns(i), self.layout.host(i).join("wired"));
        if done.exists() && sweep::is_netns(&name) {
            return Ok(());
        }
        self.unwire(i)?;
        let (fabric, mtu) = (self.layout.fabric_netns(), self.config().mtu.to_string());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        run(Command::new("ip")
            .args(["link", "add", &format!("h{i}"), "netns", &fabric, "mtu", &mtu])
            .args(["type", "veth", "peer", "name", "eth0", "netns", &name, "mtu", &mtu]))?;
        ip_batch(&fabric, &format!("link set h{i} master br0\nlink set h{i} up\n"))?;
        ip_batch(
            &name,
            &format!(
                "link set lo up\nlink set eth0 address {}\naddr add {}/24 dev eth0\n\
                 link set eth0 up\nroute add default via {}\n",
                Layout::mac(i),
                self.ip(i),
                self.ip(0)
            ),
        )?;
        Ok(fs::write(done, "")?)
    }

    /// Removes namespace and cable of host `i`.
    pub(super) fn unwire(&self, i: u8) -> Result<()> {
        let marker = self.layout.host(i).join("wired");
        if marker.exists() {
            fs::remove_file(marker)?;
        }
        sweep::remove_netns(&self.layout.netns(i))?;
        // The kernel removes a dead namespace's cable in its own time; a new one needs the name
        // now. There may be none, which is as good.
        let _ = ip_batch(&self.layout.fabric_netns(), &format!("link del h{i}\n"));
        Ok(())
    }
}

/// Several `ip` commands in a network namespace.
fn ip_batch(netns: &str, script: &str) -> Result<()> {
    feed(Command::new("ip").args(["-n", netns, "-batch", "-"]), script).map(drop)
}
