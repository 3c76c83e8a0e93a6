//! TLS on both sides of the manager: clients with and without certificates, engines that verify,
//! certificates replaced at run time, and errors that say which part is wrong.

use std::fs;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sys::signal::Signal;
use swarm_e2e::{Certs, Client, IMAGE, Pool, Ran, Scratch, Watch, until};
use swarm_testkit::stores::consul::{Config, ConsulServer};

const SOON: Duration = Duration::from_mins(1);

/// Engines behind TLS: 1 is right, 2 has a stranger's certificate, 3 lets in only clients of
/// the other authority, 4 has a certificate for another name, 5 speaks no TLS.
struct Wired {
    lab: Scratch,
    ours: Certs,
    other: Certs,
}

fn wired() -> Result<&'static Wired> {
    static WIRED: OnceLock<Result<Wired, String>> = OnceLock::new();
    let wired = WIRED.get_or_init(|| wire().map_err(|error| format!("{error:#}")));
    wired.as_ref().map_err(|error| anyhow!("the lab did not boot: {error}"))
}

fn wire() -> Result<Wired> {
    let lab = Scratch::open(|_| {})?;
    let ours = Certs::new(lab.dir().join("ours"))?;
    let other = Certs::new(lab.dir().join("other"))?;
    ours.sign("manager", &[&format!("IP:{}", lab.ip(0)), "DNS:pool"])?;
    ours.sign("client", &[])?;
    other.sign("client", &[])?;
    for (i, signer, trusted) in
        [(1, &ours, &ours), (2, &other, &ours), (3, &ours, &other), (4, &ours, &ours)]
    {
        let name = format!("host-{i}");
        let address = if i == 4 { "10.9.9.9".to_owned() } else { lab.ip(i) };
        signer.sign(&name, &[&format!("IP:{address}")])?;
        lab.configure(i, |host| {
            *host = host.clone().with_tls(&trusted.ca(), &signer.cert(&name), &signer.key(&name));
        })?;
    }
    lab.up(5)?;
    lab.image(IMAGE)?;
    Ok(Wired { lab, ours, other })
}

impl Wired {
    fn address(&self, i: u8) -> String {
        let port = if i == 5 { 2375 } else { 2376 };
        format!("{}:{port}", self.lab.ip(i))
    }

    /// A manager listening with TLS at `port`, with the certificate `manager` of `certs`.
    fn manage(&self, mode: &str, certs: &Certs, port: u16, hosts: &[u8]) -> Result<Pool> {
        let nodes: Vec<_> = hosts.iter().map(|i| self.address(*i)).collect();
        let (ca, cert, key) = (certs.ca(), certs.cert("manager"), certs.key("manager"));
        let tls = [mode, "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key];
        let listen = format!("tcp://{}:{port}", self.lab.ip(0));
        let nodes = format!("nodes://{}", nodes.join(","));
        Pool::launch(&self.lab, &[&tls[..], &["--host", &listen, &nodes]].concat())
    }

    /// `docker` in the manager's network, at its TCP port.
    fn docker(&self, port: u16, more: &[&str]) -> Ran {
        let address = format!("tcp://{}:{port}", self.lab.ip(0));
        let inside = self.lab.fabric_command("docker");
        let words: Vec<String> = inside
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .chain(["-H".to_owned(), address])
            .chain(more.iter().map(|word| (*word).to_owned()))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Client::new(inside.get_program(), "").env("DOCKER_CONFIG", "/nonexistent").run(&words)
    }

    /// The client's flags with a certificate of `certs`, checking the manager's.
    fn known(&self, certs: &Certs) -> Vec<String> {
        let (cert, key) = (certs.cert("client"), certs.key("client"));
        ["--tlsverify", "--tlscacert", &self.ours.ca(), "--tlscert", &cert, "--tlskey", &key]
            .map(str::to_owned)
            .into()
    }

    /// As `docker`, with [`Wired::known`].
    fn docker_as(&self, certs: &Certs, port: u16, more: &[&str]) -> Ran {
        let known = self.known(certs);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        self.docker(port, &[&known[..], more].concat())
    }

    /// The serial number of the certificate shown at a port.
    fn serial(&self, port: u16) -> Result<String> {
        let script = format!(
            "openssl s_client -connect {}:{port} </dev/null 2>/dev/null | openssl x509 -noout -serial",
            self.lab.ip(0)
        );
        let output = self.lab.fabric_exec(&["sh", "-c", &script])?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// The error that `docker info` shows of the node at an address.
fn error_of(pool: &Pool, address: &str) -> Result<String> {
    let info = pool.docker(&["info"]).ok()?;
    let mut rows = info.lines().skip_while(|line| !line.contains(address));
    let error = rows.find_map(|line| line.trim().strip_prefix("└ Error: "));
    Ok(error.with_context(|| format!("no error row in {info}"))?.to_owned())
}

#[test]
fn a_verifying_manager_serves_only_clients_with_a_certificate() -> Result<()> {
    let wired = wired()?;
    let pool = wired.manage("--tlsverify", &wired.ours, 3382, &[1])?;
    pool.manager().wait_healthy(1, SOON)?;
    let docker = |more: &[&str]| wired.docker_as(&wired.ours, 3382, more);
    let id =
        docker(&["run", "-d", "--stop-signal=KILL", "--name=in", IMAGE, "sleep", "1d"]).ok()?;
    assert_eq!(docker(&["ps", "--quiet", "--no-trunc"]).ok()?, id);
    // A hijacked stream over TLS on both sides, closed by the client's end first.
    let words = ["exec", "-i", "in", "sh", "-c", "cat; echo the end"];
    assert_eq!(docker(&words).ok()?, "the end");
    assert_eq!(docker(&["exec", "in", "sh", "-c", "exit 7"]).output()?.status.code(), Some(7));
    docker(&["rm", "--force", "in"]).ok()?;

    let nobody = wired.docker(3382, &["--tls", "--tlscacert", &wired.ours.ca(), "ps"]).fails()?;
    assert!(nobody.contains("certificate required"), "{nobody}");
    // A Go client keeps a certificate to itself that the manager's authorities did not sign.
    let stranger = wired.docker_as(&wired.other, 3382, &["ps"]).fails()?;
    assert!(stranger.contains("certificate required"), "{stranger}");
    let plain = wired.docker(3382, &["ps"]).fails()?;
    assert!(plain.contains("HTTP request to an HTTPS server"), "{plain}");
    assert!(!pool.manager().log().contains("ANYONE WHO REACHES"), "clients are verified");
    Ok(())
}

#[test]
fn each_engine_that_tls_keeps_away_says_why() -> Result<()> {
    let wired = wired()?;
    let pool = wired.manage("--tlsverify", &wired.ours, 3377, &[1, 2, 3, 4, 5])?;
    pool.manager().wait_healthy(1, SOON)?;
    for (i, words) in [
        (1, "(none)"),
        (2, "the engine's certificate is not from an authority of this manager's CA file"),
        (3, "the engine does not accept this manager's certificate"),
        (4, "not valid for name"),
        (5, "the engine does not speak TLS"),
    ] {
        let address = wired.address(i);
        until(SOON, format_args!("the error of host {i}"), || {
            Ok(error_of(&pool, &address)?.contains(words).then_some(()))
        })
        .with_context(|| error_of(&pool, &address).unwrap_or_default())?;
    }
    Ok(())
}

#[test]
fn without_tls_the_engines_own_words_are_shown() -> Result<()> {
    let wired = wired()?;
    let address = wired.address(1);
    let pool = Pool::launch(&wired.lab, &[&format!("nodes://{address}")])?;
    until(SOON, "the engine's words", || {
        Ok(error_of(&pool, &address)?.contains("HTTPS server").then_some(()))
    })
    .with_context(|| pool.docker(&["info"]).ok().unwrap_or_default())
}

#[test]
fn tls_without_verification_encrypts_and_believes_everyone() -> Result<()> {
    let wired = wired()?;
    let pool = wired.manage("--tls", &wired.ours, 3378, &[1, 2, 4])?;
    pool.manager().wait_healthy(3, SOON)?;
    let anyone = ["--tls", "--tlscacert", &wired.ours.ca(), "version"];
    wired.docker(3378, &anyone).ok()?;
    wired.docker_as(&wired.ours, 3378, &["version"]).ok()?;
    let plain = wired.docker(3378, &["ps"]).fails()?;
    assert!(plain.contains("HTTP request to an HTTPS server"), "{plain}");
    assert!(pool.manager().log().contains("ANYONE WHO REACHES"), "nobody is verified");
    Ok(())
}

#[test]
fn certificates_are_read_again_on_sighup() -> Result<()> {
    let wired = wired()?;
    let lab = &wired.lab;
    // Its own copies, so that other tests keep theirs.
    let certs = Certs::new(lab.dir().join("renewed"))?;
    for (name, from) in [("ca.pem", "ca.pem"), ("manager.pem", "manager.pem")] {
        fs::copy(wired.ours.folder().join(from), certs.folder().join(name))?;
    }
    fs::copy(wired.ours.key("manager"), certs.key("manager"))?;
    let pool = wired.manage("--tlsverify", &certs, 3379, &[1])?;
    pool.manager().wait_healthy(1, SOON)?;
    let first = wired.serial(3379)?;
    assert!(first.starts_with("serial="), "{first}");
    wired.docker_as(&wired.ours, 3379, &["ps"]).ok()?;
    wired.docker_as(&wired.other, 3379, &["ps"]).fails()?;
    let mut watching = {
        let known = wired.known(&wired.ours);
        let mut events = lab.fabric_command("docker");
        events.args(["-H", &format!("tcp://{}:3379", lab.ip(0))]).args(known).arg("events");
        events.stdout(Stdio::null()).spawn()?
    };

    // Half a replacement: the old one stays, and the log says which file is wrong.
    fs::write(certs.cert("manager"), "not a certificate")?;
    pool.manager().signal(Signal::SIGHUP)?;
    until(SOON, "the complaint", || {
        let log = pool.manager().log();
        Ok((log.contains("old certificates stay") && log.contains("manager.pem")).then_some(()))
    })?;
    assert_eq!(wired.serial(3379)?, first);

    wired.ours.sign("renewed", &[&format!("IP:{}", lab.ip(0))])?;
    fs::copy(wired.ours.cert("renewed"), certs.cert("manager"))?;
    fs::copy(wired.ours.key("renewed"), certs.key("manager"))?;
    let both = [fs::read(wired.ours.ca())?, fs::read(wired.other.ca())?].concat();
    fs::write(certs.ca(), both)?;
    pool.manager().signal(Signal::SIGHUP)?;
    until(SOON, "another certificate", || Ok((wired.serial(3379)? != first).then_some(())))?;
    wired.docker_as(&wired.ours, 3379, &["ps"]).ok()?;
    wired.docker_as(&wired.other, 3379, &["ps"]).ok()?;
    assert!(watching.try_wait()?.is_none(), "open connections live on");
    watching.kill()?;
    watching.wait()?;
    // Engines are still reached, also by a connection made with the new files.
    wired.docker_as(&wired.other, 3379, &["run", "--rm", IMAGE, "true"]).ok()?;
    Ok(())
}

#[test]
fn an_open_port_without_tls_is_warned_of_loudly() -> Result<()> {
    let lab = &wired()?.lab;
    let open = format!("tcp://{}:3380", lab.ip(0));
    for (host, warned) in [(open.as_str(), true), ("tcp://127.0.0.1:3381", false)] {
        let pool = Pool::launch(lab, &["--host", host, "nodes://10.77.0.99:2375"])?;
        let log = pool.manager().log();
        assert_eq!(log.contains("ANYONE WHO REACHES"), warned, "{log}");
        assert!(log.contains(&format!("listening on {host}")), "{log}");
    }
    Ok(())
}

/// What docker-machine's `--swarm`, `--swarm-master` and `--swarm-discovery` start on its machines, word for word but for
/// the folder of the certificates. An agent has none, though its engine speaks nothing but TLS.
#[test]
fn the_lines_of_docker_machine_make_a_pool() -> Result<()> {
    let wired = wired()?;
    let lab = &wired.lab;
    let consul = lab.inside(0, || ConsulServer::start(Config::default()))?;
    let discovery = consul.url("machines");
    let swarm = swarm_e2e::swarm()?.display().to_string();
    let mut agent = lab.fabric_command(&swarm);
    agent.args(["join", "--advertise", &wired.address(1), &discovery]);
    let mut agent = Watch::start(agent)?;
    agent.wait_for(" registered ", SOON)?;

    let file = |flag: &str, path: &str| format!("--{flag}={path}");
    let ca = file("tlscacert", &wired.ours.ca());
    let cert = file("tlscert", &wired.ours.cert("manager"));
    let key = file("tlskey", &wired.ours.key("manager"));
    let master = ["manage", "--tlsverify", &ca, &cert, &key, "-H", "tcp://0.0.0.0:3376"];
    let more = ["--strategy", "spread", "--advertise", &format!("{}:3376", lab.ip(0)), &discovery];
    let mut command = lab.fabric_command(&swarm);
    command.args(master).args(more);
    let _master = Watch::start(command)?;

    let docker = |more: &[&str]| wired.docker_as(&wired.ours, 3376, more);
    until(SOON, "the machine is in the pool", || {
        let info = docker(&["info"]).ok().unwrap_or_default();
        Ok((info.contains("Strategy: spread") && info.contains("Status: Healthy")).then_some(()))
    })
    .with_context(|| format!("{:?}", docker(&["info"]).ok()))?;
    let run = ["run", "-d", "--stop-signal=KILL", "--name=machine", IMAGE, "sleep", "1d"];
    let id = docker(&run).ok()?;
    assert_eq!(docker(&["ps", "--quiet", "--no-trunc"]).ok()?, id);
    let listed = docker(&["ps", "--format", "{{.Names}}"]).ok()?;
    assert_eq!(listed, "host-1/machine");
    docker(&["rm", "--force", "machine"]).ok()?;
    wired.docker(3376, &["ps"]).fails()?;
    agent.signal(Signal::SIGTERM)?;
    assert!(agent.wait_end(SOON)?.success(), "{:?}", agent.lines());
    Ok(())
}
