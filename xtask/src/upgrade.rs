//! `cargo xtask upgrade`: this version beside an older one. Builds the older revision and runs the end-to-end
//! program `upgrade` with both binaries.
//!
//! The revision is checked out in a work tree of its own below `target/`, and built in a folder of its own: in one
//! folder, cargo takes the crates of two checkouts for each other. What others' crates have become here is
//! taken along. Invariant: a binary that was built of a commit is kept, and not built again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use swarm_testkit::lab::run as checked;

use crate::cargo::{cargo, root, show, swarm};
use crate::progress::step;
use crate::setup;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The older version's tag, branch or commit
    #[arg(long, value_name = "REVISION", required_unless_present = "binary")]
    from: Option<String>,
    /// The older version's binary, built elsewhere
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    binary: Option<PathBuf>,
    /// Only tests whose name contains this
    filter: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    setup::base()?;
    let previous = match (&args.from, &args.binary) {
        (Some(revision), _) => built(revision)?,
        (None, Some(binary)) => {
            fs::canonicalize(binary).with_context(|| binary.display().to_string())?
        }
        (None, None) => bail!("--from REVISION or --binary FILE says what the older version is"),
    };
    let present = swarm(false)?;
    // It starts the janitor too, which a build of one test leaves out.
    show(cargo(&["build", "--quiet", "--package", "swarm-e2e", "--bins"]))?;
    let mut program = cargo(&["test", "--package", "swarm-e2e", "--test", "upgrade", "--"]);
    program.args(["--nocapture", "--test-threads=1"]).args(&args.filter);
    program.env("SWARM_BIN", present).env("SWARM_PREVIOUS_BIN", previous);
    show(program)
}

/// The binary of a revision.
fn built(revision: &str) -> Result<PathBuf> {
    let commit = git(&["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")]);
    let commit = commit.with_context(|| format!("there is no revision {revision:?} here"))?;
    let folder = root().join("target/upgrade");
    let binary = folder.join(format!("swarm-{commit}"));
    if binary.is_file() {
        return Ok(binary);
    }
    fs::create_dir_all(&folder)?;
    let tree = folder.join("work");
    step(&format!("check out {revision}"), || check_out(&tree, &commit))?;
    let out = folder.join("out");
    step("take along what is built already", || seed(&root().join("target/debug"), &out))?;
    step(&format!("build {revision} (takes some minutes)"), || build(&tree, &out))?;
    // Whole or not at all.
    let new = folder.join("swarm-new");
    fs::copy(out.join("debug/swarm"), &new)?;
    fs::rename(&new, &binary)?;
    Ok(binary)
}

fn check_out(tree: &Path, commit: &str) -> Result<()> {
    let shown = tree.display().to_string();
    if tree.join(".git").exists() {
        let there = ["-C", &shown, "checkout", "--quiet", "--force", "--detach", commit];
        return git(&there).map(drop);
    }
    git(&["worktree", "prune"])?;
    git(&["worktree", "add", "--quiet", "--force", "--detach", &shown, commit]).map(drop)
}

/// Whether cargo made that of a crate of this workspace.
fn is_own(name: &str) -> bool {
    let name = name.strip_prefix("lib").unwrap_or(name);
    ["swarm", "xtask"].iter().any(|own| name.starts_with(own))
}

/// Takes along what is made of others' crates: their libraries as links, what cargo writes again as copies.
fn seed(from: &Path, out: &Path) -> Result<()> {
    let to = out.join("debug");
    if to.exists() || !from.join(".fingerprint").exists() {
        return Ok(());
    }
    let library = |name: &str| {
        let kind = Path::new(name).extension();
        kind.is_some_and(|kind| ["rlib", "rmeta", "so"].iter().any(|known| kind == *known))
    };
    let any = |_: &str| true;
    let notes = |name: &str| Path::new(name).extension().is_some_and(|kind| kind == "d");
    copy(from, &to, "deps", "-al", &library)?;
    copy(from, &to, "deps", "-a", &notes)?;
    copy(from, &to, "build", "-a", &any)?;
    // Last: what has no such note is built.
    copy(from, &to, ".fingerprint", "-a", &any)
}

fn copy(
    from: &Path,
    to: &Path,
    folder: &str,
    how: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<()> {
    let (from, to) = (from.join(folder), to.join(folder));
    fs::create_dir_all(&to)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(&from)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !is_own(&name) && wanted(&name) {
            files.push(from.join(name));
        }
    }
    if files.is_empty() {
        return Ok(());
    }
    checked(Command::new("cp").arg(how).arg("--target-directory").arg(&to).args(files)).map(drop)
}

fn build(tree: &Path, out: &Path) -> Result<()> {
    let mut build = cargo(&["build", "--workspace", "--bin", "swarm"]);
    if tree.join("crates/swarm-e2e/tests/release.rs").exists() {
        // A test beside it has cargo choose the features that it chose for the tests: they are built already.
        build.args(["--test", "release"]);
    }
    build.env("CARGO_TARGET_DIR", out).env("CARGO_INCREMENTAL", "0");
    build.env_remove("CARGO_BUILD_BUILD_DIR").current_dir(tree);
    show(build)
}

fn git(arguments: &[&str]) -> Result<String> {
    let output = checked(Command::new("git").current_dir(root()).args(arguments))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
