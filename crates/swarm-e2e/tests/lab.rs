//! The lab itself, on real engines: hosts are machines of their own, faults are what they are
//! said to be, and nothing of a lab survives it.

use std::io::Read as _;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use swarm_e2e::{
    Certs, IMAGE, Lab, Newer, RegistryConfig, RegistryPlace, Scratch, exclusive, shared, until,
};

const SOON: Duration = Duration::from_secs(10);
const AT_ONCE: Duration = Duration::from_secs(1);

fn reaches(lab: &Lab, i: u8, j: u8) -> Result<bool> {
    let to = lab.ip(j);
    let ping = ["busybox", "ping", "-c1", "-W1", to.as_str()];
    let output = if i == 0 { lab.fabric_exec(&ping)? } else { lab.exec(i, &ping)? };
    Ok(output.status.success())
}

/// Waits until it reaches: after a cut, the next try to find the neighbour is a second away.
fn arrives(lab: &Lab, i: u8, j: u8) -> Result<()> {
    until(SOON, format_args!("{i} reaches {j}"), || Ok(reaches(lab, i, j)?.then_some(())))
}

/// A connection to an engine, which answered on it once.
fn connected(lab: &Lab, i: u8) -> Result<TcpStream> {
    use std::io::Write as _;
    let mut stream = lab.dial(&format!("{}:2375", lab.ip(i)), SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: lab\r\n\r\n")?;
    let mut answer = [0; 15];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"HTTP/1.1 200 OK", "{:?}", String::from_utf8_lossy(&answer));
    // The rest of the answer is here at once; what comes later is what a test waits for.
    stream.set_read_timeout(Some(AT_ONCE))?;
    let mut rest = [0; 4096];
    let _ = stream.read(&mut rest)?;
    Ok(stream)
}

#[test]
fn hosts_are_machines_of_their_own() -> Result<()> {
    let lab = shared()?;
    let mut ids = Vec::new();
    for i in 1..=3 {
        ids.push(lab.sh(i, "docker info --format '{{.ID}}'")?);
        assert_eq!(
            lab.sh(i, "hostname; docker info --format '{{.Name}}'")?,
            format!("host-{i}\nhost-{i}")
        );
        arrives(&lab, i, i % 3 + 1)?;
        arrives(&lab, 0, i)?;
    }
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    assert_eq!(lab.sh(1, "busybox ping -c1 -W1 host-2 >/dev/null && echo by name")?, "by name");

    let image = |i| lab.sh(i, &format!("docker image inspect --format '{{{{.Id}}}}' {IMAGE}"));
    assert_eq!(image(1)?, image(2)?);
    assert_eq!(image(1)?, image(3)?);
    let seen = lab.sh(2, "docker run --rm busybox sh -c 'echo from a container; ps | wc -l'")?;
    assert!(seen.starts_with("from a container"), "{seen}");

    // What is missing is refused at once, because name look-ups fail fast.
    let start = Instant::now();
    assert!(lab.sh(1, "docker pull no-such-image").is_err());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    Ok(())
}

#[test]
fn a_power_cut_is_silent_and_a_crash_is_not() -> Result<()> {
    let lab = exclusive()?;
    lab.sh(1, "docker run --detach --name kept --restart always busybox sleep 1d")?;
    let before = lab.sh(1, "docker info --format '{{.ID}}'")?;

    let mut stream = connected(&lab, 1)?;
    lab.kill(1)?;
    let silence = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(silence.raw_os_error(), Some(Errno::EAGAIN as i32), "no FIN and no RST: {silence}");
    assert!(lab.init(1).is_none() && !reaches(&lab, 2, 1)?);
    assert!(lab.exec(1, &["true"]).is_err(), "nothing runs on a dead host");

    lab.start(1)?;
    assert_eq!(lab.sh(1, "docker info --format '{{.ID}}'")?, before, "a reboot keeps the engine");
    arrives(&lab, 2, 1)?;
    until(SOON, "the container is restarted", || {
        Ok((lab.sh(1, "docker ps --format '{{.Names}}'")? == "kept").then_some(()))
    })?;

    let mut stream = connected(&lab, 1)?;
    lab.crash(1)?;
    match stream.read(&mut [0; 1]) {
        Ok(read) => assert_eq!(read, 0, "FIN"),
        Err(error) => assert_eq!(error.raw_os_error(), Some(Errno::ECONNRESET as i32), "{error}"),
    }
    lab.start(1)
}

#[test]
fn cables_and_paths_are_cut_and_healed() -> Result<()> {
    let lab = exclusive()?;
    // Twice each, because the second must neither fail nor need a second healing.
    for _ in 0..2 {
        lab.cut(1, Some(2))?;
    }
    assert!(!reaches(&lab, 1, 2)? && !reaches(&lab, 2, 1)?);
    arrives(&lab, 1, 3)?;
    arrives(&lab, 0, 1)?;
    arrives(&lab, 0, 2)?;
    for _ in 0..2 {
        lab.heal(2, Some(1))?;
    }
    arrives(&lab, 1, 2)?;

    lab.cut(3, Some(0))?;
    assert!(!reaches(&lab, 0, 3)?);
    arrives(&lab, 1, 3)?;
    lab.heal(3, Some(0))?;
    arrives(&lab, 0, 3)?;

    lab.cut(2, None)?;
    assert!(!reaches(&lab, 0, 2)? && !reaches(&lab, 1, 2)?);
    arrives(&lab, 1, 3)?;
    lab.heal(2, None)?;
    arrives(&lab, 0, 2)?;
    arrives(&lab, 1, 2)?;

    assert!(lab.cut(1, Some(1)).is_err() && lab.cut(9, None).is_err());
    Ok(())
}

#[test]
fn daemons_are_paused_killed_and_started_alone() -> Result<()> {
    let lab = exclusive()?;
    let id = lab.sh(2, "docker run --detach --stop-signal KILL --name lives busybox sleep 1d")?;
    let mut stream = connected(&lab, 2)?;
    lab.pause_dockerd(2)?;
    let silence = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(silence.raw_os_error(), Some(Errno::EAGAIN as i32), "{silence}");
    assert!(lab.dial(&format!("{}:2375", lab.ip(2)), SOON).is_ok(), "the kernel still accepts");
    assert!(!lab.ls()[1].answers);
    lab.resume_dockerd(2)?;
    lab.wait_up(2)?;

    lab.kill_dockerd(2)?;
    assert!(!lab.ls()[1].answers && lab.init(2).is_some());
    let alive = lab.sh(2, &format!("pgrep -f containerd-shim.*{id} >/dev/null && echo alive"))?;
    assert_eq!(alive, "alive", "the shim outlives the daemon");
    lab.start_dockerd(2)?;
    assert_eq!(lab.sh(2, "docker inspect --format '{{.Id}}' lives")?, id);
    Ok(())
}

#[test]
fn a_reset_leaves_clean_hosts() -> Result<()> {
    {
        let lab = exclusive()?;
        lab.sh(1, "docker run --detach --name one --volume data:/data busybox sleep 1d")?;
        lab.sh(1, "docker tag busybox:latest other:1 && docker network create net")?;
        lab.sh(1, "docker commit one made:1 && docker rmi --force busybox:latest")?;
        lab.kill(2)?;
        lab.cut(1, Some(3))?;
        lab.pause_dockerd(3)?;
    }
    let lab = exclusive()?;
    for i in 1..=3 {
        let rest = lab.sh(
            i,
            "docker ps --all --quiet; docker volume ls --quiet
             docker network ls --quiet --filter type=custom
             docker images --format '{{.Repository}}:{{.Tag}}'",
        )?;
        assert_eq!(rest, IMAGE, "host {i}");
    }
    arrives(&lab, 1, 3)
}

#[test]
fn a_registry_asks_for_its_password() -> Result<()> {
    let lab = exclusive()?;
    let auth = Some(("ann".to_owned(), "secret".to_owned()));
    let registry =
        lab.registry(&RegistryConfig { place: RegistryPlace::Fabric, port: 5001, auth })?.address;
    lab.sh(1, &format!("docker tag {IMAGE} {registry}/box:1"))?;
    let push = format!("docker push --quiet {registry}/box:1");
    let refused = lab.sh(1, &push).unwrap_err().to_string();
    assert!(refused.contains("no basic auth credentials"), "{refused}");
    let login = format!(
        "export DOCKER_CONFIG=/run/d; echo secret | docker login -u ann --password-stdin {registry}"
    );
    lab.sh(1, &format!("{login} && {push}"))?;
    lab.sh(2, &format!("{login} && docker pull --quiet {registry}/box:1"))?;
    let open = lab
        .registry(&RegistryConfig { place: RegistryPlace::Host(3), ..RegistryConfig::default() })?;
    lab.sh(1, &format!("docker tag {IMAGE} {0}/b && docker push --quiet {0}/b", open.address))?;
    Ok(())
}

#[test]
fn newer_engines_and_tls_live_beside_older_ones() -> Result<()> {
    let newer = Newer::find()?;
    let lab = Scratch::open(|_| {})?;
    let certs = Certs::new(lab.dir().join("certs"))?;
    certs.sign("host-1", &[&format!("IP:{}", lab.ip(1)), "DNS:host-1"])?;
    certs.sign("client", &[])?;
    lab.configure(1, |host| {
        newer.engine(host);
        let plain = host.clone();
        *host = plain.with_tls(&certs.ca(), &certs.cert("host-1"), &certs.key("host-1"));
    })?;
    lab.up(2)?;
    lab.image(IMAGE)?;
    let version = |i| lab.sh(i, "docker version --format '{{.Server.Version}}'");
    assert!(version(1)?.starts_with("28.") && !version(2)?.starts_with("28."));
    assert_eq!(lab.sh(1, "docker run --rm busybox echo newer")?, "newer");

    let address = format!("tcp://{}:2376", lab.ip(1));
    let docker = |more: &[&str]| {
        let mut command = lab.fabric_command("docker");
        command.env_remove("DOCKER_HOST").args(["-H", &address]).args(more);
        command.args(["version", "--format", "{{.Server.Version}}"]).output()
    };
    let (ca, cert, key) = (certs.ca(), certs.cert("client"), certs.key("client"));
    let known = ["--tlsverify", "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key];
    assert!(docker(&known)?.status.success(), "{:?}", docker(&known)?);
    assert!(!docker(&[])?.status.success(), "plain is refused");
    assert!(!docker(&["--tls"])?.status.success(), "a client without a certificate is refused");
    assert!(lab.dial(&format!("{}:2375", lab.ip(1)), AT_ONCE).is_err());
    Ok(())
}

#[test]
fn labs_do_not_see_each_other() -> Result<()> {
    let [a, b] = [Scratch::open(|_| {})?, Scratch::open(|_| {})?];
    // The same addresses in both: two networks that never meet.
    a.up(2)?;
    b.up(1)?;
    arrives(&a, 1, 2)?;
    assert!(!reaches(&b, 1, 2)?);
    b.down()?;
    assert_eq!(b.leftovers(), [""; 0]);
    arrives(&a, 1, 2)?;
    assert!(a.ls().iter().all(|host| host.answers));
    Ok(())
}

#[test]
fn down_leaves_nothing() -> Result<()> {
    let lab = Scratch::boot(2, |_| {})?;
    lab.sh(1, "docker run --detach --init busybox sleep 1d")?;
    lab.sh(2, "docker run --detach --volume data:/data --publish 80:80 busybox sleep 1d")?;
    lab.registry(&RegistryConfig::default())?;
    let mut user = lab.fabric_command("sleep").arg("1d").spawn()?;
    lab.cut(1, Some(2))?;
    lab.kill(2)?;
    assert!(lab.leftovers().len() > 5, "{:?}", lab.leftovers());
    lab.down()?;
    assert_eq!(lab.leftovers(), [""; 0]);
    assert!(!user.wait()?.success(), "killed with the lab");
    lab.down()?; // Again, of nothing.
    Ok(())
}

#[test]
fn killed_owners_leave_nothing_after_down() -> Result<()> {
    for moment in [5, 40, 120, 300, 900, 2500] {
        let name = format!("e2e-{}-killed", std::process::id());
        let mut owner = Command::new(env!("CARGO_BIN_EXE_lab-owner"))
            .arg(&name)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // The moment of its death is the subject here; nothing announces it.
        std::thread::sleep(Duration::from_millis(moment));
        owner.kill()?;
        owner.wait()?;
        let lab = Lab::attach(&swarm_e2e::LabConfig::named(&name).base, &name)?;
        if moment > 1000 {
            assert!(!lab.leftovers().is_empty());
        }
        lab.down().with_context(|| format!("after {moment} ms"))?;
        assert_eq!(lab.leftovers(), [""; 0], "after {moment} ms");
    }
    Ok(())
}
