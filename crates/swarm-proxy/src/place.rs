//! A configuration in its place: written beside it, synced, checked, renamed.
//!
//! Invariants: the file is the old one or the new one, whole, whatever happens; what the check refuses
//! stays beside it as `FILE.new`, for its reader.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::shell::{Failed, shell};

/// For everybody to read: what is secret in a proxy's configuration is in files of its own.
const MODE: u32 = 0o644;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It was there already.
    Same,
    /// It is there now.
    Changed,
}

/// Why the old one stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPlaced {
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The checker refuses it.
    #[error("the check {failed}; what it refuses is in {}", kept.display())]
    Refused {
        /// What the checker said.
        #[source]
        failed: Failed,
        /// Where the refused text is.
        kept: PathBuf,
    },
}

fn wrong(path: &Path) -> impl Fn(io::Error) -> NotPlaced {
    move |error| NotPlaced::File { path: path.to_owned(), reason: error.to_string() }
}

/// Puts `text` into `path`, unless it is there or `check` refuses it.
pub async fn place(path: &Path, text: &str, check: Option<&str>) -> Result<Placed, NotPlaced> {
    let (at, content) = (path.to_owned(), text.to_owned());
    let written = tokio::task::spawn_blocking(move || write_beside(&at, &content));
    let Some((real, beside)) = written.await.map_err(|e| wrong(path)(io::Error::other(e)))?? else {
        return Ok(Placed::Same);
    };
    if let Some(check) = check {
        let checked = shell(check, &beside).await;
        checked.map_err(|failed| NotPlaced::Refused { failed, kept: beside.clone() })?;
    }
    let renamed = tokio::task::spawn_blocking(move || {
        fs::rename(&beside, &real).map_err(wrong(&beside))?;
        let folder = folder_of(&real);
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong(folder))
    });
    renamed.await.map_err(|error| wrong(path)(io::Error::other(error)))??;
    Ok(Placed::Changed)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The file itself and the one written beside it; `None` where the text is there already.
fn write_beside(path: &Path, text: &str) -> Result<Option<(PathBuf, PathBuf)>, NotPlaced> {
    // A link stays one: what it points to is replaced.
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(wrong(path)(error)),
    };
    let mode = match fs::read(&real) {
        Ok(current) if current == text.as_bytes() => return Ok(None),
        Ok(_) => fs::metadata(&real).map_err(wrong(&real))?.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => MODE,
        Err(error) => return Err(wrong(&real)(error)),
    };
    let mut name = real.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    // Beside it, so that what it includes by relative paths is found by the checker too.
    let beside = real.with_file_name(name);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(&beside)(error)),
        _ => {}
    }
    let write = || {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()
    };
    write().map_err(wrong(&beside))?;
    Ok(Some((real, beside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_passes_is_put_in_place_and_what_does_not_is_kept_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.conf");
        let beside = folder.path().join("a.conf.new");
        let check = Some("grep -q good \"$CONFIG\" || { echo line 1 is bad; exit 1; }");
        assert_eq!(place(&path, "good 1", check).await, Ok(Placed::Changed));
        assert_eq!(place(&path, "good 1", Some("false")).await, Ok(Placed::Same));
        let refused = place(&path, "evil", check).await.unwrap_err().to_string();
        assert!(refused.contains("line 1 is bad") && refused.contains("a.conf.new"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "good 1");
        assert_eq!(fs::read_to_string(&beside).unwrap(), "evil");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(place(&path, "good 2", check).await, Ok(Placed::Changed));
        assert!(!beside.exists());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let missing = place(&path, "good 3", Some("no-such-checker")).await.unwrap_err();
        assert!(missing.to_string().contains("not found"), "{missing}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "good 2");
    }

    #[tokio::test]
    async fn a_link_stays_and_a_missing_folder_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(place(&link, "new", None).await, Ok(Placed::Changed));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        let nowhere = place(&folder.path().join("no/where"), "x", None).await.unwrap_err();
        assert!(nowhere.to_string().contains("no/where.new: No such file"), "{nowhere}");
    }
}
