//! The mark beside the records: how many transactions the disk has taken, written after each. A file
//! of records that is behind its mark has lost its end (it is damaged, or an old copy), and what was
//! answered may be missing: that is told, where the database itself would go on from what it finds.
//!
//! The mark needs no fsync: it is never ahead of the records, and where it is behind them, it only
//! tells less.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::seal::Seal;

/// The file of the mark.
pub(crate) const MARK: &str = "store.mark";
/// What it is sealed with.
const PLACE: &[u8] = b"mark";
/// More than a sealed number takes.
const MOST: usize = 256;

/// The opened file.
#[derive(Debug)]
pub(crate) struct Mark(File);

impl Mark {
    /// Opens it, makes it where it is not there.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.open(folder.join(MARK)).map(Self)
    }

    /// The number in it; `None` where there is none that can be read, as after a loss of power.
    pub fn read(&self, seal: &Seal) -> Option<u64> {
        let mut sealed = [0; MOST];
        let length = self.0.read_at(&mut sealed, 0).ok()?;
        let plain = seal.open(PLACE, sealed.get(..length)?).ok()?;
        Some(u64::from_be_bytes(plain.try_into().ok()?))
    }

    /// Writes a number; all take the same length.
    pub fn write(&self, seal: &Seal, number: u64) -> io::Result<()> {
        self.0.write_all_at(&seal.seal(PLACE, &number.to_be_bytes())?, 0)
    }
}
