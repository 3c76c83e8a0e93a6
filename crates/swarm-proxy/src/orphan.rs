//! A proxy that outlived the program which started it: killed by force, that could not end it.
//!
//! It holds its ports and goes on with an old configuration, so the next one has to find it. A note beside the
//! configuration names it. Invariant: a process is known by its id and the moment of its start together, so that
//! nobody else who has the id later gets a signal.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::process::signal;

/// Between two looks whether it is still there.
const PAUSE: Duration = Duration::from_millis(200);

/// A process that is somebody else's child.
#[derive(Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Its id.
    pub id: i32,
    /// When it was started, in ticks since the machine's start (proc(5), `starttime`).
    born: u64,
}

impl Orphan {
    /// The process that has this id now, unless it has ended.
    pub fn of(id: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name in parentheses may hold anything.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        let born = fields.nth(18)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { id, born })
    }

    /// Whether it is still there.
    pub fn lives(&self) -> bool {
        Self::of(self.id).is_some_and(|now| now == *self)
    }

    /// Tells it something, if it is still there.
    pub fn tell(&self, words: Signal) -> Result<(), String> {
        if self.lives() { signal(self.id, words) } else { Err("it has ended".to_owned()) }
    }

    /// Waits for its end.
    pub async fn ended(&self) {
        while self.lives() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The note beside a configuration: which process serves it, by which command, and who started it.
#[derive(Debug)]
pub struct Note(PathBuf);

/// What a note tells of a process that is still there.
#[derive(Debug, PartialEq, Eq)]
pub struct Noted {
    /// It.
    pub orphan: Orphan,
    /// What it was started by.
    pub command: String,
    /// Another program that started it, and is still there too: it is that one's.
    pub parent: Option<i32>,
}

impl Note {
    /// Beside `config`: `FILE.run`.
    pub fn beside(config: &Path) -> Self {
        let mut name = config.as_os_str().to_owned();
        name.push(".run");
        Self(name.into())
    }

    /// Writes it for a child of this program.
    pub fn write(&self, process: &Orphan, command: &str) -> io::Result<()> {
        let gone = || io::Error::other("this very process is not found in /proc");
        let own = i32::try_from(std::process::id()).ok().and_then(Orphan::of).ok_or_else(gone)?;
        let numbers = format!("{} {} {} {}", process.id, process.born, own.id, own.born);
        fs::write(&self.0, format!("{numbers}\n{command}\n"))
    }

    /// What it tells, if the process is still there.
    pub fn read(&self) -> Option<Noted> {
        let text = fs::read_to_string(&self.0).ok()?;
        let (numbers, command) = text.split_once('\n')?;
        let mut numbers = numbers.split(' ');
        let mut next = || {
            Some(Orphan { id: numbers.next()?.parse().ok()?, born: numbers.next()?.parse().ok()? })
        };
        let (orphan, parent) = (next()?, next()?);
        let is_other = u32::try_from(parent.id).is_ok_and(|id| id != std::process::id());
        let parent = (is_other && parent.lives()).then_some(parent.id);
        let command = command.trim_end().to_owned();
        orphan.lives().then_some(Noted { orphan, command, parent })
    }

    /// It names nobody any more.
    pub fn forget(&self) {
        // Whom it names has ended, so it says nothing where it stays.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_known_by_its_start_too() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        let found = Orphan::of(id).unwrap();
        assert!(found.lives());
        let folder = tempfile::tempdir().unwrap();
        let note = Note::beside(&folder.path().join("x.conf"));
        assert_eq!(note.read(), None);
        note.write(&found, "sleep 600").unwrap();
        assert!(folder.path().join("x.conf.run").exists());
        let noted = note.read().unwrap();
        assert_eq!((&noted.orphan, &*noted.command, noted.parent), (&found, "sleep 600", None));
        // Somebody else's, who is there too: process 1 is everywhere.
        let init = Orphan::of(1).unwrap();
        fs::write(&note.0, format!("{id} {} 1 {}\nsleep", found.born, init.born)).unwrap();
        assert_eq!(note.read().unwrap().parent, Some(1));
        fs::write(&note.0, format!("{id} {} 1 {}\nsleep", found.born, init.born + 1)).unwrap();
        assert_eq!(note.read().unwrap().parent, None, "it has ended");
        let other = Orphan { id, born: found.born + 1 };
        assert!(!other.lives() && other.tell(Signal::SIGKILL).is_err(), "another one has the id");
        note.write(&other, "sleep 600").unwrap();
        assert_eq!(note.read(), None);
        found.tell(Signal::SIGKILL).unwrap();
        found.ended().await;
        assert_eq!(Orphan::of(id), None, "one that waits to be asked for its status has ended");
        child.wait().unwrap();
        for text in ["", "1", "x y\nz", "1 5\nz", "-1 5 1 5\nz"] {
            fs::write(&note.0, text).unwrap();
            assert_eq!(note.read(), None, "{text:?}");
        }
        note.forget();
        note.forget();
    }
}
