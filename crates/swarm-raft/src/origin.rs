//! Who a manager is: its number and the pool's authority (a swarm's is elsewhere), the first record
//! of its disk. Founded where the disk is empty and nobody is to be joined, and got from another
//! manager otherwise.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use swarm_kv::StoreError;
use tokio::time::Instant;

use crate::disk::{Disk, RECORDS, Single};
use crate::journal::{decode, encode};
use crate::kinds::Id;
use crate::net::{Dialer, LinkError, Reply, Request};
use crate::options::Join;
use crate::transport::Swarm;
use crate::trust::{self, Authority, Token};
use crate::unusable::Unusable;
use crate::writer::Batch;

/// The form of what is on disk; a newer one is refused.
const FORMAT: u32 = 1;

/// How long a manager that is asked to take one in may take: it may have to wait for others.
const WELCOME: Duration = Duration::from_secs(20);

/// How a manager comes in.
#[derive(Debug)]
pub(crate) enum Entry {
    /// To a pool, with a token to one that is there.
    Pool(Option<Join>),
    /// To the managers of a swarm.
    Swarm(Swarm),
    /// To them, who have let it in already as this one.
    Given(Origin),
}

impl Entry {
    /// Where a swarm's managers may be.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Swarm(swarm) => swarm.join.clone(),
            Self::Pool(_) | Self::Given(_) => Vec::new(),
        }
    }

    /// Whether a store may be begun where `folder` has none.
    pub fn may_begin(&self, folder: &Path) -> Result<(), StoreError> {
        match self {
            Self::Swarm(swarm) if !folder.join(RECORDS).exists() => may_found(swarm, folder),
            _ => Ok(()),
        }
    }
}

/// A manager that was one before, and has nothing left, must not begin the swarm anew in silence.
fn may_found(swarm: &Swarm, folder: &Path) -> Result<(), StoreError> {
    if swarm.founds || !swarm.join.is_empty() {
        return Ok(());
    }
    Err(StoreError::Refused {
        store: format!("in {}", folder.display()),
        reason: format!(
            "this manager's {RECORDS} is gone or empty, and it knows no other manager from which it \
             could be filled again. Put the folder back from a copy, or restore the swarm from a \
             backup into a new one (swarm restore); without either the swarm's services and secrets \
             are lost: docker swarm leave --force, and docker swarm init begins another"
        ),
    })
}

/// How it comes in, and whether the options allow that.
pub(crate) fn entry(
    join: Option<Join>,
    swarm: Option<Swarm>,
    advertise: Option<&str>,
    listens: bool,
) -> Result<Entry, StoreError> {
    let wrong = |option: &str, reason: &str| {
        Err(StoreError::Option { option: option.to_owned(), reason: reason.to_owned() })
    };
    match (join, swarm) {
        (Some(_), None) if !listens => wrong(
            "--store-listen",
            "a manager that joins others has to be reached by them; give HOST:PORT",
        ),
        (join, None) => Ok(Entry::Pool(join)),
        (None, Some(swarm)) if !listens && advertise.is_some_and(|own| !own.is_empty()) => {
            Ok(Entry::Swarm(swarm))
        }
        (_, Some(_)) => wrong(
            "--advertise-addr",
            "the store of a swarm's manager needs HOST:PORT, and no listener or token of its own",
        ),
    }
}

/// The first record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Origin {
    format: u32,
    pub id: Id,
    /// It began the store, and has to begin the log.
    pub founded: bool,
    pub authority: Authority,
    /// Managers known when it joined.
    pub peers: Vec<(Id, String)>,
}

impl Origin {
    /// Reads it, or makes it and writes it.
    pub async fn establish(
        disk: &Arc<Disk>,
        entry: &Entry,
        advertise: &str,
    ) -> Result<Self, Unusable> {
        let refused = |reason: String| StoreError::Refused { store: disk.shown(), reason };
        let reading = Arc::clone(disk);
        let kept = tokio::task::spawn_blocking(move || reading.single(Single::Origin)).await;
        let kept = kept.unwrap_or_else(|error| Err(io::Error::other(error)));
        let unread = |error: io::Error| Unusable::of_reading(disk.shown(), &error);
        if let Some(bytes) = kept.map_err(unread)? {
            let origin: Self = decode(&bytes).map_err(unread)?;
            origin.fits(disk, entry)?;
            return Ok(origin);
        }
        let origin = match entry {
            Entry::Pool(None) => Self::founded(
                Authority::new()
                    .map_err(|error| refused(format!("no certificate authority: {error}")))?,
            ),
            Entry::Pool(Some(join)) => by_token(join, advertise).await?,
            Entry::Swarm(swarm) if swarm.join.is_empty() => {
                may_found(swarm, disk.folder())?;
                Self::founded(Authority::none())
            }
            Entry::Swarm(swarm) => let_in(swarm, advertise).await?,
            Entry::Given(origin) => origin.clone(),
        };
        write_down(disk, &origin).await?;
        Ok(origin)
    }

    /// Whether this version reads it, and what it is of is what is asked for.
    fn fits(&self, disk: &Disk, entry: &Entry) -> Result<(), StoreError> {
        let refused = |reason: String| StoreError::Refused { store: disk.shown(), reason };
        if self.format > FORMAT {
            return Err(refused(format!(
                "it has format {}, and this version reads {FORMAT}; use the newer version",
                self.format
            )));
        }
        if self.authority.is_none() == matches!(entry, Entry::Pool(_)) {
            let theirs = if self.authority.is_none() { "a swarm's" } else { "a pool's" };
            return Err(refused(format!(
                "it is {theirs} store; use another data folder, or move it away"
            )));
        }
        if let Entry::Pool(Some(join)) = entry
            && token(join)?.digest != self.authority.digest()
        {
            return Err(refused(
                "it belongs to another pool than the join token; use another data folder"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn founded(authority: Authority) -> Self {
        let id = rand::random::<u64>().max(1);
        Self { format: FORMAT, id, founded: true, authority, peers: Vec::new() }
    }

    /// Of a swarm's manager that goes on with what others had.
    pub fn of_swarm() -> Self {
        Self { founded: false, ..Self::founded(Authority::none()) }
    }

    /// Writes it.
    pub async fn write_to(&self, disk: &Disk) -> io::Result<()> {
        disk.write_through(Batch::default().single(Single::Origin, encode(self)?)).await
    }
}

/// Writes the first record. A disk that does not take even that is told at once.
async fn write_down(disk: &Disk, origin: &Origin) -> Result<(), StoreError> {
    let refused = |reason: &dyn std::fmt::Display| StoreError::Refused {
        store: disk.shown(),
        reason: format!("it cannot be written: {reason}"),
    };
    let written = origin.write_to(disk);
    let mut trouble = disk.watch_trouble();
    tokio::select! {
        written = written => written.map_err(|error| refused(&error)),
        told = trouble.wait_for(Option::is_some) => {
            Err(refused(&told.ok().and_then(|told| told.clone()).unwrap_or_default()))
        }
    }
}

fn token(join: &Join) -> Result<Token, StoreError> {
    Token::parse(join.token.reveal()).map_err(|error| StoreError::Option {
        option: "the join token".to_owned(),
        reason: error.to_string(),
    })
}

async fn by_token(join: &Join, advertise: &str) -> Result<Origin, StoreError> {
    let token = token(join)?;
    let tls = trust::client(token.digest, None);
    let tls = tls.map_err(|error| StoreError::Option {
        option: "the join token".to_owned(),
        reason: error.to_string(),
    })?;
    let (dialer, digest) = (Dialer::new(tls, Some(token.secret)), token.digest);
    ask(&dialer, &join.peers, advertise, |authority| authority.digest() == digest).await
}

/// Asks a swarm's managers to be taken in.
pub(crate) async fn let_in(swarm: &Swarm, advertise: &str) -> Result<Origin, StoreError> {
    let dialer = Dialer::given(Arc::clone(&swarm.transport));
    ask(&dialer, &swarm.join, advertise, Authority::is_none).await
}

/// Asks one manager after another to be taken in; `ours` tells whether it has the right authority.
async fn ask(
    dialer: &Dialer,
    peers: &[String],
    advertise: &str,
    ours: impl Fn(&Authority) -> bool,
) -> Result<Origin, StoreError> {
    let store = format!("swarm://{}", peers.join(","));
    let mut failed = Vec::new();
    for address in peers {
        let until = Instant::now() + WELCOME;
        let asked = async {
            let mut link = dialer.dial(address, until).await?;
            link.call(None, Request::Join { address: advertise.to_owned() }, until).await
        };
        match asked.await {
            Ok(Reply::Joined(joined)) if ours(&joined.authority) => {
                let (id, authority, peers) = (joined.id, joined.authority, joined.peers);
                return Ok(Origin { format: FORMAT, id, founded: false, authority, peers });
            }
            // It knows us and does not want us: another one will not either.
            Err(LinkError::Fault(fault)) if fault.is_final() => {
                return Err(fault.into_error(&store));
            }
            Ok(_) => failed.push(format!("{address}: an unexpected answer")),
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() {
        failed.push("no manager to join is given".to_owned());
    }
    Err(StoreError::Unreachable { store, reason: failed.join("; ") })
}
