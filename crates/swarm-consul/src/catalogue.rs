//! Consul's service catalogue, through one agent: what is registered there, and changing it
//! (`/v1/agent/service/*`, `/v1/agent/check/pass`; Consul 1.3 and newer).
//!
//! It leaves which services there are to be, and their marks, to whoever registers them. A service
//! belongs to the agent that it was registered with: several agents in one URL are refused.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use swarm_kv::{Result, StoreError, StoreOptions, StoreUrl};

use crate::agents::{Agents, Answer, Request, encoded};

/// A health check, in Consul's words; durations as Go writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Check {
    /// Unique on the agent.
    #[serde(rename = "CheckID")]
    pub id: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A URL that is well with a status of 2xx.
    #[serde(rename = "HTTP", skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// An address that is well when it can be connected to.
    #[serde(rename = "TCP", skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// Well as long as somebody says so in time.
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// Between two looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The longest look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Before the first look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When the service goes that is unwell for so long.
    #[serde(rename = "DeregisterCriticalServiceAfter", skip_serializing_if = "Option::is_none")]
    pub deregister_after: Option<String>,
}

/// A service as it is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Registration {
    /// Unique on the agent.
    #[serde(rename = "ID")]
    pub id: String,
    /// What it is looked up by.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where it is.
    pub address: String,
    /// On which port.
    pub port: u16,
    /// Words about it.
    pub meta: BTreeMap<String, String>,
    /// Its checks.
    pub checks: Vec<Check>,
}

/// A service that is registered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Registered {
    /// Its name.
    pub service: String,
    /// Words about it.
    #[serde(default, deserialize_with = "or_nothing")]
    pub meta: BTreeMap<String, String>,
}

/// Consul writes empty maps as `null`.
fn or_nothing<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The catalogue, seen from one agent.
pub struct Catalogue {
    agents: Agents,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Catalogue").field(&self.agents.shown).finish()
    }
}

impl Catalogue {
    /// Reads the files that `options` name; connects when first used.
    pub fn open(url: &StoreUrl, options: &StoreOptions) -> Result<Self> {
        let refuse = |reason: &str| {
            Err(StoreError::Option { option: url.to_string(), reason: reason.to_owned() })
        };
        if url.hosts.len() > 1 {
            return refuse("services belong to one agent; name one, best the host's own");
        }
        if !url.prefix.is_empty() {
            return refuse("Consul's catalogue has no prefixes; write consul://HOST:PORT");
        }
        if options.username.is_some() || options.password.is_some() {
            return refuse("Consul knows no users; give an ACL token by kv.token or kv.tokenfile");
        }
        let mut agents = Agents::new(url, options)?;
        agents.words.rules = String::from("service_prefix \"\" { policy = \"write\" }");
        Ok(Self { agents })
    }

    /// The agent's URL.
    pub fn describe(&self) -> String {
        self.agents.shown.clone()
    }

    /// What is registered with the agent, by id.
    pub async fn services(&self) -> Result<BTreeMap<String, Registered>> {
        let answer = self.agents.ask(&Request::list("/v1/agent/services".to_owned())).await?;
        let read = || serde_json::from_slice(&answer.body).ok();
        let found = (answer.status == StatusCode::OK).then(read).flatten();
        found.ok_or_else(|| self.agents.strange(&answer))
    }

    /// Registers a service, or changes it.
    pub async fn register(&self, service: &Registration) -> Result<()> {
        let body = serde_json::to_vec(service).map_err(|error| {
            self.agents.words.refused(format!("{} cannot be written: {error}", service.id))
        })?;
        let answer = self.agents.ask(&Request::put("/v1/agent/service/register", body)).await?;
        self.done(&answer)
    }

    /// Takes a service out with its checks. One that is not there is out already.
    pub async fn deregister(&self, id: &str) -> Result<()> {
        let path = format!("/v1/agent/service/deregister/{}", encoded(id)?);
        let answer = self.agents.ask(&Request::put(path, "")).await?;
        if of_nothing(&answer) { Ok(()) } else { self.done(&answer) }
    }

    /// Says that a TTL check is well. `false` when there is none of that id.
    pub async fn pass(&self, check: &str) -> Result<bool> {
        let path = format!("/v1/agent/check/pass/{}", encoded(check)?);
        match self.agents.ask(&Request::put(path, "")).await {
            Ok(answer) if of_nothing(&answer) => Ok(false),
            Ok(answer) => self.done(&answer).map(|()| true),
            // Consul before 1.11 says so with the status of everything else.
            Err(error) if error.to_string().contains("does not have associated TTL") => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn done(&self, answer: &Answer) -> Result<()> {
        if answer.status == StatusCode::OK { Ok(()) } else { Err(self.agents.strange(answer)) }
    }
}

/// A server that is no Consul says 404 too, but not of a service or check.
fn of_nothing(answer: &Answer) -> bool {
    answer.status == StatusCode::NOT_FOUND
        && String::from_utf8_lossy(&answer.body).contains("nknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_catalogue_can_be_is_refused() {
        for (url, words) in
            [("consul://a,b", "services belong to one agent"), ("consul://a/x", "has no prefixes")]
        {
            let url = StoreUrl::parse(url, 8500).unwrap();
            let error = Catalogue::open(&url, &StoreOptions::default()).map(drop).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
