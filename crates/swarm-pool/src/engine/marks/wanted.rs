//! What one reading covers: marks, united. Pure.
//!
//! Invariant: it is bounded: what is too much to be told apart is everything of its kind.

use std::collections::HashSet;

/// More marked containers than this are read with the list of all.
pub(super) const MOST_CONTAINERS: usize = 64;
/// More than this are no longer told apart: every container is inspected.
pub(super) const MOST_REMEMBERED: usize = 1_024;

/// One thing to read back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mark {
    /// One container.
    Container(String),
    /// Every container.
    Containers,
    /// The image list.
    Images,
    /// The network list.
    Networks,
    /// The volume list.
    Volumes,
    /// The engine's own facts (labels, resources).
    Identity,
    /// Everything it has and is.
    All,
}

/// What one reading covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each kind of object is wanted or not")]
pub struct Wanted {
    /// These containers, whatever a list shows of them: something happened to them.
    pub containers: HashSet<String>,
    /// Every container that is not as it was in the last list.
    pub all_containers: bool,
    /// Every container, whatever the list shows of it.
    pub all_afresh: bool,
    /// The image list.
    pub images: bool,
    /// The network list.
    pub networks: bool,
    /// The volume list.
    pub volumes: bool,
    /// `GET /info`.
    pub identity: bool,
    /// The number of the last mark covered.
    pub upto: u64,
}

impl Wanted {
    /// Everything, as at a first connection.
    pub fn everything() -> Self {
        Self {
            containers: HashSet::new(),
            all_containers: true,
            all_afresh: false,
            images: true,
            networks: true,
            volumes: true,
            identity: true,
            upto: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.containers.is_empty()
            && !(self.all_containers
                || self.images
                || self.networks
                || self.volumes
                || self.identity)
    }

    pub(super) fn add(&mut self, mark: Mark) {
        match mark {
            Mark::Container(_) if self.all_afresh => {}
            Mark::Container(id) => {
                self.containers.insert(id);
                self.all_containers |= self.containers.len() > MOST_CONTAINERS;
                if self.containers.len() > MOST_REMEMBERED {
                    self.all_afresh = true;
                    self.containers.clear();
                }
            }
            Mark::Containers => self.all_containers = true,
            Mark::Images => self.images = true,
            Mark::Networks => self.networks = true,
            Mark::Volumes => self.volumes = true,
            Mark::Identity => self.identity = true,
            Mark::All => *self = std::mem::take(self).and_everything(),
        }
    }

    /// Everything, and these containers whatever the list shows of them.
    pub(super) fn and_everything(self) -> Self {
        let Self { containers, all_afresh, upto, .. } = self;
        Self { containers, all_afresh, upto, ..Self::everything() }
    }

    /// Unites two readings (a failed one goes back into the set).
    pub(super) fn absorb(&mut self, other: Self) {
        self.all_containers |= other.all_containers;
        if other.all_afresh {
            self.all_afresh = true;
            self.containers.clear();
        }
        for id in other.containers {
            self.add(Mark::Container(id));
        }
        self.images |= other.images;
        self.networks |= other.networks;
        self.volumes |= other.volumes;
        self.identity |= other.identity;
    }
}
