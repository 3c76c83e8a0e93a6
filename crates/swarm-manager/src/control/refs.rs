//! The secrets and configs that a service's container refers to: well formed, and there. Docker's
//! words (swarmkit `controlapi/service.go`).

use std::collections::BTreeMap;

use serde_json::Value;
use swarm_backend::Result;
use swarm_docker::ApiError;
use swarm_model::ServiceSpec;

use crate::replica::{Batch, Object, Tables};

/// What differs between secrets and configs.
struct Kind {
    word: &'static str,
    list: &'static str,
    id: &'static str,
    name: &'static str,
}

const SECRETS: Kind = Kind { word: "secret", list: "Secrets", id: "SecretID", name: "SecretName" };
const CONFIGS: Kind = Kind { word: "config", list: "Configs", id: "ConfigID", name: "ConfigName" };

/// A reference, as far as it is looked at.
struct Reference<'s> {
    id: &'s str,
    name: &'s str,
}

/// Checks both kinds; they must be there until the batch is written.
pub(super) fn check(spec: &ServiceSpec, tables: &Tables, batch: &mut Batch) -> Result<()> {
    there(&SECRETS, spec, batch, |id| {
        tables.secrets.get(id).map(|secret| (&**secret, secret.spec.name.as_str()))
    })?;
    there(&CONFIGS, spec, batch, |id| {
        tables.configs.get(id).map(|config| (&**config, config.spec.name.as_str()))
    })
}

fn there<'t, O: Object + 't>(
    kind: &Kind,
    spec: &ServiceSpec,
    batch: &mut Batch,
    look: impl Fn(&str) -> Option<(&'t O, &'t str)>,
) -> Result<()> {
    let references = read(kind, spec)?;
    let mut missing = Vec::new();
    for reference in &references {
        match look(reference.id) {
            Some((object, name)) if name == reference.name => batch.expect(object),
            _ => missing.push(reference.name),
        }
    }
    let several = if missing.len() == 1 { "" } else { "s" };
    match missing.as_slice() {
        [] => Ok(()),
        names => {
            let (word, names) = (kind.word, names.join(", "));
            Err(ApiError::invalid(format!("{word}{several} not found: {names}")))
        }
    }
}

fn read<'s>(kind: &Kind, spec: &'s ServiceSpec) -> Result<Vec<Reference<'s>>> {
    let word = kind.word;
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    let mut references = Vec::new();
    for value in entries(kind, spec) {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let (id, name) = (text(kind.id), text(kind.name));
        if id.is_empty() || name.is_empty() {
            return refuse(format!("malformed {word} reference"));
        }
        let file = match value.get("File").filter(|file| !file.is_null()) {
            Some(file) => Some(file.get("Name").and_then(Value::as_str).unwrap_or_default()),
            // A config can be a credential spec instead.
            None if value.get("Runtime").is_some_and(|runtime| !runtime.is_null()) => None,
            None => return refuse(format!("malformed {word} reference, no target provided")),
        };
        if let Some(file) = file {
            if file.is_empty() {
                return refuse(format!(
                    "malformed file {word} reference, invalid target file name provided"
                ));
            }
            if let Some(before) = files.insert(file, name) {
                return refuse(format!(
                    "{word} references '{before}' and '{name}' have a conflicting target: '{file}'"
                ));
            }
        }
        references.push(Reference { id, name });
    }
    Ok(references)
}

fn refuse<T>(words: String) -> Result<T> {
    Err(ApiError::invalid(words))
}

fn entries<'s>(kind: &Kind, spec: &'s ServiceSpec) -> impl Iterator<Item = &'s Value> {
    let container = spec.task_template.container_spec.as_ref();
    let list = container.and_then(|container| container.rest.get(kind.list)?.as_array());
    list.into_iter().flatten()
}

/// Names of the services whose spec refers to a secret.
pub(super) fn users_of_secret<'t>(tables: &'t Tables, id: &str) -> Vec<&'t str> {
    users(&SECRETS, tables, id)
}

/// Names of the services whose spec refers to a config.
pub(super) fn users_of_config<'t>(tables: &'t Tables, id: &str) -> Vec<&'t str> {
    users(&CONFIGS, tables, id)
}

fn users<'t>(kind: &Kind, tables: &'t Tables, id: &str) -> Vec<&'t str> {
    let uses = |spec: &ServiceSpec| {
        entries(kind, spec).any(|value| value.get(kind.id).and_then(Value::as_str) == Some(id))
    };
    let services = tables.services.values().filter(|service| uses(&service.spec));
    services.map(|service| service.spec.name.as_str()).collect()
}
