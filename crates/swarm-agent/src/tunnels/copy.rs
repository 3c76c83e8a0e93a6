//! One connection made of two: both directions are copied side by side, each through one small buffer, so
//! that a slow side holds up the other. The end of one direction is passed on and leaves the other.
//!
//! Invariant: it ends when both directions have ended, when the leader's side or the engine's words break,
//! or [`LINGER`] after the engine's last. That the engine takes nothing more does not end it: its last
//! words are still to be read.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::timeout;

/// One direction's buffer, in bytes.
const BUFFER: usize = 16 << 10;
/// How long the leader may take to let go of a connection that the engine has ended. It keeps none that
/// says nothing more, so this is for one that hangs.
const LINGER: Duration = Duration::from_secs(30);

/// What broke.
enum Broken {
    /// What is read from.
    Source(io::Error),
    /// What is written to.
    Sink(io::Error),
}

impl Broken {
    fn into_inner(self) -> io::Error {
        match self {
            Self::Source(error) | Self::Sink(error) => error,
        }
    }
}

/// Copies until both have ended.
pub(super) async fn both<L, E>(leader: L, engine: E) -> io::Result<()>
where
    L: AsyncRead + AsyncWrite,
    E: AsyncRead + AsyncWrite,
{
    let (mut asked, mut answered) = split(leader);
    let (mut words, mut input) = split(engine);
    let input = copy(&mut asked, &mut input);
    let output = copy(&mut words, &mut answered);
    tokio::pin!(input, output);
    let first = tokio::select! {
        ended = &mut input => Some(ended),
        ended = &mut output => {
            ended.map_err(Broken::into_inner)?;
            None
        }
    };
    match first {
        Some(Err(Broken::Source(error))) => Err(error),
        Some(Ok(()) | Err(Broken::Sink(_))) => output.await.map_err(Broken::into_inner),
        None => match timeout(LINGER, input).await {
            Ok(ended) => ended.map_err(Broken::into_inner),
            Err(_) => Ok(()),
        },
    }
}

/// Copies to the end and passes the end on.
async fn copy<R, W>(source: &mut R, sink: &mut W) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = source.read(&mut buffer).await.map_err(Broken::Source)?;
        if read == 0 {
            return sink.shutdown().await.map_err(Broken::Sink);
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        sink.write_all(bytes).await.map_err(Broken::Sink)?;
        // What is sealed is kept back until then.
        sink.flush().await.map_err(Broken::Sink)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    #[tokio::test]
    async fn the_end_of_one_direction_leaves_the_other() {
        let (mut leader, outer) = duplex(64);
        let (mut engine, inner) = duplex(64);
        let joined = tokio::spawn(both(outer, inner));
        leader.write_all(b"question").await.unwrap();
        leader.shutdown().await.unwrap();
        let mut got = String::new();
        engine.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "question");
        engine.write_all(b"answer").await.unwrap();
        drop(engine);
        got.clear();
        leader.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "answer");
        joined.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_takes_no_more_is_heard_to_its_end_and_not_longer() {
        let (mut leader, outer) = duplex(64);
        let (mut engine, inner) = duplex(64);
        let joined = tokio::spawn(both(outer, inner));
        engine.write_all(b"last words").await.unwrap();
        drop(engine);
        leader.write_all(b"too late").await.unwrap();
        let mut got = String::new();
        leader.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "last words");
        // The leader does not let go.
        timeout(LINGER * 2, joined).await.unwrap().unwrap().ok();
    }
}
