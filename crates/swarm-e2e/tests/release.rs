//! What a release is made of, used as its users do: the image of nothing but the static binary, by the commands
//! of classic Swarm's old talks; the archive and the Debian package, made twice, installed and removed.
//!
//! The binary is the tests' own, linked statically; how a release's is compiled is `cargo xtask dist`'s business.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{IMAGE, Lab, Scratch, exclusive, run, until};

const SOON: Duration = Duration::from_mins(1);

/// What a command on a host printed, if it succeeded.
fn on(lab: &Lab, host: u8, program: &str, arguments: &[&str]) -> Result<String> {
    let output = run(lab.command(host, program)?.args(arguments))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The workspace's root.
fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no workspace")
}

/// A client elsewhere, with the manager that host 1 publishes at a port.
fn docker(lab: &Lab, port: u16, arguments: &[&str]) -> Result<String> {
    let mut command = lab.fabric_command("timeout");
    command.args(["60", "docker", "-H", &format!("tcp://{}:{port}", lab.ip(1))]).args(arguments);
    command.env("DOCKER_CONFIG", "/nonexistent");
    Ok(String::from_utf8_lossy(&run(&mut command)?.stdout).trim().to_owned())
}

#[test]
fn the_image_serves_a_pool_by_the_commands_of_the_old_talks() -> Result<()> {
    let lab = exclusive()?;
    let context = tempfile::tempdir()?;
    fs::copy(root()?.join("contrib/image/Dockerfile"), context.path().join("Dockerfile"))?;
    fs::copy(swarm_e2e::static_swarm()?, context.path().join("swarm"))?;
    let one = |arguments: &[&str]| on(&lab, 1, "docker", arguments);
    one(&["build", "--quiet", "--tag", "swarm", &context.path().display().to_string()])?;
    let size = one(&["image", "inspect", "--format", "{{.Size}} {{len .RootFS.Layers}}", "swarm"])?;
    println!("bytes and layers of the image: {size}");
    ensure!(size.ends_with(" 1"), "nothing but the binary: {size}");
    ensure!(one(&["run", "--rm", "swarm"])?.contains("Many Docker Engines"), "its help");
    ensure!(one(&["run", "--rm", "swarm", "--version"])?.contains(env!("CARGO_PKG_VERSION")));

    // The service that tokens come from, then as ever: create, join, manage, list.
    let service = ["discovery", "--listen", "tcp://0.0.0.0:2374", "--data-dir", "/data"];
    let keeps = ["run", "-d", "--name", "tokens", "-p", "2374:2374", "-v", "tokens:/data", "swarm"];
    one(&[&keeps[..], &service].concat())?;
    let at = format!("SWARM_DISCOVERY_URL=http://{}:2374", lab.ip(1));
    until(SOON, "the service serves", || {
        let said = lab.sh(1, "docker logs tokens 2>&1")?;
        Ok(said.contains("serving tokens").then_some(()))
    })?;
    let token = one(&["run", "--rm", "-e", &at, "swarm", "create"])?;
    ensure!(token.len() == 32, "{token}");
    let url = format!("token://{token}");
    for host in 1..=3 {
        let (name, engine) = (format!("agent-{host}"), format!("--addr={}:2375", lab.ip(host)));
        one(&["run", "-d", "--name", &name, "-e", &at, "swarm", "join", &engine, &url])?;
    }
    let published = ["run", "-d", "--name", "manager", "-p", "3375:2375", "-e", &at];
    one(&[&published[..], &["swarm", "manage", &url]].concat())?;
    let engines = until(SOON, "all engines are registered", || {
        let listed = one(&["run", "--rm", "-e", &at, "swarm", "list", &url])?;
        Ok((listed.lines().count() == 3).then_some(listed))
    })?;
    ensure!((1..=3).all(|host| engines.contains(&format!("{}:2375", lab.ip(host)))), "{engines}");

    // An unmodified client, elsewhere.
    until(SOON, "the manager in the container has three engines", || {
        let info = docker(&lab, 3375, &["info"]).unwrap_or_default();
        Ok((info.matches("Status: Healthy").count() == 3).then_some(()))
    })?;
    let mut nodes: Vec<_> = (1..=3)
        .map(|i| {
            let name = format!("web-{i}");
            let more = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
            docker(&lab, 3375, &[&["run", "-d", "--name", &name], &more[..]].concat())?;
            docker(&lab, 3375, &["inspect", "--format", "{{.Node.Name}}", &name])
        })
        .collect::<Result<_>>()?;
    nodes.sort();
    nodes.dedup();
    ensure!(nodes.len() > 1, "they are spread: {nodes:?}");
    let listed = docker(&lab, 3375, &["ps", "--format", "{{.Names}}"])?;
    ensure!((1..=3).all(|i| listed.contains(&format!("/web-{i}"))), "{listed}");
    ensure!(docker(&lab, 3375, &["exec", "web-2", "echo", "in"])? == "in");
    docker(&lab, 3375, &["rm", "--force", "web-1", "web-2", "web-3"])?;

    // As PID 1 it hears the signal, takes its leave and ends well; nobody has to kill it.
    for name in ["agent-3", "manager", "tokens"] {
        let begun = Instant::now();
        one(&["stop", "--time", "20", name])?;
        let ended = one(&["inspect", "--format", "{{.State.ExitCode}}", name])?;
        println!("{name} ended with {ended} after {:.1?}", begun.elapsed());
        ensure!(ended == "0", "{name}: {ended}: {}", one(&["logs", name])?);
        if name == "agent-3" {
            let listed = one(&["run", "--rm", "-e", &at, "swarm", "list", &url])?;
            ensure!(!listed.contains(&lab.ip(3)), "it took its registration back: {listed}");
        }
    }
    Ok(())
}

/// Packs the tests' binary as a release.
fn dist(out: &Path) -> Result<()> {
    let mut xtask = swarm_e2e::xtask();
    xtask.args(["dist", "--binary"]).arg(swarm_e2e::static_swarm()?).arg("--out").arg(out);
    run(xtask.current_dir(root()?)).map(drop)
}

/// The files of a folder and of the folders in it.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            let below = files(&entry.path())?;
            found.extend(below.into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            found.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(found)
}

#[test]
fn a_release_is_packed_alike_each_time_and_its_package_comes_and_goes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    swarm_e2e::static_swarm()?;
    std::thread::scope(|scope| {
        let other = scope.spawn(|| dist(&second));
        dist(&first)?;
        other.join().unwrap_or_else(|_| anyhow::bail!("the second one panicked"))
    })?;
    let (made, again) = (files(&first)?, files(&second)?);
    let differ = |name: &&String| made.get(*name) != again.get(*name);
    let differing: Vec<_> = made.keys().chain(again.keys()).filter(differ).collect();
    ensure!(differing.is_empty(), "these are not the same bytes each time: {differing:?}");
    run(Command::new("sha256sum").args(["--check", "SHA256SUMS"]).current_dir(&first))?;
    ensure!(made["image/Dockerfile"] == fs::read(root()?.join("contrib/image/Dockerfile"))?);
    ensure!(made["image/swarm"] == fs::read(swarm_e2e::static_swarm()?)?);
    let named = |end: &str| made.keys().find(|name| name.ends_with(end) && !name.contains('/'));
    let (archive, deb) = (named(".tar.gz").context("archive")?, named(".deb").context("package")?);
    let list: serde_json::Value =
        serde_json::from_slice(&made[named(".cdx.json").context("list")?])?;
    ensure!(list["components"].as_array().is_some_and(|all| all.len() > 100), "the list is short");
    let listed = run(Command::new("tar").arg("-tvzf").arg(first.join(archive)))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for file in ["/swarm", "/man/swarm-join.1", "/completions/zsh", "/systemd/swarm-join.service"] {
        let line = listed.lines().find(|line| line.ends_with(file)).context(file)?;
        ensure!(line.contains(" 0/0 "), "{line}");
        ensure!(line.starts_with("-rwxr-xr-x") == (file == "/swarm"), "{line}");
    }
    installed(&first.join(deb))
}

/// The package on a machine of its own.
fn installed(deb: &Path) -> Result<()> {
    let lab = Scratch::boot(1, |config| config.default.systemd = true)?;
    let there = lab.put("package.deb", fs::read(deb)?)?.display().to_string();
    let sh = |script: &str| lab.sh(1, script);
    sh(&format!("DEBIAN_FRONTEND=noninteractive dpkg --install {there}"))?;
    ensure!(sh("swarm --version")?.contains(env!("CARGO_PKG_VERSION")));
    ensure!(sh("command -v swarm")? == "/usr/bin/swarm");
    for unit in ["swarm-daemon", "swarm-manage", "swarm-join"] {
        let state = format!("systemctl is-active {unit}; systemctl is-enabled {unit}; true");
        ensure!(sh(&state)? == "inactive\ndisabled", "{unit}: {}", sh(&state)?);
        sh(&format!("systemd-analyze verify --man=no {unit}.service"))?;
    }
    for file in [
        "/usr/share/man/man1/swarm-manage.1.gz",
        "/usr/share/bash-completion/completions/swarm",
        "/usr/share/zsh/vendor-completions/_swarm",
        "/usr/share/fish/vendor_completions.d/swarm.fish",
        "/usr/share/doc/swarm-docker/copyright",
    ] {
        sh(&format!("test -s {file}")).with_context(|| format!("{file} is missing"))?;
    }
    ensure!(sh("man swarm-manage | cat")?.contains("--store-listen"), "the manual's page");
    sh("bash -c '. /usr/share/bash-completion/completions/swarm && complete -p swarm'")?;

    // What a machine is to be is turned on: a manager by the settings that its unit names, and a daemon.
    let settings = format!("SWARM_DISCOVERY=nodes://{}:2375\nSWARM_HOST=:3375\n", lab.ip(1));
    sh(&format!("mkdir -p /etc/swarm && printf '{settings}' >/etc/swarm/manage.env"))?;
    sh("systemctl enable --now swarm-manage swarm-daemon")?;
    until(SOON, "the manager has its engine", || {
        let info = docker(&lab, 3375, &["info"]).unwrap_or_default();
        Ok(info.contains("Status: Healthy").then_some(()))
    })?;
    ensure!(sh("docker -H unix:///run/swarm/docker.sock info")?.contains("Swarm: inactive"));

    // Removed, nothing of it runs; what its services keep stays.
    let had = sh("dpkg --listfiles swarm-docker")?;
    sh("dpkg --remove swarm-docker")?;
    for unit in ["swarm-daemon", "swarm-manage"] {
        let state =
            sh(&format!("systemctl is-active {unit}; systemctl is-enabled {unit} 2>&1; true"))?;
        ensure!(
            state.starts_with("inactive\n") && !state.ends_with("\nenabled"),
            "{unit}: {state}"
        );
    }
    ensure!(sh("pgrep --exact swarm || true")?.is_empty(), "it goes on");
    sh("test -d /var/lib/swarm")?;
    sh("dpkg --purge swarm-docker")?;
    for file in had.lines() {
        let left = sh(&format!("if [ -f '{file}' ]; then echo left; fi"))?;
        ensure!(left.is_empty(), "{file} is left behind");
    }
    ensure!(sh("dpkg --status swarm-docker 2>&1 || true")?.contains("not installed"));
    Ok(())
}
