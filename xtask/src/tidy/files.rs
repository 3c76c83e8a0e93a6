//! What every file of the repository must and must not hold.
//!
//! Only files that git knows, or would add, are read. The forbidden words are spelt in pieces
//! here, so that this file obeys itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// One file, one thing: 400 lines are looked at hard, more than this fail.
const LONGEST: usize = 600;

/// A README that a person reads to its end.
const LONGEST_README: usize = 150;

/// Words that say "not done", with what to do instead.
const UNDONE: [(&str, &str); 6] = [
    (concat!("to", "do!"), "write it"),
    (concat!("unimple", "mented!"), "write it"),
    (concat!("#[ig", "nore"), "a test runs or is removed"),
    (concat!("FIX", "ME"), "fix it"),
    (concat!("XX", "X"), "say what is wrong, and fix it"),
    (concat!("TO", "DO"), "do it, or open an issue"),
];

/// Paths of one person's machine.
const MACHINE: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Crates whose code decides or describes: time and chance are arguments there.
const PURE: [&str; 6] =
    ["swarm-model", "swarm-docker", "swarm-backend", "swarm-core", "swarm-store", "swarm-doctor"];

const IMPURE: [&str; 7] = [
    "Instant::now(",
    "SystemTime::now(",
    "Timestamp::now(",
    "Zoned::now(",
    "rand::rng(",
    "rand::random",
    "thread_rng(",
];

/// All breaches in the repository at `root`.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut breaches = Vec::new();
    for name in String::from_utf8_lossy(&output.stdout).split_terminator('\0') {
        // Removed but not committed yet, or not text: nothing to read.
        let Ok(text) = fs::read_to_string(root.join(name)) else { continue };
        breaches.extend(check_text(name, &text));
    }
    breaches.sort();
    breaches.dedup();
    Ok(breaches)
}

fn check_text(name: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let is_rust = Path::new(name).extension().is_some_and(|e| e == "rs");
    let lines = text.lines().count();
    if is_rust && !text.starts_with("//!") {
        breaches.push(format!("{name}:1: opens with `//!`: what it is, what it leaves to whom"));
    }
    if is_rust && lines > LONGEST {
        breaches.push(format!("{name}: {lines} lines; one file, one thing: at most {LONGEST}"));
    }
    if name == "README.md" && lines > LONGEST_README {
        breaches.push(format!("{name}: {lines} lines; at most {LONGEST_README}"));
    }
    let pure = is_rust && PURE.iter().any(|own| name.starts_with(&format!("crates/{own}/src/")));
    for (number, line) in text.lines().enumerate() {
        let at = format!("{name}:{}", number + 1);
        if is_rust {
            for (word, instead) in UNDONE.iter().filter(|(word, _)| line.contains(word)) {
                breaches.push(format!("{at}: `{word}`: {instead}"));
            }
        }
        // A lock file holds addresses and hashes, not places of this machine.
        for place in MACHINE.iter().filter(|place| line.contains(*place) && name != "Cargo.lock") {
            if !part_of_a_longer_path(line, place) {
                breaches.push(format!("{at}: `{place}`: a path of one machine"));
            }
        }
        for word in IMPURE.iter().filter(|word| pure && line.contains(*word)) {
            breaches.push(format!("{at}: `{word}`: time and chance are arguments here"));
        }
    }
    breaches
}

/// `/lib/…/` inside `/usr/lib/…/`, or in an address, is no path from the root.
fn part_of_a_longer_path(line: &str, place: &str) -> bool {
    line.match_indices(place).all(|(at, _)| {
        line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || "-_.}".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tidy_file_passes() {
        let text = "//! What it is.\nfn a() { let now = 1; }\n";
        assert_eq!(check_text("crates/swarm-core/src/a.rs", text), [""; 0]);
    }

    #[test]
    fn each_rule_is_told_with_its_line() {
        let header = "//! H.\n";
        for (name, text, at) in [
            ("a.rs", "fn a() {}\n".to_owned(), "a.rs:1"),
            ("a.rs", header.to_owned() + &"\n".repeat(600), "a.rs: 601"),
            ("README.md", "\n".repeat(151), "README.md: 151"),
            ("a.rs", format!("{header}{}()\n", UNDONE[0].0), "a.rs:2"),
            ("a.rs", format!("{header}// {}\n", UNDONE[3].0), "a.rs:2"),
            ("docs/x.md", format!("see {}main\n", MACHINE[0]), "docs/x.md:1"),
            ("crates/swarm-core/src/a.rs", format!("{header}{})\n", IMPURE[0]), "a.rs:2"),
        ] {
            let breaches = check_text(name, &text);
            assert_eq!(breaches.len(), 1, "{name}: {breaches:?}");
            assert!(breaches[0].contains(at), "{}", breaches[0]);
        }
    }

    #[test]
    fn clocks_are_free_elsewhere_and_longer_paths_are_fine() {
        let text = format!("//! H.\nlet a = {});\n", IMPURE[0]);
        assert!(check_text("crates/swarm-pool/src/a.rs", &text).is_empty());
        assert!(check_text("docs/x.md", &format!("mnt{}x\n", MACHINE[0])).is_empty());
    }
}
