//! Docker's own client against the node endpoint of swarm mode, over a manager whose store is in
//! memory and an engine that only says what it is. No task runs here; that they do is for the tests
//! with real engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod node;

use std::fs;
use std::sync::Arc;

use swarm_api::{Listener, ServerOptions, serve_node};
use swarm_e2e::Client;
use swarm_manager::replica::memory::Memory;
use swarm_manager::{Batch, Control, Object, Replica};
use swarm_model::node::{NodeState, Role};
use swarm_model::task::ServiceAnnotations;
use swarm_model::{Id, Node, Task, TaskState};
use tokio_util::sync::{CancellationToken, DropGuard};

use node::{Manager, OneLine};

/// A manager's endpoint, and the client that talks to it.
struct Rig {
    replica: Arc<Replica>,
    docker: Client,
    folder: tempfile::TempDir,
    _stop: DropGuard,
}

impl Rig {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let replica = Replica::new(Memory::new());
        let manager = Arc::new(Manager { control: Control::new(Arc::clone(&replica), OneLine) });
        let listener = Listener::unix(&socket).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve_node(vec![listener], manager, ServerOptions::default(), stop.clone()));
        let docker = Client::new("docker", &format!("unix://{}", socket.display()));
        let docker = docker.env("DOCKER_CONFIG", folder.path().display().to_string());
        let rig = Self { replica, docker, folder, _stop: stop.drop_guard() };
        for (id, role, member) in [("n1manager", Role::Manager, 1), ("n2worker", Role::Worker, 0)] {
            let mut node = Node { id: id.into(), member, ..Node::default() };
            node.spec.role = role;
            node.description.hostname = format!("host-{id}");
            "28.2.2".clone_into(&mut node.description.engine.engine_version);
            node.status.state = NodeState::Ready;
            rig.put(&node).await;
        }
        rig
    }

    async fn put<O: Object>(&self, object: &O) {
        let mut batch = Batch::default();
        batch.put(object).unwrap();
        self.replica.commit(batch).await.unwrap();
    }

    /// What the client prints.
    fn docker(&self, line: &str) -> String {
        self.feed(line, "")
    }

    fn feed(&self, line: &str, input: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        tokio::task::block_in_place(|| self.docker.feed(&words, input.as_bytes()).ok()).unwrap()
    }

    /// What the client complains about.
    fn refused(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        tokio::task::block_in_place(|| self.docker.run(&words).fails()).unwrap()
    }

    /// As an orchestrator and a node would: a task of a service, running on the worker.
    async fn run_task(&self, service: &str) -> Task {
        let service = self.replica.read(|tables| {
            tables.services.values().find(|one| one.spec.name == service).cloned().unwrap()
        });
        let mut task = Task {
            id: Id::from_bits(7),
            service_id: service.id.clone(),
            service_annotations: Arc::new(ServiceAnnotations {
                name: service.spec.name.clone(),
                labels: service.spec.labels.clone(),
            }),
            slot: 1,
            node_id: "n2worker".into(),
            spec: Arc::clone(&service.spec.task_template),
            desired_state: TaskState::Running,
            updated_at: service.updated_at,
            ..Task::default()
        };
        task.status.state = TaskState::Running;
        task.status.timestamp = service.updated_at;
        self.put(&task).await;
        task
    }
}

fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_from_create_to_rm() {
    let rig = Rig::start().await;
    rig.feed("secret create key -", "hunter2");
    rig.feed("config create settings -", "a=1");
    rig.docker(
        "service create --detach --no-resolve-image --name web --replicas 2 --label tier=front \
         --publish mode=host,published=8080,target=80 --secret key --config settings \
         --env A=1 --mount type=volume,source=data,target=/data --constraint node.role==worker \
         --update-delay 2s --limit-memory 64M --network host redis:7 redis-server",
    );
    has(&rig.docker("service ls"), &["web", "replicated", "0/2", "redis:7"]);
    let task = rig.run_task("web").await;
    has(&rig.docker("service ls --filter label=tier=front"), &["web", "1/2"]);
    has(&rig.docker("service ps web"), &["web.1", "host-n2worker", "Running"]);
    has(&rig.docker("node ps n2worker"), &["web.1"]);
    // A node that cannot answer costs its own lines; the client says so.
    let words = ["logs", "--timestamps", "web"];
    let logs = tokio::task::block_in_place(|| {
        rig.docker.run(&[&["service"][..], &words].concat()).output()
    });
    let logs = logs.unwrap();
    let (out, error) = (String::from_utf8(logs.stdout), String::from_utf8(logs.stderr));
    has(
        &out.unwrap(),
        &["2024-06-07T21:07:31.290032978Z web.1.", "@host-n2worker", "| ready to serve"],
    );
    has(&error.unwrap(), &["incomplete log stream", "the node is not connected"]);
    has(
        &rig.docker("service inspect --pretty web"),
        &["web", "Replicas:", "2", "PublishMode = host"],
    );
    assert_eq!(rig.docker(&format!("inspect --format {{{{.Slot}}}} {}", task.id)), "1");
    has(&rig.docker("service scale --detach web=5"), &["web scaled to 5"]);
    rig.docker("service update --detach --no-resolve-image --image redis:8 --env-add B=2 web");
    let image = "service inspect --format {{.Spec.TaskTemplate.ContainerSpec.Image}} web";
    assert_eq!(rig.docker(image), "redis:8");
    rig.docker("service rollback --detach web");
    assert_eq!(rig.docker(image), "redis:7");
    has(
        &rig.docker("service inspect --format {{.UpdateStatus.Message}} web"),
        &["manually requested"],
    );
    has(&rig.refused("secret rm key"), &["secret 'key' is in use by the following service: web"]);
    rig.docker("service update --detach --force --secret-rm key web");
    rig.docker("service rm web");
    rig.docker("secret rm key");
    assert_eq!(rig.docker("service ls --quiet"), "");
    has(&rig.refused("service inspect web"), &["no such service: web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_reaches_the_person() {
    let rig = Rig::start().await;
    let create = "service create --detach --no-resolve-image --name web";
    has(
        &rig.refused(&format!("{create} -p 8080:80 redis")),
        &["mode=host,published=8080,target=80"],
    );
    has(&rig.refused(&format!("{create} --network nope redis")), &["network nope not found"]);
    has(&rig.refused(&format!("{create} --endpoint-mode dnsrr redis")), &["dnsrr"]);
    has(&rig.refused("network create --driver overlay back"), &["network back: cluster networks"]);
    rig.docker(&format!("{create} redis"));
    has(&rig.refused(&format!("{create} redis")), &["name conflicts with an existing object"]);
    has(&rig.refused("node demote n1manager"), &["attempting to demote the last manager"]);
    has(&rig.refused("node rm n2worker"), &["node n2worker is not down and can't be removed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_secrets() {
    let rig = Rig::start().await;
    has(&rig.docker("node ls"), &["n1manager", "host-n2worker", "Ready", "Active", "Leader"]);
    rig.docker("node update --availability drain --label-add rack=7 n2worker");
    has(&rig.docker("node ls"), &["Drain"]);
    has(&rig.docker("node inspect --pretty n2worker"), &["rack=7", "Drain"]);
    rig.docker("node promote n2worker");
    assert_eq!(rig.docker("node inspect --format {{.Spec.Role}} host-n2worker"), "manager");
    rig.feed("secret create --label a=1 key -", "hunter2");
    has(&rig.docker("secret ls"), &["key"]);
    let shown = rig.docker("secret inspect key");
    assert!(!shown.contains("Data") && !shown.contains("hunter2"), "{shown}");
    rig.feed("config create settings -", "a=1");
    has(&rig.docker("config inspect --pretty settings"), &["a=1"]);
    rig.docker("config rm settings");
    has(&rig.docker("network ls"), &["bridge"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_deployed_again_and_removed() {
    let rig = Rig::start().await;
    let file = rig.folder.path().join("stack.yml");
    let stack = |image: &str, extra: &str| {
        format!(
            "services:\n  web:\n    image: {image}\n    deploy:\n      replicas: 2\n{extra}\
             configs:\n  settings:\n    file: {}\n",
            rig.folder.path().join("settings").display()
        )
    };
    fs::write(rig.folder.path().join("settings"), "a=1").unwrap();
    fs::write(&file, stack("redis:7", "    configs: [settings]\n")).unwrap();
    let deploy = format!("stack deploy --detach --resolve-image never -c {} demo", file.display());
    has(&rig.docker(&deploy), &["demo_default", "demo_settings", "demo_web"]);
    has(&rig.docker("stack ls"), &["demo", "1"]);
    has(&rig.docker("stack services demo"), &["demo_web", "0/2"]);
    has(&rig.docker("network ls --filter driver=overlay"), &["demo_default", "swarm"]);
    rig.run_task("demo_web").await;
    has(&rig.docker("stack ps demo"), &["demo_web.1", "Running"]);
    fs::write(&file, stack("redis:8", "    configs: [settings]\n")).unwrap();
    has(&rig.docker(&deploy), &["Updating service demo_web"]);
    has(&rig.docker("stack services demo"), &["redis:8"]);
    has(&rig.refused("network rm demo_default"), &["is in use by service demo_web"]);
    fs::write(&file, stack("redis:8", "    ports: [\"80:80\"]\n")).unwrap();
    has(&rig.refused(&deploy), &["mode=host"]);
    has(
        &rig.docker("stack rm demo"),
        &["Removing service demo_web", "Removing config demo_settings", "Removing network"],
    );
    has(&rig.docker("network ls"), &["bridge"]);
    assert_eq!(rig.docker("stack ls --format {{.Name}}"), "");
}
