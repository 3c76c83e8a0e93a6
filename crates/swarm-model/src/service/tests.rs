//! Services keep what they do not know, and Docker's refusals are ours.

use serde_json::{Value, json};
use swarm_docker::ErrorClass;

use super::*;

/// `docker service create` of 28.5, as the daemon answered it, cut to what differs.
fn answer() -> Value {
    json!({
        "ID": "9mnpnzenvg8p8tdbtq4wvbkcz",
        "Version": {"Index": 19},
        "CreatedAt": "2024-06-07T21:05:51.880065305Z",
        "UpdatedAt": "2024-06-07T21:07:29.962229872Z",
        "Spec": {
            "Name": "web",
            "Labels": {"a": "1"},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": "redis",
                    "Mounts": [{"Target": "/data", "Type": "volume",
                                "VolumeOptions": {"DriverConfig": {"Name": "nfs"}}}],
                    "Isolation": "default", "New": [1]
                },
                "Resources": {"Limits": {"MemoryBytes": 8_388_608, "Pids": 7},
                              "Reservations": {"NanoCPUs": 500_000_000, "GenericResources": [
                                  {"DiscreteResourceSpec": {"Kind": "gpu", "Value": 2}}]}},
                "RestartPolicy": {"Condition": "on-failure", "Delay": 1, "MaxAttempts": 3},
                "Placement": {"Constraints": ["node.role==worker"], "MaxReplicas": 2,
                              "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.z"}}],
                              "Platforms": [{"Architecture": "amd64", "OS": "linux"}]},
                "ForceUpdate": 0,
                "Networks": [{"Target": "front"}],
                "LogDriver": {"Name": "local"}
            },
            "Mode": {"Replicated": {"Replicas": 3}},
            "UpdateConfig": {"Parallelism": 2, "FailureAction": "rollback", "Monitor": 15,
                             "MaxFailureRatio": 0.15, "Order": "start-first"},
            "EndpointSpec": {"Mode": "vip", "Ports": [{"Protocol": "tcp", "TargetPort": 6379,
                             "PublishedPort": 30001, "PublishMode": "host"}]}
        },
        "UpdateStatus": {"State": "rollback_started", "StartedAt": "2024-06-07T21:05:51Z",
                         "Message": "x"},
        "Endpoint": {"Spec": {}}
    })
}

#[test]
fn an_answer_is_written_as_it_was_read() {
    let service: Service = serde_json::from_value(answer()).unwrap();
    assert_eq!(serde_json::to_value(&service).unwrap(), answer());
    assert_eq!(service.spec.mode.decided(), Mode::Replicated { replicas: 3 });
    assert_eq!(service.spec.host_ports()[0].published_port, 30001);
    let task = &service.spec.task_template;
    assert_eq!(task.networks().collect::<Vec<_>>(), ["front"]);
    assert_eq!(task.container_spec.as_ref().unwrap().mounts[0].driver(), Some("nfs"));
    assert_eq!(task.condition(), Condition::OnFailure);
}

#[test]
fn what_is_not_said_has_docker_s_defaults() {
    let spec: ServiceSpec = serde_json::from_value(json!({
        "Name": "a", "Labels": null,
        "TaskTemplate": {"ContainerSpec": {"Image": "a", "Mounts": null},
                         "Placement": {"Constraints": null}},
        "UpdateConfig": {"Order": "", "FailureAction": ""},
    }))
    .unwrap();
    assert_eq!(spec.mode.decided(), Mode::Replicated { replicas: 1 });
    assert_eq!(spec.task_template.condition(), Condition::Any);
    let update = spec.update_config.clone().unwrap();
    assert_eq!((update.parallelism, update.watch()), (1, update::DEFAULT_MONITOR));
    let job: ServiceMode =
        serde_json::from_value(json!({"ReplicatedJob": {"MaxConcurrent": 4}})).unwrap();
    assert_eq!(job.decided(), Mode::ReplicatedJob { concurrent: 4, total: 4 });
    validate::spec(&spec).unwrap();
}

#[test]
fn what_docker_refuses_is_refused_in_its_words() {
    for (path, value, words) in [
        (
            "/TaskTemplate/ContainerSpec/Healthcheck",
            json!({"Interval": 1}),
            "ContainerSpec: Interval in HealthConfig cannot be less than 1ms",
        ),
        (
            "/Labels",
            json!({"swarm.drain": "no"}),
            "label swarm.drain: \"no\" is neither stop-first nor start-first",
        ),
        ("/Name", json!(""), "meta: name must be provided"),
        ("/Name", json!("a.b"), "name must be valid as a DNS name component"),
        ("/Name", json!("-a"), "name must be valid as a DNS name component"),
        ("/Name", json!("a".repeat(64)), "name must be 63 characters or fewer"),
        ("/Mode", json!({"Global": {}, "Replicated": {}}), "must specify only one service mode"),
        ("/Mode", json!({"GlobalJob": {}}), "Jobs may not have an update config"),
        ("/UpdateConfig/Delay", json!(-1), "TaskSpec: update-delay cannot be negative"),
        ("/UpdateConfig/Monitor", json!(-1), "TaskSpec: update-monitor cannot be negative"),
        (
            "/UpdateConfig/MaxFailureRatio",
            json!(1.5),
            "TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1",
        ),
        (
            "/TaskTemplate/RestartPolicy/Delay",
            json!(-1),
            "TaskSpec: restart-delay cannot be negative",
        ),
        (
            "/TaskTemplate/RestartPolicy/Window",
            json!(-1),
            "TaskSpec: restart-window cannot be negative",
        ),
        (
            "/TaskTemplate/Placement/Constraints",
            json!(["node.role"]),
            "constraint expected one operator from ==, !=",
        ),
        (
            "/TaskTemplate/Resources/Limits/NanoCPUs",
            json!(5),
            "invalid cpu value 0.000000005: Must be at least 0.001",
        ),
        (
            "/TaskTemplate/Resources/Limits/MemoryBytes",
            json!(5),
            "invalid memory value 5: Must be at least 4MiB",
        ),
        ("/TaskTemplate/ContainerSpec", Value::Null, "ContainerSpec: missing in service spec"),
        (
            "/TaskTemplate/ContainerSpec/Image",
            json!(""),
            "ContainerSpec: image reference must be provided",
        ),
        (
            "/TaskTemplate/ContainerSpec/Image",
            json!("A b"),
            "ContainerSpec: \"A b\" is not a valid repository/tag",
        ),
        (
            "/TaskTemplate/ContainerSpec/Mounts",
            json!([{"Target": "/a"}, {"Target": "/a"}]),
            "ContainerSpec: duplicate mount point: /a",
        ),
        (
            "/TaskTemplate/ContainerSpec/Mounts",
            json!([{"Type": "image", "Target": "/a"}]),
            "invalid MountType: \"image\"",
        ),
        (
            "/EndpointSpec",
            json!({"Mode": "dnsrr", "Ports": [{"TargetPort": 1}]}),
            "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
        ),
        (
            "/EndpointSpec/Ports",
            json!([{"TargetPort": 1, "PublishedPort": 9}, {"TargetPort": 2, "PublishedPort": 9}]),
            "EndpointSpec: duplicate published ports provided",
        ),
    ] {
        let mut body = answer()["Spec"].take();
        let (parent, key) = path.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[key] = value;
        let spec: ServiceSpec = serde_json::from_value(body).unwrap();
        let error = validate::spec(&spec).unwrap_err();
        assert_eq!((error.message.as_str(), error.class), (words, ErrorClass::InvalidParameter));
    }
}

#[test]
fn words_that_are_not_docker_s_do_not_parse() {
    for (path, value) in [
        ("/UpdateConfig/FailureAction", json!("panic")),
        ("/UpdateConfig/Order", json!("both")),
        ("/UpdateConfig/Parallelism", json!(-1)),
        ("/TaskTemplate/RestartPolicy/Condition", json!("always")),
        ("/Mode/Replicated/Replicas", json!(-1)),
        ("/EndpointSpec/Ports", json!([{"TargetPort": 70000}])),
    ] {
        let mut body = answer()["Spec"].take();
        let (parent, key) = path.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[key] = value;
        assert!(serde_json::from_value::<ServiceSpec>(body).is_err(), "{path}");
    }
}

#[test]
fn ports_of_other_services_are_in_the_way() {
    let service = |mode: &str, id: &str| -> Service {
        serde_json::from_value(json!({"ID": id, "Spec": {"Name": "other", "EndpointSpec": {"Ports":
            [{"TargetPort": 1, "PublishedPort": 80, "PublishMode": mode}]}}}))
        .unwrap()
    };
    let check = |mine: &str, theirs: &str| {
        validate::port_conflicts(&service(mine, "m").spec, Some("m"), [&service(theirs, "t")])
            .map_err(|error| error.message)
    };
    let words = |how| Err(format!("port '80' is already in use by service 'other' (t) as {how}"));
    assert_eq!(check("ingress", "ingress"), words("an ingress port"));
    assert_eq!(check("host", "ingress"), words("an ingress port"));
    assert_eq!(check("ingress", "host"), words("a host-published port"));
    assert_eq!(check("host", "host"), Ok(()));
    let own = service("ingress", "m");
    validate::port_conflicts(&own.spec, Some("m"), [&own]).unwrap();
}

#[test]
fn a_mode_is_for_ever() {
    let spec = |mode| ServiceSpec { mode, ..ServiceSpec::default() };
    let (two, three) = (spec(ServiceMode::replicated(2)), spec(ServiceMode::replicated(3)));
    let global = spec(ServiceMode { global: Some(Rest::new()), ..ServiceMode::default() });
    validate::change(&two, &three).unwrap();
    let error = validate::change(&two, &global).unwrap_err();
    assert_eq!(error.message, "service mode change is not allowed");
    assert_eq!(error.class, ErrorClass::NotImplemented);
    let renamed = ServiceSpec { name: "b".into(), ..two.clone() };
    let error = validate::change(&two, &renamed).unwrap_err();
    assert_eq!(error.message, "renaming services is not supported");
}
