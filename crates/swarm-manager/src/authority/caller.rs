//! Who makes a call: every call that needs an identity asks here.

use swarm_ca::{Identity, Role};
use swarm_rpc::Peer;
use tonic::{Request, Status};

/// The node that calls; it showed a certificate that the handshake found good.
pub fn caller<T>(request: &Request<T>) -> Result<Identity, Status> {
    let Some(certificate) = &Peer::of(request)?.certificate else {
        return Err(Status::unauthenticated("a node's certificate is needed for this call"));
    };
    let identity = Identity::of(certificate);
    identity.map_err(|error| Status::permission_denied(format!("the certificate: {error}")))
}

/// The manager that calls; a worker is refused.
pub fn calling_manager<T>(request: &Request<T>) -> Result<Identity, Status> {
    let identity = caller(request)?;
    match identity.subject.role() {
        Role::Manager => Ok(identity),
        Role::Worker => Err(Status::permission_denied(
            "the certificate is a worker's, which is not enough for this call",
        )),
    }
}
