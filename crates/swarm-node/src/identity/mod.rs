//! Who this node is: how it joins a swarm, what it keeps of that, and how its certificate stays young.
//!
//! It leaves to others: what the swarm wishes of the node (its session with the leader), and what a
//! node does when it was given another role or was removed.
//!
//! Reading order: `own` (what is kept), `join`, `renew` (once), `keep` (for as long as the node runs),
//! `words` (why a manager was not reached), `clocks` (where dates are why).

mod clocks;
mod join;
mod keep;
mod own;
mod renew;
mod words;

pub use join::{JoinError, Joining, join};
pub use keep::{Ended, Wishes, keep_renewed};
pub use own::{Own, OwnError};
pub use renew::{RenewError, renew};
pub use words::{explain, explain_asking};

/// The port of managers (Docker's), where none is given.
pub const PORT: u16 = 2377;

/// `HOST:PORT`, with the managers' port where there is none.
pub fn with_port(address: &str) -> String {
    let address = address.trim();
    if address.parse::<std::net::Ipv6Addr>().is_ok() {
        return format!("[{address}]:{PORT}");
    }
    let after_host = address.rsplit_once(']').map_or(address, |(_, rest)| rest);
    if after_host.contains(':') { address.to_owned() } else { format!("{address}:{PORT}") }
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn a_port_is_added_where_there_is_none() {
        for (given, made) in [
            ("10.0.0.1", "10.0.0.1:2377"),
            (" 10.0.0.1:4000", "10.0.0.1:4000"),
            ("m1.example", "m1.example:2377"),
            ("::1", "[::1]:2377"),
            ("[::1]", "[::1]:2377"),
            ("[fe80::1]:9", "[fe80::1]:9"),
        ] {
            assert_eq!(with_port(given), made);
        }
    }
}
