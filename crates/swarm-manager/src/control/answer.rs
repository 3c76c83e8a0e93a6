//! Requests read and answers written: bodies, versions, booleans; lists as they are sent.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde::Serialize;
use serde::de::DeserializeOwned;
use swarm_backend::{Body, BoxError, Exchange, Reply, Result, empty};
use swarm_docker::ApiError;

/// Bytes of a list that are made before they are sent.
const CHUNK: usize = 64 << 10;

/// The largest body that is read: surfaces have a lower bound of their own.
const LARGEST_BODY: usize = 8 << 20;

/// Takes the body's bytes.
pub(super) async fn body(exchange: &mut Exchange) -> Result<Bytes> {
    read(std::mem::replace(&mut exchange.body, empty())).await
}

/// A body's bytes, so many at most.
pub(super) async fn read(mut body: Body) -> Result<Bytes> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| ApiError::invalid(format!("cannot read the body: {error}")))?;
        let Some(data) = frame.data_ref() else { continue };
        if read.len() + data.len() > LARGEST_BODY {
            let words = format!("the body is larger than {LARGEST_BODY} bytes");
            return Err(ApiError::too_large(words));
        }
        read.extend_from_slice(data);
    }
    Ok(read.into())
}

/// A body that has to be JSON.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    if body.trim_ascii().is_empty() {
        return Err(ApiError::invalid("invalid JSON: got EOF while reading request body"));
    }
    serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid(format!("invalid JSON: {error}")))
}

/// The version that a change is of (`version` in the query), in Docker's words where there is none.
pub(super) fn version(exchange: &Exchange, kind: &str) -> Result<u64> {
    let text = exchange.query.get("version").unwrap_or_default();
    text.parse().map_err(|_| {
        ApiError::invalid(format!(
            "invalid {kind} version '{text}': strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

/// A boolean of the query, as Go reads it; absent or empty is false.
pub(super) fn flag(exchange: &Exchange, name: &str) -> Result<bool> {
    match exchange.query.get(name).unwrap_or_default() {
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        other => Err(ApiError::invalid(format!("invalid value for {name}: {other}"))),
    }
}

/// A 200 that says nothing.
pub(super) fn done() -> Reply {
    let headers = HeaderMap::new();
    Reply { status: StatusCode::OK, headers, body: empty(), upgraded: None }
}

/// A list as a JSON array, each element made while it is sent.
pub(super) fn list<T, S>(items: Vec<T>, show: impl FnMut(&T) -> S + Send + 'static) -> Reply
where
    T: Send + 'static,
    S: Serialize,
{
    Reply::streaming_json(StatusCode::OK, written(items, show))
}

fn written<T, S>(items: Vec<T>, show: impl FnMut(&T) -> S + Send + 'static) -> Body
where
    T: Send + 'static,
    S: Serialize,
{
    let begun = (items.into_iter(), show, true, false);
    let chunks = stream::unfold(begun, |(mut items, mut show, mut first, ended)| async move {
        if ended {
            return None;
        }
        let mut chunk = Vec::with_capacity(CHUNK / 4);
        if first {
            chunk.push(b'[');
        }
        let mut ended = true;
        for item in items.by_ref() {
            if !first {
                chunk.push(b',');
            }
            first = false;
            if let Err(error) = serde_json::to_writer(&mut chunk, &show(&item)) {
                let broken: std::result::Result<_, BoxError> = Err(error.into());
                return Some((broken, (items, show, first, true)));
            }
            if chunk.len() >= CHUNK {
                ended = false;
                break;
            }
        }
        if ended {
            chunk.push(b']');
        }
        Some((Ok(Frame::data(Bytes::from(chunk))), (items, show, first, ended)))
    });
    StreamBody::new(chunks).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_is_one_array_however_many_chunks_it_has() {
        for count in [0, 1, 2, 50_000] {
            let mut reply = list((0..count).collect(), |number: &u64| *number);
            let (mut whole, mut chunks) = (Vec::new(), 0);
            while let Some(frame) = reply.body.frame().await {
                let chunk = frame.unwrap().into_data().unwrap();
                assert!(chunk.len() <= CHUNK + 32);
                whole.extend_from_slice(&chunk);
                chunks += 1;
            }
            let read: Vec<u64> = serde_json::from_slice(&whole).unwrap();
            assert_eq!(read, (0..count).collect::<Vec<_>>());
            assert_eq!(chunks > 1, count > 100, "{chunks}");
        }
    }
}
