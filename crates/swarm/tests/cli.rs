//! The command line from outside: help, exit codes, what goes to which stream.
#![allow(clippy::unwrap_used)] // A test's helpers may fail as its tests may.

use std::process::Output;

use assert_cmd::Command;

/// Runs `swarm` with nothing of this process's environment that could steer it.
fn swarm(arguments: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("swarm"));
    for name in [
        "SWARM_HOST",
        "SWARM_DISCOVERY",
        "SWARM_DISCOVERY_URL",
        "SWARM_ADVERTISE",
        "SWARM_STRATEGY",
        "DOCKER_HOST",
        "DEBUG",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    command.args(arguments).timeout(std::time::Duration::from_secs(20)).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_reader_that_left_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("swarm"));
    let output = command.stdout(writer).output().unwrap();
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}

#[test]
fn a_docker_context_names_the_manager_and_a_failure_is_said_once() {
    let home = tempfile::tempdir().unwrap();
    let docker = home.path().join(".docker");
    // What `docker context create pool` and `docker context use pool` leave behind.
    let pool = "contexts/meta/27cac5503836765cd10751d27ab4a6e17d7a80d4c948430a5a81513973f9b51e";
    std::fs::create_dir_all(docker.join(pool)).unwrap();
    std::fs::write(docker.join("config.json"), r#"{"currentContext":"pool"}"#).unwrap();
    let meta = r#"{"Name":"pool","Endpoints":{"docker":{"Host":"unix:///not/there.sock"}}}"#;
    std::fs::write(docker.join(pool).join("meta.json"), meta).unwrap();
    let ask = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("swarm"));
        command.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT").env("HOME", home.path());
        let command = command.envs(variables.iter().copied()).arg("status").args(arguments);
        let output = command.timeout(std::time::Duration::from_secs(20)).output().unwrap();
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        stdout(&output)
    };
    let words = ask(&[], &[]);
    let expected =
        "unix:///not/there.sock: cannot connect: No such file or directory (os error 2)\n";
    assert!(words.contains(expected), "{words}");
    // As with the docker command, who names a host means it.
    let host = [("DOCKER_HOST", "unix:///other.sock"), ("DOCKER_CONTEXT", "pool")];
    assert!(ask(&host, &[]).contains("unix:///other.sock"));
    assert!(ask(&[], &["-H", "unix:///flag.sock"]).contains("unix:///flag.sock"));
}

#[test]
fn help_is_printed_and_is_no_error() {
    let table: &[(&[&str], &[&str])] = &[
        (&[], &["manage", "join", "list", "create", "completion", "Usage: swarm"]),
        (&["--help"], &["[alias: m]", "[alias: j]", "[alias: l]", "[alias: c]"]),
        (&["help"], &["Try it on a machine with Docker"]),
        (&["-help"], &["Usage: swarm"]),
        (
            &["manage", "--help"],
            &[
                "Placement:",
                "TLS:",
                "Engines:",
                "API:",
                "High availability:",
                "Logging:",
                "Examples:",
                "swarm.overcommit=0.05",
                "[env: SWARM_HOST]",
                "file:///etc/swarm/pool",
            ],
        ),
        (&["m", "-h"], &["--engine-refresh-min-interval <DURATION>", "[default: 30s]"]),
        (&["help", "manage"], &["--tlsverify", "--container-name-refresh-filter"]),
        (&["j", "--help"], &["--ttl", "[default: 180s]", "--delay", "[env: SWARM_ADVERTISE]"]),
        (&["l", "--help"], &["--timeout", "[default: 10s]", "[env: SWARM_DISCOVERY]"]),
        (&["c", "--help"], &["token", "--discovery-url", "[env: SWARM_DISCOVERY_URL]"]),
        (&["discovery", "--help"], &["--data-dir", "[default: 720h]", "list", "remove"]),
        (&["discovery", "list", "--help"], &["--owner-key-file", "--discovery-url"]),
        (
            &["registrator", "--help"],
            &["consulkv://HOST:PORT", "--ttl-refresh", "[default: 60s]", "SERVICE_80_NAME"],
        ),
        (&["completion", "--help"], &["bash", "zsh", "fish"]),
    ];
    for (arguments, words) in table {
        let output = swarm(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
        // Lines are wrapped to the terminal: words are looked for, not lines.
        let text = stdout(&output).split_whitespace().collect::<Vec<_>>().join(" ");
        for word in *words {
            assert!(text.contains(word), "{arguments:?} lacks {word:?}:\n{text}");
        }
    }
}

#[test]
fn every_flag_of_classic_swarm_is_in_the_help() {
    const MANAGE: [&str; 24] = [
        "--host",
        "-H",
        "--strategy",
        "--filter",
        "-f",
        "--replication",
        "--replication-ttl",
        "--advertise",
        "--addr",
        "--tls",
        "--tlsverify",
        "--tlscacert",
        "--tlscert",
        "--tlskey",
        "--heartbeat",
        "--engine-refresh-min-interval",
        "--engine-refresh-max-interval",
        "--engine-failure-retry",
        "--api-enable-cors",
        "--cors",
        "--cluster-driver",
        "--cluster-opt",
        "--discovery-opt",
        "--refresh-on-node-filter",
    ];
    let text = stdout(&swarm(&["manage", "--help"]));
    for flag in MANAGE {
        assert!(text.contains(flag), "{flag} is missing:\n{text}");
    }
}

#[test]
fn the_version_is_told_as_classic_told_it() {
    for flag in ["--version", "-version", "-v"] {
        let output = swarm(&[flag]);
        assert_eq!(code(&output), 0);
        assert_eq!(stdout(&output), format!("swarm version {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_says_why() {
    let table: &[(&[&str], &str)] = &[
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (&["manage", "--nope"], "unexpected argument '--nope'"),
        (&["manage", "a:1", "b:2"], "unexpected argument 'b:2'"),
        (&["manage", "--tls=perhaps", "a:1"], "expected true or false"),
        (&["-l", "loud", "list", "a:1"], "--log-level \"loud\": expected debug, info"),
        (&["--log-format", "xml", "list", "a:1"], "--log-format \"xml\": expected text or json"),
        (&["m", "-engine-failure-retry", "x", "a:1"], "--engine-failure-retry \"x\""),
        (&["m", "--replication", "a:1"], "--advertise address must be provided"),
        (&["m", "etcd://"], "it names no server"),
        (&["m", "gopher://h/x"], "unknown scheme \"gopher\"; known are nodes://"),
        (&["m", "10.0.0.[9:1]:2375"], "the range [9:1], which runs backwards"),
        (&["m", "h[0:70000]:2375"], "more than 65536 addresses"),
        (&["list"], "discovery required to list a cluster"),
        (&["list", "--timeout", "0s", "a:1"], "--timeout should be a positive number"),
        (&["list", "token://abc"], "run your own with 'swarm discovery'"),
        (&["list", "--discovery-url", "http://h", "a:1"], "only token://TOKEN has a token service"),
        (&["list", "--discovery-url", "h:1", "token://abc"], "expected https://HOST:PORT"),
        (&["list", "--discovery-opt", "kv.path=x", "token://h/abc"], "kv.path: unknown option"),
        (&["create"], "run one with 'swarm discovery' and give its address by --discovery-url"),
        (&["create", "--discovery-url", "gopher://h"], "expected https://HOST:PORT"),
        (&["discovery", "--listen", "unix:///x"], "--listen \"unix:///x\": expected tcp://HOST"),
        (&["discovery", "--expire", "10s"], "expected one minute or more"),
        (&["discovery", "--tlscert", "c"], "--tlscert and --tlskey go together"),
        (&["discovery", "--tlscacert", "c"], "--tlscacert needs both"),
        (&["discovery", "list"], "--owner-key-file <FILE>"),
        (&["discovery", "list", "--owner-key-file", "k"], "discovery list needs a token service"),
        (&["join", "--advertise", "a:1"], "discovery required to join a cluster"),
        (&["join", "a:1"], "missing mandatory --advertise"),
        (&["join", "--advertise", "x", "a:1"], "ip:port or hostname:port"),
        (&["join", "--ttl", "60s", "--advertise", "a:1", "a:1"], "strictly superior"),
        (&["join", "--advertise", "a:1", "consul://"], "it names no server"),
        (&["registrator"], "<BACKEND>"),
        (&["registrator", "zk://h:1"], "BACKEND \"zk://h:1\": expected consul://HOST:PORT"),
        (&["registrator", "consul://"], "it names no server"),
        (&["registrator", "consul://a,b"], "services belong to one agent"),
        (&["registrator", "consul://a/x"], "Consul's catalogue has no prefixes"),
        (&["registrator", "--ip", "10.0.0.1", "--internal", "etcd://a"], "cannot be used with"),
        (&["registrator", "--ip", "here", "etcd://a"], "--ip \"here\": expected an IP address"),
        (&["registrator", "--ttl", "2s", "etcd://a"], "--ttl \"2s\": expected 3s or more"),
        (&["registrator", "--ttl", "9s", "--ttl-refresh", "9s", "etcd://a"], "less than --ttl"),
        (&["registrator", "--resync", "0", "etcd://a"], "--resync \"0\": expected 1s or more"),
        (&["registrator", "--deregister", "no", "etcd://a"], "expected always or on-success"),
        (&["registrator", "--on-stop", "no", "etcd://a"], "expected leave or deregister"),
        (&["registrator", "--hostname", "a/b", "etcd://a"], "--hostname \"a/b\": expected letters"),
        (&["registrator", "--cleanup", "etcd://a"], "--cleanup is for consul://"),
        (
            &["registrator", "--engine", "x://y", "--ip", "10.0.0.1", "etcd://a"],
            "--engine \"x://y\"",
        ),
        (&["registrator", "etcd://127.0.0.1"], "give --ip ADDRESS"),
        (&["create", "extra"], "unexpected argument 'extra'"),
        (&["completion", "tcsh"], "[possible values: bash, zsh, fish]"),
    ];
    for (arguments, words) in table {
        let output = swarm(arguments);
        let text = stderr(&output);
        assert_eq!(code(&output), 2, "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?} lacks {words:?}:\n{text}");
        assert_says_nothing_twice(&text);
        assert!(output.stdout.is_empty(), "{arguments:?}: an error is not output");
    }
}

#[test]
fn what_fails_while_running_ends_with_1_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("file://{}/pool", folder.path().display());
    let file = folder.path().join("plain");
    std::fs::write(&file, "").unwrap();
    let socket = format!("unix://{}", file.display());
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("tcp://{}", busy.local_addr().unwrap());
    let path = file.to_str().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let table: &[(&[&str], &str)] = &[
        (&["create", "--discovery-url", "http://127.0.0.1:1"], "127.0.0.1:1 does not answer"),
        (
            &["discovery", "--listen", &taken, "--data-dir", data],
            "cannot listen on tcp://127.0.0.1",
        ),
        (&["discovery", "--listen", "127.0.0.1:0", "--data-dir", path], "data directory"),
        (
            &["discovery", "--listen", "127.0.0.1:0", "--data-dir", data, "--owner-key-file", path],
            "expected one line of 16 characters",
        ),
        (&["registrator", "etcd://no.invalid"], "cannot tell this host's address towards"),
        (&["list", &missing], "cannot read discovery file"),
        (&["join", "--advertise", "a:1", "nodes://a:1"], "a fixed set of engines without registr"),
        (&["join", "--addr", "a:1", &missing], "write the address into the file instead"),
        (&["manage", "-H", &socket, "a:1"], "there is a file that is no socket"),
        (&["manage", "-H", &taken, "a:1"], "cannot listen on tcp://127.0.0.1"),
        (&["manage", "--tls", "--tlscert", path, "--tlskey", path, "a:1"], path),
    ];
    for (arguments, words) in table {
        let output = swarm(arguments);
        let text = stderr(&output);
        assert_eq!(code(&output), 1, "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?} lacks {words:?}:\n{text}");
        assert_says_nothing_twice(&text);
        assert!(output.stdout.is_empty(), "{arguments:?}: an error is not output");
    }
    assert!(file.exists(), "a file that is no socket is left where it is");
}

/// The cause of an error stands in its own words or behind them, not in both places.
fn assert_says_nothing_twice(text: &str) {
    let text = text.trim_end();
    for (at, _) in text.match_indices(": ") {
        assert!(!text[..at].ends_with(&text[at + 2..]), "said twice: {text}");
    }
}

#[test]
fn list_prints_one_engine_per_line() {
    let folder = tempfile::tempdir().unwrap();
    let pool = folder.path().join("pool");
    std::fs::write(&pool, "# lab\n10.0.0.[1:2]:2375\n\n[::1]:2375 # six\n").unwrap();
    let url = format!("file://{}", pool.display());
    let expected = "10.0.0.1:2375\n10.0.0.2:2375\n[::1]:2375\n";
    for arguments in [
        &["list", &url][..],
        &["l", "--discovery", &url],
        &["-debug", "list", "-timeout", "5s", "10.0.0.[1:2]:2375,[::1]:2375"],
    ] {
        let output = swarm(arguments);
        assert_eq!((code(&output), stdout(&output).as_str()), (0, expected), "{arguments:?}");
    }
    std::fs::write(&pool, "10.0.0.1:2375\nnot an address\n").unwrap();
    let output = swarm(&["list", &url]);
    assert_eq!(code(&output), 1);
    let named = format!("{}:2: \"not an address\" has no valid port", pool.display());
    assert!(stderr(&output).contains(&named), "{}", stderr(&output));
}

#[test]
fn completion_knows_commands_and_flags() {
    for (shell, words) in [
        ("bash", ["manage", "--engine-refresh-min-interval", "complete"]),
        ("zsh", ["manage", "--engine-refresh-min-interval", "#compdef swarm"]),
        ("fish", ["manage", "engine-refresh-min-interval", "complete -c swarm"]),
    ] {
        let output = swarm(&["completion", shell]);
        assert_eq!(code(&output), 0);
        for word in words {
            assert!(stdout(&output).contains(word), "{shell} lacks {word:?}");
        }
    }
}

#[test]
fn input_and_output_are_joined_with_a_socket() {
    use std::io::{Read as _, Write as _};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let served = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut asked = String::new();
        // Its input's end is passed on, and its output goes on after that.
        client.read_to_string(&mut asked).unwrap();
        client.write_all(format!("you said {asked}").as_bytes()).unwrap();
    });
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("swarm"));
    let output = command.arg("dial-stdio").arg(&path).write_stdin("hello").output().unwrap();
    served.join().unwrap();
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "you said hello"));
    let output = swarm(&["dial-stdio", "/no/such.sock"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("no daemon at /no/such.sock"), "{}", stderr(&output));
}

#[test]
fn machines_are_checked_before_any_is_reached() {
    for (arguments, words) in [
        (&["up", "-oProxyCommand=x"][..], "unexpected argument"),
        (&["up", "--", "-oProxyCommand=x"], "a dash"),
        (&["up", "h1:22"], "ssh://USER@HOST:PORT"),
        (&["up"], "required"),
        (&["up", "--managers", "0", "h1"], "1 or more"),
        (&["up", "--advertise-addr", "h2=a", "h1"], "none of the machines"),
        (&["up", "--binary", "/no/such", "h1"], "/no/such"),
        (&["up", "--ssh", " ", "h1"], "it is empty"),
        (&["down", "--manager", "h1", "root@h1"], "a manager that stays"),
    ] {
        let output = swarm(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn an_interrupted_swarm_up_leaves_no_connection_behind() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, Instant};

    let folder = tempfile::tempdir().unwrap();
    let (ssh, asked) = (folder.path().join("ssh"), folder.path().join("asked"));
    // It tells what it was asked, and is as slow as a machine that does not answer.
    let text = format!(
        "#!/bin/sh\necho \"$*\" >>{}\n[ \"$1\" != -O ] || exit 0\nexec sleep 60\n",
        asked.display()
    );
    std::fs::write(&ssh, text).unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("swarm"));
    command
        .args(["up", "--ssh", &ssh.display().to_string(), "h1"])
        .stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let begun = Instant::now();
    let words = loop {
        let words = std::fs::read_to_string(&asked).unwrap_or_default();
        if words.ends_with('\n') {
            break words;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "ssh was not begun");
        std::thread::sleep(Duration::from_millis(10));
    };
    let path = words.split("ControlPath=").nth(1).unwrap().split(' ').next().unwrap();
    let sockets = std::path::Path::new(path).parent().unwrap();
    assert!(sockets.is_dir());
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("interrupted; what was done stays"), "{}", stderr(&output));
    assert!(std::fs::read_to_string(&asked).unwrap().contains("-O exit"));
    assert!(!sockets.exists(), "{}", sockets.display());
}
