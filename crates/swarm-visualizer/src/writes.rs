//! Whose actions are taken: this page's own, and nobody's who only got a browser to send something.
//!
//! A browser adds a password it knows, and reaches a loopback address, also for a web page from
//! elsewhere. So an action has to carry a key in a header, which the page reads from its own feed: another
//! page cannot read that, and may not set such a header. What a browser says of the asking page is looked
//! at besides. The key is of this process; the page gets the next one when it connects again.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::{HOST, HeaderName, ORIGIN};
use http::{HeaderMap, Uri};

/// The header of the key.
pub const HEADER: HeaderName = HeaderName::from_static("x-swarm-page");

/// What actions have to carry.
pub struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Why an action is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOurs {
    /// Another web page asks.
    Foreign,
    /// The key is not there, or is an old one.
    Key,
}

impl NotOurs {
    /// What a person is told.
    pub fn words(self) -> &'static str {
        match self {
            Self::Foreign => "another web page asked for this; only the page itself may",
            Self::Key => {
                "this action does not carry the page's key (header X-Swarm-Page), or an old one: the \
                 manager was started again; load the page again"
            }
        }
    }
}

impl Key {
    /// One that nobody can guess.
    pub fn new() -> Self {
        let bits: [u128; 2] = [rand::random(), rand::random()];
        Self(format!("{:032x}{:032x}", bits[0], bits[1]))
    }

    /// As the page is told.
    pub fn text(&self) -> String {
        self.0.clone()
    }

    /// Takes an action or not.
    pub fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), NotOurs> {
        if is_foreign(headers, uri) {
            return Err(NotOurs::Foreign);
        }
        let given = headers.get(HEADER).map(http::HeaderValue::as_bytes).unwrap_or_default();
        verify_slices_are_equal(self.0.as_bytes(), given).map_err(|_| NotOurs::Key)
    }
}

/// Whether a browser says that it is another page that asks. A proxy may have given the request another
/// host, so the browser's own judgement goes before the comparison of names; browsers give it over TLS and to
/// loopback addresses alone, and elsewhere the proxy says by what name it was asked (`X-Forwarded-Host`). Another
/// page could set that header no more than the key's.
fn is_foreign(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return site != "same-origin";
    }
    let Some(origin) = text(ORIGIN) else { return false };
    let host = uri.authority().map(http::uri::Authority::as_str).or_else(|| text(HOST));
    let asked = text(HeaderName::from_static("x-forwarded-host"));
    // The first of several proxies is the one that the browser asked.
    let asked = asked.map(|names| names.split(',').next().unwrap_or_default().trim());
    let Some((_, named)) = origin.split_once("://") else { return true };
    !host.into_iter().chain(asked).any(|host| host.eq_ignore_ascii_case(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &Key, headers: &[(&str, &str)]) -> Result<(), NotOurs> {
        let pairs = headers
            .iter()
            .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), value.parse().unwrap()));
        key.check(&pairs.collect(), &Uri::from_static("/"))
    }

    #[test]
    fn only_the_page_itself_with_its_key_is_taken() {
        let key = Key::new();
        let (own, other) = (key.text(), Key::new().text());
        assert_ne!(own, other);
        let host = ("host", "127.0.0.1:8080");
        let carried = ("x-swarm-page", own.as_str());
        for taken in [
            &[host, carried][..],
            &[host, carried, ("origin", "http://127.0.0.1:8080")],
            &[host, carried, ("sec-fetch-site", "same-origin"), ("origin", "https://proxy")],
            &[host, carried, ("origin", "http://Proxy:81"), ("x-forwarded-host", "proxy:81")],
            &[host, carried, ("origin", "http://a"), ("x-forwarded-host", "a , 10.0.0.9")],
        ] {
            assert_eq!(check(&key, taken), Ok(()), "{taken:?}");
        }
        for (refused, why) in [
            (&[host][..], NotOurs::Key),
            (&[host, ("x-swarm-page", &other)], NotOurs::Key),
            (&[host, ("x-swarm-page", "")], NotOurs::Key),
            (&[host, carried, ("origin", "http://evil.example")], NotOurs::Foreign),
            (&[host, carried, ("origin", "null")], NotOurs::Foreign),
            (
                &[host, carried, ("origin", "http://evil.example"), ("x-forwarded-host", "proxy")],
                NotOurs::Foreign,
            ),
            (
                &[host, carried, ("origin", "http://b"), ("x-forwarded-host", "a, b")],
                NotOurs::Foreign,
            ),
            (&[host, carried, ("origin", "http://127.0.0.1:8081")], NotOurs::Foreign),
            (&[host, carried, ("sec-fetch-site", "cross-site")], NotOurs::Foreign),
            (&[host, carried, ("sec-fetch-site", "same-site")], NotOurs::Foreign),
            (&[carried, ("origin", "http://127.0.0.1:8080")], NotOurs::Foreign),
        ] {
            assert_eq!(check(&key, refused), Err(why), "{refused:?}");
        }
        assert_eq!(format!("{key:?}"), "Key");
    }
}
