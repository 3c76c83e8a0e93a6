//! An external authority, asked by the CFSSL API: `POST` of a signing request to the URL as it is
//! given (Docker's `--external-ca protocol=cfssl,url=…`; swarmkit `ca/external.go` appends nothing),
//! with the names that the certificate must have, since those in the request do not count.
//!
//! What comes back is checked as if a stranger had sent it: bounded in size and time, a chain to the
//! cluster's roots, the key and the subject that were asked for.

use std::time::{Duration, SystemTime};

use rcgen::PublicKeyData as _;
use reqwest::{Client, Url, redirect};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::identity::{Identity, Subject};
use crate::pem;
use crate::request::{RequestError, requested_key};
use crate::root::RootError;
use crate::roots::Roots;
use crate::tls::verify_chain;

/// How long one authority may take to sign.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// A chain in JSON takes some kilobytes.
const MOST_BYTES: usize = 64 * 1024;
/// As much of an authority's own words as goes into an error.
const MOST_WORDS: usize = 300;

/// Why an external authority gave no certificate that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// The settings.
    #[error("external CA {url}: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// In words.
        reason: String,
    },
    /// None is set.
    #[error("no external CA URLs")]
    NoUrls,
    /// TLS cannot be set up.
    #[error("the client of external CAs cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The request that was to be signed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The root that was to be cross-signed.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Each was tried; in their order, in words.
    #[error("no external CA answers: {}", .0.join("; "))]
    Unreached(Vec<String>),
    /// Each was asked; in their order, in words.
    #[error("no external CA signed the certificate: {}", .0.join("; "))]
    Refused(Vec<String>),
}

/// The external authorities of a cluster.
#[derive(Debug, Clone)]
pub struct ExternalCa {
    urls: Vec<Url>,
    client: Client,
    deadline: Duration,
}

#[derive(Serialize)]
struct SignRequest<'a> {
    hosts: Vec<String>,
    certificate_request: &'a str,
    subject: SignSubject<'a>,
}

#[derive(Serialize)]
struct SignSubject<'a> {
    #[serde(rename = "CN")]
    node_id: &'a str,
    names: [SignName<'a>; 1],
}

#[derive(Serialize)]
struct SignName<'a> {
    #[serde(rename = "O")]
    cluster_id: &'a str,
    #[serde(rename = "OU")]
    role: &'a str,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    success: bool,
    /// Of a refusal anything, of a success an object with `certificate`.
    #[serde(default)]
    result: Value,
    #[serde(default)]
    errors: Option<Vec<Message>>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl ExternalCa {
    /// `tls` says whom we trust there and who we are (`tls::external`). The URLs are asked in turn.
    pub fn new(
        urls: &[String],
        tls: ClientConfig,
        deadline: Duration,
    ) -> Result<Self, ExternalError> {
        let urls = urls.iter().map(|url| checked(url)).collect::<Result<Vec<_>, _>>()?;
        if urls.is_empty() {
            return Err(ExternalError::NoUrls);
        }
        // A redirect would send the request, and our trust, to whomever it names.
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .https_only(true)
            .http1_only()
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(ExternalError::Client)?;
        Ok(Self { urls, client, deadline })
    }

    /// Asks for a certificate of the request's key for this subject, under these roots; `between` is
    /// what the chain needs beside what comes back, as during a rotation. A chain in PEM.
    pub async fn sign(
        &self,
        request: &str,
        subject: &Subject,
        roots: &Roots,
        between: &[CertificateDer<'static>],
        now: SystemTime,
    ) -> Result<String, ExternalError> {
        let key = requested_key(request)?.subject_public_key_info();
        let asked = SignRequest {
            hosts: subject.names(),
            certificate_request: request,
            subject: SignSubject {
                node_id: subject.node_id(),
                names: [SignName { cluster_id: subject.cluster_id(), role: subject.role().unit() }],
            },
        };
        self.any(&asked, |mut chain| {
            let extra = between.iter().filter(|one| !chain.contains(one)).cloned();
            let extra: Vec<_> = extra.collect();
            chain.extend(extra);
            check(&chain, &key, subject, roots, now)?;
            Ok(pem::write_certificates(&chain))
        })
        .await
    }

    /// Asks one after the other until one of them signs something that `take` takes.
    pub(crate) async fn any<T>(
        &self,
        asked: &impl Serialize,
        take: impl Fn(Vec<CertificateDer<'static>>) -> Result<T, String>,
    ) -> Result<T, ExternalError> {
        let mut refusals = Vec::new();
        for url in &self.urls {
            let answer = tokio::time::timeout(self.deadline, self.ask(url, asked)).await;
            let answer = answer.unwrap_or_else(|_| {
                Err(format!("it did not answer within {:.1} s", self.deadline.as_secs_f64()))
            });
            let taken = answer.and_then(|text| {
                let chain = pem::read_certificates(&text)
                    .map_err(|reason| format!("what it signed cannot be read: {reason}"))?;
                take(chain)
            });
            match taken {
                Ok(taken) => return Ok(taken),
                Err(reason) => refusals.push(format!("{url}: {reason}")),
            }
        }
        Err(ExternalError::Refused(refusals))
    }

    /// Whether one of them is there: its certificate is of the roots, it takes ours, and it speaks
    /// HTTP. Whether it signs is seen when it is asked to.
    pub async fn reach(&self) -> Result<(), ExternalError> {
        let mut refusals = Vec::new();
        for url in &self.urls {
            let asking = self.client.get(url.clone()).send();
            match tokio::time::timeout(self.deadline, asking).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => refusals.push(format!("{url}: {}", innermost(&error))),
                Err(_) => refusals.push(format!(
                    "{url}: it did not answer within {:.1} s",
                    self.deadline.as_secs_f64()
                )),
            }
        }
        Err(ExternalError::Unreached(refusals))
    }

    async fn ask(&self, url: &Url, asked: &impl Serialize) -> Result<String, String> {
        let body = serde_json::to_vec(asked).map_err(|error| error.to_string())?;
        let sending = self.client.post(url.clone()).header("content-type", "application/json");
        let mut response = sending.body(body).send().await.map_err(|error| innermost(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| innermost(&error))? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(format!("its answer is longer than {MOST_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let response: Response = serde_json::from_slice(&body).map_err(|_| {
            format!(
                "it answered {status} and no CFSSL response; is this the URL of a `sign` endpoint?"
            )
        })?;
        if status.is_success() && response.success {
            let certificate = response.result.get("certificate").and_then(Value::as_str);
            return certificate
                .map(str::to_owned)
                .ok_or_else(|| "it sent no certificate".to_owned());
        }
        let errors = response.errors.unwrap_or_default();
        let words: Vec<_> =
            errors.iter().map(|error| format!("{} (code {})", error.message, error.code)).collect();
        let words: String =
            words.join(", ").chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect();
        Err(format!("it refused with {status}: {words}"))
    }
}

/// Whether an authority can be at this URL.
pub fn check_url(text: &str) -> Result<(), ExternalError> {
    checked(text).map(drop)
}

fn checked(text: &str) -> Result<Url, ExternalError> {
    let wrong = |reason: String| ExternalError::Url { url: text.to_owned(), reason };
    let url: Url = text.parse().map_err(|error| wrong(format!("it is no URL ({error})")))?;
    if url.scheme() != "https" {
        return Err(wrong("it has to begin with https://".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not repeated: it is a credential.
        let reason = "it holds a name or password; we show the node's certificate".to_owned();
        return Err(ExternalError::Url { url: "(with credentials)".to_owned(), reason });
    }
    Ok(url)
}

/// Is the chain what was asked for?
fn check(
    chain: &[CertificateDer<'static>],
    key: &[u8],
    subject: &Subject,
    roots: &Roots,
    now: SystemTime,
) -> Result<(), String> {
    let (own, between) = chain.split_first().ok_or("it signed nothing")?;
    verify_chain(own, between, roots, now)
        .map_err(|error| format!("what it signed is not of the cluster's root: {error}"))?;
    let (_, read) = X509Certificate::from_der(own).map_err(|_| "what it signed is damaged")?;
    if read.public_key().raw != key {
        return Err("it signed another key than was asked for".to_owned());
    }
    let identity =
        Identity::of(own).map_err(|error| format!("what it signed is wrong: {error}"))?;
    if identity.subject != *subject {
        return Err("it signed for another subject than was asked for".to_owned());
    }
    let names = read.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let has =
        |asked: &String| names.iter().any(|n| matches!(n, GeneralName::DNSName(d) if d == asked));
    if subject.names().iter().all(has) { Ok(()) } else { Err("it left names out".to_owned()) }
}

/// The cause of a failed call, without the URL, which stands before it.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
