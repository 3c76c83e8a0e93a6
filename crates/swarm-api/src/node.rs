//! Routes of the node endpoint: what is the swarm's, and for everything else the engine.

use http::{HeaderValue, StatusCode};
use swarm_backend::{Exchange, NodeBackend, Reply, Result};

use crate::route::{Resources, RouteOf};

type Own = RouteOf<dyn NodeBackend>;

/// Services come after identities and the store: a request for one must not seem to work.
const NO_SERVICES: &str = "this version of swarm daemon has no services and tasks yet: it keeps \
    the swarm's settings, nodes, secrets and configs. Run containers with \"docker run\" or \
    Compose, here or on a pool of engines (swarm manage)";

const fn not_yet(method: &'static str, pattern: &'static str) -> Own {
    Own::refused(method, pattern, StatusCode::NOT_IMPLEMENTED, NO_SERVICES)
}

pub(crate) const RESOURCES: Resources<dyn NodeBackend> = &[
    (
        "System",
        &[
            Own::served("GET", "/_ping", |b, _, x| Box::pin(ping(b, x))),
            Own::served("HEAD", "/_ping", |b, _, x| Box::pin(ping(b, x))),
            Own::served("GET", "/info", |b, _, x| b.node_info(x)),
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
        ],
    ),
    (
        "Nodes",
        &[
            Own::served("GET", "/nodes", |b, _, x| b.list_nodes(x)),
            Own::served("GET", "/nodes/{name}", |b, n, x| b.inspect_node(n, x)),
            Own::served("POST", "/nodes/{name}/update", |b, n, x| b.update_node(n, x)).json(),
            Own::served("DELETE", "/nodes/{name}", |b, n, x| b.remove_node(n, x)),
        ],
    ),
    (
        "Secrets",
        &[
            Own::served("GET", "/secrets", |b, _, x| b.list_secrets(x)),
            Own::served("POST", "/secrets/create", |b, _, x| b.create_secret(x)).json(),
            Own::served("GET", "/secrets/{name}", |b, n, x| b.inspect_secret(n, x)),
            Own::served("POST", "/secrets/{name}/update", |b, n, x| b.update_secret(n, x)).json(),
            Own::served("DELETE", "/secrets/{name}", |b, n, x| b.remove_secret(n, x)),
        ],
    ),
    (
        "Configs",
        &[
            Own::served("GET", "/configs", |b, _, x| b.list_configs(x)),
            Own::served("POST", "/configs/create", |b, _, x| b.create_config(x)).json(),
            Own::served("GET", "/configs/{name}", |b, n, x| b.inspect_config(n, x)),
            Own::served("POST", "/configs/{name}/update", |b, n, x| b.update_config(n, x)).json(),
            Own::served("DELETE", "/configs/{name}", |b, n, x| b.remove_config(n, x)),
        ],
    ),
    (
        "Services",
        &[
            not_yet("GET", "/services"),
            not_yet("POST", "/services/create"),
            not_yet("GET", "/services/{name}"),
            not_yet("DELETE", "/services/{name}"),
            not_yet("POST", "/services/{name}/update"),
            not_yet("GET", "/services/{name}/logs"),
            not_yet("GET", "/tasks"),
            not_yet("GET", "/tasks/{name}"),
            not_yet("GET", "/tasks/{name}/logs"),
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
