//! One machine: its scripts are run, and its daemon is reached. Leaves what to run to its callers.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use swarm_engine::{Raw, Tunnels};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::script::{line, quote};
use crate::ssh::{Errand, Input, Ssh, SshError, said};
use crate::target::Target;

/// The most of its complaints that are kept, bytes.
const LONGEST: u64 = 4096;

/// One machine.
#[derive(Debug, Clone)]
pub struct Remote {
    ssh: Arc<Ssh>,
    /// Which.
    pub target: Target,
    /// Whether what needs root goes by `sudo`.
    pub sudo: bool,
    /// The `swarm` over there.
    pub program: String,
}

impl Remote {
    /// A machine of which nothing is known.
    pub fn new(ssh: Arc<Ssh>, target: Target, program: &str) -> Self {
        Self { ssh, target, sudo: false, program: program.to_owned() }
    }

    /// Runs a script to its end; what it wrote, if it succeeded.
    pub async fn script(
        &self,
        what: &'static str,
        script: &str,
        arguments: &[&str],
        input: Input,
        patience: Duration,
    ) -> Result<String, SshError> {
        let errand = Errand { what, input, patience, ask: false };
        self.run(script, arguments, errand).await
    }

    /// As [`Remote::script`].
    pub async fn run(
        &self,
        script: &str,
        arguments: &[&str],
        errand: Errand,
    ) -> Result<String, SshError> {
        let what = errand.what;
        let line = line(script, arguments, self.sudo);
        let output = self.ssh.run(&self.target, &line, errand).await?;
        if !output.status.success() {
            return Err(SshError::Failed { what, said: said(&output) });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The way to whoever listens at one of its sockets.
    pub fn way(&self, socket: &'static str) -> Way {
        Way { remote: self.clone(), socket, complaint: Arc::default() }
    }
}

/// The way to a machine's daemon: `swarm dial-stdio` over there.
pub struct Way {
    remote: Remote,
    socket: &'static str,
    complaint: Arc<Mutex<String>>,
}

impl Way {
    /// What the last connection complained about; read by another holder of the way.
    pub fn complaint(&self) -> Arc<Mutex<String>> {
        Arc::clone(&self.complaint)
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to the daemon of {}", self.remote.target)
    }
}

impl Tunnels for Way {
    fn open<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Raw>>> {
        Box::pin(async move {
            let sudo = if self.remote.sudo { "sudo -n -- " } else { "" };
            let line = format!("{sudo}{} dial-stdio {}", quote(&self.remote.program), self.socket);
            let open = self.remote.ssh.open(&self.remote.target, &line);
            let mut child = open.map_err(io::Error::other)?;
            let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(io::Error::other("ssh has no input and output"));
            };
            if let Some(stderr) = child.stderr.take() {
                let kept = Arc::clone(&self.complaint);
                tokio::spawn(async move {
                    let mut said = String::new();
                    // Bytes that are no text are no complaint that anybody could read.
                    let _ = stderr.take(LONGEST).read_to_string(&mut said).await;
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    said.trim().clone_into(&mut kept);
                });
            }
            Ok(Box::new(Piped { stdin, stdout, _child: child }) as Box<dyn Raw>)
        })
    }
}

/// Two pipes as one connection; ssh ends with it.
struct Piped {
    stdin: ChildStdin,
    stdout: ChildStdout,
    _child: Child,
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for Piped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}
