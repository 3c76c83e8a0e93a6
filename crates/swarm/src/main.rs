//! The `swarm` binary: it reads the command line, wires the crates together and turns the
//! outcome into an exit code. What happens is decided in the crates.
//!
//! Exit codes: 0 done, 1 it failed while running, 2 the command line is wrong or asks for
//! what this version does not have. `swarm status` has its own, and `swarm support-bundle` a 3.

mod args;
mod cli;
mod cmd;
mod config;
mod election;
mod limits;
mod logging;
mod metrics;
mod page;
#[cfg(test)]
mod reference;
mod statsd;
mod store;
mod tls;
mod tokens;
mod traces;
mod usage;
mod values;

#[cfg(all(feature = "static", not(target_feature = "crt-static")))]
compile_error!("the feature static needs rustc's -C target-feature=+crt-static beside it");

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command};
use crate::config::{DaemonConfig, ManageConfig};
use crate::traces::Traces;
use crate::usage::UsageError;

/// Something failed while running.
const FAILED: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = args::normalize(&Cli::command(), std::env::args_os());
    // clap prints its own errors, help and version, and knows their exit codes.
    let matches = Cli::command().get_matches_from(arguments);
    let outcome = Cli::from_arg_matches(&matches).map_err(anyhow::Error::from).and_then(run);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(unwell) = error.downcast_ref::<cmd::verdict::Unwell>() {
                return ExitCode::from(unwell.0);
            }
            eprintln!("swarm: {}", said_once(&error));
            ExitCode::from(if error.is::<UsageError>() { USAGE } else { FAILED })
        }
    }
}

/// An error with its causes. Many name their cause in their own words already; such a cause is not
/// said again.
fn said_once(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let env = |name: &str| std::env::var(name).ok();
    logging::start(&cli.log, &env)?;
    match cli.command {
        None => {
            let help = Cli::command().render_help();
            let shown = if std::io::stdout().is_terminal() {
                help.ansi().to_string()
            } else {
                help.to_string()
            };
            cmd::node::print(&shown)
        }
        Some(Command::Manage(flags)) => {
            let config = ManageConfig::resolve(*flags, &env)?;
            if cli.experimental {
                tracing::warn!("--experimental turns nothing on in this version");
            }
            limits::raise_open_files();
            start_tls();
            let traces = Traces::start(&env)?;
            runtime()?.block_on(cmd::manage::run(config, traces))
        }
        Some(Command::Daemon(flags)) => {
            let config = DaemonConfig::resolve(*flags, &env)?;
            limits::raise_open_files();
            start_tls();
            let traces = Traces::start(&env)?;
            runtime()?.block_on(cmd::daemon::run(config, traces))
        }
        Some(Command::Up(flags)) => runtime()?.block_on(cmd::up::run(*flags, &env)),
        Some(Command::Down(flags)) => runtime()?.block_on(cmd::down::run(*flags, &env)),
        Some(Command::DialStdio(flags)) => cmd::dial::run(&flags),
        Some(Command::Backup(flags)) => runtime()?.block_on(cmd::backup::run(flags, &env)),
        Some(Command::Restore(flags)) => runtime()?.block_on(cmd::restore::run(flags, &env)),
        Some(Command::Join(flags)) => {
            limits::raise_open_files();
            start_tls();
            runtime()?.block_on(cmd::join::run(*flags, &env))
        }
        Some(Command::List(flags)) => runtime()?.block_on(cmd::list::run(flags, &env)),
        Some(Command::Create(flags)) => runtime()?.block_on(cmd::create::run(flags, &env)),
        Some(Command::Discovery(flags)) => runtime()?.block_on(cmd::discovery::run(*flags, &env)),
        Some(Command::Node(command)) => runtime()?.block_on(cmd::node::run(command, &env)),
        Some(Command::Service(command)) => runtime()?.block_on(cmd::service::run(command, &env)),
        Some(Command::Rebalance(flags)) => runtime()?.block_on(cmd::rebalance::run(flags, &env)),
        Some(Command::Status(flags)) => runtime()?.block_on(cmd::status::run(&flags, &env)),
        Some(Command::Doctor(flags)) => runtime()?.block_on(cmd::doctor::run(&flags, &env)),
        Some(Command::SupportBundle(flags)) => runtime()?.block_on(cmd::bundle::run(flags, &env)),
        Some(Command::Top(flags)) => runtime()?.block_on(cmd::top::run(flags, &env)),
        Some(Command::Registrator(flags)) => runtime()?.block_on(cmd::registrator::run(&flags)),
        Some(Command::Proxy(flags)) => runtime()?.block_on(cmd::proxy::run(&flags, &env)),
        Some(Command::Completion(shell)) => cmd::completion::run(&shell.shell),
        Some(Command::Man(flags)) => cmd::man::run(&flags.folder),
    }
}

/// Two TLS providers in one process panic at the first handshake: one is chosen here.
fn start_tls() {
    // It can only fail where one was chosen already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    start_tls();
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
