//! An engine's address as it is registered: `HOST:PORT`, HOST a name, an IPv4 address or an IPv6
//! address in brackets. It is checked here, at the door: one address that is none would spoil the
//! whole set for every manager that reads it.

use std::net::Ipv6Addr;

use crate::Refusal;

/// Bytes: a name of 253, a colon, a port; with room for brackets.
pub(crate) const LONGEST: usize = 261;

/// Reads an address, and gives it as it is kept.
pub(crate) fn read(text: &str) -> Result<Box<str>, Refusal> {
    let text = text.trim();
    let wrong = || Refusal::Address;
    if text.len() > LONGEST {
        return Err(wrong());
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    if !is_host(host) || port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
    Ok(format!("{host}:{port}").into())
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_kept_in_one_form() {
        for (text, kept) in [
            ("10.0.0.1:2375", "10.0.0.1:2375"),
            (" node-1.example_x:02375\n", "node-1.example_x:2375"),
            ("[2001:db8::1]:3", "[2001:db8::1]:3"),
        ] {
            assert_eq!(&*read(text).unwrap(), kept);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}:1", "a".repeat(254));
        for text in [
            "",
            "a",
            ":1",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "::1:5",
            "[::1]",
            "[1.2.3.4]:1",
            "a b:1",
            "http://a:1",
            "unix:///a",
            "a/b:1",
            "[fe80::1%eth0]:1",
            "\u{e4}:1",
            &long,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}|[\\[\\]:0-9a-z.]{0,40}") {
            if let Ok(kept) = read(&text) {
                prop_assert_eq!(read(&kept).unwrap(), kept);
            }
        }
    }
}
