//! External authorities: one that signs, and every way in which one may fail.

use std::time::Duration;

use swarm_ca::external::DEADLINE;
use swarm_ca::rotation::KeptRoot;
use swarm_ca::tls::external;
use swarm_ca::{
    Authority, ExternalCa, ExternalError, NodeKey, Role, RootCa, RotationError, Stored,
};

use crate::cluster::{CLUSTER, MANAGER, WORKER, live, node, now, root, subject};
use crate::signing_server::{Conduct, PATH, start};

pub fn client(root: &RootCa, urls: &[&str], deadline: Duration) -> ExternalCa {
    let roots = root.roots().unwrap();
    let manager = live(&node(root, MANAGER, Role::Manager), roots.clone());
    let urls: Vec<_> = urls.iter().map(|url| (*url).to_owned()).collect();
    ExternalCa::new(&urls, external(&manager, &roots).unwrap(), deadline).unwrap()
}

async fn ask(root: &RootCa, client: &ExternalCa) -> Result<Stored, ExternalError> {
    let key = NodeKey::generate().unwrap();
    let roots = root.roots().unwrap();
    let worker = subject(WORKER, Role::Worker);
    let chain = client.sign(&key.request().unwrap(), &worker, &roots, &[], now()).await?;
    Ok(Stored::new(key, &chain).unwrap())
}

#[tokio::test]
async fn it_signs_what_was_asked_for() {
    let root = root();
    let server = start(&root, Conduct::Sign).await;
    let signed = ask(&root, &client(&root, &[&server.url], DEADLINE)).await.unwrap();
    assert_eq!(signed.identity.subject, subject(WORKER, Role::Worker));
    let asked = server.asked.lock().unwrap()[0].clone();
    assert_eq!(asked["hosts"], serde_json::json!(["swarm-worker", WORKER]));
    assert_eq!(asked["subject"]["CN"], WORKER);
    let names = serde_json::json!([{"O": CLUSTER, "OU": "swarm-worker"}]);
    assert_eq!(asked["subject"]["names"], names);
    assert!(asked["certificate_request"].as_str().unwrap().contains("CERTIFICATE REQUEST"));
}

#[tokio::test]
async fn each_failure_is_told_and_gives_no_certificate() {
    let root = root();
    for (conduct, words) in [
        (Conduct::Refuse, "it refused with 400 Bad Request: policy does not allow it (code 5200)"),
        (Conduct::OtherKey, "it signed another key"),
        (Conduct::OtherSubject, "for another subject"),
        (Conduct::OtherRoot, "not of the cluster's root"),
        (Conduct::NamesLeftOut, "it left names out"),
        (Conduct::Huge, "longer than 65536 bytes"),
        (Conduct::NotJson, "200 OK and no CFSSL response"),
        (Conduct::NoCertificate, "cannot be read"),
        (Conduct::Nothing, "it sent no certificate"),
        (Conduct::Redirect, "307 Temporary Redirect and no CFSSL response"),
    ] {
        let server = start(&root, conduct).await;
        let error = ask(&root, &client(&root, &[&server.url], DEADLINE)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(words) && text.contains(&server.url), "{conduct:?}: {text}");
    }
}

#[tokio::test]
async fn a_silent_one_is_given_up_and_the_next_is_asked() {
    let root = root();
    let silent = start(&root, Conduct::Hang).await;
    let deadline = Duration::from_secs(1);
    let error = ask(&root, &client(&root, &[&silent.url], deadline)).await.unwrap_err();
    assert!(error.to_string().contains("did not answer within 1.0 s"), "{error}");
    let good = start(&root, Conduct::Sign).await;
    // The second gets its own time.
    let both = client(&root, &[&silent.url, &good.url], Duration::from_secs(3));
    assert!(ask(&root, &both).await.is_ok());
    assert_eq!(silent.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn we_know_whom_we_ask_and_are_known() {
    let (root, other) = (root(), root());
    let stranger = start(&other, Conduct::Sign).await;
    let error = ask(&root, &client(&root, &[&stranger.url], DEADLINE)).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    assert!(stranger.asked.lock().unwrap().is_empty(), "it was told nothing");

    let server = start(&root, Conduct::Sign).await;
    let wrong_path = server.url.replace(PATH, "/");
    let error = ask(&root, &client(&root, &[&wrong_path], DEADLINE)).await.unwrap_err();
    assert!(error.to_string().contains("is this the URL of a `sign` endpoint?"), "{error}");
}

#[tokio::test]
async fn settings_without_sense_are_refused() {
    let root = root();
    let roots = root.roots().unwrap();
    let manager = live(&node(&root, MANAGER, Role::Manager), roots.clone());
    let made = |urls: &[&str]| {
        let urls: Vec<_> = urls.iter().map(|url| (*url).to_owned()).collect();
        let tls = external(&manager, &roots).unwrap();
        ExternalCa::new(&urls, tls, DEADLINE).unwrap_err().to_string()
    };
    assert_eq!(made(&[]), "no external CA URLs");
    assert!(made(&["http://ca.example"]).contains("https://"));
    assert!(made(&["what is this"]).contains("it is no URL"));
    let credentials = made(&["https://me:secret@ca.example"]);
    assert!(credentials.contains("name or password") && !credentials.contains("secret"));
    let client = client(&root, &["https://127.0.0.1:1/"], DEADLINE);
    let worker = subject(WORKER, Role::Worker);
    let refused = client.sign("no request", &worker, &roots, &[], now()).await;
    assert!(matches!(refused, Err(ExternalError::Request(_))));
}

#[tokio::test]
async fn a_new_root_is_cross_signed_and_nothing_else_is_taken_for_it() {
    let (present, next) = (root(), root());
    let roots = present.roots().unwrap();
    let cross = async |conduct| {
        let server = start(&present, conduct).await;
        let client = client(&present, &[&server.url], DEADLINE);
        (client.cross_sign(&next, &roots, now()).await, server)
    };
    let (crossed, server) = cross(Conduct::Sign).await;
    let asked = server.asked.lock().unwrap()[0].clone();
    assert_eq!((&asked["profile"], &asked["subject"]["CN"]), (&"CA".into(), &"swarm-ca".into()));
    assert_eq!(asked["subject"]["names"], serde_json::json!([]));
    assert!(asked.get("hosts").is_none());
    // By it the swarm leaves a root whose key it never had.
    let outside = Authority::new(KeptRoot::external(&roots).unwrap());
    let to = KeptRoot::with_key(&next);
    assert!(outside.needs_crossing(&to).unwrap());
    assert_eq!(outside.rotate(to.clone(), None, 1, now()), Err(RotationError::NoKey));
    let rotating = outside.rotate(to.clone(), Some(&crossed.unwrap()), 1, now()).unwrap();
    assert!(rotating.is_rotating() && !rotating.needs_crossing(&to).unwrap());
    assert!(!Authority::new(KeptRoot::with_key(&present)).needs_crossing(&to).unwrap());

    for (conduct, words) in [
        (Conduct::Refuse, "policy does not allow it"),
        (Conduct::NoAuthority, "is not the new root's key and name as an authority"),
        (Conduct::NoCertificate, "cannot be read"),
        (Conduct::NotJson, "no CFSSL response"),
    ] {
        let error = cross(conduct).await.0.unwrap_err().to_string();
        assert!(error.contains(words), "{conduct:?}: {error}");
    }
}
