//! This node's key, certificate and trusted roots: on disk, and in every handshake from then on.
//!
//! Invariant: what handshakes show was on disk before.

use std::sync::Arc;

use parking_lot::Mutex;
use swarm_ca::rotation::IssuerInfo;
use swarm_ca::tls::{Credentials, Live, TlsError};
use swarm_ca::{Disk, DiskError, Identity, Roots, Stored, UnlockKey};
use tokio::sync::watch;

/// Why the identity was not kept or read.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// The disk, or what is on it.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// What was read or given cannot be shown.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The folder has a certificate and no roots.
    #[error("there is a node's certificate without the roots that it trusts; join again")]
    NoRoots,
    /// The runtime ends.
    #[error("the disk was not reached: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// This node's identity. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Own(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    live: Arc<Live>,
    disk: Disk,
    present: Mutex<Present>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
    told: watch::Sender<Identity>,
}

#[derive(Debug)]
struct Present {
    stored: Stored,
    lock: Option<UnlockKey>,
}

impl Own {
    /// What the folder has; `None` for a node that is in no swarm.
    pub async fn load(disk: Disk, lock: Option<UnlockKey>) -> Result<Option<Self>, OwnError> {
        let reading = {
            let (disk, lock) = (disk.clone(), lock.clone());
            move || Ok::<_, DiskError>((disk.load(lock.as_ref())?, disk.load_roots()?))
        };
        match tokio::task::spawn_blocking(reading).await?? {
            (None, _) => Ok(None),
            (Some(_), None) => Err(OwnError::NoRoots),
            (Some(stored), Some(roots)) => Self::of(disk, stored, roots, lock).map(Some),
        }
    }

    /// Keeps the identity of a node that has just come into a swarm.
    pub async fn begin(
        disk: Disk,
        stored: Stored,
        roots: Roots,
        lock: Option<UnlockKey>,
    ) -> Result<Self, OwnError> {
        let own = Self::of(disk, stored.clone(), roots.clone(), lock)?;
        own.write(Some(roots), Some(stored)).await?;
        Ok(own)
    }

    fn of(
        disk: Disk,
        stored: Stored,
        roots: Roots,
        lock: Option<UnlockKey>,
    ) -> Result<Self, OwnError> {
        let live = Live::new(roots)?;
        live.replace_own(Credentials::new(&stored)?);
        let told = watch::Sender::new(stored.identity.clone());
        let present = Mutex::new(Present { stored, lock });
        let changing = tokio::sync::Mutex::default();
        Ok(Self(Arc::new(Inner { live, disk, present, changing, told })))
    }

    /// What handshakes are made of.
    pub fn live(&self) -> &Arc<Live> {
        &self.0.live
    }

    /// Who this node is at the moment.
    pub fn identity(&self) -> Identity {
        self.0.told.borrow().clone()
    }

    /// Told of each new certificate, and so of a new role; and of new roots.
    pub fn watch(&self) -> watch::Receiver<Identity> {
        self.0.told.subscribe()
    }

    /// Who issued the certificate of the moment.
    pub fn issuer(&self) -> Option<IssuerInfo> {
        IssuerInfo::of_chain(&self.0.present.lock().stored.chain, &self.0.live.roots())
    }

    /// Shows this certificate, and trusts these roots, from now on.
    pub async fn replace(&self, stored: Stored, roots: Roots) -> Result<(), OwnError> {
        let _one = self.0.changing.lock().await;
        let credentials = Credentials::new(&stored)?;
        self.write(Some(roots.clone()), Some(stored.clone())).await?;
        self.0.live.replace_roots(roots)?;
        self.0.live.replace_own(credentials);
        let identity = stored.identity.clone();
        self.0.present.lock().stored = stored;
        self.0.told.send_replace(identity);
        Ok(())
    }

    /// Trusts these roots from now on. Watchers are told: the swarm has to hear of it, since a
    /// rotation is over for clients when every node trusts the new root alone.
    pub async fn trust(&self, roots: Roots) -> Result<(), OwnError> {
        let _one = self.0.changing.lock().await;
        self.write(Some(roots.clone()), None).await?;
        self.0.live.replace_roots(roots)?;
        self.0.told.send_modify(|_| {});
        Ok(())
    }

    /// Its key and certificate of the moment.
    pub(crate) fn stored(&self) -> Stored {
        self.0.present.lock().stored.clone()
    }

    /// Under what the key on disk is.
    pub fn lock_key(&self) -> Option<UnlockKey> {
        self.0.present.lock().lock.clone()
    }

    /// As [`Own::replace`], for a node that may be told by that to lock its disk. Only one that was
    /// not locked yet is: a new unlock key has to come to the store's key first.
    pub async fn replace_locking(
        &self,
        stored: Stored,
        roots: Roots,
        lock: Option<UnlockKey>,
    ) -> Result<(), OwnError> {
        let begins = {
            let mut present = self.0.present.lock();
            let begins = present.lock.is_none() && lock.is_some();
            if begins {
                present.lock = lock;
            }
            begins
        };
        let replaced = self.replace(stored, roots).await;
        if begins && replaced.is_err() {
            self.0.present.lock().lock = None;
        }
        replaced
    }

    /// From now on the key on disk is sealed under this unlock key, or not at all.
    pub async fn lock(&self, lock: Option<UnlockKey>) -> Result<(), OwnError> {
        let _one = self.0.changing.lock().await;
        let (stored, before) = {
            let mut present = self.0.present.lock();
            (present.stored.clone(), std::mem::replace(&mut present.lock, lock))
        };
        let written = self.write(None, Some(stored)).await;
        if written.is_err() {
            self.0.present.lock().lock = before;
        }
        written
    }

    async fn write(&self, roots: Option<Roots>, stored: Option<Stored>) -> Result<(), OwnError> {
        let (disk, lock) = (self.0.disk.clone(), self.0.present.lock().lock.clone());
        let writing = move || {
            roots.iter().try_for_each(|roots| disk.save_roots(roots))?;
            stored.iter().try_for_each(|stored| disk.save(stored, lock.as_ref()))
        };
        Ok(tokio::task::spawn_blocking(writing).await??)
    }
}
