//! Image references: `[domain/]path[:tag][@digest]`, read and written as Docker does.
//!
//! Source: the grammar of the distribution project's `reference` package. The familiar form leaves
//! out `docker.io/` and `library/`; the canonical one has both. Which image a user-given text names
//! (by reference, id or the start of an id) is [`ImageName`]'s business.

use std::fmt;

use crate::error::ApiError;

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
/// Longest domain and path together, in bytes.
const NAME_LIMIT: usize = 255;
/// Longest tag, in bytes.
const TAG_LIMIT: usize = 128;

/// A checked reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The registry, `docker.io` when none was named.
    pub domain: String,
    /// The repository in it; official images are under `library/`.
    pub path: String,
    /// The tag, where given.
    pub tag: Option<String>,
    /// The digest, where given.
    pub digest: Option<String>,
}

fn bad_format() -> ApiError {
    ApiError::invalid("invalid reference format")
}

impl Reference {
    /// Reads what a user types; a 400 in Docker's words when it is no reference.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        if is_id(text) {
            return Err(ApiError::invalid(format!(
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) if is_digest(digest) => (name, Some(digest.to_owned())),
            Some(_) => return Err(bad_format()),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => {
                if !is_tag(tag) {
                    return Err(bad_format());
                }
                (name, Some(tag.to_owned()))
            }
            _ => (name, None),
        };
        let (domain, path) = split_domain(name);
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ApiError::invalid(
                "invalid reference format: repository name must be lowercase",
            ));
        }
        if !is_domain(&domain) || !path.split('/').all(is_component) {
            return Err(bad_format());
        }
        if domain.len() + 1 + path.len() > NAME_LIMIT {
            return Err(ApiError::invalid("repository name must not be more than 255 characters"));
        }
        Ok(Self { domain, path, tag, digest })
    }

    /// A name and, apart from it, a tag or digest, as `POST /images/create` takes them.
    pub fn with_tag(name: &str, tag: &str) -> Result<Self, ApiError> {
        let mut reference = Self::parse(name)?;
        if is_digest(tag) {
            reference.digest = Some(tag.to_owned());
        } else if is_tag(tag) {
            reference.tag = Some(tag.to_owned());
        } else if !tag.is_empty() {
            return Err(bad_format());
        }
        Ok(reference)
    }

    /// `docker.io/library/busybox`.
    pub fn canonical_name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// `busybox`, `me/app`, `reg:5000/app`.
    pub fn familiar_name(&self) -> String {
        if self.domain == DEFAULT_DOMAIN {
            let official = self.path.strip_prefix(OFFICIAL).filter(|rest| !rest.contains('/'));
            official.unwrap_or(&self.path).to_owned()
        } else {
            self.canonical_name()
        }
    }

    /// The canonical name with tag and digest.
    pub fn canonical(&self) -> String {
        self.canonical_name() + &self.suffix()
    }

    /// The familiar name with tag and digest, as `docker images` shows it.
    pub fn familiar(&self) -> String {
        self.familiar_name() + &self.suffix()
    }

    /// With `latest` where neither tag nor digest was given.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    fn suffix(&self) -> String {
        let part = |mark: &str, text: &Option<String>| {
            text.as_ref().map_or_else(String::new, |text| [mark, text].concat())
        };
        part(":", &self.tag) + &part("@", &self.digest)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar())
    }
}

impl std::str::FromStr for Reference {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        Self::parse(text)
    }
}

/// How well an image fits what the user gave; better ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// The given text is the start of its id.
    IdPrefix,
    /// The given text names it.
    Name,
    /// The given text is its whole id.
    Id,
}

/// What a user calls an image, ready to be held against many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// Lower-case hexadecimal, without `sha256:`.
    id: Option<String>,
    tagged: Option<String>,
    digested: Option<String>,
}

impl ImageName {
    /// Reads a reference, an id (with or without `sha256:`) or the start of one.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let is_hex = !hex.is_empty() && hex.len() <= 64 && hex.bytes().all(is_lower_hex);
        let id = is_hex.then(|| hex.to_owned());
        let reference = match Reference::parse(text) {
            // `sha256:abc` reads as repository `sha256`, which Docker does not look up.
            Ok(_) if id.is_some() && hex.len() != text.len() => None,
            Ok(reference) => Some(reference.or_latest()),
            Err(_) if id.is_some() => None,
            Err(error) => return Err(error),
        };
        let digested = reference.as_ref().and_then(|reference| {
            let digest = reference.digest.as_ref()?;
            Some(format!("{}@{digest}", reference.familiar_name()))
        });
        let tagged = reference.filter(|reference| reference.digest.is_none());
        Ok(Self { id, tagged: tagged.map(|reference| reference.familiar()), digested })
    }

    /// How well an image with this id, these `RepoTags` and `RepoDigests` fits.
    pub fn fit<'a>(
        &self,
        id: &str,
        tags: impl IntoIterator<Item = &'a str>,
        digests: impl IntoIterator<Item = &'a str>,
    ) -> Option<Fit> {
        let hex = id.strip_prefix("sha256:").unwrap_or(id);
        if self.id.as_deref() == Some(hex) {
            return Some(Fit::Id);
        }
        let tagged = self.tagged.as_deref();
        let digested = self.digested.as_deref();
        if tags.into_iter().any(|tag| Some(tag) == tagged)
            || digests.into_iter().any(|digest| Some(digest) == digested)
        {
            return Some(Fit::Name);
        }
        let prefix = self.id.as_deref().is_some_and(|prefix| hex.starts_with(prefix));
        prefix.then_some(Fit::IdPrefix)
    }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_lower_hex)
}

fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, name),
    };
    let domain = if domain == LEGACY_DOMAIN { DEFAULT_DOMAIN } else { domain };
    let official = domain == DEFAULT_DOMAIN && !path.contains('/');
    let path = if official { [OFFICIAL, path].concat() } else { path.to_owned() };
    (domain.to_owned(), path)
}

/// Letters and digits, single inner separators: `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().copied().is_some_and(word) && bytes.last().copied().is_some_and(word);
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends && separators
        .filter(|part| !part.is_empty())
        .all(|part| matches!(part, "." | "_" | "__") || part.bytes().all(|b| b == b'-'))
}

/// A host name, IPv4 or bracketed IPv6 address, with an optional port.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, rest)) => {
            let six = inner.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            return six && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    host.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= TAG_LIMIT
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// `algorithm:hex`, at least 32 digits.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let part = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(part)
        && hex.len() >= 32
        && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_have_a_familiar_and_a_canonical_form() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, familiar, canonical) in [
            ("busybox", "busybox", "docker.io/library/busybox"),
            ("busybox:1.36", "busybox:1.36", "docker.io/library/busybox:1.36"),
            ("docker.io/library/busybox", "busybox", "docker.io/library/busybox"),
            ("index.docker.io/me/app", "me/app", "docker.io/me/app"),
            ("localhost/app:x", "localhost/app:x", "localhost/app:x"),
            ("reg:5000/a/b_c__d---e.f", "reg:5000/a/b_c__d---e.f", "reg:5000/a/b_c__d---e.f"),
            ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
            (
                &format!("app:1@{digest}"),
                &format!("app:1@{digest}"),
                &format!("docker.io/library/app:1@{digest}"),
            ),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(reference.familiar(), familiar, "{text}");
            assert_eq!(reference.canonical(), canonical, "{text}");
        }
        assert_eq!(Reference::parse("busybox").unwrap().or_latest().familiar(), "busybox:latest");
        assert_eq!(Reference::with_tag("a", &digest).unwrap().familiar(), format!("a@{digest}"));
    }

    #[test]
    fn bad_references_are_refused_in_docker_words() {
        for text in [
            "",
            ":x",
            "a:",
            "a//b",
            "a b",
            "-a",
            "a_",
            "a___b",
            "a..b",
            "a@sha256:00",
            "a/",
            "http://a/b",
            "../etc",
        ] {
            let error = Reference::parse(text).unwrap_err();
            assert_eq!(
                (error.status().as_u16(), error.message.as_str()),
                (400, "invalid reference format"),
                "{text}"
            );
        }
        let message = |text: &str| Reference::parse(text).unwrap_err().message;
        assert_eq!(
            message("Busybox"),
            "invalid reference format: repository name must be lowercase"
        );
        assert_eq!(
            message(&"a".repeat(256)),
            "repository name must not be more than 255 characters"
        );
        assert!(message(&"a".repeat(64)).starts_with("invalid repository name (aaa"));
    }

    #[test]
    fn an_image_is_found_by_name_digest_or_id() {
        let id = format!("sha256:abc{}", "0".repeat(61));
        let digest = format!("app@sha256:{}", "1".repeat(64));
        let fit = |text: &str| {
            let name = ImageName::parse(text).unwrap();
            name.fit(&id, ["app:latest", "reg:5000/app:2"], [digest.as_str()])
        };
        for (text, expected) in [
            ("app", Some(Fit::Name)),
            ("docker.io/library/app:latest", Some(Fit::Name)),
            ("reg:5000/app:2", Some(Fit::Name)),
            ("reg:5000/app", None),
            (digest.as_str(), Some(Fit::Name)),
            (id.as_str(), Some(Fit::Id)),
            ("abc", Some(Fit::IdPrefix)),
            ("sha256:abc0", Some(Fit::IdPrefix)),
            ("abd", None),
        ] {
            assert_eq!(fit(text), expected, "{text}");
        }
        assert!(ImageName::parse("../x").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[a-cA/:@._-]{0,20}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&reference.canonical()).unwrap(), reference.clone());
                prop_assert_eq!(Reference::parse(&reference.familiar()).unwrap(), reference);
            }
            let _ = ImageName::parse(&text);
        }
    }
}
