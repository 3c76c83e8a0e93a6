//! The fields of a service's spec (`ServiceSpec`, API v1.52), but for what is inside its container's,
//! which the node that runs the task knows best. One that is none of them would be ignored: it is
//! refused by its name, as a container's is.

use serde_json::Value;

/// Objects by their place, and the fields that they have. `*` is each element of a list.
const OBJECTS: [(&str, &[&str]); 23] = [
    (
        "",
        &[
            "Name",
            "Labels",
            "TaskTemplate",
            "Mode",
            "UpdateConfig",
            "RollbackConfig",
            "EndpointSpec",
            "Networks",
        ],
    ),
    (
        "TaskTemplate",
        &[
            "ContainerSpec",
            "PluginSpec",
            "NetworkAttachmentSpec",
            "Resources",
            "RestartPolicy",
            "Placement",
            "ForceUpdate",
            "LogDriver",
            "Networks",
            "Runtime",
        ],
    ),
    ("TaskTemplate.ContainerSpec", &CONTAINER),
    ("TaskTemplate.Resources", &["Limits", "Reservations", "SwapBytes", "MemorySwappiness"]),
    ("TaskTemplate.Resources.Limits", &["NanoCPUs", "MemoryBytes", "Pids"]),
    ("TaskTemplate.Resources.Reservations", &["NanoCPUs", "MemoryBytes", "GenericResources"]),
    ("TaskTemplate.RestartPolicy", &["Condition", "Delay", "MaxAttempts", "Window"]),
    ("TaskTemplate.Placement", &["Constraints", "Preferences", "MaxReplicas", "Platforms"]),
    ("TaskTemplate.Placement.Preferences.*", &["Spread"]),
    ("TaskTemplate.Placement.Preferences.*.Spread", &["SpreadDescriptor"]),
    ("TaskTemplate.Placement.Platforms.*", &["Architecture", "OS"]),
    ("TaskTemplate.LogDriver", &["Name", "Options"]),
    ("TaskTemplate.Networks.*", &NETWORK),
    ("Networks.*", &NETWORK),
    ("Mode", &["Replicated", "Global", "ReplicatedJob", "GlobalJob"]),
    ("Mode.Replicated", &["Replicas"]),
    ("Mode.Global", &[]),
    ("Mode.GlobalJob", &[]),
    ("Mode.ReplicatedJob", &["MaxConcurrent", "TotalCompletions"]),
    ("UpdateConfig", &UPDATE),
    ("RollbackConfig", &UPDATE),
    ("EndpointSpec", &["Mode", "Ports"]),
    ("EndpointSpec.Ports.*", &["Name", "Protocol", "TargetPort", "PublishedPort", "PublishMode"]),
];
const NETWORK: [&str; 3] = ["Target", "Aliases", "DriverOpts"];
const UPDATE: [&str; 6] =
    ["Parallelism", "Delay", "FailureAction", "Monitor", "MaxFailureRatio", "Order"];
const CONTAINER: [&str; 29] = [
    "Image",
    "Labels",
    "Command",
    "Args",
    "Hostname",
    "Env",
    "Dir",
    "User",
    "Groups",
    "Privileges",
    "Init",
    "StopSignal",
    "TTY",
    "OpenStdin",
    "ReadOnly",
    "Mounts",
    "StopGracePeriod",
    "Healthcheck",
    "Hosts",
    "DNSConfig",
    "Secrets",
    "Configs",
    "Isolation",
    "Sysctls",
    "CapabilityAdd",
    "CapabilityDrop",
    "Ulimits",
    "OomScoreAdj",
    // Our own, for a registry: what a client sends there is not kept.
    "PullOptions",
];

/// The first field that is none, in words.
pub(super) fn stranger(spec: &Value) -> Option<String> {
    look(spec, "")
}

fn look(value: &Value, place: &str) -> Option<String> {
    match value {
        Value::Object(fields) => {
            let known = OBJECTS.iter().find(|(at, _)| *at == place).map(|(_, known)| *known);
            let is_strange = |(key, value): &(&String, &Value)| {
                known.is_some_and(|known| !known.contains(&key.as_str())) && !value.is_null()
            };
            if let Some((key, _)) = fields.iter().find(is_strange) {
                let object = if place.is_empty() { "the spec" } else { place };
                return Some(format!("unsupported field {key} of {}", object.replace(".*", "")));
            }
            fields.iter().find_map(|(key, value)| match place {
                "" => look(value, key),
                _ => look(value, &format!("{place}.{key}")),
            })
        }
        Value::Array(all) => {
            let place = format!("{place}.*");
            all.iter().find_map(|one| look(one, &place))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_would_be_ignored_is_named() {
        for (spec, words) in [
            (json!({"Foo": 1}), "unsupported field Foo of the spec"),
            (json!({"Mode": {"Foo": {}}}), "unsupported field Foo of Mode"),
            (
                json!({"TaskTemplate": {"Placement": {"Preferences": [{"Spread": {"By": "x"}}]}}}),
                "unsupported field By of TaskTemplate.Placement.Preferences.Spread",
            ),
            (
                json!({"EndpointSpec": {"Ports": [{"TargetPort": 1}, {"HostIP": "::1"}]}}),
                "unsupported field HostIP of EndpointSpec.Ports",
            ),
            (
                json!({"TaskTemplate": {"ContainerSpec": {"Devices": []}}}),
                "unsupported field Devices of TaskTemplate.ContainerSpec",
            ),
        ] {
            assert_eq!(stranger(&spec).as_deref(), Some(words));
        }
        // Null is nothing, names that people choose are none of fields, and what is deeper in a
        // container's spec is the node's.
        let fine = json!({
            "Name": "x", "Labels": {"Foo": "bar"}, "Foo": null,
            "TaskTemplate": {
                "ContainerSpec": {"Labels": {"a": "b"}, "Healthcheck": {"Foo": 1}},
                "LogDriver": {"Options": {"max-size": "1m"}},
                "Resources": {"Reservations": {"GenericResources": [{"NamedResourceSpec": {}}]}}},
            "Mode": {"Global": {}}, "Networks": [{"Target": "x", "DriverOpts": {"a": "b"}}],
        });
        assert_eq!(stranger(&fine), None);
    }
}
