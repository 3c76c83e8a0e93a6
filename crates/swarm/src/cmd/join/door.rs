//! The agent's door to its engine: the engine's own API on a TCP port, to whoever has a certificate, while the
//! engine itself goes on listening at its socket alone. Bytes go both ways as they are.
//!
//! Leaves accepting, handshakes and limits to swarm-listen, and passing on to swarm-splice. Invariants: nobody is
//! let in from another machine without a certificate of our authority; nothing is asked of the engine before.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use swarm_api::tls::{ServerFiles, ServerTls};
use swarm_engine::{EngineAddress, PLAIN_PORT};
use swarm_listen::{Bounds, Door, Taker, TlsSource};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::JoinFlags;
use crate::config::{LOCAL_ENGINE, tls_paths};
use crate::tls::TlsPaths;
use crate::usage::UsageError;
use crate::values::{Listen, listen};

/// How long the engine's socket may take to accept us.
const DIAL: Duration = Duration::from_secs(5);
/// How long a client may stay that says nothing, after the engine has said everything.
const LINGER: Duration = Duration::from_secs(10);
/// Each stream of a manager is a connection; some 50 KiB each, 200 MiB at the very most.
const BOUNDS: Bounds = Bounds {
    connections: 4096,
    // There are no heads to wait for.
    idle: Duration::MAX,
    longest: None,
    // Managers drop an engine that has left, and with it their connections.
    drain: Duration::from_secs(10),
};

/// Where the engine is, and where it is to be reached: the flags, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorConfig {
    /// `--listen`: `HOST:PORT`.
    listen: String,
    /// `--engine`.
    pub engine: PathBuf,
    tls: Option<TlsPaths>,
}

impl DoorConfig {
    /// Reads the flags; `None` where no door is asked for.
    pub fn resolve(flags: &JoinFlags) -> Result<Option<Self>, UsageError> {
        let tls = tls_paths(&flags.tls)?;
        let Some(text) = &flags.listen else {
            let given = flags.engine.is_some() || tls.is_some();
            if given {
                return Err(UsageError::flags(
                    "--engine, --tls, --tlsverify and their files are for --listen, where this agent \
                     serves its engine: give it too",
                ));
            }
            return Ok(None);
        };
        let Listen::Tcp(address) = listen("--listen", text)? else {
            return Err(UsageError::value("--listen", text, "expected tcp://HOST:PORT"));
        };
        let engine = flags.engine.as_deref().unwrap_or(LOCAL_ENGINE);
        let problem = match EngineAddress::parse(engine, PLAIN_PORT) {
            Ok(EngineAddress::Unix(engine)) => {
                return Ok(Some(Self { listen: address, engine, tls }));
            }
            Ok(_) => {
                "the engine has to be this machine's own, by its socket: unix:///PATH".to_owned()
            }
            Err(error) => error.reason.to_owned(),
        };
        Err(UsageError::value("--engine", engine, problem))
    }

    /// Binds the address. Nobody is let in yet.
    pub async fn open(self) -> anyhow::Result<OpenDoor> {
        let tls = self.tls.as_ref().map(server).transpose().context("TLS towards clients")?;
        let listener = TcpListener::bind(&self.listen).await;
        let listener =
            listener.with_context(|| format!("cannot listen on tcp://{}", self.listen))?;
        let bound = listener.local_addr()?;
        let verified = self.tls.as_ref().is_some_and(|tls| tls.verify);
        if !verified && !bound.ip().is_loopback() {
            let problem = "whoever reaches an engine is root on its machine: give --tlsverify with \
                           --tlscacert, --tlscert and --tlskey, or listen on 127.0.0.1";
            return Err(UsageError::value("--listen", &self.listen, problem).into());
        }
        let scheme = if tls.is_some() { "TLS" } else { "plain HTTP" };
        let engine = self.engine;
        info!(engine = %engine.display(), "serving the engine on tcp://{bound} ({scheme})");
        Ok(OpenDoor { listener, tls, engine })
    }
}

fn server(paths: &TlsPaths) -> Result<Arc<ServerTls>, swarm_api::tls::TlsError> {
    ServerTls::load(ServerFiles {
        cert: paths.cert.clone(),
        key: paths.key.clone(),
        verify_clients_with: paths.ca.clone().filter(|_| paths.verify),
    })
}

/// An address that is bound.
#[derive(Debug)]
pub struct OpenDoor {
    listener: TcpListener,
    /// Our certificate, which may be read again.
    pub tls: Option<Arc<ServerTls>>,
    engine: PathBuf,
}

impl OpenDoor {
    /// Lets clients through until `stop`, and those that are there go on for a while.
    pub async fn serve(self, stop: CancellationToken) {
        let tls = self.tls.map(|tls| Arc::new(move || tls.current()) as TlsSource);
        let doors = vec![Door { listener: self.listener, tls }];
        let passage = Arc::new(Passage { engine: self.engine, silent: AtomicBool::new(false) });
        swarm_listen::serve_raw("the engine", doors, BOUNDS, passage, stop).await;
    }
}

/// What joins a client with the engine.
struct Passage {
    engine: PathBuf,
    /// The engine was not there when the last client came.
    silent: AtomicBool,
}

impl Passage {
    /// What lasts is told once.
    fn tell(&self, failure: Option<&io::Error>) {
        let was = self.silent.swap(failure.is_some(), Ordering::Relaxed);
        let engine = self.engine.display();
        match failure {
            Some(error) if !was => {
                warn!(%engine, %error, "the engine cannot be reached: its clients' connections end");
            }
            None if was => info!(%engine, "the engine can be reached again"),
            _ => {}
        }
    }
}

impl Taker for Passage {
    async fn take<T>(&self, client: T) -> io::Result<()>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match dial(&self.engine).await {
            Ok(engine) => {
                self.tell(None);
                swarm_splice::join(client, engine, LINGER).await
            }
            Err(error) => {
                self.tell(Some(&error));
                let mut client = client;
                // In order, so that nobody takes it for a failure of the network.
                tokio::io::AsyncWriteExt::shutdown(&mut client).await
            }
        }
    }
}

/// Connects to the engine.
pub async fn dial(engine: &Path) -> io::Result<UnixStream> {
    match tokio::time::timeout(DIAL, UnixStream::connect(engine)).await {
        Ok(connected) => connected,
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {DIAL:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpStream, UnixListener};

    use super::*;
    use crate::cli::{Cli, Command};

    fn resolve(arguments: &[&str]) -> Result<Option<DoorConfig>, UsageError> {
        let line = ["swarm", "join", "--advertise", "h:2376"].iter().chain(arguments);
        let Some(Command::Join(flags)) = Cli::parse_from(line).command else { panic!("no join") };
        DoorConfig::resolve(&flags)
    }

    #[tokio::test]
    async fn a_door_to_the_network_has_a_lock() {
        assert_eq!(resolve(&["x:1"]).unwrap(), None);
        let door = resolve(&["--listen", "127.0.0.1:0", "x:1"]).unwrap().unwrap();
        assert_eq!(door.engine, Path::new("/var/run/docker.sock"));
        door.open().await.unwrap();
        for (arguments, words) in [
            (&["--engine", "unix:///e.sock", "x:1"][..], "are for --listen"),
            (
                &["--tlsverify", "--tlscacert=a", "--tlscert=b", "--tlskey=c", "x:1"],
                "are for --listen",
            ),
            (&["--listen", "unix:///x", "x:1"], "expected tcp://HOST:PORT"),
            (&["--listen", ":1", "--engine", "tcp://h:1", "x:1"], "by its socket"),
            (&["--listen", ":1", "--tlsverify", "x:1"], "--tlscert and --tlskey must be provided"),
            (&["--listen", ":1", "--tlscert=b", "x:1"], "require the use of either"),
        ] {
            let error = resolve(arguments).unwrap_err().to_string();
            assert!(error.contains(words), "{arguments:?}: {error}");
        }
        let open = resolve(&["--listen", "0.0.0.0:0", "x:1"]).unwrap().unwrap();
        let error = open.open().await.unwrap_err();
        assert!(
            error.is::<UsageError>() && error.to_string().contains("give --tlsverify"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn bytes_and_their_ends_go_both_ways_and_a_silent_engine_ends_them() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("e.sock");
        let engine = format!("unix://{}", socket.display());
        let config = resolve(&["--listen", "127.0.0.1:0", "--engine", &engine, "x:1"]);
        let door = config.unwrap().unwrap().open().await.unwrap();
        let at = door.listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(door.serve(stop.clone()));

        let mut rest = Vec::new();
        let mut early = TcpStream::connect(at).await.unwrap();
        assert_eq!(early.read_to_end(&mut rest).await.unwrap(), 0, "there is no engine");

        let listener = UnixListener::bind(&socket).unwrap();
        let mut client = TcpStream::connect(at).await.unwrap();
        client.write_all(b"all of it").await.unwrap();
        client.shutdown().await.unwrap();
        let (mut inside, _) = listener.accept().await.unwrap();
        inside.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"all of it");
        // Said after the client's end was heard.
        inside.write_all(b"and back").await.unwrap();
        drop(inside);
        rest.clear();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"and back");
        stop.cancel();
        serving.await.unwrap();
    }
}
