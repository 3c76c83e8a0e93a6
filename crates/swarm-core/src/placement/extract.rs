//! Reads a [`Request`] from the body of `POST /containers/create`, or from the inputs of
//! `POST /build`, and consolidates scheduling expressions into the labels that keep them.
//!
//! Like classic Swarm: `constraint:`, `affinity:`, `whitelist:` and `reschedule:` entries of `Env`
//! (or build arguments) are taken out and appended to the JSON arrays in `com.docker.swarm.*`
//! labels, so that a later update or rescheduling knows them. Unlike classic, what cannot be read is
//! an error that names it. What the rest of the body means is left to the engine: values of a wrong
//! type are passed over here and refused there.
//!
//! Invariants: extracting twice gives the same request and leaves the body as it is; a body is
//! changed only when extracting succeeds.

use serde_json::{Map, Value};
use swarm_model::intent::UnknownPolicy;

use super::cpu;
use super::expr::{Expr, ExprError};
use super::node::{NANO, Resources};
use super::ports::{PortUse, PortWish};
use super::request::{
    Dependency, DependencyKind, LABEL_AFFINITIES, LABEL_CONSTRAINTS, LABEL_ID, LABEL_RESCHEDULE,
    LABEL_WHITELISTS, Request,
};

/// What in a request cannot be understood; a client's error (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// An expression is malformed.
    #[error("invalid {kind} {error}")]
    Expression {
        /// `constraint`, `affinity` or `whitelist`.
        kind: &'static str,
        /// What and where.
        #[source]
        error: ExprError,
    },
    /// A `com.docker.swarm.*` label is not a JSON array of strings.
    #[error("label {label}: {value:?} is not a JSON array of strings: {problem}")]
    Label {
        /// The label's key.
        label: &'static str,
        /// Its value.
        value: String,
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A reschedule policy that is none.
    #[error(transparent)]
    Reschedule(#[from] UnknownPolicy),
    /// More than one.
    #[error("too many reschedule policies: {0} given, at most 1 allowed")]
    ManyReschedules(usize),
    /// The body is not a JSON object.
    #[error("the body is not a JSON object")]
    NotAnObject,
}

/// The four kinds of entries: prefix in `Env`, label.
const KINDS: [(&str, &str); 4] = [
    ("constraint", LABEL_CONSTRAINTS),
    ("affinity", LABEL_AFFINITIES),
    ("whitelist", LABEL_WHITELISTS),
    ("reschedule", LABEL_RESCHEDULE),
];

/// Expressions of each kind, in the order of [`KINDS`], as texts.
type Texts = [Vec<String>; 4];

/// What a build asks for: the decoded `buildargs` and `labels` of `POST /build` and its limits.
#[derive(Debug, Clone, Default)]
pub struct BuildInputs {
    /// `buildargs`; entries with scheduling expressions are taken out.
    pub build_args: Map<String, Value>,
    /// `labels`; consolidated expressions are put in.
    pub labels: Map<String, Value>,
    /// `memory`, bytes.
    pub memory: i64,
    /// `cpushares`, CPUs as for `-c`.
    pub cpu_shares: i64,
}

impl Request {
    /// Reads and rewrites a create body. `name` is the query's, with or without a leading slash.
    pub fn from_create_body(name: &str, body: &mut Value) -> Result<Self, RequestError> {
        let object = body.as_object().ok_or(RequestError::NotAnObject)?;
        let labels = object.get("Labels").and_then(Value::as_object).cloned().unwrap_or_default();
        let env = object.get("Env").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut texts = texts_in_labels(&labels)?;
        let mut kept = Vec::with_capacity(env.len());
        for entry in env {
            match entry.as_str().and_then(split_entry) {
                Some((kind, text)) => texts[kind].push(text.to_owned()),
                None => kept.push(entry.clone()),
            }
        }
        let taken = kept.len() < env.len();

        let mut request = Self { name: name.trim_start_matches('/').to_owned(), ..Self::default() };
        request.read_texts(&texts)?;
        request.read_host_config(object);
        text_at(object, "Image").clone_into(&mut request.image);
        let changed = consolidate(&labels, &texts);
        request.read_labels(changed.as_ref().unwrap_or(&labels));
        if let Some(object) = body.as_object_mut() {
            if taken {
                object.insert("Env".to_owned(), Value::Array(kept));
            }
            if let Some(labels) = changed {
                object.insert("Labels".to_owned(), Value::Object(labels));
            }
        }
        Ok(request)
    }

    /// Reads and rewrites a build's inputs. Docker's CLI splits `--build-arg constraint:node!=a` at
    /// its first `=`, so key and value are joined again before they are read.
    pub fn from_build(inputs: &mut BuildInputs) -> Result<Self, RequestError> {
        let mut texts = texts_in_labels(&inputs.labels)?;
        let mut taken = Vec::new();
        for (key, value) in &inputs.build_args {
            let joined = format!("{key}={}", value.as_str().unwrap_or_default());
            if let Some((kind, text)) = split_entry(&joined) {
                texts[kind].push(text.to_owned());
                taken.push(key.clone());
            }
        }
        let mut request = Self { name: "build".to_owned(), ..Self::default() };
        request.read_texts(&texts)?;
        request.cpus = inputs.cpu_shares.max(0);
        request.resources = resources(request.cpus, 0, inputs.memory);
        for key in taken {
            inputs.build_args.shift_remove(&key);
        }
        if let Some(labels) = consolidate(&inputs.labels, &texts) {
            inputs.labels = labels;
        }
        request.read_labels(&inputs.labels);
        Ok(request)
    }

    fn read_texts(&mut self, texts: &Texts) -> Result<(), RequestError> {
        let [constraints, affinities, whitelists, policies] = texts;
        self.constraints = parse_all("constraint", constraints)?;
        self.affinities = parse_all("affinity", affinities)?;
        self.whitelists = parse_all("whitelist", whitelists)?;
        self.reschedule = match policies.as_slice() {
            [] => None,
            [one] => Some(one.parse()?),
            many => return Err(RequestError::ManyReschedules(many.len())),
        };
        Ok(())
    }

    fn read_labels(&mut self, labels: &Map<String, Value>) {
        let text =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        self.labels = labels.iter().filter_map(text).collect();
        let id = labels.get(LABEL_ID).and_then(Value::as_str);
        self.swarm_id = id.filter(|id| !id.is_empty()).map(str::to_owned);
    }

    fn read_host_config(&mut self, object: &Map<String, Value>) {
        let empty = Map::new();
        let host = object.get("HostConfig").and_then(Value::as_object).unwrap_or(&empty);
        let number = |key: &str| host.get(key).and_then(Value::as_i64).unwrap_or(0);
        self.cpus = number("CpuShares").max(0);
        self.resources = resources(self.cpus, number("NanoCpus"), number("Memory"));
        self.dependencies = dependencies(host);
        if text_at(host, "NetworkMode") == "host" {
            let exposed = object.get("ExposedPorts").and_then(Value::as_object).unwrap_or(&empty);
            self.host_ports =
                exposed.keys().filter_map(|port| PortUse::from_exposed(port)).collect();
        } else {
            self.ports = port_wishes(host);
        }
    }
}

/// Sets `com.docker.swarm.id` in a create body.
pub fn set_swarm_id(body: &mut Value, id: &str) {
    let Some(object) = body.as_object_mut() else { return };
    let labels = object.entry("Labels").or_insert(Value::Null);
    if !labels.is_object() {
        *labels = Value::Object(Map::new());
    }
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(LABEL_ID.to_owned(), id.into());
    }
}

/// The larger of the two ways to ask for CPU; a negative amount reserves nothing (and is refused by
/// the engine).
pub(super) fn resources(cpus: i64, nano_cpus: i64, memory: i64) -> Resources {
    Resources { nano_cpus: cpus.max(0).saturating_mul(NANO).max(nano_cpus), memory: memory.max(0) }
}

/// What one container reserves, from its `HostConfig` on an engine of `engine_cpus`: the larger of
/// `CpuShares` (as CPUs) and `NanoCpus`, and `Memory`.
pub fn reserved_by(cpu_shares: i64, nano_cpus: i64, memory: i64, engine_cpus: i64) -> Resources {
    resources(cpu::cpus_from(cpu_shares, engine_cpus), nano_cpus, memory)
}

fn split_entry(entry: &str) -> Option<(usize, &str)> {
    let (prefix, text) = entry.split_once(':')?;
    let kind = KINDS.iter().position(|(name, _)| *name == prefix)?;
    Some((kind, text))
}

fn texts_in_labels(labels: &Map<String, Value>) -> Result<Texts, RequestError> {
    let mut texts = Texts::default();
    for (list, (_, label)) in texts.iter_mut().zip(KINDS) {
        let Some(value) = labels.get(label).and_then(Value::as_str) else { continue };
        *list = serde_json::from_str(value).map_err(|error| RequestError::Label {
            label,
            value: value.to_owned(),
            problem: error.to_string(),
        })?;
    }
    Ok(texts)
}

/// The labels with every list of expressions written back; `None` when nothing changes.
fn consolidate(labels: &Map<String, Value>, texts: &Texts) -> Option<Map<String, Value>> {
    let mut changed = None;
    for (list, (_, label)) in texts.iter().zip(KINDS) {
        if list.is_empty() {
            continue;
        }
        let value = Value::from(list.as_slice()).to_string();
        if labels.get(label).and_then(Value::as_str) != Some(value.as_str()) {
            let labels = changed.get_or_insert_with(|| labels.clone());
            labels.insert(label.to_owned(), value.into());
        }
    }
    changed
}

fn parse_all(kind: &'static str, texts: &[String]) -> Result<Vec<Expr>, RequestError> {
    let parse =
        |text: &String| Expr::parse(text).map_err(|error| RequestError::Expression { kind, error });
    texts.iter().map(parse).collect()
}

pub(crate) fn dependencies(host: &Map<String, Value>) -> Vec<Dependency> {
    let listed = [("Links", DependencyKind::Link), ("VolumesFrom", DependencyKind::VolumesFrom)];
    let modes = [
        ("NetworkMode", DependencyKind::Network),
        ("IpcMode", DependencyKind::Ipc),
        ("PidMode", DependencyKind::Pid),
    ];
    let listed = listed.into_iter().flat_map(|(key, kind)| {
        let values = host.get(key).and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).map(move |value| {
            let container = value.split_once(':').map_or(value, |(container, _)| container);
            (kind, container, value)
        })
    });
    let modes = modes.into_iter().filter_map(|(key, kind)| {
        let value = text_at(host, key);
        Some((kind, value.strip_prefix("container:")?, value))
    });
    listed
        .chain(modes)
        .map(|(kind, container, value)| Dependency {
            kind,
            container: container.trim_start_matches('/').to_owned(),
            value: value.to_owned(),
        })
        .collect()
}

fn port_wishes(host: &Map<String, Value>) -> Vec<PortWish> {
    let bindings = host.get("PortBindings").and_then(Value::as_object);
    let each = bindings.into_iter().flatten().flat_map(|(port, list)| {
        let list = list.as_array().into_iter().flatten().filter_map(Value::as_object);
        list.filter_map(move |binding| {
            PortWish::from_binding(port, text_at(binding, "HostIp"), text_at(binding, "HostPort"))
        })
    });
    each.collect()
}

fn text_at<'a>(object: &'a Map<String, Value>, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
