//! The pool's store, from the command line: which of the outside stores a DISCOVERY names, or the
//! embedded one, and what is needed to open it.
//!
//! Reading a URL and its options touches nothing but the files that they name; connecting is the
//! adapters' business, when they are first asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use swarm_discovery::{DiscoveryBackend, DiscoveryOptions, Kv, Union};
use swarm_kv::{KeyValue, Layout, StoreError, StoreOptions, StoreUrl};
use swarm_metrics::StoreMetrics;
use swarm_pool::{KeySource, PoolKey, StoreConfig};
use swarm_raft::{Embedded, EmbeddedOptions, Join, Remote};
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::usage::UsageError;

/// The schemes of a DISCOVERY that is a store of its own.
pub const SHARED: [&str; 3] = ["consul", "etcd", "zk"];
/// The scheme by which nodes reach managers that keep the store themselves.
const MANAGERS: &str = "swarm";

/// A store that a DISCOVERY names.
#[derive(Debug)]
pub struct Named {
    /// The store.
    pub store: Arc<dyn KeyValue>,
    /// Where in it.
    pub layout: Layout,
    /// Whether it is the managers' own, asked from outside.
    pub of_managers: bool,
}

impl Named {
    /// The store that `url` names; `None` when it names none.
    pub fn parse(url: &str, options: &DiscoveryOptions) -> Result<Option<Self>, UsageError> {
        let scheme = url.trim().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let (Some(scheme), port) = (scheme.as_deref(), default_port(scheme.as_deref())) else {
            return Ok(None);
        };
        let Some(port) = port else { return Ok(None) };
        let options = StoreOptions::parse(options)?;
        let url = StoreUrl::parse(url, port)?;
        let store: Arc<dyn KeyValue> = match scheme {
            "consul" => Arc::new(swarm_consul::Consul::open(&url, &options)?),
            "etcd" => Arc::new(swarm_etcd::Etcd::open(&url, &options)?),
            "zk" => Arc::new(swarm_zookeeper::ZooKeeper::open(&url, &options)?),
            _ => Arc::new(remote(&url, &options)?),
        };
        let layout = Layout::new(&url.prefix, options.path.as_deref());
        Ok(Some(Self { store, layout, of_managers: scheme == MANAGERS }))
    }

    /// The engines registered in it.
    pub fn discovery(&self) -> Arc<dyn DiscoveryBackend> {
        Arc::new(Kv::new(Arc::clone(&self.store), self.layout.clone()))
    }
}

fn default_port(scheme: Option<&str>) -> Option<u16> {
    match scheme? {
        "consul" => Some(swarm_consul::DEFAULT_PORT),
        "etcd" => Some(swarm_etcd::DEFAULT_PORT),
        "zk" => Some(swarm_zookeeper::DEFAULT_PORT),
        MANAGERS => Some(swarm_raft::DEFAULT_PORT),
        _ => None,
    }
}

fn remote(url: &StoreUrl, options: &StoreOptions) -> Result<Remote, StoreError> {
    let token = options.token.as_ref().ok_or_else(|| StoreError::Option {
        option: url.to_string(),
        reason: "managers want a join token: give --discovery-opt kv.tokenfile=FILE; a manager \
                 that listens for nodes (--store-listen) writes it into its data folder"
            .to_owned(),
    })?;
    Remote::open(url, token, options.deadline)
}

/// What `swarm manage` keeps its pool's state in.
#[derive(Debug)]
pub enum Choice {
    /// The store that the DISCOVERY is.
    Shared(Named),
    /// The manager's own, on disk.
    Embedded(EmbeddedFlags),
    /// This process's memory.
    Memory,
}

/// The flags of the embedded store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedFlags {
    /// `--data-dir`.
    pub data_dir: PathBuf,
    /// `--store-listen`: where other managers and nodes reach it.
    pub listen: Option<String>,
    /// `--store-advertise`: where they are told to.
    pub advertise: Option<String>,
    /// `--store-join`: managers to join, and the file with their token.
    pub join: Option<(Vec<String>, PathBuf)>,
}

/// An opened store, and the engines that are known by it.
pub struct Opened {
    /// For the pool.
    pub config: StoreConfig,
    /// For the election, where other managers may use the same store.
    pub shared: Option<(Arc<dyn KeyValue>, Layout)>,
    /// For the end.
    pub embedded: Option<Arc<Embedded>>,
    /// Which engines.
    pub discovery: Arc<dyn DiscoveryBackend>,
}

impl Choice {
    /// Opens it. `engines` are those that the command line names itself; `key` is
    /// `--pool-key-file`; calls to the store are counted in `metrics`.
    pub async fn open(
        self,
        engines: Option<Arc<dyn DiscoveryBackend>>,
        key: Option<&Path>,
        metrics: &StoreMetrics,
    ) -> anyhow::Result<Opened> {
        let given = key.map(read_key).transpose()?.map(KeySource::Given);
        match self {
            Self::Shared(mut named) => {
                named.store = metrics.measure(named.store);
                let key = given.unwrap_or_else(|| {
                    info!(
                        "without --pool-key-file registry credentials are not kept: a private \
                         image that is needed after a failure must be on another engine"
                    );
                    KeySource::None
                });
                let discovery = named.discovery();
                let Named { store, layout, .. } = named;
                let shared = Some((Arc::clone(&store), layout.clone()));
                let config = StoreConfig { store, layout, key };
                Ok(Opened { config, shared, embedded: None, discovery })
            }
            Self::Embedded(flags) => embedded(flags, engines, given, metrics).await,
            Self::Memory => {
                let layout = Layout::new("", None);
                let store = metrics.measure(swarm_memory::Memory::new());
                let discovery = match engines {
                    Some(engines) => engines,
                    None => Arc::new(Kv::new(Arc::clone(&store), layout.clone())),
                };
                let config = StoreConfig { store, layout, key: KeySource::Store };
                Ok(Opened { config, shared: None, embedded: None, discovery })
            }
        }
    }
}

async fn embedded(
    flags: EmbeddedFlags,
    engines: Option<Arc<dyn DiscoveryBackend>>,
    key: Option<KeySource>,
    metrics: &StoreMetrics,
) -> anyhow::Result<Opened> {
    let layout = Layout::new("", None);
    let mut options = EmbeddedOptions::new(&flags.data_dir);
    options.nodes = layout.clone();
    options.advertise.clone_from(&flags.advertise);
    if let Some(address) = &flags.listen {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("--store-listen {address}"))?;
        options.listen = Some(listener);
    }
    if let Some((peers, file)) = &flags.join {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("--store-token-file {}", file.display()))?;
        let token = swarm_kv::Secret::new(text.trim());
        options.join = Some(Join { peers: peers.clone(), token });
    }
    let embedded = Embedded::open(options)
        .await
        .with_context(|| format!("the embedded store in {}", flags.data_dir.display()))?;
    if flags.listen.is_some() {
        match tell_tokens(&embedded, &flags.data_dir).await {
            Ok(()) => info!(
                "other managers and nodes join at {}; their tokens are in {}/join-token.manager \
                 and join-token.node",
                embedded.address(),
                flags.data_dir.display()
            ),
            Err(error) => warn!(error = format!("{error:#}"), "cannot write the join tokens"),
        }
    }
    let store = metrics.measure(Arc::clone(&embedded) as _);
    let registered: Arc<dyn DiscoveryBackend> =
        Arc::new(Kv::new(Arc::clone(&store), layout.clone()));
    let discovery = match engines {
        Some(engines) => Arc::new(Union::new(engines, registered)) as _,
        None => registered,
    };
    // Alone in its folder, it is the only manager that there can be.
    let shared = flags.listen.is_some().then(|| (Arc::clone(&store), layout.clone()));
    let key = key.unwrap_or(KeySource::Store);
    let config = StoreConfig { store, layout, key };
    Ok(Opened { config, shared, embedded: Some(embedded), discovery })
}

/// Writes the join tokens where whoever may read the data folder finds them.
async fn tell_tokens(embedded: &Embedded, folder: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let tokens = embedded.tokens().await?;
    for (name, token) in
        [("join-token.manager", &tokens.manager), ("join-token.node", &tokens.node)]
    {
        let path = folder.join(name);
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        writeln!(file, "{}", token.reveal())?;
    }
    Ok(())
}

fn read_key(path: &Path) -> anyhow::Result<Arc<PoolKey>> {
    let secret = zeroize::Zeroizing::new(
        std::fs::read(path).with_context(|| format!("--pool-key-file {}", path.display()))?,
    );
    let key =
        PoolKey::new(&secret).with_context(|| format!("--pool-key-file {}", path.display()))?;
    Ok(Arc::new(key))
}

/// Where the embedded store is when nobody says: the system's place for the superuser, the person's
/// own for everybody else.
pub fn default_data_dir(env: crate::config::Env<'_>) -> Option<PathBuf> {
    let set = |name| crate::config::set(env, name).map(PathBuf::from);
    if nix::unistd::Uid::effective().is_root() {
        return Some("/var/lib/swarm/manage".into());
    }
    set("XDG_STATE_HOME")
        .or_else(|| Some(set("HOME")?.join(".local/state")))
        .map(|state| state.join("swarm/manage"))
}
