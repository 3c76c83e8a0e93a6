//! Routes of the node endpoint: what is the swarm's, and for everything else the engine.

use std::future::ready;

use http::HeaderValue;
use swarm_backend::{
    Exchange, NodeBackend, Reply, Result, full, no_cluster_volumes, read_whole,
    refuse_cluster_volume,
};

use crate::route::{Resources, RouteOf};

/// A volume's configuration has some hundred bytes.
const LARGEST_VOLUME: usize = 1 << 20;

type Own = RouteOf<dyn NodeBackend>;

pub(crate) const RESOURCES: Resources<dyn NodeBackend> = &[
    (
        "System",
        &[
            Own::served("GET", "/_ping", |b, _, x| Box::pin(ping(b, x))),
            Own::served("HEAD", "/_ping", |b, _, x| Box::pin(ping(b, x))),
            Own::served("GET", "/info", |b, _, x| b.node_info(x))
                .note("the engine's, with this node's part in the swarm"),
            Own::served("GET", "/events", |b, _, x| b.node_events(x))
                .note("the engine's, and on a manager the swarm's"),
        ],
    ),
    (
        "Swarm",
        &[
            Own::served("GET", "/swarm", |b, _, x| b.inspect_swarm(x)),
            Own::served("POST", "/swarm/init", |b, _, x| b.init_swarm(x)).json(),
            Own::served("POST", "/swarm/join", |b, _, x| b.join_swarm(x)).json(),
            Own::served("POST", "/swarm/leave", |b, _, x| b.leave_swarm(x)).control(),
            Own::served("POST", "/swarm/update", |b, _, x| b.update_swarm(x)).json(),
            Own::served("GET", "/swarm/unlockkey", |b, _, x| b.unlock_key(x)),
            Own::served("POST", "/swarm/unlock", |b, _, x| b.unlock_swarm(x)).json(),
            Own::served("POST", "/swarm/backup", |b, _, x| b.backup_swarm(x))
                .json()
                .note("this program's own: the sealed file of `swarm backup`"),
            Own::served("GET", "/swarm/ways", |b, _, x| b.swarm_ways(x))
                .note("this program's own: whether this node and the managers reach each other"),
        ],
    ),
    (
        "Nodes",
        &[
            Own::served("GET", "/nodes", |b, _, x| b.list_nodes(x)),
            Own::served("GET", "/nodes/{name}", |b, n, x| b.inspect_node(n, x)),
            Own::served("POST", "/nodes/{name}/update", |b, n, x| b.update_node(n, x)).json(),
            Own::served("DELETE", "/nodes/{name}", |b, n, x| b.remove_node(n, x)),
            Own::served("POST", "/pool/rebalance", |b, _, x| b.rebalance(x)).control().note(
                "this project's own: moves that even services out, and with apply their outcome",
            ),
        ],
    ),
    (
        "Secrets",
        &[
            Own::served("GET", "/secrets", |b, _, x| b.list_secrets(x)).since(25),
            Own::served("POST", "/secrets/create", |b, _, x| b.create_secret(x)).json().since(25),
            Own::served("GET", "/secrets/{name}", |b, n, x| b.inspect_secret(n, x)).since(25),
            Own::served("POST", "/secrets/{name}/update", |b, n, x| b.update_secret(n, x))
                .json()
                .since(26),
            Own::served("DELETE", "/secrets/{name}", |b, n, x| b.remove_secret(n, x)).since(25),
        ],
    ),
    (
        "Configs",
        &[
            Own::served("GET", "/configs", |b, _, x| b.list_configs(x)).since(30),
            Own::served("POST", "/configs/create", |b, _, x| b.create_config(x)).json().since(30),
            Own::served("GET", "/configs/{name}", |b, n, x| b.inspect_config(n, x)).since(30),
            Own::served("POST", "/configs/{name}/update", |b, n, x| b.update_config(n, x))
                .json()
                .since(30),
            Own::served("DELETE", "/configs/{name}", |b, n, x| b.remove_config(n, x)).since(30),
        ],
    ),
    (
        "Services",
        &[
            Own::served("GET", "/services", |b, _, x| b.list_services(x)),
            Own::served("POST", "/services/create", |b, _, x| b.create_service(x)).json(),
            Own::served("GET", "/services/{name}", |b, n, x| b.inspect_service(n, x)),
            Own::served("DELETE", "/services/{name}", |b, n, x| b.remove_service(n, x)),
            Own::served("POST", "/services/{name}/update", |b, n, x| b.update_service(n, x)).json(),
            Own::served("GET", "/services/{name}/logs", |b, n, x| b.service_logs(n, x)).since(29),
        ],
    ),
    (
        "Tasks",
        &[
            Own::served("GET", "/tasks", |b, _, x| b.list_tasks(x)),
            Own::served("GET", "/tasks/{name}", |b, n, x| b.inspect_task(n, x)),
            Own::served("GET", "/tasks/{name}/logs", |b, n, x| b.task_logs(n, x)).since(29),
        ],
    ),
    (
        "Networks",
        &[
            Own::served("GET", "/networks", |b, _, x| b.list_networks(x))
                .note("the engine's and the swarm's"),
            Own::served("GET", "/networks/", |b, _, x| b.list_networks(x)),
            Own::served("POST", "/networks/create", |b, _, x| b.create_network(x)).json(),
            Own::served("GET", "/networks/{name}", |b, n, x| b.inspect_network(n, x)),
            Own::served("DELETE", "/networks/{name}", |b, n, x| b.remove_network(n, x)),
        ],
    ),
    (
        "Volumes",
        &[
            Own::forwarded("POST", "/volumes/create", |b, _, x| Box::pin(volume(b, x)))
                .note("the engine's, but for cluster volumes"),
            Own::served("PUT", "/volumes/{name}", |_, n, _| {
                Box::pin(ready(Err(no_cluster_volumes(n))))
            })
            .since(42)
            .note("cluster volumes, which are refused"),
        ],
    ),
];

/// Every other request is the engine's.
pub(crate) const ENGINE: Own = Own::forwarded("*", "*", |b, _, x| b.pass(x)).hijacked();

/// `/_ping` is the engine's, but for the header that tells this node's part in a swarm.
async fn ping(backend: &dyn NodeBackend, exchange: Exchange) -> Result<Reply> {
    let mut reply = backend.pass(exchange).await?;
    reply.headers.insert("swarm", HeaderValue::from_static(backend.part().as_str()));
    Ok(reply)
}

/// A volume of the engine's; the body is small, and goes on as it came.
async fn volume(backend: &dyn NodeBackend, mut exchange: Exchange) -> Result<Reply> {
    let body = read_whole(exchange.body, LARGEST_VOLUME).await?;
    refuse_cluster_volume(&body)?;
    exchange.body = full(body);
    backend.pass(exchange).await
}
