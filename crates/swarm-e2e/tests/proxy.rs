//! `swarm proxy` with real proxies over real engines: containers come and go under load and no request
//! fails but those in flight on a killed container; whatever is wrong, the old configuration stays.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use swarm_e2e::{
    Client, IMAGE, Lab, Load, Miss, Pool, Proxied, Scratch, Watch, exclusive, get, host_number,
    until,
};

const SOON: Duration = Duration::from_mins(1);
const HOST: &str = "shop.test";
const PORT: u16 = 8080;

struct Rig<'a> {
    lab: &'a Lab,
    proxied: Proxied,
}

impl<'a> Rig<'a> {
    fn new(lab: &'a Lab, name: &str) -> Result<Self> {
        Ok(Self { lab, proxied: Proxied::new(lab, name, PORT)? })
    }

    fn proxy(&self, kind: &str, endpoint: &str, more: &[&str]) -> Result<Watch> {
        self.proxied.start(self.lab, kind, endpoint, more)
    }

    fn folder(&self) -> &Path {
        &self.proxied.folder
    }

    fn answer(&self, host: &str) -> Result<String> {
        let address = self.proxied.address().parse()?;
        self.lab.inside(0, || get(address, host))
    }

    fn answers(&self, host: &str, expected: &str) -> Result<()> {
        let mut last = String::new();
        until(SOON, format_args!("{host} is answered by {expected}"), || {
            last = self.answer(host).unwrap_or_else(|error| format!("{error:#}"));
            Ok((last == expected).then_some(()))
        })
        .with_context(|| format!("the last answer: {last}"))
    }

    fn config(&self) -> Result<String> {
        self.proxied.config()
    }
}

/// A web server that answers with its name.
fn web<'a>(name: &'a str, script: &'a mut String, more: &[&'a str]) -> Vec<&'a str> {
    *script = format!("mkdir /www; echo {name} > /www/index.html; exec httpd -f -p 80 -h /www");
    let head = ["run", "-d", "--init", "--name", name, "-p", "80"];
    [&head[..], more, &[IMAGE, "sh", "-c", script]].concat()
}

fn started(pool: &Pool, name: &str) -> Result<()> {
    let label = format!("com.docker.swarm.proxy.host={HOST}");
    pool.docker(&web(name, &mut String::new(), &["-l", &label])).ok().map(drop)
}

/// Waits until exactly these answer.
fn only(load: &Load, expected: &[&str]) -> Result<Duration> {
    let begun = Instant::now();
    let mut last = Vec::new();
    until(SOON, format_args!("{expected:?} answer"), || {
        last = load.answering(Duration::from_millis(600));
        Ok((last == expected).then_some(()))
    })
    .with_context(|| format!("there answer {last:?}; {:?}", load.outcome()))?;
    Ok(begun.elapsed())
}

fn come_and_go(kind: &str) -> Result<()> {
    let lab = exclusive()?;
    let rig = Rig::new(&lab, kind)?;
    let mut pool = Pool::launch_at(&lab, 0, kind, &[&lab.nodes(3)])?;
    pool.manager().wait_healthy(3, SOON)?;
    started(&pool, "w0")?;
    started(&pool, "w1")?;
    let endpoint = format!("unix://{}", pool.manager().sock().display());
    let mut proxy = rig.proxy(kind, &endpoint, &["--run"])?;
    until(SOON, "the proxy answers", || Ok(rig.answer(HOST).ok()))
        .with_context(|| proxy.lines().join("\n"))?;
    ensure!(rig.answer("other.test").is_err(), "nobody asked for this host");

    let load = Load::start(&lab, rig.proxied.address(), HOST, 4)?;
    only(&load, &["w0", "w1"])?;
    let mut kills = Vec::new();
    let mut delays = BTreeMap::new();
    for round in 0..6_u32 {
        let (first, second) = (format!("w{round}"), format!("w{}", round + 1));
        let third = format!("w{}", round + 2);
        started(&pool, &third)?;
        delays.insert(format!("{third} came"), only(&load, &[&first, &second, &third])?);
        let begun = Instant::now();
        let verb: &[&str] = if round % 2 == 0 { &["rm", "-f"] } else { &["stop"] };
        pool.docker(&[verb, &[&first]].concat()).ok()?;
        delays.insert(format!("{first} went"), only(&load, &[&second, &third])?);
        kills.push((begun, Instant::now()));
    }
    // The manager dies, and the proxy goes on with what it has.
    until(SOON, "the last one is out of the configuration", || {
        Ok((!rig.config()?.contains("w5-")).then_some(()))
    })?;
    let before = rig.config()?;
    pool.manager_mut().kill()?;
    proxy.wait_for("the endpoint is lost", SOON)?;
    only(&load, &["w6", "w7"])?;
    ensure!(rig.config()? == before, "the manager's death changed the configuration");
    drop(pool);
    // It comes back and has to find its engines first: nobody is dropped meanwhile.
    let pool = Pool::launch_at(&lab, 0, kind, &[&lab.nodes(3)])?;
    proxy.wait_for("the endpoint answers again", SOON)?;
    started(&pool, "w8")?;
    delays.insert("w8 came".to_owned(), only(&load, &["w6", "w7", "w8"])?);

    // A host loses power: nobody hears of it, and connections to it are silent.
    let node = pool.node_of("w6")?;
    let begun = Instant::now();
    lab.kill(host_number(&node)?)?;
    kills.push((begun, Instant::now()));
    let rest: Vec<&str> = ["w7", "w8"]
        .into_iter()
        .filter(|name| pool.node_of(name).is_ok_and(|its| its != node))
        .collect();
    ensure!(!rest.is_empty(), "all are on {node}");
    only(&load, &rest)?;
    until(SOON, "what is there comes last", || {
        let text = rig.config()?;
        Ok(text.lines().any(|line| line.contains("w6-") && line.contains("backup")).then_some(()))
    })?;
    delays.insert("a host went".to_owned(), begun.elapsed());

    let (answered, slowest, misses) = load.end();
    println!("{kind}: {answered} answered, the slowest in {slowest:?}, failed: {misses:?}");
    println!("{kind}: seen after {delays:?}");
    // What was on its way just then was in flight.
    let excused =
        |miss: &Miss| kills.iter().any(|(from, to)| miss.ended >= *from && miss.begun < *to);
    // A proxy that finds nobody to ask is no container's end.
    let gateway = |reason: &str| reason.contains("502") || reason.contains("503");
    let others: Vec<_> =
        misses.iter().filter(|miss| !excused(miss) || gateway(&miss.reason)).collect();
    ensure!(others.is_empty(), "requests failed without a container's end: {others:?}");
    // Each killed container had at most one request of each client in flight.
    ensure!(misses.len() <= kills.len() * 4, "{} requests failed: {misses:?}", misses.len());
    ensure!(answered > 1000, "there was no load");

    let begun = Instant::now();
    proxy.signal(Signal::SIGTERM)?;
    ensure!(proxy.wait_end(Duration::from_mins(1))?.success(), "{:?}", proxy.lines());
    println!("{kind}: ended in {:?}", begun.elapsed());
    ensure!(rig.answer(HOST).is_err(), "the child outlived its parent");
    Ok(())
}

#[test]
fn containers_come_and_go_behind_nginx() -> Result<()> {
    come_and_go("nginx")
}

#[test]
fn containers_come_and_go_behind_haproxy() -> Result<()> {
    come_and_go("haproxy")
}

#[test]
fn whatever_is_wrong_the_old_configuration_stays() -> Result<()> {
    let lab = exclusive()?;
    let rig = Rig::new(&lab, "wrong")?;
    let engine = format!("unix://{}", lab.sock(1).display());
    let docker = |arguments: &[&str]| Client::new("docker", &engine).run(arguments).ok();
    // A plain engine, by its socket: its containers are reached at their own addresses from its network.
    let template = rig.folder().join("t.j2");
    fs::write(
        &template,
        "{% for c in containers | with_label('front') %}\n{{ c.labels.front }} \
         {{ endpoint(c, 80).endpoint }}\n{% endfor %}",
    )?;
    let marker = rig.folder().join("told");
    let told = format!("cat \"$CONFIG\" > {}", marker.display());
    let refusing = rig.folder().join("refuse");
    let check = format!("! test -e {} || {{ echo not today; exit 7; }}", refusing.display());
    let template = template.display().to_string();
    let flags = ["--template", &template, "--check", &check, "--reload", &told, "--internal"];
    let proxy = rig.proxy("nginx", &engine, &flags)?;
    let becomes = |names: &[&str]| {
        until(SOON, format_args!("the proxy is told of {names:?}"), || {
            let text = fs::read_to_string(&marker).unwrap_or_default();
            let found: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
            Ok((found == names).then_some(()))
        })
        .with_context(|| {
            format!("{}\n{}", rig.config().unwrap_or_default(), proxy.lines().join("\n"))
        })
    };
    docker(&web("wa", &mut String::new(), &["-l", "front=a"]))?;
    becomes(&["a"])?;

    // The checker says no, until it does not.
    fs::write(&refusing, "")?;
    docker(&web("wb", &mut String::new(), &["-l", "front=b"]))?;
    let line = proxy.wait_for("not today", SOON)?;
    ensure!(line.contains("stays") && line.contains("proxy.conf.new"), "{line}");
    becomes(&["a"])?;
    fs::remove_file(&refusing)?;
    becomes(&["a", "b"])?;

    // A label that would be more than one word.
    docker(&web("evil", &mut String::new(), &["-l", "front=x; } server {"]))?;
    let line = proxy.wait_for("cannot be rendered", SOON)?;
    ensure!(line.contains("line 2") && line.contains("has ';' in it"), "{line}");
    becomes(&["a", "b"])?;
    docker(&["rm", "-f", "evil", "wb"])?;
    becomes(&["a"])?;

    // The engine is away: what is there stays.
    lab.kill_dockerd(1)?;
    proxy.wait_for("the endpoint is lost", SOON)?;
    becomes(&["a"])?;
    lab.start_dockerd(1)?;
    proxy.wait_for("the endpoint answers again", SOON)?;
    docker(&["start", "wa"])?;
    becomes(&["a"])?;
    drop(proxy);

    // By hand: one look; a checker that is not there; a proxy that does not run.
    let once = |more: &[&str]| -> Result<Vec<String>> {
        let mut once =
            rig.proxy("haproxy", &engine, &[&["--once", "--internal"], more].concat())?;
        let status = once.wait_end(SOON)?;
        Ok([vec![status.code().unwrap_or(-1).to_string()], once.lines()].concat())
    };
    let before = rig.config()?;
    let said = once(&["--no-reload", "--check", "no-such-checker"])?.join("\n");
    ensure!(said.starts_with('1') && said.contains("no-such-checker: not found"), "{said}");
    ensure!(rig.config()? == before, "an unchecked configuration is in place");
    let pid = rig.folder().join("no.pid").display().to_string();
    let said = once(&["--pid-file", &pid])?.join("\n");
    ensure!(said.contains("the proxy was not told") && said.contains("No such file"), "{said}");
    ensure!(rig.config()?.contains("frontend http"), "HAProxy's own checker took it");
    let said = once(&["--no-reload"])?.join("\n");
    ensure!(said.starts_with('0') && said.contains("as it should be"), "{said}");
    Ok(())
}

#[test]
fn a_proxy_starts_with_what_is_there_and_is_started_again() -> Result<()> {
    let lab = exclusive()?;
    let rig = Rig::new(&lab, "again")?;
    let engine = format!("tcp://{}:2375", lab.ip(1));
    let docker = |arguments: &[&str]| {
        Client::new("docker", &format!("unix://{}", lab.sock(1).display())).run(arguments).ok()
    };
    docker(&web("one", &mut String::new(), &["-e", "VIRTUAL_HOST=one.test"]))?;
    // A plain engine, whose published ports are at its address.
    let mut proxy = rig.proxy("nginx", &engine, &["--run"])?;
    rig.answers("one.test", "one").with_context(|| proxy.lines().join("\n"))?;
    // Its child is killed, and another one started.
    let pid: i32 = fs::read_to_string(rig.folder().join("proxy.pid"))?.trim().parse()?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGQUIT)?;
    proxy.wait_for("the proxy has ended: it is started again", SOON)?;
    rig.answers("one.test", "one")?;
    // Of two that keep one file the second keeps nothing.
    let twice = rig.proxy("nginx", &engine, &["--run"])?;
    twice.wait_for("keeps this configuration already", SOON)?;
    drop(twice);
    // Killed by force it cannot end its child, which its successor takes over, with all that happened meanwhile.
    proxy.signal(Signal::SIGKILL)?;
    proxy.wait_end(SOON)?;
    rig.answers("one.test", "one").context("the child goes on")?;
    docker(&web("two", &mut String::new(), &["-e", "VIRTUAL_HOST=two.test"]))?;
    let mut proxy = rig.proxy("nginx", &engine, &["--run"])?;
    proxy.wait_for("goes on and is taken over", SOON)?;
    rig.answers("two.test", "two").with_context(|| proxy.lines().join("\n"))?;
    ensure!(!proxy.lines().join("\n").contains("bind()"), "{:?}", proxy.lines());
    proxy.signal(Signal::SIGTERM)?;
    ensure!(proxy.wait_end(Duration::from_mins(1))?.success(), "{:?}", proxy.lines());
    ensure!(rig.answer("one.test").is_err(), "it ends with who took it over");
    // While nobody answers for the engine, the last configuration is served.
    lab.kill_dockerd(1)?;
    docker_less(&rig, &engine)?;
    lab.start_dockerd(1)
}

fn docker_less(rig: &Rig<'_>, engine: &str) -> Result<()> {
    let proxy = rig.proxy("nginx", engine, &["--run"])?;
    proxy.wait_for("the endpoint is lost", SOON)?;
    // Its containers went on without their daemon.
    let answered = rig.answers("one.test", "one");
    proxy.signal(Signal::SIGTERM)?;
    let mut proxy = proxy;
    ensure!(proxy.wait_end(Duration::from_mins(1))?.success(), "{:?}", proxy.lines());
    answered
}

#[test]
fn a_swarms_services_are_followed() -> Result<()> {
    // A lab of its own: a swarm would stay in the others' engines.
    let lab = Scratch::boot(1, |_| {})?;
    let rig = Rig::new(&lab, "services")?;
    let docker = |arguments: &[&str]| {
        Client::new("docker", &format!("unix://{}", lab.sock(1).display())).run(arguments).ok()
    };
    docker(&["swarm", "init", "--advertise-addr", &lab.ip(1)])?;
    let serve = "mkdir /www; echo $NAME > /www/index.html; exec httpd -f -p 80 -h /www";
    let service = [
        "service",
        "create",
        "--detach",
        "--name",
        "web",
        "--publish",
        "mode=host,target=80",
        "--label",
        "com.docker.swarm.proxy.host=web.test",
        "--env",
        "NAME=web",
        "--no-resolve-image",
        "--init",
        IMAGE,
        "sh",
        "-c",
        serve,
    ];
    docker(&service)?;
    let proxy = rig.proxy("haproxy", &format!("tcp://{}:2375", lab.ip(1)), &["--run"])?;
    rig.answers("web.test", "web").with_context(|| proxy.lines().join("\n"))?;
    // It is scaled to nothing: the host is known, and nobody answers for it.
    docker(&["service", "scale", "--detach", "web=0"])?;
    rig.answers("web.test", "HTTP/1.1 503 Service Unavailable")?;
    until(SOON, "no task is left", || Ok(rig.config()?.contains("Nobody is ready").then_some(())))?;
    docker(&["service", "scale", "--detach", "web=1"])?;
    rig.answers("web.test", "web").with_context(|| proxy.lines().join("\n"))?;
    docker(&["service", "rm", "web"])?;
    until(SOON, "the host is gone", || Ok((!rig.config()?.contains("web.test")).then_some(())))
}
