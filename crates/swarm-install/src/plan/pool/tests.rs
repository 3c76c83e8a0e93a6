//! The steps of a pool, for machines on which they were done, half done and undone: a model of a machine takes each
//! step, and what it is then is planned for again.

use std::collections::BTreeMap;

use super::*;
use crate::check::tests::{fresh, program};
use crate::facts::Unit;
use crate::look::Pool;
use crate::manifest::Manifest;
use crate::plan::{Action, DownWish, EndpointWish, Plan, Step, UpWish, plan_down, plan_up};
use crate::program::digest;
use crate::standing::Standing;

fn at(address: &str, managers: &[&str]) -> Part {
    let managers = managers.iter().map(|one| (*one).to_owned()).collect();
    Part { address: address.to_owned(), port: USUAL_PORT, managers, generation: 1 }
}

#[test]
fn the_units_are_the_packages_with_their_settings_on_the_command_line() {
    let join = Service::Join.text(&at("10.0.0.2", &["10.0.0.1", "fd00::1"]));
    assert!(join.contains(
        "\nExecStart=/usr/local/bin/swarm join --advertise=10.0.0.2:2376 \
         --listen=tcp://0.0.0.0:2376 --tlsverify --tlscacert=/etc/swarm/up-ca.pem \
         --tlscert=/etc/swarm/up-cert.pem --tlskey=/etc/swarm/up-key.pem \
         --discovery-opt=kv.tokenfile=/etc/swarm/up-token \
         swarm://10.0.0.1:2378,[fd00::1]:2378\n"
    ));
    assert!(join.contains("\nType=notify\n") && !join.contains("DynamicUser"), "{join}");
    assert!(!join.contains("EnvironmentFile") && join.contains("[Install]"), "{join}");
    let alone = Service::Manage.text(&at("10.0.0.1", &["10.0.0.1"]));
    assert!(alone.contains(
        " --data-dir=/var/lib/swarm/manage --store-listen=0.0.0.0:2378 \
         --store-advertise=10.0.0.1:2378 swarm://\n"
    ));
    let first = Service::Manage.text(&at("10.0.0.1", &["10.0.0.1", "10.0.0.2"]));
    assert!(first.contains(" --replication --advertise=10.0.0.1:3376 swarm://\n"), "{first}");
    let second = Service::Manage.text(&at("10.0.0.2", &["10.0.0.1", "10.0.0.2"]));
    assert!(second.contains(
        " --store-join=10.0.0.1:2378 --store-token-file=/etc/swarm/up-manager-token swarm://\n"
    ));
}

fn wish(count: Option<usize>) -> UpWish {
    UpWish {
        name: Some("prod".into()),
        managers: Vec::new(),
        count,
        advertise: BTreeMap::new(),
        program: program(),
        what: "swarm".into(),
        endpoint: Some(EndpointWish {
            port: USUAL_PORT,
            authority: Some("ours".into()),
            folder: "/certs".into(),
            now: 1_000,
        }),
    }
}

/// Fresh machines h1, h2, … at 10.0.0.1, 10.0.0.2, …
fn machines(count: usize) -> Look {
    let hosts = (1..=count).map(|host| {
        let address = Some(format!("10.0.0.{host}"));
        Seen { address, ..fresh(&format!("h{host}")) }
    });
    Look { hosts: hosts.collect(), swarm: None, pool: None }
}

/// What the machines are after these steps.
fn after(look: &Look, steps: &[Step]) -> Look {
    let mut look = look.clone();
    for step in steps {
        let facts = &mut look.hosts[step.host].facts;
        match &step.action {
            Action::Manifest(manifest) => facts.manifest = Some(manifest.clone()),
            Action::Binary { .. } => facts.binary = Some("new".into()),
            Action::Certificate(planned) => {
                let manifest = facts.manifest.as_mut().unwrap();
                let mut there = planned.clone();
                (there.authority, there.ends) = ("ours".into(), 1_000 + 397 * 24 * 3600);
                manifest.endpoint = Some(there);
            }
            Action::Token { service, .. } => drop(facts.tokens.insert(service.token().into())),
            Action::Service { service, text } => {
                let sum = digest(text.as_bytes());
                let unit = Unit { file: service.file(), sum, ..Unit::default() };
                facts.services.insert(service.unit().into(), unit);
            }
            Action::Serve { service, .. } => {
                let unit = facts.services.get_mut(service.unit()).unwrap();
                (unit.active, unit.enabled) = (true, true);
                facts.listening.extend(match service {
                    Service::Join => &[ENGINE_PORT][..],
                    Service::Manage => &[STORE_PORT, USUAL_PORT],
                });
            }
            Action::Halt(service) => {
                facts.services.get_mut(service.unit()).unwrap().active = false;
                facts.listening.clear();
            }
            Action::Clean(_) => {
                let address = look.hosts[step.host].address.clone();
                look.hosts[step.host] = Seen { address, ..fresh("again") };
            }
            Action::Engines { .. } | Action::LeaveStore { .. } => {}
            other => panic!("{other} is none of a pool's steps"),
        }
    }
    look
}

fn steps(plan: &Plan) -> Vec<Step> {
    plan.steps().cloned().collect()
}

/// A line for each step that names one of these words.
fn told(plan: &Plan, words: &[&str]) -> Vec<String> {
    let lines = plan.steps().map(|step| format!("h{} {}", step.host + 1, step.action));
    lines.filter(|line| words.iter().any(|word| line.contains(word))).collect()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Vec<crate::Refusal>>) -> String {
    let refusals = result.unwrap_err();
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn managers_begin_one_after_the_other_and_agents_when_they_are_there() {
    let look = machines(3);
    let plan = plan_pool_up(&look, &wish(Some(2))).unwrap();
    let services = told(&plan, &["turn ", "token", "wait"]);
    assert_eq!(
        services,
        [
            "h1 turn swarm-manage.service on",
            "h2 put the pool's token for its manager to /etc/swarm/up-manager-token, from h1",
            "h2 turn swarm-manage.service on",
            "h1 put the pool's token for its agent to /etc/swarm/up-token, from h1",
            "h1 turn swarm-join.service on",
            "h2 put the pool's token for its agent to /etc/swarm/up-token, from h1",
            "h2 turn swarm-join.service on",
            "h3 put the pool's token for its agent to /etc/swarm/up-token, from h1",
            "h3 turn swarm-join.service on",
            "h1 wait until 3 engines are in the pool",
        ]
    );
    assert!(plan.notes[0].1.contains("2 managers stand the loss of 0"), "{:?}", plan.notes);
    let manifest = look_manifest(&after(&look, &steps(&plan)), 0);
    for file in ["/etc/swarm/up-key.pem", "/etc/swarm/up-token", "/usr/local/bin/swarm"] {
        assert!(manifest.files.iter().any(|known| known == file), "{file} is not noted");
    }
}

fn look_manifest(look: &Look, at: usize) -> Manifest {
    look.hosts[at].facts.manifest.clone().unwrap()
}

#[test]
fn wherever_it_broke_off_the_rest_is_done_and_then_nothing() {
    let fresh = machines(3);
    let whole = steps(&plan_pool_up(&fresh, &wish(Some(3))).unwrap());
    for done in 0..=whole.len() {
        let look = after(&fresh, &whole[..done]);
        let rest = plan_pool_up(&look, &wish(Some(3))).unwrap();
        let end = after(&look, &steps(&rest));
        let again = plan_pool_up(&end, &wish(Some(3))).unwrap();
        assert!(again.is_empty(), "after {done} steps: {:?}", told(&again, &[""]));
        for host in 0..3 {
            let facts = &end.hosts[host].facts;
            assert!(facts.services.values().all(|unit| unit.active) && facts.services.len() == 2);
        }
    }
}

/// A pool of that many machines and managers.
fn pool(hosts: usize, managers: usize) -> Look {
    let fresh = machines(hosts);
    let mut look = after(&fresh, &steps(&plan_pool_up(&fresh, &wish(Some(managers))).unwrap()));
    let engines = (1..=hosts).map(|host| format!("10.0.0.{host}")).collect();
    look.pool = Some(Pool { by: 0, engines });
    look
}

#[test]
fn more_machines_join_and_more_managers_restart_those_that_are_there() {
    let mut look = pool(2, 1);
    let new = machines(3).hosts.remove(2);
    look.hosts.push(new.clone());
    let plan = plan_pool_up(&look, &wish(None)).unwrap();
    assert!(
        plan.steps().all(|step| step.host == 2 || matches!(step.action, Action::Engines { .. }))
    );

    // A second manager: the first learns that it is not alone, before the other one comes.
    let plan = plan_pool_up(&look, &wish(Some(3))).unwrap();
    let manage = told(&plan, &["swarm-manage.service"]);
    assert_eq!(
        manage[..3],
        [
            "h1 put the unit to /etc/systemd/system/swarm-manage.service",
            "h1 restart swarm-manage.service (containers go on)",
            "h2 put the unit to /etc/systemd/system/swarm-manage.service",
        ]
    );
    let renewed = told(&plan, &["certificate"]);
    assert_eq!(renewed.len(), 2, "a manager's is for reaching others too: {renewed:?}");

    // Without a manager nobody tells the token.
    look.hosts.remove(0);
    let words = refused(plan_pool_up(&look, &wish(None)));
    assert!(words.contains("name the machine of 10.0.0.1 too"), "{words}");

    let mut newer = wish(None);
    newer.program.sum = "newer".into();
    let look = pool(2, 2);
    let plan = plan_pool_up(&look, &newer).unwrap();
    assert_eq!(
        told(&plan, &["restart"]),
        [
            "h1 restart swarm-manage.service (containers go on)",
            "h2 restart swarm-manage.service (containers go on)",
            "h1 restart swarm-join.service (containers go on)",
            "h2 restart swarm-join.service (containers go on)",
        ]
    );
    let alone = plan.stages.iter().filter(|stage| {
        stage
            .iter()
            .any(|step| matches!(step.action, Action::Serve { service: Service::Manage, .. }))
    });
    assert!(alone.clone().count() == 2 && alone.into_iter().all(|stage| stage.len() == 1));
}

#[test]
fn what_stands_in_the_way_is_told() {
    type Change = fn(&mut Look, &mut UpWish);
    let cases: [(Change, &str); 9] = [
        (
            |look, _| look.hosts[1].facts.listening = [ENGINE_PORT].into(),
            "port 2376, which the agent",
        ),
        (
            |look, _| look.hosts[0].facts.listening = [USUAL_PORT].into(),
            "port 3376, which the pool's API",
        ),
        (|look, _| look.hosts[1].standing = Standing::Idle, "swarm down it first"),
        (
            |look, _| look.hosts[1].facts.manifest = Some(Manifest::new("prod", "1")),
            "swarm down it first",
        ),
        (|look, _| look.hosts[1].address = None, "--advertise-addr"),
        (|look, _| look.hosts[1].address = Some("10.0.0.1".into()), "the same address"),
        (
            |look, _| {
                let unit = Unit { active: true, ..Unit::default() };
                look.hosts[1].facts.services.insert("swarm-join.service".into(), unit);
            },
            "was set up by hand",
        ),
        (
            |look, wish| {
                *look = pool(2, 1);
                wish.endpoint.as_mut().unwrap().authority = Some("other".into());
            },
            "another authority",
        ),
        (
            |look, wish| {
                *look = pool(2, 1);
                wish.endpoint.as_mut().unwrap().port = 4000;
            },
            "give --endpoint 3376",
        ),
    ];
    for (change, words) in cases {
        let (mut look, mut wish) = (machines(2), wish(None));
        change(&mut look, &mut wish);
        let found = refused(plan_pool_up(&look, &wish));
        assert!(found.contains(words), "{words}: {found}");
    }
    let words = refused(plan_up(&pool(2, 1), &wish(None)));
    assert!(words.contains("h1: it is in a pool") && words.contains("give --pool"), "{words}");
}

#[test]
fn agents_take_their_leave_before_managers_go() {
    let look = pool(3, 2);
    let plan = plan_down(&look, &DownWish::default()).unwrap();
    assert_eq!(
        told(&plan, &["turn", "store"]),
        [
            "h1 turn swarm-join.service off",
            "h2 turn swarm-join.service off",
            "h3 turn swarm-join.service off",
            "h1 turn swarm-manage.service off",
            "h2 turn swarm-manage.service off",
        ]
    );
    let end = after(&look, &steps(&plan));
    assert!(plan_down(&end, &DownWish::default()).unwrap().is_empty());

    let mut two = look.clone();
    two.hosts.pop();
    let words = refused(plan_down(&two, &DownWish::default()));
    assert!(words.contains("1 engine of the pool prod would be left without a manager (10.0.0.3)"));
    let silent = Look { pool: None, ..two.clone() };
    let words = refused(plan_down(&silent, &DownWish::default()));
    assert!(words.contains("h1: its manager does not answer"), "{words}");
    let force = DownWish { force: true, ..DownWish::default() };
    assert!(!plan_down(&two, &force).unwrap().is_empty());
    assert!(!plan_down(&silent, &force).unwrap().is_empty());

    // One of the managers stays: the other one leaves its store, and it is noted that it has.
    let stay = DownWish { stay: vec![0], ..DownWish::default() };
    let plan = plan_down(&two, &stay).unwrap();
    assert_eq!(
        told(&plan, &["turn", "store", "note"])[1..3],
        ["h2 leave the managers' store", "h2 turn swarm-manage.service off",]
    );
    let end = after(&two, &steps(&plan));
    let part = look_manifest(&end, 0).pool.unwrap();
    assert_eq!((part.managers.as_slice(), part.generation), (&["10.0.0.1".to_owned()][..], 2));
    let wrong = DownWish { stay: vec![2], ..DownWish::default() };
    assert!(refused(plan_down(&look, &wrong)).contains("h3: it is no manager of the pool"));
}
