//! Why a step did not work.

use swarm_backend::ApiError;
use swarm_kv::StoreError;

/// Why a step did not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    /// The store did not keep the announcement: nothing was done.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// An engine refused, or placement did.
    #[error("{}", .0.message)]
    Engine(ApiError),
    /// The intent is not any more what the step was planned for.
    #[error("it has changed meanwhile")]
    Changed,
}

impl From<ApiError> for StepError {
    fn from(error: ApiError) -> Self {
        Self::Engine(error)
    }
}
