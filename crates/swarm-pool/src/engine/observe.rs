//! Reads an engine's state: the questions asked for a set of marks, and which mark an event makes.
//!
//! Only reads; what the answers mean for the cache is the cache's. A container whose list element
//! is what it was is not inspected again, so that a periodic full reading of a quiet engine costs
//! a handful of requests.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use swarm_docker::container::InspectFacts;
use swarm_docker::event::Event;
use swarm_docker::image::ImageEntry;
use swarm_docker::info::InfoFacts;
use swarm_docker::json::{ParseError, elements};
use swarm_docker::network::NetworkEntry;
use swarm_docker::volume::VolumeEntry;
use swarm_docker::{Filters, Query};
use swarm_engine::{EngineClient, EngineError};

use super::container::{Container, fingerprint};
use super::{Identity, Mark, Objects, marks::Wanted};
use crate::clock;
use crate::scope::PoolIds;

/// Largest answer to a list; 100,000 containers on one engine stay under it.
const LARGEST_LIST: usize = 256 << 20;
/// Largest answer to an inspect.
const LARGEST_INSPECT: usize = 16 << 20;
/// Inspects under way at one engine: enough to hide the network's delay, few enough not to load it.
const INSPECTS_AT_ONCE: usize = 2;

/// What was read.
#[derive(Debug, Default)]
pub struct Observed {
    /// Who the engine is.
    pub identity: Option<Identity>,
    /// Its containers, or some of them.
    pub containers: Option<Seen>,
    /// Its images.
    pub images: Option<Vec<ImageEntry>>,
    /// Its networks.
    pub networks: Option<Vec<NetworkEntry>>,
    /// Its volumes.
    pub volumes: Option<Vec<VolumeEntry>>,
}

/// Containers that were read.
#[derive(Debug)]
pub enum Seen {
    /// All there are.
    All {
        /// The containers.
        containers: Vec<Arc<Container>>,
        /// Fingerprint of the list they were read from.
        list: u64,
    },
    /// Those asked for; what was not found is gone.
    Some {
        /// Ids asked for.
        asked: HashSet<String>,
        /// Those there are.
        found: Vec<Arc<Container>>,
    },
}

/// What is known already and need not be read.
#[derive(Debug, Clone)]
pub struct Known {
    /// Who the engine is.
    pub identity: Arc<Identity>,
    /// Its containers.
    pub containers: Objects<Container>,
    /// Its networks, for the ids that the pool shows instead of the engine's.
    pub networks: Objects<NetworkEntry>,
    /// Fingerprint of the last list of all containers.
    pub list: Option<u64>,
}

/// A reading that failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The engine did not answer as it should.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Its answer cannot be read.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

impl ReadError {
    /// The kind of failure in one word, for counts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.reason(),
            Self::Parse(_) => "json",
        }
    }
}

/// `GET /info`, as an identity.
pub async fn identity(client: &EngineClient, deadline: Duration) -> Result<Identity, ReadError> {
    let asked = clock::now_millis();
    let body = client.get_bytes("/info", LARGEST_INSPECT, deadline).await?;
    // The engine took its time stamp somewhere between question and answer.
    let now = asked.midpoint(clock::now_millis());
    let info = InfoFacts::parse(&body)?;
    Ok(Identity::new(info, client.address(), now))
}

/// Reads all that is wanted.
pub async fn observe(
    client: &EngineClient,
    wanted: &Wanted,
    known: &Known,
    deadline: Duration,
) -> Result<Observed, ReadError> {
    let mut observed = Observed::default();
    if wanted.identity {
        observed.identity = Some(identity(client, deadline).await?);
    }
    // Networks before containers: they tell which of a container's network ids the pool replaces.
    let mut pool_ids = PoolIds::of(known.networks.iter().map(|network| &**network));
    if wanted.networks {
        let body = client.get_bytes("/networks", LARGEST_LIST, deadline).await?;
        let networks = read_all("the list of networks", &body, NetworkEntry::parse)?;
        pool_ids = PoolIds::of(networks.iter());
        observed.networks = Some(networks);
    }
    if wanted.volumes {
        let body = client.get_bytes("/volumes", LARGEST_LIST, deadline).await?;
        observed.volumes = Some(VolumeEntry::parse_list(&body)?.0);
    }
    if wanted.images {
        let body = client.get_bytes("/images/json", LARGEST_LIST, deadline).await?;
        observed.images = Some(read_all("the list of images", &body, ImageEntry::parse)?);
    }
    let reader = Reader { client, known, pool_ids: &pool_ids, deadline };
    if wanted.all_containers {
        let body = reader.list(None).await?;
        let list = fingerprint(&body);
        // The same list as last time, but for the clock in its words: nothing to read.
        let quiet = wanted.containers.is_empty() && !wanted.all_afresh;
        if !quiet || known.list != Some(list) {
            let happened = |id: &str| wanted.all_afresh || wanted.containers.contains(id);
            let containers = reader.containers(&body, happened).await?;
            observed.containers = Some(Seen::All { containers, list });
        }
    } else if !wanted.containers.is_empty() {
        let asked = wanted.containers.clone();
        let body = reader.list(Some(&asked)).await?;
        let found = reader.containers(&body, |_| true).await?;
        observed.containers = Some(Seen::Some { asked, found });
    }
    Ok(observed)
}

fn read_all<T>(
    what: &'static str,
    body: &[u8],
    read: impl Fn(&[u8]) -> Result<T, ParseError>,
) -> Result<Vec<T>, ReadError> {
    Ok(elements(what, body)?
        .into_iter()
        .map(|element| read(element.get().as_bytes()))
        .collect::<Result<_, _>>()?)
}

struct Reader<'a> {
    client: &'a EngineClient,
    known: &'a Known,
    pool_ids: &'a PoolIds,
    deadline: Duration,
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(rename = "Id", borrow)]
    id: std::borrow::Cow<'a, str>,
}

impl Reader<'_> {
    /// The containers of a list. Those something `happened` to, which a list may not show (new
    /// limits), are inspected whatever their element looks like.
    async fn containers(
        &self,
        body: &[u8],
        happened: impl Fn(&str) -> bool,
    ) -> Result<Vec<Arc<Container>>, ReadError> {
        let known: HashMap<&str, &Arc<Container>> =
            self.known.containers.iter().map(|known| (known.id(), known)).collect();
        let mut containers = Vec::new();
        let mut changed: Vec<(String, &[u8])> = Vec::new();
        for element in elements("the list of containers", body)? {
            let raw = element.get().as_bytes();
            let listed: Listed<'_> = serde_json::from_slice(raw)
                .map_err(|source| ParseError { what: "a container of a list", source })?;
            match known.get(&*listed.id) {
                Some(same) if !happened(&listed.id) && same.listed == fingerprint(raw) => {
                    containers.push(Arc::clone(same));
                }
                _ => changed.push((listed.id.into_owned(), raw)),
            }
        }
        let mut waiting = changed.into_iter();
        let mut inspecting = FuturesUnordered::new();
        for (id, raw) in waiting.by_ref().take(INSPECTS_AT_ONCE) {
            inspecting.push(self.inspect(id, raw));
        }
        while let Some(container) = inspecting.try_next().await? {
            containers.extend(container);
            if let Some((id, raw)) = waiting.next() {
                inspecting.push(self.inspect(id, raw));
            }
        }
        Ok(containers)
    }

    async fn list(&self, only: Option<&HashSet<String>>) -> Result<Vec<u8>, ReadError> {
        let mut query = Query::default();
        query.set("all", "1");
        if let Some(ids) = only {
            let mut filters = Filters::default();
            for id in ids {
                filters.add("id", id.as_str());
            }
            filters.write_to(&mut query);
        }
        let path = format!("/containers/json?{}", query.encode());
        let body = self.client.get_bytes(&path, LARGEST_LIST, self.deadline).await?;
        Ok(self.pool_ids.shown(body.into()))
    }

    /// One container; `None` when it went away since it was listed.
    async fn inspect(
        &self,
        id: String,
        listed: &[u8],
    ) -> Result<Option<Arc<Container>>, ReadError> {
        let path = format!("/containers/{id}/json");
        let body = match self.client.get_bytes(&path, LARGEST_INSPECT, self.deadline).await {
            Err(EngineError::Status { code: 404, .. }) => return Ok(None),
            Err(EngineError::Status { code, message }) => {
                // One broken container must not take its engine and all others with it.
                tracing::warn!(engine = %self.known.identity.name, id, code, message,
                               "a container cannot be inspected; its reservations are not known");
                let container = Container::new(listed, None, &self.known.identity)?;
                return Ok(Some(Arc::new(container)));
            }
            answer => answer?,
        };
        let facts = InspectFacts::parse(&body)?;
        Ok(Some(Arc::new(Container::new(listed, Some(&facts), &self.known.identity)?)))
    }
}

/// Container events that change nothing the pool keeps; execs alone can come by thousands.
const SILENT: [&str; 11] = [
    "attach",
    "detach",
    "commit",
    "copy",
    "archive-path",
    "extract-to-dir",
    "export",
    "resize",
    "top",
    "exec_detach",
    "oom",
];

/// What an event asks to be read again.
pub fn mark_of(event: &Event) -> Option<Mark> {
    let action = event.action();
    match event.kind() {
        "container" if action.starts_with("exec_") || SILENT.contains(&action) => None,
        "container" => Some(Mark::Container(event.actor_id().to_owned())),
        "image" => Some(Mark::Images),
        "network" => match action {
            "connect" | "disconnect" => {
                event.attributes().get("container").map(|id| Mark::Container(id.to_owned()))
            }
            _ => Some(Mark::Networks),
        },
        "volume" => matches!(action, "create" | "destroy" | "prune").then_some(Mark::Volumes),
        "daemon" => Some(Mark::Identity),
        _ => None,
    }
}
