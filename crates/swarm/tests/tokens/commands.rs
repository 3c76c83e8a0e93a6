//! The commands as their users run them, each a process of its own.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use tokio::net::TcpListener;

use crate::daemon::Daemon;

const SOON: Duration = Duration::from_secs(20);

/// A running `swarm discovery`, and how its clients find it.
struct Serving {
    daemon: Daemon,
    url: String,
}

impl Serving {
    async fn start(directory: &Path, listen: &str) -> Self {
        let directory = directory.to_str().unwrap();
        let line = ["discovery", "--listen", listen, "--data-dir", directory];
        let daemon = Daemon::start(&line, &[]);
        let address = daemon.tcp_address().await;
        daemon.wait_for("serving tokens").await;
        Self { daemon, url: format!("http://{address}") }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("swarm"));
        command.env_clear().env("SWARM_DISCOVERY_URL", &self.url);
        command.args(arguments).timeout(SOON).output().unwrap()
    }

    fn output(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {log}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn wait_for_list(&self, url: &str, expected: &str) {
        let until = Instant::now() + SOON;
        loop {
            let list = self.output(&["list", url]);
            if list == expected {
                return;
            }
            assert!(Instant::now() < until, "{list:?} is not {expected:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_registers_lists_and_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(folder.path(), "127.0.0.1:0").await;
    let token = serving.output(&["create"]);
    assert!(token.len() == 33 && token.ends_with('\n'), "the token and nothing else: {token:?}");
    let url = format!("token://{}", token.trim());
    assert_eq!(serving.output(&["list", &url]), "");

    // An engine's address: somebody answers there.
    let engine = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = engine.local_addr().unwrap().to_string();
    let accepting = tokio::spawn(async move {
        while let Ok((mut asked, _)) = engine.accept().await {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut asked, answer).await;
        }
    });
    let join = ["join", "--advertise", &address, "--discovery-url", &serving.url, &url];
    let mut agent = Daemon::start(&join, &[]);
    serving.wait_for_list(&url, &format!("{address}\n")).await;
    assert!(!agent.log().contains(token.trim()), "the log gives no token away");

    let key = folder.path().join("owner.key");
    let key = key.to_str().unwrap();
    let table = serving.output(&["discovery", "list", "--owner-key-file", key]);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("TOKEN") && lines[1].starts_with(token.trim()), "{table}");
    assert_eq!(lines[2], format!("  {address}"));

    // The service is killed and comes back: the engine is there, and so is its agent.
    let listen = serving.url.strip_prefix("http://").unwrap().to_owned();
    serving.daemon.signal("KILL");
    serving.daemon.wait(SOON);
    let mut serving = Serving::start(folder.path(), &listen).await;
    serving.wait_for_list(&url, &format!("{address}\n")).await;

    agent.signal("TERM");
    assert_eq!(agent.wait(SOON), Some(0));
    assert_eq!(serving.output(&["list", &url]), "", "who leaves is taken out at once");
    accepting.abort();

    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "the-key-of-somebody-else").unwrap();
    let wrong = wrong.to_str().unwrap();
    let remove = |key| serving.run(&["discovery", "remove", "--owner-key-file", key, &url]);
    let refused = remove(wrong);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("for the owner of the service"));
    assert_eq!(remove(key).status.code(), Some(0));
    let gone = serving.run(&["list", &url]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("no such token"));

    serving.daemon.signal("TERM");
    assert_eq!(serving.daemon.wait(SOON), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_serves_one_and_an_open_door_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), "0.0.0.0:0").await;
    assert!(serving.daemon.log().contains("TOKENS CROSS THE NETWORK IN THE CLEAR"));
    let directory = folder.path().to_str().unwrap();
    let line = ["discovery", "--listen", "127.0.0.1:0", "--data-dir", directory];
    let second = serving.run(&line);
    assert_eq!(second.status.code(), Some(1));
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.contains("in use by another process"), "{words}");

    let damaged = tempfile::tempdir().unwrap();
    std::fs::write(damaged.path().join("tokens.redb"), "no store at all").unwrap();
    let directory = damaged.path().to_str().unwrap();
    let refused = serving.run(&["discovery", "--listen", "127.0.0.1:0", "--data-dir", directory]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("damaged") && words.contains("move it away"), "{words}");
}
