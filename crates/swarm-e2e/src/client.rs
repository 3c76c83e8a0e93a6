//! Running a client program to its end, and what it said.
//!
//! Invariant: every client has a deadline, after which it is killed and has failed.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

/// Seconds a client may take; a hung manager must not hang the tests.
const DEADLINE: &str = "120";

/// A program that talks to a Docker API, with the surroundings it needs.
#[derive(Debug, Clone)]
pub struct Client {
    program: PathBuf,
    environment: Vec<(String, String)>,
}

impl Client {
    /// `program` with `DOCKER_HOST` set, and nothing of the person's own Docker settings.
    pub fn new(program: impl Into<PathBuf>, docker_host: &str) -> Self {
        Self { program: program.into(), environment: Vec::new() }.env("DOCKER_HOST", docker_host)
    }

    /// One more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The command, for a test that wants to hold on to it while it runs; without a deadline.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.surround(Command::new(&self.program), arguments)
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.feed(arguments, b"")
    }

    /// Runs it to its end with `input` on its standard input.
    pub fn feed(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let line = format!("{} {}", self.program.display(), arguments.join(" "));
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", DEADLINE]).arg(&self.program);
        let outcome = finish(self.surround(command, arguments), input);
        Ran { outcome: outcome.with_context(|| line.clone()), line }
    }

    fn surround(&self, mut command: Command, arguments: &[&str]) -> Command {
        for name in
            ["DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION"]
        {
            command.env_remove(name);
        }
        command.args(arguments.iter().map(OsStr::new));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Runs a command of the caller's own, which has its deadline from `timeout`, to its end.
pub(crate) fn run_within(command: Command, line: &str) -> Ran {
    Ran { outcome: finish(command, b""), line: line.to_owned() }
}

fn finish(mut command: Command, input: &[u8]) -> Result<Output> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // Beside the reading, because a client may talk before it has heard everything.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        Ok(child.wait_with_output()?)
    })
}

/// A client that ended.
#[derive(Debug)]
pub struct Ran {
    outcome: Result<Output>,
    line: String,
}

impl Ran {
    /// What it printed, trimmed, if it succeeded.
    pub fn ok(self) -> Result<String> {
        let output = self.outcome?;
        if !output.status.success() {
            let (out, error) = (text(&output.stdout), text(&output.stderr));
            bail!("`{}`: {}\n{out}\n{error}", self.line, output.status);
        }
        Ok(text(&output.stdout))
    }

    /// What it complained about, if it failed.
    pub fn fails(self) -> Result<String> {
        let output = self.outcome?;
        match output.status.code() {
            Some(0) => Err(anyhow!("`{}` succeeded: {}", self.line, text(&output.stdout))),
            Some(124 | 137) => Err(anyhow!("`{}`: not within {DEADLINE} s", self.line)),
            _ => Ok(text(&output.stderr)),
        }
    }

    /// Its exit status and both its outputs.
    pub fn output(self) -> Result<Output> {
        self.outcome
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
