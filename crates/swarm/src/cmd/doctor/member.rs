//! What `swarm daemon` keeps on this machine: its certificate and the swarm's root, and room for a
//! manager's store. Nothing is changed, and no key is read.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use swarm_doctor::{Level, Verdict};

use super::observe;

/// Below the daemon's folder.
const CERTIFICATES: &str = "certificates";
const NODE: &str = "swarm-node.pem";
const ROOT: &str = "swarm-root-ca.pem";
const STORE: &str = "raft";

/// Looks; a machine that is no member has nothing to tell.
pub(super) fn look(folder: &Path) -> Verdict {
    let mut verdict = Verdict::new(String::new());
    let certificates = folder.join(CERTIFICATES);
    match fs::read_dir(&certificates) {
        Err(error) if error.kind() == ErrorKind::NotFound => return verdict,
        Err(error) => {
            let what = format!("{}: {error}", certificates.display());
            verdict.find(Level::Healthy, what, "run this as root to have it looked at");
            return verdict;
        }
        Ok(_) => {}
    }
    verdict.join(observe::renewed(&certificates.join(NODE)));
    verdict.join(observe::certificates(&certificates.join(ROOT)));
    store(&folder.join(STORE), &mut verdict);
    verdict
}

/// The certificate that `swarm up --endpoint` put on a manager, where there is one.
pub(super) fn endpoint(file: &Path) -> Verdict {
    if !file.exists() {
        return Verdict::new(String::new());
    }
    let mut verdict = observe::certificates(file);
    for finding in &mut verdict.findings {
        "swarm up --endpoint PORT of this machine makes a new one".clone_into(&mut finding.todo);
    }
    verdict
}

/// The store of a manager: how large, and whether it can grow.
fn store(folder: &Path, verdict: &mut Verdict) {
    if !folder.is_dir() {
        return;
    }
    let size = i64::try_from(size_of(folder)).unwrap_or(i64::MAX);
    let size = swarm_docker::units::bytes(size);
    verdict.fact(format!("the swarm's store at {} has {size}", folder.display()));
    if let Some(space) = folder.to_str().and_then(observe::space) {
        verdict.join(space.judge());
    }
}

/// All files of a folder, without following links.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => size_of(&entry.path()),
        Ok(data) if data.is_file() => data.len(),
        _ => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_s_folder_is_looked_at_and_none_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let none = look(folder.path());
        assert!(none.facts.is_empty() && none.findings.is_empty());
        let certificates = folder.path().join(CERTIFICATES);
        std::fs::create_dir(&certificates).unwrap();
        let words = look(folder.path()).words();
        assert!(words.contains("critical:") && words.contains(NODE), "{words}");
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        // A node's file has its key too, which is nobody's to look at here.
        std::fs::write(certificates.join(NODE), made.pem() + &key.serialize_pem()).unwrap();
        std::fs::write(certificates.join(ROOT), made.pem()).unwrap();
        std::fs::create_dir_all(folder.path().join(STORE).join("wal")).unwrap();
        std::fs::write(folder.path().join(STORE).join("wal/1"), vec![0; 2048]).unwrap();
        let verdict = look(folder.path());
        let words = verdict.words();
        for part in ["and is renewed before", "swarm-root-ca.pem", "raft has 2 KiB", "of its space"]
        {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(!words.contains("critical: /"), "{words}");
    }

    #[test]
    fn the_certificate_of_an_endpoint_is_told_of_with_who_makes_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("up-cert.pem");
        let none = endpoint(&file);
        assert!(none.facts.is_empty() && none.findings.is_empty());
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        std::fs::write(&file, parameters.self_signed(&key).unwrap().pem()).unwrap();
        let words = endpoint(&file).words();
        assert!(
            words.contains("has ended") && words.contains("swarm up --endpoint PORT"),
            "{words}"
        );
    }
}
