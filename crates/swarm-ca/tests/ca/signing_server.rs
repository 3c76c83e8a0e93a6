//! A signing server that speaks the CFSSL API over HTTPS: it has a root of its own, asks for a
//! client's certificate, and signs, or misbehaves in one of the ways that a client must stand.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use swarm_ca::{Expiry, Issuer, NodeKey, Role, RootCa, Subject};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::cluster::now;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    Sign,
    Refuse,
    Hang,
    OtherKey,
    OtherSubject,
    OtherRoot,
    NamesLeftOut,
    Huge,
    NotJson,
    NoCertificate,
    Nothing,
    Redirect,
    /// Signs for an authority, and leaves out that it is one.
    NoAuthority,
}

pub const PATH: &str = "/api/v1/cfssl/sign";

pub struct SigningServer {
    pub url: String,
    /// The bodies that came.
    pub asked: Arc<Mutex<Vec<Value>>>,
}

/// Serves until the test's runtime ends, those who show a certificate of its own root.
pub async fn start(root: &RootCa, conduct: Conduct) -> SigningServer {
    start_for(root, root.certificate(), conduct).await
}

/// As [`start`], for those who show a certificate of the root `clients`.
pub async fn start_for(
    root: &RootCa,
    clients: &CertificateDer<'_>,
    conduct: Conduct,
) -> SigningServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    start_at(listener, root, &[clients], conduct)
}

/// As [`start_for`], where `listener` is bound, and for those of any of these roots.
pub fn start_at(
    listener: TcpListener,
    root: &RootCa,
    clients: &[&CertificateDer<'_>],
    conduct: Conduct,
) -> SigningServer {
    let address = listener.local_addr().unwrap();
    let url = format!("https://{address}{PATH}");
    let acceptor = TlsAcceptor::from(Arc::new(tls(root, clients, &address.ip().to_string())));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (root, seen) = (Arc::new(root.clone()), Arc::clone(&asked));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, root, seen) = (acceptor.clone(), Arc::clone(&root), Arc::clone(&seen));
            tokio::spawn(async move {
                // A client that is refused, or goes away: the client's side of the test tells.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(|request| {
                    let (root, seen) = (Arc::clone(&root), Arc::clone(&seen));
                    async move { Ok::<_, Infallible>(answer(request, &root, conduct, &seen).await) }
                });
                let serving = hyper::server::conn::http1::Builder::new();
                drop(serving.serve_connection(TokioIo::new(stream), answer).await);
            });
        }
    });
    SigningServer { url, asked }
}

/// A certificate for its address, and clients with one of these roots alone.
fn tls(root: &RootCa, clients: &[&CertificateDer<'_>], address: &str) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec![address.to_owned()]).unwrap();
    let certificate = parameters.signed_by(&key, &issuer(root)).unwrap();
    let mut store = rustls::RootCertStore::empty();
    for root in clients {
        store.add((*root).clone().into_owned()).unwrap();
    }
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
            .build()
            .unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap()
}

/// Signs with a root's key.
pub fn issuer(root: &RootCa) -> rcgen::Issuer<'static, rcgen::KeyPair> {
    let key = rcgen::KeyPair::from_pem(root.key().reveal()).unwrap();
    rcgen::Issuer::from_ca_cert_der(root.certificate(), key).unwrap()
}

async fn answer(
    request: Request<Incoming>,
    root: &RootCa,
    conduct: Conduct,
    seen: &Mutex<Vec<Value>>,
) -> Response<Full<Bytes>> {
    let text =
        |status, text: String| Response::builder().status(status).body(Full::from(text)).unwrap();
    if request.method() != Method::POST || request.uri().path() != PATH {
        return text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned());
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    seen.lock().unwrap().push(asked.clone());
    let certificate = match conduct {
        Conduct::Sign if asked["profile"] == "CA" => crossed(root, &asked),
        Conduct::NoAuthority => crossed(
            root,
            &json!({"certificate_request":
            asked["certificate_request"], "subject": asked["subject"], "extensions": []}),
        ),
        Conduct::Hang => std::future::pending().await,
        Conduct::Huge => return text(StatusCode::OK, " ".repeat(1 << 20)),
        Conduct::NotJson => return text(StatusCode::OK, "<html>welcome</html>".to_owned()),
        Conduct::Redirect => {
            let to = Response::builder().status(StatusCode::TEMPORARY_REDIRECT);
            return to.header("location", "https://127.0.0.1:1/").body(Full::default()).unwrap();
        }
        Conduct::Refuse => {
            let errors = json!([{"code": 5200, "message": "policy does\n not allow it"}]);
            let refusal = json!({"success": false, "result": {}, "errors": errors, "messages": []});
            return text(StatusCode::BAD_REQUEST, refusal.to_string());
        }
        Conduct::NoCertificate => String::new(),
        Conduct::Nothing => return text(StatusCode::OK, json!({"success": true}).to_string()),
        Conduct::NamesLeftOut => bare(root, &asked),
        Conduct::OtherRoot => signed(&crate::cluster::root(), &asked, false, false),
        Conduct::OtherKey => signed(root, &asked, true, false),
        Conduct::OtherSubject => signed(root, &asked, false, true),
        Conduct::Sign => signed(root, &asked, false, false),
    };
    let result = json!({"certificate": certificate});
    let answer = json!({"success": true, "result": result, "errors": [], "messages": []});
    text(StatusCode::OK, answer.to_string())
}

/// Signs what was asked for: the request's key, the names beside it.
fn signed(root: &RootCa, asked: &Value, other_key: bool, other_subject: bool) -> String {
    let name = &asked["subject"]["names"][0];
    let role = match name["OU"].as_str().unwrap() {
        _ if other_subject => Role::Manager,
        "swarm-manager" => Role::Manager,
        _ => Role::Worker,
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (node, cluster) = (text(&asked["subject"]["CN"]), text(&name["O"]));
    let subject = Subject::new(&node, role, &cluster).unwrap();
    let request = if other_key {
        NodeKey::generate().unwrap().request().unwrap()
    } else {
        text(&asked["certificate_request"])
    };
    Issuer::new(root).unwrap().issue(&request, &subject, Expiry::default(), now()).unwrap()
}

/// Signs for an authority: the request's key, the subject and the extensions beside it, as CFSSL does
/// by a profile that copies these.
fn crossed(root: &RootCa, asked: &Value) -> String {
    let request = asked["certificate_request"].as_str().unwrap();
    let mut request = rcgen::CertificateSigningRequestParams::from_pem(request).unwrap();
    let mut name = rcgen::DistinguishedName::new();
    let text =
        |text: &Value| rcgen::DnValue::PrintableString(text.as_str().unwrap().try_into().unwrap());
    for names in asked["subject"]["names"].as_array().unwrap() {
        for (kind, field) in
            [(rcgen::DnType::OrganizationName, "O"), (rcgen::DnType::OrganizationalUnitName, "OU")]
        {
            if names[field].is_string() {
                name.push(kind, text(&names[field]));
            }
        }
    }
    name.push(rcgen::DnType::CommonName, text(&asked["subject"]["CN"]));
    let parameters = &mut request.params;
    parameters.distinguished_name = name;
    parameters.not_before = (now() - std::time::Duration::from_hours(1)).into();
    parameters.not_after = (now() + std::time::Duration::from_hours(24 * 365)).into();
    // DER of a sequence that holds TRUE.
    let constraints = json!([{"id": "2.5.29.19", "critical": true, "value": "30030101ff"}]);
    parameters.is_ca = if asked["extensions"] == constraints {
        rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)
    } else {
        rcgen::IsCa::ExplicitNoCa
    };
    request.signed_by(&issuer(root)).unwrap().pem()
}

/// The right key and subject, and no names.
fn bare(root: &RootCa, asked: &Value) -> String {
    let request = asked["certificate_request"].as_str().unwrap();
    let mut request = rcgen::CertificateSigningRequestParams::from_pem(request).unwrap();
    let name = &mut request.params.distinguished_name;
    *name = rcgen::DistinguishedName::new();
    for (kind, text) in [
        (rcgen::DnType::CommonName, &asked["subject"]["CN"]),
        (rcgen::DnType::OrganizationName, &asked["subject"]["names"][0]["O"]),
        (rcgen::DnType::OrganizationalUnitName, &asked["subject"]["names"][0]["OU"]),
    ] {
        name.push(kind, text.as_str().unwrap());
    }
    request.params.is_ca = rcgen::IsCa::ExplicitNoCa;
    request.signed_by(&issuer(root)).unwrap().pem()
}
