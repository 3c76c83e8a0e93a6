//! The body of `POST /containers/create` (API v1.24 and up): kept whole, read and changed in the
//! places that decide placement.
//!
//! Go reads JSON keys in any case, so look-ups here do too. Types are checked once, in `check`, so
//! reading cannot fail; fields nobody here knows go to the engine as they came.

mod check;

use serde_json::{Map, Value};

use super::port::{PortBinding, parse_port_key};
use crate::error::ApiError;

/// A container's configuration on its way to an engine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CreateBody {
    map: Map<String, Value>,
}

/// One element of `HostConfig.Mounts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountSpec<'a> {
    /// `bind`, `volume`, `tmpfs`, ...
    pub kind: &'a str,
    /// A path or a volume's name.
    pub source: &'a str,
    /// The path in the container.
    pub target: &'a str,
}

impl CreateBody {
    /// Reads and checks a body; every failure is a 400 that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.trim_ascii().is_empty() {
            return Err(ApiError::invalid("config cannot be empty in order to create a container"));
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| ApiError::invalid(format!("invalid JSON: {error}")))?;
        let mut body = match value {
            Value::Object(map) => Self { map },
            Value::Null => {
                let words = "config cannot be empty in order to create a container";
                return Err(ApiError::invalid(words));
            }
            _ => return Err(ApiError::invalid("invalid JSON: the body must be an object")),
        };
        body.settle()?;
        Ok(body)
    }

    /// Lets `change` work on the whole body; the fields of this module are spelt as Docker's
    /// documentation spells them, whatever case the client used.
    pub fn edit<E>(&mut self, change: impl FnOnce(&mut Value) -> Result<(), E>) -> Result<(), E> {
        let mut value = Value::Object(std::mem::take(&mut self.map));
        let outcome = change(&mut value);
        if let Value::Object(map) = value {
            self.map = map;
        }
        outcome
    }

    /// The body itself.
    pub fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// As JSON for an engine.
    pub fn to_json(&self) -> Vec<u8> {
        crate::json::bytes(&self.map)
    }

    /// The value at a path, keys in any case; `null` counts as absent.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        let (last, parents) = path.split_last()?;
        let mut map = &self.map;
        for parent in parents {
            map = get(Some(map), parent)?.as_object()?;
        }
        get(Some(map), last)
    }

    /// Puts a value at a path, making the objects on the way.
    pub fn put(&mut self, path: &[&str], value: impl Into<Value>) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut map = &mut self.map;
        for parent in parents {
            let slot = slot(map, parent);
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            let Value::Object(inner) = slot else { return };
            map = inner;
        }
        *slot(map, last) = value.into();
    }

    fn text(&self, path: &[&str]) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, path: &[&str]) -> i64 {
        self.at(path).and_then(Value::as_i64).unwrap_or_default()
    }

    fn texts(&self, path: &[&str]) -> Vec<&str> {
        let all = self.at(path).and_then(Value::as_array);
        all.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

macro_rules! host_fields {
    ($($(#[$doc:meta])* $read:ident / $write:ident : $field:literal = $with:ident -> $out:ty, $in:ty;)*) => {
        impl CreateBody {$(
            $(#[$doc])*
            pub fn $read(&self) -> $out {
                self.$with(&["HostConfig", $field])
            }

            #[doc = concat!("Sets `HostConfig.", $field, "`.")]
            pub fn $write(&mut self, value: $in) {
                self.put(&["HostConfig", $field], value);
            }
        )*}
    };
}

host_fields! {
    /// `HostConfig.NetworkMode`; empty when the engine's default applies.
    network_mode / set_network_mode: "NetworkMode" = text -> &str, &str;
    /// `HostConfig.IpcMode`.
    ipc_mode / set_ipc_mode: "IpcMode" = text -> &str, &str;
    /// `HostConfig.PidMode`.
    pid_mode / set_pid_mode: "PidMode" = text -> &str, &str;
    /// `HostConfig.Links`, each `name:alias`.
    links / set_links: "Links" = texts -> Vec<&str>, Vec<String>;
    /// `HostConfig.VolumesFrom`, each `name[:ro]`.
    volumes_from / set_volumes_from: "VolumesFrom" = texts -> Vec<&str>, Vec<String>;
    /// `HostConfig.Binds`, each `source:target[:options]`.
    binds / set_binds: "Binds" = texts -> Vec<&str>, Vec<String>;
    /// `HostConfig.CpuShares`.
    cpu_shares / set_cpu_shares: "CpuShares" = number -> i64, i64;
    /// `HostConfig.NanoCpus`: processors times 10⁹.
    nano_cpus / set_nano_cpus: "NanoCpus" = number -> i64, i64;
    /// `HostConfig.Memory` in bytes.
    memory / set_memory: "Memory" = number -> i64, i64;
}

impl CreateBody {
    /// `Image`; empty when it is missing (then the engine refuses).
    pub fn image(&self) -> &str {
        self.text(&["Image"])
    }

    /// Sets `Image`.
    pub fn set_image(&mut self, image: &str) {
        self.put(&["Image"], image);
    }

    /// `Env`, each `KEY=VALUE` or `KEY`.
    pub fn env(&self) -> Vec<&str> {
        self.texts(&["Env"])
    }

    /// Sets `Env`.
    pub fn set_env(&mut self, env: Vec<String>) {
        self.put(&["Env"], env);
    }

    /// `Labels`, in their order.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.at(&["Labels"]).and_then(Value::as_object);
        labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    /// One label; label keys are told apart by case.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.at(&["Labels"])?.get(key)?.as_str()
    }

    /// Sets one label.
    pub fn set_label(&mut self, key: &str, value: &str) {
        if !self.at(&["Labels"]).is_some_and(Value::is_object) {
            self.put(&["Labels"], Map::new());
        }
        if let Value::Object(labels) = slot(&mut self.map, "Labels") {
            labels.insert(key.to_owned(), value.into());
        }
    }

    /// Takes one label out.
    pub fn remove_label(&mut self, key: &str) {
        if self.label(key).is_some()
            && let Value::Object(labels) = slot(&mut self.map, "Labels")
        {
            labels.shift_remove(key);
        }
    }

    /// `HostConfig.Mounts`.
    pub fn mounts(&self) -> Vec<MountSpec<'_>> {
        let all = self.at(&["HostConfig", "Mounts"]).and_then(Value::as_array);
        let text = |mount, key| get(mount, key).and_then(Value::as_str).unwrap_or_default();
        all.into_iter()
            .flatten()
            .map(Value::as_object)
            .map(|mount| MountSpec {
                kind: text(mount, "Type"),
                source: text(mount, "Source"),
                target: text(mount, "Target"),
            })
            .collect()
    }

    /// Renames the `Source` of each volume mount by `rename`, in `Mounts` and `Binds` alike; a
    /// source that is a path is left alone.
    pub fn rename_volumes(&mut self, rename: impl Fn(&str) -> Option<String>) {
        if self.at(&["HostConfig", "Mounts"]).is_some()
            && let Value::Object(host) = slot(&mut self.map, "HostConfig")
            && let Value::Array(mounts) = slot(host, "Mounts")
        {
            for mount in mounts.iter_mut().filter_map(Value::as_object_mut) {
                let is_volume = get(Some(mount), "Type").is_some_and(|kind| kind == "volume");
                let source = get(Some(mount), "Source").and_then(Value::as_str);
                if let Some(new) = source.filter(|_| is_volume).and_then(&rename) {
                    *slot(mount, "Source") = new.into();
                }
            }
        }
        let renamed: Vec<String> = self
            .binds()
            .into_iter()
            .map(|bind| match bind.split_once(':').filter(|(source, _)| !source.starts_with('/')) {
                Some((source, rest)) => match rename(source) {
                    Some(new) => format!("{new}:{rest}"),
                    None => bind.to_owned(),
                },
                None => bind.to_owned(),
            })
            .collect();
        if !renamed.is_empty() {
            self.set_binds(renamed);
        }
    }

    /// `HostConfig.PortBindings`, flat.
    pub fn port_bindings(&self) -> Vec<PortBinding> {
        let ports = self.at(&["HostConfig", "PortBindings"]).and_then(Value::as_object);
        let mut all = Vec::new();
        for (key, bindings) in ports.into_iter().flatten() {
            let Some((container_port, protocol)) = parse_port_key(key) else { continue };
            for binding in bindings.as_array().into_iter().flatten() {
                let text = |name| {
                    get(binding.as_object(), name)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .into()
                };
                all.push(PortBinding {
                    container_port,
                    protocol,
                    host_ip: text("HostIp"),
                    host_port: text("HostPort"),
                });
            }
        }
        all
    }

    /// `HostConfig.PublishAllPorts`.
    pub fn publish_all(&self) -> bool {
        self.at(&["HostConfig", "PublishAllPorts"]) == Some(&Value::Bool(true))
    }

    /// The keys of `ExposedPorts`, such as `80/tcp`.
    pub fn exposed_ports(&self) -> impl Iterator<Item = &str> {
        let ports = self.at(&["ExposedPorts"]).and_then(Value::as_object);
        ports.into_iter().flatten().map(|(key, _)| key.as_str())
    }

    /// The networks of `NetworkingConfig.EndpointsConfig`.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &Value)> {
        let endpoints =
            self.at(&["NetworkingConfig", "EndpointsConfig"]).and_then(Value::as_object);
        endpoints.into_iter().flatten().map(|(name, endpoint)| (name.as_str(), endpoint))
    }

    /// Takes `NetworkID` out of every endpoint: a client that learnt it of one engine's network
    /// means another engine's of that name.
    pub fn forget_network_ids(&mut self) {
        let endpoints: Map<String, Value> = self
            .endpoints()
            .map(|(name, endpoint)| {
                let mut endpoint = endpoint.clone();
                if let Value::Object(fields) = &mut endpoint {
                    fields.retain(|key, _| !key.eq_ignore_ascii_case("NetworkID"));
                }
                (name.to_owned(), endpoint)
            })
            .collect();
        if !endpoints.is_empty() {
            self.put(&["NetworkingConfig", "EndpointsConfig"], endpoints);
        }
    }

    /// Renames networks (`node/name` to the engine's own name) in `EndpointsConfig` and
    /// `NetworkMode`.
    pub fn rename_networks(&mut self, rename: impl Fn(&str) -> Option<String>) {
        if let Some(new) = rename(self.network_mode()) {
            self.set_network_mode(&new);
        }
        let endpoints: Map<String, Value> = self
            .endpoints()
            .map(|(name, endpoint)| {
                (rename(name).unwrap_or_else(|| name.to_owned()), endpoint.clone())
            })
            .collect();
        if !endpoints.is_empty() {
            self.put(&["NetworkingConfig", "EndpointsConfig"], endpoints);
        }
    }
}

/// `key` as written, or else in any case; `null` counts as absent.
fn get<'a>(map: Option<&'a Map<String, Value>>, key: &str) -> Option<&'a Value> {
    let map = map?;
    let any_case = || map.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v);
    map.get(key).or_else(any_case).filter(|value| !value.is_null())
}

/// The place of `key`, in whatever case it is there, made when it is not.
fn slot<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Value {
    let found = if map.contains_key(key) {
        None
    } else {
        map.keys().find(|k| k.eq_ignore_ascii_case(key)).cloned()
    };
    map.entry(found.unwrap_or_else(|| key.to_owned())).or_insert(Value::Null)
}
