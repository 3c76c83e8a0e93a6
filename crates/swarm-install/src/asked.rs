//! What a machine's daemon is asked and told, by the API that every client of it uses.
//!
//! Invariants: every call has a deadline; a token goes only into a request's body; no text of an error has one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use swarm_docker::{filters::Filters, query::Query};
use swarm_engine::{
    ClientOptions, EngineAddress, EngineClient, EngineError, Outgoing, read_body, refusal,
};
use swarm_model::Secret;
use tokio::sync::Semaphore;

use crate::facts::text_of;
use crate::remote::Remote;
use crate::script::NODE_SOCKET;
use crate::standing::{Listed, NAME, Served, Standing, is_led};

/// For one answer; ssh has connected already.
const ANSWER: Duration = Duration::from_secs(15);
/// To begin a swarm or to join one: keys are made, managers asked.
const LONG: Duration = Duration::from_mins(1);
/// More is no answer to any of these, bytes.
const LARGEST: usize = 64 << 20;
/// Requests at a time to one daemon: each is a session of one SSH connection, of which sshd allows ten
/// (`MaxSessions`).
const AT_ONCE: usize = 4;
/// How often a change is tried again that another one overtook.
const AGAIN: usize = 5;

/// What a daemon did not do, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {words}")]
pub struct AskError {
    what: &'static str,
    words: String,
    /// Whether what was asked for has changed meanwhile.
    overtaken: bool,
    /// Whether what was asked for is not there.
    pub missing: bool,
}

/// A way to one machine's daemon.
#[derive(Debug)]
pub struct Asked {
    client: EngineClient,
    turns: Semaphore,
    complaint: Arc<Mutex<String>>,
}

impl Asked {
    /// To the daemon of that machine.
    pub fn new(remote: &Remote) -> Self {
        Self::at(remote, NODE_SOCKET)
    }

    /// To whoever listens at a socket of that machine.
    pub fn at(remote: &Remote, socket: &'static str) -> Self {
        let way = remote.way(socket);
        let complaint = way.complaint();
        let options = ClientOptions {
            max_idle: AT_ONCE,
            connect_deadline: ANSWER,
            tunnels: Some(Arc::new(way)),
            ..ClientOptions::default()
        };
        let address = EngineAddress::Node { id: "daemon".to_owned(), ip: None };
        let client = EngineClient::new(address, options);
        Self { client, turns: Semaphore::new(AT_ONCE), complaint }
    }

    /// Its part in a swarm.
    pub async fn standing(&self) -> Result<Standing, AskError> {
        let info = self.get("ask the daemon", "/info").await?;
        Ok(Standing::read(&info))
    }

    /// The engines of a pool.
    pub async fn engines(&self) -> Result<Vec<Served>, AskError> {
        Ok(Served::read(&self.get("ask the pool's manager", "/info").await?))
    }

    /// Whether a pool's manager has its part among the others, or what is in the way.
    pub async fn is_led(&self) -> Result<Result<(), String>, AskError> {
        Ok(is_led(&self.get("ask the pool's manager", "/info").await?))
    }

    /// The nodes of its swarm.
    pub async fn nodes(&self) -> Result<Vec<Listed>, AskError> {
        Ok(Listed::read(&self.get("list the nodes", "/nodes").await?))
    }

    /// The names of its swarm's services.
    pub async fn services(&self) -> Result<Vec<String>, AskError> {
        let listed = self.get("list the services", "/services").await?;
        let names = listed.as_array().into_iter().flatten();
        Ok(names.map(|one| text_of(&one["Spec"], "Name")).collect())
    }

    /// How many tasks of a node run: those that shall, and those that are to end and have not.
    pub async fn running(&self, node: &str) -> Result<usize, AskError> {
        let mut filters = Filters::default();
        filters.add("node", node);
        filters.add("desired-state", "running");
        filters.add("desired-state", "shutdown");
        let mut query = Query::default();
        filters.write_to(&mut query);
        let listed = self.get("list the tasks", &format!("/tasks?{}", query.encode())).await?;
        let listed = listed.as_array().into_iter().flatten();
        let runs = |task: &&Value| task["NodeID"] == node && task["Status"]["State"] == "running";
        Ok(listed.filter(runs).count())
    }

    /// The token for workers or for managers.
    pub async fn token(&self, manager: bool) -> Result<Secret, AskError> {
        let swarm = self.get("ask for a join token", "/swarm").await?;
        let which = if manager { "Manager" } else { "Worker" };
        Ok(Secret::new(text_of(&swarm["JoinTokens"], which)))
    }

    /// Begins a swarm of that name.
    pub async fn begin(&self, name: &str, advertise: Option<&str>) -> Result<(), AskError> {
        let body = json!({
            "ListenAddr": "",
            "AdvertiseAddr": advertise.unwrap_or_default(),
            "Spec": { "Labels": { NAME: name } },
        });
        self.post("begin the swarm", "/swarm/init", Some(&body), LONG).await
    }

    /// Joins a swarm.
    pub async fn join(
        &self,
        managers: &[String],
        token: &Secret,
        advertise: Option<&str>,
    ) -> Result<(), AskError> {
        let body = json!({
            "ListenAddr": "",
            "AdvertiseAddr": advertise.unwrap_or_default(),
            "RemoteAddrs": managers,
            "JoinToken": token.reveal(),
        });
        self.post("join the swarm", "/swarm/join", Some(&body), LONG).await
    }

    /// Leaves its swarm.
    pub async fn leave(&self, force: bool) -> Result<(), AskError> {
        self.post("leave the swarm", &format!("/swarm/leave?force={force}"), None, LONG).await
    }

    /// Changes what a node is to be: one field of its spec.
    pub async fn set_node(&self, id: &str, field: &str, value: &str) -> Result<(), AskError> {
        let mut last = None;
        for _ in 0..AGAIN {
            let node = self.get("look at a node", &format!("/nodes/{id}")).await?;
            let mut spec = node["Spec"].clone();
            if spec[field] == value {
                return Ok(());
            }
            spec[field] = json!(value);
            let version = node["Version"]["Index"].as_u64().unwrap_or_default();
            let path = format!("/nodes/{id}/update?version={version}");
            match self.post("change a node", &path, Some(&spec), ANSWER).await {
                // The node's own news came between: it is looked at again.
                Err(error) if error.overtaken => last = Some(error),
                done => return done,
            }
        }
        last.map_or(Ok(()), Err)
    }

    /// Takes a node out of the list.
    pub async fn remove_node(&self, id: &str, force: bool) -> Result<(), AskError> {
        let path = format!("/nodes/{id}?force={force}");
        let request = Outgoing { method: Method::DELETE, ..Outgoing::get(path) };
        self.send("remove a node", request, ANSWER).await.map(drop)
    }

    async fn get(&self, what: &'static str, path: &str) -> Result<Value, AskError> {
        let body = self.send(what, Outgoing::get(path), ANSWER).await?;
        serde_json::from_slice(&body).map_err(|error| AskError {
            what,
            words: format!("the answer is no JSON: {error}"),
            overtaken: false,
            missing: false,
        })
    }

    async fn post(
        &self,
        what: &'static str,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<(), AskError> {
        let mut headers = HeaderMap::new();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let request = Outgoing {
            method: Method::POST,
            headers,
            body: swarm_backend::full(bytes),
            ..Outgoing::get(path)
        };
        self.send(what, request, patience).await.map(drop)
    }

    async fn send(
        &self,
        what: &'static str,
        request: Outgoing,
        patience: Duration,
    ) -> Result<Vec<u8>, AskError> {
        // It is never closed; each of those that are before it has its deadline.
        let _turn = self.turns.acquire().await;
        let asked = async {
            let reply = self.client.send(request, Some(patience)).await?;
            if !reply.status.is_success() {
                return Err(refusal(reply).await);
            }
            read_body(reply.body, LARGEST).await
        };
        let asked = tokio::time::timeout(patience + ANSWER, asked).await;
        match asked.unwrap_or(Err(EngineError::Deadline { what: "answer", after: patience })) {
            Ok(body) => Ok(body.to_vec()),
            Err(error) => Err(self.failed(what, &error)),
        }
    }

    fn failed(&self, what: &'static str, error: &EngineError) -> AskError {
        let (status, message) = match error {
            EngineError::Status { code, message } => (*code, message.as_str()),
            _ => (0, ""),
        };
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let words = if complaint.is_empty() || !error.is_connection() {
            error.to_string()
        } else {
            format!("{error}: ssh said: {}", complaint.replace('\n', "; "))
        };
        // Its status, 500, has other reasons too.
        let overtaken = message.contains(swarm_docker::OUT_OF_SEQUENCE);
        AskError { what, words, overtaken, missing: status == 404 }
    }
}
