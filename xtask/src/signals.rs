//! Ctrl-C, SIGTERM and SIGHUP as something a command can wait for.
//!
//! Invariant: once installed, no such signal ends this process; the command cleans up and ends
//! by itself, however often the person presses Ctrl-C meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// The wish to end.
#[derive(Debug)]
pub struct Interrupt {
    seen: Arc<AtomicBool>,
    first: Receiver<()>,
}

impl Interrupt {
    /// Takes the signals over.
    pub fn install() -> Result<Self> {
        let seen = Arc::new(AtomicBool::new(false));
        let (tell, first) = channel();
        let (ready, installed) = channel();
        let flag = Arc::clone(&seen);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(watch(&flag, &tell, &ready)));
        installed.recv()??;
        Ok(Self { seen, first })
    }

    /// An error, if the person wants to end.
    pub fn check(&self) -> Result<()> {
        if self.seen.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Waits up to a quarter of a second; true when the person wants to end.
    pub fn wait_a_little(&self) -> bool {
        let pause = std::time::Duration::from_millis(250);
        self.seen.load(Ordering::SeqCst) || self.first.recv_timeout(pause).is_ok()
    }
}

async fn watch(
    seen: &AtomicBool,
    tell: &std::sync::mpsc::Sender<()>,
    ready: &std::sync::mpsc::Sender<std::io::Result<()>>,
) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [mut int, mut term, mut hup] = match kinds.map(signal) {
        [Ok(int), Ok(term), Ok(hup)] => [int, term, hup],
        [int, term, hup] => {
            let error = [int, term, hup].into_iter().find_map(Result::err);
            let _ = ready.send(Err(error.unwrap_or_else(|| std::io::Error::other("signals"))));
            return;
        }
    };
    // A command that is gone by now waits for nothing.
    let _ = ready.send(Ok(()));
    loop {
        tokio::select! { _ = int.recv() => {} _ = term.recv() => {} _ = hup.recv() => {} }
        let again = seen.swap(true, Ordering::SeqCst);
        eprintln!("\n{}", if again { "Still cleaning up; a moment." } else { "Cleaning up." });
        let _ = tell.send(());
    }
}
