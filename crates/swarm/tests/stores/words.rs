//! What the program says where a store is not what it was told: which store, what is wrong, what to
//! do. The adapters' own tests go through all ways of each kind; here is one of each, as a person
//! meets it.

use swarm_testkit::fleet::{Fleet, FleetConfig};
use swarm_testkit::stores::consul::{self, Tls};
use swarm_testkit::stores::{
    AnyStore, Authority, ConsulServer, EtcdOptions, EtcdServer, Impostor, Kind, Manner, Validity,
};
use tempfile::TempDir;

use crate::rig::{Manager, SOON, join, until};

const KINDS: [Kind; 3] = [Kind::Consul, Kind::Etcd, Kind::ZooKeeper];

/// A store as the command line names it.
#[derive(Debug)]
struct Named(Vec<String>);

impl Named {
    fn new(url: &str, options: &[&str]) -> Self {
        let options = options.iter().flat_map(|option| ["--discovery-opt", option]);
        Self(options.chain([url]).map(str::to_owned).collect())
    }

    fn arguments(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    /// `swarm list`: whether it succeeds, and both its outputs.
    fn list(&self) -> (bool, String, String) {
        let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("swarm"));
        let command = command.env_clear().arg("list").args(self.arguments()).timeout(SOON);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    /// It fails: `swarm list` says how and ends; `swarm manage` says it, and goes on trying.
    async fn is_refused(&self, words: &[&str]) {
        let (success, out, said) = self.list();
        assert!(!success && out.is_empty(), "{self:?}: {out}{said}");
        let manager = Manager::start(&self.arguments()).await;
        manager.daemon.wait_for("discovery; the engines known so far stay").await;
        for text in [said, manager.daemon.log()] {
            for word in words {
                assert!(text.contains(word), "{self:?} does not say {word:?}: {text}");
            }
            assert!(!text.contains("wr0ng"), "{self:?} shows what it was given: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_address_and_a_server_that_is_something_else_are_told() {
    let page = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<h1>Welcome to nginx!</h1>";
    let impostor = Impostor::start(Manner::AfterALine(page)).await.unwrap();
    let garbage = impostor.address();
    for (scheme, shown) in [("consul", "a Consul"), ("etcd", "an etcd"), ("zk", "a ZooKeeper")] {
        // Nobody listens on the port of `discard`.
        let url = format!("{scheme}://127.0.0.1:9/pool");
        let words = [&*url, "does not answer", "127.0.0.1:9", "Connection refused"];
        Named::new(&url, &[]).is_refused(&words).await;
        let url = format!("{scheme}://{garbage}/pool");
        let words = [&*url, &format!("does not answer as {shown} store does"), garbage];
        Named::new(&url, &[]).is_refused(&words).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_or_password_is_told_and_never_shown() {
    let consul = ConsulServer::start(consul::Config { acl: true, ..Default::default() }).unwrap();
    let url = consul.url("pool");
    let rules = "key_prefix \"pool/docker/swarm\" { policy = \"write\" }";
    let words = [&*url, "it does not know the token of --discovery-opt kv.token", rules];
    Named::new(&url, &["kv.token=wr0ng-c1a-52a5"]).is_refused(&words).await;
    let words = ["one of --discovery-opt kv.token or kv.tokenfile needs", rules];
    Named::new(&url, &[]).is_refused(&words).await;

    let mut etcd = EtcdServer::start(&EtcdOptions::default()).unwrap();
    etcd.enable_users("r00t").unwrap();
    etcd.add_user("swarm", "right", "readwrite", "pool/").unwrap();
    let url = etcd.url();
    let words = [&*url, "wrong user or password", "kv.username and kv.passwordfile"];
    Named::new(&url, &["kv.username=swarm", "kv.password=wr0ng"]).is_refused(&words).await;

    let zookeeper = AnyStore::start(Kind::ZooKeeper).unwrap();
    let url = zookeeper.url("pool");
    let fleet = Fleet::start(FleetConfig::default()).await.unwrap();
    let right = Named::new(&url, &["kv.username=swarm", "kv.password=right"]);
    let agents = join(&fleet, &right.arguments());
    agents[0].wait_for(" registered ").await;
    assert_eq!(right.list().1.trim(), fleet.addresses()[0].to_string());
    let words = [&*url, "kv.username", "kv.password"];
    Named::new(&url, &["kv.username=swarm", "kv.password=wr0ng"]).is_refused(&words).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_told() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let pair = authority.issue("consul", Validity::Expired).unwrap();
    let ca = authority.file();
    let tls = Tls { ca: ca.clone(), cert: pair.cert, key: pair.key, clients_too: false };
    let consul = ConsulServer::start(consul::Config { tls: Some(tls), ..Default::default() });
    let url = consul.as_ref().unwrap().url("pool");
    let words = [&*url, "its certificate has expired", "needs a new one"];
    Named::new(&url, &[&format!("kv.cacertfile={}", ca.display())]).is_refused(&words).await;

    let options = EtcdOptions { tls: Some(Validity::Expired), ..EtcdOptions::default() };
    let etcd = EtcdServer::start(&options).unwrap();
    let (ca, url) = (etcd.authority().unwrap().file(), etcd.url());
    let words = [&*url, "its certificate has expired", "needs a new one"];
    Named::new(&url, &[&format!("kv.cacertfile={}", ca.display())]).is_refused(&words).await;

    let url = "zk://127.0.0.1:9/pool";
    let named = Named::new(url, &[&format!("kv.cacertfile={}", ca.display())]);
    let (success, _, said) = named.list();
    assert!(!success && said.contains("ZooKeeper is reached without TLS only"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_path_and_two_pools_on_one_prefix_are_told() {
    let fleet = Fleet::start(FleetConfig::default()).await.unwrap();
    let address = fleet.addresses()[0].to_string();
    for kind in KINDS {
        let store = AnyStore::start(kind).unwrap();
        let (right, wrong) = (store.url("pool"), store.url("typo"));
        let agents = join(&fleet, &[&right]);
        agents[0].wait_for(" registered ").await;
        assert_eq!(Named::new(&right, &[]).list(), (true, format!("{address}\n"), String::new()));
        // An empty pool may be meant: it is no failure, and said.
        let (success, out, said) = Named::new(&wrong, &[]).list();
        assert!(success && out.is_empty(), "{kind:?}: {out}{said}");
        let astray = Manager::start(&[&wrong]).await;
        astray.daemon.wait_for("no engine is registered").await;
        for text in [said, astray.daemon.log()] {
            let words = format!("no engine is registered at typo/docker/swarm/nodes of {wrong}");
            assert!(text.contains(&words) && text.contains("prefix and kv.path"), "{text}");
        }

        let first = Manager::start(&[&right]).await;
        first.daemon.wait_for("this manager is the primary").await;
        let second = Manager::start(&[&right]).await;
        let what = "different prefixes";
        until(what, &second.daemon, async || second.warnings().await.contains(what)).await;
        for text in [second.daemon.log(), second.warnings().await] {
            for word in [what, "--replication", &first.address] {
                assert!(text.contains(word), "{kind:?} does not say {word:?}: {text}");
            }
        }
        // Both serve, as in classic Swarm.
        first.healthy(1).await;
        second.healthy(1).await;
        assert!(!first.daemon.log().contains(what), "{kind:?}: {}", first.daemon.log());
    }
}
