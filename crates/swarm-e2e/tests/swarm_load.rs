//! Managers that are busy: clients write, scale, list and listen as fast as they can on a machine whose
//! cores have other work, and nobody is elected for that; whoever is lost meanwhile is followed soon.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Scope, available_parallelism};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Daemons, IMAGE, Watch, ask, ask_within, exclusive, until};

const LONG: Duration = Duration::from_mins(1);
/// How long it goes on before the leader is killed.
const BUSY: Duration = Duration::from_secs(20);
/// For one question; whoever asks a manager that is gone gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tasks that come and go with each scaling. No node is fit for them: it is the managers' work.
const TASKS: u64 = 100;

/// What goes on until it is told to end, and how much of it there was.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    writes: AtomicU64,
    scalings: AtomicU64,
    lists: AtomicU64,
}

impl Load {
    /// Does it again and again; it may fail while there is no leader.
    fn repeat<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        done: &'s AtomicU64,
        mut work: impl FnMut(u64) -> Result<bool> + Send + 's,
    ) {
        scope.spawn(move || {
            let mut number = 0;
            while !self.over.load(Ordering::Relaxed) {
                number += 1;
                if work(number).is_ok_and(|done| done) {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }

    fn begin<'s>(&'s self, scope: &'s Scope<'s, '_>, socks: &'s [PathBuf], cores: usize) {
        for _ in 0..cores {
            scope.spawn(|| {
                while !self.over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        for (at, sock) in socks.iter().enumerate() {
            self.repeat(scope, &self.writes, move |number| {
                let body = format!(r#"{{"Name": "config-{at}-{number}", "Data": "YQ=="}}"#);
                let path = "/configs/create";
                Ok(ask_within(PATIENCE, sock, "POST", path, &body)?.status == 201)
            });
            self.repeat(scope, &self.lists, move |_| {
                Ok(ask_within(PATIENCE, sock, "GET", "/tasks", "")?.status == 200)
            });
        }
        let sock = &socks[0];
        self.repeat(scope, &self.scalings, move |number| {
            let shown = ask_within(PATIENCE, sock, "GET", "/services/nowhere", "")?.json();
            let mut spec = shown["Spec"].clone();
            spec["Mode"]["Replicated"]["Replicas"] = (number % 2 * TASKS).into();
            let path = format!("/services/nowhere/update?version={}", shown["Version"]["Index"]);
            Ok(ask_within(PATIENCE, sock, "POST", &path, &spec.to_string())?.status == 200)
        });
    }

    fn told(&self) -> String {
        let [writes, scalings, lists] =
            [&self.writes, &self.scalings, &self.lists].map(|count| count.load(Ordering::Relaxed));
        format!("{writes} writes, {scalings} scalings by {TASKS} tasks, {lists} lists of tasks")
    }
}

/// How often somebody began to lead, and which host does, as the manager `by` sees it.
fn led(nodes: &Daemons<'_>, by: u8) -> Result<(usize, Option<u8>)> {
    let format = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
    let listed = nodes.docker(by, &format).ok()?;
    let leader = listed.lines().find_map(|line| line.strip_suffix(" Leader"));
    let leader = leader.and_then(|name| name.strip_prefix("host-")?.parse().ok());
    Ok((nodes.logs().matches("this manager leads term=").count(), leader))
}

#[test]
fn the_leader_of_busy_managers_stays_and_a_lost_one_is_followed() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 3)?;
    let create = ["service", "create", "--detach", "--name", "nowhere", "--replicas", "0"];
    let on = ["--constraint", "node.labels.none==such", IMAGE, "sleep", "1d"];
    nodes.docker(1, &[&create[..], &on].concat()).ok()?;
    let before = led(&nodes, 1)?;
    let leader = before.1.context("one leads")?;
    let listeners = [1, 2, 3].map(|host| Watch::start(nodes.client(host).command(&["events"])));
    let listeners = listeners.into_iter().collect::<Result<Vec<_>>>()?;

    let load = Load::default();
    // Clients are at the managers that stay.
    let stay: Vec<u8> = (1..=3).filter(|host| *host != leader).collect();
    let socks: Vec<_> = stay.iter().map(|host| nodes.sock(*host)).collect();
    let cores = available_parallelism()?.get();
    let followed = std::thread::scope(|scope| {
        load.begin(scope, &socks, cores);
        let watched = watched(&mut nodes, &load, before, leader, stay[0]);
        load.over.store(true, Ordering::Relaxed);
        watched
    });
    followed.with_context(|| nodes.logs())?;
    for (listener, host) in listeners.iter().zip(1..) {
        let heard = listener.lines().iter().filter(|line| line.contains("config create")).count();
        ensure!(heard > 0, "host {host} heard of no config");
    }
    Ok(())
}

fn watched(
    nodes: &mut Daemons<'_>,
    load: &Load,
    before: (usize, Option<u8>),
    leader: u8,
    other: u8,
) -> Result<()> {
    let until_when = Instant::now() + BUSY;
    while Instant::now() < until_when {
        let now = led(nodes, other)?;
        ensure!(now == before, "another election: {before:?}, {now:?}; {}", load.told());
        std::thread::sleep(Duration::from_secs(1));
    }
    println!("no election in {BUSY:?} of {}", load.told());
    ensure!(load.writes.load(Ordering::Relaxed) > 5, "{}", load.told());
    ensure!(load.scalings.load(Ordering::Relaxed) > 1, "{}", load.told());
    let begun = Instant::now();
    nodes.kill(leader)?;
    let sock = nodes.sock(other);
    let mut number = 0;
    until(LONG, "a write is taken", || {
        number += 1;
        let body = format!(r#"{{"Name": "after-{number}", "Data": "YQ=="}}"#);
        Ok((ask(&sock, "POST", "/configs/create", &body)?.status == 201).then_some(()))
    })?;
    let took = begun.elapsed();
    println!("the busy leader's daemon killed: a write after {took:.1?}");
    ensure!(took < Duration::from_secs(15), "{took:?}");
    Ok(())
}
