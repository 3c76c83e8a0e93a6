//! Specs as clients send them, and the bodies that engines get.

use serde_json::{Value, json};
use swarm_model::Task;

use super::*;

fn node() -> NodeFacts {
    NodeFacts {
        hostname: "h1".into(),
        os: "linux".into(),
        architecture: "x86_64".into(),
        api: None,
        allows: Vec::new(),
    }
}

fn task(template: &Value) -> Task {
    serde_json::from_value(json!({
        "ID": "t1", "ServiceID": "s1", "NodeID": "n1", "Slot": 2, "Spec": template,
        "ServiceAnnotations": {"Name": "web", "Labels": {"tier": "front"}},
    }))
    .unwrap()
}

fn container(spec: &Value) -> Task {
    let mut spec = spec.clone();
    spec["Image"] = "busybox".into();
    task(&json!({"ContainerSpec": spec}))
}

fn refused(task: &Task) -> String {
    convert(task, &node(), "c1").unwrap_err().to_string()
}

#[test]
fn a_plain_service_is_an_image_and_labels() {
    let converted = convert(&container(&json!({})), &node(), "c1").unwrap();
    assert_eq!(converted.name, "web.2.t1");
    insta::assert_json_snapshot!(converted.body_with(&[]));
}

#[test]
fn everything_that_a_container_spec_can_say() {
    let mut task = task(&serde_json::from_str(include_str!("rich.json")).unwrap());
    task.host_ports = serde_json::from_value(json!([
        {"TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"},
        {"TargetPort": 80, "PublishMode": "host"},
        {"Protocol": "udp", "TargetPort": 53, "PublishMode": "host"},
    ]))
    .unwrap();
    task.generic_resources = serde_json::from_value(json!([
        {"NamedResourceSpec": {"Kind": "gpu", "Value": "a"}},
        {"NamedResourceSpec": {"Kind": "gpu", "Value": "b"}},
        {"DiscreteResourceSpec": {"Kind": "ssd", "Value": 2}},
    ]))
    .unwrap();
    let converted = convert(&task, &node(), "c1").unwrap();
    assert_eq!(converted.registry_auth.as_ref().map(Secret::reveal), Some("e30="));
    assert_eq!(converted.grace, Some(Duration::from_millis(2500)));
    assert_eq!((converted.files[0].uid, converted.files[0].mode), (5, 0o440));
    let sources = ["/run/t/0".into(), "/run/t/1".into()];
    insta::assert_json_snapshot!(converted.body_with(&sources));
}

#[test]
fn a_field_that_nobody_knows_is_refused_by_its_name() {
    for (spec, words) in [
        (json!({"Devices": []}), "unsupported field Devices of ContainerSpec"),
        (
            json!({"Mounts": [{"Target": "/a", "New": 1}]}),
            "unsupported field New of ContainerSpec.Mounts",
        ),
        (json!({"Healthcheck": {"New": 1}}), "unsupported field New of ContainerSpec.Healthcheck"),
        (json!({"Privileges": {"New": 1}}), "unsupported field New of ContainerSpec.Privileges"),
        (json!({"Env": "A=1"}), "ContainerSpec.Env: invalid type"),
    ] {
        let error = refused(&container(&spec));
        assert!(error.starts_with(words), "{error}");
    }
    assert!(convert(&container(&json!({"Devices": null})), &node(), "c1").is_ok());
    let other = task(&json!({"ContainerSpec": {"Image": "a"}, "New": {}}));
    assert_eq!(refused(&other), "unsupported field New of TaskTemplate");
}

#[test]
fn what_a_linux_engine_by_itself_cannot_do_is_refused() {
    let limited =
        |resources: Value| task(&json!({"ContainerSpec": {"Image": "a"}, "Resources": resources}));
    let networks =
        |networks: Value| task(&json!({"ContainerSpec": {"Image": "a"}, "Networks": networks}));
    for (task, words) in [
        (
            container(&json!({"Mounts": [{"Type": "npipe", "Target": "/a"}]})),
            "npipe is for Windows",
        ),
        (
            container(&json!({"Mounts": [{"Type": "cluster", "Target": "/a"}]})),
            "cluster volumes are not here",
        ),
        (container(&json!({"Mounts": [{"Type": "image", "Target": "/a"}]})), "invalid MountType"),
        (
            container(&json!({"Mounts": [{"Type": "tmpfs", "Target": "/a",
            "BindOptions": {"Propagation": "shared"}}]})),
            "BindOptions is for another type",
        ),
        (
            container(&json!({"Privileges": {"CredentialSpec": {"File": "x"}}})),
            "Windows containers",
        ),
        (container(&json!({"Privileges": {"Seccomp": {"Mode": "custom"}}})), "needs a profile"),
        (container(&json!({"Hosts": ["10.0.0.1"]})), "is not \"IP name\""),
        (
            container(&json!({"Hostname": "{{.Task.Secret}}"})),
            "ContainerSpec.Hostname: template: there is no field",
        ),
        (container(&json!({"Configs": [{"ConfigID": "c", "Runtime": {}}]})), "Runtime target"),
        (
            container(&json!({"Secrets": [{"SecretID": "c", "File": {"Name": "a", "UID": "x"}}]})),
            "is no number",
        ),
        (limited(json!({"SwapBytes": 5})), "needs a memory limit"),
        (networks(json!([{"Target": "front"}])), "network front is none of this engine's own"),
        (networks(json!([{"Target": "host"}, {"Target": "none"}])), "several networks"),
        (task(&json!({})), "ContainerSpec: missing"),
    ] {
        let error = refused(&task);
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn what_an_older_engine_would_ignore_is_refused() {
    let mount = |options: Value| {
        let mut mount = json!({"Type": "volume", "Source": "v", "Target": "/a"});
        mount["VolumeOptions"] = options;
        container(&json!({"Mounts": [{"Type": "tmpfs", "Target": "/b"}, mount]}))
    };
    let on = |task: &Task, minor| {
        let node = NodeFacts { api: Some(swarm_docker::ApiVersion::new(1, minor)), ..node() };
        convert(task, &node, "c1").map(drop).map_err(|refusal| refusal.to_string())
    };
    let subpath = mount(json!({"Subpath": "s"}));
    let words = "VolumeOptions.Subpath needs an engine with API 1.45, and this one has 1.41";
    assert_eq!(on(&subpath, 41), Err(words.to_owned()));
    assert_eq!(on(&subpath, 45), Ok(()));
    assert_eq!(on(&mount(json!({"NoCopy": true})), 41), Ok(()));
    let check = container(&json!({"Healthcheck": {"Test": ["CMD", "a"], "StartInterval": 1}}));
    assert!(on(&check, 43).is_err());
    let unset = container(&json!({"Mounts": [{"Type": "bind", "Source": "/a", "Target": "/a",
        "BindOptions": {"CreateMountpoint": false}}]}));
    assert_eq!(on(&unset, 41), Ok(()));
}

#[test]
fn a_global_service_s_task_is_named_by_its_node() {
    let mut task = container(&json!({"Hostname": "{{.Task.Slot}}"}));
    task.slot = 0;
    let converted = convert(&task, &node(), "c1").unwrap();
    assert_eq!(converted.name, "web.n1.t1");
    assert_eq!(converted.body["Hostname"], "n1");
}

#[test]
fn what_the_owner_allows_reaches_the_engine_and_nothing_else() {
    let asking = |host: Value, privileges: Value| {
        task(&json!({"ContainerSpec": {"Image": "a", "Privileges": privileges}, "Host": host}))
    };
    let on = |task: &Task, allows: &[&str]| {
        let allows = allows.iter().map(|text| (*text).to_owned()).collect();
        convert(task, &NodeFacts { allows, ..node() }, "c1")
    };
    let all = asking(
        json!({
            "privileged": "true", "devices": "/dev/fuse,/dev/null:/dev/zip:r", "gpus": "device=a,b",
            "device-cgroup-rules": "c 1:3 rwm", "cgroup-parent": "/batch", "cgroupns": "host",
            "ipc": "host", "pid": "host", "uts": "host", "userns": "host", "runtime": "runc",
            "security-opt": "seccomp=unconfined", "storage-opt.size": "1G", "shm-size": "64m",
            "oom-score-adj": "-5", "oom-kill-disable": "true", "cpu-shares": "512",
            "cpuset-cpus": "0-1,3", "cpuset-mems": "0", "blkio-weight": "300",
        }),
        json!({"NoNewPrivileges": true}),
    );
    let converted = on(&all, &["all"]).unwrap();
    insta::assert_json_snapshot!(converted.body["HostConfig"]);

    let two = asking(json!({"privileged": "true", "devices": "/dev/fuse"}), Value::Null);
    let refusal = |allows: &[&str]| on(&two, allows).unwrap_err().to_string();
    assert_eq!(
        refusal(&["devices"]),
        "this node does not allow privileged containers (its owner does by swarm daemon --allow \
         privileged)"
    );
    assert!(refusal(&["privileged", "devices=/dev/null"]).contains("does not allow the devices"));
    assert!(on(&two, &["privileged", "devices=/dev/fuse"]).is_ok());
    let unread = asking(json!({"privileged": "maybe"}), Value::Null);
    assert!(on(&unread, &["all"]).unwrap_err().to_string().contains("neither true nor false"));
}
