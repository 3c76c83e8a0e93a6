//! The calls, as nodes make them.

use std::sync::Arc;

use swarm_rpc::v1::dispatcher_server;
use swarm_rpc::v1::{FromAgent, LogChunk, LogsDone, ToAgent};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::{Dispatcher, NodeIdentity};

/// The metadata in which a node may name the subscription that it answers, for when there is no line.
pub const SUBSCRIPTION: &str = "swarm-subscription";

/// The service of `swarm.proto`.
#[derive(Debug, Clone)]
pub struct Service(pub Arc<Dispatcher>);

impl Service {
    fn caller(&self, extensions: &Extensions) -> Result<NodeIdentity, Status> {
        self.0.identify.of(extensions).ok_or_else(|| {
            Status::unauthenticated("a node shows its certificate; this caller has shown none")
        })
    }
}

#[tonic::async_trait]
impl dispatcher_server::Dispatcher for Service {
    type SessionStream = ReceiverStream<Result<ToAgent, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let caller = self.caller(request.extensions())?;
        Ok(Response::new(self.0.open(caller, request.into_inner()).await?))
    }

    async fn publish_logs(
        &self,
        request: Request<Streaming<LogChunk>>,
    ) -> Result<Response<LogsDone>, Status> {
        let caller = self.caller(request.extensions())?;
        self.0.office().await?;
        let named = request.metadata().get(SUBSCRIPTION);
        let named = named.and_then(|name| name.to_str().ok()).map(str::to_owned);
        let done = self.0.logs.publish(&caller, named, request.into_inner()).await?;
        Ok(Response::new(done))
    }
}
