//! Where a node listens and where others reach it (`--listen-addr`, `--advertise-addr`): an address, an
//! interface's name, either with a port or without.

use std::net::{IpAddr, SocketAddr};

use swarm_backend::{ApiError, Result};

use crate::identity::PORT;

/// An interface's address on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The interface.
    pub interface: String,
    /// One of its addresses.
    pub address: IpAddr,
}

/// The addresses of this machine.
pub fn observe() -> Result<Vec<Local>> {
    let found = nix::ifaddrs::getifaddrs()
        .map_err(|error| ApiError::system(format!("this machine's addresses: {error}")))?;
    let address = |storage: nix::sys::socket::SockaddrStorage| {
        let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    let locals = found.filter_map(|one| {
        Some(Local { interface: one.interface_name, address: address(one.address?)? })
    });
    Ok(locals.collect())
}

/// Whether one is this machine's.
pub fn is_own(address: IpAddr) -> Result<bool> {
    Ok(observe()?.iter().any(|local| local.address == address))
}

/// Where to listen: `text` as a person wrote it, by default every address.
pub fn listen(text: &str, locals: &[Local]) -> Result<SocketAddr> {
    let text = if text.is_empty() { "0.0.0.0" } else { text };
    resolve("--listen-addr", text, PORT, locals)
}

/// Where others are told to reach this node: `text` as a person wrote it, by default where it listens,
/// or this machine's only address.
pub fn advertise(text: &str, listen: SocketAddr, locals: &[Local]) -> Result<SocketAddr> {
    let chosen = if !text.is_empty() {
        resolve("--advertise-addr", text, listen.port(), locals)?
    } else if listen.ip().is_unspecified() {
        SocketAddr::new(only(locals)?, listen.port())
    } else {
        listen
    };
    if chosen.ip().is_unspecified() {
        return Err(ApiError::invalid(
            "--advertise-addr has to be an address at which other nodes reach this one, not every \
             address",
        ));
    }
    Ok(chosen)
}

fn resolve(flag: &str, text: &str, port: u16, locals: &[Local]) -> Result<SocketAddr> {
    if let Ok(whole) = text.parse::<SocketAddr>() {
        return Ok(whole);
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let wrong = |why: String| ApiError::invalid(format!("{flag} {text}: {why}"));
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => {
            let port = port.parse().map_err(|_| wrong("the port is no number".to_owned()))?;
            (name, port)
        }
        None => (text, port),
    };
    let of: Vec<_> = locals.iter().filter(|local| local.interface == name).collect();
    if of.is_empty() {
        let known: Vec<_> = locals.iter().map(|local| local.interface.as_str()).collect();
        let why = format!("neither an address nor an interface of this machine ({})", list(&known));
        return Err(wrong(why));
    }
    let v4: Vec<_> = of.iter().copied().filter(|local| local.address.is_ipv4()).collect();
    match (&v4[..], &of[..]) {
        ([one], _) | ([], [one]) => Ok(SocketAddr::new(one.address, port)),
        _ => {
            let all: Vec<_> = of.iter().map(|local| local.address.to_string()).collect();
            Err(wrong(format!(
                "the interface has several addresses; name one of {}",
                all.join(", ")
            )))
        }
    }
}

/// The one address by which this machine is known to others.
fn only(locals: &[Local]) -> Result<IpAddr> {
    let others = locals.iter().filter(|local| {
        !local.address.is_loopback()
            && !is_link_local(local.address)
            && !is_engine_s(&local.interface)
    });
    let others: Vec<_> = others.collect();
    let v4: Vec<_> = others.iter().copied().filter(|local| local.address.is_ipv4()).collect();
    match (&v4[..], &others[..]) {
        ([one], _) | ([], [one]) => Ok(one.address),
        ([], []) => Err(ApiError::invalid(
            "could not choose an IP address to advertise since this system has none but loopback; \
             specify one with --advertise-addr",
        )),
        _ => {
            let all =
                others.iter().map(|local| format!("{} on {}", local.address, local.interface));
            Err(ApiError::invalid(format!(
                "could not choose an IP address to advertise since this system has several ({}); \
                 specify one with --advertise-addr",
                all.collect::<Vec<_>>().join(", ")
            )))
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Interfaces that an engine makes for containers: nobody else is reached over them.
fn is_engine_s(interface: &str) -> bool {
    interface == "docker0"
        || interface == "docker_gwbridge"
        || interface.starts_with("br-")
        || interface.starts_with("veth")
}

fn list(names: &[&str]) -> String {
    let mut unique: Vec<&str> = Vec::new();
    for name in names {
        if !unique.contains(name) {
            unique.push(name);
        }
    }
    unique.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locals(all: &[(&str, &str)]) -> Vec<Local> {
        let local = |(interface, address): &(&str, &str)| Local {
            interface: (*interface).to_owned(),
            address: address.parse().unwrap(),
        };
        all.iter().map(local).collect()
    }

    #[test]
    fn the_only_address_is_advertised_and_containers_networks_are_none() {
        let locals = locals(&[
            ("lo", "127.0.0.1"),
            ("eth0", "10.0.0.5"),
            ("eth0", "fe80::1"),
            ("docker0", "172.17.0.1"),
            ("br-5f2a", "172.18.0.1"),
        ]);
        let listen = listen("", &locals).unwrap();
        assert_eq!(listen.to_string(), "0.0.0.0:2377");
        assert_eq!(advertise("", listen, &locals).unwrap().to_string(), "10.0.0.5:2377");
        assert_eq!(advertise("eth0:99", listen, &locals).unwrap().to_string(), "10.0.0.5:99");
        assert_eq!(advertise("::1", listen, &locals).unwrap().to_string(), "[::1]:2377");
    }

    #[test]
    fn what_cannot_be_chosen_is_asked_for() {
        let two = locals(&[("eth0", "10.0.0.5"), ("eth1", "10.1.0.5")]);
        let all = "0.0.0.0:2377".parse().unwrap();
        for (text, words) in [
            ("", "10.0.0.5 on eth0, 10.1.0.5 on eth1"),
            ("0.0.0.0", "not every address"),
            ("eth7", "interface of this machine (eth0, eth1)"),
            ("eth0:x", "no number"),
        ] {
            let error = advertise(text, all, &two).unwrap_err();
            assert!(error.message.contains(words), "{text}: {}", error.message);
            assert_eq!(error.status(), 400);
        }
        let none = locals(&[("lo", "127.0.0.1")]);
        assert!(advertise("", all, &none).unwrap_err().message.contains("none but loopback"));
    }
}
