//! The endpoint that `docker context use` or `DOCKER_CONTEXT` names, read from the docker command's own
//! files (`docs.docker.com/engine/manage-resources/contexts`): `config.json`, and below `contexts/` a folder
//! for each, called by the SHA-256 of its name.
//!
//! Invariant: nothing is written, and nobody is asked.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use swarm_docker::json::text;
use swarm_engine::TlsFiles;

use crate::config::{Env, docker_folder, set};
use crate::usage::UsageError;

/// The one that stands for `DOCKER_HOST` and the usual address.
const DEFAULT: &str = "default";

/// Where a context leads.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// What named it: the variable, or the file.
    pub named_by: String,
    /// As in `DOCKER_HOST`.
    pub host: String,
    /// Its certificates, where it has any.
    pub tls: Option<(PathBuf, bool)>,
}

impl Place {
    /// Its certificates as files; what is not there is left out.
    pub fn files(&self) -> Option<TlsFiles> {
        let (folder, verify) = self.tls.as_ref()?;
        let there = |name: &str| Some(folder.join(name)).filter(|file| file.exists());
        let ca = there("ca.pem").filter(|_| *verify);
        Some(TlsFiles { ca, cert: there("cert.pem"), key: there("key.pem"), verify: *verify })
    }
}

/// The context in use; `None` where it is the default one.
pub fn in_use(env: Env<'_>) -> Result<Option<Place>, UsageError> {
    let Some(folder) = docker_folder(env) else { return Ok(None) };
    let (named_by, name) = if let Some(name) = set(env, "DOCKER_CONTEXT") {
        ("DOCKER_CONTEXT".to_owned(), name)
    } else {
        let file = folder.join("config.json");
        let name = current(&file)?;
        (format!("the context of {}", file.display()), name)
    };
    if name.is_empty() || name == DEFAULT {
        return Ok(None);
    }
    let wrong = |problem: String| UsageError::value(&named_by, &name, problem);
    let mut id = String::new();
    for byte in Sha256::digest(&name) {
        let _ = write!(id, "{byte:02x}");
    }
    let file = folder.join("contexts/meta").join(&id).join("meta.json");
    let meta = fs::read(&file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            wrong("there is no such context; docker context ls lists them".to_owned())
        }
        _ => wrong(format!("{}: {error}", file.display())),
    })?;
    let meta: Value = serde_json::from_slice(&meta)
        .map_err(|error| wrong(format!("{}: {error}", file.display())))?;
    let docker = &meta["Endpoints"]["docker"];
    let host = text(&docker["Host"]);
    if host.is_empty() {
        return Err(wrong(
            "this context has no Docker endpoint; name a manager with -H".to_owned(),
        ));
    }
    let certificates = folder.join("contexts/tls").join(&id).join("docker");
    let verify = docker["SkipTLSVerify"] != true;
    let tls = certificates.is_dir().then_some((certificates, verify));
    Ok(Some(Place { named_by, host, tls }))
}

/// `currentContext` of the docker command's settings. Whoever has none, or may not read them, uses the
/// default one.
fn current(file: &Path) -> Result<String, UsageError> {
    let Ok(settings) = fs::read(file) else { return Ok(String::new()) };
    let settings: Value = serde_json::from_slice(&settings).map_err(|error| {
        UsageError::flags(format!(
            "{}: {error}; mend it, or name a manager with -H or DOCKER_HOST",
            file.display()
        ))
    })?;
    Ok(text(&settings["currentContext"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `printf pool | sha256sum`, which is what the docker command calls its folder.
    const OF_POOL: &str = "27cac5503836765cd10751d27ab4a6e17d7a80d4c948430a5a81513973f9b51e";

    /// What `docker context create pool --docker host=tcp://10.0.0.1:3376,ca=ca.pem` leaves behind.
    fn folder(settings: &str, docker: &Value) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), settings).unwrap();
        let of_pool = folder.path().join("contexts/meta").join(OF_POOL);
        fs::create_dir_all(&of_pool).unwrap();
        let meta = json!({"Name": "pool", "Metadata": {}, "Endpoints": {"docker": docker}});
        fs::write(of_pool.join("meta.json"), meta.to_string()).unwrap();
        let tls = folder.path().join("contexts/tls").join(OF_POOL).join("docker");
        fs::create_dir_all(&tls).unwrap();
        fs::write(tls.join("ca.pem"), "").unwrap();
        folder
    }

    fn found(folder: &Path, more: &[(&str, &str)]) -> Result<Option<Place>, String> {
        let env = |name: &str| {
            let own = [("DOCKER_CONFIG", folder.to_str().unwrap())];
            let mut known = own.iter().chain(more);
            known.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        in_use(&env).map_err(|error| error.to_string())
    }

    #[test]
    fn a_context_in_use_names_the_manager_and_its_certificates() {
        let docker = json!({"Host": "tcp://10.0.0.1:3376", "SkipTLSVerify": false});
        let folder = folder(r#"{"auths":{"r":{"auth":"eDp5"}},"currentContext":"pool"}"#, &docker);
        let place = found(folder.path(), &[]).unwrap().unwrap();
        assert_eq!(place.host, "tcp://10.0.0.1:3376");
        assert!(place.named_by.ends_with("config.json"), "{}", place.named_by);
        let files = place.files().unwrap();
        assert!(files.verify && files.ca.unwrap().ends_with("docker/ca.pem"));
        assert_eq!((files.cert, files.key), (None, None));
        // The variable goes before the file, and may say that it is none.
        assert_eq!(found(folder.path(), &[("DOCKER_CONTEXT", "default")]).unwrap(), None);
    }

    #[test]
    fn without_a_context_there_is_none() {
        let docker = json!({"Host": "unix:///x.sock", "SkipTLSVerify": true});
        for settings in ["{}", r#"{"currentContext":""}"#, r#"{"currentContext":"default"}"#] {
            assert_eq!(found(folder(settings, &docker).path(), &[]).unwrap(), None, "{settings}");
        }
        let folder = folder("{}", &docker);
        let place = found(folder.path(), &[("DOCKER_CONTEXT", "pool")]).unwrap().unwrap();
        let files = place.files().unwrap();
        assert!(!files.verify && files.ca.is_none());
        assert_eq!(found(Path::new("/not/there"), &[]).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_with_a_context_is_said() {
        let error = found(folder("{", &json!({})).path(), &[]).unwrap_err();
        assert!(error.contains("config.json: ") && error.contains("mend it"), "{error}");
        let folder = folder(r#"{"currentContext":"gone"}"#, &json!({}));
        let error = found(folder.path(), &[]).unwrap_err();
        assert!(error.contains("\"gone\": there is no such context"), "{error}");
        let error = found(folder.path(), &[("DOCKER_CONTEXT", "pool")]).unwrap_err();
        assert!(error.starts_with("DOCKER_CONTEXT \"pool\": this context has no Docker endpoint"));
    }
}
