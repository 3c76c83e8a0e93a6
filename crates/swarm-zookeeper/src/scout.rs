//! Which of the URL's servers serve right now, asked by ZooKeeper's `srvr` before a session is
//! opened: a host that is down, mute, without a quorum, or no ZooKeeper at all is passed over, and
//! when none is left it is said of each what is wrong with it.
//!
//! It leaves opening sessions to `session`. Invariants: all are asked at once and none for longer
//! than the limit; the first that serves ends the wait for the others soon.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::failure::Words;

/// How long the others may still take when one has said that it serves.
const GRACE: Duration = Duration::from_millis(200);
/// How much of an answer is read, in bytes; `srvr` says about 200.
const ANSWER: u64 = 4096;
/// How much of a stranger's words is passed on, in characters.
const SHOWN: usize = 120;

/// What a host turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// A ZooKeeper that serves.
    Serving,
    /// None that serves now.
    Away(String),
    /// Something else.
    Stranger(String),
}

/// Those of `hosts` that serve; at least one.
pub(crate) async fn serving(
    words: &Words,
    hosts: &[String],
    limit: Duration,
) -> swarm_kv::Result<Vec<String>> {
    let mut asked: FuturesUnordered<_> = hosts.iter().map(|host| look(host, limit)).collect();
    let (mut serving, mut others) = (Vec::new(), Vec::new());
    let mut until = Instant::now() + limit + GRACE;
    while let Ok(Some((host, found))) = timeout_at(until, asked.next()).await {
        if found == Found::Serving {
            serving.push(host.to_owned());
            until = until.min(Instant::now() + GRACE);
        } else {
            others.push((host, found));
        }
    }
    if !serving.is_empty() {
        return Ok(serving);
    }
    let is_stranger = others.iter().any(|(_, found)| matches!(found, Found::Stranger(_)));
    let reasons = others.into_iter().map(|(host, found)| match found {
        Found::Away(why) | Found::Stranger(why) => format!("{host} {why}"),
        Found::Serving => host.to_owned(),
    });
    let reasons = reasons.collect::<Vec<_>>().join("; ");
    Err(if is_stranger { words.garbage(reasons) } else { words.unreachable(reasons) })
}

async fn look(host: &str, limit: Duration) -> (&str, Found) {
    let found = match timeout(limit, ask(host, limit / 2)).await {
        Ok(Ok(answer)) => judge(&answer),
        Ok(Err(error)) => Found::Away(format!("cannot be reached: {error}")),
        Err(_) => Found::Away(format!("gave no answer within {limit:.1?}")),
    };
    (host, found)
}

async fn ask(host: &str, patience: Duration) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(b"srvr").await?;
    let (reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let mut reader = reader.take(ANSWER);
    // One that reads lines is waiting for the end of ours; what it says then tells what it is.
    let provoke = async {
        sleep(patience).await;
        let _ = writer.write_all(b"\r\n\r\n").await;
        std::future::pending().await
    };
    let read = async {
        while reader.read_buf(&mut answer).await? > 0 {
            if is_stranger(&answer) {
                break;
            }
        }
        Ok(())
    };
    tokio::select! {
        read = read => read.map(|()| answer),
        never = provoke => never,
    }
}

/// Whether these first bytes are none of a ZooKeeper's: such a host may say more for ever.
fn is_stranger(answer: &[u8]) -> bool {
    matches!(judge(answer), Found::Stranger(_)) && answer.contains(&b'\n')
}

fn judge(answer: &[u8]) -> Found {
    let text = String::from_utf8_lossy(answer);
    let away = |why: &str| Found::Away(why.to_owned());
    if text.is_empty() {
        return away(
            "hung up without a word; it may have too many clients of this address \
             (maxClientCnxns), or speak TLS at this port",
        );
    }
    if text.contains("not currently serving requests") {
        return away("does not serve: most of its ensemble must run and reach each other");
    }
    if text.contains("Mode: read-only") {
        return away("is read-only: most of its ensemble is away");
    }
    if text.contains("eeper version") || text.contains("is not in the whitelist") {
        return Found::Serving;
    }
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let words: String = text.chars().map(shown).take(SHOWN).collect();
    Found::Stranger(format!("says {:?}", words.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        for answer in [
            "Zookeeper version: 3.8.0-1\nLatency min/avg/max: 0/0.0/0\nMode: standalone\n",
            "srvr is not executed because it is not in the whitelist.\n",
        ] {
            assert_eq!(judge(answer.as_bytes()), Found::Serving);
        }
        for (answer, words) in [
            ("", "hung up"),
            ("This ZooKeeper instance is not currently serving requests\n", "does not serve"),
            ("Zookeeper version: 3.8.0\nMode: read-only\n", "is read-only"),
        ] {
            let Found::Away(why) = judge(answer.as_bytes()) else { panic!("{answer}") };
            assert!(why.contains(words), "{why}");
        }
        let page = b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n".as_slice();
        let Found::Stranger(why) = judge(page) else { panic!("a page") };
        assert!(why.starts_with("says \"HTTP/1.1 400 Bad Request"), "{why}");
        assert!(is_stranger(page) && !is_stranger(b"Zoo") && is_stranger(b"SSH-2.0-x\r\n"));
    }
}
