//! What a swarm begins with: a root, the tokens that pin it, and the first manager's identity. Pure
//! but for randomness: who calls it writes the objects, and keeps the identity.

use std::collections::BTreeMap;
use std::time::SystemTime;

use swarm_ca::rotation::KeptRoot;
use swarm_ca::{
    Authority, DiskError, Expiry, IdentityError, IssueError, Issuer, JoinToken, NodeKey,
    RequestError, Role as Named, RootCa, RootError, Roots, RotationError, Stored, Subject,
    TokenError, UnlockKey,
};
use swarm_model::cluster::JoinTokens;
use swarm_model::node::{NodeSpec, Role};
use swarm_model::{Availability, Cluster, ClusterSpec, Id, Node};

use super::moment::written;
use super::sign::expiry;

/// Why no swarm was begun.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// Certificates would live too short, or cannot be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// What is kept of it.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The join tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The first node's key.
    #[error(transparent)]
    Key(#[from] RequestError),
    /// The first node's certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The first node's key and certificate.
    #[error(transparent)]
    Stored(#[from] DiskError),
    /// The unlock key.
    #[error(transparent)]
    Unlock(#[from] swarm_ca::unlock::UnlockError),
    /// What would be kept.
    #[error("the authority cannot be written down: {0}")]
    Form(#[from] serde_json::Error),
}

/// What a person wants of a new swarm.
#[derive(Debug, Clone)]
pub struct Founding {
    /// `Spec` of `POST /swarm/init`.
    pub spec: ClusterSpec,
    /// Networks from which subnets are taken, in CIDR form.
    pub default_addr_pool: Vec<String>,
    /// How long the prefix of each subnet is.
    pub subnet_size: u32,
    /// The UDP port of data between nodes.
    pub data_path_port: u32,
    /// Whether the first node is given tasks.
    pub availability: Availability,
    /// A person's own root with its key; a new one is made without.
    pub root: Option<RootCa>,
}

/// A swarm that begins.
#[derive(Debug)]
pub struct Founded {
    /// To be written to the new store, with `node`, in one batch.
    pub cluster: Cluster,
    /// The first manager. Its `member`, `description` and addresses are for the caller to fill in.
    pub node: Node,
    /// Its key and certificate.
    pub identity: Stored,
    /// What it trusts.
    pub roots: Roots,
}

/// Makes all that.
pub fn found(wish: Founding, now: SystemTime) -> Result<Founded, FoundError> {
    let expiry: Expiry = expiry(&wish.spec)?;
    let root = match wish.root {
        Some(root) => root,
        None => RootCa::create(now)?,
    };
    let authority = Authority::new(KeptRoot::with_key(&root));
    let (cluster_id, node_id) = (Id::from_bits(rand::random()), Id::from_bits(rand::random()));
    let key = NodeKey::generate()?;
    let subject = Subject::new(&node_id, Named::Manager, &cluster_id)?;
    let chain = Issuer::new(&root)?.issue(&key.request()?, &subject, expiry, now)?;
    let identity = Stored::new(key, &chain)?;
    let time = written(now);
    let spec =
        NodeSpec { role: Role::Manager, availability: wish.availability, ..NodeSpec::default() };
    let node = Node {
        id: node_id,
        created_at: time,
        updated_at: time,
        spec,
        certificate_ends: written(identity.identity.not_after),
        ..Node::default()
    };
    let locked = wish.spec.encryption_config.auto_lock_managers;
    let unlock_key = if locked { Some(UnlockKey::generate()?.to_text()) } else { None };
    let cluster = Cluster {
        id: cluster_id,
        version: swarm_model::Version::default(),
        created_at: time,
        updated_at: time,
        spec: wish.spec,
        join_tokens: new_tokens(&authority)?,
        authority: serde_json::to_value(&authority)?,
        unlock_key,
        default_addr_pool: wish.default_addr_pool,
        subnet_size: wish.subnet_size,
        data_path_port: wish.data_path_port,
        removed: BTreeMap::new(),
    };
    Ok(Founded { cluster, node, identity, roots: root.roots()? })
}

/// New tokens of both roles, which pin the present root.
pub fn new_tokens(authority: &Authority) -> Result<JoinTokens, FoundError> {
    let digest = authority.pinned()?.digest();
    let token = || Ok::<_, FoundError>(JoinToken::generate(digest)?.to_text());
    Ok(JoinTokens { worker: token()?, manager: token()? })
}
