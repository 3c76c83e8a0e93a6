//! From flags, environment and file to a checked [`DaemonConfig`]. Flags win over the environment, and
//! that over the file.

use std::path::PathBuf;

use serde::Deserialize;
use swarm_engine::{EngineAddress, PLAIN_PORT};

use super::{Env, LOCAL_ENGINE, set, tls_paths};
use crate::cli::{DaemonFlags, TlsFlags};
use crate::tls::TlsPaths;
use crate::usage::UsageError;
use crate::values::{Listen, listen, local_listen};

/// Where the node endpoint is by default.
const NODE_HOST: &str = "unix:///run/swarm/docker.sock";
/// Where a node keeps what it has to.
const DATA_DIR: &str = "/var/lib/swarm";

/// What `swarm daemon` runs with.
#[derive(Debug)]
pub struct DaemonConfig {
    /// The engine.
    pub engine: EngineAddress,
    /// `--data-dir`.
    pub data_dir: PathBuf,
    /// Where the node endpoint is served.
    pub listen: Vec<Listen>,
    /// `--listen-addr`, as it was written.
    pub listen_addr: String,
    /// `--advertise-addr`, as it was written.
    pub advertise_addr: String,
    /// Where metrics are served: `HOST:PORT`.
    pub metrics: Option<String>,
    /// TLS of `tcp://` addresses.
    pub tls: Option<TlsPaths>,
}

/// The file of `--config`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct File {
    engine: Option<String>,
    data_dir: Option<String>,
    node_host: Vec<String>,
    listen_addr: Option<String>,
    advertise_addr: Option<String>,
    metrics_addr: Option<String>,
    tls: bool,
    tlsverify: bool,
    tlscacert: Option<String>,
    tlscert: Option<String>,
    tlskey: Option<String>,
}

impl File {
    fn read(path: &str) -> Result<Self, UsageError> {
        let wrong = |problem: String| UsageError::value("--config", path, problem);
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        toml::from_str(&text).map_err(|error| wrong(error.to_string()))
    }
}

impl DaemonConfig {
    /// Checks what was given.
    pub fn resolve(flags: DaemonFlags, env: Env<'_>) -> Result<Self, UsageError> {
        let named = flags.config.or_else(|| set(env, "SWARM_CONFIG"));
        let file = named.map(|path| File::read(&path)).transpose()?.unwrap_or_default();
        let given = |flag: Option<String>, variable: &str, file: Option<String>| {
            let flag = flag.filter(|text| !text.trim().is_empty());
            flag.or_else(|| set(env, variable)).or(file)
        };
        let engine = given(flags.engine, "SWARM_ENGINE", file.engine);
        let engine = engine.unwrap_or_else(|| LOCAL_ENGINE.to_owned());
        let engine = EngineAddress::parse(&engine, PLAIN_PORT)
            .map_err(|error| UsageError::value("--engine", &engine, error.to_string()))?;
        if !matches!(engine, EngineAddress::Unix(_)) {
            return Err(UsageError::value(
                "--engine",
                &engine.to_string(),
                "the engine has to be this machine's own, by its socket: unix:///PATH",
            ));
        }
        let variable = set(env, "SWARM_NODE_HOST").into_iter();
        let variable = variable
            .flat_map(|all| all.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>());
        let hosts =
            [flags.node_hosts, variable.collect(), file.node_host, vec![NODE_HOST.to_owned()]];
        let hosts = hosts.into_iter().find(|hosts| !hosts.is_empty()).unwrap_or_default();
        let listen: Vec<_> =
            hosts.iter().map(|text| listen("--node-host", text)).collect::<Result<_, _>>()?;
        if let EngineAddress::Unix(socket) = &engine
            && listen.contains(&Listen::Unix(socket.into()))
        {
            return Err(UsageError::value(
                "--node-host",
                &hosts.join(","),
                "this is the engine's own socket; the daemon needs one of its own",
            ));
        }
        let tls = TlsFlags {
            tls: flags.tls.tls || file.tls,
            tlsverify: flags.tls.tlsverify || file.tlsverify,
            tlscacert: flags.tls.tlscacert.or(file.tlscacert),
            tlscert: flags.tls.tlscert.or(file.tlscert),
            tlskey: flags.tls.tlskey.or(file.tlskey),
        };
        let data_dir = given(flags.data_dir, "SWARM_DATA_DIR", file.data_dir);
        let metrics = given(flags.metrics_addr, "SWARM_METRICS_ADDR", file.metrics_addr);
        Ok(Self {
            engine,
            data_dir: data_dir.unwrap_or_else(|| DATA_DIR.to_owned()).into(),
            listen,
            listen_addr: flags.listen_addr.or(file.listen_addr).unwrap_or_default(),
            advertise_addr: flags.advertise_addr.or(file.advertise_addr).unwrap_or_default(),
            metrics: metrics.map(|text| local_listen("--metrics-addr", &text)).transpose()?,
            tls: tls_paths(&tls)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: DaemonFlags, env: &[(&str, &str)]) -> Result<DaemonConfig, UsageError> {
        let env = |name: &str| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        DaemonConfig::resolve(flags, &env)
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("daemon.toml");
        std::fs::write(
            &file,
            "data-dir = \"/a\"\nnode-host = [\"unix:///a.sock\"]\nengine = \"unix:///e\"",
        )
        .unwrap();
        let config = Some(file.display().to_string());
        let plain = resolve(DaemonFlags { config: config.clone(), ..DaemonFlags::default() }, &[]);
        let plain = plain.unwrap();
        assert_eq!(plain.data_dir, PathBuf::from("/a"));
        assert_eq!(plain.listen, [Listen::Unix("/a.sock".into())]);
        let flags = DaemonFlags {
            config,
            node_hosts: vec!["tcp://127.0.0.1:1".to_owned()],
            ..DaemonFlags::default()
        };
        let both = resolve(flags, &[("SWARM_DATA_DIR", "/b")]).unwrap();
        assert_eq!(both.data_dir, PathBuf::from("/b"));
        assert_eq!(both.listen, [Listen::Tcp("127.0.0.1:1".to_owned())]);
        assert_eq!(both.engine.to_string(), "unix:///e");
        let none = resolve(DaemonFlags::default(), &[]).unwrap();
        assert_eq!(none.listen, [Listen::Unix("/run/swarm/docker.sock".into())]);
        assert_eq!(none.data_dir, PathBuf::from("/var/lib/swarm"));
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("daemon.toml");
        std::fs::write(&file, "node-hosts = []").unwrap();
        let file = file.display().to_string();
        let cases = [
            (DaemonFlags { config: Some(file), ..DaemonFlags::default() }, "node-hosts"),
            (
                DaemonFlags { config: Some("/not/there".into()), ..DaemonFlags::default() },
                "No such",
            ),
            (
                DaemonFlags { engine: Some("tcp://h:2375".into()), ..DaemonFlags::default() },
                "its socket",
            ),
            (
                DaemonFlags {
                    node_hosts: vec!["unix:///var/run/docker.sock".into()],
                    ..DaemonFlags::default()
                },
                "the engine's own socket",
            ),
        ];
        for (flags, words) in cases {
            let error = resolve(flags, &[]).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
