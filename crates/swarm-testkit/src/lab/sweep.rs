//! Finding and removing everything a lab has on this machine.
//!
//! It relies on names only (`layout`) and on the mark in each process's environment, never on
//! what a booting process may not have written yet. Invariants: what is gone already is no
//! error; the sweeping process and its ancestors are never killed; nothing is removed from a
//! folder in which something is still mounted.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::sys::statfs::{FsType, statfs};
use nix::unistd::Pid;

use super::layout::{Layout, MARK};
use super::run::until;

/// NSFS_MAGIC of linux/magic.h: a file that holds a namespace.
const NSFS: FsType = FsType(0x6e73_6673);

/// For processes to die and their cgroups to become free.
const PATIENCE: Duration = Duration::from_mins(1);

/// Removes everything of a lab. Call under its lock.
pub fn down(layout: &Layout) -> Result<()> {
    // Twice: a tool that a killed owner had just started may finish its work meanwhile.
    for _ in 0..2 {
        kill_all(|process| process.of_lab(layout))?;
        for name in netns_names().iter().filter(|name| layout.owns_netns(name)) {
            remove_netns(name)?;
        }
        for mount in mounts_below(&layout.dir()) {
            umount2(&mount, MntFlags::MNT_DETACH)
                .with_context(|| format!("umount {}", mount.display()))?;
        }
        remove_cgroups(&layout.cgroup())?;
        let dir = layout.dir();
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
        }
        if leftovers(layout).is_empty() {
            break;
        }
    }
    if layout.lock().exists() {
        fs::remove_file(layout.lock())?;
    }
    let left = leftovers(layout);
    if !left.is_empty() {
        bail!("could not remove:\n{}", left.join("\n"));
    }
    Ok(())
}

/// What a lab has on this machine, one line each.
pub fn leftovers(layout: &Layout) -> Vec<String> {
    let mut left: Vec<_> = processes(|process| process.of_lab(layout))
        .into_iter()
        .map(|pid| {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("process {pid} {}", comm.trim())
        })
        .collect();
    let names = netns_names().into_iter().filter(|name| layout.owns_netns(name));
    left.extend(names.map(|name| format!("netns {name}")));
    left.extend(mounts_below(&layout.dir()).iter().map(|m| format!("mount {}", m.display())));
    left.extend(cgroups(&layout.cgroup()).iter().map(|c| format!("cgroup {}", c.display())));
    if layout.dir().exists() {
        left.push(format!("files {}", layout.dir().display()));
    }
    left
}

/// The names of all labs with a directory or a namespace.
pub fn labs(base: &Path) -> Vec<String> {
    let folders = entries(base).into_iter().filter(|name| !name.starts_with('.'));
    let spaces = netns_names()
        .into_iter()
        .filter_map(|name| Some(name.strip_prefix("swarmlab-")?.rsplit_once('.')?.0.to_owned()));
    let mut names: Vec<_> = folders.chain(spaces).collect();
    names.sort();
    names.dedup();
    names
}

/// The numbers of the hosts with a directory.
pub fn hosts(dir: &Path) -> Vec<u8> {
    let mut hosts: Vec<u8> = entries(dir)
        .iter()
        .filter_map(|name| name.strip_prefix('h').and_then(|i| i.parse().ok()))
        .collect();
    hosts.sort_unstable();
    hosts
}

/// SIGKILLs every process of one host and waits until they are gone.
pub fn kill_host(layout: &Layout, i: u8) -> Result<()> {
    let netns = inode(&Layout::netns_path(&layout.netns(i)));
    let mark = layout.host(i);
    kill_all(|process| (netns.is_some() && process.netns == netns) || process.mark == mark)
}

fn kill_all(wanted: impl Fn(&Process) -> bool) -> Result<()> {
    until(PATIENCE, "the lab's processes die", || {
        let found = processes(&wanted);
        for pid in &found {
            // It may be gone by now, which is what is wanted.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        Ok(found.is_empty().then_some(()))
    })
}

/// What tells whose a process is.
#[derive(Debug)]
struct Process {
    netns: Option<u64>,
    mark: PathBuf,
}

impl Process {
    fn of_lab(&self, layout: &Layout) -> bool {
        // Paths compare by component: lab `a` does not own the marks of lab `a-b`.
        self.mark.starts_with(layout.dir())
            || self.netns.is_some_and(|inode| {
                netns_names()
                    .iter()
                    .filter(|name| layout.owns_netns(name))
                    .any(|name| self::inode(&Layout::netns_path(name)) == Some(inode))
            })
    }
}

/// All matching processes but this one and its ancestors. A zombie has no namespace and no
/// environment any more, so it never matches.
fn processes(wanted: impl Fn(&Process) -> bool) -> Vec<i32> {
    let spared = ancestors();
    let own = inode(Path::new("/proc/self/ns/net"));
    let mark = format!("{MARK}=");
    entries(Path::new("/proc"))
        .iter()
        .filter_map(|name| name.parse::<i32>().ok())
        .filter(|pid| !spared.contains(pid))
        .filter(|pid| {
            let netns = inode(Path::new(&format!("/proc/{pid}/ns/net")));
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let mark = environ
                .split(|b| *b == 0)
                .find_map(|pair| pair.strip_prefix(mark.as_bytes()))
                .map(|value| PathBuf::from(std::ffi::OsStr::from_bytes(value)))
                .unwrap_or_default();
            // This machine's own network is never a lab's: spares a look-up for most processes.
            wanted(&Process { netns: netns.filter(|_| netns != own), mark })
        })
        .collect()
}

fn ancestors() -> HashSet<i32> {
    let mut pid = Pid::this().as_raw();
    let mut all = HashSet::new();
    while pid > 0 && all.insert(pid) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        pid = parent.and_then(|p| p.trim().parse().ok()).unwrap_or(0);
    }
    all
}

/// Does that name hold a network namespace (and not the rest of an interrupted attempt)?
pub fn is_netns(name: &str) -> bool {
    statfs(&Layout::netns_path(name)).is_ok_and(|fs| fs.filesystem_type() == NSFS)
}

/// Removes a namespace's name; the namespace goes with its last process.
pub fn remove_netns(name: &str) -> Result<()> {
    let path = Layout::netns_path(name);
    while umount2(&path, MntFlags::MNT_DETACH).is_ok() {}
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes a cgroup and those below it, in every hierarchy (v1 or v2).
pub fn remove_cgroups(name: &str) -> Result<()> {
    until(PATIENCE, format_args!("cgroups of {name} become free"), || {
        for cgroup in cgroups(name) {
            remove_tree(&cgroup);
        }
        Ok(cgroups(name).is_empty().then_some(()))
    })
}

/// Busy ones stay and are tried again by the caller.
fn remove_tree(cgroup: &Path) {
    for name in entries(cgroup) {
        let child = cgroup.join(name);
        if child.is_dir() {
            remove_tree(&child);
        }
    }
    let _ = fs::remove_dir(cgroup);
}

fn cgroups(name: &str) -> Vec<PathBuf> {
    let roots = mount_table().into_iter().filter(|(_, kind)| kind.starts_with("cgroup"));
    roots.map(|(at, _)| at.join(name)).filter(|path| path.is_dir()).collect()
}

fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let mut mounts: Vec<_> =
        mount_table().into_iter().map(|(at, _)| at).filter(|at| at.starts_with(dir)).collect();
    mounts.sort();
    mounts.reverse(); // The deepest first.
    mounts
}

/// Mount points and file system types, as this process sees them.
fn mount_table() -> Vec<(PathBuf, String)> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let at = words.next()?.replace("\\040", " ");
            Some((PathBuf::from(at), words.next()?.to_owned()))
        })
        .collect()
}

fn netns_names() -> Vec<String> {
    entries(Path::new("/run/netns"))
}

fn entries(dir: &Path) -> Vec<String> {
    let Ok(read) = fs::read_dir(dir) else { return Vec::new() };
    read.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|m| m.ino())
}
