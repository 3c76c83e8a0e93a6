//! A primary that another election appoints: a swarm's leader. The lock is taken by who is called, and
//! given back by who is called no more; it makes sure that a leader that does not know yet of its end
//! has stopped acting before the next one begins.
//!
//! As long as nothing is kept nobody is called, and nothing is written.

use tokio::sync::watch;

/// Whether this manager is to be the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Called {
    /// Another one is, or it is not known.
    #[default]
    No,
    /// It would be, if anything had to be kept.
    Unneeded,
    /// It is.
    Yes,
}

/// Whoever knows says so by this.
#[derive(Debug)]
pub struct Appointer {
    called: watch::Sender<Called>,
    begun: watch::Receiver<bool>,
}

/// What it says.
#[derive(Debug, Clone)]
pub(crate) struct Appointment {
    called: watch::Receiver<Called>,
    begun: watch::Sender<bool>,
}

pub(super) fn pair() -> (Appointer, Appointment) {
    let (called, seen) = watch::channel(Called::No);
    let (begin, begun) = watch::channel(false);
    (Appointer { called, begun }, Appointment { called: seen, begun: begin })
}

impl Appointer {
    /// From now on.
    pub fn call(&self, called: Called) {
        self.called.send_if_modified(|known| std::mem::replace(known, called) != called);
    }

    /// Waits until this process was asked to keep something, ever.
    pub async fn begun(&mut self) {
        if self.begun.wait_for(|begun| *begun).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Appointment {
    pub(super) fn is_called(&self) -> bool {
        *self.called.borrow() == Called::Yes
    }

    /// Ends when it is, or is not.
    pub(super) async fn called(&self, is: bool) {
        let mut called = self.called.clone();
        if called.wait_for(|now| (*now == Called::Yes) == is).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether anything is kept, as soon as that is known; with `begins` it is from now on. The caller
    /// has a deadline.
    pub async fn is_needed(&self, begins: bool) -> bool {
        if begins {
            self.begun.send_if_modified(|begun| !std::mem::replace(begun, true));
        }
        let mut called = self.called.clone();
        let known = |now: &Called| *now == Called::Yes || (*now == Called::Unneeded && !begins);
        let now = called.wait_for(known).await.map(|now| *now);
        match now {
            Ok(now) => now == Called::Yes,
            Err(_) => std::future::pending().await,
        }
    }
}
