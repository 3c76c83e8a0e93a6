//! Whether what the documentation says of the program's own words is in the source: the messages of
//! docs/troubleshooting.md, the labels and variables of docs/labels.md, the latter both ways.
//!
//! Only what is shipped is read: neither tests nor the development crates.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

const MESSAGES: &str = "docs/troubleshooting.md";
const LABELS: &str = "docs/labels.md";

/// Crates that are no part of the program.
const DEVELOPMENT: [&str; 4] = ["swarm-testkit", "swarm-sim", "swarm-e2e", "swarm-bench"];

/// What the names of labels and variables begin with.
const NAMES: [&str; 11] = [
    "com.docker.swarm.",
    "com.docker.compose.",
    "com.docker.stack.",
    "swarm.re",
    "swarm.drain",
    "swarm.overcommit",
    "swarm.createretry",
    "interlock.",
    "SERVICE_",
    "VIRTUAL_",
    "SWARM_",
];

/// Names that are built in, or asked for in tests, and are no reader's.
const INNER: [&str; 2] = ["SWARM_COMMIT", "com.docker.stack.image"];

/// All that is said and is not so, in the repository at `root`.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut source = String::new();
    let crates = root.join("crates");
    for entry in fs::read_dir(&crates).with_context(|| crates.display().to_string())? {
        let entry = entry?;
        if !DEVELOPMENT.iter().any(|name| entry.file_name() == *name) {
            read(&entry.path().join("src"), &mut source)?;
        }
    }
    let page = |name: &str| fs::read_to_string(root.join(name)).with_context(|| name.to_owned());
    let mut breaches = messages(&page(MESSAGES)?, &joined(&source));
    breaches.extend(labels(&page(LABELS)?, &source));
    Ok(breaches)
}

/// All that is shipped of a folder's files.
fn read(folder: &Path, source: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name == "tests" || name.ends_with("_tests") || name.ends_with("_properties") {
            continue;
        }
        if path.is_dir() {
            read(&path, source)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            source.push_str(shipped(&text));
        }
    }
    Ok(())
}

/// A file's text before its tests, where they stand in it.
fn shipped(text: &str) -> &str {
    let of_tests = |(at, mark): &(usize, &str)| {
        let next = text[at + mark.len()..].lines().next().unwrap_or_default();
        next.ends_with("mod tests {")
    };
    let end = text.match_indices("#[cfg(test)]\n").find(of_tests);
    end.map_or(text, |(at, _)| &text[..at])
}

/// Texts that go on over several lines as one, and quotes as they are printed.
fn joined(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("\\\n") {
        text.push_str(before);
        rest = after.trim_start();
    }
    text.push_str(rest);
    text.replace("\\\"", "\"")
}

/// Messages of the page of which the source has nothing. A message is what stands in the first column as
/// code; `…` stands for what differs.
fn messages(page: &str, source: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for (at, line) in page.lines().enumerate() {
        let Some(cell) = line.strip_prefix("| `") else { continue };
        let message = cell.split("` |").next().unwrap_or_default();
        for piece in message.split('…').map(str::trim).filter(|piece| piece.len() > 1) {
            if !source.contains(piece) {
                let place = format!("{MESSAGES}:{}", at + 1);
                breaches.push(format!("{place}: the program says nowhere {piece:?}"));
            }
        }
    }
    breaches
}

/// Labels and variables that the page has and the source has not, or the other way round.
fn labels(page: &str, source: &str) -> Vec<String> {
    let known: BTreeSet<_> = quoted(source, '"').collect();
    let told: BTreeSet<_> =
        quoted(page, '`').map(|name| name.split('=').next().unwrap_or(name)).collect();
    let mut breaches = Vec::new();
    for name in told.iter().filter(|name| is_name(name) && !known.contains(*name)) {
        // A family is told by what is behind it.
        let family = name.contains("NAME")
            || name.contains('…')
            || name.contains(|c: char| c.is_ascii_digit());
        // The registrator reads them without what they begin with, in lower case.
        let service = name.strip_prefix("SERVICE_").is_some_and(|rest| {
            let rest = rest.to_ascii_lowercase();
            known.contains(rest.as_str()) || known.contains(rest.trim_start_matches("check_"))
        });
        if !family && !service && !composed(name, &known) {
            breaches.push(format!("{LABELS}: the program knows no {name}"));
        }
    }
    for name in known.iter().filter(|name| is_name(name) && !INNER.contains(name)) {
        if !told.contains(name) {
            breaches.push(format!("{LABELS}: {name} is missing"));
        }
    }
    breaches
}

/// Is it put together of a beginning and a word that the source has?
fn composed(name: &str, known: &BTreeSet<&str>) -> bool {
    let mut begins = known.iter().filter(|begin| begin.len() > 5 && begin.ends_with('.'));
    begins.any(|begin| name.strip_prefix(*begin).is_some_and(|rest| known.contains(rest)))
}

fn is_name(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let begin = NAMES.iter().find(|begin| text.starts_with(**begin));
    begin.is_some_and(|begin| text.len() > begin.len() || !begin.ends_with(['.', '_']))
        && !text.ends_with('.')
        && text.chars().all(letters)
}

/// What stands between two marks on one line.
fn quoted(text: &str, mark: char) -> impl Iterator<Item = &str> {
    text.lines().flat_map(move |line| line.split(mark).skip(1).step_by(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_over_lines_and_around_what_differs() {
        let source =
            joined("\"no suitable node for {}: \\\n      because of {x}\" \"a \\\"b\\\"\"");
        let page = "| `no suitable node for …` | x |\n| `… because of …` | |\n| `a \"b\"` | |\n";
        assert_eq!(messages(page, &source), [""; 0]);
        let found = messages("|\n| `no suitable nodes` | x |\n", &source);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("docs/troubleshooting.md:2: "), "{}", found[0]);
    }

    #[test]
    fn labels_are_compared_both_ways() {
        let source =
            "const A: &str = \"com.docker.swarm.a\";\nenv(\"SWARM_B\")\n\"com.docker.swarm.\"\n";
        assert_eq!(labels("`com.docker.swarm.a=x` and `SWARM_B`, `other`", source), [""; 0]);
        let found = labels("`com.docker.swarm.c`, `SWARM_B`", source);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("knows no com.docker.swarm.c"), "{}", found[0]);
        assert!(found[1].contains("com.docker.swarm.a is missing"), "{}", found[1]);
    }

    #[test]
    fn tests_are_not_what_is_shipped() {
        assert_eq!(shipped("a\n#[cfg(test)]\nmod tests {\n}\n"), "a\n");
        let elsewhere = "#[cfg(test)]\nmod tests;\na\n";
        assert_eq!(shipped(elsewhere), elsewhere);
    }
}
