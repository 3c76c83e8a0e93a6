//! The requests, each with how it is sent and what makes its answer one of etcd's.

use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

use crate::auth::Token;
use crate::connection::Connection;
use crate::proto::kv_client::KvClient;
use crate::proto::lease_client::LeaseClient;
use crate::proto::watch_client::WatchClient;
use crate::proto::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
    RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};

/// The longest answer that is taken. etcd takes requests of 1.5 MiB by default, and parts what it
/// tells watchers at that; a page of a list that is longer is asked for in smaller ones.
const LONGEST: usize = 16 << 20;

/// A connection with the token to use over it.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) connection: Connection,
    pub(crate) token: Token,
}

impl Lane {
    /// `message` with what every request carries.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // A member that has lost the others says so instead of waiting for them.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        if let Some(token) = &self.token.value {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }

    fn kv(&self) -> KvClient<Connection> {
        KvClient::with_origin(self.connection.clone(), self.connection.origin())
            .max_decoding_message_size(LONGEST)
    }

    fn lease(&self) -> LeaseClient<Connection> {
        LeaseClient::with_origin(self.connection.clone(), self.connection.origin())
    }

    /// Opens a stream of watches.
    pub(crate) async fn watch(
        &self,
        requests: impl futures_util::Stream<Item = crate::proto::WatchRequest> + Send + 'static,
    ) -> Result<tonic::Streaming<crate::proto::WatchResponse>, Status> {
        let client = WatchClient::with_origin(self.connection.clone(), self.connection.origin());
        let mut client = client.max_decoding_message_size(LONGEST);
        Ok(client.watch(self.request(requests)).await?.into_inner())
    }
}

/// A request that any endpoint can answer.
pub(crate) trait Ask: Send + Sync {
    /// What comes back.
    type Answer: Send;

    /// Sends it once.
    fn send(&self, lane: &Lane) -> impl Future<Output = Result<Self::Answer, Status>> + Send;

    /// What stands in every answer of etcd, and in no other's.
    fn header(answer: &Self::Answer) -> Option<&ResponseHeader>;

    /// For a write that must not be done late: a read that shows whether the endpoint answers.
    fn probe(&self) -> Option<RangeRequest> {
        None
    }
}

impl Ask for RangeRequest {
    type Answer = RangeResponse;

    async fn send(&self, lane: &Lane) -> Result<Self::Answer, Status> {
        Ok(lane.kv().range(lane.request(self.clone())).await?.into_inner())
    }

    fn header(answer: &Self::Answer) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }
}

impl Ask for TxnRequest {
    type Answer = TxnResponse;

    async fn send(&self, lane: &Lane) -> Result<Self::Answer, Status> {
        Ok(lane.kv().txn(lane.request(self.clone())).await?.into_inner())
    }

    fn header(answer: &Self::Answer) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }

    fn probe(&self) -> Option<RangeRequest> {
        use crate::proto::request_op::Request::{RequestDeleteRange, RequestPut};
        // The same key: whoever may write it may read it.
        let key = match self.success.first()?.request.as_ref()? {
            RequestPut(put) => put.key.clone(),
            RequestDeleteRange(delete) => delete.key.clone(),
            crate::proto::request_op::Request::RequestRange(_) => return None,
        };
        Some(RangeRequest { key, keys_only: true, ..RangeRequest::default() })
    }
}

impl Ask for LeaseGrantRequest {
    type Answer = LeaseGrantResponse;

    async fn send(&self, lane: &Lane) -> Result<Self::Answer, Status> {
        Ok(lane.lease().lease_grant(lane.request(*self)).await?.into_inner())
    }

    fn header(answer: &Self::Answer) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }
}

impl Ask for LeaseRevokeRequest {
    type Answer = LeaseRevokeResponse;

    async fn send(&self, lane: &Lane) -> Result<Self::Answer, Status> {
        Ok(lane.lease().lease_revoke(lane.request(*self)).await?.into_inner())
    }

    fn header(answer: &Self::Answer) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }
}

impl Ask for LeaseKeepAliveRequest {
    type Answer = LeaseKeepAliveResponse;

    async fn send(&self, lane: &Lane) -> Result<Self::Answer, Status> {
        let request = lane.request(tokio_stream::once(*self));
        let mut answers = lane.lease().lease_keep_alive(request).await?.into_inner();
        let answer = answers.message().await?;
        answer.ok_or_else(|| Status::unavailable("it ended the stream without an answer"))
    }

    fn header(answer: &Self::Answer) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }
}

impl Ask for LeaseTimeToLiveRequest {
    type Answer = LeaseTimeToLiveResponse;

    async fn send(&self, lane: &Lane) -> Result<Self::Answer, Status> {
        Ok(lane.lease().lease_time_to_live(lane.request(*self)).await?.into_inner())
    }

    fn header(answer: &Self::Answer) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }
}
