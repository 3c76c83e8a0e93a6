//! Event streams: lines, their bound, ends and refusals.

use bytes::Bytes;
use futures_util::StreamExt;
use swarm_engine::{EngineError, EventTime};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::script::{LONG, Script, closed, head, say};

const OPEN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[tokio::test]
async fn lines_arrive_one_by_one_as_they_happen() {
    let (tell, mut told) = mpsc::unbounded_channel::<String>();
    let tell_engine = tell.clone();
    let script = Script::new(move |mut stream, _| {
        let tell = tell_engine.clone();
        async move {
            tell.send(head(&mut stream).await.unwrap()).unwrap();
            say(&mut stream, OPEN).await;
            say(&mut stream, &chunk("{\"a\":1}\n{\"b\":")).await;
            say(&mut stream, &chunk("2}\n")).await;
            closed(&mut stream).await;
            tell.send("closed".to_owned()).unwrap();
        }
    })
    .await;
    let mut events =
        script.client().events(Some(EventTime(1_500_000_000_000_000_007))).await.unwrap();
    let head = told.recv().await.unwrap();
    assert!(head.starts_with("GET /events?since=1500000000.000000007 HTTP/1.1\r\n"), "{head}");
    assert_eq!(events.next().await.unwrap().unwrap(), "{\"a\":1}");
    assert_eq!(events.next().await.unwrap().unwrap(), "{\"b\":2}");
    drop(events);
    let next = tokio::time::timeout(LONG, told.recv()).await.unwrap();
    assert_eq!(next.as_deref(), Some("closed"));
}

#[tokio::test]
async fn a_burst_arrives_whole_and_in_order() {
    const COUNT: usize = 50_000;
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await.unwrap();
        say(&mut stream, OPEN).await;
        for batch in 0..COUNT / 100 {
            let lines: String = (0..100)
                .map(|n| {
                    chunk(&format!(
                        "{{\"n\":{},\"pad\":\"{}\"}}\n",
                        batch * 100 + n,
                        "x".repeat(400)
                    ))
                })
                .collect();
            stream.write_all(lines.as_bytes()).await.unwrap();
        }
        say(&mut stream, "0\r\n\r\n").await;
    })
    .await;
    let mut events = script.client().events(None).await.unwrap();
    let mut seen = 0;
    while let Some(line) = events.next().await {
        let line = line.unwrap();
        assert!(line.starts_with(format!("{{\"n\":{seen},").as_bytes()), "{line:?}");
        seen += 1;
    }
    assert_eq!(seen, COUNT);
}

#[tokio::test]
async fn an_oversized_line_is_one_error_and_the_stream_goes_on() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await.unwrap();
        say(&mut stream, OPEN).await;
        for _ in 0..40 {
            say(&mut stream, &chunk(&"x".repeat(100_000))).await;
        }
        say(&mut stream, &chunk("\n{\"next\":1}\n")).await;
        closed(&mut stream).await;
    })
    .await;
    let mut events = script.client().events(None).await.unwrap();
    let error = events.next().await.unwrap().unwrap_err();
    assert!(matches!(error, EngineError::TooLarge { .. }) && !error.is_connection(), "{error:?}");
    assert_eq!(events.next().await.unwrap().unwrap(), Bytes::from_static(b"{\"next\":1}"));
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_and_half_a_line_is_none() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await.unwrap();
        say(&mut stream, &format!("{OPEN}{}", chunk("{\"a\":1}\n{\"half"))).await;
    })
    .await;
    let mut events = script.client().events(None).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap(), "{\"a\":1}");
    let error = events.next().await.unwrap().unwrap_err();
    assert!(matches!(error, EngineError::Body(_)), "{error:?}");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn severing_ends_the_stream() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await.unwrap();
        say(&mut stream, OPEN).await;
        std::future::pending::<()>().await;
    })
    .await;
    let client = script.client();
    let mut events = client.events(None).await.unwrap();
    let waiting = tokio::spawn(async move { events.next().await });
    tokio::time::sleep(crate::script::SHORT).await;
    client.sever();
    let last = tokio::time::timeout(LONG, waiting).await.unwrap().unwrap();
    assert!(matches!(last, Some(Err(EngineError::Severed))), "{last:?}");
}

#[tokio::test]
async fn a_refusal_is_its_message() {
    let text =
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 27\r\n\r\n{\"message\":\"no such since\"}\n";
    let script = Script::answering(text).await;
    let error = script.client().events(None).await.unwrap_err();
    assert!(matches!(error, EngineError::Status { code: 400, .. }), "{error:?}");
    assert_eq!(error.to_string(), "no such since");
}
