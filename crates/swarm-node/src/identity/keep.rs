//! The certificate stays young as long as the node runs: renewed at a moment of chance in the second
//! half of its life, and at once when the swarm wishes another role or another issuer; soon when it
//! wishes that certificates last for less than is left of that.

use std::time::{Duration, SystemTime};

use swarm_ca::renewal::{SPREAD, moment, pause};
use swarm_ca::rotation::IssuerInfo;
use swarm_ca::{Digest, Role, Roots};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::own::Own;
use super::renew::{RenewError, renew};

/// The clock is looked at again after this long at the latest: it may have been set.
const LOOK: Duration = Duration::from_mins(1);

/// What the swarm wishes of this node's certificate, as the leader told it last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The role that it is to have; `None`: not told yet.
    pub role: Option<Role>,
    /// The digest (hex) of the root by which it is to be issued; empty: not told yet.
    pub issuer: String,
    /// All roots to be trusted, in PEM; empty: not told yet.
    pub roots: String,
    /// How long certificates are to last now; `None`: not told yet.
    pub life: Option<Duration>,
}

/// Why the certificate is not kept young any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop.
    Stopped,
    /// The swarm does not have this node any more; in a manager's words.
    Removed(String),
}

/// Keeps the certificate young, by whichever of `managers` (`HOST:PORT`) answers.
pub async fn keep_renewed(
    own: Own,
    mut managers: watch::Receiver<Vec<String>>,
    mut wishes: watch::Receiver<Wishes>,
    stop: CancellationToken,
) -> Ended {
    let mut identities = own.watch();
    let mut life = wishes.borrow().life;
    let mut due = due_of(&own, life);
    // How often it failed in a row, and until when it waits for that.
    let (mut failures, mut again) = (0, Instant::now());
    loop {
        let wish = wishes.borrow_and_update().clone();
        trust(&own, &wish).await;
        if wish.life != life {
            life = wish.life;
            due = due_of(&own, life);
        }
        let until_due = due.duration_since(SystemTime::now()).unwrap_or_default();
        let is_due = until_due.is_zero() || differs(&own, &wish);
        if is_due && Instant::now() >= again {
            let addresses = managers.borrow_and_update().clone();
            let Some(renewed) = stop.run_until_cancelled(renew(&own, &addresses)).await else {
                return Ended::Stopped;
            };
            failures = match renewed {
                // The store knows nothing of that wish yet, or not any more.
                Ok(_) if differs(&own, &wishes.borrow()) => failures + 1,
                // An external authority may issue what is old from its first moment.
                Ok(_) if due_of(&own, life) <= SystemTime::now() + SPREAD => failures + 1,
                Ok(identity) => {
                    tracing::info!(role = %identity.subject.role(), "the certificate was renewed");
                    0
                }
                Err(RenewError::Removed(words)) => return Ended::Removed(words),
                Err(error) => {
                    tracing::warn!(%error, "the certificate was not renewed; it is tried again");
                    failures + 1
                }
            };
            if failures > 0 {
                again = Instant::now() + pause(failures, &mut rand::rng());
            }
            due = due_of(&own, life);
            identities.mark_unchanged();
            continue;
        }
        let next = if is_due { again } else { Instant::now() + until_due.min(LOOK) };
        let alive = tokio::select! {
            () = stop.cancelled() => return Ended::Stopped,
            () = tokio::time::sleep_until(next) => true,
            changed = wishes.changed() => {
                again = Instant::now();
                changed.is_ok()
            }
            // Others may be reached now.
            changed = managers.changed(), if failures > 0 => {
                again = Instant::now();
                changed.is_ok()
            }
            // Somebody else renewed it.
            changed = identities.changed() => {
                due = due_of(&own, life);
                changed.is_ok()
            }
        };
        if !alive {
            // Whoever told of wishes is gone.
            return Ended::Stopped;
        }
    }
}

/// The moment of renewal, drawn once for each certificate and each `life` that the swarm wishes.
fn due_of(own: &Own, life: Option<Duration>) -> SystemTime {
    let identity = own.identity();
    let dates = (identity.not_before, identity.not_after);
    moment(dates, life, SystemTime::now(), &mut rand::rng())
}

/// Trusts the roots that the swarm wishes.
async fn trust(own: &Own, wish: &Wishes) {
    if wish.roots.is_empty() || wish.roots == own.live().roots().to_pem() {
        return;
    }
    let trusted = match Roots::kept(&wish.roots) {
        Ok(roots) => own.trust(roots).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match trusted {
        Ok(()) => tracing::info!("the swarm's root certificates have changed"),
        Err(error) => tracing::warn!(error, "the swarm's new roots cannot be trusted"),
    }
}

/// Whether the certificate is another one than is wished.
fn differs(own: &Own, wish: &Wishes) -> bool {
    let role = wish.role.is_some_and(|role| role != own.identity().subject.role());
    role || !is_issued_by(own, &wish.issuer)
}

fn is_issued_by(own: &Own, digest: &str) -> bool {
    let Ok(digest) = digest.parse::<Digest>() else {
        // Not told, or in a form that is not known here: nothing to act on.
        return true;
    };
    // The roots that are trusted have the issuer's; while they do not, the next wish brings it.
    let all = own.live().roots().to_pem();
    let Ok(issuing) = Roots::pinned(&all, digest, SystemTime::now()) else { return true };
    let wished = issuing.certificates().first().and_then(IssuerInfo::of);
    wished.is_none() || own.issuer() == wished
}
