//! How the proxy hears of a new configuration.

use std::path::{Path, PathBuf};

use crate::process::{Kind, Process, signal};
use crate::shell::shell;

/// More is no process's id.
const LONGEST: u64 = 64;

/// The way to the proxy.
#[derive(Debug)]
pub enum Reload {
    /// A command of the user's.
    Command(String),
    /// A signal to the process whose id is in a file.
    PidFile(Kind, PathBuf),
    /// The proxy is our child.
    Child(Box<Process>),
    /// Nobody is told.
    Nobody,
}

impl Reload {
    /// Tells the proxy; with a child that does not run, starts it.
    pub async fn reload(&mut self, config: &Path) -> Result<(), String> {
        match self {
            Self::Command(command) => {
                shell(command, config).await.map_err(|failed| failed.to_string())
            }
            Self::PidFile(kind, file) => {
                let id =
                    pid(file).await.map_err(|reason| format!("{}: {reason}", file.display()))?;
                signal(id, kind.reload())
            }
            Self::Child(process) => process.reload(),
            Self::Nobody => Ok(()),
        }
    }

    /// What was done, for the log.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Nobody => "nobody is told of the new configuration, as asked",
            _ => "the proxy was told of its configuration",
        }
    }

    /// Waits until a child has ended; for ever where there is none.
    pub async fn ended(&mut self) -> String {
        match self {
            Self::Child(process) => process.ended().await,
            _ => std::future::pending().await,
        }
    }

    /// Ends a child.
    pub async fn stop(&mut self) {
        if let Self::Child(process) = self {
            process.stop().await;
        }
    }

    /// A child that does not run, and is to.
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Child(process) if !process.runs())
    }
}

async fn pid(file: &Path) -> Result<i32, String> {
    let size = tokio::fs::metadata(file).await.map_err(|error| error.to_string())?.len();
    if size > LONGEST {
        return Err("it holds no process's id".to_owned());
    }
    let text = tokio::fs::read_to_string(file).await.map_err(|error| error.to_string())?;
    // 0 and below would be groups of processes, and 1 is init.
    let id = text.split_whitespace().next().and_then(|word| word.parse().ok());
    id.filter(|id| *id > 1).ok_or_else(|| "it holds no process's id".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_without_an_id_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let mut reload = Reload::PidFile(Kind::Nginx, file.clone());
        let missing = reload.reload(&file).await.unwrap_err();
        assert!(missing.contains("No such file"), "{missing}");
        for content in ["", "x", "0", "-1", "1", &"9".repeat(100)] {
            std::fs::write(&file, content).unwrap();
            let found = reload.reload(&file).await.unwrap_err();
            assert!(found.ends_with("it holds no process's id"), "{found}");
        }
    }
}
