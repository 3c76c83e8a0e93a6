//! The passphrase of a backup: from a file, the environment, or the standard input; never from the
//! command line, where everybody on the machine sees it.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::Context as _;
use swarm_model::Secret;
use zeroize::Zeroizing;

use crate::cli::PassphraseFlags;
use crate::config::{Env, set};
use crate::usage::UsageError;

/// The variable.
const VARIABLE: &str = "SWARM_BACKUP_PASSPHRASE";
/// A longer line is no passphrase.
const LONGEST: u64 = 64 << 10;

/// Reads it.
pub fn read(flags: &PassphraseFlags, env: Env<'_>) -> anyhow::Result<Secret> {
    let (from, passphrase) = match &flags.passphrase_file {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| path.clone())?;
            (path.clone(), first_line(file).with_context(|| path.clone())?)
        }
        None => match set(env, VARIABLE) {
            Some(text) => (VARIABLE.to_owned(), Secret::new(text)),
            None if std::io::stdin().is_terminal() => {
                let words = format!(
                    "a passphrase is needed: --passphrase-file FILE, {VARIABLE}, or on the standard \
                     input (it is not asked for, since a terminal would show it)"
                );
                return Err(UsageError::flags(words).into());
            }
            None => ("the standard input".to_owned(), first_line(std::io::stdin())?),
        },
    };
    if passphrase.reveal().is_empty() {
        return Err(UsageError::flags(format!("the passphrase in {from} is empty")).into());
    }
    Ok(passphrase)
}

fn first_line(from: impl std::io::Read) -> std::io::Result<Secret> {
    let mut line = Zeroizing::new(String::new());
    std::io::BufReader::new(from.take(LONGEST)).read_line(&mut line)?;
    Ok(Secret::new(line.trim_end_matches(['\n', '\r'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_wins_over_the_variable_and_its_first_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        std::fs::write(&path, "correct horse \r\nbattery\n").unwrap();
        let env = |name: &str| (name == VARIABLE).then(|| "staple".to_owned());
        let flags = PassphraseFlags { passphrase_file: Some(path.display().to_string()) };
        assert_eq!(read(&flags, &env).unwrap().reveal(), "correct horse ");
        assert_eq!(read(&PassphraseFlags::default(), &env).unwrap().reveal(), "staple");
        std::fs::write(&path, "\n").unwrap();
        assert!(read(&flags, &env).unwrap_err().to_string().contains("is empty"));
    }
}
