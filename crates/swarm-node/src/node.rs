//! This machine's part in a swarm: none, or a member; how it begins and joins.
//!
//! Invariant: one change of it at a time; what a failed `init` or `join` made is taken away again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use swarm_backend::{ApiError, Part, Result};
use swarm_ca::{Disk, DiskError, Role, UnlockKey};
use swarm_engine::EngineClient;
use swarm_manager::authority::{Founding, found};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::addresses;
use crate::cluster::Clients;
use crate::engine::LocalEngine;
use crate::identity::{self, JoinError, Joining, Own, OwnError, with_port};
use crate::info::{Warning, is_in_its_own};
use crate::kept::Kept;
use crate::manager::Beginning;
use crate::member::{Member, Place, Start};
use crate::pace::Pace;
use crate::requests::{Init, Join};
use crate::words;

mod alone;
mod asked;
mod left;
mod moved;
mod standing;
mod unlock;
mod warned;

use moved::Said;
use standing::ResumeError;
pub(crate) use standing::Standing;

/// The folder of the identity in the node's.
pub(crate) const CERTIFICATES: &str = "certificates";
/// How long the engine may take to tell of itself.
const ENGINE: Duration = Duration::from_secs(10);
/// What the client sends where nothing was said.
const UNSAID_LISTEN: &str = "0.0.0.0:2377";
/// How long a client waits until a joined node is what it is to be.
const JOINED: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// With what a node runs.
#[derive(Debug)]
pub struct NodeOptions {
    /// The engine beside it.
    pub engine: EngineClient,
    /// Its folder.
    pub folder: PathBuf,
    /// A folder in memory, for secrets.
    pub volatile: PathBuf,
    /// `--listen-addr`: where it listens, if a client names nothing else.
    pub listen: String,
    /// `--advertise-addr`: where it is reached, if a client names nothing else.
    pub advertise: String,
    /// Where clients go that another manager passes on.
    pub clients: Clients,
    /// `--allow`: what services may ask of this host beyond Docker's.
    pub allows: Vec<String>,
    /// `--manager`: managers to ask beside those that a member remembers, `HOST:PORT`.
    pub managers: Vec<String>,
}

/// This node.
#[derive(Debug)]
pub struct Node {
    options: NodeOptions,
    engine: LocalEngine,
    standing: RwLock<Standing>,
    /// What was to be told when it began as what it is.
    told: RwLock<Vec<Warning>>,
    changing: Mutex<()>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    /// Goes on with what it was.
    pub async fn start(options: NodeOptions) -> Arc<Self> {
        let engine = LocalEngine::new(options.engine.clone());
        let node = Arc::new(Self {
            options,
            engine: engine.clone(),
            standing: RwLock::new(Standing::Inactive),
            told: RwLock::default(),
            changing: Mutex::new(()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        node.tasks.spawn(engine.clone().follow(node.stop.clone()));
        let resuming = node.resume(None, None, node.said());
        let (resumed, ()) = tokio::join!(resuming, engine.greet());
        let standing = match resumed {
            Ok(standing) => standing,
            Err(why) => {
                let why = why.to_string();
                tracing::error!(why, "this node cannot go on as a member of its swarm");
                Standing::Failed(why)
            }
        };
        node.set(standing);
        node
    }

    async fn resume(
        &self,
        beginning: Option<Beginning>,
        lock: Option<UnlockKey>,
        said: Said,
    ) -> std::result::Result<Standing, ResumeError> {
        let folder = &self.options.folder;
        let kept = Kept::load(folder).map_err(|error| ResumeError::of(&error))?;
        let Some(mut kept) = kept else { return Ok(Standing::Inactive) };
        let told = self.settle(&mut kept, &said);
        *self.told.write() = told;
        for warning in self.warnings_of(&kept) {
            tracing::warn!(todo = warning.todo, "{}", warning.what);
        }
        let others = self.options.managers.iter().filter(|one| !kept.managers.contains(one));
        kept.managers = others.cloned().chain(kept.managers.iter().cloned()).collect();
        let disk = self.disk().map_err(|error| ResumeError::Other(error.message))?;
        let own = match Own::load(disk, lock).await {
            Ok(own) => own,
            Err(OwnError::Disk(DiskError::Locked)) => {
                tracing::warn!("{}", words::LOCKED);
                return Ok(Standing::Locked(Arc::new(kept)));
            }
            Err(OwnError::Disk(DiskError::Unlock(_))) => return Err(ResumeError::WrongKey),
            Err(error) => return Err(ResumeError::of(&error)),
        };
        let own = own.ok_or_else(|| {
            ResumeError::Other(format!(
                "{} lacks the node's certificate; leave the swarm (docker swarm leave --force) and \
                 join it again",
                folder.join(CERTIFICATES).display()
            ))
        })?;
        // Restored, and not yet gone on with: the managers that there were are given up.
        let restored = kept.restored.then(|| Beginning { alone: true, ..Beginning::default() });
        let start = self.start_of(own, kept, beginning.or(restored));
        let member = Member::start(start).await.map_err(|error| ResumeError::of(&error))?;
        member.is_begun().map_err(|error| ResumeError::of(&error))?;
        Ok(Standing::Member(member))
    }

    fn start_of(&self, own: Own, kept: Kept, beginning: Option<Beginning>) -> Start {
        let place = Place {
            folder: self.options.folder.clone(),
            volatile: self.options.volatile.clone(),
            allows: self.options.allows.clone(),
        };
        let clients = self.options.clients.clone();
        Start { place, engine: self.engine.clone(), own, kept, clients, beginning }
    }

    fn disk(&self) -> Result<Disk> {
        Disk::open(&self.options.folder.join(CERTIFICATES))
            .map_err(|error| ApiError::system(error.to_string()))
    }

    fn set(&self, standing: Standing) {
        *self.standing.write() = standing;
    }

    pub(crate) fn engine(&self) -> &LocalEngine {
        &self.engine
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.read().clone()
    }

    /// Two swarms cannot share an engine.
    async fn engine_is_free(&self) -> Result<()> {
        let asked = self.engine.client().get_json::<serde_json::Value>("/info", ENGINE).await;
        let info = asked.map_err(|error| {
            ApiError::unavailable(format!(
                "this node's engine at {} does not say what it is: {error}",
                self.engine.client().address()
            ))
        })?;
        if is_in_its_own(info.get("Swarm")) {
            return Err(words::engine_s_own(&self.engine.client().address().to_string()));
        }
        Ok(())
    }

    fn addresses(
        &self,
        listen: &str,
        advertise: &str,
    ) -> Result<(std::net::SocketAddr, std::net::SocketAddr)> {
        let locals = addresses::observe()?;
        let or =
            |said: &str, own: &str| if said.is_empty() { own.to_owned() } else { said.to_owned() };
        let said = if listen == UNSAID_LISTEN { "" } else { listen };
        let listen = addresses::listen(&or(said, &self.options.listen), &locals)?;
        let advertise = or(advertise, &self.options.advertise);
        Ok((listen, addresses::advertise(&advertise, listen, &locals)?))
    }

    /// `docker swarm init`: this node's id.
    pub(crate) async fn init(&self, init: Init) -> Result<String> {
        let _one_at_a_time = self.changing.lock().await;
        match self.standing() {
            Standing::Inactive => {}
            Standing::Member(member) if init.force_new_cluster => {
                return self.go_on_alone(&member, &init).await;
            }
            Standing::Locked(_) if init.force_new_cluster => {
                return Err(words::no_manager(Part::Locked, None));
            }
            _ => return Err(words::already_in()),
        }
        if init.force_new_cluster {
            return Err(ApiError::unavailable(
                "--force-new-cluster goes on with the swarm that this node is a manager of; it is in \
                 none",
            ));
        }
        self.engine_is_free().await?;
        let (listen, advertise) = self.addresses(&init.listen_addr, &init.advertise_addr)?;
        let spec = swarm_manager::control::check_settings(&init.spec)?;
        let founding = Founding {
            default_addr_pool: init.default_addr_pool.unwrap_or_default(),
            subnet_size: init.subnet_size,
            data_path_port: init.data_path_port,
            availability: init.availability,
            root: None,
            spec,
        };
        let mut founded = found(founding, SystemTime::now())
            .map_err(|error| ApiError::invalid(error.to_string()))?;
        founded.node.status.addr = advertise.ip().to_string();
        let mut kept = Kept::new(listen, advertise, Vec::new());
        kept.is_own = addresses::is_own(advertise.ip()).ok();
        kept.pace = Pace::of(&founded.cluster.spec.raft);
        let (identity, roots) = (founded.identity.clone(), founded.roots.clone());
        let lock = founded.cluster.unlock_key.as_ref().map(|key| UnlockKey::parse(key.reveal()));
        let lock = lock.transpose().map_err(|error| ApiError::system(error.to_string()))?;
        let own = Own::begin(self.disk()?, identity, roots, lock).await;
        let own = own.map_err(|error| ApiError::system(error.to_string()))?;
        let beginning = Beginning { founded: Some(Box::new(founded)), ..Beginning::default() };
        let member = self.become_member(own, kept, Some(beginning)).await?;
        Ok(member.node_id().to_string())
    }

    /// `docker swarm join`.
    pub(crate) async fn join(&self, join: Join) -> Result<()> {
        let _one_at_a_time = self.changing.lock().await;
        if !matches!(self.standing(), Standing::Inactive) {
            return Err(words::already_in());
        }
        self.engine_is_free().await?;
        let (listen, advertise) = self.addresses(&join.listen_addr, &join.advertise_addr)?;
        let Some(token) = &join.join_token else { return Err(ApiError::invalid("no join token")) };
        let addresses = join.remote_addrs.iter().filter(|address| !address.is_empty());
        let addresses: Vec<_> = addresses.map(|address| with_port(address)).collect();
        let availability = join.availability;
        let joining = Joining { addresses: addresses.clone(), availability };
        let own = identity::join(token.reveal(), &joining, self.disk()?, None).await;
        let own = own.map_err(|error| match error {
            JoinError::Token(_) | JoinError::NoAddress => ApiError::invalid(error.to_string()),
            _ => ApiError::unavailable(error.to_string()),
        })?;
        let mut kept = Kept::new(listen, advertise, addresses.clone());
        kept.is_own = addresses::is_own(advertise.ip()).ok();
        let beginning =
            (own.identity().subject.role() == Role::Manager).then(|| Beginning::join(addresses));
        let member = self.become_member(own, kept, beginning).await?;
        self.wait_until_there(&member).await
    }

    async fn become_member(
        &self,
        own: Own,
        kept: Kept,
        beginning: Option<Beginning>,
    ) -> Result<Arc<Member>> {
        self.set(Standing::Pending);
        let made = async {
            let unkept = |error: &dyn std::fmt::Display| ApiError::system(error.to_string());
            kept.save(&self.options.folder).map_err(|error| unkept(&error))?;
            let start = self.start_of(own, kept, beginning);
            Member::start(start).await.map_err(|error| unkept(&error))
        };
        match made.await {
            Ok(member) => {
                self.set(Standing::Member(Arc::clone(&member)));
                Ok(member)
            }
            Err(error) => {
                self.forget().await;
                self.set(Standing::Inactive);
                Err(error)
            }
        }
    }

    /// Until a manager has the swarm's objects, and the swarm knows it.
    async fn wait_until_there(&self, member: &Member) -> Result<()> {
        let there = async {
            while member.role() == Role::Manager
                && member.manager().is_none_or(|manager| !manager.is_known(member.node_id()))
            {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(JOINED, there).await.map_err(|_| {
            ApiError::deadline(
                "Timeout was reached before node joined. The attempt to join the swarm will continue \
                 in the background. Use the \"docker info\" command to see the current swarm status \
                 of your node.",
            )
        })
    }

    /// The end is near: another manager leads from now on.
    pub async fn hand_over(&self) {
        if let Standing::Member(member) = self.standing() {
            member.hand_over().await;
        }
    }

    /// Ends in order; what runs goes on. From now on the leader waits for this node to be back.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        if let Standing::Member(member) = self.standing() {
            member.stop(false).await;
        }
        self.tasks.close();
        self.tasks.wait().await;
    }
}
