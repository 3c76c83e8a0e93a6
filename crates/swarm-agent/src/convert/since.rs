//! What an older engine would ignore without a word: refused here in its place.

use serde_json::{Map, Value};
use swarm_docker::ApiVersion;

use super::fields::Refusal;

/// A field of the create body and the API version that brought it ("Engine API version history").
/// `*` is each element of a list.
const SINCE: [(&[&str], ApiVersion); 9] = [
    (&["HostConfig", "DeviceRequests"], ApiVersion::new(1, 40)),
    (&["HostConfig", "CgroupnsMode"], ApiVersion::new(1, 41)),
    (&["HostConfig", "Mounts", "*", "BindOptions", "NonRecursive"], ApiVersion::new(1, 40)),
    (&["HostConfig", "Mounts", "*", "BindOptions", "CreateMountpoint"], ApiVersion::new(1, 42)),
    (&["Healthcheck", "StartInterval"], ApiVersion::new(1, 44)),
    (&["HostConfig", "Mounts", "*", "BindOptions", "ReadOnlyNonRecursive"], ApiVersion::new(1, 44)),
    (
        &["HostConfig", "Mounts", "*", "BindOptions", "ReadOnlyForceRecursive"],
        ApiVersion::new(1, 44),
    ),
    (&["HostConfig", "Mounts", "*", "VolumeOptions", "Subpath"], ApiVersion::new(1, 45)),
    (&["HostConfig", "Mounts", "*", "TmpfsOptions", "Options"], ApiVersion::new(1, 46)),
];

/// Checks a create body for an engine that speaks `engine` at most.
pub(super) fn check(body: &Map<String, Value>, engine: ApiVersion) -> Result<(), Refusal> {
    let asked = |path: &[&str]| {
        path.split_first()
            .is_some_and(|(first, rest)| body.get(*first).is_some_and(|value| is_set(value, rest)))
    };
    match SINCE.iter().find(|(path, since)| *since > engine && asked(path)) {
        Some((path, since)) => Err(Refusal(format!(
            "{} needs an engine with API {since}, and this one has {engine}",
            path.iter().rev().take(2).rev().copied().collect::<Vec<_>>().join("."),
        ))),
        None => Ok(()),
    }
}

fn is_set(value: &Value, path: &[&str]) -> bool {
    match path.split_first() {
        // What the client leaves at its zero is nothing to ask for.
        None => match value {
            Value::Null | Value::Bool(false) => false,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            _ => true,
        },
        Some((&"*", rest)) => value.as_array().into_iter().flatten().any(|one| is_set(one, rest)),
        Some((key, rest)) => value.get(key).is_some_and(|value| is_set(value, rest)),
    }
}
