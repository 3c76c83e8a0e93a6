//! Tables over `swarm manage`'s flags: defaults, environment, and every refusal's words.

use std::collections::HashMap;

use clap::Parser;

use super::*;
use swarm_model::Policy;

use crate::cli::{Cli, Command};

fn resolve_with(line: &[&str], variables: &[(&str, &str)]) -> Result<ManageConfig, UsageError> {
    let words = ["swarm", "manage"].iter().chain(line);
    let Some(Command::Manage(flags)) = Cli::try_parse_from(words).unwrap().command else {
        unreachable!("the command is manage")
    };
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    ManageConfig::resolve(*flags, &|name| variables.get(name).map(ToString::to_string))
}

/// The engines that the command line names.
fn described(config: &ManageConfig) -> String {
    config.discovery.as_ref().unwrap().describe()
}

fn resolve(line: &[&str]) -> Result<ManageConfig, UsageError> {
    resolve_with(line, &[])
}

#[test]
fn the_defaults_are_classics() {
    let config = resolve(&["a:1"]).unwrap();
    assert_eq!(config.listen, [Listen::Tcp("127.0.0.1:2375".to_owned())]);
    assert_eq!(described(&config), "a:1");
    assert_eq!(config.strategy.name(), "spread");
    assert_eq!(config.filters, FilterSet::default());
    assert_eq!((config.cluster.overcommit, config.cluster.create_retries), (0.05, 0));
    assert_eq!(config.cluster.reschedule.policy, Policy::Off);
    assert_eq!(config.refresh, (Duration::from_secs(30), Duration::from_mins(1)));
    assert_eq!(config.failure_retries, 3);
    assert_eq!(config.tls, None);
    assert!(!config.cors && !config.refresh_on_node_filter && config.refresh_on_name.is_none());
    assert!(config.notes.is_empty());
}

#[test]
fn every_flag_reaches_the_configuration() {
    let config = resolve(&[
        "-H",
        "unix:///s",
        "--host",
        "tcp://:0",
        "--strategy",
        "binpack",
        "-f",
        "health",
        "--filter",
        "port",
        "--cors",
        "-c",
        "swarm",
        "--cluster-opt",
        "swarm.overcommit=-0.5",
        "--cluster-opt",
        "swarm.createretry=2",
        "--engine-refresh-min-interval",
        "1m30s",
        "--engine-refresh-max-interval",
        "2m",
        "--engine-failure-retry",
        "5",
        "--engine-refresh-retry",
        "3",
        "--refresh-on-node-filter",
        "--container-name-refresh-filter",
        "web",
        "--tls=false",
        "--discovery",
        "file:///pool",
    ])
    .unwrap();
    assert_eq!(config.listen, [Listen::Unix("/s".into()), Listen::Tcp("0.0.0.0:0".to_owned())]);
    assert_eq!(config.strategy.name(), "binpack");
    assert_eq!(config.filters.to_string(), "health, port");
    assert!(config.cors && config.refresh_on_node_filter);
    assert_eq!((config.cluster.overcommit, config.cluster.create_retries), (-0.5, 2));
    assert_eq!(config.refresh, (Duration::from_secs(90), Duration::from_mins(2)));
    assert_eq!(config.failure_retries, 5);
    assert_eq!(config.refresh_on_name.as_deref(), Some("web"));
    assert_eq!(described(&config), "file:///pool");
    assert!(config.notes[0].contains("uses less than its engines have"));
}

#[test]
fn the_environment_counts_where_no_flag_does() {
    let variables = [
        ("SWARM_HOST", "tcp://127.0.0.1:1, unix:///s"),
        ("SWARM_DISCOVERY", "a:1"),
        ("SWARM_STRATEGY", "random"),
        ("SWARM_ADVERTISE", "b:2"),
    ];
    let config = resolve_with(&[], &variables).unwrap();
    assert_eq!(config.listen.len(), 2);
    assert_eq!(described(&config), "a:1");
    assert_eq!(config.strategy.name(), "random");
    assert_eq!(config.notes, ["SWARM_ADVERTISE has no effect without --replication"]);
    let config =
        resolve_with(&["-H", "unix:///x", "--strategy", "spread", "c:3"], &variables).unwrap();
    assert_eq!(config.listen, [Listen::Unix("/x".into())]);
    assert_eq!((described(&config).as_str(), config.strategy.name()), ("c:3", "spread"));
    // Set but empty is not set.
    let empty = variables.map(|(name, _)| (name, ""));
    let config = resolve_with(&["d:4"], &empty).unwrap();
    assert_eq!(config.listen, [Listen::Tcp("127.0.0.1:2375".to_owned())]);
    let error = resolve_with(&["a:1"], &[("SWARM_HOST", "nowhere")]).unwrap_err().to_string();
    assert!(error.starts_with("SWARM_HOST \"nowhere\": expected"), "{error}");
}

#[test]
fn without_discovery_the_local_engine_is_the_pool() {
    let local = "unix:///var/run/docker.sock";
    let table = [
        ("", local),
        ("unix:///run/other.sock", "unix:///run/other.sock"),
        ("tcp://engine:2375", "tcp://engine:2375"),
        // The manager's own address is no engine.
        ("tcp://127.0.0.1:2375", local),
    ];
    for (docker_host, expected) in table {
        let config = resolve_with(&[], &[("DOCKER_HOST", docker_host)]).unwrap();
        assert_eq!(described(&config), expected, "{docker_host}");
        assert!(config.engine_tls.is_none());
    }
    let error = resolve_with(&[], &[("DOCKER_HOST", "ssh://me@there")]).unwrap_err().to_string();
    assert!(error.contains("DOCKER_HOST \"ssh://me@there\"") && error.contains("DISCOVERY"));
    let variables = [
        ("DOCKER_HOST", "tcp://engine:2376"),
        ("DOCKER_TLS_VERIFY", "1"),
        ("DOCKER_CERT_PATH", "/certs"),
    ];
    let tls = resolve_with(&[], &variables).unwrap().engine_tls.unwrap();
    assert_eq!((tls.ca, tls.verify), (Some("/certs/ca.pem".into()), true));
}

#[test]
fn tls_needs_the_files_that_classic_needs() {
    const FILES: [&str; 4] = ["--tlscert", "c", "--tlskey", "k"];
    let table: &[(&[&str], &str)] = &[
        (&["--tls"], "--tlscert and --tlskey must be provided when using --tls"),
        (&["--tls", "--tlscert", "c"], "--tlscert and --tlskey must be provided"),
        (&["--tlsverify", "--tlscacert", "a"], "--tlscert and --tlskey must be provided"),
        (&["--tlskey", "k"], "require the use of either --tls or --tlsverify"),
        (&["--tlscacert", "a", "--tls=false"], "require the use of either"),
    ];
    for (line, words) in table {
        let error = resolve(line).unwrap_err().to_string();
        assert!(error.contains(words), "{line:?}: {error}");
    }
    let error = resolve(&[&["--tlsverify"], &FILES[..]].concat()).unwrap_err().to_string();
    assert_eq!(error, "--tlscacert must be provided when using --tlsverify");
    let tls = resolve(&[&["--tls"], &FILES[..]].concat()).unwrap().tls.unwrap();
    assert!(!tls.verify && tls.ca.is_none());
    let all = [&["--tlsverify", "--tlscacert", "a"], &FILES[..]].concat();
    assert!(resolve(&all).unwrap().tls.unwrap().verify);
}

#[test]
fn every_refusal_names_the_flag_the_value_and_what_was_expected() {
    let table: &[(&[&str], &[&str])] = &[
        (&["--heartbeat", "x"], &["--heartbeat \"x\"", "expected a duration"]),
        (&["--heartbeat", "500ms"], &["--heartbeat \"500ms\"", "at least one second"]),
        (
            &["--engine-refresh-min-interval", "0s"],
            &["--engine-refresh-min-interval \"0s\"", "min refresh interval should be a positive"],
        ),
        (
            &["--engine-refresh-min-interval", "-10s"],
            &["\"-10s\"", "min refresh interval should be a positive number"],
        ),
        (
            &["--engine-refresh-max-interval", "20s"],
            &["\"20s\"", "max refresh interval cannot be less than min refresh interval"],
        ),
        (
            &["--engine-refresh-max-interval", "-30s"],
            &["max refresh interval cannot be less than min refresh interval"],
        ),
        (&["--engine-failure-retry", "0"], &["\"0\"", "invalid failure retry count"]),
        (&["--engine-failure-retry", "-1"], &["\"-1\"", "invalid failure retry count"]),
        (&["--engine-refresh-retry", "5"], &["deprecated. Use --engine-failure-retry"]),
        (&["--strategy", "best"], &["--strategy \"best\"", "spread"]),
        (&["--filter", "colour"], &["--filter \"colour\"", "containerslots"]),
        (&["-c", "mesos-experimental"], &["--cluster-driver \"mesos-experimental\"", "swarm"]),
        (&["--cluster-opt", "x"], &["--cluster-opt \"x\"", "expected KEY=VALUE"]),
        (&["--cluster-opt", "x=1"], &["\"x=1\"", "known are swarm.overcommit, swarm.createretry"]),
        (
            &["--cluster-opt", "swarm.overcommit=-2"],
            &["swarm.overcommit should be larger than -1, -2.000000 is invalid"],
        ),
        (&["--cluster-opt", "swarm.overcommit=NaN"], &["expected a number"]),
        (
            &["--cluster-opt", "swarm.createretry=-1"],
            &["swarm.createretry can not be negative, -1 is invalid"],
        ),
        (&["--cluster-opt", "swarm.createretry=many"], &["expected a whole number"]),
        (&["--cluster-opt", "kv.path=x"], &["kv.path", "are for consul, etcd and zookeeper"]),
        (&["--discovery-opt", "x"], &["--discovery-opt \"x\"", "expected KEY=VALUE"]),
        (&["--discovery", "b:2"], &["given twice: \"a:1\" and --discovery \"b:2\""]),
        (&["--replication"], &["--advertise address must be provided when using --replication"]),
        (
            &["--replication", "--advertise", "m:1"],
            &["only supported with consul, etcd and zookeeper", "a list of engines has no store"],
        ),
        (&["--replication-ttl", "0s"], &["--replication-ttl \"0s\"", "a positive number"]),
        (&["--replication-ttl", "-5s"], &["--replication-ttl \"-5s\"", "a positive number"]),
        (&["--replication-ttl", "10ms"], &["--replication-ttl \"10ms\"", "one second or more"]),
        (&["--replication-ttl", "20"], &["--replication-ttl \"20\"", "expected a duration"]),
        (&["--advertise", "x"], &["--advertise \"x\"", "ip:port or hostname:port"]),
        (&["-H", "http://x"], &["--host \"http://x\"", "expected tcp://HOST:PORT"]),
    ];
    for (line, words) in table {
        let error = resolve(&[&["a:1"], *line].concat()).unwrap_err().to_string();
        for word in *words {
            assert!(error.contains(word), "{line:?} lacks {word:?}: {error}");
        }
    }
    let error = resolve(&["consul://"]).unwrap_err().to_string();
    assert!(error.contains("it names no server"), "{error}");
}

#[test]
fn replication_needs_an_address_and_a_store() {
    let read = |url: &str, line: &[&str], variables: &[(&str, &str)]| {
        let words = ["swarm", "manage", "--replication"].iter().chain(line);
        let Some(Command::Manage(flags)) = Cli::try_parse_from(words).unwrap().command else {
            unreachable!("the command is manage")
        };
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let env = |name: &str| variables.get(name).map(ToString::to_string);
        let url = (!url.is_empty()).then_some(url);
        replication(&flags, url, &env, &mut Vec::new())
    };
    let advertised = |ttl, advertise: &str| {
        Some(Replication { ttl: Duration::from_secs(ttl), advertise: advertise.to_owned() })
    };
    let to = ["--advertise", "10.0.0.1:2375"];
    for url in ["consul://c/p", "etcd://a:1,b:2/p", "ZK://z"] {
        assert_eq!(read(url, &to, &[]).unwrap(), advertised(20, "10.0.0.1:2375"), "{url}");
    }
    let line = ["--replication-ttl", "1m", "--addr", "m2:2375"];
    assert_eq!(read("zk://z", &line, &[]).unwrap(), advertised(60, "m2:2375"));
    let variable = [("SWARM_ADVERTISE", "m3:2375")];
    assert_eq!(read("etcd://e", &[], &variable).unwrap(), advertised(20, "m3:2375"));
    for (url, words) in [
        ("", "without a DISCOVERY there is no store"),
        ("nodes://a:1", "a list of engines has no store"),
        ("a:1,b:2", "a list of engines has no store"),
        ("file:///pool", "file:// has no store"),
        ("token://0123", "token:// has no store"),
    ] {
        let error = read(url, &to, &[]).unwrap_err().to_string();
        assert!(error.contains(words), "{url}: {error}");
    }
    let notes = resolve(&["--replication-ttl", "30s", "--advertise", "m:1", "a:1"]).unwrap().notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
}

/// What docker-machine's `--swarm`, `--swarm-master` and `--swarm-opt` options start
/// (`libmachine/provision/configure_swarm.go`).
#[test]
fn the_lines_that_docker_machine_makes_are_taken() {
    let master = [
        "--tlsverify",
        "--tlscacert=/etc/docker/ca.pem",
        "--tlscert=/etc/docker/server.pem",
        "--tlskey=/etc/docker/server-key.pem",
        "-H",
        "tcp://0.0.0.0:3376",
        "--strategy",
        "spread",
        "--advertise",
        "192.168.99.100:2376",
    ];
    let config = resolve(&[&master[..], &["consul://192.168.99.1:8500/pool"]].concat()).unwrap();
    assert_eq!(config.listen, [Listen::Tcp("0.0.0.0:3376".to_owned())]);
    assert!(config.tls.is_some());
    assert!(config.replication.is_none(), "one that advertises itself is no replica by that");
    let options = ["--replication", "--heartbeat=5s", "consul://192.168.99.1:8500/pool"];
    let config = resolve(&[&master[..], &options[..]].concat()).unwrap();
    assert_eq!(config.replication.unwrap().advertise, "192.168.99.100:2376");
    let worker = ["join", "--advertise", "192.168.99.101:2376", "consul://192.168.99.1:8500/pool"];
    let Some(Command::Join(_)) =
        Cli::try_parse_from(["swarm"].iter().chain(&worker)).unwrap().command
    else {
        unreachable!("the command is join")
    };
}

#[test]
fn what_becomes_of_containers_whose_engine_fails_is_a_cluster_option() {
    let resolved = |option: &str| resolve(&["--cluster-opt", option, "a:1"]);
    let policy = resolved("swarm.reschedule=on-node-failure").unwrap().cluster.reschedule.policy;
    assert_eq!(policy, Policy::OnNodeFailure);
    let grace = resolved("swarm.reschedule.grace=3s").unwrap().cluster.reschedule.grace;
    assert_eq!(grace, Duration::from_secs(3));
    for (option, words) in [
        (
            "swarm.reschedule=always",
            "expected off, on-node-failure or on-node-failure-with-volumes",
        ),
        ("swarm.reschedule.stale=burn", "expected remove or keep"),
        ("swarm.reschedule.grace=soon", "expected a duration"),
    ] {
        let error = resolved(option).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn where_the_state_is_kept() {
    let store = |line: &[&str]| resolve(line).map(|config| config.store);
    assert!(matches!(store(&["a:1"]).unwrap(), Choice::Memory));
    let Choice::Embedded(flags) = store(&["--data-dir", "/d", "a:1"]).unwrap() else {
        unreachable!("a folder was given")
    };
    assert_eq!((flags.data_dir.to_str(), flags.listen), (Some("/d"), None));
    assert!(matches!(store(&["consul://c/p"]).unwrap(), Choice::Shared(_)));
    // Engines that join, and not the one beside it.
    let own = resolve(&["--data-dir", "/d", "--store-listen", "h:2378", "swarm://"]).unwrap();
    assert!(matches!(own.store, Choice::Embedded(_)) && own.discovery.is_none());
    for (line, words) in [
        (&["--store-join", "m:1", "a:1"][..], "go together"),
        (&["--store-join", "m:1", "--store-token-file", "f", "a:1"][..], "--store-listen"),
        (&["swarm://m:1"][..], "kv.tokenfile"),
        (&["swarm://"][..], "give --store-listen"),
        (&["--data-dir", "/d", "--store-leave", "a:1"][..], "--store-leave is for managers"),
        (
            &["--store-listen", "h:1", "--discovery-opt", "kv.path=x", "swarm://"][..],
            "swarm:// takes no options",
        ),
        (&["consul://"][..], "names no server"),
        (&["consul://c", "--discovery-opt", "kv.pth=x"][..], "unknown option; known are kv.path"),
    ] {
        let error = store(line).unwrap_err().to_string();
        assert!(error.contains(words), "{line:?}: {error}");
    }
}

#[test]
fn metrics_are_sent_where_and_how_it_is_asked() {
    use swarm_metrics::statsd::Dialect;
    assert_eq!(resolve(&["a:1"]).unwrap().statsd, None);
    let found = resolve(&["--statsd", "stats.example:8125", "a:1"]).unwrap().statsd.unwrap();
    assert_eq!((found.address.as_str(), found.prefix.as_str()), ("stats.example:8125", "swarm"));
    assert_eq!((found.dialect, found.interval), (Dialect::Statsd, Duration::from_secs(10)));
    let variables = [
        ("SWARM_STATSD", "[::1]:8125"),
        ("SWARM_STATSD_FORMAT", "dogstatsd"),
        ("SWARM_STATSD_INTERVAL", "1m"),
        ("SWARM_STATSD_PREFIX", "dc1.swarm"),
    ];
    let found = resolve_with(&["a:1"], &variables).unwrap().statsd.unwrap();
    assert_eq!((found.address.as_str(), found.prefix.as_str()), ("[::1]:8125", "dc1.swarm"));
    assert_eq!((found.dialect, found.interval), (Dialect::Dogstatsd, Duration::from_mins(1)));
    for (line, words) in [
        (["--statsd", "stats"], "expected HOST:PORT, such as 127.0.0.1:8125"),
        (["--statsd", "udp://stats:1"], "expected HOST:PORT"),
        (["--statsd", "unix:///s"], "expected HOST:PORT"),
        (["--statsd-prefix", "x"], "--statsd-prefix needs --statsd HOST:PORT"),
        (["--statsd-format", "statsd"], "--statsd-format needs --statsd HOST:PORT"),
        (["--statsd-interval", "9s"], "--statsd-interval needs --statsd HOST:PORT"),
    ] {
        let error = resolve(&[line[0], line[1], "a:1"]).unwrap_err().to_string();
        assert!(error.contains(words), "{line:?}: {error}");
    }
    for (flag, value, words) in [
        ("--statsd-format", "graphite", "expected statsd or dogstatsd"),
        ("--statsd-interval", "500ms", "expected 1s or more"),
        ("--statsd-interval", "often", "expected a duration"),
        ("--statsd-prefix", "a..b", "expected words of letters"),
        ("--statsd-prefix", "a:b", "expected words of letters"),
    ] {
        let error = resolve(&["--statsd", "s:1", flag, value, "a:1"]).unwrap_err().to_string();
        assert!(error.contains(words), "{flag} {value}: {error}");
    }
}
