//! The API versions that are served: what every engine in use can serve, so that what a client was
//! promised works wherever its containers are.
//!
//! A client asks once (`GET /_ping`) and goes by the answer. Where an older engine joins before its
//! next request, that request is in a version which was promised: it is served for a while yet.

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use swarm_backend::Served;
use swarm_docker::ApiVersion;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Pool;

/// How long a promise is kept: a command of the CLI asks again each time, and builds and pulls
/// begin soon after.
const PROMISE: Duration = Duration::from_mins(1);

/// The versions of one pool.
#[derive(Debug)]
pub(crate) struct Versions {
    served: ArcSwap<Served>,
}

impl Default for Versions {
    fn default() -> Self {
        let newest = ApiVersion::NEWEST;
        let served = Served { oldest: ApiVersion::OLDEST, newest, promised: newest };
        Self { served: ArcSwap::from_pointee(served) }
    }
}

impl Versions {
    pub(crate) fn served(&self) -> Served {
        **self.served.load()
    }

    /// Announces `newest`. Whether a promise of more is to be kept for a while.
    fn announce(&self, newest: ApiVersion) -> bool {
        let before = self.served();
        let promised = before.promised.max(newest);
        self.served.store(Arc::new(Served { newest, promised, ..before }));
        promised > newest && before.newest > newest
    }

    /// Promises no more than is announced.
    fn forget_promise(&self) {
        let now = self.served();
        self.served.store(Arc::new(Served { promised: now.newest, ..now }));
    }
}

impl Pool {
    /// The newest version that all engines in use can serve.
    pub(crate) fn common_version(&self) -> ApiVersion {
        let reachable = self.members.reachable();
        let newest = reachable.iter().filter_map(|engine| engine.versions()).map(|v| v.newest);
        newest.min().unwrap_or(ApiVersion::NEWEST).min(ApiVersion::NEWEST)
    }
}

/// Keeps the versions that are served in step with the engines in use.
pub(crate) async fn follow(pool: Weak<Pool>, stop: CancellationToken) {
    let Some(changes) = pool.upgrade().map(|pool| pool.shared.changes.subscribe()) else { return };
    let mut changes = changes;
    let mut ends: Option<Instant> = None;
    loop {
        let Some(pool) = pool.upgrade() else { return };
        if pool.versions.announce(pool.common_version()) {
            ends = Some(Instant::now() + PROMISE);
        }
        if ends.is_some_and(|ends| ends <= Instant::now()) {
            pool.versions.forget_promise();
            ends = None;
        }
        drop(pool);
        let ending = async {
            match ends {
                Some(ends) => tokio::time::sleep_until(ends).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = ending => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_promised_is_kept_until_it_is_forgotten() {
        let versions = Versions::default();
        let newest = ApiVersion::NEWEST;
        assert!(!versions.announce(newest));
        assert!(versions.announce(ApiVersion::new(1, 41)));
        // The same again begins no new promise.
        assert!(!versions.announce(ApiVersion::new(1, 41)));
        let served = versions.served();
        assert_eq!((served.newest, served.promised), (ApiVersion::new(1, 41), newest));
        assert!(!versions.announce(ApiVersion::new(1, 42)));
        assert_eq!(versions.served().promised, newest);
        versions.forget_promise();
        let served = versions.served();
        assert_eq!(
            (served.newest, served.promised),
            (ApiVersion::new(1, 42), ApiVersion::new(1, 42))
        );
    }
}
