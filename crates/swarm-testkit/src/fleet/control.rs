//! The faults an engine can be told to show, and the waiting they impose.
//!
//! One watch channel per engine carries them; connections, requests and event streams
//! each look at it themselves, so a fault reaches what is already under way.

use std::time::Duration;

use tokio::sync::watch;

/// How an engine treats requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Answers as an engine does.
    #[default]
    None,
    /// Keeps and accepts connections and never answers: neither FIN nor RST. Event
    /// streams fall mute. What was asked meanwhile is answered on return.
    Silent,
    /// Every request gets 500.
    Error,
    /// Every request gets 200 and a body that is not JSON.
    Garbage,
    /// Inspecting a container gets 500, as dockerd answers for one whose files are damaged.
    Inspect,
    /// New connections get bytes that are not HTTP.
    NotHttp,
}

/// Everything that steers an engine from outside.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Control {
    pub fault: Fault,
    /// Added before each answer.
    pub delay: Duration,
    /// Whether the listener is open.
    pub listening: bool,
    /// Connections of an older epoch are closed.
    pub connections: u64,
    /// Event streams of an older epoch are cut.
    pub streams: u64,
}

/// Returns when the engine is not silent (at once, mostly).
pub(super) async fn unless_silent(control: &mut watch::Receiver<Control>) {
    // An engine that is gone answers nobody: its connections are being dropped too.
    let _ = control.wait_for(|c| c.fault != Fault::Silent).await;
}

/// Returns when connections of `epoch` are to be closed.
pub(super) async fn connection_closed(mut control: watch::Receiver<Control>, epoch: u64) {
    let _ = control.wait_for(|c| c.connections != epoch).await;
}

/// Returns when the listener is to be closed.
pub(super) async fn listener_closed(mut control: watch::Receiver<Control>) {
    let _ = control.wait_for(|c| !c.listening).await;
}
