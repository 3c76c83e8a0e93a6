//! From flags, environment and file to a checked [`DaemonConfig`]. Flags win over the environment, and
//! that over the file.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;
use swarm_engine::{EngineAddress, PLAIN_PORT};
use swarm_metrics::statsd::StatsdConfig;
use swarm_model::service::host::grants;

use super::{Env, LOCAL_ENGINE, set, tls_paths};
use crate::cli::{DaemonFlags, PageArgs, RegistratorFlags, StatsdFlags, TlsFlags};
use crate::page::PageFlags;
use crate::statsd;
use crate::tls::TlsPaths;
use crate::usage::UsageError;
use crate::values::{Listen, listen, local_listen};

/// Where the node endpoint is by default.
const NODE_HOST: &str = "unix:///run/swarm/docker.sock";
/// Where the cluster endpoint is, where the node endpoint has no socket beside which it could be.
const CLUSTER_HOST: &str = "unix:///run/swarm/cluster.sock";
/// Its file's name there.
const CLUSTER_SOCKET: &str = "cluster.sock";
/// Where a node keeps what it has to.
pub const DATA_DIR: &str = "/var/lib/swarm";

/// What `swarm daemon` runs with.
#[derive(Debug)]
pub struct DaemonConfig {
    /// The engine.
    pub engine: EngineAddress,
    /// `--data-dir`.
    pub data_dir: PathBuf,
    /// Where the node endpoint is served.
    pub listen: Vec<Listen>,
    /// Where the cluster endpoint is served.
    pub cluster: Vec<Listen>,
    /// `--listen-addr`, as it was written.
    pub listen_addr: String,
    /// `--advertise-addr`, as it was written.
    pub advertise_addr: String,
    /// What services may ask of this machine beyond Docker's.
    pub allows: Vec<String>,
    /// `--manager`: `HOST:PORT` each.
    pub managers: Vec<String>,
    /// Where metrics are served: `HOST:PORT`.
    pub metrics: Option<String>,
    /// Where they are sent.
    pub statsd: Option<StatsdConfig>,
    /// Where and how this engine's services are registered.
    pub register: Option<RegistratorFlags>,
    /// Where the page is served.
    pub page: Option<PageFlags>,
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
    cluster_host: Vec<String>,
    listen_addr: Option<String>,
    advertise_addr: Option<String>,
    allow: Vec<String>,
    manager: Vec<String>,
    metrics_addr: Option<String>,
    statsd: Option<String>,
    statsd_format: Option<String>,
    statsd_interval: Option<String>,
    statsd_prefix: Option<String>,
    register: Option<String>,
    register_ip: Option<String>,
    ui: Option<String>,
    #[serde(rename = "ui-token-file")]
    ui_token: Option<String>,
    ui_write: Option<bool>,
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
        let hosts = given_as(flags.node_hosts, set(env, "SWARM_NODE_HOST"), file.node_host);
        let listen = addresses("--node-host", &hosts, NODE_HOST, &engine)?;
        let beside = listen.iter().find_map(|one| match one {
            Listen::Unix(socket) => Some(socket.with_file_name(CLUSTER_SOCKET)),
            Listen::Tcp(_) => None,
        });
        let usual = beside
            .map_or_else(|| CLUSTER_HOST.to_owned(), |path| format!("unix://{}", path.display()));
        let hosts =
            given_as(flags.cluster_hosts, set(env, "SWARM_CLUSTER_HOST"), file.cluster_host);
        let cluster = addresses("--cluster-host", &hosts, &usual, &engine)?;
        let allows = given_as(flags.allow, set(env, "SWARM_ALLOW"), file.allow);
        let allows = granted(&allows)?;
        if cluster.iter().any(|one| listen.contains(one)) {
            return Err(UsageError::value(
                "--cluster-host",
                &hosts.join(","),
                "the node endpoint is there; an address is one of the two",
            ));
        }
        let tls = TlsFlags {
            tls: flags.tls.tls || file.tls,
            tlsverify: flags.tls.tlsverify || file.tlsverify,
            tlscacert: flags.tls.tlscacert.or(file.tlscacert),
            tlscert: flags.tls.tlscert.or(file.tlscert),
            tlskey: flags.tls.tlskey.or(file.tlskey),
        };
        let tls = tls_paths(&tls)?;
        // A flag, or else the environment, or else the file, which is taken in as a flag.
        let or = |flag: Option<String>, name: &str, file: Option<String>| match set(env, name) {
            None => flag.or(file),
            Some(_) => flag,
        };
        let write = flags.page.ui_write;
        let page = PageArgs {
            ui: or(flags.page.ui, "SWARM_UI", file.ui),
            ui_token_file: or(flags.page.ui_token_file, "SWARM_UI_TOKEN_FILE", file.ui_token),
            ui_write: if set(env, "SWARM_UI_WRITE").is_some() {
                write
            } else {
                write.or(file.ui_write)
            },
        };
        let page = PageFlags::resolve(&page, tls.is_some(), env)?;
        let managers = [flags.managers, file.manager].into_iter().find(|all| !all.is_empty());
        let managers = managers.unwrap_or_default();
        let data_dir = given(flags.data_dir, "SWARM_DATA_DIR", file.data_dir);
        let sent = flags.statsd;
        let statsd = StatsdFlags {
            statsd: given(sent.statsd, "SWARM_STATSD", file.statsd),
            statsd_format: given(sent.statsd_format, "SWARM_STATSD_FORMAT", file.statsd_format),
            statsd_interval: given(
                sent.statsd_interval,
                "SWARM_STATSD_INTERVAL",
                file.statsd_interval,
            ),
            statsd_prefix: given(sent.statsd_prefix, "SWARM_STATSD_PREFIX", file.statsd_prefix),
        };
        let mut register = flags.register;
        register.register = given(register.register, "SWARM_REGISTER", file.register);
        if register.register.is_some() {
            register.register_ip = register.register_ip.or(file.register_ip);
        }
        // Other nodes reach this one there, and so its services.
        let advertise_addr = flags.advertise_addr.or(file.advertise_addr).unwrap_or_default();
        let register = register.given(Some(engine.to_string()), ip_of(&advertise_addr), env)?;
        let metrics = given(flags.metrics_addr, "SWARM_METRICS_ADDR", file.metrics_addr);
        Ok(Self {
            engine,
            data_dir: data_dir.unwrap_or_else(|| DATA_DIR.to_owned()).into(),
            listen,
            cluster,
            listen_addr: flags.listen_addr.or(file.listen_addr).unwrap_or_default(),
            advertise_addr,
            allows,
            managers: managers.iter().map(|one| swarm_node::identity::with_port(one)).collect(),
            metrics: metrics.map(|text| local_listen("--metrics-addr", &text)).transpose()?,
            statsd: statsd::resolve(&statsd, env)?,
            register,
            page,
            tls,
        })
    }
}

/// What services may ask for, as it is kept.
fn granted(allows: &[String]) -> Result<Vec<String>, UsageError> {
    let each = allows.iter().map(|text| {
        grants::grant(text).map_err(|wrong| UsageError::value("--allow", text, wrong.to_string()))
    });
    each.collect()
}

/// The address in `ADDRESS` or `ADDRESS:PORT`; none of an interface's name.
fn ip_of(text: &str) -> Option<String> {
    let ip = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|one| one.ip()));
    ip.ok().filter(|ip| !ip.is_loopback() && !ip.is_unspecified()).map(|ip| ip.to_string())
}

/// What was given: by flags, by a variable with commas, or in the file.
fn given_as(flags: Vec<String>, variable: Option<String>, file: Vec<String>) -> Vec<String> {
    let split = |all: String| {
        let each = all.split(',').map(|one| one.trim().to_owned());
        each.filter(|one| !one.is_empty()).collect()
    };
    let given = [flags, variable.map(split).unwrap_or_default(), file];
    given.into_iter().find(|hosts| !hosts.is_empty()).unwrap_or_default()
}

/// Where to listen: at `hosts`, or where there are none, as usual. Never on the engine's own socket.
fn addresses(
    flag: &str,
    hosts: &[String],
    usual: &str,
    engine: &EngineAddress,
) -> Result<Vec<Listen>, UsageError> {
    let given = hosts.iter().map(|text| listen(flag, text));
    let mut addresses = given.collect::<Result<Vec<_>, _>>()?;
    if addresses.is_empty() {
        addresses.push(listen(flag, usual)?);
    }
    if let EngineAddress::Unix(socket) = engine
        && addresses.contains(&Listen::Unix(socket.into()))
    {
        return Err(UsageError::value(
            flag,
            &hosts.join(","),
            "this is the engine's own socket; the daemon needs one of its own",
        ));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::RegisterFlags;

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
        assert!(plain.allows.is_empty());
        let flags = DaemonFlags {
            allow: vec!["device=/dev/fuse".to_owned()],
            config,
            node_hosts: vec!["tcp://127.0.0.1:1".to_owned()],
            ..DaemonFlags::default()
        };
        let both = resolve(flags, &[("SWARM_DATA_DIR", "/b"), ("SWARM_ALLOW", "all")]).unwrap();
        assert_eq!(both.allows, ["devices=/dev/fuse"]);
        assert_eq!(both.data_dir, PathBuf::from("/b"));
        assert_eq!(both.listen, [Listen::Tcp("127.0.0.1:1".to_owned())]);
        assert_eq!(both.engine.to_string(), "unix:///e");
        let none = resolve(DaemonFlags::default(), &[]).unwrap();
        assert_eq!(none.listen, [Listen::Unix("/run/swarm/docker.sock".into())]);
        assert_eq!(none.cluster, [Listen::Unix("/run/swarm/cluster.sock".into())]);
        assert_eq!(plain.cluster, [Listen::Unix("/cluster.sock".into())], "beside the other");
        assert_eq!(both.cluster, none.cluster);
        let variable = [("SWARM_CLUSTER_HOST", "unix:///a, tcp://127.0.0.1:2")];
        let two = resolve(DaemonFlags::default(), &variable).unwrap().cluster;
        assert_eq!(two, [Listen::Unix("/a".into()), Listen::Tcp("127.0.0.1:2".to_owned())]);
        assert_eq!(none.data_dir, PathBuf::from("/var/lib/swarm"));
        assert!(none.statsd.is_none());
    }

    #[test]
    fn statsd_is_as_the_flags_the_environment_or_the_file_say() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("daemon.toml");
        std::fs::write(&file, "statsd = \"s:1\"\nstatsd-prefix = \"a.b\"").unwrap();
        let config = Some(file.display().to_string());
        let variable = [("SWARM_STATSD_FORMAT", "dogstatsd")];
        let found = resolve(DaemonFlags { config, ..DaemonFlags::default() }, &variable).unwrap();
        let found = found.statsd.unwrap();
        assert_eq!((found.address.as_str(), found.prefix.as_str()), ("s:1", "a.b"));
        assert_eq!(found.dialect, swarm_metrics::statsd::Dialect::Dogstatsd);
        let wrong = StatsdFlags { statsd: Some("s".into()), ..StatsdFlags::default() };
        let wrong = DaemonFlags { statsd: wrong, ..DaemonFlags::default() };
        let error = resolve(wrong, &[]).unwrap_err().to_string();
        assert!(error.contains("--statsd \"s\": expected HOST:PORT"), "{error}");
    }

    #[test]
    fn services_are_registered_where_a_registry_is_named() {
        let register = |register: Option<&str>, advertise: &str, ip: Option<&str>| {
            let flags = RegisterFlags {
                register: register.map(str::to_owned),
                register_ip: ip.map(str::to_owned),
                ..RegisterFlags::default()
            };
            let advertise_addr = Some(advertise.to_owned());
            resolve(DaemonFlags { register: flags, advertise_addr, ..DaemonFlags::default() }, &[])
                .map(|config| config.register)
        };
        let consul = Some("consul://127.0.0.1:8500");
        assert!(register(None, "", None).unwrap().is_none());
        for (advertise, ip, expected) in [
            ("10.0.0.7:2377", None, Some("10.0.0.7")),
            ("fd00::7", None, Some("fd00::7")),
            ("eth0", None, None),
            ("127.0.0.1", None, None),
            ("10.0.0.7", Some("10.0.0.8"), Some("10.0.0.8")),
        ] {
            let found = register(consul, advertise, ip).unwrap().unwrap();
            assert_eq!(found.ip.as_deref(), expected, "{advertise}");
            assert_eq!(found.engine.as_deref(), Some("unix:///var/run/docker.sock"));
        }
        let error = register(None, "", Some("10.0.0.8")).unwrap_err().to_string();
        assert!(error.starts_with("--register-ip needs --register BACKEND"), "{error}");
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
            (
                DaemonFlags {
                    cluster_hosts: vec!["unix:///var/run/docker.sock".into()],
                    ..DaemonFlags::default()
                },
                "--cluster-host",
            ),
            (
                DaemonFlags {
                    cluster_hosts: vec!["unix:///run/swarm/docker.sock".into()],
                    ..DaemonFlags::default()
                },
                "the node endpoint is there",
            ),
            (
                DaemonFlags { allow: vec!["everything".into()], ..DaemonFlags::default() },
                "none of the settings",
            ),
        ];
        for (flags, words) in cases {
            let error = resolve(flags, &[]).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
