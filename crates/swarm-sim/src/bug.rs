//! Mistakes that the managers of a round can be told to make, so that the checkers can be seen to
//! notice them. None is made unless a test, or a person with `--bug`, asks for it.

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Bug {
    /// An engine is taken for failed as soon as it does not answer.
    SkipGrace,
    /// The generation on a container is not read: each looks like the present one.
    IgnoreGeneration,
    /// Engines are changed without a look at the time fence.
    ActAfterFence,
    /// A container is made before the store knows where it goes.
    CreateUnannounced,
    /// Old copies are left alone.
    ForgetStale,
    /// Writes depend on neither revision nor guard.
    WriteUnguarded,
    /// A create that failed is tried again with the same generation.
    ReuseGeneration,
    /// A client is told of a stop before the store has it.
    AckBeforeWrite,
    /// What is not seen is taken for gone, however old the reading, and without another look.
    TrustOldReading,
    /// A copy is started while an older one is known to run.
    StartBesideOld,
    /// Nobody looks whether a late write brought an intent back.
    NeverAudit,
    /// Nobody remembers what was removed while its engine was away.
    ForgetRemoved,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::SkipGrace,
        Self::IgnoreGeneration,
        Self::ActAfterFence,
        Self::CreateUnannounced,
        Self::ForgetStale,
        Self::WriteUnguarded,
        Self::ReuseGeneration,
        Self::AckBeforeWrite,
        Self::TrustOldReading,
        Self::StartBesideOld,
        Self::NeverAudit,
        Self::ForgetRemoved,
    ];
}
