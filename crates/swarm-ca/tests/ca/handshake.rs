//! Real handshakes: every way in, and every refusal.

use std::sync::Arc;

use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::version::TLS12;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, ServerConfig};
use swarm_ca::tls::{
    Admission, Clients, Credentials, Everybody, Expect, Live, Refusal, Removed, first_contact,
    refusal,
};
use swarm_ca::{Identity, Issuer, JoinToken, Role, RootCa, Roots, Secret, Subject};

use crate::cluster::{
    CLUSTER, HOUR, MANAGER, OTHER_CLUSTER, Shaken, WORKER, expect, issued, live, node, now, root,
    shake, shake_shared, subject, tls_error,
};

const BOTH: [Role; 2] = [Role::Manager, Role::Worker];

fn roots(root: &RootCa) -> Roots {
    root.roots().unwrap()
}

/// A manager's server that expects `server`, and a client that expects `client` of it.
async fn meet(
    root: &RootCa,
    caller: &Arc<Live>,
    clients: Clients,
    server: Expect,
    client: Expect,
) -> Shaken {
    let manager = live(&node(root, MANAGER, Role::Manager), roots(root));
    shake(manager.server(clients, server).unwrap(), caller.client(client).unwrap()).await
}

fn refused(shaken: &Shaken) -> Refusal {
    let error = shaken.server.as_ref().unwrap_err();
    assert!(shaken.client.is_err(), "the client gets nothing");
    refusal(tls_error(error)).unwrap_or_else(|| panic!("{error}")).clone()
}

#[tokio::test]
async fn a_worker_and_a_manager_know_each_other() {
    let root = root();
    for (id, role) in [(WORKER, Role::Worker), (MANAGER, Role::Manager)] {
        let caller = live(&node(&root, id, role), roots(&root));
        let manager = expect(&[Role::Manager]);
        let shaken = meet(&root, &caller, Clients::Required, expect(&BOTH), manager).await;
        shaken.client.unwrap();
        assert_eq!(shaken.server.unwrap().unwrap().subject, subject(id, role));
        assert_eq!(caller.identity().unwrap().subject, subject(id, role));
    }
}

#[tokio::test]
async fn a_worker_s_certificate_is_not_enough_for_managers_calls_and_serves_none() {
    let root = root();
    let worker = live(&node(&root, WORKER, Role::Worker), roots(&root));
    let managers = expect(&[Role::Manager]);
    let shaken = meet(&root, &worker, Clients::Required, managers.clone(), managers.clone()).await;
    assert_eq!(refused(&shaken), Refusal::Role(Role::Worker));

    let server = worker.server(Clients::Required, expect(&BOTH)).unwrap();
    let manager = live(&node(&root, MANAGER, Role::Manager), roots(&root));
    let shaken = shake(server, manager.client(managers).unwrap()).await;
    let error = shaken.client.unwrap_err();
    assert_eq!(refusal(tls_error(&error)), Some(&Refusal::Role(Role::Worker)));
    assert!(shaken.server.is_err());
}

#[tokio::test]
async fn another_cluster_under_the_same_root_is_refused_from_both_sides() {
    let root = root();
    let stranger = Subject::new(MANAGER, Role::Manager, OTHER_CLUSTER).unwrap();
    let stranger = issued(&Issuer::new(&root).unwrap(), &stranger, now());
    let stranger = live(&stranger, roots(&root));
    let theirs = Expect::new(OTHER_CLUSTER, &BOTH, Arc::new(Everybody));
    let manager = Expect::manager_of_root();
    let shaken = meet(&root, &stranger, Clients::Optional, expect(&BOTH), manager).await;
    assert_eq!(refused(&shaken), Refusal::Cluster(OTHER_CLUSTER.to_owned()));
    let shaken = meet(&root, &stranger, Clients::Required, theirs.clone(), theirs).await;
    let error = shaken.client.unwrap_err();
    let other = Refusal::Cluster(CLUSTER.to_owned());
    assert_eq!(refusal(tls_error(&error)), Some(&other));
}

#[tokio::test]
async fn another_root_is_refused_from_both_sides() {
    let (own, other) = (root(), root());
    let unknown = |error: &std::io::Error| {
        use CertificateError::{BadSignature, UnknownIssuer};
        // Both roots have the same name: that the key is another shows in the signature.
        let error = tls_error(error);
        assert!(
            matches!(error, Error::InvalidCertificate(UnknownIssuer | BadSignature)),
            "{error:?}"
        );
    };
    let both = roots(&own).with(&roots(&other));
    let stranger = live(&node(&other, WORKER, Role::Worker), both.clone());
    let managers = expect(&[Role::Manager]);
    let shaken = meet(&own, &stranger, Clients::Required, expect(&BOTH), managers.clone()).await;
    unknown(shaken.server.as_ref().unwrap_err());
    assert!(shaken.client.is_err());

    let blind = live(&node(&own, WORKER, Role::Worker), roots(&other));
    let shaken = meet(&own, &blind, Clients::Required, expect(&BOTH), managers).await;
    unknown(shaken.client.as_ref().unwrap_err());
    assert!(shaken.server.is_err());
}

#[tokio::test]
async fn a_certificate_is_asked_for_where_it_must_be_shown() {
    let root = root();
    let nobody = Live::new(roots(&root)).unwrap();
    let manager = Expect::manager_of_root();
    let shaken = meet(&root, &nobody, Clients::Optional, expect(&BOTH), manager.clone()).await;
    shaken.client.unwrap();
    assert_eq!(shaken.server.unwrap(), None);
    let shaken = meet(&root, &nobody, Clients::Required, expect(&BOTH), manager).await;
    let error = shaken.server.unwrap_err();
    assert_eq!(tls_error(&error), &Error::NoCertificatesPresented);
    let error = shaken.client.unwrap_err();
    let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
    assert_eq!(tls_error(&error), &alert);
}

#[tokio::test]
async fn another_node_at_the_address_is_noticed() {
    let root = root();
    let caller = live(&node(&root, WORKER, Role::Worker), roots(&root));
    let this = expect(&[Role::Manager]).node(MANAGER);
    let shaken = meet(&root, &caller, Clients::Required, expect(&BOTH), this).await;
    shaken.client.unwrap();
    let other = expect(&[Role::Manager]).node(WORKER);
    let shaken = meet(&root, &caller, Clients::Required, expect(&BOTH), other).await;
    let error = shaken.client.unwrap_err();
    assert_eq!(refusal(tls_error(&error)), Some(&Refusal::Node(MANAGER.to_owned())));
}

#[tokio::test]
async fn a_removed_node_is_refused_at_once_and_cannot_resume() {
    let root = root();
    let removed = Arc::new(Removed::default());
    let manager = live(&node(&root, MANAGER, Role::Manager), roots(&root));
    let let_in = Expect::new(CLUSTER, &BOTH, Arc::clone(&removed) as _);
    let server = Arc::new(manager.server(Clients::Required, let_in).unwrap());
    let caller = live(&node(&root, WORKER, Role::Worker), roots(&root));
    let mut client = caller.client(expect(&[Role::Manager])).unwrap();
    // A client that would resume, as one who means ill does.
    client.resumption = Resumption::in_memory_sessions(8);
    let client = Arc::new(client);
    for _ in 0..2 {
        let shaken = shake_shared(Arc::clone(&server), Arc::clone(&client)).await;
        shaken.client.unwrap();
        shaken.server.unwrap();
    }
    removed.refuse(WORKER, now() + HOUR);
    let shaken = shake_shared(Arc::clone(&server), Arc::clone(&client)).await;
    let Refusal::Admission(words) = refused(&shaken) else { panic!("another reason") };
    assert!(words.contains(WORKER) && words.contains("was removed"), "{words}");
}

#[tokio::test]
async fn an_ended_certificate_renews_and_does_nothing_else() {
    #[derive(Debug)]
    struct Members(Vec<&'static str>);
    impl Admission for Members {
        fn admit(&self, who: &Identity, _: std::time::SystemTime) -> Result<(), String> {
            let is_member = self.0.contains(&who.subject.node_id());
            if is_member { Ok(()) } else { Err("it is no member".to_owned()) }
        }
    }
    let root = root();
    let issuer = Issuer::new(&root).unwrap();
    let ended = issued(&issuer, &subject(WORKER, Role::Worker), now() - 50 * HOUR);
    assert!(ended.identity.is_expired(now()));
    let caller = live(&ended, roots(&root));
    let managers = expect(&[Role::Manager]);
    let shaken = meet(&root, &caller, Clients::Required, expect(&BOTH), managers.clone()).await;
    let error = shaken.server.unwrap_err();
    let error = tls_error(&error);
    assert!(
        matches!(error, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })),
        "{error:?}"
    );

    let manager = live(&node(&root, MANAGER, Role::Manager), roots(&root));
    let renewal = |members, expect| manager.renewal_server(expect, Arc::new(Members(members)));
    let server = renewal(vec![WORKER], expect(&BOTH)).unwrap();
    let shaken = shake(server, caller.client(managers.clone()).unwrap()).await;
    shaken.client.unwrap();
    let shown = shaken.server.unwrap().unwrap();
    assert!(shown.is_expired(now()) && shown.subject.node_id() == WORKER);

    // Everything else still counts: membership, cluster, role, root, and that there is a certificate.
    let server = renewal(vec![], expect(&BOTH)).unwrap();
    let shaken = shake(server, caller.client(managers.clone()).unwrap()).await;
    assert_eq!(refused(&shaken), Refusal::Admission("it is no member".to_owned()));
    let server = renewal(vec![WORKER], managers.clone()).unwrap();
    let shaken = shake(server, caller.client(managers.clone()).unwrap()).await;
    assert_eq!(refused(&shaken), Refusal::Role(Role::Worker));
    let other_root = self::root();
    let forged = Issuer::new(&other_root).unwrap();
    let forged = issued(&forged, &subject(WORKER, Role::Worker), now() - 50 * HOUR);
    let forged = live(&forged, roots(&root));
    let server = renewal(vec![WORKER], expect(&BOTH)).unwrap();
    let shaken = shake(server, forged.client(managers.clone()).unwrap()).await;
    assert!(shaken.server.is_err() && shaken.client.is_err());
    let nobody = Live::new(roots(&root)).unwrap();
    let server = renewal(vec![WORKER], expect(&BOTH)).unwrap();
    let shaken = shake(server, nobody.client(managers.clone()).unwrap()).await;
    let error = shaken.server.unwrap_err();
    assert_eq!(tls_error(&error), &Error::NoCertificatesPresented);
    // One that is good comes in, too; one that begins only later does not.
    let early = issued(&issuer, &subject(WORKER, Role::Worker), now() + 50 * HOUR);
    let early = live(&early, roots(&root));
    let server = renewal(vec![WORKER], expect(&BOTH)).unwrap();
    assert!(shake(server, early.client(managers.clone()).unwrap()).await.server.is_err());
    let good = live(&node(&root, WORKER, Role::Worker), roots(&root));
    let server = renewal(vec![WORKER], expect(&BOTH)).unwrap();
    shake(server, good.client(managers).unwrap()).await.client.unwrap();
}

#[tokio::test]
async fn a_stolen_certificate_without_its_key_is_of_no_use() {
    let root = root();
    let (theirs, own) = (node(&root, MANAGER, Role::Manager), node(&root, WORKER, Role::Worker));
    let mut stolen = own.clone();
    stolen.chain = theirs.chain;
    assert!(Credentials::new(&stolen).is_err(), "key and certificate do not match");
}

#[tokio::test]
async fn what_is_replaced_counts_from_the_next_handshake_on() {
    let (old, new) = (root(), root());
    let manager = live(&node(&old, MANAGER, Role::Manager), roots(&old));
    let server = Arc::new(manager.server(Clients::Required, expect(&BOTH)).unwrap());
    let caller = live(&node(&old, WORKER, Role::Worker), roots(&old));
    let client = Arc::new(caller.client(expect(&[Role::Manager])).unwrap());
    let shaken = shake_shared(Arc::clone(&server), Arc::clone(&client)).await;
    shaken.client.unwrap();
    manager.replace_roots(roots(&new)).unwrap();
    manager.replace_own(Credentials::new(&node(&new, MANAGER, Role::Manager)).unwrap());
    let shaken = shake_shared(Arc::clone(&server), Arc::clone(&client)).await;
    assert!(shaken.client.is_err() && shaken.server.is_err());
    caller.replace_roots(roots(&new)).unwrap();
    caller.replace_own(Credentials::new(&node(&new, WORKER, Role::Worker)).unwrap());
    let shaken = shake_shared(server, client).await;
    shaken.client.unwrap();
    assert_eq!(caller.roots(), roots(&new));
}

#[tokio::test]
async fn a_root_may_have_another_kind_of_key() {
    for kind in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519, &PKCS_RSA_SHA256] {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap().pem();
        let theirs = RootCa::load(&certificate, &Secret::new(key.serialize_pem()), now()).unwrap();
        let ours = root();
        // From ours to theirs and back, with a node that has not heard of the new one.
        for (old, new) in [(&ours, &theirs), (&theirs, &ours)] {
            let cross = old.cross_sign(&roots(new), now()).unwrap();
            let issuer = Issuer::crossed(new, cross).unwrap();
            let manager = issued(&issuer, &subject(MANAGER, Role::Manager), now());
            let manager = live(&manager, roots(old));
            let server = manager.server(Clients::Required, expect(&BOTH)).unwrap();
            let worker = live(&node(old, WORKER, Role::Worker), roots(old));
            let client = worker.client(expect(&[Role::Manager])).unwrap();
            let shaken = shake(server, client).await;
            shaken.client.unwrap();
            shaken.server.unwrap();
        }
    }
}

#[tokio::test]
async fn tls_1_2_is_refused_from_both_sides() {
    let root = root();
    let manager = live(&node(&root, MANAGER, Role::Manager), roots(&root));
    let caller = live(&node(&root, WORKER, Role::Worker), roots(&root));
    let provider = || Arc::new(aws_lc_rs::default_provider());
    let mut store = rustls::RootCertStore::empty();
    store.add(root.certificate().clone()).unwrap();
    let old_client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(store)
        .with_client_cert_resolver(Arc::clone(&caller) as _);
    let server = manager.server(Clients::Optional, expect(&BOTH)).unwrap();
    let error = shake(server, old_client).await.server.unwrap_err();
    assert!(matches!(tls_error(&error), Error::PeerIncompatible(_)), "{error}");
    let old_server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&manager) as _);
    let shaken = shake(old_server, caller.client(expect(&BOTH)).unwrap()).await;
    assert!(shaken.client.is_err() && shaken.server.is_err());
}

#[tokio::test]
async fn one_who_joins_knows_the_cluster_by_its_token() {
    let root = root();
    let token = JoinToken::generate(roots(&root).digest()).unwrap();
    let manager = live(&node(&root, MANAGER, Role::Manager), roots(&root));
    let server = || manager.server(Clients::Optional, expect(&BOTH)).unwrap();
    // To whom it does not know, but it learns the roots, and compares.
    let shaken = shake(server(), first_contact().unwrap()).await;
    shaken.client.unwrap();
    assert_eq!(shaken.server.unwrap(), None, "it shows nothing");
    let shown = manager.roots().to_pem();
    let pinned = Roots::pinned(&shown, token.digest(), now()).unwrap();
    // The second connection is to a manager of that root.
    let joining = Live::new(pinned).unwrap();
    let client = joining.client(Expect::manager_of_root()).unwrap();
    shake(server(), client).await.client.unwrap();
    // Whoever is in between has another root, whatever he shows of ours.
    let between = live(&node(&self::root(), MANAGER, Role::Manager), roots(&root));
    let lying = between.server(Clients::Optional, expect(&BOTH)).unwrap();
    let client = joining.client(Expect::manager_of_root()).unwrap();
    assert!(shake(lying, client).await.client.is_err());
}
