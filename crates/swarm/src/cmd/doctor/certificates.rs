//! Until when certificates are good.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::super::verdict::Level;
use super::Seen;

/// From how long before its end on a certificate is worth a warning.
const SOON: Duration = Duration::from_hours(30 * 24);
const DAY: i64 = 24 * 3_600;

pub(super) fn look<'p>(files: impl Iterator<Item = &'p PathBuf>, now: SystemTime, seen: &mut Seen) {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    for file in files {
        let shown = file.display();
        let read = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<CertificateDer<'_>>, _>>);
        let certificates = match read {
            Ok(certificates) if !certificates.is_empty() => certificates,
            Ok(_) => {
                seen.find(Level::Critical, format!("{shown} holds no certificate"), "");
                continue;
            }
            Err(error) => {
                let todo = "look at the path, at its mode, and at DOCKER_CERT_PATH";
                seen.find(Level::Critical, format!("{shown}: {error}"), todo);
                continue;
            }
        };
        for certificate in &certificates {
            match X509Certificate::from_der(certificate) {
                Ok((_, read)) => {
                    let validity = read.validity();
                    let (begins, ends) =
                        (validity.not_before.timestamp(), validity.not_after.timestamp());
                    judge(&format!("{shown} ({})", read.subject()), begins, ends, now, seen);
                }
                Err(error) => {
                    seen.find(Level::Critical, format!("{shown}: no certificate: {error}"), "");
                }
            }
        }
    }
}

fn judge(of: &str, begins: i64, ends: i64, now: i64, seen: &mut Seen) {
    let days = (ends - now).div_euclid(DAY);
    let soon = i64::try_from(SOON.as_secs()).unwrap_or(i64::MAX);
    if now < begins {
        let what = format!("{of} is not good yet, for {} days", (begins - now).div_euclid(DAY) + 1);
        seen.find(Level::Critical, what, "set the clock, or take another certificate");
    } else if now >= ends {
        let what = format!("{of} has ended {} days ago", (now - ends).div_euclid(DAY));
        seen.find(Level::Critical, what, "make a new one; SIGHUP has a manager read it");
    } else if ends - now < soon {
        let what = format!("{of} ends in {days} days");
        seen.find(Level::Warning, what, "make a new one; SIGHUP has a manager read it");
    } else {
        seen.fact(format!("{of} is good for {days} days"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_of_before_it_ends() {
        for (now, level, words) in [
            (-2 * DAY, Some(Level::Critical), "is not good yet, for 3 days"),
            (0, None, "is good for 100 days"),
            (71 * DAY, Some(Level::Warning), "ends in 29 days"),
            (103 * DAY, Some(Level::Critical), "has ended 3 days ago"),
        ] {
            let mut seen = Seen::default();
            judge("cert.pem", 0, 100 * DAY, now, &mut seen);
            let finding = seen.findings.first();
            assert_eq!(finding.map(|one| one.level), level, "{now}");
            let said = finding.map_or_else(|| seen.facts[0].clone(), |one| one.what.clone());
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn files_are_read_and_what_is_no_certificate_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("cert.pem"), folder.path().join("bad.pem"));
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        std::fs::write(&good, made.pem()).unwrap();
        std::fs::write(&bad, "hello").unwrap();
        let mut seen = Seen::default();
        let files = [good, bad, folder.path().join("none.pem")];
        look(files.iter(), SystemTime::now(), &mut seen);
        assert_eq!(seen.facts.len(), 1, "{seen:?}");
        assert!(seen.facts[0].contains("cert.pem (CN=rcgen self signed cert) is good for "));
        assert_eq!(seen.findings.len(), 2, "{seen:?}");
        assert!(seen.findings[0].what.contains("bad.pem"), "{seen:?}");
    }
}
