//! What released versions kept of a pool (wanted containers, engines, removals) and of a swarm (its objects), as
//! JSON. Unknown fields are carried along everywhere, so a field that got another name would be lost in
//! silence: none of a sample's may be among the unknown ones.

// A test's own set-up fails the test by failing.
#![allow(clippy::unwrap_used)]

use anyhow::{Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use swarm_model::node::Role;
use swarm_model::{
    Cluster, Data, Desired, EngineRecord, Intent, Network, Node, Policy, Removed, Service, Task,
    TaskState,
};
use swarm_testkit::forms::{Form, check};

const INTENT: &str = r#"{"format":1,"id":"0a1b","name":"web","config":{"Image":"nginx","Env":["A=1"],"HostConfig":
{"Binds":["/srv:/srv"]}},"platform":"linux/amd64","version":"1.43","networks":{"back":{"Aliases":["web"]},"bridge":
null},"credentials":"c2VhbGVk","policy":"on-node-failure","stale":"keep","desired":"running","generation":3,"place":
{"state":"at","engine":{"id":"E1","name":"host-1"},"container":"c1"},"moves":[{"at":1795800000,"from":{"id":"E2",
"name":"host-2"},"to":{"id":"E1","name":"host-1"},"reason":"host-2 is down"}],"volumes":["/data"],
"created":1795700000}"#;

const GOING: &str = r#"{"format":1,"id":"0a1c","name":"db","config":{"Image":"postgres"},"policy":
"on-node-failure-with-volumes","stale":"remove","desired":"stopped","generation":1,"place":{"state":"going","to":
{"id":"E1","name":"host-1"}},"created":0}"#;

const NOWHERE: &str = r#"{"format":1,"id":"0a1d","name":"job","config":{"Image":"busybox"},"policy":"off","stale":
"remove","desired":"created","generation":2,"place":{"state":"nowhere","reason":"no node has room"},"created":7}"#;

const ENGINE: &str = r#"{"format":1,"id":"E1","name":"host-1","address":"10.0.0.11:2375","cpus":2,"memory":
4294967296,"labels":{"zone":"a"},"availability":"drain","gone":true,"created":1795700000,"updated":1795800000}"#;

const REMOVED: &str =
    r#"{"format":1,"id":"0a1b","name":"web","engine":{"id":"E1","name":"host-1"},"at":1795800000}"#;

const SERVICE: &str = r#"{"ID":"s1","Version":{"Index":300},"CreatedAt":"2026-11-27T06:00:00.000000001Z","UpdatedAt":
"2026-11-27T07:00:00Z","Spec":{"Name":"web","Labels":{"a":"b"},"TaskTemplate":{"ContainerSpec":{"Image":"nginx:1",
"Env":["A=1"],"Init":true},"Resources":{"Limits":{"NanoCPUs":500000000},"Reservations":{"MemoryBytes":1048576}},
"RestartPolicy":{"Condition":"on-failure","Delay":5000000000,"MaxAttempts":3},"Placement":{"Constraints":
["node.role==worker"],"Preferences":[{"Spread":{"SpreadDescriptor":"node.labels.zone"}}],"MaxReplicas":2},"Networks":
[{"Target":"n1"}],"ForceUpdate":1},"Mode":{"Replicated":{"Replicas":3}},"UpdateConfig":{"Parallelism":2,"Delay":
1000000000,"FailureAction":"rollback","Monitor":5000000000,"MaxFailureRatio":0.5,"Order":"start-first"},
"EndpointSpec":{"Mode":"dnsrr","Ports":[{"Protocol":"tcp","TargetPort":80,"PublishedPort":8080,"PublishMode":
"host"}]}}}"#;

const TASK: &str = r#"{"ID":"t1","Version":{"Index":301},"CreatedAt":"2026-11-27T06:00:00Z","UpdatedAt":
"2026-11-27T07:00:00Z","Spec":{"ContainerSpec":{"Image":"nginx:1"},"ForceUpdate":0},"ServiceID":"s1","Slot":2,"NodeID":
"n1","Status":{"Timestamp":"2026-11-27T06:30:00Z","State":"failed","Message":"started","Err":"task: non-zero exit (1)",
"ContainerStatus":{"ContainerID":"c1","PID":0,"ExitCode":1}},"DesiredState":"shutdown"}"#;

const NODE: &str = r#"{"ID":"n1","Version":{"Index":302},"CreatedAt":"2026-11-27T06:00:00Z","UpdatedAt":
"2026-11-27T07:00:00Z","Spec":{"Name":"one","Labels":{"zone":"a"},"Role":"manager","Availability":"pause"},
"Description":{"Hostname":"host-1","Platform":{"Architecture":"x86_64","OS":"linux"},"Resources":{"NanoCPUs":
2000000000,"MemoryBytes":4294967296},"Engine":{"EngineVersion":"28.5.2","Labels":{"a":"b"},"Plugins":[{"Type":"Volume",
"Name":"local"}]}},"Status":{"State":"down","Message":"heartbeat failure","Addr":"10.0.0.11"},"ManagerStatus":{"Leader":
true,"Reachability":"reachable","Addr":"10.0.0.11:2377"}}"#;

const SECRET: &str = r#"{"ID":"x1","Version":{"Index":303},"CreatedAt":"2026-11-27T06:00:00Z","UpdatedAt":
"2026-11-27T06:00:00Z","Spec":{"Name":"key","Labels":{"a":"b"},"Data":"aHVudGVyMg=="}}"#;

const NETWORK: &str = r#"{"ID":"o1","Version":{"Index":304},"CreatedAt":"2026-11-27T06:00:00Z","UpdatedAt":
"2026-11-27T06:00:00Z","Spec":{"Name":"back","Driver":"overlay","Scope":"swarm","Labels":{"a":"b"},"Attachable":
true}}"#;

const CLUSTER: &str = r#"{"ID":"k1","Version":{"Index":305},"CreatedAt":"2026-11-27T06:00:00Z","UpdatedAt":
"2026-11-27T06:00:00Z","Spec":{"Name":"default","Labels":{"swarm.cluster":"prod"},"Orchestration":
{"TaskHistoryRetentionLimit":5},"Raft":{"SnapshotInterval":10000,"KeepOldSnapshots":1,"LogEntriesForSlowFollowers":500,
"ElectionTick":10,"HeartbeatTick":1},"Dispatcher":{"HeartbeatPeriod":5000000000},"CAConfig":{"NodeCertExpiry":
7776000000000000,"ForceRotate":1},"TaskDefaults":{"LogDriver":{"Name":"json-file"}},"EncryptionConfig":
{"AutoLockManagers":true}},"JoinTokens":{"Worker":"SWMTKN-1-a-b","Manager":"SWMTKN-1-a-c"},"Authority":{"Root":"x"},
"UnlockKey":"SWMKEY-1-x","DefaultAddrPool":["10.0.0.0/8"],"SubnetSize":24,"DataPathPort":4789,"Removed":{"n2":
"2026-12-27T06:00:00Z"}}"#;

/// An object as it is kept, and what has to be seen in it.
fn of<T: Serialize + DeserializeOwned>(
    name: &'static str,
    sample: &'static str,
    seen: impl Fn(&T) -> bool + 'static,
) -> Form<'static> {
    let again = move |bytes: &[u8]| -> Result<Vec<u8>> {
        let object: T = serde_json::from_slice(bytes)?;
        ensure!(seen(&object), "what it has is not where it was");
        Ok(serde_json::to_vec(&object)?)
    };
    let today = again(sample.as_bytes()).unwrap();
    let (kept, whole): (Value, Value) =
        (serde_json::from_slice(&today).unwrap(), serde_json::from_str(sample).unwrap());
    for (field, value) in whole.as_object().unwrap() {
        assert_eq!(kept[field], *value, "{name}: {field}");
    }
    Form::named(name, today, again)
}

fn pool() -> Vec<Form<'static>> {
    let at = |intent: &Intent| {
        let moved = intent.moves.iter().all(|moved| moved.to.is_some());
        let seen = intent.place.engine().is_some_and(|engine| engine.name == "host-1");
        let wanted = intent.policy == Policy::OnNodeFailure && intent.desired == Desired::Running;
        seen && moved && wanted && intent.generation == 3 && intent.volumes == ["/data"]
    };
    vec![
        of("intent", INTENT, at),
        of::<Intent>("intent, being made", GOING, |intent| intent.place.engine().is_some()),
        of::<Intent>("intent, nowhere", NOWHERE, |intent| intent.place.engine().is_none()),
        of::<EngineRecord>("engine", ENGINE, |engine| engine.gone && engine.labels["zone"] == "a"),
        of::<Removed>("removed", REMOVED, |removed| removed.engine.id == "E1"),
    ]
}

fn swarm() -> Vec<Form<'static>> {
    let service = |service: &Service| {
        let (spec, task) = (&service.spec, &service.spec.task_template);
        let known = service.rest.is_empty() && spec.rest.is_empty();
        // Networks are kept as they were sent.
        let known = known && task.rest.keys().eq(["Networks"]);
        known && spec.name == "web" && spec.update_config.is_some() && spec.endpoint_spec.is_some()
    };
    let task = |task: &Task| {
        let known = task.rest.is_empty() && task.status.rest.is_empty();
        let status =
            task.status.state == TaskState::Failed && task.status.container_status.is_some();
        known && status && task.desired_state == TaskState::Shutdown && &*task.node_id == "n1"
    };
    let node = |node: &Node| {
        let known = [&node.rest, &node.spec.rest, &node.description.rest];
        known.iter().all(|rest| rest.is_empty())
            && node.spec.role == Role::Manager
            && node.manager_status.as_ref().is_some_and(|status| status.leader)
    };
    let secret = |secret: &Data| secret.spec.rest.is_empty() && secret.spec.data.is_some();
    let network =
        |network: &Network| network.spec.driver == "overlay" && network.spec.scope == "swarm";
    let cluster = |cluster: &Cluster| {
        let spec = &cluster.spec;
        let known = spec.rest.is_empty() && spec.ca_config.rest.is_empty();
        let locked = spec.encryption_config.auto_lock_managers && cluster.unlock_key.is_some();
        known && locked && cluster.removed.len() == 1 && spec.raft.keep_old_snapshots == Some(1)
    };
    vec![
        of("service", SERVICE, service),
        of("task", TASK, task),
        of("node", NODE, node),
        of("secret", SECRET, secret),
        of("network", NETWORK, network),
        of("cluster", CLUSTER, cluster),
    ]
}

#[test]
fn what_released_versions_kept_is_read() {
    let mut forms = pool();
    forms.extend(swarm());
    check(env!("CARGO_MANIFEST_DIR"), env!("CARGO_PKG_VERSION"), &forms).unwrap();
}
