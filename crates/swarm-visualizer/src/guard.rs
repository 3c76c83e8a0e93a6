//! Who is let in: on a loopback address everybody on this machine, elsewhere who knows the token.
//!
//! A browser is asked for the token as a password (HTTP Basic, any user name), so that the page's
//! event streams, which can send no header of their own, carry it too; programs may send it as a
//! bearer token. Without a token a request must name this machine in numbers, or as localhost: a web
//! page somewhere else could have its own name lead to 127.0.0.1 and read along.

use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Uri};
use zeroize::Zeroizing;

/// Fewer characters could be guessed.
pub const SHORTEST: usize = 16;

/// The secret that lets in.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// A token as its file has it, without the white space around it; the error says what is wrong.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() < SHORTEST {
            return Err(format!("the token must have at least {SHORTEST} characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token must be one word of ASCII letters, digits and signs".to_owned());
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    fn is(&self, given: &[u8]) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), given).is_ok()
    }
}

/// The rule of one page.
#[derive(Debug, Clone)]
pub enum Guard {
    /// Everybody on this machine.
    Local,
    /// Who knows the token.
    Token(Token),
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// He has not given the token.
    Token,
    /// He asked for another machine by name.
    Host,
}

impl Guard {
    /// Lets a request in or not.
    pub fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Refused> {
        match self {
            Self::Token(token) => {
                let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
                given.filter(|given| shows(given, token)).map(drop).ok_or(Refused::Token)
            }
            Self::Local => {
                let header = headers.get(HOST).and_then(|value| value.to_str().ok());
                let host = uri.authority().map(http::uri::Authority::as_str).or(header);
                host.filter(|host| is_this_machine(host)).map(drop).ok_or(Refused::Host)
            }
        }
    }
}

fn shows(given: &str, token: &Token) -> bool {
    let Some((scheme, value)) = given.split_once(' ') else { return false };
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return token.is(value.as_bytes());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    let Ok(pair) = STANDARD.decode(value).map(Zeroizing::new) else { return false };
    let colon = pair.iter().position(|byte| *byte == b':');
    colon.is_some_and(|colon| token.is(&pair[colon + 1..]))
}

/// `localhost` or an address in numbers, with or without a port.
fn is_this_machine(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, "")) => name,
            Some((name, port)) if port.strip_prefix(':').is_some_and(is_port) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, name: http::header::HeaderName, value: &str) -> Result<(), Refused> {
        let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        guard.check(&headers, &Uri::from_static("/"))
    }

    #[test]
    fn without_a_token_only_this_machine_is_named() {
        for good in ["localhost", "localhost:80", "127.0.0.1:8080", "[::1]:80", "[::1]", "10.0.0.1"]
        {
            assert_eq!(check(&Guard::Local, HOST, good), Ok(()), "{good}");
        }
        for bad in ["evil.example", "evil.example:8080", "localhost.evil.example", "[::1", "a:b:c"]
        {
            assert_eq!(check(&Guard::Local, HOST, bad), Err(Refused::Host), "{bad}");
        }
        let none = Guard::Local.check(&HeaderMap::new(), &Uri::from_static("/"));
        assert_eq!(none, Err(Refused::Host));
    }

    #[test]
    fn with_a_token_it_must_be_shown() {
        let guard = Guard::Token(Token::new(" 0123456789abcdef\n").unwrap());
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for good in [
            "Bearer 0123456789abcdef",
            "bearer 0123456789abcdef",
            &basic("anyone:0123456789abcdef"),
            &basic(":0123456789abcdef"),
        ] {
            assert_eq!(check(&guard, AUTHORIZATION, good), Ok(()), "{good}");
        }
        for bad in [
            "Bearer 0123456789abcdeg",
            "Bearer",
            "0123456789abcdef",
            "Digest 0123456789abcdef",
            "Basic ???",
            &basic("0123456789abcdef"),
            &basic("0123456789abcdef:"),
        ] {
            assert_eq!(check(&guard, AUTHORIZATION, bad), Err(Refused::Token), "{bad}");
        }
        assert_eq!(check(&guard, HOST, "localhost"), Err(Refused::Token));
        assert!(Token::new("short").unwrap_err().contains("16"));
        assert!(Token::new("0123456789 abcdef").is_err());
        assert_eq!(format!("{guard:?}"), "Token(Token)");
    }
}
