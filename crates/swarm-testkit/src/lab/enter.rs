//! Connections made from inside a host's network, by this process: what listens on the host's loopback
//! address is reached too.

use std::fs::File;
use std::net::TcpStream;

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use super::Lab;
use super::layout::Layout;

impl Lab {
    /// The network of host `i`, for [`connect_in`].
    pub fn network(&self, i: u8) -> Result<File> {
        let path = Layout::netns_path(&self.layout.netns(i));
        File::open(&path).with_context(|| format!("host {i} is not up: {}", path.display()))
    }
}

/// Connects from inside a network. The connection stays in it, whoever uses it.
pub fn connect_in(network: &File, address: &str) -> Result<TcpStream> {
    std::thread::scope(|scope| {
        // A thread's network is its own, and goes with the thread.
        let inside = scope.spawn(|| {
            setns(network, CloneFlags::CLONE_NEWNET).context("entering a host's network")?;
            TcpStream::connect(address).with_context(|| address.to_owned())
        });
        inside.join().map_err(|_| anyhow!("the thread that connects"))?
    })
}
