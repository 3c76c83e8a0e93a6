//! A token service run in this process, on one port, over one directory.

use std::sync::Arc;
use std::time::Duration;

use swarm_discovery::{Discovery, DiscoveryBackend, DiscoveryOptions, Site, TokenService};
use swarm_listen::{Door, TlsSource};
use swarm_token::{Limits, OwnerKey, Service, ServiceConfig, serve};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The service.
pub struct Rig {
    folder: TempDir,
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// The owner's key.
    pub key: String,
    tls: Option<TlsSource>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Rig {
    /// A running service.
    pub async fn start(tls: Option<TlsSource>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = OwnerKey::of_directory(folder.path()).unwrap().reveal().to_owned();
        let mut rig = Self { folder, address: "127.0.0.1:0".to_owned(), key, tls, running: None };
        rig.resume().await;
        rig
    }

    /// Starts it again where it was.
    pub async fn resume(&mut self) {
        let directory = self.folder.path().to_owned();
        let owner = OwnerKey::of_directory(&directory).unwrap();
        let expire = Duration::from_hours(720);
        let config = ServiceConfig { directory, expire, owner, limits: Limits::default() };
        let (service, written) = Service::open(config).await.unwrap();
        let listener = TcpListener::bind(&self.address).await.unwrap();
        self.address = listener.local_addr().unwrap().to_string();
        let door = Door { listener, tls: self.tls.clone() };
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let serving = tokio::spawn(async move {
            serve(service, vec![door], stopping).await;
            written.await.unwrap();
        });
        self.running = Some((stop, serving));
    }

    /// Stops it; nobody listens after this.
    pub async fn pause(&mut self) {
        if let Some((stop, serving)) = self.running.take() {
            stop.cancel();
            serving.await.unwrap();
        }
    }

    /// Its address for options.
    pub fn url(&self) -> String {
        format!("http{}://{}", if self.tls.is_some() { "s" } else { "" }, self.address)
    }

    /// What its clients ask with; without TLS.
    pub fn service(&self) -> TokenService {
        let site = Site::parse(&self.url()).unwrap();
        TokenService::new(site, swarm_discovery::TokenOptions::default())
    }

    /// The backend of a token, with options beside the address.
    pub fn backend(&self, token: &str, more: &[(&str, &str)]) -> Arc<dyn DiscoveryBackend> {
        let mut options = DiscoveryOptions::from([("token.url".to_owned(), self.url())]);
        options.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        Discovery::parse(&format!("token://{token}"), &options).unwrap()
    }
}
