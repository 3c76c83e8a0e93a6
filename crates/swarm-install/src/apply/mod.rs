//! Doing a plan: the stages one after the other, within each the machines side by side.
//!
//! Invariants: every step is read back (the file's sum, the unit's state, the daemon's own word); what fails on
//! one machine ends its own steps, lets the others end their stage, and nothing after it is begun.

mod place;
mod serve;
mod take_part;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::iter;

use crate::asked::{AskError, Asked};
use crate::certs::{Authority, CertError};
use crate::check::Refusal;
use crate::look::{Look, Seen};
use crate::manifest::Manifest;
use crate::plan::{Action, Plan, Step};
use crate::program::Program;
use crate::ssh::SshError;

/// Machines at a time: each may be sent the binary.
const AT_ONCE: usize = 32;

/// Who is told how it goes.
pub trait Watcher: Send + Sync {
    /// A step begins.
    fn begins(&self, host: &str, step: &Step);
    /// A step is done; what there is to say about it.
    fn done(&self, host: &str, step: &Step, took: Duration, said: Option<&str>);
    /// A step failed.
    fn failed(&self, host: &str, step: &Step, words: &str);
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// How many steps were done.
    pub steps: usize,
    /// How long all of it took.
    pub took: Duration,
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Ssh(#[from] SshError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Cert(#[from] CertError),
    #[error("{0}")]
    Words(String),
}

/// What a step has to say.
pub(crate) type Said = Result<Option<String>, StepError>;

/// What the steps need to know.
pub(crate) struct Work<'a> {
    pub look: &'a Look,
    /// What to put there; `swarm down` has none.
    pub goods: Option<&'a Goods>,
    /// What is noted on the machines by now.
    pub noted: Mutex<BTreeMap<usize, Manifest>>,
    /// The ways to their daemons: one each, whoever asks.
    asked: Mutex<BTreeMap<usize, Arc<Asked>>>,
}

/// What `swarm up` puts on machines.
#[derive(Debug)]
pub struct Goods {
    /// The binary.
    pub program: Program,
    /// Who signs the certificates of an endpoint on TCP, where one is asked for.
    pub authority: Option<Authority>,
}

impl Work<'_> {
    /// The machine of that number.
    pub fn seen(&self, host: usize) -> Result<&Seen, StepError> {
        let none = || StepError::Words(format!("there is no machine {host}"));
        self.look.hosts.get(host).ok_or_else(none)
    }

    /// The way to the daemon of a machine.
    pub fn asked(&self, host: usize) -> Result<Arc<Asked>, StepError> {
        let remote = &self.seen(host)?.remote;
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(all.entry(host).or_insert_with(|| Arc::new(Asked::new(remote)))))
    }

    /// What is noted on a machine.
    pub fn manifest(&self, host: usize) -> Option<Manifest> {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = noted.get(&host).cloned();
        now.or_else(|| self.look.hosts.get(host)?.facts.manifest.clone())
    }
}

/// Does it. `goods` are what `swarm up` puts there.
pub async fn apply(
    look: &Look,
    plan: &Plan,
    goods: Option<&Goods>,
    watcher: &dyn Watcher,
) -> Result<Applied, Vec<Refusal>> {
    let begun = Instant::now();
    let work = Work { look, goods, noted: Mutex::default(), asked: Mutex::default() };
    for stage in &plan.stages {
        let mut hosts: BTreeMap<usize, Vec<&Step>> = BTreeMap::new();
        for step in stage {
            hosts.entry(step.host).or_default().push(step);
        }
        let all = iter(hosts.values()).map(|steps| on_host(&work, steps, watcher));
        let done: Vec<_> = all.buffer_unordered(AT_ONCE).collect().await;
        let failed: Vec<_> = done.into_iter().filter_map(Result::err).collect();
        if !failed.is_empty() {
            return Err(failed);
        }
    }
    Ok(Applied { steps: plan.steps().count(), took: begun.elapsed() })
}

async fn on_host(work: &Work<'_>, steps: &[&Step], watcher: &dyn Watcher) -> Result<(), Refusal> {
    for step in steps {
        let host = work.look.hosts.get(step.host);
        let host = host.map_or_else(String::new, |seen| seen.target.to_string());
        watcher.begins(&host, step);
        let begun = Instant::now();
        match one(work, step).await {
            Ok(said) => watcher.done(&host, step, begun.elapsed(), said.as_deref()),
            Err(error) => {
                let words = error.to_string();
                watcher.failed(&host, step, &words);
                return Err(Refusal { host, words: format!("{}: {words}", step.action) });
            }
        }
    }
    Ok(())
}

async fn one(work: &Work<'_>, step: &Step) -> Said {
    let host = step.host;
    match &step.action {
        Action::Manifest(manifest) => place::manifest(work, host, manifest).await,
        Action::Binary { .. } => place::binary(work, host).await,
        Action::Unit => place::unit(work, host).await,
        Action::Endpoint(endpoint) => place::endpoint(work, host, endpoint).await,
        Action::Certificate(planned) => serve::certificate(work, host, planned).await,
        Action::Token { by, service, .. } => serve::token(work, host, *by, *service).await,
        Action::Service { service, text } => serve::unit(work, host, *service, text).await,
        Action::Serve { service, again } => serve::start(work, host, *service, *again).await,
        Action::Engines { by, engines } => serve::engines(work, *by, engines).await,
        Action::Halt(service) => serve::halt(work, host, *service).await,
        Action::LeaveStore { line } => serve::leave(work, host, line).await,
        Action::Start => place::start(work, host, "start").await,
        Action::Restart => place::start(work, host, "restart").await,
        Action::Stop => place::stop(work, host).await,
        Action::Clean(manifest) => place::clean(work, host, manifest).await,
        Action::Begin { name, advertise } => {
            take_part::begin(work, host, name, advertise.as_deref()).await
        }
        Action::Join { by, manager, advertise, .. } => {
            take_part::join(work, host, *by, *manager, advertise.as_deref()).await
        }
        Action::Promote { by, node } => take_part::promote(work, host, *by, node).await,
        Action::Ready { by, nodes, managers } => {
            take_part::ready(work, *by, *nodes, *managers).await
        }
        Action::Drain { by, node } => take_part::drain(work, *by, node).await,
        Action::Demote { by, node } => take_part::demote(work, host, *by, node).await,
        Action::Leave { force } => take_part::leave(work, host, *force).await,
        Action::Remove { by, node } => take_part::remove(work, *by, node).await,
    }
}
