//! The HTTP surface of the Docker Engine API (v1.24 to v1.52).
//!
//! It accepts connections, finds the route, checks version, name, headers and body, and hands an
//! [`Exchange`](swarm_backend::Exchange) to a [`Backend`](swarm_backend::Backend). What an object
//! is, where it lives and what happens to it is the backend's; this crate never decides.
//!
//! The routes are a table of our own ([`routes`]) and not a web framework's router: Docker's image,
//! plugin and `node/name` names hold slashes in the middle of a path, and the very table that
//! serves requests also renders `docs/api-coverage.md` ([`coverage_markdown`]), so that the page
//! cannot say anything the code does not do.
//!
//! Invariants:
//! - every answer that is an error is `{"message": …}` with Docker's status;
//! - bodies are streamed with back-pressure; only control bodies are buffered, up to a bound;
//! - no header, body or query is ever logged: they can hold credentials;
//! - a request that panics, stalls or is abandoned costs its own connection and nothing else.
//!
//! Reading order: `route`, the resource files, `table`, `surface`, `connection`, `server`.

mod build;
mod connection;
mod containers;
mod coverage;
mod endless;
mod endpoint;
mod eof;
mod exec;
mod headers;
mod images;
mod intake;
mod link;
mod listener;
mod metrics;
mod networks;
mod node;
mod nodes;
mod path;
mod plugins;
mod refusal;
mod route;
mod server;
mod surface;
mod swarm;
mod system;
mod table;
pub mod tls;
mod volumes;

pub use coverage::coverage_markdown;
pub use listener::{BindError, Handed, Listener};
pub use metrics::ApiMetrics;
pub use route::{Disposition, Route, RouteOf};
pub use server::{ServerOptions, serve, serve_node};
pub use table::routes;
