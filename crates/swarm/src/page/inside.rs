//! The Docker API in this process, for the page: the same routes, checks and forwarding to whoever leads
//! as for any client, over connections that leave no trace in the system.

use std::fmt;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use swarm_api::Listener;
use swarm_backend::{ApiError, Asked, Onward, Reply, Result};
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, Outgoing, Raw, Tunnels};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

/// Connections that wait to be taken.
const WAITING: usize = 64;
/// Bytes on their way in one direction of a connection.
const BUFFER: usize = 64 << 10;

/// See the module.
struct Inside(EngineClient);

/// The page's side, and where the API serves it.
pub fn inside() -> (Arc<dyn Asked>, Listener) {
    let (hand, arriving) = mpsc::channel(WAITING);
    let options = ClientOptions {
        // One that is kept could be closed under a request.
        max_idle: 0,
        tunnels: Some(Arc::new(Way(hand))),
        ..ClientOptions::default()
    };
    let address = EngineAddress::Node { id: "this-process".to_owned(), ip: None };
    let client = EngineClient::new(address, options);
    (Arc::new(Inside(client)), Listener::handed(arriving))
}

#[async_trait]
impl Asked for Inside {
    async fn ask(&self, request: Onward) -> Result<Reply> {
        // The caller has a deadline.
        let reply = self.0.send(Outgoing::onward(request), None).await;
        reply.map_err(|error| ApiError::unavailable(format!("this manager is ending: {error}")))
    }
}

/// Opens connections.
struct Way(mpsc::Sender<DuplexStream>);

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("within this process")
    }
}

impl Tunnels for Way {
    fn open<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Raw>>> {
        Box::pin(async move {
            let (here, there) = duplex(BUFFER);
            self.0.send(there).await.map_err(io::Error::other)?;
            Ok(Box::new(here) as Box<dyn Raw>)
        })
    }
}
