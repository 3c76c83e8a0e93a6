//! The Debian package: the binary, units that are off until somebody turns them on, manual pages,
//! completions, and what Prometheus and Grafana can use.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use swarm_testkit::lab::run as checked;

use super::{Release, copy};

/// The package's name; Debian has another program `swarm`.
const NAME: &str = "swarm-docker";

/// After the installation and the removal: systemd reads its units again, where there is one.
const RELOAD: &str = "#!/bin/sh\nset -e\nif [ -d /run/systemd/system ]; then\n    systemctl daemon-reload || true\nfi\n";

/// Before the removal (not before an upgrade): what it left running is stopped.
const STOP: &str = "#!/bin/sh\nset -e\nif [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then\n    for unit in swarm-daemon swarm-manage swarm-join; do\n        systemctl disable --now \"$unit.service\" || true\n    done\nfi\n";

pub fn write(release: &Release) -> Result<()> {
    let content = release.content();
    let tree = release.out.join("deb");
    let place = |path: &str| -> Result<std::path::PathBuf> {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().context("a path without a folder")?)?;
        Ok(path)
    };
    fs::copy(content.join("swarm"), place("usr/bin/swarm")?)?;
    copy(&content.join("systemd"), &tree.join("usr/lib/systemd/system"))?;
    let man = tree.join("usr/share/man/man1");
    copy(&content.join("man"), &man)?;
    for entry in fs::read_dir(&man)? {
        checked(Command::new("gzip").args(["--no-name", "--best"]).arg(entry?.path()))?;
    }
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/swarm"),
        ("zsh", "usr/share/zsh/vendor-completions/_swarm"),
        ("fish", "usr/share/fish/vendor_completions.d/swarm.fish"),
    ] {
        fs::copy(content.join("completions").join(shell), place(path)?)?;
    }
    let documents = format!("usr/share/doc/{NAME}");
    fs::copy(content.join("LICENSE"), place(&format!("{documents}/copyright"))?)?;
    copy(&content.join("prometheus"), &tree.join(&documents).join("examples/prometheus"))?;
    copy(&content.join("grafana"), &tree.join(&documents).join("examples/grafana"))?;
    let size = kibibytes(&tree)?;
    fs::write(place("DEBIAN/control")?, control(release, size))?;
    for (script, text) in [("postinst", RELOAD), ("postrm", RELOAD), ("prerm", STOP)] {
        let path = place(&format!("DEBIAN/{script}"))?;
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    modes(&tree)?;
    let file = release.out.join(format!("{NAME}_{}_{}.deb", release.version, release.architecture));
    let mut build = release.command("dpkg-deb");
    build.args(["--root-owner-group", "-Zxz", "--build"]).arg(&tree).arg(&file);
    checked(&mut build)?;
    // Read back: what dpkg would install.
    let listed = checked(Command::new("dpkg-deb").arg("--contents").arg(&file))?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    for path in ["./usr/bin/swarm", "swarm-daemon.service", "swarm.1.gz", "swarm-manage.1.gz"] {
        if !listed.contains(path) {
            bail!("the package lacks {path}:\n{listed}");
        }
    }
    Ok(fs::remove_dir_all(&tree)?)
}

fn control(release: &Release, size: u64) -> String {
    format!(
        "Package: {NAME}\n\
         Version: {}\n\
         Architecture: {}\n\
         Maintainer: the swarm project <swarm@localhost>\n\
         Installed-Size: {size}\n\
         Section: admin\n\
         Priority: optional\n\
         Conflicts: swarm\n\
         Recommends: docker.io | docker-ce | moby-engine\n\
         Description: many Docker Engines, used as one\n \
         A manager that serves the Docker API over a pool of stock Docker Engines, and\n \
         swarm mode (services, tasks, secrets, stacks) beside an engine instead of in it.\n \
         Nothing is started by the installation: enable swarm-daemon, swarm-manage or\n \
         swarm-join.\n",
        release.version, release.architecture
    )
}

/// As `dpkg` counts: each file in whole KiB.
fn kibibytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() {
            kibibytes(&entry.path())?
        } else {
            metadata.len().div_ceil(1024)
        };
    }
    Ok(sum)
}

/// The same rights whatever the umask of whoever builds it.
fn modes(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            modes(&path)?;
        } else {
            let script = path.parent().is_some_and(|parent| parent.ends_with("DEBIAN"))
                && path.file_name().is_some_and(|name| name != "control");
            let runs = script || path.ends_with("usr/bin/swarm");
            let mode = if runs { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}
