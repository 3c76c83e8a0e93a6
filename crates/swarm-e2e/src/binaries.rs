//! Finding what cargo built: the `swarm` binary under test, and the janitor beside this program.
//!
//! A test cannot ask cargo for another package's binary, so it is built once per test process
//! into the same target folder; `SWARM_BIN` names one that is built already. The static one is built from what
//! that build has left: of it only the binary itself is compiled again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow};
use swarm_testkit::lab::run;

/// The `swarm` binary, up to date.
pub fn swarm() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow!("{error}"))
}

fn build() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("SWARM_BIN") {
        return Ok(binary.into());
    }
    let profile = profile_folder()?;
    let target = profile.parent().context("no target folder")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--package", "swarm", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    run(cargo.current_dir(env!("CARGO_MANIFEST_DIR")))?;
    Ok(profile.join("swarm"))
}

/// A copy of the binary in `folder` without what only a debugger needs, as packages have it; `more` makes it
/// another one.
pub fn stripped(folder: &Path, name: &str, more: &[u8]) -> Result<PathBuf> {
    let file = folder.join(name);
    run(Command::new("strip").arg("-o").arg(&file).arg(swarm()?))?;
    let mut bytes = fs::read(&file)?;
    bytes.extend(more);
    fs::write(&file, bytes)?;
    Ok(file)
}

/// The binary linked statically and without what only a debugger needs, as releases are: for an image without
/// anything else, and for packages.
pub fn static_swarm() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build_static().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow!("{error}"))
}

/// What cargo calls instead of the compiler: the compiler, with one flag more for the one crate that makes the
/// difference. By RUSTFLAGS every crate would be compiled again.
const STATIC: &str = r#"#!/bin/sh
case " $* " in
*" --crate-name swarm "*" --crate-type bin "*) exec "$@" -C target-feature=+crt-static ;;
esac
exec "$@"
"#;

fn build_static() -> Result<PathBuf> {
    let profile = profile_folder()?;
    let target = profile.parent().context("no target folder")?;
    let own = target.join("static");
    fs::create_dir_all(&own)?;
    let compiler = own.join("rustc");
    if fs::read(&compiler).ok().as_deref() != Some(STATIC.as_bytes()) {
        fs::write(&compiler, STATIC)?;
        fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755))?;
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // A test beside it has cargo choose the features that it chose for the tests: they are built already.
    cargo.args(["build", "--workspace", "--bin", "swarm", "--test", "release"]);
    cargo.args(["--features", "swarm/static"]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    // What is in between is shared with all other builds; the binary has a place of its own, or it would
    // take the other one's.
    cargo.env("CARGO_BUILD_BUILD_DIR", target).env("CARGO_TARGET_DIR", &own);
    run(cargo.env("RUSTC_WRAPPER", &compiler).current_dir(env!("CARGO_MANIFEST_DIR")))?;
    let built = own.join(profile.file_name().context("no profile")?).join("swarm");
    let stripped = own.join(format!("swarm-{}", std::process::id()));
    run(Command::new("strip").arg("-o").arg(&stripped).arg(&built))?;
    // Tests of another process may use the one that is there.
    let binary = own.join("swarm");
    fs::rename(&stripped, &binary)?;
    Ok(binary)
}

/// `cargo xtask`: the one that runs the tests, or the workspace's.
pub fn xtask() -> Command {
    if let Some(built) = std::env::var_os("XTASK_BIN") {
        return Command::new(built);
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["run", "--quiet", "--package", "xtask", "--"]);
    cargo
}

/// The program that takes labs down after a test process that was killed.
pub fn janitor() -> Result<PathBuf> {
    Ok(profile_folder()?.join("lab-janitor"))
}

/// `target/debug`: test programs are in its `deps`.
fn profile_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("no folder")?;
    let folder = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    Ok(folder.context("no profile folder")?.to_owned())
}
