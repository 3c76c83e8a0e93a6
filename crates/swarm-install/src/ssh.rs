//! The system's own `ssh`, with the person's configuration, agent, keys and jump hosts.
//!
//! The first command to a machine opens a connection that the following ones share (`ControlMaster`), in a
//! folder that only this user can enter. Invariants: every command has a deadline; a connection ends with
//! [`Ssh::close`], and by itself soon after this process; where nobody sits at a terminal nothing is asked.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::target::Target;

/// Seconds that an unused connection stays: longer than any pause between two steps.
const PERSIST: &str = "ControlPersist=90";
/// With what ssh ends when it is the one that failed (ssh(1)).
const OWN: i32 = 255;
/// For the goodbye.
const GOODBYE: Duration = Duration::from_secs(3);
/// More is no answer to any of these, bytes.
const LARGEST: usize = 1 << 20;
/// The longest words of a machine that are told, in characters.
const LONGEST: usize = 600;

/// The command is no command.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BadCommand {
    /// There is nothing in it.
    #[error("it is empty; expected a command such as: ssh -F FILE")]
    Empty,
    /// It would be cut in the middle of an option.
    #[error(
        "it is split at blanks and knows no quotes; put such options in a file, and name it: ssh -F FILE"
    )]
    Quoted,
    /// No folder for the connections.
    #[error("cannot make a folder for the connections: {0}")]
    Folder(Arc<std::io::Error>),
}

/// What went wrong with one command on one machine.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// There is no such program here.
    #[error(
        "cannot run {program}: {error}; install OpenSSH's client, or name another command by --ssh"
    )]
    Program {
        /// The program.
        program: String,
        /// Why.
        error: std::io::Error,
    },
    /// No connection, or no permission: in ssh's own words.
    #[error("no way in: ssh said: {0}")]
    NoWay(String),
    /// It took too long.
    #[error("{what}: not within {} s", after.as_secs())]
    Deadline {
        /// What was done.
        what: &'static str,
        /// The time it had.
        after: Duration,
    },
    /// The command over there failed.
    #[error("{what}: {said}")]
    Failed {
        /// What was done.
        what: &'static str,
        /// What it said.
        said: String,
    },
    /// It says more than any answer has.
    #[error(
        "{what}: it said more than 1 MiB, beginning with {begin:?}: see the files of its login shell (.bashrc)"
    )]
    TooMuch {
        /// What was done.
        what: &'static str,
        /// Its first line.
        begin: String,
    },
    /// A file of this machine cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl SshError {
    /// Whether a person who is asked for a password or a host's key might help.
    pub fn may_be_asked(&self) -> bool {
        let Self::NoWay(said) = self else { return false };
        ["Permission denied", "Host key verification failed", "Too many authentication failures"]
            .iter()
            .any(|words| said.contains(words))
    }
}

/// What a command reads.
#[derive(Debug, Clone)]
pub enum Input {
    /// Nothing.
    Nothing,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file of this machine.
    File(PathBuf),
}

/// One command's frame.
#[derive(Debug, Clone)]
pub struct Errand {
    /// For errors: what it does, in words.
    pub what: &'static str,
    /// What it reads.
    pub input: Input,
    /// How long it may take.
    pub patience: Duration,
    /// Whether a person may be asked.
    pub ask: bool,
}

/// The system's ssh.
#[derive(Debug)]
pub struct Ssh {
    words: Vec<String>,
    folder: tempfile::TempDir,
    /// Whether there is a person who can be asked.
    person: bool,
}

impl Ssh {
    /// `command` is `ssh`, or that with options of the person's.
    pub fn new(command: &str, person: bool) -> Result<Self, BadCommand> {
        let words: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err(BadCommand::Empty);
        }
        if command.contains(['"', '\'']) {
            return Err(BadCommand::Quoted);
        }
        // In /tmp, whatever TMPDIR is: a socket's path has at most 107 bytes.
        let folder = tempfile::Builder::new().prefix("swarm-ssh-").tempdir_in("/tmp");
        let folder = folder.map_err(|error| BadCommand::Folder(Arc::new(error)))?;
        Ok(Self { words, folder, person })
    }

    /// Whether there is a person who can be asked.
    pub fn has_person(&self) -> bool {
        self.person
    }

    /// Runs a command line over there to its end, whatever its exit status; ssh's own failure is an error.
    pub async fn run(
        &self,
        target: &Target,
        line: &str,
        errand: Errand,
    ) -> Result<Output, SshError> {
        let Errand { what, input, patience, ask } = errand;
        let mut command = self.command(target, ask);
        command.arg(line).stdout(Stdio::piped()).stderr(Stdio::piped());
        let bytes = match input {
            Input::Nothing => {
                command.stdin(Stdio::null());
                None
            }
            Input::Bytes(bytes) => {
                command.stdin(Stdio::piped());
                Some(bytes)
            }
            Input::File(path) => {
                let file = std::fs::File::open(&path)
                    .map_err(|error| SshError::File { path: path.clone(), error })?;
                command.stdin(Stdio::from(file));
                None
            }
        };
        let mut child = self.spawn(&mut command)?;
        let stdin = child.stdin.take();
        let feed = async {
            if let (Some(mut stdin), Some(bytes)) = (stdin, bytes) {
                // Who ends before it has read all tells its reason by its status.
                let _ = stdin.write_all(&bytes).await;
                let _ = stdin.shutdown().await;
            }
            Ok(())
        };
        let (stdout, stderr) = (whole(what, child.stdout.take()), whole(what, child.stderr.take()));
        let done = async {
            let ((), stdout, stderr) = tokio::try_join!(feed, stdout, stderr)?;
            let status = child.wait().await.map_err(|error| lost(what, &error))?;
            Ok(Output { status, stdout, stderr })
        };
        let late = |_| SshError::Deadline { what, after: patience };
        let output = timeout(patience, done).await.map_err(late)??;
        if output.status.code() == Some(OWN) {
            return Err(SshError::NoWay(said(&output)));
        }
        Ok(output)
    }

    /// Starts a command line over there whose two ends the caller holds; it ends with the child.
    pub fn open(&self, target: &Target, line: &str) -> Result<Child, SshError> {
        let mut command = self.command(target, false);
        command.arg(line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.spawn(&mut command)
    }

    /// Ends the connections.
    pub async fn close(&self, targets: impl Iterator<Item = &Target>) {
        let goodbyes = targets.map(|target| async move {
            let mut command = self.command(target, false);
            // Before the destination: an option of ssh's own.
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if let Ok(mut child) = self.spawn(&mut exit(&command)) {
                // One that is gone already is as good.
                let _ = timeout(GOODBYE, child.wait()).await;
            }
        });
        futures_util::future::join_all(goodbyes).await;
    }

    fn spawn(&self, command: &mut Command) -> Result<Child, SshError> {
        let program = self.words.first().cloned().unwrap_or_default();
        command.kill_on_drop(true).spawn().map_err(|error| SshError::Program { program, error })
    }

    fn command(&self, target: &Target, ask: bool) -> Command {
        let (program, options) = self.words.split_first().map_or(("ssh", &[][..]), |(p, o)| (p, o));
        let mut command = Command::new(program);
        command.args(options).arg("-T");
        let path = format!("ControlPath={}/%C", self.folder.path().display());
        let alive = ["ServerAliveInterval=5", "ServerAliveCountMax=3"];
        // What a person has set for logging in is not for these.
        let plain = ["RemoteCommand=none", "ClearAllForwardings=yes"];
        let own = ["ControlMaster=auto", PERSIST, path.as_str()];
        for option in own.iter().chain(&alive).chain(&plain) {
            command.args(["-o", option]);
        }
        if !(ask && self.person) {
            command.args(["-o", "BatchMode=yes"]);
        }
        if let Some(port) = target.port() {
            command.args(["-p", &port.to_string()]);
        }
        command.args(["--", target.destination()]);
        command
    }
}

/// All that a pipe brings, within bounds.
async fn whole(
    what: &'static str,
    pipe: Option<impl AsyncRead + Unpin>,
) -> Result<Vec<u8>, SshError> {
    let (mut told, Some(pipe)) = (Vec::new(), pipe) else { return Ok(Vec::new()) };
    // One byte more tells that there is more.
    let bound = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    pipe.take(bound).read_to_end(&mut told).await.map_err(|error| lost(what, &error))?;
    if told.len() > LARGEST {
        let first = told.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let begin = String::from_utf8_lossy(first).chars().take(LONGEST).collect();
        return Err(SshError::TooMuch { what, begin });
    }
    Ok(told)
}

fn lost(what: &'static str, error: &std::io::Error) -> SshError {
    SshError::Failed { what, said: error.to_string() }
}

/// The same connection, told to end.
fn exit(command: &Command) -> Command {
    let was = command.as_std();
    let mut exit = Command::new(was.get_program());
    exit.args(["-O", "exit"]).args(was.get_args());
    exit.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    exit
}

/// What a command said: its errors, or else its output; within bounds, as one line.
pub fn said(output: &Output) -> String {
    let text = if output.stderr.trim_ascii().is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let whole = lines.join("; ");
    if whole.is_empty() {
        return format!("nothing ({})", output.status);
    }
    let control = |c: char| if c.is_control() { ' ' } else { c };
    let kept = whole.chars().count();
    // The end says why.
    whole.chars().skip(kept.saturating_sub(LONGEST)).map(control).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// An ssh that runs its last argument here.
    fn fake(folder: &tempfile::TempDir, before: &str) -> Ssh {
        let program = folder.path().join("ssh");
        let text = format!("#!/bin/sh\n{before}\nfor last; do :; done\nexec sh -c \"$last\"\n");
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Ssh::new(&format!("{} -F x", program.display()), false).unwrap()
    }

    fn errand(input: Input) -> Errand {
        Errand { what: "look", input, patience: Duration::from_secs(10), ask: false }
    }

    #[tokio::test]
    async fn a_command_gets_its_input_and_its_words_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::parse("ssh://ann@h1:22").unwrap();
        let ssh = fake(&folder, "");
        let input = Input::Bytes(b"secret".to_vec());
        let output = ssh.run(&target, "cat; exit 3", errand(input)).await.unwrap();
        assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"secret"[..], Some(3)));
        let words = ssh.command(&target, false);
        let words: Vec<_> = words.as_std().get_args().map(|w| w.to_string_lossy()).collect();
        let line = words.join(" ");
        assert!(line.starts_with("-F x -T -o ControlMaster=auto"), "{line}");
        assert!(line.ends_with("-o BatchMode=yes -p 22 -- ann@h1"), "{line}");
    }

    #[tokio::test]
    async fn failures_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::parse("h1").unwrap();
        let ssh = fake(&folder, "echo 'ann@h1: Permission denied (publickey).' >&2; exit 255");
        let error = ssh.run(&target, "true", errand(Input::Nothing)).await.unwrap_err();
        assert!(error.may_be_asked());
        assert_eq!(
            error.to_string(),
            "no way in: ssh said: ann@h1: Permission denied (publickey)."
        );
        let ssh = fake(&folder, "");
        let hasty = Errand { patience: Duration::from_millis(50), ..errand(Input::Nothing) };
        let error = ssh.run(&target, "sleep 60", hasty).await.unwrap_err();
        assert_eq!(error.to_string(), "look: not within 0 s");
        let ssh = Ssh::new("/no/such/ssh", false).unwrap();
        let error = ssh.run(&target, "true", errand(Input::Nothing)).await.unwrap_err();
        assert!(error.to_string().contains("--ssh"), "{error}");
        assert!(Ssh::new("  ", false).is_err());
    }

    #[tokio::test]
    async fn what_never_ends_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::parse("h1").unwrap();
        for line in ["yes", "yes >&2"] {
            let ssh = fake(&folder, "");
            let error = ssh.run(&target, line, errand(Input::Nothing)).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "look: it said more than 1 MiB, beginning with \"y\": see the files of its login shell (.bashrc)"
            );
        }
        let ssh = fake(&folder, "");
        let much = "head -c 1000000 /dev/zero | tee /dev/stderr";
        let output = ssh.run(&target, much, errand(Input::Nothing)).await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (1_000_000, 1_000_000));
    }

    #[test]
    fn quotes_are_refused_and_not_cut() {
        let error = Ssh::new("ssh -o \"ProxyCommand=nc -x p %h %p\"", false).unwrap_err();
        assert!(error.to_string().contains("ssh -F FILE"), "{error}");
    }
}
