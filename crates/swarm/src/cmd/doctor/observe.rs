//! Looking: at the engine, at `/proc` and `/sys`, at files of certificates, and by connecting to
//! nodes. Nothing is changed.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use swarm_docker::json::text;
use swarm_doctor::{Certificate, Engine, Failure, Host, Level, Reached, Space, Verdict, way_out};
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, EngineError, PLAIN_PORT};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// For each question to the engine.
const ANSWER: Duration = Duration::from_secs(5);
/// For one connection to a node.
const CONNECTION: Duration = Duration::from_secs(3);
/// Connections at a time.
const AT_ONCE: usize = 64;

/// Asks the engine; its id, where it answers.
pub(super) async fn engine(address: &EngineAddress) -> (Verdict, Option<String>) {
    let client = EngineClient::new(address.clone(), ClientOptions::default());
    let asked = async {
        let versions = client.negotiate(ANSWER).await?;
        let begun = SystemTime::now();
        let info: Value = client.get_json("/info", ANSWER).await?;
        let took = begun.elapsed().unwrap_or_default();
        let now = (begun + took / 2).duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        let versions = (versions.oldest, versions.newest);
        Ok::<_, EngineError>(Engine { address: address.to_string(), versions, info, now, took })
    };
    match asked.await {
        Ok(engine) => {
            let mut verdict = engine.judge();
            if let Some(space) = engine.info["DockerRootDir"].as_str().and_then(space) {
                verdict.join(space.judge());
            }
            (verdict, Some(text(&engine.info["ID"])))
        }
        Err(error) => (failure(&error).judge(&address.to_string(), &error.to_string()), None),
    }
}

fn failure(error: &EngineError) -> Failure {
    match error {
        EngineError::Connect(cause) => match cause.kind() {
            ErrorKind::NotFound => Failure::Missing,
            ErrorKind::ConnectionRefused => Failure::Refused,
            ErrorKind::PermissionDenied => Failure::Forbidden,
            _ => Failure::Unreachable,
        },
        EngineError::Version { .. } => Failure::Version,
        EngineError::Tls(_) => Failure::Tls,
        _ => Failure::Odd,
    }
}

/// Room in a folder; an engine behind a TCP address keeps its own elsewhere.
pub(super) fn space(folder: &str) -> Option<Space> {
    let kept = nix::sys::statvfs::statvfs(folder).ok()?;
    let percent = kept.blocks_available() * 100 / kept.blocks().max(1);
    Some(Space { folder: folder.to_owned(), percent })
}

/// Reads what the kernel shows below `root`.
pub(super) fn host(root: &Path) -> Host {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let size = |link: &str| read(&format!("sys/class/net/{link}/mtu")).trim().parse().ok();
    let has_rules = |names: &str| !read(&format!("proc/net/{names}")).trim().is_empty();
    let routes = read("proc/net/route");
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    Host {
        forwards: read("proc/sys/net/ipv4/ip_forward").trim() == "1",
        overlay: read("proc/filesystems")
            .lines()
            .any(|line| line.trim_end().ends_with("\toverlay")),
        legacy_rules: has_rules("ip_tables_names") || has_rules("ip6_tables_names"),
        // A part that is built in has no folder there, and stands in the list of symbols.
        nf_tables: root.join("sys/module/nf_tables").exists()
            || is_built_in(root, " nf_tables_newrule"),
        way_out: way_out(&routes).map(|device| (device.to_owned(), size(device))),
        containers: size("docker0"),
        open_files: limit.ok().map(|(_, most)| most),
    }
}

/// Whether the kernel lists this symbol. The list has some ten megabytes: it is read line by line.
fn is_built_in(root: &Path, symbol: &str) -> bool {
    let Ok(list) = std::fs::File::open(root.join("proc/kallsyms")) else { return false };
    BufReader::new(list).lines().map_while(Result::ok).any(|line| line.contains(symbol))
}

/// Reads the certificates of a file.
pub(super) fn certificates(file: &Path) -> Verdict {
    read(file, Certificate::judge)
}

/// The same of a file whose owner renews what is in it.
pub(super) fn renewed(file: &Path) -> Verdict {
    read(file, Certificate::judge_renewed)
}

/// A swarm's root, as its manager tells it.
pub(super) fn root(pem: &str) -> Verdict {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes());
    judged("the swarm's root", found.collect(), Certificate::judge)
}

fn read(file: &Path, judge: fn(&Certificate, i64) -> Verdict) -> Verdict {
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    judged(&file.display().to_string(), found, judge)
}

fn judged(
    shown: &str,
    read: Result<Vec<CertificateDer<'_>>, rustls::pki_types::pem::Error>,
    judge: fn(&Certificate, i64) -> Verdict,
) -> Verdict {
    let mut verdict = Verdict::new(String::new());
    let todo = "look at the path, at its mode, and at DOCKER_CERT_PATH";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    match read {
        Ok(none) if none.is_empty() => {
            verdict.find(Level::Critical, format!("{shown} holds no certificate"), todo);
        }
        Ok(certificates) => {
            for certificate in &certificates {
                let Ok((_, read)) = X509Certificate::from_der(certificate) else {
                    verdict.find(Level::Critical, format!("{shown} is damaged"), todo);
                    continue;
                };
                let validity = read.validity();
                let name = format!("{shown} ({})", read.subject());
                let (begins, ends) =
                    (validity.not_before.timestamp(), validity.not_after.timestamp());
                verdict.join(judge(&Certificate { name, begins, ends }, now));
            }
        }
        Err(error) => verdict.find(Level::Critical, format!("{shown}: {error}"), todo),
    }
    verdict
}

/// Connects to every node of a manager's list.
pub(super) async fn reach(nodes: &Value) -> Vec<Reached> {
    let nodes = nodes.as_array().map_or(&[][..], Vec::as_slice);
    let mut reached = Vec::with_capacity(nodes.len());
    for some in nodes.chunks(AT_ONCE) {
        let tried = some.iter().map(|node| async move {
            let address = text(&node["Status"]["Addr"]);
            Reached {
                name: text(&node["Spec"]["Name"]),
                state: text(&node["Status"]["State"]),
                version: text(&node["Description"]["Engine"]["EngineVersion"]),
                failure: connect(&address).await.err(),
                address,
            }
        });
        reached.extend(join_all(tried).await);
    }
    reached
}

/// Connects to every manager of a swarm, where the others reach it: those of a manager's `GET /nodes`, or
/// those that a worker knows.
pub(super) async fn managers(info: &Value, nodes: &Value) -> Vec<Reached> {
    let list = |answer: &Value| answer.as_array().cloned().unwrap_or_default();
    let named = list(nodes).into_iter().filter(|node| node["ManagerStatus"].is_object());
    let mut managers: Vec<_> = named
        .map(|node| (text(&node["Description"]["Hostname"]), text(&node["ManagerStatus"]["Addr"])))
        .collect();
    if managers.is_empty() {
        let known = list(&info["Swarm"]["RemoteManagers"]);
        managers = known.iter().map(|one| (text(&one["NodeID"]), text(&one["Addr"]))).collect();
    }
    let tried = managers.into_iter().map(|(name, address)| async move {
        let failure = connect(&address).await.err();
        Reached { name, state: String::new(), version: String::new(), failure, address }
    });
    join_all(tried).await
}

async fn connect(address: &str) -> Result<(), String> {
    let parsed = EngineAddress::parse(address, PLAIN_PORT).map_err(|error| error.to_string())?;
    let connecting = async {
        match &parsed {
            EngineAddress::Unix(path) => UnixStream::connect(path).await.map(drop),
            EngineAddress::Tcp { host, port } => {
                TcpStream::connect((host.as_str(), *port)).await.map(drop)
            }
            EngineAddress::Node { id, .. } => {
                Err(std::io::Error::other(format!("there is no way to node {id} from here")))
            }
        }
    };
    match timeout(CONNECTION, connecting).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {CONNECTION:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_shows_is_read() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/sys/net/ipv4/ip_forward", "1\n"),
            ("proc/filesystems", "nodev\tsysfs\nnodev\toverlay\n"),
            ("proc/net/ip6_tables_names", "filter\n"),
            ("proc/net/route", "Iface\neth0\t00000000\tx\t1\t0\t0\t0\t00000000\n"),
            ("proc/kallsyms", "0 T a\n0 t nf_tables_newrule\n"),
            ("sys/class/net/eth0/mtu", "1450\n"),
            ("sys/class/net/docker0/mtu", "1500\n"),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let seen = host(root.path());
        assert!(seen.forwards && seen.overlay && seen.legacy_rules && seen.nf_tables, "{seen:?}");
        assert_eq!(
            (seen.way_out, seen.containers),
            (Some(("eth0".into(), Some(1450))), Some(1500))
        );
        let bare = host(&root.path().join("nothing"));
        assert!(!bare.forwards && !bare.overlay && !bare.legacy_rules && !bare.nf_tables);
        assert_eq!((bare.way_out, bare.containers), (None, None));
    }

    #[test]
    fn files_are_read_and_what_is_no_certificate_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("cert.pem"), folder.path().join("bad.pem"));
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        std::fs::write(&good, made.pem()).unwrap();
        std::fs::write(&bad, "hello").unwrap();
        let words = certificates(&good).words();
        assert!(words.contains("cert.pem (CN=rcgen self signed cert) is good for "), "{words}");
        for (file, said) in [(bad, "bad.pem"), (folder.path().join("none.pem"), "none.pem")] {
            let verdict = certificates(&file);
            assert_eq!(verdict.level(), Level::Critical);
            assert!(verdict.words().contains(said), "{}", verdict.words());
            assert!(verdict.words().contains("DOCKER_CERT_PATH"), "{}", verdict.words());
        }
    }
}
