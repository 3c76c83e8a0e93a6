//! References to secrets and configs: which file with whose bytes lies where in the container.

use super::fields::{Fields, Refusal};

/// Where secrets lie whose name is no path.
const SECRETS: &str = "/run/secrets";

/// Who reads it may be anyone in the container, as the client asks when nobody says otherwise.
const MODE: u32 = 0o444;

/// Secret or config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A secret.
    Secret,
    /// A config.
    Config,
}

impl FileKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }
}

/// A file in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRef {
    /// What it is of.
    pub kind: FileKind,
    /// The id of the secret or config.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The file's name as the service says it; templates look for it.
    pub file: String,
    /// The path in the container.
    pub target: String,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Permissions.
    pub mode: u32,
}

/// Reads `Secrets` and `Configs`.
pub(super) fn read(fields: &mut Fields) -> Result<Vec<FileRef>, Refusal> {
    let mut files = Vec::new();
    for reference in fields.objects("Secrets")? {
        files.push(one(reference, FileKind::Secret)?);
    }
    for reference in fields.objects("Configs")? {
        files.push(one(reference, FileKind::Config)?);
    }
    Ok(files)
}

fn one(mut reference: Fields, kind: FileKind) -> Result<FileRef, Refusal> {
    let (id, name) = match kind {
        FileKind::Secret => ("SecretID", "SecretName"),
        FileKind::Config => ("ConfigID", "ConfigName"),
    };
    let id: String = reference.or_zero(id)?;
    let name: String = reference.or_zero(name)?;
    if reference.value("Runtime").is_some() {
        return reference.refuse("a Runtime target is for credential specs of Windows containers");
    }
    let Some(mut file) = reference.object("File")? else {
        return reference.refuse("it names no file");
    };
    reference.finish()?;
    let path: String = file.or_zero("Name")?;
    let mode = file.get::<u32>("Mode")?.unwrap_or(MODE);
    let (uid, gid) = (owner(&mut file, "UID")?, owner(&mut file, "GID")?);
    file.finish()?;
    if path.is_empty() {
        return file.refuse("it has no name");
    }
    let target = match kind {
        _ if path.starts_with('/') => path.clone(),
        FileKind::Secret => format!("{SECRETS}/{path}"),
        FileKind::Config => format!("/{path}"),
    };
    Ok(FileRef { kind, id, name, file: path, target, uid, gid, mode: mode & 0o7777 })
}

fn owner(file: &mut Fields, key: &str) -> Result<u32, Refusal> {
    let text: String = file.or_zero(key)?;
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().or_else(|_| file.refuse(&format!("{key} {text:?} is no number")))
}
