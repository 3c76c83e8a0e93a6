//! The `OTEL_` variables put to work: traces begin, are sent, and end.

use std::time::Duration;

use swarm_otlp::{Sender, Settings, SpanCounts};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Env;
use crate::usage::UsageError;

/// How long the end waits until the last spans have been sent.
const LAST: Duration = Duration::from_secs(2);

/// Traces of this process, or none.
pub struct Traces {
    /// What becomes of spans; told also where there are none.
    pub counts: SpanCounts,
    sender: Option<(String, Sender)>,
}

impl Traces {
    /// Has spans made, where the variables want them.
    pub fn start(env: Env<'_>) -> Result<Self, UsageError> {
        let counts = SpanCounts::default();
        let wrong = |error: String| UsageError::flags(error);
        let settings = Settings::read(env, known()).map_err(|error| wrong(error.to_string()))?;
        let Some(settings) = settings else { return Ok(Self { counts, sender: None }) };
        let to = settings.describe().to_owned();
        let sender =
            swarm_otlp::start(settings, &counts).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { counts, sender: Some((to, sender)) })
    }

    /// Sends them from now on. Within a runtime.
    pub fn send(self) -> Sending {
        let stop = CancellationToken::new();
        let task = self.sender.map(|(to, sender)| {
            info!("traces go to {to}");
            tokio::spawn(sender.run(stop.clone()))
        });
        Sending { stop, task }
    }
}

/// What this process knows of itself.
fn known() -> Vec<(&'static str, String)> {
    let mut known = vec![
        ("service.name", "swarm".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("process.pid", std::process::id().to_string()),
        ("telemetry.sdk.name", "opentelemetry".to_owned()),
        ("telemetry.sdk.language", "rust".to_owned()),
    ];
    if let Ok(name) = nix::unistd::gethostname()
        && let Ok(name) = name.into_string()
    {
        known.push(("host.name", name));
    }
    known
}

/// Traces on their way.
pub struct Sending {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Sending {
    /// What is left goes out, too, unless the collector keeps it.
    pub async fn end(self) {
        self.stop.cancel();
        let Some(task) = self.task else { return };
        if tokio::time::timeout(LAST, task).await.is_err() {
            warn!("the last traces could not be sent within {} s", LAST.as_secs());
        }
    }
}
