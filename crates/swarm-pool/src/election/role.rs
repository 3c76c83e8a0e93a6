//! What this manager is among those of its pool, and how that is told: to requests, in the log, in
//! `docker info`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use swarm_backend::ApiError;
use tokio::sync::watch;

/// What a manager that runs without `--replication` adds to its name in the lock, so that others
/// do not take the name for an address to forward to.
const LONE: &str = " (without --replication)";

/// Counts the primaries of a pool; a later one has a higher number. 0 where nobody is elected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// What this manager is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It holds the lock, as the `epoch`th primary of the pool.
    Primary {
        /// Counts the pool's primaries.
        epoch: Epoch,
    },
    /// Another one is to hold the lock.
    Replica {
        /// Where requests go; `None` while nobody is known to serve them.
        primary: Option<String>,
    },
    /// There is nobody to elect from: the pool's state is in this process alone.
    Alone,
}

/// What is in the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// A manager that requests can be forwarded to.
    Replicated(String),
    /// A manager that runs without `--replication`.
    Lone(String),
    /// This manager, in an earlier life of which the lock has not run out.
    Ourselves,
}

/// What a manager writes into the lock.
pub(super) fn lock_value(name: &str, replication: bool) -> String {
    if replication { name.to_owned() } else { format!("{name}{LONE}") }
}

impl Holder {
    /// Reads the lock's value; `ours` is what this manager writes.
    pub(super) fn read(value: &[u8], ours: &str) -> Self {
        let value = String::from_utf8_lossy(value);
        if value == ours {
            return Self::Ourselves;
        }
        match value.strip_suffix(LONE) {
            Some(name) => Self::Lone(name.to_owned()),
            None => Self::Replicated(value.into_owned()),
        }
    }
}

/// The role, for everybody who asks.
#[derive(Debug)]
pub(super) struct Standing {
    role: watch::Sender<Role>,
    known: Mutex<Known>,
    /// How often this manager became the primary, and ceased to be it.
    turns: (AtomicU64, AtomicU64),
    /// Where others reach this manager, or its name.
    name: String,
    replication: bool,
}

#[derive(Debug, Default)]
struct Known {
    /// The last primary other than this manager.
    last: Option<String>,
    /// Another manager that runs without `--replication` and holds the lock.
    lone: Option<String>,
    /// How the store fails.
    failing: Option<String>,
}

impl Standing {
    pub(super) fn new(name: &str, replication: bool, role: Role) -> Self {
        Self {
            role: watch::Sender::new(role),
            known: Mutex::default(),
            turns: Default::default(),
            name: name.to_owned(),
            replication,
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Role> {
        self.role.subscribe()
    }

    pub(super) fn role(&self) -> Role {
        self.role.borrow().clone()
    }

    /// How often this manager became the primary, and ceased to be it.
    pub(super) fn turns(&self) -> (u64, u64) {
        let (gained, lost) = &self.turns;
        (gained.load(Ordering::Relaxed), lost.load(Ordering::Relaxed))
    }

    pub(super) fn replication(&self) -> bool {
        self.replication
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// This manager is the primary.
    pub(super) fn lead(&self, epoch: Epoch) {
        *self.known.lock() = Known { last: Some(self.name.clone()), ..Known::default() };
        self.set(Role::Primary { epoch });
    }

    /// Whether the store takes and gives what it should, and if not, its words.
    pub(super) fn store(&self, failing: Option<&str>) {
        let mut known = self.known.lock();
        if known.failing.as_deref() != failing {
            known.failing = failing.map(str::to_owned);
        }
    }

    /// This manager is none; `holder` has the lock.
    pub(super) fn follow(&self, holder: Option<&Holder>) {
        let mut known = self.known.lock();
        known.lone = None;
        let primary = match holder {
            Some(Holder::Replicated(address)) => {
                known.last = Some(address.clone());
                Some(address.clone())
            }
            Some(Holder::Lone(name)) => {
                known.lone = Some(name.clone());
                None
            }
            Some(Holder::Ourselves) | None => None,
        };
        drop(known);
        self.set(Role::Replica { primary });
    }

    fn set(&self, role: Role) {
        self.role.send_if_modified(|known| {
            let changed = *known != role;
            let leads = |role: &Role| matches!(role, Role::Primary { .. });
            match (leads(known), leads(&role)) {
                (false, true) => self.turns.0.fetch_add(1, Ordering::Relaxed),
                (true, false) => self.turns.1.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
            *known = role;
            changed
        });
    }

    /// Why a change cannot be made here now.
    pub(super) fn refusal(&self) -> ApiError {
        ApiError::unavailable(match self.role() {
            Role::Replica { primary: Some(primary) } => {
                format!("this manager is not the primary, {primary} is; nothing was changed")
            }
            _ => self.nobody(),
        })
    }

    /// Says that there is no primary, and what is awaited.
    pub(super) fn nobody(&self) -> String {
        let known = self.known.lock();
        if let Some(lone) = &known.lone {
            return self.conflict(lone);
        }
        let last = match &known.last {
            Some(last) => format!("the last one was {last}; a new one"),
            None => "one".to_owned(),
        };
        format!(
            "no primary manager at the moment; {last} is being elected, try again in some seconds"
        )
    }

    /// What is wrong where a manager without `--replication` has the lock.
    fn conflict(&self, lone: &str) -> String {
        let both = if self.replication { "it" } else { "both" };
        format!(
            "the manager {lone} runs on the same prefix without --replication and holds the \
             pool's lock: start {both} with --replication, or, if these are two pools, give them \
             different prefixes"
        )
    }

    /// A line for `docker info`.
    pub(super) fn warning(&self) -> Option<String> {
        let failing = || {
            let known = self.known.lock();
            let error = known.failing.as_ref()?;
            Some(format!(
                "the pool's store fails: {error}; until it is well again no container is moved, and \
                 none is made that is to be rescheduled"
            ))
        };
        self.in_the_way().or_else(failing)
    }

    /// A line where two managers are in each other's way.
    pub(super) fn in_the_way(&self) -> Option<String> {
        let known = self.known.lock();
        if let Some(lone) = &known.lone {
            return Some(self.conflict(lone));
        }
        let other = known.last.as_ref().filter(|_| !self.replication)?;
        matches!(&*self.role.borrow(), Role::Replica { primary: Some(_) }).then(|| {
            format!(
                "{other} is the primary of managers with --replication on the same prefix: start \
                 this one with --replication too, or, if these are two pools, give them different \
                 prefixes"
            )
        })
    }

    /// The rows of `docker info`, as classic Swarm's users know them.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let role = self.role();
        if !self.replication {
            return vec![("Role", "primary".to_owned())];
        }
        match role {
            Role::Primary { .. } => {
                vec![("Role", "primary".to_owned()), ("Primary", self.name.clone())]
            }
            Role::Replica { primary } => {
                let primary = primary.unwrap_or_else(|| match &self.known.lock().last {
                    Some(last) => format!("(none; the last one was {last})"),
                    None => "(none)".to_owned(),
                });
                vec![("Role", "replica".to_owned()), ("Primary", primary)]
            }
            Role::Alone => vec![("Role", "primary".to_owned())],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary { epoch } => write!(f, "primary (the pool's number {})", epoch.0),
            Self::Replica { primary: Some(primary) } => write!(f, "replica of {primary}"),
            Self::Replica { primary: None } => f.write_str("replica; there is no primary"),
            Self::Alone => f.write_str("the only manager"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(replication: bool) -> Standing {
        Standing::new("a:1", replication, Role::Replica { primary: None })
    }

    #[test]
    fn the_locks_value_tells_who_can_be_forwarded_to() {
        for (value, holder) in [
            ("b:2", Holder::Replicated("b:2".into())),
            ("b:2 (without --replication)", Holder::Lone("b:2".into())),
            ("a:1", Holder::Ourselves),
        ] {
            assert_eq!(Holder::read(value.as_bytes(), "a:1"), holder);
        }
        let ours = lock_value("a:1", false);
        assert_eq!(Holder::read(ours.as_bytes(), &ours), Holder::Ourselves);
        assert_eq!(Holder::read(ours.as_bytes(), "a:1"), Holder::Lone("a:1".into()));
    }

    #[test]
    fn a_refusal_names_what_is_awaited() {
        let standing = replica(true);
        assert_eq!(
            standing.refusal().message,
            "no primary manager at the moment; one is being elected, try again in some seconds"
        );
        standing.follow(Some(&Holder::Replicated("b:2".into())));
        assert_eq!(
            standing.refusal().message,
            "this manager is not the primary, b:2 is; nothing was changed"
        );
        standing.follow(None);
        assert_eq!(
            standing.refusal().message,
            "no primary manager at the moment; the last one was b:2; a new one is being elected, \
             try again in some seconds"
        );
        assert_eq!(standing.refusal().status(), 503);
        standing.follow(Some(&Holder::Lone("c:3".into())));
        assert!(standing.refusal().message.contains("c:3 runs on the same prefix without"));
    }

    #[test]
    fn info_shows_role_and_primary_in_classics_rows() {
        let standing = replica(true);
        let rows = || standing.rows().into_iter().map(|(_, value)| value).collect::<Vec<_>>();
        assert_eq!(rows(), ["replica", "(none)"]);
        standing.follow(Some(&Holder::Replicated("b:2".into())));
        assert_eq!(rows(), ["replica", "b:2"]);
        standing.follow(None);
        assert_eq!(rows(), ["replica", "(none; the last one was b:2)"]);
        standing.lead(Epoch(4));
        assert_eq!(rows(), ["primary", "a:1"]);
        assert_eq!(replica(false).rows(), [("Role", "primary".to_owned())]);
    }

    #[test]
    fn a_store_that_fails_is_warned_of_until_it_is_well() {
        let standing = replica(false);
        standing.store(Some("consul://c:8500 does not answer: refused"));
        let warning = standing.warning().unwrap();
        let words =
            "the pool's store fails: consul://c:8500 does not answer: refused; until it is well";
        assert!(warning.starts_with(words), "{warning}");
        standing.follow(None);
        assert_eq!(standing.warning(), Some(warning), "the election goes on without it");
        standing.follow(Some(&Holder::Lone("b".into())));
        assert!(standing.warning().unwrap().contains("start both"), "what nobody mends by waiting");
        standing.follow(None);
        standing.store(None);
        assert_eq!(standing.warning(), None);
        standing.store(Some("gone"));
        standing.lead(Epoch(2));
        assert_eq!(standing.warning(), None, "who has the lock has the store");
    }

    #[test]
    fn managers_in_each_others_way_are_warned_of() {
        let standing = replica(false);
        assert_eq!(standing.warning(), None);
        standing.follow(Some(&Holder::Lone("b".into())));
        assert!(standing.warning().unwrap().contains("start both with --replication"));
        standing.follow(Some(&Holder::Replicated("b:2".into())));
        assert!(standing.warning().unwrap().contains("start this one with --replication too"));
        standing.follow(None);
        assert_eq!(standing.warning(), None);
        let standing = replica(true);
        standing.follow(Some(&Holder::Replicated("b:2".into())));
        assert_eq!(standing.warning(), None);
        standing.follow(Some(&Holder::Lone("b".into())));
        assert!(standing.warning().unwrap().contains("start it with --replication"));
    }
}
