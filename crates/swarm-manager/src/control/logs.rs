//! `GET /services/{id}/logs` and `/tasks/{id}/logs` (API v1.29; `api/server/router/swarm/helpers.go`
//! and `daemon/cluster/services.go`): the lines that [`LogSource`] brings, in Docker's framing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use swarm_backend::{BoxError, Exchange, Logs, Reply, Result};
use swarm_docker::stdcopy::{Stream, header};
use swarm_docker::{ApiError, ApiVersion};
use swarm_model::service::TaskSpec;
use swarm_model::{Id, Service, Task};
use swarm_rpc::v1::LogChunk;
use tokio::sync::mpsc;

use super::lookup::find;
use super::{Control, NO_LEADER};
use crate::Replica;
use crate::dispatcher::{LogEvent, LogOptions, LogSelector, Missing};

/// From this version on a stream of frames has a name of its own.
const MULTIPLEXED: ApiVersion = ApiVersion::new(1, 42);

/// What is said where the manager goes, or leads no longer, that had the nodes' lines.
const BROKEN_OFF: &str = "Error grabbing logs: they broke off, because the manager that led the swarm is gone \
    or leads no longer; ask again\n";

/// The details that say whose a line is; the client shows them as the task's name and node.
const CONTEXT: &str = "com.docker.swarm";

#[async_trait]
impl Logs for Control {
    async fn service_logs(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let service = self.look(|tables| find::<Service>(tables, name).cloned()).await?;
        let services = BTreeSet::from([service.id.clone()]);
        let selector = LogSelector { services, ..LogSelector::default() };
        self.answer(selector, &service.spec.task_template, exchange).await
    }

    async fn task_logs(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let task = self.look(|tables| find::<Task>(tables, name).cloned()).await?;
        let tasks = BTreeSet::from([task.id.clone()]);
        let selector = LogSelector { tasks, ..LogSelector::default() };
        self.answer(selector, &task.spec, exchange).await
    }
}

impl Control {
    async fn answer(
        &self,
        selector: LogSelector,
        spec: &TaskSpec,
        exchange: Exchange,
    ) -> Result<Reply> {
        let options = options(&exchange)?;
        let container = spec.container_spec.as_ref();
        let terminal = container.and_then(|container| container.rest.get("TTY")?.as_bool());
        let writer = Writer {
            replica: Arc::clone(&self.replica),
            framed: !terminal.unwrap_or_default(),
            details: options.details,
            timestamps: exchange.query.flag("timestamps"),
            services: BTreeMap::new(),
        };
        let kind = match exchange.version {
            Some(version) if version >= MULTIPLEXED && writer.framed => "multiplexed-stream",
            _ => "raw-stream",
        };
        let kind = HeaderValue::try_from(format!("application/vnd.docker.{kind}"));
        let kind = kind.map_err(|error| ApiError::system(error.to_string()))?;
        let events = self.logs.logs(selector, options).await;
        let events =
            events.map_err(|error| ApiError::unavailable(format!("{error}. {NO_LEADER}")))?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
        let body = StreamBody::new(written(writer, events)).boxed_unsync();
        Ok(Reply { status: StatusCode::OK, headers, body, upgraded: None })
    }
}

fn options(exchange: &Exchange) -> Result<LogOptions> {
    let query = &exchange.query;
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(ApiError::invalid("Bad parameters: you must choose at least one stream"));
    }
    let tail = match query.get("tail").unwrap_or_default() {
        "" | "all" => "all",
        tail => match tail.parse::<i64>() {
            Ok(lines) if lines >= 0 => tail,
            Ok(_) => return Err(ApiError::invalid("negative tail values not supported")),
            Err(_) => {
                let words = "tail value must be a positive integer or \"all\"";
                return Err(ApiError::invalid(words));
            }
        },
    };
    let since = query.get("since").unwrap_or_default();
    if !since.chars().all(|c| c.is_ascii_digit() || c == '.') || since.matches('.').count() > 1 {
        let words =
            format!("could not parse since timestamp: {since:?} is not a number of seconds");
        return Err(ApiError::invalid(words));
    }
    Ok(LogOptions {
        stdout,
        stderr,
        follow: query.flag("follow"),
        since: since.to_owned(),
        tail: tail.to_owned(),
        details: query.flag("details"),
    })
}

type Chunk = std::result::Result<Frame<Bytes>, BoxError>;

fn written(
    writer: Writer,
    events: mpsc::Receiver<LogEvent>,
) -> impl stream::Stream<Item = Chunk> + Send {
    stream::unfold((writer, events, false), |(mut writer, mut events, mut over)| async move {
        loop {
            let chunk = match events.recv().await {
                Some(LogEvent::Line { node, chunk }) => writer.line(&node, &chunk),
                Some(LogEvent::Over(missing)) => {
                    over = true;
                    if missing.is_empty() {
                        continue;
                    }
                    writer.incomplete(&missing)
                }
                None if over => return None,
                // An end in order would be taken for the end of what there is to read.
                None if writer.framed => {
                    over = true;
                    writer.frame(Stream::SystemError, BROKEN_OFF.as_bytes())
                }
                None => return Some((Err(BROKEN_OFF.trim_end().into()), (writer, events, true))),
            };
            return Some((Ok(Frame::data(chunk)), (writer, events, over)));
        }
    })
}

/// Writes lines as a client asked for them.
struct Writer {
    replica: Arc<Replica>,
    /// Without a terminal, streams are told apart.
    framed: bool,
    details: bool,
    timestamps: bool,
    /// Services of the tasks that wrote something.
    services: BTreeMap<String, Id>,
}

impl Writer {
    fn line(&mut self, node: &Id, chunk: &LogChunk) -> Bytes {
        let stream = if chunk.stream == 2 { Stream::Stderr } else { Stream::Stdout };
        let mut line = BytesMut::new();
        if self.timestamps {
            line.extend_from_slice(chunk.at.as_bytes());
            line.put_u8(b' ');
        }
        let mut written = chunk.line.as_ref();
        if self.details {
            // The driver's own come first; where it has none, the line begins with the blank.
            let end = written.iter().position(|byte| *byte == b' ').unwrap_or_default();
            let (own, rest) = written.split_at(end);
            written = rest.strip_prefix(b" ").unwrap_or(rest);
            let own = String::from_utf8_lossy(own);
            let mut details: Vec<&str> = own.split(',').filter(|one| !one.is_empty()).collect();
            details.retain(|one| !one.starts_with(CONTEXT));
            let service = self.service(&chunk.task_id);
            let context = [
                format!("{CONTEXT}.node.id={node}"),
                format!("{CONTEXT}.service.id={service}"),
                format!("{CONTEXT}.task.id={}", chunk.task_id),
            ];
            details.extend(context.iter().map(String::as_str));
            line.extend_from_slice(details.join(",").as_bytes());
            line.put_u8(b' ');
        }
        line.extend_from_slice(written);
        self.frame(stream, &line)
    }

    fn service(&mut self, task: &str) -> Id {
        if let Some(service) = self.services.get(task) {
            return service.clone();
        }
        let known =
            self.replica.read(|tables| tables.tasks.get(task).map(|t| t.service_id.clone()));
        let Some(service) = known else { return Id::default() };
        self.services.insert(task.to_owned(), service.clone());
        service
    }

    /// What is missing, at the end and in Docker's words: the client prints them.
    fn incomplete(&self, missing: &[Missing]) -> Bytes {
        let name = |id: &Id| {
            let name = |node: &Arc<swarm_model::Node>| node.name().to_owned();
            self.replica.read(|tables| tables.nodes.get(id).map(name)).unwrap_or_default()
        };
        let reasons: Vec<String> = missing
            .iter()
            .map(|missing| {
                let tasks: Vec<&str> = missing.tasks.iter().map(|task| &**task).collect();
                let (node, tasks) = (name(&missing.node), tasks.join(", "));
                format!("node {node} ({}), tasks {tasks}: {}", missing.node, missing.reason)
            })
            .collect();
        let words = format!(
            "Error grabbing logs: warning: incomplete log stream. some logs could not be retrieved \
             for the following reasons: {}\n",
            reasons.join("; ")
        );
        self.frame(Stream::SystemError, words.as_bytes())
    }

    fn frame(&self, stream: Stream, bytes: &[u8]) -> Bytes {
        if !self.framed {
            return Bytes::copy_from_slice(bytes);
        }
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        [&header(stream, length)[..], bytes].concat().into()
    }
}
