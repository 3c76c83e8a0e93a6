//! Root rotation: the decisions, and that everybody accepts everybody all the way.

use swarm_ca::rotation::{KeptRoot, Signer};
use swarm_ca::tls::{Clients, Everybody, Live};
use swarm_ca::{
    Authority, Issuer, IssuerInfo, NodeTls, Role, RootCa, Roots, RotationError, Stored,
};

use crate::cluster::{
    HOUR, MANAGER, WORKER, expect, issued, live, node, now, root, shake, subject,
};

fn own(authority: &Authority) -> Box<Issuer> {
    match authority.signer(now()).unwrap() {
        Signer::Own(issuer) => issuer,
        Signer::External(_) => panic!("we hold the key"),
    }
}

fn rotated(old: &RootCa, new: &RootCa) -> Authority {
    let authority = Authority::new(KeptRoot::with_key(old));
    authority.rotate(KeptRoot::with_key(new), None, 1, now()).unwrap()
}

fn tells(stored: &Stored, trusts: &Roots) -> NodeTls {
    NodeTls {
        node_id: stored.identity.subject.node_id().to_owned(),
        issuer: IssuerInfo::of_chain(&stored.chain, trusts),
        trusts: Some(trusts.clone()),
    }
}

#[tokio::test]
async fn old_and_new_accept_each_other_whichever_root_they_trust() {
    let (old, new) = (root(), root());
    let during = own(&rotated(&old, &new));
    let trusts = [
        old.roots().unwrap(),
        old.roots().unwrap().with(&new.roots().unwrap()),
        new.roots().unwrap(),
    ];
    let by_old = |id, role| node(&old, id, role);
    let crossed = |id, role| issued(&during, &subject(id, role), now());
    let both = [Role::Manager, Role::Worker];
    // A new certificate is accepted by those who trust the old root, both, or only the new one.
    for trusted in &trusts {
        for is_server_new in [true, false] {
            let (manager, worker) = if is_server_new {
                (crossed(MANAGER, Role::Manager), by_old(WORKER, Role::Worker))
            } else {
                (by_old(MANAGER, Role::Manager), crossed(WORKER, Role::Worker))
            };
            // The one with the old certificate trusts what is tried; the other trusts both.
            let (server_trust, client_trust) =
                if is_server_new { (&trusts[1], trusted) } else { (trusted, &trusts[1]) };
            let server: std::sync::Arc<Live> = live(&manager, server_trust.clone());
            let client = live(&worker, client_trust.clone());
            let server = server.server(Clients::Required, expect(&both)).unwrap();
            let client = client.client(expect(&[Role::Manager])).unwrap();
            let shaken = shake(server, client).await;
            shaken.client.unwrap();
            shaken.server.unwrap();
        }
    }
    // Without the cross-signed certificate beside it, who trusts only the old root refuses.
    let bare = node(&new, MANAGER, Role::Manager);
    let server = live(&bare, trusts[1].clone());
    let server = server.server(Clients::Required, expect(&both)).unwrap();
    let client = live(&by_old(WORKER, Role::Worker), trusts[0].clone());
    let client = client.client(expect(&[Role::Manager])).unwrap();
    assert!(shake(server, client).await.client.is_err());
}

#[test]
fn a_rotation_ends_when_the_last_node_has_moved() {
    let (old, new) = (root(), root());
    let before = Authority::new(KeptRoot::with_key(&old));
    assert!(before.is_forced(1) && !before.is_forced(0));
    assert_eq!(before.finish(&[]), Err(RotationError::NotRotating));
    let authority = rotated(&old, &new);
    assert!(authority.is_rotating() && !authority.is_forced(1) && authority.is_forced(2));
    let both = old.roots().unwrap().with(&new.roots().unwrap());
    assert_eq!(authority.trusted().unwrap(), both);
    assert_eq!(authority.pinned().unwrap(), old.roots().unwrap(), "tokens stay");

    let issuer = own(&authority);
    let manager = issued(&issuer, &subject(MANAGER, Role::Manager), now());
    assert_eq!(manager.chain.len(), 2, "the cross-signed certificate goes along");
    let stale = tells(&node(&old, WORKER, Role::Worker), &both);
    let unaware =
        tells(&issued(&issuer, &subject(WORKER, Role::Worker), now()), &old.roots().unwrap());
    assert!(unaware.issuer.is_some(), "found by the cross-signed certificate");
    let silent = NodeTls { node_id: WORKER.to_owned(), issuer: None, trusts: None };
    let moved = tells(&issued(&issuer, &subject(WORKER, Role::Worker), now()), &both);
    let first = tells(&manager, &both);
    for behind in [stale, unaware, silent] {
        let nodes = [first.clone(), behind];
        assert_eq!(authority.waiting(&nodes).unwrap(), [WORKER]);
        let error = authority.finish(&nodes).unwrap_err();
        assert_eq!(error, RotationError::Unfinished(vec![WORKER.to_owned()]));
        assert!(error.to_string().contains("1 of the nodes"), "{error}");
    }
    let done = authority.finish(&[first, moved]).unwrap();
    assert!(!done.is_rotating() && !done.is_forced(1));
    assert_eq!(done.trusted().unwrap(), new.roots().unwrap());
    assert_eq!(done.pinned().unwrap(), new.roots().unwrap(), "tokens have to be new");
    assert_eq!(issued(&own(&done), &subject(MANAGER, Role::Manager), now()).chain.len(), 1);
}

#[tokio::test]
async fn a_cluster_whose_root_has_ended_is_led_to_a_new_one() {
    // 20 years and two hours ago.
    let then = now() - std::time::Duration::from_hours(20 * 365 * 24) - 2 * HOUR;
    let (old, new) = (RootCa::create(then).unwrap(), root());
    let worker = subject(WORKER, Role::Worker);
    let worker = issued(&Issuer::new(&old).unwrap(), &worker, now() - 4 * HOUR);
    assert!(worker.identity.is_expired(now()));
    let next = KeptRoot::with_key(&old);
    assert!(matches!(
        Authority::new(next.clone()).rotate(KeptRoot::with_key(&new), None, 1, now()),
        Ok(authority) if authority.is_rotating()
    ));
    let refused = Authority::new(KeptRoot::with_key(&new)).rotate(next, None, 1, now());
    assert!(refused.unwrap_err().to_string().contains("expired"), "not to an ended one");
    let authority = rotated(&old, &new);
    let manager = issued(&own(&authority), &subject(MANAGER, Role::Manager), now());
    let server = live(&manager, authority.trusted().unwrap());
    let both = [Role::Manager, Role::Worker];
    let server = server.renewal_server(expect(&both), std::sync::Arc::new(Everybody)).unwrap();
    let client = live(&worker, old.roots().unwrap()).client(expect(&[Role::Manager])).unwrap();
    let shaken = shake(server, client).await;
    shaken.client.unwrap();
    assert_eq!(shaken.server.unwrap().unwrap().subject.node_id(), WORKER);
}

#[test]
fn a_rotation_can_be_replaced_or_taken_back() {
    let (old, one, two) = (root(), root(), root());
    let authority = rotated(&old, &one);
    let again = authority.rotate(KeptRoot::with_key(&one), None, 5, now()).unwrap();
    assert_eq!(again.signer_chain(), authority.signer_chain(), "the same rotation goes on");
    assert!(!again.is_forced(5));
    // Its key moves out: the cross-signed certificate stays.
    let outside = KeptRoot::external(&one.roots().unwrap()).unwrap();
    let outside = again.rotate(outside, None, 5, now()).unwrap();
    assert!(matches!(outside.signer(now()), Ok(Signer::External(between)) if between.len() == 1));
    let short = RootCa::create(now() - std::time::Duration::from_hours(19 * 365 * 24 + 1)).unwrap();
    let refused = authority.rotate(KeptRoot::with_key(&short), None, 6, now());
    assert_eq!(refused, Err(RotationError::TooSoon));
    let replaced = authority.rotate(KeptRoot::with_key(&two), None, 2, now()).unwrap();
    let both = old.roots().unwrap().with(&two.roots().unwrap());
    assert_eq!(replaced.trusted().unwrap(), both);
    let chain = issued(&own(&replaced), &subject(MANAGER, Role::Manager), now()).chain;
    let by = IssuerInfo::of_chain(&chain[1..], &old.roots().unwrap());
    assert_eq!(by, IssuerInfo::of(old.certificate()), "by the present root, not by the replaced");
    let back = replaced.rotate(KeptRoot::with_key(&old), None, 3, now()).unwrap();
    assert!(!back.is_rotating());
    assert_eq!(back.trusted().unwrap(), old.roots().unwrap());
    assert!(!format!("{authority:?}").contains("PRIVATE"), "keys are never shown");
}

trait SignerChain {
    fn signer_chain(&self) -> usize;
}

impl SignerChain for Authority {
    fn signer_chain(&self) -> usize {
        issued(&own(self), &subject(MANAGER, Role::Manager), now()).chain.len()
    }
}

#[test]
fn an_external_root_needs_its_owner_s_cross_signature() {
    let (old, new, stranger) = (root(), root(), root());
    let external = Authority::new(KeptRoot::external(&old.roots().unwrap()).unwrap());
    assert!(matches!(external.signer(now()), Ok(Signer::External(between)) if between.is_empty()));
    let next = || KeptRoot::with_key(&new);
    assert_eq!(external.rotate(next(), None, 1, now()), Err(RotationError::NoKey));
    let pem = |signer: &RootCa, of: &RootCa| {
        use base64::Engine as _;
        let signed = signer.cross_sign(&of.roots().unwrap(), now()).unwrap();
        let body = base64::engine::general_purpose::STANDARD.encode(signed);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    };
    for wrong in [
        pem(&stranger, &new),
        pem(&old, &stranger),
        new.certificate_pem(),
        "nothing".to_owned(),
        pem(&old, &new).repeat(2),
    ] {
        let refused = external.rotate(next(), Some(&wrong), 1, now());
        assert_eq!(refused, Err(RotationError::NotCrossSigned), "{wrong}");
    }
    let rotating = external.rotate(next(), Some(&pem(&old, &new)), 1, now()).unwrap();
    assert_eq!(issued(&own(&rotating), &subject(MANAGER, Role::Manager), now()).chain.len(), 2);
    // And from a root of our own to one whose key is elsewhere.
    let outward = Authority::new(KeptRoot::with_key(&old));
    let next = KeptRoot::external(&new.roots().unwrap()).unwrap();
    let outward = outward.rotate(next, None, 1, now()).unwrap();
    assert!(matches!(outward.signer(now()), Ok(Signer::External(between)) if between.len() == 1));
}

#[test]
fn an_authority_survives_being_kept() {
    let authority = rotated(&root(), &root());
    let kept = serde_json::to_string(&authority).unwrap();
    assert_eq!(serde_json::from_str::<Authority>(&kept).unwrap(), authority);
}
