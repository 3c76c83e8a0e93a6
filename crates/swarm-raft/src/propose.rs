//! Writing through whoever leads, and what a caller is told of a write that did not end.
//!
//! Invariants: a command comes into the log of one leader at most; where nothing was changed and nothing
//! will be, that is said; where it is not known, that is said too, and the command is not tried again.

use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::{ClientWriteError, RaftError};
use swarm_kv::Result;
use swarm_store::{Command, Done, Outcome};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::core::{Core, LOOK};
use crate::kinds::Id;
use crate::net::{Fault, LinkError, Reply, Request};

/// How long a disk that stops taking writes in the midst of one is waited for: a moment's hitch, or the
/// others that do without it, are over by then.
const HITCH: Duration = Duration::from_secs(1);

/// What came of asking one leader.
enum Asked {
    /// It did it, or the state refused it.
    Done(Outcome),
    /// Certainly not done; somebody else may lead. Why, where there is more to say.
    Again(Option<Fault>),
    /// Asking again could do it twice, or does not help.
    Ended(Fault),
}

impl Core {
    /// Makes a change through whoever leads.
    pub async fn propose(&self, command: Command) -> Result<Done> {
        self.propose_by(command, self.until()).await
    }

    /// As [`Core::propose`], trying until then.
    pub async fn propose_by(&self, command: Command, until: Instant) -> Result<Done> {
        let mut why = None;
        loop {
            self.able()?;
            let asked = match self.leader() {
                Some(leader) if leader == self.id => self.ask_here(&command, until).await,
                Some(leader) => self.ask_there(leader, &command, until).await,
                None => Asked::Again(None),
            };
            match asked {
                Asked::Done(outcome) => return outcome.map_err(|why| why.into_error(&self.name)),
                Asked::Ended(fault) => return Err(fault.into_error(&self.name)),
                Asked::Again(told) => why = told.or(why),
            }
            if Instant::now() >= until {
                // Whoever cannot write down who leads does not learn it either.
                let why = self.disk.trouble().map(|trouble| unwritable(&trouble)).or(why);
                return Err(match why {
                    Some(fault) => fault.into_error(&self.name),
                    None => self.no_quorum().await,
                });
            }
            sleep(LOOK).await;
        }
    }

    async fn ask_here(&self, command: &Command, until: Instant) -> Asked {
        match self.append(command.clone(), until).await {
            Ok(outcome) => Asked::Done(outcome),
            Err(Fault::NotLeader) => Asked::Again(None),
            Err(fault) => Asked::Ended(fault),
        }
    }

    async fn ask_there(&self, leader: Id, command: &Command, until: Instant) -> Asked {
        match self.peers.call(leader, Request::Propose(command.clone()), until).await {
            Ok(Reply::Outcome(outcome)) => Asked::Done(outcome),
            Ok(_) => Asked::Ended(Fault::Unknown("the leader gave an odd answer".to_owned())),
            Err(LinkError::NotSent(_) | LinkError::Fault(Fault::NotLeader | Fault::Elsewhere)) => {
                Asked::Again(None)
            }
            // It hands over as soon as it can.
            Err(LinkError::Fault(Fault::Unwritable(words))) => {
                let leader = self.peers.address(leader).unwrap_or_else(|| format!("{leader:016x}"));
                Asked::Again(Some(Fault::Unwritable(format!("the leader, {leader}: {words}"))))
            }
            Err(LinkError::Fault(fault)) => Asked::Ended(fault),
            Err(LinkError::Lost(how)) => {
                Asked::Ended(Fault::Unknown(format!("the leader was lost while it wrote ({how})")))
            }
        }
    }

    /// Makes a change as the leader. [`Fault::NotLeader`] and [`Fault::Unwritable`] when certainly
    /// nothing was done.
    pub async fn append(
        &self,
        command: Command,
        until: Instant,
    ) -> std::result::Result<Outcome, Fault> {
        if let Some(trouble) = self.disk.trouble() {
            return Err(unwritable(&trouble));
        }
        // From here on it is in the log, whatever becomes of the disk: others may have it already, and
        // this disk gets it as soon as it takes writes.
        let written = tokio::select! {
            written = timeout_at(until, self.raft.client_write(command)) => written,
            trouble = self.lasting_trouble() => return Err(Fault::Unknown(format!(
                "its disk stopped taking writes in the midst of it ({trouble})"
            ))),
        };
        match written {
            Ok(Ok(written)) => written
                .data
                .ok_or_else(|| Fault::Unknown("a change was answered with nothing".to_owned())),
            Ok(Err(RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)))) => {
                Err(Fault::Unknown("another manager took over while it was written".to_owned()))
            }
            Ok(Err(RaftError::APIError(_))) => Err(Fault::NotLeader),
            Ok(Err(RaftError::Fatal(fatal))) => {
                Err(Fault::Unknown(format!("it stopped while it wrote ({fatal})")))
            }
            Err(_) => {
                let count = self.count().await;
                Err(Fault::Unknown(format!("not enough managers agreed in time ({count})")))
            }
        }
    }

    /// Waits until the disk has been in trouble for longer than a hitch; why it is.
    async fn lasting_trouble(&self) -> String {
        let mut told = self.disk.watch_trouble();
        loop {
            let trouble = told.wait_for(Option::is_some).await.map(|trouble| trouble.clone());
            let Ok(Some(trouble)) = trouble else {
                // The writer has ended, and with it the store.
                return std::future::pending().await;
            };
            if timeout(HITCH, told.wait_for(Option::is_none)).await.is_err() {
                return trouble;
            }
        }
    }

    /// Whether there are no other managers.
    pub fn is_alone(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.voter_ids().eq([self.id])
    }
}

/// Nothing is begun on such a disk.
fn unwritable(trouble: &str) -> Fault {
    Fault::Unwritable(format!(
        "its disk does not take writes ({trouble}): make room there, or mend it; it tries again until it \
         does"
    ))
}
