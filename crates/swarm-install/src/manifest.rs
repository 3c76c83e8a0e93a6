//! What `swarm up` put on a machine, kept there in `/etc/swarm/up.json`: `swarm down` removes this and
//! nothing else.

use serde::{Deserialize, Serialize};

/// The only form so far.
const FORMAT: u32 = 1;

/// What is on a machine by `swarm up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// The cluster's name.
    pub cluster: String,
    /// The version that was put there.
    pub version: String,
    /// Files that were put there.
    pub files: Vec<String>,
    /// Folders that were not there before.
    pub folders: Vec<String>,
    /// Its node in the swarm, once it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The endpoint that it serves on TCP, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Its part in a pool, where it is in one instead of a swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Part>,
}

/// A machine's part in a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where others reach it.
    pub address: String,
    /// The port of the pool's API, the same on all managers.
    pub port: u16,
    /// Where the pool's managers are, those that began first.
    pub managers: Vec<String>,
    /// Goes up whenever the managers change: of several machines' lists the newest counts.
    pub generation: u64,
}

impl Part {
    /// Whether it is one of the managers.
    pub fn manages(&self) -> bool {
        self.managers.contains(&self.address)
    }
}

/// An endpoint on TCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its port.
    pub port: u16,
    /// SHA-256 of the authority's certificate; empty while it is planned.
    pub authority: String,
    /// For what addresses and names its certificate is good.
    pub names: Vec<String>,
    /// When its certificate ends, in seconds since 1970; 0 while it is planned.
    pub ends: i64,
}

impl Manifest {
    /// A new one.
    pub fn new(cluster: &str, version: &str) -> Self {
        Self {
            format: FORMAT,
            cluster: cluster.to_owned(),
            version: version.to_owned(),
            files: Vec::new(),
            folders: Vec::new(),
            node: None,
            endpoint: None,
            pool: None,
        }
    }

    /// Reads one; `None` where this version cannot.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|manifest: &Self| manifest.format == FORMAT)
    }

    /// Notes a file.
    pub fn add_file(&mut self, file: &str) {
        if !self.files.iter().any(|known| known == file) {
            self.files.push(file.to_owned());
        }
    }

    /// As it is kept.
    pub fn text(&self) -> String {
        // Strings and numbers alone: it cannot fail.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use swarm_testkit::forms::{Form, check};

    use super::*;

    fn form(name: &'static str, manifest: &Manifest) -> Form<'static> {
        Form::named(name, manifest.text().into_bytes(), |bytes| {
            let read = Manifest::read(std::str::from_utf8(bytes)?).context("it is not read")?;
            Ok(read.text().into_bytes())
        })
    }

    #[test]
    fn what_released_versions_noted_is_read() {
        let mut manifest = Manifest::new("prod", "0.1.0");
        manifest.add_file("/usr/local/bin/swarm");
        manifest.folders.push("/etc/swarm".into());
        manifest.node = Some("nhtb4v64nex8r51c01gqdadvi".into());
        manifest.endpoint = Some(Endpoint {
            port: 3376,
            authority: "08b5".into(),
            names: vec!["h1".into(), "10.0.0.11".into()],
            ends: 1_795_800_000,
        });
        let mut in_pool = Manifest::new("prod", "0.1.0");
        in_pool.pool = Some(Part {
            address: "10.0.0.11".into(),
            port: 3376,
            managers: vec!["10.0.0.11".into()],
            generation: 2,
        });
        let forms = [form("manifest", &manifest), form("manifest of a pool", &in_pool)];
        check(env!("CARGO_MANIFEST_DIR"), env!("CARGO_PKG_VERSION"), &forms).unwrap();
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut manifest = Manifest::new("prod", "0.1.0");
        manifest.files.push("/usr/local/bin/swarm".into());
        assert_eq!(Manifest::read(&manifest.text()), Some(manifest.clone()));
        // As a script sends it: on one line.
        assert_eq!(Manifest::read(&manifest.text().replace('\n', "")), Some(manifest));
        assert_eq!(Manifest::read("{\"format\":2}"), None);
        assert_eq!(Manifest::read(""), None);
    }
}
