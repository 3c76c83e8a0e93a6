//! One call: attempts at one endpoint after the other, until an answer or the deadline.
//!
//! An endpoint that is silent is left after half the time that remains, so that the next has as
//! much; one that says it cannot is left at once. What any of them refuses for the whole store
//! (a password, a full disk) ends the call.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_backoff::Backoff;
use swarm_kv::{StoreError, StoreOptions, StoreUrl};
use tokio::time::Instant;
use tonic::Status;

use crate::ask::{Ask, Lane};
use crate::auth::Auth;
use crate::connection::{Connection, Purpose};
use crate::endpoints::Endpoints;
use crate::fault::{Blame, Fault, of_status};
use crate::tls;

/// An attempt is given at least this: less is too little for a busy store.
const SHORTEST: Duration = Duration::from_secs(1);
/// With less than this left no attempt is begun: it could only fail, and would hide why those before it
/// did.
const LEAST: Duration = Duration::from_millis(50);
/// The first pause. A member that restarts is there again within a second.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Between rounds over all endpoints.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A store's endpoints, and who we are to them.
#[derive(Debug)]
pub(crate) struct Client {
    /// The URL, for messages.
    pub(crate) store: String,
    pub(crate) endpoints: Endpoints,
    pub(crate) auth: Auth,
    pub(crate) deadline: Duration,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    /// An earlier attempt of this call may have been carried out too.
    pub(crate) doubt: bool,
}

impl Client {
    pub(crate) fn new(url: &StoreUrl, options: &StoreOptions) -> Result<Self, StoreError> {
        Ok(Self {
            store: url.to_string(),
            endpoints: Endpoints::new(&url.hosts, tls::config(options)?),
            auth: Auth::new(options)?,
            deadline: options.deadline,
        })
    }

    /// What a caller of the store is told.
    pub(crate) fn error(&self, fault: Fault) -> StoreError {
        fault.into_error(&self.store)
    }

    /// Asks until there is an answer.
    pub(crate) async fn call<A: Ask>(&self, ask: &A) -> Result<Answer<A::Answer>, Fault> {
        let until = Instant::now() + self.deadline;
        let mut pause = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut failures = Failures::default();
        let mut doubt = false;
        let mut renewed = false;
        for attempt in 1_usize.. {
            let place = self.endpoints.current();
            let left = until.saturating_duration_since(Instant::now());
            let share = left.min((left / 2).max(SHORTEST));
            let mut sent = false;
            let tried =
                tokio::time::timeout(share, self.attempt(place, ask, &mut sent, &mut renewed));
            let fault = match tried.await {
                Ok(Ok(value)) => return Ok(Answer { value, doubt }),
                Ok(Err(Fault::Token)) => continue,
                Ok(Err(fault)) => fault,
                Err(_) => {
                    self.endpoints.forget(place, Purpose::Calls);
                    let name = self.endpoints.name(place);
                    Fault::unanswered(name, format!("no answer within {share:.1?}"))
                }
            };
            let Fault::Elsewhere { reason, blame, doubt: unclear } = fault else {
                return Err(fault);
            };
            doubt |= sent && unclear;
            self.endpoints.leave(place);
            failures.note(place, reason, blame);
            let round_is_over = attempt.is_multiple_of(self.endpoints.len());
            let wait = if round_is_over { pause.step() } else { Duration::ZERO };
            let hopeless = failures.are_all_to_blame(self.endpoints.len());
            if hopeless || Instant::now() + wait + LEAST >= until {
                return Err(failures.sum(doubt));
            }
            tokio::time::sleep(wait).await;
        }
        Err(failures.sum(doubt))
    }

    /// Asks one endpoint once. [`Fault::Token`] asks for another attempt; the second time in a call
    /// it is a refusal.
    async fn attempt<A: Ask>(
        &self,
        place: usize,
        ask: &A,
        sent: &mut bool,
        renewed: &mut bool,
    ) -> Result<A::Answer, Fault> {
        let lane = self.lane(place, Purpose::Calls).await?;
        let asked = async {
            if let Some(probe) = ask.probe().filter(|_| !self.endpoints.is_fresh(place)) {
                self.judge(place, &lane, probe.send(&lane).await).await?;
            }
            *sent = true;
            self.judge(place, &lane, ask.send(&lane).await).await
        };
        let answer = match asked.await {
            Err(Fault::Token) if self.auth.forget(&lane.token) && !*renewed => {
                *renewed = true;
                return Err(Fault::Token);
            }
            Err(Fault::Token) => return Err(Fault::Refused(self.asks_for_user())),
            other => other?,
        };
        if A::header(&answer).is_none() {
            let name = self.endpoints.name(place);
            return Err(Fault::wrong(name, Blame::Garbage, "its answer has no header"));
        }
        Ok(answer)
    }

    fn asks_for_user(&self) -> String {
        match self.auth.user() {
            Some(user) => format!("it takes no token of the user {user:?}; is there such a user?"),
            None => {
                "it asks for a user; give --discovery-opt kv.username and kv.passwordfile, or a \
                     client certificate whose common name is a user's"
                    .to_owned()
            }
        }
    }

    /// A connection to an endpoint, with a token for it.
    pub(crate) async fn lane(&self, place: usize, purpose: Purpose) -> Result<Lane, Fault> {
        let connection = self.endpoints.connection(place, purpose).await?;
        match self.auth.token(&connection).await {
            Ok(token) => Ok(Lane { connection, token }),
            Err(status) => match self.explain(place, &connection, &status).await {
                // A new token cannot help where it is the asking for one that fails.
                Fault::Token => Err(Fault::Refused(self.asks_for_user())),
                fault => Err(fault),
            },
        }
    }

    async fn judge<T>(
        &self,
        place: usize,
        lane: &Lane,
        result: Result<T, Status>,
    ) -> Result<T, Fault> {
        match result {
            Ok(value) => {
                self.endpoints.answered(place);
                Ok(value)
            }
            Err(status) => Err(self.explain(place, &lane.connection, &status).await),
        }
    }

    /// What a status of an endpoint means; where it is the connection that failed, why.
    pub(crate) async fn explain(
        &self,
        place: usize,
        connection: &Connection,
        status: &Status,
    ) -> Fault {
        use std::error::Error as _;
        if status.source().is_some()
            && let Some(end) = connection.end().await
        {
            return end;
        }
        of_status(self.endpoints.name(place), self.auth.user(), status)
    }
}

/// The last failure of each endpoint.
#[derive(Debug, Default)]
struct Failures(BTreeMap<usize, (String, Option<Blame>)>);

impl Failures {
    fn note(&mut self, place: usize, reason: String, blame: Option<Blame>) {
        self.0.insert(place, (reason, blame));
    }

    /// Waiting helps with none of them.
    fn are_all_to_blame(&self, endpoints: usize) -> bool {
        self.0.len() == endpoints && self.0.values().all(|(_, blame)| blame.is_some())
    }

    /// All of them as one fault, which is a passing one while any of them is.
    fn sum(self, doubt: bool) -> Fault {
        let blame = self.0.values().map(|(_, blame)| *blame).min_by_key(Option::is_some).flatten();
        let reasons: Vec<_> = self.0.into_values().map(|(reason, _)| reason).collect();
        Fault::Elsewhere { reason: reasons.join("; "), blame, doubt }
    }
}
