//! The address that this host has towards a registry: what its readers reach it by, most likely.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

/// A name look-up may take so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The address by which a packet to `HOST:PORT` would leave. Nothing is sent. `None` when that is
/// loopback, which nobody else reaches.
pub async fn own_address(registry: &str) -> io::Result<Option<IpAddr>> {
    let asked = async {
        let mut last = io::Error::other("it has no address");
        for target in tokio::net::lookup_host(registry).await? {
            let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).await?;
            match socket.connect(target).await {
                Ok(()) => return Ok(socket.local_addr()?.ip()),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(found) => found.map(|ip| (!ip.is_loopback()).then_some(ip)),
        Err(_) => Err(io::Error::other(format!("{registry} is not found within {PATIENCE:?}"))),
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn loopback_is_nobodys_address() {
        assert_eq!(super::own_address("127.0.0.1:8500").await.unwrap(), None);
        assert!(super::own_address("127.0.0.1").await.is_err(), "a port is needed");
    }
}
