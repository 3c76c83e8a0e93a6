//! `swarm dial-stdio`: this process's input and output joined with a socket of this machine. It is what
//! `swarm up` runs over SSH to speak with a daemon there; nothing has to listen on TCP for it.
//!
//! Two plain threads: the process ends with the socket's output, whatever its input still waits for.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use anyhow::Context as _;

use super::manager::OF_DAEMON;
use crate::cli::DialFlags;

/// Joins them until the socket ends.
pub fn run(flags: &DialFlags) -> anyhow::Result<()> {
    let path = flags.socket.as_deref().unwrap_or(OF_DAEMON);
    let path = path.strip_prefix("unix://").unwrap_or(path);
    let socket = UnixStream::connect(path).with_context(|| format!("no daemon at {path}"))?;
    let mut inward = socket.try_clone()?;
    std::thread::spawn(move || {
        // Its end is passed on; the other direction goes on.
        let _ = copy(&mut io::stdin().lock(), &mut inward);
        let _ = inward.shutdown(Shutdown::Write);
    });
    copy(&mut &socket, &mut io::stdout().lock()).context("the connection broke")
}

/// As `std::io::copy`, but each piece goes on at once.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                to.write_all(buffer.get(..read).unwrap_or_default())?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
