//! `swarm proxy` before a swarm of real nodes: their services by both endpoints, under load, while they are
//! scaled and hosts lose their power. No request fails but those that were in flight.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Daemons, IMAGE, Lab, Load, Miss, Proxied, Scratch, Watch, until};

const LONG: Duration = Duration::from_mins(1);
/// Clients of each load.
const CLIENTS: usize = 2;

/// A proxy of one of the two kinds, at one of the two endpoints, and its load.
struct Front {
    kind: &'static str,
    proxy: Watch,
    proxied: Proxied,
    load: Load,
}

impl Front {
    fn start(lab: &Lab, kind: &'static str, port: u16, endpoint: &str) -> Result<Self> {
        let proxied = Proxied::new(lab, kind, port)?;
        let proxy = proxied.start(lab, kind, endpoint, &["--run"])?;
        let address = proxied.address();
        until(LONG, format_args!("{kind} answers"), || {
            let asked = lab.inside(0, || swarm_e2e::get(address.parse()?, "shop.test"));
            Ok(asked.ok())
        })
        .with_context(|| proxy.lines().join("\n"))?;
        let fixed = lab.inside(0, || swarm_e2e::get(address.parse()?, "fixed.test"))?;
        ensure!(fixed.starts_with("host-"), "{fixed}");
        let load = Load::start(lab, address, "shop.test", CLIENTS)?;
        Ok(Self { kind, proxy, proxied, load })
    }

    /// Waits until exactly these answer.
    fn only(&self, expected: &[&str]) -> Result<()> {
        let mut last = Vec::new();
        until(LONG, format_args!("{}: {expected:?} answer", self.kind), || {
            last = self.load.answering(Duration::from_millis(1_500));
            Ok((last == expected).then_some(()))
        })
        .with_context(|| {
            let config = self.proxied.config().unwrap_or_default();
            format!("there answer {last:?}\n{config}\n{}", self.proxy.lines().join("\n"))
        })
    }

    /// What failed, which had to have been in flight on one of `ends` containers within `spans`.
    fn judge(self, spans: &[(Instant, Instant)], ends: usize) -> Result<()> {
        let (answered, slowest, misses) = self.load.end();
        println!(
            "{}: {answered} answered, the slowest in {slowest:.1?}, failed {misses:?}",
            self.kind
        );
        let excused =
            |miss: &Miss| spans.iter().any(|(from, to)| miss.ended >= *from && miss.begun < *to);
        let gateway = |reason: &str| reason.contains("502") || reason.contains("503");
        let others: Vec<_> =
            misses.iter().filter(|miss| !excused(miss) || gateway(&miss.reason)).collect();
        ensure!(
            others.is_empty(),
            "{}: failed without need: {others:?}\n{}",
            self.kind,
            self.proxy.lines().join("\n")
        );
        ensure!(misses.len() <= ends * CLIENTS, "{}: {misses:?}", self.kind);
        ensure!(answered > 500, "{}: there was no load", self.kind);
        Ok(())
    }
}

fn create(nodes: &Daemons<'_>, name: &str, more: &[&str]) -> Result<()> {
    let serve = "mkdir /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www";
    let begin = ["service", "create", "--quiet", "--init", "--name", name, "--no-resolve-image"];
    let own = ["--hostname", "{{.Node.Hostname}}", "--stop-grace-period", "2s"];
    let label = format!("com.docker.swarm.proxy.host={name}.test");
    let task = ["--label", &label, IMAGE, "sh", "-c", serve];
    nodes.docker(1, &[&begin[..], &own, more, &task].concat()).ok().map(drop)
}

#[test]
fn services_are_followed_by_both_endpoints_while_hosts_lose_their_power() -> Result<()> {
    let lab = Scratch::boot(4, |_| {})?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3, 4], 3)?;
    let cluster = format!("unix://{}", nodes.folder(2).join("cluster.sock").display());
    nodes.stop(2)?;
    nodes.launch(2, &["--cluster-host", &cluster])?;
    nodes.ready(1, 4)?;
    // A port that the engines choose, and one that is fixed on every node.
    let spread = ["--publish", "mode=host,target=80", "--replicas-max-per-node", "1"];
    create(&nodes, "shop", &[&spread[..], &["--replicas", "3"]].concat())?;
    create(&nodes, "fixed", &["--publish", "mode=host,published=8081,target=80", "--mode=global"])?;

    let node = format!("unix://{}", nodes.sock(2).display());
    let fronts =
        [Front::start(&lab, "nginx", 8080, &node)?, Front::start(&lab, "haproxy", 8090, &cluster)?];
    let only = |expected: &[&str]| fronts.iter().try_for_each(|front| front.only(expected));
    let mut spans = Vec::new();

    let scale = |count: &str| {
        nodes.docker(2, &["service", "scale", &format!("shop={count}")]).ok().map(drop)
    };
    scale("4")?;
    only(&["host-1", "host-2", "host-3", "host-4"])?;

    // A worker's power, then the leader's: what was on its way just then is in flight.
    let mut cut = |nodes: &mut Daemons<'_>, host: u8, rest: &[&str]| -> Result<()> {
        let begun = Instant::now();
        nodes.power_cut(host)?;
        only(rest)?;
        println!(
            "host-{host} lost its power: only the others answer after {:.1?}",
            begun.elapsed()
        );
        spans.push((begun, Instant::now()));
        Ok(())
    };
    cut(&mut nodes, 4, &["host-1", "host-2", "host-3"])?;
    cut(&mut nodes, 1, &["host-2", "host-3"])?;
    // What is there goes on to be followed. Until the new leader knows who is dead, it might keep theirs.
    until(LONG, "both are known to be down", || {
        let listed = nodes.docker(2, &["node", "ls", "--format", "{{.Status}}"]).ok()?;
        Ok((listed.lines().filter(|line| *line == "Down").count() == 2).then_some(()))
    })?;
    let begun = Instant::now();
    nodes
        .docker(2, &["service", "update", "--quiet", "--detach", "--replicas", "1", "shop"])
        .ok()?;
    let wanted =
        ["service", "ps", "--filter", "desired-state=running", "--format", "{{.Node}}", "shop"];
    let left = until(LONG, "one is left", || {
        let listed = nodes.docker(2, &wanted).ok()?;
        Ok((listed.lines().count() == 1).then_some(listed))
    })?;
    fronts.iter().try_for_each(|front| front.only(&[left.trim()]))?;
    spans.push((begun, Instant::now()));
    fronts.into_iter().try_for_each(|front| front.judge(&spans, 3))
}
