//! A connection to a manager, as a client has it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt as _;
use parking_lot::RwLock;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use swarm_kv::Secret;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::wire::{self, Call, Fault, Hello, Reply, Request, VERSION};
use crate::kinds::Id;
use crate::transport::{Stream, Transport};

/// How long connecting may take: an address where nobody is should not cost a call's whole time.
const DIAL: Duration = Duration::from_millis(1500);

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    /// Certainly nothing was done.
    #[error("{0}")]
    NotSent(String),
    /// It may have been done.
    #[error("{0}")]
    Lost(String),
    /// It was answered, with a refusal.
    #[error("{0}")]
    Fault(Fault),
}

/// Makes connections.
#[derive(Debug)]
pub(crate) struct Dialer(Way);

#[derive(Debug)]
enum Way {
    /// In a pool.
    Own { tls: RwLock<Arc<ClientConfig>>, secret: Option<Secret> },
    /// In a swarm.
    Given(Arc<dyn Transport>),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Box<dyn Stream>,
    /// Its first call has not been answered yet: a refusal of ours comes with that.
    pub address: String,
}

impl Dialer {
    pub fn new(tls: Arc<ClientConfig>, secret: Option<Secret>) -> Self {
        Self(Way::Own { tls: RwLock::new(tls), secret })
    }

    /// Connects by what is given.
    pub fn given(transport: Arc<dyn Transport>) -> Self {
        Self(Way::Given(transport))
    }

    /// From now on connects with another certificate.
    pub fn replace(&self, tls: Arc<ClientConfig>) {
        if let Way::Own { tls: present, .. } = &self.0 {
            *present.write() = tls;
        }
    }

    /// Connects, and introduces itself.
    pub async fn dial(&self, address: &str, until: Instant) -> Result<Link, LinkError> {
        let until = until.min(Instant::now() + DIAL);
        let dialing = async {
            let mut stream = self.connect(address).await?;
            let secret = match &self.0 {
                Way::Own { secret, .. } => secret.as_ref(),
                Way::Given(_) => None,
            };
            let secret = secret.map(|secret| Zeroizing::new(secret.reveal().to_owned()));
            wire::write(&mut stream, &Hello { version: VERSION, secret }).await?;
            Ok::<_, io::Error>(stream)
        };
        match timeout_at(until, dialing).await {
            Ok(Ok(stream)) => Ok(Link { stream, address: address.to_owned() }),
            Ok(Err(error)) => Err(LinkError::NotSent(format!("{address}: {}", explained(&error)))),
            Err(_) => Err(LinkError::NotSent(format!("{address}: no connection within {DIAL:?}"))),
        }
    }

    async fn connect(&self, address: &str) -> io::Result<Box<dyn Stream>> {
        let tls = match &self.0 {
            Way::Given(transport) => return transport.dial(address).await,
            Way::Own { tls, .. } => Arc::clone(&tls.read()),
        };
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // The name is not looked at: managers are known by their certificates.
        let name = ServerName::try_from("manager").map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(tls).connect(name, stream).await?))
    }
}

/// What a failed handshake means for people.
fn explained(error: &io::Error) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "it belongs to another pool than the join token, or is no manager".to_owned()
        }
        Some(Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => format!("{error}; do both machines' clocks tell the same time?"),
        Some(Error::AlertReceived(AlertDescription::UnknownCA)) => {
            "it belongs to another pool".to_owned()
        }
        _ => error.to_string(),
    }
}

impl Link {
    /// Whether nothing came in while nobody asked: neither an end nor anything unasked for.
    pub fn is_quiet(&mut self) -> bool {
        self.stream.read(&mut [0; 1]).now_or_never().is_none()
    }

    /// Sends a call without waiting for its answer.
    pub async fn send(
        &mut self,
        to: Option<Id>,
        request: Request,
        until: Instant,
    ) -> Result<(), LinkError> {
        self.frame(&Call { to, request }, until).await
    }

    /// Sends a frame that belongs to a call.
    pub async fn frame<T: serde::Serialize>(
        &mut self,
        message: &T,
        until: Instant,
    ) -> Result<(), LinkError> {
        match timeout_at(until, wire::write(&mut self.stream, message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.lost(&error.to_string())),
            Err(_) => Err(self.lost("no answer in time")),
        }
    }

    /// Waits for a frame of the answer.
    pub async fn receive(&mut self, until: Instant) -> Result<Reply, LinkError> {
        match timeout_at(until, wire::read(&mut self.stream)).await {
            Ok(Ok(Some(Reply::Fault(fault)))) => Err(LinkError::Fault(fault)),
            Ok(Ok(Some(reply))) => Ok(reply),
            Ok(Ok(None)) => Err(self.lost("it closed the connection")),
            Ok(Err(error)) => Err(self.lost(&error.to_string())),
            Err(_) => Err(self.lost("no answer in time")),
        }
    }

    /// Sends what is no frame.
    #[cfg(test)]
    pub async fn raw(&mut self, bytes: &[u8]) {
        use tokio::io::AsyncWriteExt as _;
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// A whole call.
    pub async fn call(
        &mut self,
        to: Option<Id>,
        request: Request,
        until: Instant,
    ) -> Result<Reply, LinkError> {
        self.send(to, request, until).await?;
        self.receive(until).await
    }

    fn lost(&self, how: &str) -> LinkError {
        LinkError::Lost(format!("{}: {how}", self.address))
    }
}
