//! A cluster's root and its nodes, for the tests beside.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, ServerName};
use swarm_ca::tls::{Credentials, Expect, Live, Removed};
use swarm_ca::{Expiry, Identity, Issuer, NodeKey, Role, RootCa, Roots, Stored, Subject};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub const CLUSTER: &str = "tehyu2bphyg3xa3d4f5q32a16";
pub const OTHER_CLUSTER: &str = "aehyu2bphyg3xa3d4f5q32a16";
pub const MANAGER: &str = "nhtb4v64nex8r51c01gqdadvi";
pub const WORKER: &str = "whtb4v64nex8r51c01gqdadvi";
pub const HOUR: Duration = Duration::from_hours(1);

pub fn now() -> SystemTime {
    SystemTime::now()
}

/// A root that has been there for a while, so that certificates could end since.
pub fn root() -> RootCa {
    RootCa::create(now() - 100 * HOUR).unwrap()
}

pub fn subject(id: &str, role: Role) -> Subject {
    Subject::new(id, role, CLUSTER).unwrap()
}

pub fn issued(issuer: &Issuer, subject: &Subject, when: SystemTime) -> Stored {
    let key = NodeKey::generate().unwrap();
    let expiry = Expiry::new(HOUR).unwrap();
    let chain = issuer.issue(&key.request().unwrap(), subject, expiry, when).unwrap();
    Stored::new(key, &chain).unwrap()
}

/// A node with a certificate of this root, issued now.
pub fn node(root: &RootCa, id: &str, role: Role) -> Stored {
    issued(&Issuer::new(root).unwrap(), &subject(id, role), now())
}

pub fn live(stored: &Stored, roots: Roots) -> Arc<Live> {
    let live = Live::new(roots).unwrap();
    live.replace_own(Credentials::new(stored).unwrap());
    live
}

pub fn expect(roles: &[Role]) -> Expect {
    Expect::new(CLUSTER, roles, Arc::new(Removed::default()))
}

/// What came of a handshake, seen from both sides.
pub struct Shaken {
    /// Who the client is; `None`: it showed nothing.
    pub server: io::Result<Option<Identity>>,
    pub client: io::Result<()>,
}

/// A handshake, and a byte from the server: with TLS 1.3 a client learns only then that it was
/// refused.
pub async fn shake(server: ServerConfig, client: ClientConfig) -> Shaken {
    shake_shared(Arc::new(server), Arc::new(client)).await
}

pub async fn shake_shared(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Shaken {
    let (there, here) = tokio::io::duplex(64 * 1024);
    let serving = async move {
        let mut stream = TlsAcceptor::from(server).accept(there).await?;
        let shown: Option<Identity> = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[CertificateDer<'_>]>::first)
            .map(|own| Identity::of(own).unwrap());
        stream.write_all(b"k").await?;
        stream.shutdown().await?;
        Ok(shown)
    };
    let calling = async move {
        let name = ServerName::try_from("node.invalid").unwrap();
        let mut stream = TlsConnector::from(client).connect(name, here).await?;
        assert_eq!(stream.read_u8().await?, b'k');
        Ok(())
    };
    let both = async { tokio::join!(serving, calling) };
    let (server, client) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    Shaken { server, client }
}

/// rustls's own error in one of I/O.
pub fn tls_error(error: &io::Error) -> &rustls::Error {
    error.get_ref().and_then(|inner| inner.downcast_ref()).unwrap_or_else(|| panic!("{error:?}"))
}
