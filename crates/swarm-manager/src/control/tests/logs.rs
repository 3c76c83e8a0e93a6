//! What tasks wrote, as clients are sent it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use swarm_backend::{Logs as _, Reply, Result};
use swarm_docker::ApiVersion;
use swarm_docker::stdcopy::{Stream, decode};
use swarm_model::{Node, Service, Task};
use swarm_rpc::v1::LogChunk;
use tokio::sync::mpsc;

use super::{Rig, ask, refused};
use crate::dispatcher::{LogEvent, LogOptions, LogSelector, LogSource, LogsError, Missing};

/// Tells what was put in, and what it was asked.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// `None`: another manager leads.
    events: Mutex<Option<Vec<LogEvent>>>,
    asked: Mutex<Option<(LogSelector, LogOptions)>>,
}

#[async_trait]
impl LogSource for Arc<Written> {
    async fn logs(
        &self,
        selector: LogSelector,
        options: LogOptions,
    ) -> std::result::Result<mpsc::Receiver<LogEvent>, LogsError> {
        *self.asked.lock() = Some((selector, options));
        let events = self.events.lock().clone();
        let leader = Some("10.0.0.9:2377".to_owned());
        let events = events.ok_or(LogsError::NotLeader { leader })?;
        let (out, lines) = mpsc::channel(events.len().max(1));
        for event in events {
            out.try_send(event).unwrap();
        }
        Ok(lines)
    }
}

async fn rig(tty: bool, missing: Vec<Missing>) -> Rig {
    let rig = Rig::new();
    let template = serde_json::json!({ "ContainerSpec": { "Image": "redis", "TTY": tty } });
    let mut service = Service { id: "webid".into(), ..Service::default() };
    service.spec.name = "web".to_owned();
    service.spec.task_template = serde_json::from_value(template).unwrap();
    rig.put(&service).await;
    let spec = Arc::clone(&service.spec.task_template);
    rig.put(&Task { id: "t1".into(), service_id: "webid".into(), spec, ..Task::default() }).await;
    let mut node = Node { id: "n1".into(), ..Node::default() };
    node.description.hostname = "alpha".to_owned();
    rig.put(&node).await;
    let line = |stream: u32, line: &'static str| LogEvent::Line {
        node: "n1".into(),
        chunk: LogChunk {
            subscription: "s".to_owned(),
            task_id: "t1".to_owned(),
            stream,
            at: "2024-06-07T21:07:31.290032978Z".to_owned(),
            line: line.into(),
            error: String::new(),
        },
    };
    let events = vec![
        line(1, "a=1,com.docker.swarm.task.id=forged hello\n"),
        line(2, " trouble\n"),
        LogEvent::Over(missing),
    ];
    *rig.logs.events.lock() = Some(events);
    rig
}

async fn frames(reply: Result<Reply>) -> Vec<(Stream, String)> {
    let whole = reply.unwrap().body.collect().await.unwrap().to_bytes();
    let mut whole = bytes::BytesMut::from(whole);
    let mut frames = Vec::new();
    while let Some(frame) = decode(&mut whole, 1 << 20).unwrap() {
        frames.push((frame.stream, String::from_utf8(frame.payload.to_vec()).unwrap()));
    }
    assert!(whole.is_empty());
    frames
}

#[tokio::test]
async fn lines_are_framed_with_their_context_and_time() {
    let rig = rig(false, Vec::new()).await;
    let query = "stdout=1&stderr=1&details=1&timestamps=1&tail=5&since=12.5&follow=1";
    let reply = rig.control.service_logs("web", ask(query, "")).await.unwrap();
    assert_eq!(reply.headers["content-type"], "application/vnd.docker.multiplexed-stream");
    let context = "com.docker.swarm.node.id=n1,com.docker.swarm.service.id=webid,\
        com.docker.swarm.task.id=t1";
    let at = "2024-06-07T21:07:31.290032978Z";
    assert_eq!(
        frames(Ok(reply)).await,
        [
            (Stream::Stdout, format!("{at} a=1,{context} hello\n")),
            (Stream::Stderr, format!("{at} {context} trouble\n")),
        ]
    );
    let (selector, options) = rig.logs.asked.lock().clone().unwrap();
    assert_eq!(selector.services, BTreeSet::from(["webid".into()]));
    assert!(options.follow && options.stdout && options.stderr && options.details);
    assert_eq!((options.tail.as_str(), options.since.as_str()), ("5", "12.5"));
}

#[tokio::test]
async fn a_terminal_s_lines_are_raw_and_a_task_is_asked_alone() {
    let rig = rig(true, Vec::new()).await;
    let reply = rig.control.task_logs("t1", ask("stdout=1", "")).await.unwrap();
    assert_eq!(reply.headers["content-type"], "application/vnd.docker.raw-stream");
    let whole = reply.body.collect().await.unwrap().to_bytes();
    assert!(whole.ends_with(b"hello\n trouble\n"), "{whole:?}");
    let (selector, _) = rig.logs.asked.lock().clone().unwrap();
    assert_eq!(selector.tasks, BTreeSet::from(["t1".into()]));
}

#[tokio::test]
async fn what_is_missing_is_said_at_the_end() {
    let reason = "the node is not connected".to_owned();
    let missing = Missing { node: "n1".into(), tasks: BTreeSet::from(["t1".into()]), reason };
    let rig = rig(false, vec![missing]).await;
    let mut old = ask("stdout=1", "");
    old.version = Some(ApiVersion::new(1, 41));
    let reply = rig.control.service_logs("web", old).await.unwrap();
    assert_eq!(reply.headers["content-type"], "application/vnd.docker.raw-stream");
    let (stream, words) = frames(Ok(reply)).await.pop().unwrap();
    assert_eq!(stream, Stream::SystemError);
    for part in ["incomplete log stream", "node alpha (n1), tasks t1: the node is not connected"] {
        assert!(words.contains(part), "{words}");
    }
}

#[tokio::test]
async fn logs_whose_leader_is_gone_do_not_end_as_if_there_were_no_more() {
    let broken = async |tty: bool| {
        let rig = rig(tty, Vec::new()).await;
        rig.logs.events.lock().as_mut().unwrap().pop();
        rig.control.service_logs("web", ask("stdout=1&follow=1", "")).await
    };
    let frames = frames(broken(false).await).await;
    let (stream, words) = frames.last().unwrap();
    assert_eq!((frames.len(), *stream), (3, Stream::SystemError));
    assert!(words.starts_with("Error grabbing logs: they broke off"), "{words}");
    let error = broken(true).await.unwrap().body.collect().await.unwrap_err();
    assert!(error.to_string().contains("they broke off"), "{error}");
}

#[tokio::test]
async fn bad_queries_and_other_leaders_are_told_before_anything_is_sent() {
    let rig = rig(false, Vec::new()).await;
    for (query, words) in [
        ("", "Bad parameters: you must choose at least one stream"),
        ("stdout=1&tail=few", "tail value must be a positive integer or \"all\""),
        ("stdout=1&tail=-1", "negative tail values not supported"),
        (
            "stdout=1&since=noon",
            "could not parse since timestamp: \"noon\" is not a number of seconds",
        ),
    ] {
        let refused = refused(rig.control.service_logs("web", ask(query, "")).await);
        assert_eq!(refused, (400, words.to_owned()));
    }
    assert_eq!(refused(rig.control.task_logs("nope", ask("stdout=1", "")).await).0, 404);
    *rig.logs.events.lock() = None;
    let elsewhere = refused(rig.control.service_logs("web", ask("stdout=1", "")).await);
    assert_eq!(elsewhere.0, 503);
    assert!(elsewhere.1.contains("10.0.0.9:2377"), "{}", elsewhere.1);
}
