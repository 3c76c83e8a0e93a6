//! One connection made of two: a client's and an engine's after a 101, a tunnel and a node's engine.
//!
//! Two copies run side by side, each through one small buffer, so a slow side holds up the other
//! instead of filling memory. The end of one direction is passed on as a half-close and leaves the
//! other direction running: a client's end of stdin does not cut the container's output.
//!
//! Invariants: it ends when both directions have ended, when the client or the engine's output
//! breaks, or a while after the engine has said everything and the client says nothing more.
//! A broken engine input alone does not end it: the last output of a container that has exited is
//! still to be read.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::timeout;

/// One direction's buffer, bytes: a terminal's needs, and large enough to load an image through.
const BUFFER: usize = 16 << 10;

/// Which side of a copy broke.
#[derive(Debug)]
enum Broken {
    Source(io::Error),
    Sink(io::Error),
}

impl Broken {
    fn into_inner(self) -> io::Error {
        match self {
            Self::Source(error) | Self::Sink(error) => error,
        }
    }
}

/// Copies both ways until both have ended. A client that says nothing is kept for `linger` after the
/// engine has ended its side.
pub async fn join<C, E>(client: C, engine: E, linger: Duration) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    E: AsyncRead + AsyncWrite,
{
    let (mut client_out, mut client_in) = split(client);
    let (mut engine_out, mut engine_in) = split(engine);
    let mut patience = tokio::sync::watch::channel(false);
    let input = copy(&mut client_out, &mut engine_in, Some((&mut patience.1, linger)));
    let output = copy(&mut engine_out, &mut client_in, None);
    tokio::pin!(input, output);
    let input_ended = tokio::select! {
        ended = &mut input => Some(ended),
        ended = &mut output => {
            ended.map_err(Broken::into_inner)?;
            None
        }
    };
    match input_ended {
        // The client is gone, or the input ended or was refused: the output decides.
        Some(Err(Broken::Source(error))) => Err(error),
        Some(Ok(()) | Err(Broken::Sink(_))) => output.await.map_err(Broken::into_inner),
        None => {
            let _ = patience.0.send(true);
            input.await.map_err(Broken::into_inner)
        }
    }
}

/// Copies to the end and passes the end on. Once `hurry` turns true, a source that is silent for
/// its time counts as ended.
async fn copy<R, W>(
    source: &mut R,
    sink: &mut W,
    mut hurry: Option<(&mut tokio::sync::watch::Receiver<bool>, Duration)>,
) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match &mut hurry {
            None => source.read(&mut buffer).await,
            Some((hurry, linger)) if *hurry.borrow() => {
                timeout(*linger, source.read(&mut buffer)).await.unwrap_or(Ok(0))
            }
            Some((hurry, _)) => tokio::select! {
                read = source.read(&mut buffer) => read,
                // Reading is cancel-safe: nothing is lost by starting it again.
                _ = hurry.changed() => continue,
            },
        };
        let read = read.map_err(Broken::Source)?;
        if read == 0 {
            return sink.shutdown().await.map_err(Broken::Sink);
        }
        sink.write_all(buffer.get(..read).unwrap_or_default()).await.map_err(Broken::Sink)?;
        sink.flush().await.map_err(Broken::Sink)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    const LINGER: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_half_close_of_either_side_leaves_the_other_direction() {
        for client_first in [true, false] {
            let (mut client, outer) = duplex(64);
            let (mut engine, inner) = duplex(64);
            let joined = tokio::spawn(join(outer, inner, LINGER));
            let (first, second) =
                if client_first { (&mut client, &mut engine) } else { (&mut engine, &mut client) };
            first.write_all(b"question").await.unwrap();
            first.shutdown().await.unwrap();
            let mut got = String::new();
            second.read_to_string(&mut got).await.unwrap();
            assert_eq!(got, "question");
            second.write_all(b"answer, later").await.unwrap();
            second.shutdown().await.unwrap();
            let mut got = String::new();
            first.read_to_string(&mut got).await.unwrap();
            assert_eq!(got, "answer, later");
            joined.await.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_ends_is_let_go_after_the_engine() {
        let (mut client, outer) = duplex(64);
        let (engine, inner) = duplex(64);
        let joined = tokio::spawn(join(outer, inner, LINGER));
        drop(engine);
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        timeout(LINGER * 2, joined).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_takes_no_more_is_heard_to_its_end_and_not_longer() {
        let (mut client, outer) = duplex(64);
        let (mut engine, inner) = duplex(64);
        let joined = tokio::spawn(join(outer, inner, LINGER));
        engine.write_all(b"last words").await.unwrap();
        drop(engine);
        client.write_all(b"too late").await.unwrap();
        let mut got = String::new();
        client.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "last words");
        // The client does not let go.
        timeout(LINGER * 2, joined).await.unwrap().unwrap().ok();
    }

    #[tokio::test]
    async fn a_slow_reader_holds_up_the_writer() {
        let (mut client, outer) = duplex(64);
        let (mut engine, inner) = duplex(64);
        let joined = tokio::spawn(join(outer, inner, LINGER));
        let mut sent = 0_usize;
        let chunk = [7_u8; 1024];
        while let Ok(written) = timeout(Duration::from_millis(200), engine.write(&chunk)).await {
            sent += written.unwrap();
            assert!(sent <= 2 * BUFFER + 256, "{sent} bytes are held for a client that reads none");
        }
        drop(engine);
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), sent);
        drop(client);
        joined.await.unwrap().unwrap();
    }
}
