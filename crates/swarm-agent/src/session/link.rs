//! A link with the leader, from its welcome to its end: beats, words on tasks and the node's description
//! go out; what the node is to run, to be and to read comes in.

use std::time::Duration;

use swarm_rpc::clock;
use swarm_rpc::v1::{self, FromAgent, ToAgent, from_agent, to_agent};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::Session;
use super::leader::Open;
use crate::executor::worker::Command;
use crate::logs::Subscriptions;
use crate::report::Reports;
use crate::tunnels::Tunnels;

/// Words on tasks in one message.
const BATCH: usize = 200;
/// How long the leader may take to hear that this node takes leave.
const FAREWELL: Duration = Duration::from_secs(1);
/// A leader that reads nothing for so many beats is given up.
const PATIENCE: u32 = 3;

struct Outbox {
    messages: mpsc::Sender<FromAgent>,
    patience: Duration,
}

impl Outbox {
    /// The error is in words: the link is over.
    async fn send(&self, what: from_agent::What) -> Result<(), String> {
        let message = FromAgent { what: Some(what) };
        match timeout(self.patience, self.messages.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("the connection is closed".to_owned()),
            Err(_) => Err(format!("the leader took nothing for {:?}", self.patience)),
        }
    }

    /// Sends what is newer than `sent`; up to where that is.
    async fn reports(&self, reports: &Reports, mut sent: u64) -> Result<u64, String> {
        loop {
            let (words, last) = reports.after(sent, BATCH);
            if words.is_empty() {
                return Ok(sent);
            }
            let statuses = words
                .into_iter()
                .map(|(task, status)| v1::Status {
                    task_id: task.to_string(),
                    status: serde_json::to_vec(&status).unwrap_or_default().into(),
                })
                .collect();
            self.send(from_agent::What::Statuses(v1::Statuses { statuses })).await?;
            sent = last;
        }
    }
}

impl Session {
    /// Keeps a link until it is over; why, in words.
    pub(super) async fn keep(&mut self, open: Open) -> String {
        let Open { address, channel, outbox, mut inbox, beat_every } = open;
        let outbox = Outbox { messages: outbox, patience: beat_every * PATIENCE };
        let mut logs = Subscriptions::new(self.shared.clone(), channel);
        let engine = self.shared.engine.client.clone();
        let mut tunnels = Tunnels::new(engine, self.dial.clone(), address);
        let mut beats = interval_at(Instant::now() + beat_every, beat_every);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was said with the hello is no news.
        self.description.mark_unchanged();
        let shared = self.shared.clone();
        let mut sent = match outbox.reports(&shared.reports, 0).await {
            Ok(sent) => sent,
            Err(why) => return why,
        };
        loop {
            let done = tokio::select! {
                message = inbox.message() => match message {
                    Ok(Some(message)) => self.heard(message, &mut logs, &mut tunnels).await,
                    Ok(None) => Err("the leader ended it".to_owned()),
                    Err(status) => Err(format!("{:?}: {}", status.code(), status.message())),
                },
                _ = beats.tick() => outbox.send(from_agent::What::Beat(v1::Beat { now: clock() })).await,
                () = shared.reports.news() => {
                    outbox.reports(&shared.reports, sent).await.map(|last| sent = last)
                }
                Ok(()) = self.description.changed() => {
                    let description = self.description.borrow_and_update().clone();
                    let what = from_agent::What::Description(description.unwrap_or_default());
                    outbox.send(what).await
                }
                () = self.renew.notified() => Err("it is made anew".to_owned()),
                () = self.parting.cancelled() => {
                    // The end of our words, and not of the connection: that would be silence.
                    drop(outbox);
                    let end = async { while let Ok(Some(_)) = inbox.message().await {} };
                    let _ = timeout(FAREWELL, end).await;
                    return "this node takes leave".to_owned();
                }
            };
            if let Err(why) = done {
                return why;
            }
        }
    }

    async fn heard(
        &self,
        message: ToAgent,
        logs: &mut Subscriptions,
        tunnels: &mut Tunnels,
    ) -> Result<(), String> {
        match message.what {
            Some(to_agent::What::Assignments(assignments)) => {
                let told = self.commands.send(Command::Assign(assignments)).await;
                told.map_err(|_| "this node stops".to_owned())?;
            }
            Some(to_agent::What::Wish(wish)) => {
                if !wish.managers.is_empty() {
                    self.managers.send_if_modified(|known| {
                        let news = *known != wish.managers;
                        known.clone_from(&wish.managers);
                        news
                    });
                }
                self.wishes.send_replace(Some(wish));
            }
            Some(to_agent::What::LogsWanted(wanted)) => logs.begin(wanted),
            Some(to_agent::What::LogsOver(subscription)) => logs.end(&subscription),
            Some(to_agent::What::Tunnel(wanted)) => tunnels.open(&wanted),
            Some(to_agent::What::Welcome(_)) => {
                return Err("the leader welcomed this node twice".to_owned());
            }
            // A newer leader's word: it works without nodes that know it.
            None => tracing::debug!("the leader said something that this version does not know"),
        }
        Ok(())
    }
}
