//! The file of a backup: one line that says what it is, one of JSON that says of what and how it is
//! sealed, then the parts, each with its length before it.
//!
//! The key is made of the passphrase by Argon2id with a salt of the file's own, so that a part's number
//! is all the nonce it needs (AES-256-GCM-SIV). A part is sealed together with the two lines, with its
//! number and with whether it is the last: none can be changed, moved, left out or taken from another
//! file, and a file that was cut off is noticed. A check made of the key tells a wrong passphrase from
//! a damaged file.

use std::io::{BufRead, Read};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use swarm_model::Secret;
use zeroize::Zeroizing;

/// With what a file begins, before its form.
const KIND: &str = "swarm-backup ";
/// The form that is written, and the only one so far.
const FORMAT: &str = "1";
/// The key's length in bytes.
const KEY: usize = 32;
/// The salt's.
const SALT: usize = 16;
/// What the check is made of.
const CHECK: &[u8] = b"swarm backup passphrase";
/// How long a line may be.
const LINE: u64 = 8 << 10;
/// How long a sealed part may be: a chunk of the store has some hundred KiB, and one value more.
const PART: usize = 16 << 20;
/// Argon2id: 64 MiB, three passes, one lane (RFC 9106, 4: the second recommended choice, with as
/// many lanes as there is certainly a core for). About a third of a second.
const COST: (u32, u32, u32) = (64 << 10, 3, 1);
/// More is not spent on a file that asks for it: 1 GiB, so many passes, so many lanes.
const MOST: (u32, u32, u32) = (1 << 20, 64, 16);

/// Why a file was not made or opened.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// It does not begin as one.
    #[error("it is no backup of a swarm")]
    Foreign,
    /// Of another form.
    #[error("it has format {0:?}, and this version reads {FORMAT:?}; use the newer version")]
    Newer(String),
    /// Its passphrase is another one.
    #[error("the passphrase is not the one that it was sealed with")]
    Passphrase,
    /// It was changed, or cut off.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// No passphrase.
    #[error("the passphrase is empty")]
    Empty,
    /// The system, or a library.
    #[error("{0}")]
    Unable(&'static str),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What is told of a backup in plain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version that made it.
    pub version: String,
    /// The swarm's id.
    pub cluster: String,
    /// The id of the node that made it.
    pub node: String,
    /// When, as RFC 3339.
    pub created: String,
    /// Whether a quorum had agreed that this is the newest there was.
    pub agreed: bool,
}

/// The second line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    header: Header,
    kdf: Kdf,
    check: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kdf {
    name: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

/// What both sides have of a file.
struct Shared {
    cipher: LessSafeKey,
    lines: digest::Digest,
    next: u64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    fn new(key: &[u8], lines: &[u8]) -> Result<Self, EnvelopeError> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key);
        let key = key.map_err(|_| EnvelopeError::Unable("the cipher does not take its key"))?;
        let lines = digest::digest(&digest::SHA256, lines);
        Ok(Self { cipher: LessSafeKey::new(key), lines, next: 0 })
    }

    /// The nonce of the next part, and what it is sealed with.
    fn advance(&mut self, last: bool) -> (Nonce, Aad<Vec<u8>>) {
        let number = self.next.to_be_bytes();
        self.next += 1;
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - number.len()..].copy_from_slice(&number);
        let with = [self.lines.as_ref(), &number, &[u8::from(last)]].concat();
        (Nonce::assume_unique_for_key(nonce), Aad::from(with))
    }
}

/// The key of a passphrase, and the check that is made of it.
fn derived(
    passphrase: &Secret,
    salt: &[u8],
    (memory, passes, lanes): (u32, u32, u32),
) -> Result<(Zeroizing<[u8; KEY]>, String), EnvelopeError> {
    let unable = |_| EnvelopeError::Unable("the passphrase cannot be made a key");
    let cost = argon2::Params::new(memory, passes, lanes, Some(KEY)).map_err(unable)?;
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cost);
    let mut key = Zeroizing::new([0; KEY]);
    argon.hash_password_into(passphrase.reveal().as_bytes(), salt, &mut *key).map_err(unable)?;
    let check = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), CHECK);
    Ok((key, STANDARD.encode(&check.as_ref()[..16])))
}

/// Seals a file, part by part.
#[derive(Debug)]
pub(super) struct Sealer(Shared);

impl Sealer {
    /// Begins a file: what seals its parts, and its first bytes. Takes its time: see [`COST`].
    pub fn begin(passphrase: &Secret, header: Header) -> Result<(Self, Vec<u8>), EnvelopeError> {
        Self::begin_at(passphrase, header, COST)
    }

    fn begin_at(
        passphrase: &Secret,
        header: Header,
        cost: (u32, u32, u32),
    ) -> Result<(Self, Vec<u8>), EnvelopeError> {
        if passphrase.reveal().is_empty() {
            return Err(EnvelopeError::Empty);
        }
        let mut salt = [0; SALT];
        aws_lc_rs::rand::fill(&mut salt)
            .map_err(|_| EnvelopeError::Unable("the system gives no random bytes"))?;
        let (key, check) = derived(passphrase, &salt, cost)?;
        let (memory_kib, passes, lanes) = cost;
        let salt = STANDARD.encode(salt);
        let kdf = Kdf { name: "argon2id".to_owned(), memory_kib, passes, lanes, salt };
        let line = serde_json::to_string(&Line { header, kdf, check })
            .map_err(|_| EnvelopeError::Unable("its header cannot be written"))?;
        let lines = format!("{KIND}{FORMAT}\n{line}\n").into_bytes();
        Ok((Self(Shared::new(&*key, &lines)?), lines))
    }

    /// The next part, sealed, with its length before it.
    pub fn part(&mut self, plain: &[u8], last: bool) -> Result<Vec<u8>, EnvelopeError> {
        let mut body = plain.to_vec();
        let (nonce, with) = self.0.advance(last);
        let sealing = self.0.cipher.seal_in_place_append_tag(nonce, with, &mut body);
        sealing.map_err(|_| EnvelopeError::Unable("a part cannot be sealed"))?;
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= PART);
        let length = length.ok_or(EnvelopeError::Unable("a part is too long"))?;
        // The first bit says whether it is the last; the seal vouches for it.
        let length = length | (u32::from(last) << 31);
        Ok([&length.to_be_bytes()[..], &body].concat())
    }
}

/// Opens a file, part by part.
#[derive(Debug)]
pub struct Opener<R> {
    from: R,
    header: Header,
    shared: Shared,
    ended: bool,
}

impl<R: BufRead> Opener<R> {
    /// Reads the lines, and makes the key. Blocks, and takes its time.
    pub fn open(mut from: R, passphrase: &Secret) -> Result<Self, EnvelopeError> {
        let mut lines = Vec::new();
        from.by_ref().take(LINE).read_until(b'\n', &mut lines)?;
        let kind = std::str::from_utf8(&lines).ok().and_then(|line| line.strip_prefix(KIND));
        match kind.map(str::trim_end) {
            None => return Err(EnvelopeError::Foreign),
            Some(FORMAT) => {}
            Some(other) => return Err(EnvelopeError::Newer(other.to_owned())),
        }
        let begin = lines.len();
        from.by_ref().take(LINE).read_until(b'\n', &mut lines)?;
        let unread = EnvelopeError::Damaged("its header cannot be read");
        let line: Line = match serde_json::from_slice(&lines[begin..]) {
            Ok(line) => line,
            Err(_) => return Err(unread),
        };
        let kdf = line.kdf;
        let bounded = kdf.memory_kib <= MOST.0 && kdf.passes <= MOST.1 && kdf.lanes <= MOST.2;
        let salt = STANDARD.decode(kdf.salt).ok().filter(|_| kdf.name == "argon2id" && bounded);
        let salt = salt.ok_or(unread)?;
        let (key, check) = derived(passphrase, &salt, (kdf.memory_kib, kdf.passes, kdf.lanes))?;
        if Secret::new(check) != Secret::new(line.check) {
            return Err(EnvelopeError::Passphrase);
        }
        let shared = Shared::new(&*key, &lines)?;
        Ok(Self { from, header: line.header, shared, ended: false })
    }

    /// What it is a backup of.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next part; `None` after the last one, where the file ends.
    pub fn part(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, EnvelopeError> {
        if self.ended {
            return match self.from.fill_buf()? {
                [] => Ok(None),
                _ => Err(EnvelopeError::Damaged("something follows its end")),
            };
        }
        let cut = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => EnvelopeError::Damaged("its end is missing"),
            _ => EnvelopeError::Io(error),
        };
        let mut length = [0; 4];
        self.from.read_exact(&mut length).map_err(cut)?;
        let length = u32::from_be_bytes(length);
        let last = length >> 31 == 1;
        let length = usize::try_from(length & (u32::MAX >> 1)).unwrap_or(usize::MAX);
        if length > PART {
            return Err(EnvelopeError::Damaged("a part has an odd length"));
        }
        let mut body = Zeroizing::new(vec![0; length]);
        self.from.read_exact(&mut body).map_err(cut)?;
        let (nonce, with) = self.shared.advance(last);
        let opened = self.shared.cipher.open_in_place(nonce, with, &mut body);
        let length = opened.map_err(|_| EnvelopeError::Damaged("a part was changed"))?.len();
        body.truncate(length);
        self.ended = last;
        Ok(Some(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test has no secret.
    const CHEAP: (u32, u32, u32) = (64, 1, 1);

    fn header() -> Header {
        Header {
            version: "0.1.0".to_owned(),
            cluster: "c".to_owned(),
            node: "n".to_owned(),
            created: "2026-11-27T06:00:00Z".to_owned(),
            agreed: true,
        }
    }

    fn read(file: &[u8], passphrase: &str) -> Result<Vec<Vec<u8>>, EnvelopeError> {
        let mut opener = Opener::open(file, &Secret::new(passphrase))?;
        assert_eq!(*opener.header(), header());
        let mut parts = Vec::new();
        while let Some(part) = opener.part()? {
            parts.push(part.to_vec());
        }
        Ok(parts)
    }

    #[test]
    fn what_released_versions_sealed_opens() {
        use swarm_testkit::forms::{Form, check};

        let write = || {
            let passphrase = Secret::new("correct horse");
            let (mut sealer, mut file) = Sealer::begin_at(&passphrase, header(), CHEAP)?;
            file.extend(sealer.part(b"what is beside the store", false)?);
            file.extend(sealer.part(b"the store", true)?);
            Ok(file)
        };
        let is_it = |file: &[u8]| {
            let parts = read(file, "correct horse")?;
            anyhow::ensure!(parts == [b"what is beside the store".to_vec(), b"the store".to_vec()]);
            Ok(())
        };
        let forms = [Form::new("backup", write, is_it)];
        check(env!("CARGO_MANIFEST_DIR"), env!("CARGO_PKG_VERSION"), &forms).unwrap();
    }

    #[test]
    fn only_the_whole_file_and_its_passphrase_open() {
        let (mut sealer, mut file) =
            Sealer::begin_at(&Secret::new("correct horse"), header(), CHEAP).unwrap();
        let begin = file.len();
        let first = sealer.part(b"what is kept", false).unwrap();
        let second = sealer.part(b"", true).unwrap();
        file.extend([first.clone(), second.clone()].concat());
        assert!(!file.windows(4).any(|part| part == b"kept"), "nothing can be read in it");
        assert_eq!(read(&file, "correct horse").unwrap(), [b"what is kept".to_vec(), Vec::new()]);
        assert!(matches!(read(&file, "battery"), Err(EnvelopeError::Passphrase)));

        let told = |file: &[u8]| read(file, "correct horse").unwrap_err().to_string();
        let mut changed = file.clone();
        changed[begin + 5] ^= 1;
        assert_eq!(told(&changed), "it is damaged: a part was changed");
        let cut = [&file[..begin], &first[..]].concat();
        assert_eq!(told(&cut), "it is damaged: its end is missing");
        let swapped = [&file[..begin], &second[..], &first[..]].concat();
        assert_eq!(told(&swapped), "it is damaged: a part was changed");
        assert_eq!(told(&[&file[..], b"x"].concat()), "it is damaged: something follows its end");
        // Who takes the last part for one in between, or the other way round, is noticed.
        let mut flag = file.clone();
        flag[begin] ^= 0x80;
        assert_eq!(told(&flag), "it is damaged: a part was changed");
        let text = String::from_utf8(file[..begin].to_vec()).unwrap();
        let other = text.replace("\"agreed\":true", "\"agreed\": true");
        assert_eq!(
            told(&[other.as_bytes(), &file[begin..]].concat()),
            "it is damaged: a part was changed"
        );
        let newer = text.replace("swarm-backup 1", "swarm-backup 2");
        assert!(told(newer.as_bytes()).contains("use the newer version"));
        assert_eq!(told(b"something else"), "it is no backup of a swarm");
        assert_eq!(told(b"swarm-backup 1\n{"), "it is damaged: its header cannot be read");
        let greedy = text.replace("\"memory_kib\":64,", "\"memory_kib\":4000000000,");
        assert_eq!(told(greedy.as_bytes()), "it is damaged: its header cannot be read");
        assert!(matches!(Sealer::begin(&Secret::new(""), header()), Err(EnvelopeError::Empty)));
    }
}
