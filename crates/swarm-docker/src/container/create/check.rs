//! Checks a create body: the fields read here get their documented spelling and must have their
//! documented type. A wrong one is a 400 that names it.

use serde_json::Value;

use super::{CreateBody, get};
use crate::container::port::parse_port_key;
use crate::error::ApiError;

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Flag,
    Texts,
    Object,
    Objects,
    /// Text or a list of it (`Cmd`, `Entrypoint`).
    Command,
}

/// The fields read here, by path, with the type each must have when it is given.
const FIELDS: &[(&[&str], Kind)] = &[
    (&["Image"], Kind::Text),
    (&["Env"], Kind::Texts),
    (&["Cmd"], Kind::Command),
    (&["Entrypoint"], Kind::Command),
    (&["Labels"], Kind::Object),
    (&["ExposedPorts"], Kind::Object),
    (&["HostConfig"], Kind::Object),
    (&["HostConfig", "NetworkMode"], Kind::Text),
    (&["HostConfig", "IpcMode"], Kind::Text),
    (&["HostConfig", "PidMode"], Kind::Text),
    (&["HostConfig", "Links"], Kind::Texts),
    (&["HostConfig", "VolumesFrom"], Kind::Texts),
    (&["HostConfig", "Binds"], Kind::Texts),
    (&["HostConfig", "Mounts"], Kind::Objects),
    (&["HostConfig", "CpuShares"], Kind::Number),
    (&["HostConfig", "NanoCpus"], Kind::Number),
    (&["HostConfig", "Memory"], Kind::Number),
    (&["HostConfig", "PortBindings"], Kind::Object),
    (&["HostConfig", "PublishAllPorts"], Kind::Flag),
    (&["NetworkingConfig"], Kind::Object),
    (&["NetworkingConfig", "EndpointsConfig"], Kind::Object),
];

impl CreateBody {
    /// Spells and checks every field of [`FIELDS`], parents first.
    pub(super) fn settle(&mut self) -> Result<(), ApiError> {
        for (path, kind) in FIELDS {
            self.spell(path);
            self.check(path, *kind)?;
        }
        self.check_ports()
    }

    /// Gives the field at `path` its documented spelling.
    fn spell(&mut self, path: &[&str]) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut map = &mut self.map;
        for parent in parents {
            match map.get_mut(*parent) {
                Some(Value::Object(inner)) => map = inner,
                _ => return,
            }
        }
        if map.contains_key(*last) {
            return;
        }
        let found = map.keys().find(|key| key.eq_ignore_ascii_case(last)).cloned();
        if let Some(value) = found.and_then(|key| map.shift_remove(&key)) {
            map.insert((*last).to_owned(), value);
        }
    }

    fn check(&self, path: &[&str], kind: Kind) -> Result<(), ApiError> {
        let Some(value) = self.at(path) else { return Ok(()) };
        let texts =
            |value: &Value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
        let (right, wanted) = match kind {
            Kind::Text => (value.is_string(), "a string"),
            Kind::Number => (value.as_i64().is_some(), "a whole number"),
            Kind::Flag => (value.is_boolean(), "true or false"),
            Kind::Texts => (texts(value), "a list of strings"),
            Kind::Object => (value.is_object(), "an object"),
            Kind::Objects => {
                let all = value.as_array().is_some_and(|all| all.iter().all(Value::is_object));
                (all, "a list of objects")
            }
            Kind::Command => (value.is_string() || texts(value), "a string or a list of strings"),
        };
        if !right {
            return Err(ApiError::invalid(format!("invalid {}: must be {wanted}", path.join("."))));
        }
        let strings = matches!(path, ["Labels"]);
        let wrong = value.as_object().into_iter().flatten().find(|(_, v)| !v.is_string());
        match wrong.filter(|_| strings) {
            None => Ok(()),
            Some((key, _)) => Err(ApiError::invalid(format!(
                "invalid Labels: the value of {key:?} must be a string"
            ))),
        }
    }

    fn check_ports(&self) -> Result<(), ApiError> {
        for path in [&["HostConfig", "PortBindings"][..], &["ExposedPorts"]] {
            let ports = self.at(path).and_then(Value::as_object);
            for (key, bindings) in ports.into_iter().flatten() {
                let field = path.join(".");
                // A range (`8000-8010/tcp`) is the engine's to unfold or refuse.
                if !key.contains('-') && parse_port_key(key).is_none() {
                    return Err(ApiError::invalid(format!(
                        "invalid {field}: {key:?} is not a port such as 80/tcp"
                    )));
                }
                let wrong = |binding: &Value| {
                    let text = |name| get(binding.as_object(), name).is_none_or(Value::is_string);
                    !binding.is_object() || !text("HostIp") || !text("HostPort")
                };
                let list = bindings.as_array();
                let bad = match path {
                    ["ExposedPorts"] => false,
                    _ => !bindings.is_null() && list.is_none_or(|list| list.iter().any(wrong)),
                };
                if bad {
                    return Err(ApiError::invalid(format!(
                        "invalid {field}: {key:?} must be a list of HostIp and HostPort"
                    )));
                }
            }
        }
        Ok(())
    }
}
