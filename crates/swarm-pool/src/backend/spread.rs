//! One body sent to several engines at once, never held whole.
//!
//! Every engine has a short queue of shared chunks; the body is read on when the slowest of them has
//! room again. An engine that gives up loses its queue and holds up nobody; one that goes silent is
//! cut off by its own health check. Memory is bounded by one queue, whatever the number of engines.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use swarm_backend::{Body, BoxError};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Chunks an engine may be behind. A chunk is what one read of the client's connection gave, at
/// most some 400 KiB: enough to bridge an engine's pauses, and less than 4 MiB in all.
const QUEUE: usize = 8;

type Chunk = Result<Bytes, BoxError>;

/// `copies` bodies with the content of `body`. It is read while any of them is there.
pub(super) fn spread(body: Body, copies: usize) -> Vec<Body> {
    if copies == 1 {
        return vec![body];
    }
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..copies).map(|_| mpsc::channel::<Chunk>(QUEUE)).unzip();
    let feeder = Arc::new(AbortOnDropHandle::new(tokio::spawn(feed(body, senders))));
    receivers.into_iter().map(|chunks| copy_of(chunks, Arc::clone(&feeder))).collect()
}

fn copy_of(chunks: mpsc::Receiver<Chunk>, feeder: Arc<AbortOnDropHandle<()>>) -> Body {
    let frames = stream::unfold((chunks, feeder), |(mut chunks, feeder)| async move {
        let chunk = chunks.recv().await?;
        Some((chunk.map(Frame::data), (chunks, feeder)))
    });
    StreamBody::new(frames).boxed_unsync()
}

async fn feed(mut body: Body, mut senders: Vec<mpsc::Sender<Chunk>>) {
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                // Each engine must see that the body broke off: a silent end would be taken for
                // the whole of it.
                let words = format!("the body broke off: {error}");
                for sender in senders {
                    let _ = sender.send(Err(words.clone().into())).await;
                }
                return;
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        let mut living = Vec::with_capacity(senders.len());
        for sender in senders {
            if sender.send(Ok(data.clone())).await.is_ok() {
                living.push(sender);
            }
        }
        if living.is_empty() {
            return;
        }
        senders = living;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn source(chunks: usize, read: &Arc<AtomicUsize>) -> Body {
        let read = Arc::clone(read);
        let frames = stream::iter(0..chunks).map(move |at| {
            read.fetch_add(1, Ordering::SeqCst);
            Ok::<_, BoxError>(Frame::data(Bytes::from(vec![u8::try_from(at % 251).unwrap(); 100])))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    use futures_util::StreamExt;

    #[tokio::test]
    async fn every_copy_is_the_whole_body() {
        let read = Arc::default();
        let copies = spread(source(100, &read), 3);
        let wholes = futures_util::future::join_all(copies.into_iter().map(BodyExt::collect)).await;
        for whole in wholes {
            assert_eq!(whole.unwrap().to_bytes().len(), 10_000);
        }
    }

    #[tokio::test]
    async fn the_slowest_copy_holds_up_the_source_and_a_dropped_one_does_not() {
        let read = Arc::default();
        let mut copies = spread(source(1_000, &read), 3).into_iter();
        let (fast, slow, gone) =
            (copies.next().unwrap(), copies.next().unwrap(), copies.next().unwrap());
        drop(gone);
        let fast = tokio::spawn(fast.collect());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let ahead = read.load(Ordering::SeqCst);
        assert!(ahead <= QUEUE + 2, "{ahead} chunks were read for a copy that takes none");
        assert_eq!(slow.collect().await.unwrap().to_bytes().len(), 100_000);
        assert_eq!(fast.await.unwrap().unwrap().to_bytes().len(), 100_000);
    }

    #[tokio::test]
    async fn a_broken_body_breaks_every_copy() {
        let frames = stream::iter([
            Ok(Frame::data(Bytes::from_static(b"a"))),
            Err(BoxError::from("the client left")),
        ]);
        for copy in spread(StreamBody::new(frames).boxed_unsync(), 2) {
            assert!(copy.collect().await.err().unwrap().to_string().contains("the client left"));
        }
    }
}
