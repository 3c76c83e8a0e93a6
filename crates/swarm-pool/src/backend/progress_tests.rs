//! Tests of merged progress.

use super::*;
use swarm_engine::{ClientOptions, EngineAddress, EngineClient};

use crate::engine::EngineKey;

fn engine(number: u32) -> Arc<Engine> {
    let address = EngineAddress::Tcp { host: format!("n{number}"), port: 1 };
    Arc::new(Engine::new(EngineKey(number), EngineClient::new(address, ClientOptions::default())))
}

fn telling(last: Option<Message>) -> Telling {
    Telling {
        doing: "Pulling a:1...".into(),
        done: "downloaded",
        task: "pulling a:1".into(),
        last,
        shown: Shown::All,
    }
}

fn stream_of(lines: &str) -> Reply {
    Reply::json(StatusCode::OK, lines.to_owned())
}

async fn told(reply: Reply) -> Vec<Message> {
    let mut messages = Messages::of(reply.body);
    let mut all = Vec::new();
    while let Some(message) = messages.next().await.unwrap() {
        all.push(message);
    }
    all
}

#[tokio::test]
async fn every_line_says_whose_it_is_and_failures_come_last() {
    let engines = [engine(1), engine(2), engine(3)];
    let reply =
        merged(&engines, telling(Some(Message::status("x", "last"))), |engine| async move {
            match engine.key().0 {
                1 => Ok(stream_of(
                    "{\"status\":\"Pull complete\",\"id\":\"abc\"}\r\n{\"status\":\"Digest: d\"}\n",
                )),
                2 => Ok(stream_of(
                    "{\"errorDetail\":{\"message\":\"no space\"},\"error\":\"no space\"}\n",
                )),
                _ => Err(ApiError::unavailable("engine n3:1 is down")),
            }
        })
        .await
        .unwrap();
    let all = told(reply).await;
    let of = |id: &str| -> Vec<_> {
        let mine = all.iter().filter(|message| message.id.as_deref() == Some(id));
        mine.filter_map(|message| message.status.as_deref()).collect()
    };
    assert_eq!(of("n1:1: abc"), ["Pull complete"]);
    let whole = ["Pulling a:1... ", "Digest: d", "Pulling a:1... : downloaded"];
    assert_eq!(of("n1:1"), whole);
    assert_eq!(of("n2:1"), ["Pulling a:1... ", "Pulling a:1... : failed"]);
    let failures: Vec<_> = all.iter().filter_map(Message::failure).collect();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].starts_with("pulling a:1 failed on 2 of 3 nodes: "), "{failures:?}");
    assert!(
        failures[0].contains("n2:1: no space") && failures[0].contains("; engine n3:1 is down")
    );
    assert!(all.last().unwrap().failure().is_some(), "after the line that closes the stream");
    assert_eq!(all[all.len() - 2].status.as_deref(), Some("last"));
}

#[tokio::test]
async fn when_nobody_begins_the_refusal_keeps_its_status() {
    let engines = [engine(1), engine(2)];
    let error = merged(&engines, telling(None), |_| async {
        Err::<Reply, _>(ApiError::engine(404, "manifest unknown"))
    })
    .await
    .unwrap_err();
    assert_eq!(error, ApiError::engine(404, "manifest unknown"));
    let error = merged(&engines, telling(None), |engine| async move {
        let body = format!("{{\"message\":\"no {}\"}}", engine.key().0);
        Ok(Reply::json(StatusCode::NOT_FOUND, body))
    })
    .await
    .unwrap_err();
    assert_eq!(error.status(), 404);
    assert!(error.message.contains("n1:1: no 1") && error.message.contains("n2:1: no 2"));
    assert_eq!(
        merged(&[], telling(None), |_| async { Ok(stream_of("")) }).await.unwrap_err().status(),
        503
    );
}

#[tokio::test]
async fn what_programs_read_is_told_once_and_as_it_is() {
    let engines = [engine(1), engine(2)];
    let reply = merged(&engines, telling(None), |_| async {
        Ok(stream_of("{\"stream\":\"Loaded image: a:1\\n\"}\n"))
    })
    .await
    .unwrap();
    let all = told(reply).await;
    let streams: Vec<_> = all.iter().filter_map(|message| message.stream.as_deref()).collect();
    assert_eq!(streams, ["Loaded image: a:1\n"]);
}

#[tokio::test]
async fn who_wants_it_quiet_is_told_results_and_failures() {
    let engines = [engine(1), engine(2)];
    let quiet = Telling { shown: Shown::Results, ..telling(None) };
    let reply = merged(&engines, quiet, |engine| async move {
        Ok(stream_of(if engine.key().0 == 1 {
            "{\"status\":\"x\",\"id\":\"y\"}\n{\"stream\":\"Loaded image: a:1\\n\"}\n"
        } else {
            "{\"error\":\"no space\"}\n"
        }))
    })
    .await
    .unwrap();
    let all = told(reply).await;
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[0].stream.as_deref(), Some("Loaded image: a:1\n"));
    assert_eq!(all[1].failure(), Some("pulling a:1 failed on 1 of 2 nodes: n2:1: no space"));
}

#[tokio::test]
async fn lines_are_cut_where_they_end_and_not_where_chunks_do() {
    let chunks = ["{\"status\":\"a", "\"}\r\n{\"status\":", "\"b\"}\r\nplain text"];
    let frames =
        stream::iter(chunks.map(|chunk| Ok::<_, BoxError>(Frame::data(Bytes::from(chunk)))));
    let mut messages = Messages::of(StreamBody::new(frames).boxed_unsync());
    assert_eq!(messages.next().await.unwrap().unwrap().status.as_deref(), Some("a"));
    assert_eq!(messages.next().await.unwrap().unwrap().status.as_deref(), Some("b"));
    assert_eq!(messages.next().await.unwrap().unwrap().stream.as_deref(), Some("plain text"));
    assert!(messages.next().await.unwrap().is_none());
    let endless =
        stream::repeat_with(|| Ok::<_, BoxError>(Frame::data(Bytes::from(vec![b'x'; 1 << 16]))));
    let mut messages = Messages::of(StreamBody::new(endless).boxed_unsync());
    assert!(messages.next().await.is_err());
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work() {
    let engines = [engine(1)];
    let guard = Arc::new(());
    let kept = Arc::clone(&guard);
    let reply = merged(&engines, telling(None), move |_| {
        let kept = Arc::clone(&kept);
        async move {
            let endless = stream::unfold(kept, |kept| async move {
                tokio::task::yield_now().await;
                let line = Bytes::from_static(b"{\"status\":\"x\"}\n");
                Some((Ok::<_, BoxError>(Frame::data(line)), kept))
            });
            Ok(Reply::streaming_json(StatusCode::OK, StreamBody::new(endless).boxed_unsync()))
        }
    })
    .await
    .unwrap();
    drop(reply);
    while Arc::strong_count(&guard) > 1 {
        tokio::task::yield_now().await;
    }
}
