//! The standard variables, checked (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-
//! variables and .../protocol/exporter). Pure: what the environment holds is handed in.
//!
//! Invariant: what is set is done or refused in words. A variable that is set to nothing is not set.

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::Sampler;

use crate::list::pairs;

/// The general endpoint's place for traces.
const TRACES_PATH: &str = "v1/traces";
/// Where a collector listens for OTLP over HTTP.
const USUAL_ENDPOINT: &str = "http://localhost:4318";
/// Longest queue: some 300 MB of spans.
const LONGEST_QUEUE: u64 = 262_144;
/// Longest time that anything here may be set to, in milliseconds: an hour.
const LONGEST: u64 = 3_600_000;

/// A variable that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct Wrong {
    /// Its name.
    pub variable: String,
    /// What is wrong with its value, and what was expected. Never the value of a secret.
    pub problem: String,
}

/// What the variables say.
#[derive(Debug)]
pub struct Settings {
    pub(crate) sampler: Sampler,
    pub(crate) propagators: Vec<Propagator>,
    pub(crate) resource: Vec<KeyValue>,
    pub(crate) batch: Batch,
    pub(crate) target: Target,
}

/// How spans are gathered (`OTEL_BSP_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    /// How long the first of a batch waits for others.
    pub delay: Duration,
    /// How long one batch is tried.
    pub patience: Duration,
    /// How many spans wait at most.
    pub queue: usize,
    /// How many are sent at once.
    pub size: usize,
}

/// Where they go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Standard output, a JSON object per line.
    Console,
    /// A collector.
    Collector(Box<Collector>),
}

/// A collector, and how to speak to it (`OTEL_EXPORTER_OTLP_*`).
#[derive(PartialEq, Eq)]
pub(crate) struct Collector {
    pub endpoint: String,
    pub headers: Named<Vec<(String, String)>>,
    pub timeout: Duration,
    pub gzip: bool,
    pub ca: Option<Named<PathBuf>>,
    pub cert: Option<Named<PathBuf>>,
    pub key: Option<Named<PathBuf>>,
}

/// What a variable says, and which one said it: that for traces, or the general one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named<T> {
    pub variable: String,
    pub value: T,
}

impl Collector {
    /// The address without its query, where some put their keys: for the log.
    pub fn shown(&self) -> &str {
        self.endpoint.split(['?', '#']).next().unwrap_or_default()
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers hold tokens.
        f.debug_struct("Collector").field("endpoint", &self.shown()).finish_non_exhaustive()
    }
}

/// How a trace goes from process to process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagator {
    TraceContext,
    Baggage,
}

impl Propagator {
    pub fn made(self) -> Box<dyn TextMapPropagator + Send + Sync> {
        match self {
            Self::TraceContext => Box::new(TraceContextPropagator::new()),
            Self::Baggage => Box::new(BaggagePropagator::new()),
        }
    }
}

/// Variables by name; what is set to nothing is not set.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = (self.0)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The exporter's: that for traces, or the general one. With the name of that which was found.
    fn exporters(&self, name: &str) -> Option<(String, String)> {
        let names =
            [format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
        names.into_iter().find_map(|name| Some((self.get(&name)?, name)))
    }

    fn number(&self, name: &str, usual: u64, longest: u64) -> Result<u64, Wrong> {
        let Some(text) = self.get(name) else { return Ok(usual) };
        checked_number(name, &text, longest)
    }
}

fn wrong(variable: &str, problem: impl Into<String>) -> Wrong {
    Wrong { variable: variable.to_owned(), problem: problem.into() }
}

fn checked_number(name: &str, text: &str, longest: u64) -> Result<u64, Wrong> {
    match text.parse() {
        Ok(number) if (1..=longest).contains(&number) => Ok(number),
        _ => Err(wrong(name, format!("{text:?} is no whole number of 1 to {longest}"))),
    }
}

impl Settings {
    /// What the variables say; nothing where no exporter and no endpoint is named, or tracing is
    /// turned off. `known` is what this process knows of itself; what the variables say comes before.
    pub fn read(
        variables: &dyn Fn(&str) -> Option<String>,
        known: Vec<(&'static str, String)>,
    ) -> Result<Option<Self>, Wrong> {
        let variables = &Variables(variables);
        if is_disabled(variables)? {
            return Ok(None);
        }
        let exporter = variables.get("OTEL_TRACES_EXPORTER");
        let target = match exporter.as_deref() {
            Some("none") => return Ok(None),
            Some("console") => Target::Console,
            None if variables.exporters("ENDPOINT").is_none() => return Ok(None),
            None | Some("otlp") => Target::Collector(Box::new(collector(variables)?)),
            Some(other) => {
                let problem =
                    format!("{other:?} is not known here; expected otlp, console or none");
                return Err(wrong("OTEL_TRACES_EXPORTER", problem));
            }
        };
        Ok(Some(Self {
            sampler: sampler(variables)?,
            propagators: propagators(variables)?,
            resource: resource(variables, known)?,
            batch: batch(variables)?,
            target,
        }))
    }

    /// Where spans go, for the log.
    pub fn describe(&self) -> &str {
        match &self.target {
            Target::Console => "standard output",
            Target::Collector(collector) => collector.shown(),
        }
    }
}

fn is_disabled(variables: &Variables<'_>) -> Result<bool, Wrong> {
    const NAME: &str = "OTEL_SDK_DISABLED";
    match variables.get(NAME).map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(wrong(NAME, format!("{other:?} is neither true nor false"))),
    }
}

fn collector(variables: &Variables<'_>) -> Result<Collector, Wrong> {
    if let Some((protocol, name)) = variables.exporters("PROTOCOL")
        && protocol != "http/protobuf"
    {
        let problem = format!(
            "{protocol:?} is not spoken here, http/protobuf is: set that, and the endpoint to the \
             port where the collector takes OTLP over HTTP, by habit 4318"
        );
        return Err(wrong(&name, problem));
    }
    let timeout = match variables.exporters("TIMEOUT") {
        Some((text, name)) => checked_number(&name, &text, LONGEST)?,
        None => 10_000,
    };
    let gzip = match variables.exporters("COMPRESSION") {
        None => false,
        Some((text, _)) if text == "gzip" => true,
        Some((text, _)) if text == "none" => false,
        Some((text, name)) => {
            return Err(wrong(&name, format!("{text:?} is not known here; expected gzip or none")));
        }
    };
    let (text, variable) = variables.exporters("HEADERS").unwrap_or_default();
    let headers = pairs(&text).map_err(|place| {
        wrong(&variable, format!("entry {place} is no key=value with both percent-encoded"))
    })?;
    let headers = Named { variable, value: headers };
    let file = |name: &str| {
        variables.exporters(name).map(|(path, variable)| Named { variable, value: path.into() })
    };
    let (cert, key) = (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY"));
    let lonely = match (&cert, &key) {
        (Some(cert), None) => Some((cert, "OTEL_EXPORTER_OTLP_CLIENT_KEY")),
        (None, Some(key)) => Some((key, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE")),
        _ => None,
    };
    if let Some((given, other)) = lonely {
        let problem = format!("a client has a certificate and a key: give {other}, too");
        return Err(wrong(&given.variable, problem));
    }
    let (timeout, ca) = (Duration::from_millis(timeout), file("CERTIFICATE"));
    Ok(Collector { endpoint: endpoint(variables)?, headers, timeout, gzip, ca, cert, key })
}

/// The endpoint for traces is used as it is; the general one has a place for each signal below it.
fn endpoint(variables: &Variables<'_>) -> Result<String, Wrong> {
    const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let (text, name) = variables
        .exporters("ENDPOINT")
        .unwrap_or_else(|| (USUAL_ENDPOINT.to_owned(), "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned()));
    let below = if name == OWN {
        text.clone()
    } else {
        format!("{}/{TRACES_PATH}", text.trim_end_matches('/'))
    };
    match reqwest::Url::parse(&below) {
        Ok(_) if name != OWN && text.contains(['?', '#']) => {
            let problem = "it has a query, and a path for each signal is put behind it: give \
                           OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, which is used as it is";
            Err(wrong(&name, problem))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            if url.username().is_empty() && url.password().is_none() {
                return Ok(below);
            }
            let problem = "names and passwords are not for an address that the log shows: put them \
                           into OTEL_EXPORTER_OTLP_HEADERS, as authorization=Basic%20…";
            Err(wrong(&name, problem))
        }
        _ => Err(wrong(&name, format!("{text:?} is no http://HOST:PORT or https://HOST:PORT"))),
    }
}

fn sampler(variables: &Variables<'_>) -> Result<Sampler, Wrong> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
    let ratio = || match variables.get(ARG) {
        None => Ok(1.0),
        Some(text) => match text.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err(wrong(ARG, format!("{text:?} is no share of 0 to 1, such as 0.1"))),
        },
    };
    let parent = |root| Sampler::ParentBased(Box::new(root));
    Ok(match variables.get(NAME).as_deref() {
        None | Some("parentbased_always_on") => parent(Sampler::AlwaysOn),
        Some("parentbased_always_off") => parent(Sampler::AlwaysOff),
        Some("parentbased_traceidratio") => parent(Sampler::TraceIdRatioBased(ratio()?)),
        Some("always_on") => Sampler::AlwaysOn,
        Some("always_off") => Sampler::AlwaysOff,
        Some("traceidratio") => Sampler::TraceIdRatioBased(ratio()?),
        Some(other) => {
            let problem = format!(
                "{other:?} is not known here; expected always_on, always_off or traceidratio, or one \
                 of these after parentbased_"
            );
            return Err(wrong(NAME, problem));
        }
    })
}

fn propagators(variables: &Variables<'_>) -> Result<Vec<Propagator>, Wrong> {
    const NAME: &str = "OTEL_PROPAGATORS";
    let text = variables.get(NAME).unwrap_or_else(|| "tracecontext,baggage".to_owned());
    let mut found = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "tracecontext" => found.push(Propagator::TraceContext),
            "baggage" => found.push(Propagator::Baggage),
            "none" if text.trim() == "none" => {}
            other => {
                let problem = format!(
                    "{other:?} is not known here; expected tracecontext and baggage, or none alone"
                );
                return Err(wrong(NAME, problem));
            }
        }
    }
    found.dedup();
    Ok(found)
}

fn resource(
    variables: &Variables<'_>,
    known: Vec<(&'static str, String)>,
) -> Result<Vec<KeyValue>, Wrong> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let mut all: Vec<(String, String)> =
        known.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let text = variables.get(NAME).unwrap_or_default();
    let said = pairs(&text).map_err(|place| {
        wrong(NAME, format!("entry {place} is no key=value with both percent-encoded"))
    })?;
    let service = variables.get("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name));
    for (key, value) in said.into_iter().chain(service) {
        all.retain(|(known, _)| *known != key);
        all.push((key, value));
    }
    Ok(all.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect())
}

fn batch(variables: &Variables<'_>) -> Result<Batch, Wrong> {
    const SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
    let delay = variables.number("OTEL_BSP_SCHEDULE_DELAY", 5_000, LONGEST)?;
    let patience = variables.number("OTEL_BSP_EXPORT_TIMEOUT", 30_000, LONGEST)?;
    let queue = variables.number("OTEL_BSP_MAX_QUEUE_SIZE", 2_048, LONGEST_QUEUE)?;
    let size = variables.number(SIZE, 512.min(queue), LONGEST_QUEUE)?;
    if size > queue {
        let problem = format!("{size} is more than OTEL_BSP_MAX_QUEUE_SIZE, which is {queue}");
        return Err(wrong(SIZE, problem));
    }
    // At most the longest queue: far below what a machine word holds.
    let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let span = Duration::from_millis;
    Ok(Batch {
        delay: span(delay),
        patience: span(patience),
        queue: count(queue),
        size: count(size),
    })
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
