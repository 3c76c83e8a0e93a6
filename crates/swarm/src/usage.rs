//! Errors of the command line. Each names the flag (or environment variable), the value it
//! was given, and the form that was expected; the exit code is 2.

/// The command line is wrong, or asks for what this version does not have.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A value that its flag cannot take.
    #[error("{flag} {value:?}: {problem}")]
    Value {
        /// The flag or environment variable.
        flag: String,
        /// What it was given.
        value: String,
        /// What is wrong with it and what was expected.
        problem: String,
    },
    /// Flags that do not go together, or one that is missing.
    #[error("{0}")]
    Flags(String),
    /// A discovery URL or option that names no usable backend.
    #[error(transparent)]
    Discovery(#[from] swarm_discovery::DiscoveryError),
    /// A store's URL that cannot be.
    #[error("discovery {0}")]
    StoreUrl(#[from] swarm_kv::UrlError),
    /// A store that cannot be opened with these options.
    #[error(transparent)]
    Store(#[from] swarm_kv::StoreError),
}

impl UsageError {
    /// A value that its flag cannot take.
    pub fn value(flag: &str, value: &str, problem: impl Into<String>) -> Self {
        Self::Value { flag: flag.to_owned(), value: value.to_owned(), problem: problem.into() }
    }

    /// Flags that do not go together, or one that is missing.
    pub fn flags(message: impl Into<String>) -> Self {
        Self::Flags(message.into())
    }
}
