//! Writing: reads what is there, decides by `plan`, and lets the server do it as one transaction
//! that checks what was read. Where somebody else was quicker, it is begun anew.
//!
//! Invariant: a transaction is sent once: when the connection breaks before its answer, it may have
//! been done, and the error says so.

use std::time::Duration;

use swarm_kv::{Guard, Revision, StoreError, Write};
use tokio::time::sleep;
use zookeeper_client::{Client, CreateMode, Error, MultiWriteError, MultiWriteResult, MultiWriter};

use crate::access::Access;
use crate::failure::{Fate, fate};
use crate::plan::{self, Step};
use crate::{path, read};

/// Before a write is begun anew; more after each attempt.
const PAUSE: Duration = Duration::from_millis(2);
/// The longest such wait.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How an attempt failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// For good.
    Told(StoreError),
    /// While reading: nothing was sent that changes anything.
    Reading(Error),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Told(error)
    }
}

/// What a transaction is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) key: &'a str,
    pub(crate) znode: &'a str,
    pub(crate) guard: Option<(&'a Guard, &'a str)>,
}

/// What became of a transaction.
enum Outcome {
    Done(Option<Revision>),
    /// Something is not as it was read.
    Moved,
    /// There is nothing to make it below.
    Parentless,
}

/// Writes a key through the session of its lease, or the shared one.
pub(crate) async fn put(
    access: &Access,
    client: &Client,
    target: Target<'_>,
    write: &Write,
) -> Result<Revision, Failed> {
    let session = write.lease.as_ref().map(|_| client.session_id().0);
    let mut attempts = 0;
    loop {
        let (there, guard) = look(client, target).await?;
        let guard = target.guard.map(|(wanted, _)| (wanted, guard));
        let steps = plan::put(target.key, write.expect, session, there, guard)?;
        match commit(access, client, target, &steps, &write.value).await? {
            Outcome::Done(Some(revision)) => return Ok(revision),
            Outcome::Done(None) => {
                return Err(access.words.garbage("it did not tell what it wrote").into());
            }
            Outcome::Parentless => make_parents(access, client, target).await?,
            Outcome::Moved => pause(&mut attempts).await,
        }
    }
}

/// Deletes a key.
pub(crate) async fn delete(
    access: &Access,
    client: &Client,
    target: Target<'_>,
    expect: swarm_kv::Expect,
) -> Result<(), Failed> {
    let mut attempts = 0;
    loop {
        let (there, guard) = look(client, target).await?;
        let guard = target.guard.map(|(wanted, _)| (wanted, guard));
        let steps = plan::delete(target.key, expect, there, guard)?;
        if steps.is_empty() {
            return Ok(());
        }
        match commit(access, client, target, &steps, &[]).await? {
            Outcome::Done(_) => return Ok(()),
            Outcome::Moved | Outcome::Parentless => pause(&mut attempts).await,
        }
    }
}

async fn look(
    client: &Client,
    target: Target<'_>,
) -> Result<(Option<plan::Node>, Option<plan::Node>), Failed> {
    let guard = target.guard.map(|(_, znode)| znode);
    read::nodes(client, target.znode, guard).await.map_err(Failed::Reading)
}

async fn commit(
    access: &Access,
    client: &Client,
    target: Target<'_>,
    steps: &[Step],
    value: &[u8],
) -> Result<Outcome, Failed> {
    let mut writer = client.new_multi_writer();
    let told = |error: Error| Failed::Told(access.words.of(&error, target.key));
    for step in steps {
        add(access, &mut writer, target, *step, value).map_err(told)?;
    }
    let error = match writer.commit().await {
        Ok(results) => return Ok(Outcome::Done(results.iter().rev().find_map(revision))),
        Err(MultiWriteError::OperationFailed { index, source }) => {
            return failed(steps.get(index), &source).ok_or_else(|| told(source));
        }
        Err(MultiWriteError::RequestFailed { source }) => source,
    };
    Err(match fate(&error) {
        // The server ended the session before it: nothing was written.
        Fate::Over => Failed::Reading(error),
        Fate::Lost => Failed::Told(access.words.unreachable(format!(
            "the connection broke off before the answer; {} may have been written",
            target.key
        ))),
        Fate::Answered => told(error),
    })
}

fn add(
    access: &Access,
    writer: &mut MultiWriter<'_>,
    target: Target<'_>,
    step: Step,
    value: &[u8],
) -> Result<(), Error> {
    match step {
        Step::Check(version) => match target.guard {
            Some((_, znode)) => writer.add_check_version(znode, version),
            None => Ok(()),
        },
        Step::Delete(version) => writer.add_delete(target.znode, Some(version)),
        Step::Make { ephemeral } => {
            let mode = if ephemeral { CreateMode::Ephemeral } else { CreateMode::Persistent };
            writer.add_create(target.znode, &[], &access.options(mode))
        }
        Step::Set(version) => writer.add_set_data(target.znode, value, Some(version)),
    }
}

fn revision(result: &MultiWriteResult) -> Option<Revision> {
    match result {
        MultiWriteResult::SetData { stat } => Some(Revision(stat.mzxid.cast_unsigned())),
        _ => None,
    }
}

/// What the failure of a step means; `None` where it is none of the state that was read. A guard
/// that moved is fenced by the next attempt, which reads it.
fn failed(step: Option<&Step>, error: &Error) -> Option<Outcome> {
    match (step, error) {
        (Some(Step::Make { .. }), Error::NoNode) => Some(Outcome::Parentless),
        (_, Error::NoNode | Error::BadVersion | Error::NodeExists) => Some(Outcome::Moved),
        _ => None,
    }
}

async fn make_parents(access: &Access, client: &Client, target: Target<'_>) -> Result<(), Failed> {
    let Some(parent) = path::parent(target.znode) else { return Ok(()) };
    let options = access.options(CreateMode::Persistent);
    match client.mkdir(parent, &options).await {
        // Somebody deletes what we make: the next attempt sees to it.
        Ok(()) | Err(Error::NoNode) => Ok(()),
        Err(error) if fate(&error) == Fate::Answered => {
            Err(access.words.of(&error, target.key).into())
        }
        Err(error) => Err(Failed::Reading(error)),
    }
}

async fn pause(attempts: &mut u32) {
    *attempts += 1;
    let longest = LONGEST_PAUSE.min(PAUSE * (1 << (*attempts).min(10)));
    sleep(longest.mul_f64(rand::random_range(0.1..1.0))).await;
}
