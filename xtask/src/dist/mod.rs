//! `cargo xtask dist`: what a release is made of, in `target/dist`: one static binary, an archive, a
//! Debian package, an image's recipe, a list of all that is built in, and the checksums of it all.
//!
//! Invariants: two runs on one commit and compiler write the same bytes: times are the commit's, paths
//! are left out, files are in order; a binary that is not static is an error.

mod binary;
mod deb;
mod sbom;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use swarm_testkit::lab::run as checked;

use crate::cargo::{metadata, root};
use crate::progress::step;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to put it
    #[arg(long, value_name = "FOLDER", default_value = "target/dist")]
    out: PathBuf,
    /// Pack this binary, built elsewhere, instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// What is released.
pub(crate) struct Release {
    /// The version, as in Cargo.toml.
    version: String,
    /// Debian's name of the architecture.
    architecture: &'static str,
    /// What it is built from: the commit, with `+changes` where there are some beside it.
    commit: String,
    /// When the commit was made, in Unix seconds: the time of every file.
    time: String,
    /// Where everything goes.
    out: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let release = Release::new(root().join(&args.out))?;
    if release.out.exists() {
        fs::remove_dir_all(&release.out)
            .with_context(|| format!("emptying {}", release.out.display()))?;
    }
    fs::create_dir_all(&release.out)?;
    let binary = match &args.binary {
        Some(built) => built.clone(),
        None => step("build the static binary (takes some minutes)", || binary::build(&release))?,
    };
    step("check the binary", || binary::check(&release, &binary))?;
    step("manual pages and completions", || pages(&release, &binary))?;
    step("list what is built in", || sbom::write(&release))?;
    step("pack the archive", || archive(&release))?;
    step("pack the Debian package", || deb::write(&release))?;
    step("lay out the image", || image(&release))?;
    step("checksums", || checksums(&release))?;
    for entry in files(&release.out)? {
        let size = fs::metadata(release.out.join(&entry))?.len();
        println!("{:>9.1} KiB  {}", f64::from(u32::try_from(size)?) / 1024.0, entry);
    }
    Ok(())
}

impl Release {
    fn new(out: PathBuf) -> Result<Self> {
        let metadata = metadata()?;
        let packages = metadata["packages"].as_array().context("cargo names no packages")?;
        let own = packages.iter().find(|package| package["name"] == "swarm");
        let version = own.and_then(|own| own["version"].as_str()).context("no package swarm")?;
        let git = |arguments: &[&str]| {
            checked(Command::new("git").current_dir(root()).args(arguments))
                .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let mut commit = git(&["rev-parse", "--short=12", "HEAD"])?;
        if !git(&["status", "--porcelain"])?.is_empty() {
            commit.push_str("+changes");
            eprintln!("  ! there are changes that are not committed: this is no release");
        }
        Ok(Self {
            version: version.to_owned(),
            architecture: architecture()?,
            commit,
            time: git(&["log", "-1", "--format=%ct"])?,
            out,
        })
    }

    /// A command whose output depends on the commit alone.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SOURCE_DATE_EPOCH", &self.time).env("LC_ALL", "C").env("TZ", "UTC");
        command
    }

    /// `swarm-VERSION-linux-ARCHITECTURE`.
    fn name(&self) -> String {
        format!("swarm-{}-linux-{}", self.version, self.architecture)
    }

    /// The folder of the archive's content, which the package takes from too.
    fn content(&self) -> PathBuf {
        self.out.join(self.name())
    }
}

fn architecture() -> Result<&'static str> {
    Ok(match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no release is made for {other}"),
    })
}

/// Fills the archive's folder.
fn pages(release: &Release, binary: &Path) -> Result<()> {
    let content = release.content();
    fs::create_dir_all(content.join("completions"))?;
    fs::copy(binary, content.join("swarm"))?;
    checked(Command::new(binary).arg("man").arg(content.join("man")))?;
    for shell in ["bash", "zsh", "fish"] {
        let script = checked(Command::new(binary).args(["completion", shell]))?;
        fs::write(content.join("completions").join(shell), script.stdout)?;
    }
    for file in ["LICENSE", "README.md"] {
        fs::copy(root().join(file), content.join(file))?;
    }
    for folder in ["systemd", "prometheus", "grafana"] {
        copy(&root().join("contrib").join(folder), &content.join(folder))?;
    }
    Ok(())
}

/// Copies the files of a folder that has no folders.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn archive(release: &Release) -> Result<()> {
    let file = release.out.join(format!("{}.tar.gz", release.name()));
    let mut tar = release.command("tar");
    tar.arg("--create").arg("--file").arg(&file).arg("--directory").arg(&release.out);
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]);
    tar.args(["--mode=u=rwX,go=rX", "--use-compress-program=gzip --no-name --best"]);
    tar.arg(format!("--mtime=@{}", release.time)).arg(release.name());
    checked(&mut tar).map(|_| ())
}

fn image(release: &Release) -> Result<()> {
    let folder = release.out.join("image");
    fs::create_dir_all(&folder)?;
    fs::copy(root().join("contrib/image/Dockerfile"), folder.join("Dockerfile"))?;
    fs::copy(release.content().join("swarm"), folder.join("swarm"))?;
    Ok(())
}

/// The files that are released, in order.
fn files(out: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(out)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    files.sort();
    Ok(files)
}

fn checksums(release: &Release) -> Result<()> {
    let mut sums = String::new();
    for file in files(&release.out)? {
        let digest = Sha256::digest(fs::read(release.out.join(&file))?);
        for byte in digest {
            // Writing into a string cannot fail.
            let _ = write!(sums, "{byte:02x}");
        }
        let _ = writeln!(sums, "  {file}");
    }
    Ok(fs::write(release.out.join("SHA256SUMS"), sums)?)
}
