//! Certificates for TLS tests, made with the openssl program: one authority, and as many
//! certificates as a test asks for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use swarm_testkit::lab::run;

/// A certificate authority in a folder, and what it signed.
#[derive(Debug)]
pub struct Certs {
    folder: PathBuf,
}

impl Certs {
    /// A new authority; its certificate is `ca.pem`.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        // Authorities of one name and several keys make other failures than strangers do.
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let mut openssl = key_request("ca-key.pem", &format!("/CN=test authority {name}"));
        openssl.args(["-x509", "-days", "3650", "-out", "ca.pem"]);
        run(openssl.current_dir(&folder))?;
        Ok(Self { folder })
    }

    /// Signs `NAME.pem` with the key `NAME-key.pem`, good for servers and clients alike, for
    /// `names`: `IP:10.77.0.11`, `DNS:host-1`.
    pub fn sign(&self, name: &str, names: &[&str]) -> Result<()> {
        let request = format!("{name}.csr");
        let mut openssl = key_request(&format!("{name}-key.pem"), &format!("/CN={name}"));
        run(openssl.args(["-out", &request]).current_dir(&self.folder))?;
        let mut extensions = "extendedKeyUsage=serverAuth,clientAuth\n".to_owned();
        if !names.is_empty() {
            extensions += "subjectAltName=";
            extensions += &names.join(",");
        }
        let file = format!("{name}.ext");
        fs::write(self.folder.join(&file), extensions)?;
        run(Command::new("openssl")
            .args(["x509", "-req", "-days", "3650", "-in", &request, "-extfile", &file])
            .args(["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"])
            .args(["-out", &format!("{name}.pem")])
            .current_dir(&self.folder))?;
        Ok(())
    }

    /// The authority's certificate.
    pub fn ca(&self) -> String {
        self.path("ca.pem")
    }

    /// A signed certificate.
    pub fn cert(&self, name: &str) -> String {
        self.path(&format!("{name}.pem"))
    }

    /// Its key.
    pub fn key(&self, name: &str) -> String {
        self.path(&format!("{name}-key.pem"))
    }

    /// The folder of all of them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }
}

fn key_request(key: &str, subject: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    command.args(["-keyout", key, "-subj", subject]);
    command
}
