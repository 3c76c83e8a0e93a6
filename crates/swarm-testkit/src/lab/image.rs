//! The test image: Debian's static busybox, imported once per lab and loaded everywhere.
//!
//! Nothing is pulled: a lab has no way out. `docker import` stamps a date, so importing on each
//! host would make as many different images; one host imports, all others load its archive.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::run::{each, run};
use super::{Lab, http};

/// For an engine to take in or give out a few megabytes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// No stop signal: an import takes none. As PID 1 `sleep` ignores SIGTERM, so give long-running
/// test containers `--init` or `--stop-signal KILL`, or each stop takes ten seconds.
const CHANGES: [&str; 2] = ["CMD [\"sh\"]", "ENV PATH=/bin"];

impl Lab {
    /// Makes the test image under that name (`busybox:latest`) present on every host that is up;
    /// the archive's path.
    pub fn image(&self, name: &str) -> Result<PathBuf> {
        self.image_with(name, &[])
    }

    /// As [`Lab::image`], with Dockerfile lines (`LABEL a=b`, `EXPOSE 80`, `ENTRYPOINT […]`) in it.
    pub fn image_with(&self, name: &str, changes: &[&str]) -> Result<PathBuf> {
        let tar = self.image_archive(name, changes)?;
        let config = self.config();
        let has_engine = |i: &u8| config.host(*i).engine && self.init(*i).is_some();
        let up: Vec<u8> = self.hosts().into_iter().filter(has_engine).collect();
        each(&up, |i| {
            let sock = self.sock(i);
            let known = http::get(&sock, &format!("/images/{name}/json"), PATIENCE)?;
            if known.status == 200 { Ok(()) } else { load(&sock, &tar) }
        })?;
        Ok(tar)
    }

    /// The image's archive alone; no host but the first that is up gets it.
    pub fn image_archive(&self, name: &str, changes: &[&str]) -> Result<PathBuf> {
        let folder = self.dir().join("images");
        fs::create_dir_all(&folder)?;
        let tar = folder.join(format!("{}.tar", name.replace(['/', ':'], "_")));
        if tar.exists() {
            return Ok(tar);
        }
        let Some(first) = self.hosts().into_iter().find(|i| self.init(*i).is_some()) else {
            bail!("no host is up to make the image on");
        };
        let sock = self.sock(first);
        let root = rootfs(&folder)?;
        import(&sock, &root, name, changes)?;
        let archive = http::get(&sock, &format!("/images/{name}/get"), PATIENCE)?.ok()?;
        // Whole or not at all: its presence says that it is complete.
        let new = tar.with_extension("new");
        fs::write(&new, archive)?;
        fs::rename(new, &tar)?;
        Ok(tar)
    }
}

/// Loads an archive into the engine at a socket.
pub fn load(sock: &Path, tar: &Path) -> Result<()> {
    let mut file = File::open(tar).with_context(|| tar.display().to_string())?;
    let length = file.metadata()?.len();
    let answer = http::post(sock, "/images/load?quiet=1", length, &mut file, PATIENCE)?;
    progress(&answer.ok()?).with_context(|| format!("load {}", tar.display()))
}

fn import(sock: &Path, root: &Path, name: &str, changes: &[&str]) -> Result<()> {
    let (repo, tag) = match name.rsplit_once(':') {
        Some((repo, tag)) if !tag.contains('/') => (repo, tag),
        _ => (name, "latest"),
    };
    let mut path = format!("/images/create?fromSrc=-&repo={}&tag={}", escape(repo), escape(tag));
    for change in CHANGES.iter().chain(changes) {
        path.push_str("&changes=");
        path.push_str(&escape(change));
    }
    let mut file = File::open(root)?;
    let length = file.metadata()?.len();
    let answer = http::post(sock, &path, length, &mut file, PATIENCE)?;
    progress(&answer.ok()?).with_context(|| format!("import {name}"))
}

const BUSYBOX: &str = "/bin/busybox";

/// An archive of a root file system with busybox under all its names.
fn rootfs(folder: &Path) -> Result<PathBuf> {
    let tar = folder.join("rootfs.tar");
    if tar.exists() {
        return Ok(tar);
    }
    let root = tempfile::tempdir_in(folder)?;
    for name in ["bin", "etc", "tmp", "proc", "sys", "dev", "root", "www"] {
        fs::create_dir(root.path().join(name))?;
    }
    let busybox = root.path().join("bin/busybox");
    fs::copy(BUSYBOX, &busybox).context("no /bin/busybox: install busybox-static")?;
    // Not the copy: a child that another thread made meanwhile may hold it open for writing.
    let list = run(Command::new(BUSYBOX).arg("--list"))?;
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|a| *a != "busybox") {
        symlink("busybox", root.path().join("bin").join(applet))?;
    }
    symlink("bin", root.path().join("sbin"))?;
    fs::write(root.path().join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(root.path().join("etc/group"), "root:x:0:\n")?;
    let new = tar.with_extension("new");
    run(Command::new("tar").arg("-C").arg(root.path()).arg("-cf").arg(&new).arg("."))?;
    fs::rename(new, &tar)?;
    Ok(tar)
}

/// An engine reports failures of these calls in the body, under status 200.
fn progress(body: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(body);
    for line in text.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(error) = message["error"].as_str() {
            bail!("{error}");
        }
    }
    Ok(())
}

fn escape(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(escape("CMD [\"sh\"]"), "CMD%20%5B%22sh%22%5D");
        assert_eq!(escape("a-b._~9"), "a-b._~9");
    }

    #[test]
    fn an_error_inside_a_success_is_found() {
        assert!(progress(b"{\"status\":\"ok\"}\n").is_ok());
        let error = progress(b"{\"status\":\"x\"}\r\n{\"error\":\"no space\"}\r\n").unwrap_err();
        assert_eq!(error.to_string(), "no space");
    }
}
