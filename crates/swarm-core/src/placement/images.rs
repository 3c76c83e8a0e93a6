//! What images an engine has, as far as placement asks: is this one here, does any name match.
//!
//! Names are kept as the engine lists them (`RepoTags`, `RepoDigests`), so `redis:7` and never
//! `docker.io/library/redis:7`; look-ups shorten what they are asked for in the same way.
//!
//! Invariant: ids are bare hexadecimal digits, sorted, without repeats.

use std::collections::HashSet;

use super::expr::Expr;

/// Shortest id prefix taken for an id: what `docker images` prints.
const SHORT_ID: usize = 12;

/// The images of one engine; built once per change and shared behind an `Arc`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageIndex {
    ids: Vec<Box<str>>,
    names: HashSet<Box<str>>,
    repositories: HashSet<Box<str>>,
}

impl ImageIndex {
    /// Adds one image: its id (with or without `sha256:`) and its `RepoTags` and `RepoDigests`;
    /// `<none>` entries are left out.
    pub fn insert<'a>(&mut self, id: &str, names: impl IntoIterator<Item = &'a str>) {
        let id = bare_id(id);
        if let Err(at) = self.ids.binary_search_by(|known| (**known).cmp(id)) {
            self.ids.insert(at, id.into());
        }
        for name in names.into_iter().filter(|name| !name.contains("<none>")) {
            self.names.insert(name.into());
            self.repositories.insert(repository(name).into());
        }
    }

    /// Whether the engine has this very image and would not pull it: an id, a short id, or a
    /// reference, where no tag means `latest`.
    pub fn has(&self, reference: &str) -> bool {
        let reference = familiar(reference);
        if self.has_id(reference) {
            return true;
        }
        let tagged = repository(reference).len() < reference.len();
        if tagged {
            self.names.contains(reference)
        } else {
            self.names.contains(format!("{reference}:latest").as_str())
        }
    }

    /// Whether an affinity's value covers an id, a name or a repository here.
    pub fn covered_by(&self, expr: &Expr) -> bool {
        let Some(value) = expr.exact() else {
            let names = self.names.iter().chain(&self.repositories);
            return names.map(|name| &**name).any(|name| expr.covers(name))
                || self.ids.iter().any(|id| expr.covers(id) || expr.covers(&full_id(id)));
        };
        let value = familiar(value);
        self.names.contains(value) || self.repositories.contains(value) || self.has_id(value)
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn has_id(&self, text: &str) -> bool {
        let wanted = bare_id(text);
        if wanted.len() < SHORT_ID || !wanted.bytes().all(|b| b.is_ascii_hexdigit()) {
            return false;
        }
        let at = self.ids.partition_point(|id| &**id < wanted);
        self.ids.get(at).is_some_and(|id| id.starts_with(wanted))
    }
}

fn bare_id(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

fn full_id(id: &str) -> String {
    format!("sha256:{id}")
}

/// `repo[:tag][@digest]` without tag and digest; a colon before the last slash is a port.
fn repository(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name.get(last..).and_then(|part| part.find(':')) {
        Some(colon) => name.get(..last + colon).unwrap_or(name),
        None => name,
    }
}

/// The name as engines list it: `docker.io/library/redis` is `redis`.
fn familiar(reference: &str) -> &str {
    let short = reference
        .strip_prefix("docker.io/")
        .or_else(|| reference.strip_prefix("index.docker.io/"))
        .unwrap_or(reference);
    match short.strip_prefix("library/") {
        Some(official) if !official.contains('/') => official,
        _ => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> ImageIndex {
        let mut index = ImageIndex::default();
        index.insert(
            "sha256:0123456789abcdef0123456789abcdef",
            ["redis:7", "redis@sha256:aa", "localhost:5000/team/app:v1", "<none>:<none>"],
        );
        index.insert("sha256:ffff456789abcdef", ["busybox:latest"]);
        index
    }

    #[test]
    fn the_very_image_is_found_by_reference_and_id() {
        let index = index();
        for here in [
            "redis:7",
            "docker.io/library/redis:7",
            "library/redis:7",
            "redis@sha256:aa",
            "busybox",
            "localhost:5000/team/app:v1",
            "0123456789ab",
            "sha256:0123456789abcdef0123456789abcdef",
        ] {
            assert!(index.has(here), "{here}");
        }
        for absent in ["redis", "redis:8", "0123456789", "localhost:5000/team/app", "x/redis:7", ""]
        {
            assert!(!index.has(absent), "{absent}");
        }
    }

    #[test]
    fn an_affinity_also_takes_the_bare_repository_and_patterns() {
        let index = index();
        for value in
            ["redis", "redis:7", "docker.io/library/redis", "localhost:5000/team/app", "*team*"]
        {
            let expr = Expr::parse(&format!("image=={value}")).unwrap();
            assert!(index.covered_by(&expr), "{value}");
        }
        for value in ["redi", "nginx", "/^bus$/"] {
            let expr = Expr::parse(&format!("image=={value}")).unwrap();
            assert!(!index.covered_by(&expr), "{value}");
        }
    }
}
