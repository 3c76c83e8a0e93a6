//! Where clients arrive: plain TCP, TLS, unix sockets, and connections that others took in.
//!
//! Which addresses may be listened on without TLS is the binary's to decide and to warn about.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, poll_fn};
use rustls::ServerConfig;
use swarm_listen::prepare;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Mutex, mpsc};

use crate::tls::ServerTls;

/// One place where clients arrive.
#[derive(Debug)]
pub enum Listener {
    /// Plain HTTP.
    Tcp(TcpListener),
    /// HTTP over TLS.
    TlsTcp(TcpListener, Arc<ServerTls>),
    /// Plain HTTP on a unix socket; the file is removed at shutdown.
    Unix(UnixListener, PathBuf),
    /// Plain HTTP on connections that somebody else took in, and judged.
    Handed(Arriving),
}

/// Connections that are handed over, one after the other.
pub struct Arriving(Mutex<BoxStream<'static, Box<dyn Handed>>>);

impl std::fmt::Debug for Arriving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("from other managers")
    }
}

/// A connection that somebody else took in.
pub trait Handed: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Handed for T {}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The TCP address cannot be had.
    #[error("cannot listen on tcp://{address}: {source}")]
    Tcp {
        /// As given.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket's path cannot be had.
    #[error("cannot listen on unix://{path}: {source}", path = path.display())]
    Unix {
        /// As given.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A connection before its first byte.
pub(crate) enum Accepted {
    Tcp(TcpStream),
    Tls(TcpStream, Arc<ServerConfig>),
    Unix(UnixStream),
    Handed(Box<dyn Handed>),
}

impl Listener {
    /// Serves what arrives there, until nobody can hand anything over any more.
    pub fn handed<S: Handed + 'static>(mut arriving: mpsc::Receiver<S>) -> Self {
        let boxed = |stream| Box::new(stream) as Box<dyn Handed>;
        let stream =
            poll_fn(move |context| arriving.poll_recv(context).map(|next| next.map(boxed)));
        Self::Handed(Arriving(Mutex::new(stream.boxed())))
    }

    /// Listens on `HOST:PORT`, with TLS if given any.
    pub async fn tcp(address: &str, tls: Option<Arc<ServerTls>>) -> Result<Self, BindError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| BindError::Tcp { address: address.to_owned(), source })?;
        Ok(match tls {
            None => Self::Tcp(listener),
            Some(tls) => Self::TlsTcp(listener, tls),
        })
    }

    /// Listens on a unix socket of mode 0660, replacing one that nobody listens on any more.
    pub async fn unix(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Unix { path: path.to_owned(), source };
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
            && !folder.exists()
        {
            let words = format!("there is no folder {}: make it first", folder.display());
            return Err(failed(io::Error::new(io::ErrorKind::NotFound, words)));
        }
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(failed(io::Error::other("there is a file that is no socket")));
            }
            if UnixStream::connect(path).await.is_ok() {
                return Err(failed(io::Error::other("another process listens on it")));
            }
            std::fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let mode = std::fs::Permissions::from_mode(0o660);
        std::fs::set_permissions(path, mode).map_err(failed)?;
        Ok(Self::Unix(listener, path.to_owned()))
    }

    /// The TCP address really listened on; `None` for a unix socket.
    pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
        match self {
            Self::Tcp(listener) | Self::TlsTcp(listener, _) => listener.local_addr().ok(),
            Self::Unix(..) | Self::Handed(_) => None,
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => Ok(Accepted::Tcp(prepare(listener.accept().await?.0))),
            Self::TlsTcp(listener, tls) => {
                Ok(Accepted::Tls(prepare(listener.accept().await?.0), tls.current()))
            }
            Self::Unix(listener, _) => Ok(Accepted::Unix(listener.accept().await?.0)),
            Self::Handed(arriving) => match arriving.0.lock().await.next().await {
                Some(stream) => Ok(Accepted::Handed(stream)),
                None => std::future::pending().await,
            },
        }
    }

    /// Stops listening.
    pub(crate) fn close(self) {
        if let Self::Unix(listener, path) = self {
            drop(listener);
            let _ = std::fs::remove_file(path);
        }
    }
}
