//! Mistakes that the managers of a round can be told to make, so that the checkers can be seen to
//! notice them. None is made unless a test, or a person with `--bug`, asks for it.

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Bug {
    /// Managers write themselves that the tasks of a silent node have failed.
    SpeakForNode,
    /// A task that is told to stop holds nothing any more.
    FreeTooEarly,
    /// A task that waits for the one before it is started at once.
    StartAtOnce,
    /// An update takes all slots at once.
    UpdateAll,
    /// Nobody notices that a node is silent.
    NeverDown,
    /// Nobody asks again at the moment that a plan names.
    NeverWake,
    /// A task that finds no node is written again each time.
    Restless,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SpeakForNode,
        Self::FreeTooEarly,
        Self::StartAtOnce,
        Self::UpdateAll,
        Self::NeverDown,
        Self::NeverWake,
        Self::Restless,
    ];
}
