//! Certificates of the endpoint that managers serve on TCP, and of a pool's agents: an authority in a folder of
//! the person's, in the names that `docker` looks for (`DOCKER_CERT_PATH`), and one certificate per machine.
//!
//! The swarm's own certificates have nothing to do with these: its managers make them. Invariants: the
//! authority's key never leaves its folder; keys are readable by their owner alone; what is there is never
//! written over.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use swarm_model::Secret;

use crate::program::digest;

/// The authority's and the client's: as long as the machines may last.
const LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// A manager's: `swarm up` makes a new one in its last month.
pub const SERVER_LIFE: Duration = Duration::from_hours(397 * 24);
/// For clocks that are behind.
const BACKDATE: Duration = Duration::from_hours(1);

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";
const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";

/// Why there is no authority, or it does not sign.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Some of the files are there.
    #[error("{} has {there} and no {missing}: name another folder with --certs", folder.display())]
    Half {
        /// The folder.
        folder: PathBuf,
        /// What is there.
        there: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// The library refuses.
    #[error("{what}: {error}")]
    Signing {
        /// What was made.
        what: &'static str,
        /// Why not.
        error: rcgen::Error,
    },
}

/// An authority with its key.
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// What a certificate is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To be reached: an agent, or an endpoint.
    Server,
    /// To reach others: a person.
    Client,
    /// A pool's manager, who reaches agents and other managers.
    Both,
}

/// A certificate and its key, PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: Secret,
}

impl Authority {
    /// The one of a folder, if there is one.
    pub fn load(folder: &Path) -> Result<Option<Self>, CertError> {
        match (read(folder, CA)?, read(folder, CA_KEY)?) {
            (Some(certificate), Some(key)) => Self::from_pem(certificate, &key).map(Some),
            (None, None) => Ok(None),
            (there, _) => {
                let (there, missing) = if there.is_some() { (CA, CA_KEY) } else { (CA_KEY, CA) };
                Err(CertError::Half { folder: folder.to_owned(), there, missing })
            }
        }
    }

    /// A new one, with a client's certificate beside it.
    pub fn create(folder: &Path, cluster: &str, now: SystemTime) -> Result<Self, CertError> {
        let failed = |error| CertError::Signing { what: "make a certificate authority", error };
        let there = [CA, CA_KEY, CERT, KEY].into_iter().find(|name| folder.join(name).exists());
        if let Some(there) = there {
            let missing = if there == CA { CA_KEY } else { CA };
            return Err(CertError::Half { folder: folder.to_owned(), there, missing });
        }
        std::fs::create_dir_all(folder)
            .map_err(|error| CertError::File { path: folder.to_owned(), error })?;
        let key = KeyPair::generate().map_err(failed)?;
        let mut parameters =
            parameters(&format!("swarm {cluster}"), &[], now, LIFE).map_err(failed)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&key).map_err(failed)?.pem();
        let key = Secret::new(key.serialize_pem());
        let authority = Self::from_pem(certificate, key.reveal())?;
        let client = authority.issue("client", &[], LIFE, now, Use::Client)?;
        // Its key first: a folder that has the certificate has all.
        for (name, text, mode) in [
            (CA_KEY, key.reveal(), 0o600),
            (KEY, client.key.reveal(), 0o600),
            (CERT, client.certificate.as_str(), 0o644),
            (CA, authority.certificate.as_str(), 0o644),
        ] {
            write(&folder.join(name), text, mode)?;
        }
        Ok(authority)
    }

    fn from_pem(certificate: String, key: &str) -> Result<Self, CertError> {
        let failed = |error| CertError::Signing { what: "read the certificate authority", error };
        let key = KeyPair::from_pem(key).map_err(failed)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, key).map_err(failed)?;
        Ok(Self { certificate, issuer })
    }

    /// By what it is recognised.
    pub fn sum(&self) -> String {
        digest(self.certificate.as_bytes())
    }

    /// A machine's certificate, good for these addresses and names.
    pub fn machine(&self, names: &[String], to: Use, now: SystemTime) -> Result<Issued, CertError> {
        let name = if to == Use::Both { "manager" } else { "machine" };
        self.issue(name, names, SERVER_LIFE, now, to)
    }

    fn issue(
        &self,
        name: &str,
        names: &[String],
        life: Duration,
        now: SystemTime,
        to: Use,
    ) -> Result<Issued, CertError> {
        let failed = |error| CertError::Signing { what: "make a certificate", error };
        let key = KeyPair::generate().map_err(failed)?;
        let mut parameters = parameters(name, names, now, life).map_err(failed)?;
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = match to {
            Use::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Use::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Use::Both => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
        };
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(failed)?.pem();
        Ok(Issued { certificate, key: Secret::new(key.serialize_pem()) })
    }
}

fn parameters(
    name: &str,
    names: &[String],
    now: SystemTime,
    life: Duration,
) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(names.to_vec())?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = (now - BACKDATE).into();
    parameters.not_after = (now + life).into();
    Ok(parameters)
}

fn read(folder: &Path, name: &str) -> Result<Option<String>, CertError> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CertError::File { path, error }),
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertError> {
    let mut options = std::fs::File::options();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| CertError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_authority_is_made_once_and_signs_again() {
        let folder = tempfile::tempdir().unwrap();
        let (at, now) = (folder.path().join("prod"), SystemTime::now());
        assert!(Authority::load(&at).unwrap().is_none());
        let made = Authority::create(&at, "prod", now).unwrap();
        let loaded = Authority::load(&at).unwrap().unwrap();
        assert_eq!(made.sum(), loaded.sum());
        let names = ["10.0.0.1".into(), "h1".into()];
        let issued = loaded.machine(&names, Use::Server, now).unwrap();
        assert!(issued.certificate.starts_with("-----BEGIN CERTIFICATE"));
        assert!(issued.key.reveal().contains("PRIVATE KEY"));
        for (name, mode) in [(CA, 0o644), (CA_KEY, 0o600), (CERT, 0o644), (KEY, 0o600)] {
            let found = std::fs::metadata(at.join(name)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{name}");
        }
        assert!(Authority::create(&at, "prod", now).is_err(), "nothing is written over");
        std::fs::remove_file(at.join(CA_KEY)).unwrap();
        let error = Authority::load(&at).unwrap_err().to_string();
        assert!(error.contains("has ca.pem and no ca-key.pem"), "{error}");
    }

    #[test]
    fn a_folder_with_some_of_the_files_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(KEY), "somebody's").unwrap();
        assert!(Authority::load(folder.path()).unwrap().is_none());
        let made = Authority::create(folder.path(), "prod", SystemTime::now());
        let error = made.unwrap_err().to_string();
        assert!(error.contains("has key.pem and no ca.pem: name another folder"), "{error}");
        assert!(!folder.path().join(CA_KEY).exists());
    }
}
