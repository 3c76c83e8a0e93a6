//! Damaged records that are kept beside their place, with a number: `store.redb.damaged-1` and so on.
//! Whoever wants to know what happened to them has them; nothing here opens them again.
//!
//! Invariant: a bounded number stays, the newest ones.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{KEY, RECORDS};

/// Between a file's name and the number.
const MARK: &str = ".damaged-";
/// How many of each file stay: they are as large as the store.
const MOST: usize = 3;

/// The damaged files that are kept in `folder`, the oldest first.
pub fn kept_aside(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for file in [RECORDS, KEY] {
        all.extend(numbered(folder, file)?.into_iter().map(|(_, path)| path));
    }
    Ok(all)
}

/// Moves the records out of the way, and the key where it is `key_too` that is damaged; where they are
/// now. Blocks.
pub(crate) fn set_aside(folder: &Path, key_too: bool) -> io::Result<Vec<PathBuf>> {
    let files: &[&str] = if key_too { &[RECORDS, KEY] } else { &[RECORDS] };
    // One number for both, by which they belong together.
    let kept = [numbered(folder, RECORDS)?, numbered(folder, KEY)?];
    let last = kept.iter().flatten().map(|(number, _)| *number).max();
    let next = last.unwrap_or(0).saturating_add(1);
    let mut moved = Vec::new();
    for file in files {
        let to = folder.join(format!("{file}{MARK}{next}"));
        match fs::rename(folder.join(file), &to) {
            Ok(()) => moved.push(to),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    File::open(folder)?.sync_all()?;
    for file in [RECORDS, KEY] {
        let kept = numbered(folder, file)?;
        for (_, path) in kept.iter().take(kept.len().saturating_sub(MOST)) {
            fs::remove_file(path)?;
        }
    }
    Ok(moved)
}

/// Those of one file, by their numbers.
fn numbered(folder: &Path, file: &str) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(file)?.strip_prefix(MARK));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_kept_with_a_number_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(kept_aside(&folder.join("none")).unwrap(), Vec::<PathBuf>::new());
        let names = || {
            let kept = kept_aside(folder).unwrap();
            let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            kept.iter().map(name).collect::<Vec<_>>()
        };
        for number in 1..=12 {
            fs::write(folder.join(RECORDS), number.to_string()).unwrap();
            fs::write(folder.join(KEY), "key").unwrap();
            let moved = set_aside(folder, number == 11).unwrap();
            assert_eq!(moved[0], folder.join(format!("store.redb.damaged-{number}")));
            assert_eq!(fs::read_to_string(&moved[0]).unwrap(), number.to_string());
            assert!(!folder.join(RECORDS).exists());
            assert_eq!(folder.join(KEY).exists(), number != 11);
        }
        let kept = ["redb.damaged-10", "redb.damaged-11", "redb.damaged-12", "key.damaged-11"];
        assert_eq!(names(), kept.map(|name| format!("store.{name}")));
        // Nothing is there, and nothing is moved.
        assert_eq!(set_aside(folder, false).unwrap(), Vec::<PathBuf>::new());
    }
}
