//! A last question before a request that may change something is written.
//!
//! Between a caller's own check and the first byte lie a name look-up, a connect and a handshake:
//! seconds, in which a process can be stopped. So the question is asked when the connection is
//! there, with nothing but the write left to do. What it asks is the caller's.

use std::fmt;
use std::sync::Arc;

use http::Method;
use swarm_docker::ApiError;

use crate::EngineError;

/// Says whether a request may be written now. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<dyn Fn() -> Result<(), ApiError> + Send + Sync>);

impl Gate {
    /// `may` is asked for every request but plain `GET` and `HEAD`; its error is what the caller
    /// gets. It must not wait.
    pub fn new(may: impl Fn() -> Result<(), ApiError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(may))
    }

    /// Whether a request of this kind may be written now.
    pub(crate) fn pass(&self, method: &Method, upgrades: bool) -> Result<(), EngineError> {
        if matches!(*method, Method::GET | Method::HEAD) && !upgrades {
            return Ok(());
        }
        (self.0)().map_err(EngineError::Barred)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}
