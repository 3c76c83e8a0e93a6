//! `POST /swarm/backup`, this program's own: a manager's answer is the sealed file, so that nothing of
//! it crosses a connection in plain but the passphrase.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use swarm_backend::{ApiError, BoxError, Reply, Result};
use swarm_model::{Secret, Time};
use zeroize::Zeroizing;

use super::envelope::{EnvelopeError, Header, Sealer};
use super::manifest::Manifest;
use crate::node::{Node, Standing};
use crate::words;

/// How long a quorum may take to say that this manager is up to date. Without one a backup is what
/// this manager has: whoever has lost the quorum wants one all the more, and its header says so.
const AGREED: Duration = Duration::from_secs(5);

impl Node {
    /// Seals what this manager has.
    pub(crate) async fn backup(&self, passphrase: Option<&Secret>) -> Result<Reply> {
        // In the words of a node that is no manager, or locked.
        self.control()?;
        let (manager, member) = match self.standing() {
            Standing::Member(member) => (member.manager(), member),
            other => return Err(words::no_manager(other.part(), None)),
        };
        let Some(manager) = manager else {
            return Err(words::no_manager(self.standing().part(), None));
        };
        let passphrase = passphrase.cloned().unwrap_or_else(|| Secret::new(""));
        let fresh = tokio::time::timeout(AGREED, manager.replica().fresh()).await;
        let agreed = matches!(fresh, Ok(Ok(())));
        let authority = manager
            .replica()
            .read(|tables| tables.cluster.as_ref().map(|cluster| cluster.authority.clone()));
        let manifest = member.manifest(authority.unwrap_or_default());
        let store = manager.store().copy();
        let header = Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: member.cluster_id(),
            node: member.node_id().to_string(),
            created: now(),
            agreed,
        };
        let begun = tokio::task::spawn_blocking(move || begin(&passphrase, header, &manifest));
        let begun = begun.await.map_err(|error| ApiError::system(error.to_string()))?;
        let (sealer, begin) = begun.map_err(|error| match error {
            EnvelopeError::Empty => ApiError::invalid(error.to_string()),
            other => ApiError::system(other.to_string()),
        })?;
        tracing::info!(agreed, "a backup of the swarm is made");
        let parts = Parts { sealer, chunks: store.into_chunks().peekable(), begin: Some(begin) };
        let frames = stream::unfold(parts, |mut parts| async move {
            let part = parts.next()?;
            let frame = part.map(|part| Frame::data(Bytes::from(part)));
            Some((frame.map_err(|error| BoxError::from(error.to_string())), parts))
        });
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let body = StreamBody::new(frames).boxed_unsync();
        Ok(Reply { status: StatusCode::OK, headers, body, upgraded: None })
    }
}

fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)).to_string()
}

/// The lines and the first part.
fn begin(
    passphrase: &Secret,
    header: Header,
    manifest: &Manifest,
) -> std::result::Result<(Sealer, Vec<u8>), EnvelopeError> {
    let (mut sealer, mut begin) = Sealer::begin(passphrase, header)?;
    let manifest = serde_json::to_vec(manifest).map(Zeroizing::new);
    let manifest = manifest.map_err(|_| EnvelopeError::Unable("its manifest cannot be written"))?;
    begin.extend(sealer.part(&manifest, false)?);
    Ok((sealer, begin))
}

/// What is sent, each part made when it is asked for.
struct Parts<C: Iterator<Item = Vec<u8>>> {
    sealer: Sealer,
    chunks: std::iter::Peekable<C>,
    begin: Option<Vec<u8>>,
}

impl<C: Iterator<Item = Vec<u8>>> Iterator for Parts<C> {
    type Item = std::result::Result<Vec<u8>, EnvelopeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(begin) = self.begin.take() {
            return Some(Ok(begin));
        }
        let chunk = Zeroizing::new(self.chunks.next()?);
        let last = self.chunks.peek().is_none();
        Some(self.sealer.part(&chunk, last))
    }
}
