//! A gate before each engine: it passes bytes on between the managers and the engine's socket, and
//! takes down who asks for what change, and when.
//!
//! A manager is known by its address. Invariants: nothing is held back or changed; a gate that is
//! closed refuses connections and ends those that it has, as an engine does that dies.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use swarm_testkit::lab::Lab;

use super::history::{Recorder, What};

/// How often an open gate looks whether it is to close.
const TICK: Duration = Duration::from_millis(20);
/// The longest line of a request's head that is passed on.
const LONGEST: u64 = 64 << 10;

/// One open gate.
#[derive(Debug)]
pub struct Gate {
    stop: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

/// Who may come, and where what they did is taken down.
#[derive(Debug, Clone)]
struct Books {
    engine: u8,
    managers: Vec<IpAddr>,
    recorder: Recorder,
}

impl Gate {
    /// Opens it on the port of the engine's own API, for managers in the networks of `places`.
    pub fn open(lab: &Lab, engine: u8, places: &[u8], recorder: &Recorder) -> Result<Self> {
        let listener = lab.listen(engine, 2375)?;
        listener.set_nonblocking(true)?;
        let managers = places.iter().map(|place| lab.ip(*place).parse());
        let managers = managers.collect::<Result<_, _>>()?;
        let books = Books { engine, managers, recorder: recorder.clone() };
        let stop = Arc::new(AtomicBool::new(false));
        let (sock, closed) = (lab.sock(engine), Arc::clone(&stop));
        let listening = Some(thread::spawn(move || serve(&listener, &sock, &books, &closed)));
        Ok(Self { stop, listening })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(listening) = self.listening.take() {
            // It has no way to fail but a panic, which its own words told.
            let _ = listening.join();
        }
    }
}

fn serve(listener: &TcpListener, sock: &Path, books: &Books, closed: &AtomicBool) {
    let mut open: Vec<TcpStream> = Vec::new();
    while !closed.load(Ordering::Relaxed) {
        let Ok((client, from)) = listener.accept() else {
            thread::sleep(TICK);
            continue;
        };
        let manager = books.managers.iter().position(|known| *known == from.ip());
        if let Ok(own) = client.try_clone() {
            open.retain(|one| one.peer_addr().is_ok());
            open.push(own);
        }
        let (sock, books) = (PathBuf::from(sock), books.clone());
        // Either end's end is the other's; there is nobody to tell of it.
        thread::spawn(move || drop(pass(client, &sock, manager, &books)));
    }
    for one in open {
        let _ = one.shutdown(Shutdown::Both);
    }
}

fn pass(client: TcpStream, sock: &Path, manager: Option<usize>, books: &Books) -> Result<()> {
    client.set_nonblocking(false)?;
    client.set_nodelay(true)?;
    let engine = UnixStream::connect(sock)?;
    let (mut back, mut answers) = (client.try_clone()?, engine.try_clone()?);
    thread::spawn(move || {
        // Ends with either of them.
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut engine_end = engine.try_clone()?;
    let passed = requests(&mut BufReader::new(client), &mut engine_end, |method, path| {
        if let Some(manager) = manager.filter(|_| !matches!(method, "GET" | "HEAD")) {
            let (method, path) = (method.to_owned(), path.to_owned());
            books.recorder.note(What::Asked(books.engine, manager, format!("{method} {path}")));
        }
    });
    // What is asked has ended; answers may still be on their way (a hijacked stream's).
    let _ = engine.shutdown(Shutdown::Write);
    passed
}

/// Passes requests on, and tells of each before its engine can have read all of it.
fn requests(
    from: &mut BufReader<impl Read>,
    to: &mut impl Write,
    mut tell: impl FnMut(&str, &str),
) -> Result<()> {
    loop {
        let (mut head, mut length, mut chunked, mut upgrade) = (Vec::new(), 0, false, false);
        loop {
            let begin = head.len();
            if from.by_ref().take(LONGEST).read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
            let line = String::from_utf8_lossy(&head[begin..]).trim_end().to_ascii_lowercase();
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            match name {
                "content-length" => length = value.trim().parse()?,
                "transfer-encoding" => chunked = value.contains("chunked"),
                "upgrade" => upgrade = true,
                _ => {}
            }
            if line.is_empty() {
                break;
            }
        }
        let first = String::from_utf8_lossy(&head).into_owned();
        let mut words = first.split(' ');
        tell(words.next().unwrap_or_default(), words.next().unwrap_or_default());
        to.write_all(&head)?;
        if upgrade {
            std::io::copy(from, to)?;
            return Ok(());
        }
        if chunked {
            chunks(from, to)?;
        } else {
            std::io::copy(&mut from.by_ref().take(length), to)?;
        }
    }
}

/// Passes a chunked body on, up to its end and the empty line after it.
fn chunks(from: &mut BufReader<impl Read>, to: &mut impl Write) -> Result<()> {
    loop {
        let mut line = Vec::new();
        from.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        to.write_all(&line)?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let size = text.trim_end().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16)?;
        // The chunk's own line end; the last, empty one's is the body's.
        std::io::copy(&mut from.by_ref().take(size + 2), to)?;
        if size == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_and_passed_on_as_they_are() {
        let text = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n\
            POST /containers/create?name=a HTTP/1.1\r\nContent-Length: 5\r\n\r\nPOST \
            POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nPUT\r\n0\r\n\r\n\
            DELETE /c HTTP/1.1\r\n\r\n\
            POST /attach HTTP/1.1\r\nUpgrade: tcp\r\n\r\nPOST /no HTTP/1.1\r\n\r\n";
        let (mut told, mut passed) = (Vec::new(), Vec::new());
        let mut from = BufReader::with_capacity(16, &text[..]);
        requests(&mut from, &mut passed, |method, path| told.push(format!("{method} {path}")))
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&passed), String::from_utf8_lossy(text));
        let expected = [
            "GET /_ping",
            "POST /containers/create?name=a",
            "POST /b",
            "DELETE /c",
            "POST /attach",
        ];
        assert_eq!(told, expected);
    }
}
