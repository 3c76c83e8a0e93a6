//! One container of `GET /containers/json` (API v1.24 and up): the ready JSON of our own list, cut
//! where the state and its words go, beside the facts needed to filter, sort and place.
//!
//! Invariants: the fragment is the engine's element with `Names` and `Ports` rewritten and every
//! other byte kept; `State` and `Status` are written at request time. An entry never changes but by
//! [`ListEntry::set_state`]; a new answer of the engine makes a new entry.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::inspect::InspectFacts;
use super::port::{Port, Protocol, rewrite_list_ports};
use super::state::{State, StateFacts};
use crate::compact::{StrList, StrPairs};
use crate::json::{Members, ParseError, bytes, range_in, read, write_string};
use crate::time::Moment;

/// What `Status` says of a container whose engine cannot be reached (classic Swarm's words).
pub const HOST_DOWN: &str = "Host Down";

/// One container as the pool keeps it: about 2 KB all told.
#[derive(Debug, Clone)]
pub struct ListEntry {
    /// Shared with whoever keeps an index of ids.
    id: Arc<str>,
    names: StrList,
    image: Box<str>,
    image_id: Box<str>,
    created: i64,
    labels: StrPairs,
    networks: StrPairs,
    mounts: StrPairs,
    ports: Box<[Port]>,
    state: StateFacts,
    /// The engine's own words, while the times behind them are unknown.
    words: Option<Box<str>>,
    fragment: Box<[u8]>,
    /// Where in `fragment` the two values go, `State` (unless kept) and `Status`.
    state_at: Option<u32>,
    status_at: u32,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "Id", borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "Names", default)]
    names: Option<Vec<String>>,
    #[serde(rename = "Image", borrow, default)]
    image: Cow<'a, str>,
    #[serde(rename = "ImageID", borrow, default)]
    image_id: Cow<'a, str>,
    #[serde(rename = "Created", default)]
    created: i64,
    #[serde(rename = "Ports", default)]
    ports: Option<Vec<Value>>,
    #[serde(rename = "Labels", default)]
    labels: StrPairs,
    #[serde(rename = "State", borrow, default)]
    state: Cow<'a, str>,
    #[serde(rename = "Status", borrow, default)]
    status: Cow<'a, str>,
    #[serde(rename = "NetworkSettings", borrow, default)]
    network_settings: Option<NetworkSettings<'a>>,
    #[serde(rename = "Mounts", default)]
    mounts: Option<Vec<Mount>>,
}

#[derive(Deserialize)]
struct NetworkSettings<'a> {
    #[serde(rename = "Networks", borrow, default)]
    networks: Option<Members<'a>>,
}

#[derive(Deserialize)]
struct Mount {
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "Source", default)]
    source: String,
    #[serde(rename = "Destination", default)]
    destination: String,
}

impl ListEntry {
    /// Reads one element of an engine's list. `node_name` and `node_ip` go into the names and the
    /// published ports; with `facts` the words of the state keep up with the clock.
    pub fn parse(
        raw: &[u8],
        node_name: &str,
        node_ip: &str,
        facts: Option<&InspectFacts>,
    ) -> Result<Self, ParseError> {
        const WHAT: &str = "a container of a list";
        let wire: Wire<'_> = read(WHAT, raw)?;
        let members = Members::read(WHAT, raw)?;
        let range = |key: &str| members.get(key).map(|value| range_in(raw, value.get()));

        let state = State::parse(&wire.state);
        let names = wire.names.unwrap_or_default();
        let mut ports = wire.ports.unwrap_or_default();
        let port_facts = ports.iter().filter_map(read_port).collect();

        let mut cut = Cut::new(raw);
        if let Some(range) = range("Names") {
            let shown: Vec<String> = names.iter().map(|name| shown_name(node_name, name)).collect();
            cut.replace(range, bytes(&shown));
        }
        if let Some(range) = range("Ports").filter(|_| !ports.is_empty()) {
            rewrite_list_ports(&mut ports, node_ip);
            cut.replace(range, bytes(&ports));
        }
        // A state this build does not know is passed on as the engine wrote it.
        let state_range = range("State").filter(|_| state != State::Unknown);
        let (fragment, state_at, status_at) = cut.finish(state_range.as_ref(), range("Status"));

        let mut entry = Self {
            id: wire.id.into(),
            names: names.iter().map(|name| name.trim_start_matches('/')).collect(),
            image: wire.image.into(),
            image_id: wire.image_id.into(),
            created: wire.created.saturating_mul(1_000_000_000),
            labels: wire.labels,
            networks: read_networks(wire.network_settings),
            mounts: wire.mounts.unwrap_or_default().into_iter().map(mount_pair).collect(),
            ports: port_facts,
            state: StateFacts::from_words(state, &wire.status),
            words: Some(wire.status.into()),
            fragment,
            state_at,
            status_at,
        };
        if let Some(facts) = facts {
            entry.set_state(facts);
        }
        Ok(entry)
    }

    /// Takes over the state (and the exact time of creation) from an inspect answer.
    pub fn set_state(&mut self, facts: &InspectFacts) {
        if let Some(created) = facts.created {
            self.created = created.as_nanos();
        }
        if facts.state.state != State::Unknown && self.state_at.is_some() {
            self.state = facts.state;
            self.words = None;
        }
    }

    /// Appends this container's JSON object as of `now`.
    pub fn write_json(&self, out: &mut Vec<u8>, now: Timestamp, host_down: bool) {
        let status_at = self.status_at as usize;
        let status = |out: &mut Vec<u8>| match (&self.words, host_down) {
            (_, true) => write_string(out, HOST_DOWN),
            (Some(words), false) => write_string(out, words),
            (None, false) => {
                out.push(b'"');
                self.state.write_words(out, now);
                out.push(b'"');
            }
        };
        let Some(state_at) = self.state_at.map(|at| at as usize) else {
            out.extend_from_slice(&self.fragment[..status_at]);
            status(out);
            out.extend_from_slice(&self.fragment[status_at..]);
            return;
        };
        let state_first = state_at < status_at;
        let (first, second) = (state_at.min(status_at), state_at.max(status_at));
        for (part, is_state) in [
            (&self.fragment[..first], Some(state_first)),
            (&self.fragment[first..second], Some(!state_first)),
            (&self.fragment[second..], None),
        ] {
            out.extend_from_slice(part);
            match is_state {
                Some(true) => write_string(out, self.state.state.as_str()),
                Some(false) => status(out),
                None => {}
            }
        }
    }

    /// The full id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The full id, to keep.
    pub fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// Its names without the leading slash: its own one and, as `other/alias`, its links.
    pub fn names(&self) -> &StrList {
        &self.names
    }

    /// Its own name, without the leading slash.
    pub fn name(&self) -> &str {
        self.names.iter().find(|name| !name.contains('/')).unwrap_or_default()
    }

    /// The image as it was named at creation.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The image's id.
    pub fn image_id(&self) -> &str {
        &self.image_id
    }

    /// When it was created, in nanoseconds since 1970; whole seconds until it was inspected.
    pub fn created(&self) -> Moment {
        Moment::from_nanos(self.created)
    }

    /// Its labels.
    pub fn labels(&self) -> &StrPairs {
        &self.labels
    }

    /// Name and id of each network it is on.
    pub fn networks(&self) -> &StrPairs {
        &self.networks
    }

    /// Of each mount, the volume's name (or the source path) and the path in the container.
    pub fn mounts(&self) -> &StrPairs {
        &self.mounts
    }

    /// Its ports as the engine listed them.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Its state.
    pub fn state(&self) -> &StateFacts {
        &self.state
    }

    /// Bytes it takes up, on the heap and off it.
    pub fn size(&self) -> usize {
        let texts = self.id.len() + self.image.len() + self.image_id.len() + self.fragment.len();
        let lists = self.names.heap_bytes()
            + self.labels.heap_bytes()
            + self.networks.heap_bytes()
            + self.mounts.heap_bytes();
        let words = self.words.as_ref().map_or(0, |words| words.len());
        size_of::<Self>() + texts + lists + words + size_of_val(&*self.ports)
    }

    /// What a list sorts by: newest first; ties by id so that the order is one.
    pub fn list_order(&self) -> (std::cmp::Reverse<i64>, &str) {
        (std::cmp::Reverse(self.created), &self.id)
    }
}

/// `/web` on `node1` as our lists show it: `/node1/web`.
fn shown_name(node: &str, name: &str) -> String {
    ["/", node, "/", name.trim_start_matches('/')].concat()
}

fn read_port(port: &Value) -> Option<Port> {
    let number = |key: &str| port[key].as_u64().and_then(|port| u16::try_from(port).ok());
    Some(Port {
        private: number("PrivatePort")?,
        public: number("PublicPort").filter(|port| *port != 0),
        protocol: Protocol::parse(port["Type"].as_str().unwrap_or_default())?,
        ip: port["IP"].as_str().and_then(|ip| ip.parse().ok()),
    })
}

fn read_networks(settings: Option<NetworkSettings<'_>>) -> StrPairs {
    let id = |raw: &RawValue| {
        let endpoint = Members::read("an endpoint", raw.get().as_bytes()).ok();
        endpoint.and_then(|endpoint| endpoint.read_as::<String>("NetworkID")).unwrap_or_default()
    };
    let networks = settings.and_then(|settings| settings.networks).unwrap_or_default();
    networks.0.into_iter().map(|(name, raw)| (name, id(raw))).collect()
}

fn mount_pair(mount: Mount) -> (String, String) {
    (if mount.name.is_empty() { mount.source } else { mount.name }, mount.destination)
}

/// Builds the fragment: values replaced, and two of them cut out.
struct Cut<'a> {
    raw: &'a [u8],
    edits: Vec<(Range<usize>, Vec<u8>)>,
}

impl<'a> Cut<'a> {
    fn new(raw: &'a [u8]) -> Self {
        Self { raw, edits: Vec::with_capacity(4) }
    }

    fn replace(&mut self, range: Range<usize>, with: Vec<u8>) {
        self.edits.push((range, with));
    }

    /// The fragment and where `State` (when given) and `Status` go in it. An answer without
    /// `Status` gets one at its end.
    fn finish(
        mut self,
        state: Option<&Range<usize>>,
        status: Option<Range<usize>>,
    ) -> (Box<[u8]>, Option<u32>, u32) {
        let status = status.unwrap_or_else(|| {
            let end = self.raw.iter().rposition(|b| *b == b'}').unwrap_or(self.raw.len());
            self.edits.push((end..end, b",\"Status\":".to_vec()));
            end..end
        });
        let cuts = [state.cloned(), Some(status.clone())];
        self.edits.extend(cuts.into_iter().flatten().map(|range| (range, Vec::new())));
        // Stable, so that text put in at a place stays before the cut at the same place.
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut out = Vec::with_capacity(self.raw.len());
        let (mut at, mut state_at, mut status_at) = (0, None, 0);
        for (range, with) in &self.edits {
            out.extend_from_slice(self.raw.get(at..range.start).unwrap_or_default());
            out.extend_from_slice(with);
            // An answer is bounded far below 4 GiB.
            let place = u32::try_from(out.len()).unwrap_or(u32::MAX);
            if with.is_empty() && *range == status {
                status_at = place;
            } else if with.is_empty() && Some(range) == state {
                state_at = Some(place);
            }
            at = range.end;
        }
        out.extend_from_slice(self.raw.get(at..).unwrap_or_default());
        (out.into_boxed_slice(), state_at, status_at)
    }
}
