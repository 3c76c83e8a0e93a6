//! What released versions wrote on disks and wires, kept as text beside the crate that owns it
//! (`forms/VERSION.jsonl`, one line for each form), and read again by the code of today.
//!
//! Leaves to each crate what its forms are. Invariants: a line that is there is never written anew; a version
//! without its file, a form without its line there, and a line that no form reads are errors.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

/// With this variable set, lines that are missing are written for the present version.
const UPDATE: &str = "UPDATE_FORMS";

type Writes<'a> = Box<dyn Fn() -> Result<Vec<u8>> + 'a>;
type Reads<'a> = Box<dyn Fn(&[u8]) -> Result<()> + 'a>;

/// One form: how today's code writes a sample of it, and how it reads one of whatever version.
pub struct Form<'a> {
    name: &'static str,
    write: Writes<'a>,
    read: Reads<'a>,
    /// What the version before has to find at the beginning of what is written today.
    ahead: Option<Vec<u8>>,
}

impl std::fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "form {:?}", self.name)
    }
}

impl<'a> Form<'a> {
    /// A form without names in it, where a value is known by its place. `today` is the sample as it is
    /// written now; `again` reads bytes and writes what it read, which has to be `today` for every version's
    /// line. What the newest version knows has to come first in it, since it reads no other.
    pub fn placed(
        name: &'static str,
        today: Vec<u8>,
        again: impl Fn(&[u8]) -> Result<Vec<u8>> + 'a,
    ) -> Self {
        Self { ahead: Some(today.clone()), ..Self::named(name, today, again) }
    }

    /// As [`Form::placed`], of a form that has names (JSON, protobuf): what a version does not know, it
    /// passes by.
    pub fn named(
        name: &'static str,
        today: Vec<u8>,
        again: impl Fn(&[u8]) -> Result<Vec<u8>> + 'a,
    ) -> Self {
        let sample = today.clone();
        let read = move |bytes: &[u8]| {
            let found = again(bytes)?;
            ensure!(
                found == today,
                "it reads as another value: {} instead of {}",
                shown(&found),
                shown(&today)
            );
            Ok(())
        };
        Self::new(name, move || Ok(sample.clone()), read)
    }

    /// A form that has chance in it: `read` says whether what it finds is the sample.
    pub fn new(
        name: &'static str,
        write: impl Fn() -> Result<Vec<u8>> + 'a,
        read: impl Fn(&[u8]) -> Result<()> + 'a,
    ) -> Self {
        Self { name, write: Box::new(write), read: Box::new(read), ahead: None }
    }
}

/// Has these forms read the lines of every version in the crate's folder. `crate_folder` and `version` are the
/// crate's `CARGO_MANIFEST_DIR` and `CARGO_PKG_VERSION`.
pub fn check(crate_folder: &str, version: &str, forms: &[Form<'_>]) -> Result<()> {
    let folder = Path::new(crate_folder).join("forms");
    if std::env::var_os(UPDATE).is_some() {
        write(&folder, version, forms)?;
    }
    compare(&folder, version, forms)
}

fn compare(folder: &Path, version: &str, forms: &[Form<'_>]) -> Result<()> {
    let own = folder.join(format!("{version}.jsonl"));
    let missing = |what: String| {
        anyhow!("{what}: a released version's forms are kept; {UPDATE}=1 writes the missing ones")
    };
    if !own.is_file() {
        return Err(missing(format!("there is no {}", own.display())));
    }
    let (mut wrong, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    for file in &files {
        let lines = read(file)?;
        if *file == own
            && let Some(form) = forms.iter().find(|form| !lines.iter().any(|l| l.0 == form.name))
        {
            return Err(missing(format!("{} has no line for {form:?}", file.display())));
        }
        for (name, bytes) in lines {
            let at = format!("{}: {name}", file.display());
            let form = forms.iter().find(|form| form.name == name);
            let form = form.with_context(|| format!("{at}: nothing reads this form any more"))?;
            if let Err(error) = (form.read)(&bytes) {
                wrong.push(format!("{at}: {error:#}"));
            }
            if *file == own && form.ahead.as_ref().is_some_and(|now| !now.starts_with(&bytes)) {
                wrong.push(format!("{at}: that version does not read what is written now"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn write(folder: &Path, version: &str, forms: &[Form<'_>]) -> Result<()> {
    let file = folder.join(format!("{version}.jsonl"));
    let mut text = if file.is_file() { fs::read_to_string(&file)? } else { String::new() };
    let known = if text.is_empty() { Vec::new() } else { read(&file)? };
    for form in forms.iter().filter(|form| !known.iter().any(|line| line.0 == form.name)) {
        let bytes = (form.write)().with_context(|| format!("{form:?}"))?;
        writeln!(text, "{}", line(form.name, &bytes))?;
    }
    fs::create_dir_all(folder)?;
    fs::write(&file, text).with_context(|| file.display().to_string())
}

fn line(name: &str, bytes: &[u8]) -> Value {
    match words(bytes) {
        Some(text) => json!({ "form": name, "text": text }),
        None => json!({ "form": name, "hex": hex(bytes) }),
    }
}

/// What a reader of the file can read.
fn words(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.chars().any(|c| c.is_control() && c != '\n')).then_some(text)
}

fn read(file: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let line = |line: &str| -> Result<(String, Vec<u8>)> {
        let line: Value = serde_json::from_str(line)?;
        let name = line["form"].as_str().context("a line without a form")?.to_owned();
        let bytes = match (line["text"].as_str(), line["hex"].as_str()) {
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(digits)) => unhex(digits).context("no hexadecimal digits")?,
            _ => bail!("a line has either a text or hexadecimal digits"),
        };
        Ok((name, bytes))
    };
    text.lines()
        .map(|one| line(one).with_context(|| format!("{}: {one}", file.display())))
        .collect()
}

fn shown(bytes: &[u8]) -> String {
    words(bytes).map_or_else(|| hex(bytes), str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(std::str::from_utf8);
    pairs.map(|pair| u8::from_str_radix(pair.ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(folder: &Path, version: &str, forms: &[Form<'_>]) -> String {
        let done = compare(folder, version, forms);
        done.map_or_else(|error| error.to_string(), |()| String::new())
    }

    /// A number, and since some version one more.
    fn numbers(today: &'static [u8]) -> Form<'static> {
        Form::placed("numbers", today.to_vec(), |bytes| {
            let mut read = bytes.to_vec();
            read.resize(read.len().max(2), 0);
            Ok(read)
        })
    }

    #[test]
    fn each_version_is_read_and_the_newest_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = &folder.path().join("forms");
        assert!(told(at, "2", &[]).contains("UPDATE_FORMS=1"));
        write(at, "1", &[numbers(&[7])]).unwrap();
        write(at, "2", &[numbers(&[7, 0])]).unwrap();
        assert_eq!(told(at, "2", &[numbers(&[7, 0])]), "");
        assert_eq!(told(at, "1", &[numbers(&[7, 0])]), "", "a number more comes last");
        let other = told(at, "2", &[numbers(&[0, 7])]);
        assert!(other.contains("1.jsonl: numbers: it reads as another value: 0700"), "{other}");
        assert!(other.contains("2.jsonl: numbers: that version does not read"), "{other}");
        let words = || Form::named("words", b"two words".to_vec(), |bytes| Ok(bytes.to_vec()));
        let gone = told(at, "2", &[numbers(&[7, 0]), words()]);
        assert!(gone.contains("has no line for form \"words\""), "{gone}");
        write(at, "2", &[words()]).unwrap();
        let kept = fs::read_to_string(at.join("2.jsonl")).unwrap();
        assert!(kept.starts_with("{\"form\":\"numbers\",\"hex\":\"0700\"}\n"), "{kept}");
        assert!(kept.ends_with("\"text\":\"two words\"}\n"), "{kept}");
        assert_eq!(told(at, "2", &[numbers(&[7, 0]), words()]), "");
        assert!(told(at, "2", &[]).contains("nothing reads this form any more"));
    }
}
