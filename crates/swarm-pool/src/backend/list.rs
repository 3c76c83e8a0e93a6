//! `GET /containers/json`: the whole pool's list from ready fragments.
//!
//! Nothing is parsed or encoded per request but the words of each status: matching containers are
//! collected from the engines' snapshots, put in Docker's order (newest first), and their
//! fragments written chunk by chunk while the body is sent. What only an engine can tell (sizes,
//! ancestry, ports by range) is asked of the engines, and their answer shown the same way.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use jiff::Timestamp;
use serde_json::value::RawValue;
use swarm_backend::{Body, BoxError, Exchange, Reply, Result};
use swarm_docker::Query;
use swarm_docker::container::{ListEntry, ListQuery};
use swarm_docker::json::elements;

use super::LARGEST_DOCUMENT;
use crate::Pool;
use crate::engine::{Container, EngineView, Mark};
use crate::fanout;
use crate::scope::PoolIds;

/// Bytes of a list that are made before they are sent.
const CHUNK: usize = 64 << 10;

/// One line of a list: the container, and whether its engine is down.
struct Row {
    created: i64,
    source: Source,
    host_down: bool,
}

/// Whence a line is known.
enum Source {
    /// From its engine.
    Engine(Arc<Container>),
    /// From the pool's store: its engine has not been heard of.
    Store(Box<ListEntry>),
}

impl Row {
    fn new(source: Source, host_down: bool) -> Self {
        let mut row = Self { created: 0, source, host_down };
        row.created = row.entry().created().as_nanos();
        row
    }

    fn entry(&self) -> &ListEntry {
        match &self.source {
            Source::Engine(container) => &container.entry,
            Source::Store(entry) => entry,
        }
    }
}

impl Pool {
    pub(super) async fn list(&self, exchange: Exchange) -> Result<Reply> {
        let mut query = ListQuery::parse(&exchange.query)?;
        self.refresh_asked_for(&query);
        self.settle_all().await;
        let (before, since) =
            (self.bound(query.filter.before())?, self.bound(query.filter.since())?);
        query.filter.set_bounds(
            before.as_deref().map(|container| &container.entry),
            since.as_deref().map(|container| &container.entry),
        );
        if query.size {
            return self.list_from_engines(&query).await;
        }
        let admitted =
            if query.from_cache() { None } else { Some(self.ids_from_engines(&query).await?) };
        let mut rows = self.rows(&query, admitted.as_ref());
        rows.sort_unstable_by(|a, b| {
            b.created.cmp(&a.created).then_with(|| a.entry().id().cmp(b.entry().id()))
        });
        rows.truncate(query.limit.unwrap_or(usize::MAX));
        Ok(Reply::streaming_json(StatusCode::OK, written(rows)))
    }

    /// The two options by which classic Swarm's users ask for a fresh reading before a list.
    fn refresh_asked_for(&self, query: &ListQuery) {
        let filters = query.filter.filters();
        let nodes = filters.get("node");
        if self.shared.config.refresh_on_node_filter && !nodes.is_empty() {
            for engine in nodes.iter().flat_map(|node| self.members.named(node)) {
                engine.wrote(Mark::Containers);
            }
        }
        let watched = self.shared.config.refresh_on_name.as_deref();
        if watched.is_some_and(|name| filters.get("name").iter().any(|asked| asked == name)) {
            for engine in self.members.reachable() {
                engine.wrote(Mark::Containers);
            }
        }
    }

    /// The container that `before` or `since` names.
    fn bound(&self, name: Option<&str>) -> Result<Option<Arc<Container>>> {
        let Some(name) = name else { return Ok(None) };
        let located = self
            .find_container(name)
            .map_err(|error| error.into_api(name, |id| self.full_name(id)))?;
        Ok(located.container)
    }

    fn rows(&self, query: &ListQuery, admitted: Option<&HashSet<String>>) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.shared.index.len());
        for engine in self.members.all().iter() {
            let view = engine.view();
            let host_down = !view.status.is_reachable();
            for container in &*view.containers {
                let asked = admitted.is_none_or(|ids| ids.contains(container.id()));
                let shown = !self.shared.state.is_superseded(container.id());
                if asked && shown && query.includes(&container.entry, view.label(), host_down) {
                    rows.push(Row::new(Source::Engine(Arc::clone(container)), host_down));
                }
            }
        }
        if admitted.is_none() {
            rows.extend(self.lost_entries().into_iter().filter_map(|(entry, node)| {
                let included = query.includes(&entry, &node, true);
                included.then(|| Row::new(Source::Store(Box::new(entry)), true))
            }));
        }
        rows
    }

    /// The ids that pass the filters which only engines can answer.
    async fn ids_from_engines(&self, query: &ListQuery) -> Result<HashSet<String>> {
        let mut asked = Query::default();
        asked.set("all", "1");
        query.filter.engine_only().write_to(&mut asked);
        let mut ids = HashSet::new();
        for (_, body) in self.ask_lists(&asked).await? {
            for element in elements("the list of containers", &body)? {
                if let Some(id) = id_of(element) {
                    ids.insert(id);
                }
            }
        }
        Ok(ids)
    }

    /// The list with sizes: every engine measures its own.
    async fn list_from_engines(&self, query: &ListQuery) -> Result<Reply> {
        let mut asked = Query::default();
        asked.set("all", "1");
        asked.set("size", "1");
        query.filter.engine_only().write_to(&mut asked);
        let mut entries: Vec<ListEntry> = Vec::new();
        for (view, body) in self.ask_lists(&asked).await? {
            let Some(identity) = &view.identity else { continue };
            let body =
                PoolIds::of(view.networks.iter().map(|network| &**network)).shown_bytes(body);
            for element in elements("the list of containers", &body)? {
                let raw = element.get().as_bytes();
                let entry = ListEntry::parse(raw, &identity.name, &identity.ip, None)?;
                if query.includes(&entry, &identity.name, false) {
                    entries.push(entry);
                }
            }
        }
        entries.sort_by(|a, b| a.list_order().cmp(&b.list_order()));
        entries.truncate(query.limit.unwrap_or(usize::MAX));
        let mut json = vec![b'['];
        let now = Timestamp::now();
        for (place, entry) in entries.iter().enumerate() {
            if place > 0 {
                json.push(b',');
            }
            entry.write_json(&mut json, now, false);
        }
        json.push(b']');
        Ok(Reply::json(StatusCode::OK, json))
    }

    async fn ask_lists(&self, query: &Query) -> Result<Vec<(Arc<EngineView>, Bytes)>> {
        let path = format!("/containers/json?{}", query.encode());
        let answers = fanout::ask(&self.members.reachable(), async |engine| {
            engine.read(&path, LARGEST_DOCUMENT).await
        })
        .await;
        let answers = fanout::any_of(answers)?;
        Ok(answers.into_iter().map(|(engine, body)| (engine.view(), body)).collect())
    }
}

fn id_of(element: &RawValue) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Listed {
        #[serde(rename = "Id")]
        id: String,
    }
    serde_json::from_str::<Listed>(element.get()).ok().map(|listed| listed.id)
}

/// The rows as a JSON array that is made while it is sent.
fn written(rows: Vec<Row>) -> Body {
    let now = Timestamp::now();
    let chunks = stream::unfold(
        (rows.into_iter(), true, false),
        move |(mut rows, first, ended)| async move {
            if ended {
                return None;
            }
            let mut chunk = Vec::with_capacity(CHUNK + (8 << 10));
            let mut first = first;
            if first {
                chunk.push(b'[');
            }
            let mut ended = true;
            for row in rows.by_ref() {
                if !first {
                    chunk.push(b',');
                }
                first = false;
                row.entry().write_json(&mut chunk, now, row.host_down);
                if chunk.len() >= CHUNK {
                    ended = false;
                    break;
                }
            }
            if ended {
                chunk.push(b']');
            }
            let frame: std::result::Result<_, BoxError> = Ok(Frame::data(Bytes::from(chunk)));
            Some((frame, (rows, first, ended)))
        },
    );
    StreamBody::new(chunks).boxed_unsync()
}
