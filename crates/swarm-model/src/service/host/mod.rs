//! What a service may ask of its hosts beyond Docker's swarm mode: the labels `swarm.host.NAME` of a
//! service, and what a node's owner allows (`swarm daemon --allow`).
//!
//! Reading order: `settings` (the names, and what each stands for in `HostConfig`), `values` (their
//! texts read), [`grants`] (what an owner allows).
//!
//! The labels are what a person changes; [`Asks`] is what tasks carry of them ([`super::TaskSpec`]), so
//! that a task is another when they change, and goes back with its spec. Invariants: parsing is total; a
//! name below the prefix that nobody knows is refused; nothing is allowed unless the owner said so.

pub mod grants;
mod settings;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use swarm_docker::ApiError;

use settings::{Kind, SETTINGS, Setting};

/// Labels of a service below this are wishes of the host.
pub const PREFIX: &str = "swarm.host.";

/// What a service asks of its hosts: the labels, without their prefix, as they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Asks(BTreeMap<String, String>);

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    setting: &'static Setting,
    /// The field of `HostConfig`.
    pub field: &'static str,
    /// What it is set to. Lists and objects are added to what is there.
    pub value: Value,
    /// What an owner has to allow, one by one.
    items: Vec<String>,
}

/// Why a label, or a grant, is none; in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong(pub(super) String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl Asks {
    /// What these labels ask for; `None` when nothing.
    pub fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        let below = labels.iter().filter_map(|(name, value)| {
            Some((name.strip_prefix(PREFIX)?.to_owned(), value.trim().to_owned()))
        });
        let asks: BTreeMap<_, _> = below.collect();
        (!asks.is_empty()).then_some(Self(asks))
    }

    /// Each of them, read.
    pub fn read(&self) -> Result<Vec<Ask>, Wrong> {
        let read = self.0.iter().map(|(name, text)| {
            one(name, text).map_err(|wrong| Wrong(format!("label {PREFIX}{name}: {wrong}")))
        });
        read.filter_map(Result::transpose).collect()
    }
}

impl Ask {
    /// What it is called in labels and grants.
    pub fn name(&self) -> &'static str {
        self.setting.name
    }

    /// In words, as in "this node does not allow privileged containers".
    pub fn words(&self) -> &'static str {
        self.setting.words
    }
}

/// Checks what a spec asks for.
pub(super) fn check(spec: &super::ServiceSpec) -> Result<(), ApiError> {
    let Some(asks) = Asks::of(&spec.labels) else { return Ok(()) };
    let asks = asks.read().map_err(|wrong| ApiError::invalid(wrong.to_string()))?;
    let container = spec.task_template.container_spec.as_ref();
    let adjusts = container
        .and_then(|container| container.rest.get("OomScoreAdj")?.as_i64())
        .is_some_and(|adjustment| adjustment != 0);
    if adjusts && asks.iter().any(|ask| ask.field == "OomScoreAdj") {
        return Err(ApiError::invalid(format!(
            "label {PREFIX}oom-score-adj: the spec sets OomScoreAdj itself; give one of them"
        )));
    }
    Ok(())
}

fn one(name: &str, text: &str) -> Result<Option<Ask>, Wrong> {
    let (setting, below) = settings::find(name).ok_or_else(|| {
        let known = SETTINGS.iter().map(Setting::shown).collect::<Vec<_>>().join(", ");
        Wrong(format!("there is no such setting; there are {known}"))
    })?;
    let ask =
        |value: Value, items: Vec<String>| Ask { setting, field: setting.field, value, items };
    let ask = match &setting.kind {
        Kind::Flag => {
            let is_on = values::flag(text)?;
            return Ok(is_on.then(|| ask(true.into(), vec!["true".to_owned()])));
        }
        Kind::Number(from, to) => {
            ask(values::number(text, *from, *to)?.into(), vec![text.to_owned()])
        }
        Kind::Bytes => ask(values::bytes(text)?.into(), vec![text.to_owned()]),
        Kind::Word => ask(values::word(text)?.into(), vec![text.to_owned()]),
        Kind::Path => ask(values::path(text)?.into(), vec![text.to_owned()]),
        Kind::OneOf(words) => ask(values::one_of(text, words)?.into(), vec![text.to_owned()]),
        Kind::List => {
            let items = values::list(text)?;
            ask(items.clone().into(), items)
        }
        Kind::Devices => {
            let devices = values::devices(text)?;
            let items = devices.iter().map(|device| device.host.clone()).collect();
            ask(devices.iter().map(values::Device::json).collect(), items)
        }
        Kind::Gpus => ask(values::gpus(text)?, vec![text.to_owned()]),
        Kind::Below => {
            let item = format!("{below}={}", values::word(text)?);
            ask(Value::Object(Map::from_iter([(below.to_owned(), text.into())])), vec![item])
        }
    };
    Ok(Some(ask))
}
