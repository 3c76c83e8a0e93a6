//! Engines that listen at their sockets alone, and agents that serve them: a pool over the agents' doors, what
//! becomes of raw streams on the way, who is let in, and what happens when the engine or the agent goes.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use swarm_e2e::{Certs, Client, IMAGE, Lab, Pool, Scratch, Watch, until};
use tempfile::TempDir;

const SOON: Duration = Duration::from_mins(1);

/// A pool of two engines, each behind its agent.
struct Doors {
    agents: Vec<Watch>,
    pool: Pool,
    ours: Certs,
    lab: Scratch,
    state: TempDir,
}

impl Doors {
    fn open() -> Result<Self> {
        let lab = Scratch::boot(2, |config| config.default.listen.clear())?;
        let ours = Certs::new(lab.dir().join("ours"))?;
        ours.sign("manager", &[&format!("IP:{}", lab.ip(0))])?;
        let state = TempDir::new()?;
        let data = state.path().display().to_string();
        let listen = format!("{}:2378", lab.ip(0));
        let (ca, cert, key) = (ours.ca(), ours.cert("manager"), ours.key("manager"));
        let tls = ["--tlsverify", "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key];
        let own = ["--data-dir", &data, "--store-listen", &listen, "swarm://"];
        let pool = Pool::launch(&lab, &[&tls[..], &own].concat())?;
        let token = state.path().join("join-token.node");
        until(SOON, "the token is there", || Ok(token.exists().then_some(())))?;
        let mut this = Self { agents: Vec::new(), pool, ours, lab, state };
        for host in 1..=2 {
            this.ours.sign(&format!("host-{host}"), &[&format!("IP:{}", this.lab.ip(host))])?;
            let agent = this.agent(host)?;
            this.agents.push(agent);
        }
        this.pool.manager().wait_healthy(2, SOON)?;
        Ok(this)
    }

    /// An agent on a host, registered.
    fn agent(&self, host: u8) -> Result<Watch> {
        let (lab, name) = (&self.lab, format!("host-{host}"));
        let place = format!("{}:2376", lab.ip(host));
        let engine = format!("unix://{}", lab.sock(host).display());
        let token = self.state.path().join("join-token.node").display().to_string();
        let (ca, cert, key) = (self.ours.ca(), self.ours.cert(&name), self.ours.key(&name));
        let mut command = lab.network_command(host, &swarm_e2e::swarm()?.display().to_string());
        command.args(["join", "--advertise", &place, "--listen", "tcp://0.0.0.0:2376"]);
        command.args(["--engine", &engine, "--heartbeat", "1s", "--ttl", "3s", "--tlsverify"]);
        command.args(["--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key]);
        command.args(["--discovery-opt", &format!("kv.tokenfile={token}")]);
        command.arg(format!("swarm://{}:2378", lab.ip(0)));
        let agent = Watch::start(command)?;
        agent.wait_for(" registered ", SOON)?;
        Ok(agent)
    }

    /// `docker` elsewhere, straight at the door of a host.
    fn at(&self, host: u8, flags: &[&str]) -> swarm_e2e::Ran {
        straight(&self.lab, host, flags)
    }
}

fn straight(lab: &Lab, host: u8, flags: &[&str]) -> swarm_e2e::Ran {
    let inside = lab.fabric_command("docker");
    let address = format!("tcp://{}:2376", lab.ip(host));
    let words: Vec<_> = inside.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let words =
        words.iter().map(String::as_str).chain(["-H", &address]).chain(flags.iter().copied());
    let words: Vec<_> = words.chain(["version", "--format", "{{.Server.Version}}"]).collect();
    Client::new(inside.get_program(), "").env("DOCKER_CONFIG", "/nonexistent").run(&words)
}

#[test]
fn a_pool_works_through_its_agents_doors() -> Result<()> {
    let doors = Doors::open()?;
    let pool = &doors.pool;
    let listens = "ss -Hltn 'sport = :2375 or sport = :2376'";
    let open = doors.lab.sh(1, listens)?;
    ensure!(open.lines().count() == 1 && open.contains(":2376"), "the agent alone listens: {open}");
    let mut nodes = Vec::new();
    for name in ["one", "two"] {
        pool.sleeper(name, &[]).ok()?;
        nodes.push(pool.node_of(name)?);
    }
    nodes.sort();
    ensure!(nodes == ["host-1", "host-2"], "{nodes:?}");

    // Ends of input, exit codes, a terminal, megabytes both ways.
    let docker = |words: &[&str], input: &str| pool.client("docker").feed(words, input.as_bytes());
    ensure!(docker(&["run", "-i", "--rm", IMAGE, "sort"], "b\na\n").ok()? == "a\nb");
    let output = docker(&["exec", "two", "sh", "-c", "echo out; exit 7"], "").output()?;
    ensure!(output.status.code() == Some(7) && output.stdout == b"out\n", "{output:?}");
    let typed = "tty; exit 5\n";
    let terminal = pool.client("script");
    let line = "docker exec -it one sh";
    let output = terminal.feed(&["-qec", line, "/dev/null"], typed.as_bytes()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(5) && said.contains("/dev/pts/"), "{said}");
    let million = "0123456789abcde\n".repeat(1 << 18);
    let sum = docker(&["exec", "-i", "one", "md5sum"], &million).ok()?;
    ensure!(sum == Client::new("md5sum", "").feed(&[], million.as_bytes()).ok()?, "{sum}");
    let folder = TempDir::new()?;
    let there = folder.path().display().to_string();
    fs::write(folder.path().join("in"), &million)?;
    pool.docker(&["cp", &format!("{there}/in"), "two:/tmp/in"]).ok()?;
    pool.docker(&["cp", "two:/tmp/in", &format!("{there}/out")]).ok()?;
    ensure!(fs::read_to_string(folder.path().join("out"))? == million);
    fs::write(folder.path().join("Dockerfile"), format!("FROM {IMAGE}\nRUN echo built >/it\n"))?;
    pool.docker(&["build", "--tag", "made", &there]).ok()?;
    ensure!(pool.docker(&["run", "--rm", "made", "cat", "/it"]).ok()? == "built");
    let follow = ["run", "-d", "--name", "says", IMAGE, "sh", "-c", "echo a; read x; echo b $x"];
    pool.docker(&[&follow[..1], &["-i"], &follow[1..]].concat()).ok()?;
    let mut logs = pool.watch(&["logs", "--follow", "says"])?;
    logs.wait_for("a", SOON)?;
    docker(&["attach", "--sig-proxy=false", "says"], "go\n").ok()?;
    logs.wait_for("b go", SOON)?;
    ensure!(logs.wait_end(SOON)?.success(), "{:?}", logs.lines());
    pool.docker(&["rm", "--force", "one", "two", "says"]).ok().map(drop)
}

#[test]
fn a_door_opens_to_certificates_of_its_authority_alone() -> Result<()> {
    let doors = Doors::open()?;
    let other = Certs::new(doors.lab.dir().join("other"))?;
    for certs in [&doors.ours, &other] {
        certs.sign("client", &[])?;
    }
    let shown = |certs: &Certs| {
        let (ca, cert, key) = (doors.ours.ca(), certs.cert("client"), certs.key("client"));
        ["--tlsverify", "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key].map(str::to_owned)
    };
    let with = |flags: [String; 7]| {
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        doors.at(1, &flags)
    };
    with(shown(&doors.ours)).ok()?;
    // A Go client keeps a certificate to itself that these authorities did not sign.
    let told = with(shown(&other)).fails()?;
    ensure!(told.contains("certificate required"), "{told}");
    let told = doors.at(1, &["--tls", "--tlscacert", &doors.ours.ca()]).fails()?;
    ensure!(told.contains("certificate required"), "{told}");
    let told = doors.at(1, &[]).fails()?;
    ensure!(told.contains("HTTP request to an HTTPS server"), "{told}");

    // A manager of another authority says so of the engine.
    other.sign("manager", &[&format!("IP:{}", doors.lab.ip(0))])?;
    let (cert, key) = (other.cert("manager"), other.key("manager"));
    let tls =
        ["--tlsverify", "--tlscacert", &doors.ours.ca(), "--tlscert", &cert, "--tlskey", &key];
    let stranger =
        Pool::launch(&doors.lab, &[&tls[..], &[&format!("{}:2376", doors.lab.ip(1))]].concat())?;
    until(SOON, "it is told", || {
        let info = stranger.docker(&["info"]).ok()?;
        Ok(info.contains("the engine does not accept this manager's certificate").then_some(()))
    })
}

#[test]
fn an_engine_or_an_agent_that_goes_is_missed_and_comes_back() -> Result<()> {
    let mut doors = Doors::open()?;
    doors.pool.sleeper("stays", &["-e", "constraint:node==host-2"]).ok()?;
    let mut logs = doors.pool.watch(&["logs", "--follow", "stays"])?;
    let healthy = |count: usize, doors: &Doors| {
        until(SOON, format_args!("{count} engines are healthy"), || {
            Ok((doors.pool.manager().nodes_with_status("Healthy")? == count).then_some(()))
        })
    };
    let list = |doors: &Doors| -> Result<String> {
        let token = doors.state.path().join("join-token.node").display().to_string();
        let mut command = doors.lab.fabric_command(&swarm_e2e::swarm()?.display().to_string());
        command.args(["list", "--discovery-opt", &format!("kv.tokenfile={token}")]);
        let listed = swarm_e2e::run(command.arg(format!("swarm://{}:2378", doors.lab.ip(0))))?;
        Ok(String::from_utf8_lossy(&listed.stdout).into_owned())
    };
    let second = format!("{}:2376", doors.lab.ip(2));

    // The engine is down: its streams end, and nobody vouches for it any more.
    doors.lab.kill_dockerd(2)?;
    doors.agents[1].wait_for("the engine does not answer: not registered", SOON)?;
    logs.wait_end(SOON)?;
    healthy(1, &doors)?;
    until(SOON, "its registration has run out", || {
        Ok((!list(&doors)?.contains(&second)).then_some(()))
    })?;
    doors.lab.start_dockerd(2)?;
    doors.agents[1].wait_for("the engine can be reached again", SOON)?;
    healthy(2, &doors)?;

    // The agent is stopped: it takes the engine along in order, a stream through it does not keep it.
    let mut events = doors.pool.watch(&["events"])?;
    doors.agents[1].signal(Signal::SIGTERM)?;
    ensure!(doors.agents[1].wait_end(SOON)?.success(), "{:?}", doors.agents[1].lines());
    ensure!(!list(&doors)?.contains(&second));
    healthy(1, &doors)?;
    ensure!(events.runs()?, "the pool goes on");
    doors.agents[1] = doors.agent(2)?;
    healthy(2, &doors)?;
    until(SOON, "the container is there again", || {
        let listed = doors.pool.docker(&["ps", "--all", "--format", "{{.Names}}"]).ok()?;
        Ok(listed.contains("host-2/stays").then_some(()))
    })
}
