//! What moving a list costs when nobody makes it: ready chunks over a unix socket to the
//! same driver. No manager can be faster.

use std::convert::Infallible;

use anyhow::Result;
use bytes::Bytes;
use http::Response;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

use super::{Bench, read};
use crate::driver::{Client, Endpoint};
use crate::quantile::millis;
use crate::report::{Row, Target};

/// Bytes of one chunk, as a server would make them.
const CHUNK: usize = 128 << 10;
/// Bytes of a list entry.
const ENTRY: usize = 980;

pub async fn run(bench: &mut Bench<'_>, containers: usize) -> Result<()> {
    let home = tempfile::Builder::new().prefix("swarm-bench-").tempdir()?;
    let path = home.path().join("floor.sock");
    let listener = UnixListener::bind(&path)?;
    let chunk = Bytes::from(vec![b'x'; CHUNK]);
    let chunks = containers * ENTRY / CHUNK;
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let chunk = chunk.clone();
            let service = service_fn(move |_| {
                let parts = (0..chunks).map({
                    let chunk = chunk.clone();
                    move |_| Ok::<_, Infallible>(Frame::data(chunk.clone()))
                });
                let parts = futures_util::stream::iter(parts);
                async move { Ok::<_, Infallible>(Response::new(StreamBody::new(parts))) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    let mut client = Client::new(Endpoint::Unix(path));
    let times = bench.options.pick(100, 50);
    let (list, bytes) = read::sample(&mut client, &["/".to_owned()], times).await?;
    server.abort();
    bench.row(
        Row::new("a ready list over a unix socket, p99", millis(list.p99()), "ms", Target::None)
            .note(format!("{:.1} MB, p50 {:.1} ms", read::megabytes(bytes), millis(list.p50()))),
    );
    Ok(())
}
