//! Where a token service is: `http://HOST:PORT` or `https://HOST:PORT`, or with a path where it
//! stands behind a proxy. Without a path its API is at `/v1`, as the public service's was.

use std::fmt;

use reqwest::Url;

use crate::DiscoveryError;

/// What an address looks like, for messages.
const FORM: &str = "expected https://HOST:PORT, or http:// where nobody listens in";
/// Without an address.
const NO_SITE: &str = "it does not say where the token service is (the public one is gone); run \
                       your own with 'swarm discovery' and give its address by --discovery-url, \
                       SWARM_DISCOVERY_URL or --discovery-opt token.url=https://HOST:PORT";

/// A token service's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site(Url);

impl Site {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, DiscoveryError> {
        // What was given may hold a password: it is not repeated.
        let wrong = |reason: &str| DiscoveryError::Url {
            url: "token service".to_owned(),
            reason: format!("{reason}; {FORM}"),
        };
        let mut url = Url::parse(text.trim()).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("its address is no HTTP address"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("its address holds a user or password, which it has no use for"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("its address holds a query"));
        }
        let path = match url.path().trim_end_matches('/') {
            "" => "/v1",
            path => path,
        };
        let path = path.to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Whether it is reached without TLS.
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The address of `clusters` below it, with the pieces behind, each written so that it is one.
    pub(crate) fn clusters(&self, pieces: &[&str]) -> Url {
        let mut url = self.0.clone();
        // It has a host, and so a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("clusters").extend(pieces);
        }
        url
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches("/v1"))
    }
}

/// Reads what stands behind `token://`. Classic's longer form names the service too, always by
/// HTTPS; `given` is its address from elsewhere.
pub(crate) fn read(rest: &str, given: Option<&str>) -> Result<(Site, String), DiscoveryError> {
    let wrong = |reason: &str| DiscoveryError::Url {
        url: "token://…".to_owned(),
        reason: reason.to_owned(),
    };
    let (place, id) = match rest.rsplit_once('/') {
        Some((place, id)) => (Some(place), id),
        None => (None, rest),
    };
    if id.is_empty() {
        return Err(wrong("it holds no token; expected token://TOKEN, made by 'swarm create'"));
    }
    // The public service's own test used "TEST_TOKEN": what a token looks like is its service's.
    if id.len() > 128
        || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Err(wrong("the token holds characters that no token has"));
    }
    // As a piece of an address they would name the folder itself, or the one above it.
    if matches!(id, "." | "..") {
        return Err(wrong("the token is only dots"));
    }
    let site = match (place, given) {
        (Some(_), Some(_)) => {
            return Err(wrong(
                "it names the token service, which is given elsewhere too; give one",
            ));
        }
        (Some(place), None) => Site::parse(&format!("https://{place}"))?,
        (None, Some(given)) => Site::parse(given)?,
        (None, None) => return Err(wrong(NO_SITE)),
    };
    Ok((site, id.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_in_every_form() {
        for (rest, given, clusters) in [
            ("abc", Some("http://h:1"), "http://h:1/v1/clusters/abc"),
            ("abc", Some(" https://h:1/ "), "https://h:1/v1/clusters/abc"),
            ("abc", Some("https://h/v1"), "https://h/v1/clusters/abc"),
            ("abc", Some("https://h/tokens/v1/"), "https://h/tokens/v1/clusters/abc"),
            ("h:1/v1/abc", None, "https://h:1/v1/clusters/abc"),
            ("h:1/abc", None, "https://h:1/v1/clusters/abc"),
            ("custom/path/token", None, "https://custom/path/clusters/token"),
            ("[::1]:1/abc", None, "https://[::1]:1/v1/clusters/abc"),
        ] {
            let (site, id) = read(rest, given).unwrap();
            assert_eq!(site.clusters(&[&id]).as_str(), clusters, "{rest} {given:?}");
        }
        let site = Site::parse("http://h:1").unwrap();
        assert_eq!(site.to_string(), "http://h:1");
        assert!(site.is_plain());
        assert_eq!(site.clusters(&["a", "[::1]:2"]).as_str(), "http://h:1/v1/clusters/a/[::1]:2");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_token() {
        for (rest, given, words) in [
            ("", Some("http://h"), "holds no token; expected token://TOKEN"),
            ("h:1/", None, "holds no token"),
            ("secret", None, "run your own with 'swarm discovery'"),
            ("h:1/secret", Some("http://h"), "given elsewhere too"),
            ("secret?x", Some("http://h"), "characters that no token has"),
            ("secret/.", None, "only dots"),
            ("..", Some("http://h/secret"), "only dots"),
            ("secret", Some("h:1"), "no HTTP address; expected https://HOST:PORT"),
            ("secret", Some("ftp://h"), "no HTTP address"),
            ("secret", Some("http://u:secret@h"), "holds a user or password"),
            ("secret", Some("http://h?secret"), "holds a query"),
            ("secret", Some("//"), "expected https://HOST:PORT"),
        ] {
            let error = read(rest, given).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("secret"), "{rest}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            rest in "[\\[\\]:0-9a-z.,/@?-]{0,40}|\\PC{0,40}",
            given in proptest::option::of("(http|https)://[\\[\\]:0-9a-z./@?-]{0,30}|\\PC{0,40}"),
        ) {
            if let Ok((site, id)) = read(&rest, given.as_deref()) {
                let end = format!("/clusters/{id}");
                prop_assert!(site.clusters(&[&id]).path().ends_with(&end));
            }
        }
    }
}
