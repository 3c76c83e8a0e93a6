//! Secrets and configs on the node: kept in memory, and shown to a task's container as files of a file
//! system in memory, for as long as the task is known.
//!
//! Invariants: nothing is written to a disk (the folder is tmpfs or nothing is written); only the
//! folders of tasks are removed; no text of an error holds a byte of a secret.

use std::collections::HashMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use parking_lot::Mutex;
use swarm_model::data::own_id;
use swarm_model::{DRIVER_FAILED, Data, Id};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::convert::{FileKind, FileRef, Refusal, TaskNames};
use crate::template::{Scope, TemplateError, Value, fill};

/// Docker's bounds are 500 KiB for a secret and 1000 KiB for a config; a filled template may be longer.
const LARGEST: usize = 1 << 20;
/// What all files of a node may take.
const TMPFS: &str = "mode=0700,size=256m";
/// Data comes with its task or before it; a manager that sends it later gets so long: it may have to wait
/// for two answers of a secret's driver (8 s each), one after the other.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes, and whether they are a template.
type Contents = (Zeroizing<Vec<u8>>, bool);

/// The secrets and configs that this node was given.
#[derive(Debug, Default)]
pub struct DataStore {
    kept: Mutex<HashMap<(FileKind, Id), Data>>,
    changed: Notify,
}

impl DataStore {
    /// Takes what a message brings; `whole` replaces everything.
    pub fn take(&self, whole: bool, given: Vec<(FileKind, Data)>, gone: &[(FileKind, Id)]) {
        {
            let mut kept = self.kept.lock();
            if whole {
                kept.clear();
            }
            for key in gone {
                kept.remove(key);
            }
            kept.extend(given.into_iter().map(|(kind, data)| ((kind, data.id.clone()), data)));
        }
        self.changed.notify_waiters();
    }

    fn bytes(&self, file: &FileRef, task: &Id) -> Option<Result<Contents, Refusal>> {
        let kept = self.kept.lock();
        let data = of_task(&kept, file, task)?;
        let encoded = data.spec.data.as_ref().map_or("", |data| data.reveal());
        let what = || format!("{} {}", file.kind.as_str(), data.spec.name);
        if let Some(why) = data.spec.rest.get(DRIVER_FAILED).and_then(|why| why.as_str()) {
            return Some(Err(Refusal(format!("{}: {why}", what()))));
        }
        let driver = data.spec.rest.get("Templating").and_then(|t| t.get("Name")?.as_str());
        let is_template = match driver {
            None | Some("") => false,
            Some("golang") => true,
            Some(other) => {
                return Some(Err(Refusal(format!("{}: unknown templating {other:?}", what()))));
            }
        };
        Some(match STANDARD.decode(encoded) {
            Ok(bytes) => Ok((Zeroizing::new(bytes), is_template)),
            Err(_) => Err(Refusal(format!("{}: its data is not base 64", what()))),
        })
    }

    /// Waits until all that the files need is here.
    async fn wait_for(&self, files: &[FileRef], task: &Id) -> Result<(), Refusal> {
        let missing = || {
            let kept = self.kept.lock();
            files.iter().find(|file| of_task(&kept, file, task).is_none()).cloned()
        };
        let all = async {
            loop {
                let changed = self.changed.notified();
                if missing().is_none() {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err()
            && let Some(file) = missing()
        {
            let FileRef { kind, name, id, .. } = file;
            let kind = kind.as_str();
            return Err(Refusal(format!("{kind} {name} ({id}) was not given to this node")));
        }
        Ok(())
    }
}

/// What is for this task alone comes before what is for all.
fn of_task<'k>(
    kept: &'k HashMap<(FileKind, Id), Data>,
    file: &FileRef,
    task: &Id,
) -> Option<&'k Data> {
    let FileRef { kind, id, .. } = file;
    let own =
        (file.kind == FileKind::Secret).then(|| kept.get(&(*kind, own_id(id, task)))).flatten();
    own.or_else(|| kept.get(&(*kind, Id::from(id.as_str()))))
}

/// What a template of a file may say beside the task's names.
struct FileScope<'a> {
    data: &'a DataStore,
    task: &'a Id,
    files: &'a [FileRef],
    names: &'a TaskNames,
}

impl Scope for FileScope<'_> {
    fn field(&self, path: &[String]) -> Option<Value> {
        self.names.field(path)
    }

    fn call(&self, name: &str, argument: &str) -> Option<Result<String, TemplateError>> {
        let kind = match name {
            "env" => return Some(Ok(self.names.variable(argument))),
            "secret" => FileKind::Secret,
            "config" => FileKind::Config,
            _ => return None,
        };
        let missing = || TemplateError(format!("{name} target {argument} not found"));
        let file = self.files.iter().find(|file| file.kind == kind && file.file == argument);
        Some(file.ok_or_else(missing).and_then(|file| {
            match self.data.bytes(file, self.task) {
                Some(Ok((bytes, _))) => String::from_utf8(bytes.to_vec())
                    .map_err(|_| TemplateError(format!("{name} target {argument} is no text"))),
                _ => Err(missing()),
            }
        }))
    }
}

/// The folder in memory.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Makes the folder, and mounts a file system in memory there where it is on another.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(folder).map_err(told)?;
        if !is_tmpfs(folder)? {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            mount(Some("swarm"), folder, Some("tmpfs"), flags, Some(TMPFS)).map_err(|error| {
                format!(
                    "{} is on a disk, and no tmpfs can be mounted there ({error}); secrets are only \
                     kept in memory: give a folder on a tmpfs",
                    folder.display()
                )
            })?;
        }
        // Traversed by nobody but root; the engine mounts single files of it.
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).map_err(told)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Writes a task's files; where each lies, in the order of `files`.
    pub async fn write(
        &self,
        task: &Id,
        files: &[FileRef],
        data: &DataStore,
        names: &TaskNames,
    ) -> Result<Vec<PathBuf>, Refusal> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        data.wait_for(files, task).await?;
        let folder = self.of(task)?;
        let scope = FileScope { data, task, files, names };
        let mut paths = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let bytes = contents(file, data, &scope)?;
            let path = folder.join(index.to_string());
            put(&folder, &path, file, &bytes).map_err(|error| {
                Refusal(format!("{} {}: cannot be written: {error}", file.kind.as_str(), file.name))
            })?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// Removes a task's files.
    pub fn remove(&self, task: &Id) {
        if let Ok(folder) = self.of(task)
            && let Err(error) = std::fs::remove_dir_all(&folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, folder = %folder.display(), "files of a task are left");
        }
    }

    /// Removes the files of all tasks but these.
    pub fn keep_only(&self, keep: impl Fn(&str) -> bool) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            if Id::is_id(&name) && !keep(&name) {
                self.remove(&Id::from(name.as_str()));
            }
        }
    }

    /// A name that is no id could lead out of the folder.
    fn of(&self, task: &Id) -> Result<PathBuf, Refusal> {
        if Id::is_id(task) {
            Ok(self.folder.join(task.as_str()))
        } else {
            Err(Refusal(format!("{task:?} is not the form of a task's id")))
        }
    }
}

fn is_tmpfs(folder: &Path) -> Result<bool, String> {
    let stat = statfs(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(stat.filesystem_type() == TMPFS_MAGIC)
}

fn contents(
    file: &FileRef,
    data: &DataStore,
    scope: &FileScope<'_>,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let what = || format!("{} {}", file.kind.as_str(), file.name);
    let Some(found) = data.bytes(file, scope.task) else {
        return Err(Refusal(format!("{} was not given to this node", what())));
    };
    let (mut bytes, is_template) = found?;
    if is_template {
        let refuse = |error: TemplateError| match file.kind {
            FileKind::Config => Refusal(format!("{}: {error}", what())),
            // The words could hold a part of it.
            FileKind::Secret => Refusal(format!("{}: its template cannot be filled", what())),
        };
        let no_text = || refuse(TemplateError("it is no text".to_owned()));
        let text = std::str::from_utf8(&bytes).map_err(|_| no_text())?;
        bytes = Zeroizing::new(fill(text, scope).map_err(refuse)?.into_bytes());
    }
    if bytes.len() > LARGEST {
        return Err(Refusal(format!("{} is larger than {LARGEST} bytes", what())));
    }
    Ok(bytes)
}

fn put(folder: &Path, path: &Path, file: &FileRef, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::create_dir_all(folder)?;
    // A container that was made before a crash of ours may have it mounted: it keeps its inode.
    let mut open = std::fs::OpenOptions::new();
    let mut out = open.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    out.write_all(bytes)?;
    chown(path, Some(file.uid), Some(file.gid))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(file.mode))
}

#[cfg(test)]
mod tests;
