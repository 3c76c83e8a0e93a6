//! What every store must do.

use std::time::Duration;

use swarm_kv::{Secret, StoreOptions};
use swarm_testkit::stores::{Validity, conformance};

use crate::rig::{open, server};

/// The shortest lease that etcd grants.
const TTL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn it_conforms_plain() {
    let server = server(|_| {});
    let (a, b) = (crate::rig::plain(&server), crate::rig::plain(&server));
    conformance::check(&a, &b, "pool/conformance", TTL).await;
}

#[tokio::test]
async fn it_conforms_over_three_members_with_tls_and_client_certificates() {
    let server = server(|options| {
        options.members = 3;
        options.tls = Some(Validity::Current);
        options.client_certificates = true;
    });
    let authority = server.authority().unwrap();
    let ours = authority.issue("manager", Validity::Current).unwrap();
    let options = StoreOptions {
        ca: Some(authority.file()),
        cert: Some(ours.cert),
        key: Some(ours.key),
        ..StoreOptions::default()
    };
    let (a, b) = (open(&server.url(), &options), open(&server.url(), &options));
    conformance::check(&a, &b, "pool/conformance", TTL).await;
}

#[tokio::test]
async fn it_conforms_as_a_user_whose_tokens_expire() {
    let mut server = server(|options| options.token_ttl = Some(1));
    server.enable_users("not-to-be-seen").unwrap();
    server.add_user("manager", "also-hidden", "readwrite", "pool/").unwrap();
    let options = StoreOptions {
        username: Some("manager".to_owned()),
        password: Some(Secret::new("also-hidden")),
        ..StoreOptions::default()
    };
    let (a, b) = (open(&server.url(), &options), open(&server.url(), &options));
    conformance::check(&a, &b, "pool/conformance", TTL).await;
}
