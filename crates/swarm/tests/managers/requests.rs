//! Plain requests: as they came to the primary, and answered here when there is none.

use http::StatusCode;
use swarm_backend::{ApiError, Exchange, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fake::{Fake, read_head, request};
use crate::rig::{Manager, pair, replica_of, until};

/// A backend that says who it is and what it was asked.
fn says(who: &'static str) -> Fake {
    Fake::acting(move |call, name, exchange: Exchange| async move {
        let auth = exchange.headers.get("x-registry-auth").map(|value| value.to_str().unwrap());
        Reply::ok(&serde_json::json!({
            "who": who, "call": call, "name": name, "query": exchange.query.encode(),
            "version": exchange.version.map(|version| version.to_string()), "auth": auth,
            "hops": exchange.headers.contains_key("x-swarm-forwarded"),
        }))
    })
}

#[tokio::test]
async fn a_replica_sends_requests_to_the_primary() {
    let (_store, primary, replica) = pair(says("primary"), says("replica")).await;
    let auth = ["X-Registry-Auth: e30="];
    let line = "POST /v1.30/images/create?fromImage=a%2Fb&tag=1+2";
    let answer = replica.running.ask(line, &auth, b"").await.json();
    let direct = primary.running.ask(line, &auth, b"").await.json();
    assert_eq!(answer, direct, "the primary treats a forwarded request as any other");
    assert_eq!((&answer["who"], &answer["auth"]), (&"primary".into(), &"e30=".into()));
    assert_eq!((&answer["version"], &answer["hops"]), (&"1.30".into(), &false.into()));
    let listed = replica.running.get("/containers/json?all=1").await.json();
    assert_eq!((&listed["who"], &listed["query"]), (&"primary".into(), &"all=1".into()));
    // Each speaks for itself where it is asked about itself.
    assert_eq!(replica.running.get("/info").await.json()["who"], "replica");
    assert_eq!(replica.running.get("/_ping").await.body, "OK");
    // What no manager serves needs no primary either.
    assert_eq!(replica.running.get("/nope").await.status, 404);
    assert_eq!(replica.running.get("/v1.41/services").await.status, 503);
}

#[tokio::test]
async fn a_request_goes_on_exactly_as_it_came() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (_store, replica) = replica_of(&address, says("replica")).await;
    let mut client = replica.running.connect().await;
    let line = "POST /v1.24/containers/a%2Fb/rename?name=%7e+x&&empty=&a";
    let headers = ["X-Registry-Auth: e30=", "Expect: 100-continue"];
    client.write_all(&request(line, &headers, b"{}")).await.unwrap();
    let (mut got, _) = listener.accept().await.unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(got.read_u8().await.unwrap()));
    }
    assert!(head.starts_with(&format!("{line} HTTP/1.1\r\n")), "{head}");
    let head = head.to_ascii_lowercase();
    for header in [
        &*format!("host: {address}"),
        "x-registry-auth: e30=",
        "content-length: 2",
        &*format!("x-swarm-forwarded: {}", replica.address()),
    ] {
        assert!(head.contains(&format!("{header}\r\n")), "{header} is not in {head}");
    }
    assert!(!head.contains("expect") && !head.contains("connection: close"), "{head}");
    got.write_all(b"HTTP/1.1 204 No Content\r\nX-Theirs: 1\r\n\r\n").await.unwrap();
    // hyper says that it wants the body before the primary's answer is there.
    let mut answer = read_head(&mut client).await;
    if answer.status == StatusCode::CONTINUE {
        answer = read_head(&mut client).await;
    }
    assert_eq!((answer.status.as_u16(), answer.header("x-theirs")), (204, "1"));
}

#[tokio::test]
async fn an_error_of_the_primary_is_the_clients() {
    let failing = Fake::acting(|_, _, _| async { Err(ApiError::conflict("it is taken")) });
    let (_store, _primary, replica) = pair(failing, says("replica")).await;
    let answer = replica.running.ask("DELETE /containers/a", &[], b"").await;
    assert_eq!((answer.status.as_u16(), answer.message().as_str()), (409, "it is taken"));
}

#[tokio::test]
async fn without_a_primary_reads_are_answered_here_and_changes_say_who_is_awaited() {
    let (store, replica) = replica_of("127.0.0.1:9", says("replica")).await;
    // The lock names one that nobody answers for.
    assert_eq!(replica.running.get("/containers/json").await.json()["who"], "replica");
    let refused = replica.running.ask("POST /containers/a/start", &[], b"").await;
    assert_eq!(refused.status, 503);
    let words = refused.message();
    assert!(
        words.starts_with("the primary manager 127.0.0.1:9 cannot be reached (cannot connect")
            && words.ends_with("try again in some seconds"),
        "{words}"
    );
    // And then nobody: the store is out, and the lock with it.
    let leader = crate::rig::layout().leader();
    let hold = swarm_kv::Write::new(&*leader, "other (without --replication)");
    swarm_kv::KeyValue::put(&*store, hold).await.unwrap();
    let role = replica.election.role();
    let nobody = swarm_pool::Role::Replica { primary: None };
    until("nobody", || *role.borrow() == nobody).await;
    assert_eq!(replica.running.get("/images/json").await.json()["who"], "replica");
    let words = replica.running.ask("POST /containers/a/start", &[], b"").await.message();
    assert!(words.contains("other runs on the same prefix without --replication"), "{words}");
}

#[tokio::test]
async fn requests_go_one_step_and_never_round() {
    // Each takes the other for the primary.
    let (one_store, one) = replica_of("127.0.0.1:9", says("one")).await;
    let (_other_store, other) = replica_of(&one.address(), says("other")).await;
    let leader = crate::rig::layout().leader();
    let named = swarm_kv::Write::new(&*leader, other.address());
    swarm_kv::KeyValue::put(&*one_store, named).await.unwrap();
    one.follows(&other.address()).await;
    let refused = other.running.ask("POST /containers/a/start", &[], b"").await;
    assert_eq!(refused.status, 503);
    assert_eq!(
        refused.message(),
        format!("this manager is not the primary, {} is; nothing was changed", other.address())
    );
    assert_eq!(other.running.get("/containers/json").await.json()["who"], "one");
}

#[tokio::test]
async fn a_primary_that_is_stopped_does_not_hold_up_reads_longer_than_its_lock() {
    // It accepts and says nothing, as a process that was stopped.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (store, replica) =
        replica_of(&silent.local_addr().unwrap().to_string(), says("replica")).await;
    let asked = replica.running.get("/containers/json");
    let freed = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let leader = crate::rig::layout().leader();
        let gone = swarm_kv::Expect::Anything;
        swarm_kv::KeyValue::delete(&*store, &leader, gone, None).await.unwrap();
    };
    let (answer, ()) = tokio::join!(asked, freed);
    assert_eq!(answer.json()["who"], "replica");
    replica.leads().await;
    let changed = replica.running.ask("POST /containers/a/start", &[], b"").await;
    assert_eq!(changed.json()["who"], "replica");
}

#[tokio::test]
async fn a_change_that_hangs_with_its_primary_ends_some_time_after_the_next_one_is_there() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (store, replica) =
        replica_of(&silent.local_addr().unwrap().to_string(), says("replica")).await;
    let asked = replica.running.ask("POST /containers/a/start", &[], b"");
    let replaced = async {
        // It is there before the lock goes.
        let held = silent.accept().await.unwrap();
        let leader = crate::rig::layout().leader();
        let gone = swarm_kv::Expect::Anything;
        swarm_kv::KeyValue::delete(&*store, &leader, gone, None).await.unwrap();
        replica.leads().await;
        held
    };
    let (answer, _held) = tokio::join!(asked, replaced);
    assert_eq!(answer.status, 503);
    assert!(answer.message().contains("whether the change was made is not known"));
}

#[tokio::test]
async fn a_manager_without_replication_forwards_nothing() {
    let election = swarm_pool::Election::alone();
    assert!(election.forwarder(swarm_engine::ClientOptions::default()).is_none());
    let store = swarm_memory::Memory::new();
    let manager = Manager::start(&store, says("it")).await;
    manager.leads().await;
    let changed = manager.running.ask("POST /containers/a/start", &[], b"").await;
    assert_eq!(changed.json()["who"], "it");
}
