//! `file:///path`: a pool's engines in a text file, one address or range per line, `#`
//! to the end of a line a comment, blank lines allowed. It is read again when it changes.
//!
//! It polls rather than asks inotify: a look is one `stat` per second, and works the
//! same over NFS, bind mounts and configuration maps that swap a symbolic link.
//!
//! Invariants: a file that is missing, unreadable, or has one bad line changes nothing;
//! the error names file and line and is given once per change; a half-written file is
//! waited out ([`SETTLE`]).

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use tokio::io::AsyncReadExt;

use crate::list::Collector;
use crate::{DiscoveryBackend, DiscoveryError, Entry, EntryStream, ListError, Update};

/// Between two looks at the file.
const POLL: Duration = Duration::from_secs(1);
/// A changed file is read once it has stood still this long.
const SETTLE: Duration = Duration::from_millis(100);
/// A file that never stands still is read after this many settling looks all the same.
const SETTLE_LOOKS: u32 = 20;
/// Bytes; 65,536 addresses of 253 characters fit.
const MAX_FILE: u64 = 32 << 20;

/// A discovery file.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
}

impl File {
    /// `path` may be relative, as in classic; it is then relative to where we were started.
    pub(crate) fn parse(url: &str, path: &str) -> Result<Self, DiscoveryError> {
        if path.is_empty() || path.ends_with('/') || path.contains('\0') {
            return Err(DiscoveryError::Url {
                url: url.to_owned(),
                reason: "it names no file; expected file:///PATH".to_owned(),
            });
        }
        Ok(Self { path: path.into() })
    }
}

#[async_trait]
impl DiscoveryBackend for File {
    fn describe(&self) -> String {
        format!("file://{}", self.path.display())
    }

    async fn fetch(&self) -> Result<Vec<Entry>, DiscoveryError> {
        read(&self.path).await
    }

    fn watch(&self) -> EntryStream {
        let watcher = Watcher { path: self.path.clone(), started: false, stamp: None, last: None };
        Box::pin(stream::unfold(watcher, |mut watcher| async move {
            let update = watcher.next().await;
            Some((update, watcher))
        }))
    }

    async fn register(&self, _entry: &Entry, _ttl: Duration) -> Result<(), DiscoveryError> {
        Err(self.no_registration())
    }

    async fn deregister(&self, _entry: &Entry) -> Result<(), DiscoveryError> {
        Err(self.no_registration())
    }
}

impl File {
    fn no_registration(&self) -> DiscoveryError {
        DiscoveryError::NoRegistration {
            url: self.describe(),
            hint: "write the address into the file instead: the manager reads it again by itself",
        }
    }
}

/// What tells one state of a file from another. The change time is in it because it
/// also moves when only the permissions do, and cannot be set back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stamp {
    Absent(io::ErrorKind),
    Present { modified: (i64, i64), changed: (i64, i64), size: u64, inode: (u64, u64) },
}

impl Stamp {
    async fn take(path: &Path) -> Self {
        match tokio::fs::metadata(path).await {
            Ok(meta) => Self::Present {
                modified: (meta.mtime(), meta.mtime_nsec()),
                changed: (meta.ctime(), meta.ctime_nsec()),
                size: meta.size(),
                inode: (meta.dev(), meta.ino()),
            },
            Err(error) => Self::Absent(error.kind()),
        }
    }
}

struct Watcher {
    path: PathBuf,
    started: bool,
    /// The file's state when it was last read; `None` makes the next look read it.
    stamp: Option<Stamp>,
    /// What was given last: a set, or an error's words.
    last: Option<Result<Arc<[Entry]>, String>>,
}

impl Watcher {
    async fn next(&mut self) -> Update {
        if !self.started {
            // The first update is owed at once. Its stamp is not kept: the file is read once
            // more after the first poll, in case it was being written just now.
            self.started = true;
            let (update, _) = self.read().await;
            return update;
        }
        loop {
            tokio::time::sleep(POLL).await;
            let stamp = Stamp::take(&self.path).await;
            if self.stamp.as_ref() == Some(&stamp) {
                continue;
            }
            // Taken before reading: a write during the read shows at the next look.
            self.stamp = Some(settle(&self.path, stamp).await);
            if let (update, true) = self.read().await {
                return update;
            }
        }
    }

    /// Reads the file, and says whether that gave anything new.
    async fn read(&mut self) -> (Update, bool) {
        let update: Update = read(&self.path).await.map(Arc::from);
        let told = Some(update.as_ref().map(Arc::clone).map_err(ToString::to_string));
        let news = self.last != told;
        self.last = told;
        (update, news)
    }
}

/// Waits until two looks in a row see the same, and returns what they saw.
async fn settle(path: &Path, mut seen: Stamp) -> Stamp {
    for _ in 0..SETTLE_LOOKS {
        tokio::time::sleep(SETTLE).await;
        let now = Stamp::take(path).await;
        if now == seen {
            break;
        }
        seen = now;
    }
    seen
}

async fn read(path: &Path) -> Result<Vec<Entry>, DiscoveryError> {
    let file = path.display().to_string();
    let content = contents(path)
        .await
        .map_err(|error| DiscoveryError::Read { file: file.clone(), source: Arc::new(error) })?;
    parse(&file, &content)
}

async fn contents(path: &Path) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a pipe would wait for its writer.
    if !tokio::fs::metadata(path).await?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut content = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(MAX_FILE + 1).read_to_end(&mut content).await?;
    if content.len() as u64 > MAX_FILE {
        let reason = format!("it is larger than {} MiB", MAX_FILE >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(content)
}

fn parse(file: &str, content: &[u8]) -> Result<Vec<Entry>, DiscoveryError> {
    let content = content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content);
    let mut collected = Collector::default();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        // Cut before it is decoded: a comment may be in any encoding.
        let address = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let wrong =
            |source| DiscoveryError::Line { file: file.to_owned(), line: index + 1, source };
        let address = str::from_utf8(address).map_err(|_| wrong(ListError::NotText))?.trim();
        if !address.is_empty() {
            collected.add(address).map_err(wrong)?;
        }
    }
    Ok(collected.entries)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};
    use proptest::prelude::*;

    use super::*;

    fn addresses(content: &str) -> Result<Vec<String>, DiscoveryError> {
        let entries = parse("f", content.as_bytes())?;
        Ok(entries.iter().map(Entry::to_string).collect())
    }

    #[test]
    fn comments_blank_lines_and_ranges_are_read() {
        let content =
            "\u{feff}# the pool\r\n\r\n  a:1 # first\r\n\n10.0.0.[1:2]:2375#x\nunix:///s\na:1";
        assert_eq!(
            addresses(content).unwrap(),
            ["a:1", "10.0.0.1:2375", "10.0.0.2:2375", "unix:///s"]
        );
        assert!(addresses("# nothing\n").unwrap().is_empty());
        assert_eq!(parse("f", b"a:1 # \xff\xfe").unwrap().len(), 1);
    }

    #[test]
    fn a_bad_line_is_named_by_file_and_line() {
        let error = addresses("a:1\n\nb\n").unwrap_err().to_string();
        assert!(error.starts_with("f:3: \"b\" has no valid port"), "{error}");
        let error = addresses("h[2:1]:1").unwrap_err().to_string();
        assert!(error.starts_with("f:1: ") && error.contains("backwards"), "{error}");
        let error = parse("f", b"a:1\n\xff:1").unwrap_err().to_string();
        assert_eq!(error, "f:2: it is not UTF-8 text");
        let error = addresses("a[1:40000]:1\nb[1:40000]:1").unwrap_err().to_string();
        assert_eq!(error, "f:2: there are more than 65536 addresses in all");
    }

    proptest! {
        #[test]
        fn any_content_is_read_or_refused(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse("f", &content);
        }
    }

    #[tokio::test]
    async fn a_pipe_is_refused_rather_than_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let error = contents(folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("not a regular file"));
    }

    #[tokio::test(start_paused = true)]
    async fn errors_come_once_per_change_and_the_set_comes_back_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool");
        let file = File { path: path.clone() };
        let mut watch = file.watch();

        let error = watch.next().await.unwrap().unwrap_err().to_string();
        assert!(error.contains("cannot read discovery file") && error.contains("pool"), "{error}");

        std::fs::write(&path, "a:1\n").unwrap();
        assert_eq!(watch.next().await.unwrap().unwrap().len(), 1);

        std::fs::write(&path, "a:1\nnonsense\n").unwrap();
        let error = watch.next().await.unwrap().unwrap_err().to_string();
        assert!(error.contains("pool:2: "), "{error}");

        // The same set as before the error: it is given again, so that the error is over.
        std::fs::write(&path, "a:1\n# mended now\n").unwrap();
        assert_eq!(watch.next().await.unwrap().unwrap().len(), 1);

        // A change of nothing but a comment is no news.
        std::fs::write(&path, "a:1\n# mended once again\n").unwrap();
        let quiet = tokio::time::timeout(Duration::from_secs(30), watch.next()).await;
        assert!(quiet.is_err());
        assert!(watch.next().now_or_never().is_none());
    }
}
