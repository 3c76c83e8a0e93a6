//! This machine's kernel: what containers and their networks need, the firewall's back end, sizes of
//! packets, and how many files may be open. Read from `/proc` and `/sys`, nothing is changed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use super::super::verdict::Level;
use super::Seen;

/// A manager holds a few connections for each engine and each client that streams.
const OPEN_FILES: u64 = 8_192;

pub(super) fn look(root: &Path, seen: &mut Seen) {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    if read("proc/sys/net/ipv4/ip_forward").trim() == "1" {
        seen.fact("packets are forwarded to containers (net.ipv4.ip_forward)");
    } else {
        let todo = "sysctl -w net.ipv4.ip_forward=1, and the same in /etc/sysctl.d";
        seen.find(Level::Critical, "published ports do not work: net.ipv4.ip_forward is 0", todo);
    }
    if read("proc/filesystems").lines().any(|line| line.trim_end().ends_with("\toverlay")) {
        seen.fact("the kernel has overlay file systems");
    } else {
        let todo = "modprobe overlay; without it an engine's storage is slow and large";
        seen.find(Level::Warning, "the kernel does not show overlay file systems", todo);
    }
    firewall(root, seen);
    packets(root, seen);
    match nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE) {
        Ok((_, most)) if most < OPEN_FILES => {
            let what =
                format!("a process may have {most} files open, a manager of many needs more");
            let todo = "LimitNOFILE=65536 in its unit, or ulimit -Hn 65536";
            seen.find(Level::Warning, what, todo);
        }
        Ok((_, most)) => seen.fact(format!("a process may have {most} files open")),
        Err(_) => {}
    }
}

/// Rules in both back ends are applied both, and who reads one does not see the other.
fn firewall(root: &Path, seen: &mut Seen) {
    let legacy = ["ip_tables_names", "ip6_tables_names"].iter().any(|names| {
        let names = std::fs::read_to_string(root.join("proc/net").join(names)).unwrap_or_default();
        !names.trim().is_empty()
    });
    // A part that is built in has no folder there, and stands in the list of symbols.
    let nft = root.join("sys/module/nf_tables").exists() || is_built_in(root, " nf_tables_newrule");
    match (legacy, nft) {
        (true, true) => {
            let todo = "update-alternatives --config iptables, flush the other one's rules, and \
                        restart dockerd";
            let what = "the firewall has rules in iptables-legacy, and nf_tables is loaded as well";
            seen.find(Level::Warning, what, todo);
        }
        (true, false) => seen.fact("the firewall's back end is iptables-legacy"),
        (false, true) => seen.fact("the firewall's back end is nf_tables"),
        (false, false) => {
            let todo = "modprobe nf_tables, where published ports do not work";
            seen.find(Level::Warning, "no firewall back end is loaded", todo);
        }
    }
}

/// Whether the kernel lists this symbol. The list has some ten megabytes: it is read line by line.
fn is_built_in(root: &Path, symbol: &str) -> bool {
    let Ok(list) = std::fs::File::open(root.join("proc/kallsyms")) else { return false };
    BufReader::new(list).lines().map_while(Result::ok).any(|line| line.contains(symbol))
}

/// Packets of containers must fit the way out.
fn packets(root: &Path, seen: &mut Seen) {
    let size = |link: &str| -> Option<u32> {
        let path = root.join("sys/class/net").join(link).join("mtu");
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let routes = std::fs::read_to_string(root.join("proc/net/route")).unwrap_or_default();
    let Some(out) = way_out(&routes) else {
        let todo = "give the machine a default route, where it has to reach others";
        return seen.find(Level::Warning, "the machine has no default route (IPv4)", todo);
    };
    let (Some(outer), Some(inner)) = (size(out), size("docker0")) else { return };
    if inner > outer {
        let what = format!("docker0 sends packets of {inner} bytes, {out} takes {outer}");
        let todo = format!("\"mtu\": {outer} in /etc/docker/daemon.json, and restart dockerd");
        seen.find(Level::Warning, what, todo);
    } else {
        seen.fact(format!("packets of containers ({inner} bytes) fit {out} ({outer})"));
    }
}

/// The device of the default route in `/proc/net/route`: destination and mask are 0.
fn way_out(routes: &str) -> Option<&str> {
    routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let (device, destination) = (fields.next()?, fields.next()?);
        let mask = fields.nth(5)?;
        (destination == "00000000" && mask == "00000000").then_some(device)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
        docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\n\
        eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n";

    fn seen(files: &[(&str, &str)]) -> String {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut seen = Seen::default();
        look(root.path(), &mut seen);
        let found =
            seen.findings.iter().map(|one| format!("{}: {}\n", one.level.of_finding(), one.what));
        seen.facts.iter().map(|fact| format!("ok: {fact}\n")).chain(found).collect()
    }

    #[test]
    fn a_machine_that_has_everything_has_no_findings() {
        let words = seen(&[
            ("proc/sys/net/ipv4/ip_forward", "1\n"),
            ("proc/filesystems", "nodev\tsysfs\nnodev\toverlay\n"),
            ("proc/net/route", ROUTES),
            ("sys/module/nf_tables/refcnt", "1"),
            ("sys/class/net/eth0/mtu", "1500\n"),
            ("sys/class/net/docker0/mtu", "1500\n"),
        ]);
        for part in ["forwarded", "overlay", "nf_tables", "(1500 bytes) fit eth0 (1500)"] {
            assert!(words.contains(part), "{part} is not in {words}");
        }
        assert!(!words.contains("critical: "), "{words}");
    }

    #[test]
    fn what_is_missing_or_in_the_way_is_found() {
        let words = seen(&[
            ("proc/net/route", ROUTES),
            ("proc/net/ip_tables_names", "nat\nfilter\n"),
            ("sys/module/nf_tables/refcnt", "1"),
            ("sys/class/net/eth0/mtu", "1450\n"),
            ("sys/class/net/docker0/mtu", "1500\n"),
        ]);
        for part in [
            "critical: published ports do not work",
            "warning: the kernel does not show overlay",
            "warning: the firewall has rules in iptables-legacy, and nf_tables",
            "warning: docker0 sends packets of 1500 bytes, eth0 takes 1450",
        ] {
            assert!(words.contains(part), "{part} is not in {words}");
        }
        let built_in = [("proc/kallsyms", "0 T a\n0 t nf_tables_newrule\n")];
        assert!(seen(&built_in).contains("back end is nf_tables"));
        assert!(
            seen(&[]).contains("no default route (IPv4)")
                && seen(&[]).contains("no firewall back end")
        );
    }
}
