//! A machine's kernel: what containers and their networks need, the firewall's back end, sizes of
//! packets, and how many files may be open.

use crate::verdict::{Level, Verdict};

/// A manager holds a few connections for each engine and each client that streams.
const OPEN_FILES: u64 = 8_192;

/// What was seen of a machine.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)] // Each is there or not, whatever the others are.
pub struct Host {
    /// It forwards packets (`net.ipv4.ip_forward`).
    pub forwards: bool,
    /// It has overlay file systems.
    pub overlay: bool,
    /// There are rules in iptables-legacy.
    pub legacy_rules: bool,
    /// It has nf_tables.
    pub nf_tables: bool,
    /// The device of its default route (IPv4), and the largest packet that this takes.
    pub way_out: Option<(String, Option<u32>)>,
    /// The largest packet of containers on docker0, where there is one.
    pub containers: Option<u32>,
    /// How many files a process may have open, where it is known.
    pub open_files: Option<u64>,
}

impl Host {
    /// Whether it is fit for an engine, and for a manager.
    pub fn judge(&self) -> Verdict {
        let mut verdict = Verdict::new(String::new());
        if self.forwards {
            verdict.fact("packets are forwarded to containers (net.ipv4.ip_forward)");
        } else {
            let what = "published ports do not work: net.ipv4.ip_forward is 0";
            let todo = "sysctl -w net.ipv4.ip_forward=1, and the same in /etc/sysctl.d";
            verdict.find(Level::Critical, what, todo);
        }
        if self.overlay {
            verdict.fact("the kernel has overlay file systems");
        } else {
            let todo = "modprobe overlay; without it an engine's storage is slow and large";
            verdict.find(Level::Warning, "the kernel does not show overlay file systems", todo);
        }
        self.firewall(&mut verdict);
        self.packets(&mut verdict);
        match self.open_files {
            Some(most) if most < OPEN_FILES => {
                let what =
                    format!("a process may have {most} files open, a manager of many needs more");
                let todo = "LimitNOFILE=65536 in its unit, or ulimit -Hn 65536";
                verdict.find(Level::Warning, what, todo);
            }
            Some(most) => verdict.fact(format!("a process may have {most} files open")),
            None => {}
        }
        verdict
    }

    /// Rules in both back ends are applied both, and who reads one does not see the other.
    fn firewall(&self, verdict: &mut Verdict) {
        match (self.legacy_rules, self.nf_tables) {
            (true, true) => {
                let what =
                    "the firewall has rules in iptables-legacy, and nf_tables is loaded as well";
                let todo = "update-alternatives --config iptables, flush the other one's rules, \
                            and restart dockerd";
                verdict.find(Level::Warning, what, todo);
            }
            (true, false) => verdict.fact("the firewall's back end is iptables-legacy"),
            (false, true) => verdict.fact("the firewall's back end is nf_tables"),
            (false, false) => {
                let todo = "modprobe nf_tables, where published ports do not work";
                verdict.find(Level::Warning, "no firewall back end is loaded", todo);
            }
        }
    }

    /// Packets of containers must fit the way out.
    fn packets(&self, verdict: &mut Verdict) {
        let Some((device, outer)) = &self.way_out else {
            let todo = "give the machine a default route, where it has to reach others";
            return verdict.find(Level::Warning, "the machine has no default route (IPv4)", todo);
        };
        let (Some(outer), Some(inner)) = (*outer, self.containers) else { return };
        if inner > outer {
            let what = format!("docker0 sends packets of {inner} bytes, {device} takes {outer}");
            let todo = format!("\"mtu\": {outer} in /etc/docker/daemon.json, and restart dockerd");
            verdict.find(Level::Warning, what, todo);
        } else {
            verdict.fact(format!("packets of containers ({inner} bytes) fit {device} ({outer})"));
        }
    }
}

/// The device of the default route in `/proc/net/route`: destination and mask are 0.
pub fn way_out(routes: &str) -> Option<&str> {
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

    fn fit() -> Host {
        Host {
            forwards: true,
            overlay: true,
            legacy_rules: false,
            nf_tables: true,
            way_out: Some(("eth0".into(), Some(1500))),
            containers: Some(1500),
            open_files: Some(65_536),
        }
    }

    #[test]
    fn a_machine_that_has_everything_has_no_findings() {
        let verdict = fit().judge();
        assert_eq!((verdict.facts.len(), verdict.findings.len()), (5, 0), "{verdict:?}");
    }

    #[test]
    fn what_is_missing_or_in_the_way_is_found() {
        type Change = fn(&mut Host);
        let table: [(Change, Level, &str); 7] = [
            (|host| host.forwards = false, Level::Critical, "published ports do not work"),
            (|host| host.overlay = false, Level::Warning, "does not show overlay"),
            (|host| host.legacy_rules = true, Level::Warning, "iptables-legacy, and nf_tables"),
            (|host| host.nf_tables = false, Level::Warning, "no firewall back end"),
            (|host| host.way_out = None, Level::Warning, "no default route (IPv4)"),
            (|host| host.containers = Some(1501), Level::Warning, "1501 bytes, eth0 takes 1500"),
            (|host| host.open_files = Some(1024), Level::Warning, "may have 1024 files open"),
        ];
        for (change, level, words) in table {
            let mut host = fit();
            change(&mut host);
            let verdict = host.judge();
            assert_eq!((verdict.level(), verdict.findings.len()), (level, 1), "{verdict:?}");
            assert!(verdict.findings[0].what.contains(words), "{verdict:?}");
        }
    }

    #[test]
    fn the_default_route_is_found_among_others() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n";
        let inner = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\n";
        let outer = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n";
        assert_eq!(way_out(&[head, inner, outer].concat()), Some("eth0"));
        assert_eq!(way_out(&[head, inner].concat()), None);
        assert_eq!(way_out("garbage\nand more"), None);
    }
}
