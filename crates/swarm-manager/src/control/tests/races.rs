//! Clients that want the same at once, at several managers.

use std::sync::Arc;

use serde_json::json;
use swarm_backend::{Secrets as _, Services as _};
use swarm_model::{Service, ServiceSpec};

use super::{Rig, ask, read, refused};
use crate::Control;
use crate::replica::{Batch, Replica, Store as _};

/// Another manager of the same swarm.
fn another(rig: &Rig) -> Arc<Control> {
    Control::new(Replica::new(Arc::clone(&rig.store) as _), Arc::clone(&rig.logs))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_one_name_one_gets_it() {
    let rig = Rig::new();
    let body = json!({
        "Name": "web", "TaskTemplate": { "ContainerSpec": { "Image": "redis" } },
    });
    let managers: Vec<_> = (0..4).map(|_| another(&rig)).collect();
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (control, mut body) = (Arc::clone(&managers[number % 4]), body.clone());
        if number >= 10 {
            body["Name"] = format!("web-{number}").into();
        }
        asking.spawn(async move {
            let made = control.create_service(ask("", body.to_string())).await;
            made.map(drop).map_err(|error| error.status().as_u16())
        });
    }
    let ended = asking.join_all().await;
    assert_eq!(ended.iter().filter(|made| made.is_ok()).count(), 11, "{ended:?}");
    assert!(ended.iter().all(|made| matches!(made, Ok(()) | Err(409))), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_secret_is_never_taken_from_under_a_service() {
    for round in 0..20 {
        let rig = Rig::new();
        let other = another(&rig);
        let made = ask("", r#"{"Name":"key","Data":"aGkK"}"#);
        let id = read(rig.control.create_secret(made).await).await["ID"].clone();
        let secret = json!({ "SecretID": id, "SecretName": "key", "File": { "Name": "key" } });
        let body = json!({
            "Name": "web",
            "TaskTemplate": { "ContainerSpec": { "Image": "redis", "Secrets": [secret] } },
        });
        let control = Arc::clone(&rig.control);
        let making =
            tokio::spawn(
                async move { control.create_service(ask("", body.to_string())).await.is_ok() },
            );
        let removing =
            tokio::spawn(async move { other.remove_secret("key", ask("", "")).await.is_ok() });
        let (made, removed) = (making.await.unwrap(), removing.await.unwrap());
        assert!(made != removed, "round {round}: made {made}, removed {removed}");
    }
}

#[tokio::test]
async fn what_an_old_copy_refuses_is_said_to_be_perhaps_so() {
    let rig = Rig::new();
    rig.store.fill();
    // Another manager makes it, which is not seen here.
    let service = Service {
        id: "made".into(),
        spec: ServiceSpec { name: "web".to_owned(), ..ServiceSpec::default() },
        ..Service::default()
    };
    let mut batch = Batch::default();
    batch.put(&service).unwrap();
    for transaction in batch.cut() {
        rig.store.transact(transaction).await.unwrap();
    }
    let (status, words) = refused(rig.control.remove_service("web", ask("", "")).await);
    assert_eq!(status, 503, "{words}");
    assert!(words.starts_with("service web not found; but "), "{words}");
    assert!(words.contains("what is here may be old; nothing was changed"), "{words}");
    // What is wrong by itself is so anywhere.
    let (status, words) = refused(rig.control.create_service(ask("", r#"{"Foo":1}"#)).await);
    assert_eq!((status, &*words), (400, "unsupported field Foo of the spec"));
}
