//! The steps of `swarm up`, for machines in every condition.

use super::*;
use crate::check::tests::{fresh, program};
use crate::facts::Unit;
use crate::standing::{Listed, Member};

fn wish() -> UpWish {
    UpWish {
        name: None,
        managers: Vec::new(),
        count: None,
        advertise: BTreeMap::new(),
        program: program(),
        what: "swarm 1.0.0 (23 MB)".into(),
        endpoint: None,
    }
}

/// A machine that an earlier run made a node.
fn node_of(name: &str, id: &str, manager: bool) -> Seen {
    let mut seen = fresh(name);
    let mut manifest = Manifest::new("prod", "1.0.0");
    manifest.files = vec![BINARY.into(), UNIT_FILE.into()];
    manifest.folders = vec![SETTINGS.into(), DATA.into()];
    seen.facts.manifest = Some(manifest);
    seen.facts.binary = Some("new".into());
    let file = UNIT_FILE.to_owned();
    seen.facts.unit =
        Some(Unit { file, sum: digest(unit(false).as_bytes()), active: true, enabled: true });
    (seen.facts.settings, seen.facts.data, seen.facts.port_taken) = (true, true, manager);
    seen.standing = Standing::Member(Member {
        node: id.into(),
        manager,
        managers: vec!["10.0.0.1:2377".into()],
        swarm: manager.then(|| "c1".into()),
        name: manager.then(|| "prod".into()),
        ..Member::default()
    });
    seen
}

fn look(hosts: Vec<Seen>) -> Look {
    let members: Vec<_> =
        hosts.iter().enumerate().filter_map(|(at, s)| Some((at, s.standing.member()?))).collect();
    let by = members.iter().find(|(_, member)| member.manager).map(|(at, _)| *at);
    let nodes = members.iter().map(|(_, member)| Listed {
        id: member.node.clone(),
        manager: member.manager,
        ready: true,
        reachable: member.manager,
        ..Listed::default()
    });
    let nodes = nodes.collect();
    let (id, name, services) = ("c1".to_owned(), Some("prod".to_owned()), Vec::new());
    let swarm = by.map(|by| Swarm { by, id, name, nodes, services });
    Look { hosts, swarm, pool: None }
}

/// A line for each step, a blank one between stages.
fn told(look: &Look, wish: &UpWish) -> String {
    let plan = plan_up(look, wish).unwrap();
    let stage = |steps: &Vec<Step>| {
        let lines =
            steps.iter().map(|step| format!("{} {}", look.hosts[step.host].target, step.action));
        lines.collect::<Vec<_>>().join("\n")
    };
    plan.stages.iter().map(stage).collect::<Vec<_>>().join("\n\n")
}

fn refused(look: &Look, wish: &UpWish) -> String {
    let refusals = plan_up(look, wish).unwrap_err();
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_unit_runs_the_binary_that_is_put_there() {
    assert!(unit(false).contains("\nExecStart=/usr/local/bin/swarm daemon\n"));
    assert!(!unit(false).contains("/usr/bin/swarm") && !unit(false).contains("SWARM_CONFIG"));
    let line =
        "\nEnvironment=SWARM_CONFIG=/etc/swarm/up.toml\nExecStart=/usr/local/bin/swarm daemon\n";
    assert!(unit(true).contains(line));
}

#[test]
fn new_machines_become_a_swarm() {
    let mut second = fresh("h2");
    second.facts.settings = true;
    let look = look(vec![fresh("h1"), second]);
    let wish = UpWish { name: Some("prod".into()), ..wish() };
    let expected = "\
h1 note in /etc/swarm/up.json what is put here, for prod
h1 put swarm 1.0.0 (23 MB) to /usr/local/bin/swarm
h1 put the unit to /etc/systemd/system/swarm-daemon.service
h1 turn swarm-daemon.service on
h2 note in /etc/swarm/up.json what is put here, for prod
h2 put swarm 1.0.0 (23 MB) to /usr/local/bin/swarm
h2 put the unit to /etc/systemd/system/swarm-daemon.service
h2 turn swarm-daemon.service on

h1 begin the swarm prod as its manager, at 10.0.0.1

h2 join as a worker through h1, at 10.0.0.1

h1 wait until 2 nodes are ready, 1 manager";
    assert_eq!(told(&look, &wish), expected);
    let plan = plan_up(&look, &wish).unwrap();
    let folders: Vec<_> = plan
        .steps()
        .filter_map(|step| match &step.action {
            Action::Manifest(manifest) => Some(manifest.folders.join(" ")),
            _ => None,
        })
        .collect();
    assert_eq!(folders, ["/etc/swarm /var/lib/swarm", "/var/lib/swarm"], "what was there stays");
}

#[test]
fn what_is_as_it_should_be_gets_no_step() {
    let look = look(vec![node_of("h1", "a", true), node_of("h2", "b", false)]);
    assert_eq!(told(&look, &wish()), "");
    // Without its managers, too: nothing is to be changed.
    let workers = self::look(vec![node_of("h2", "b", false)]);
    assert_eq!(told(&workers, &wish()), "");
}

#[test]
fn new_machines_join_what_is_there_and_workers_are_promoted() {
    let hosts = vec![fresh("h3"), node_of("h1", "a", true), node_of("h2", "b", false)];
    let look = look(hosts);
    let wish = UpWish { managers: vec![0, 2], ..wish() };
    let steps = told(&look, &wish);
    let expected = "\
h3 join as a manager through h1, at 10.0.0.1

h2 make this worker a manager

h1 wait until 3 nodes are ready, 3 managers";
    assert!(steps.ends_with(expected), "{steps}");
    assert!(!steps.contains("begin"));
    let counted = UpWish { managers: Vec::new(), count: Some(2), ..wish };
    let plan = plan_up(&look, &counted).unwrap();
    assert!(plan.notes[0].1.contains("2 managers stand the loss of 0"), "{:?}", plan.notes);
}

#[test]
fn a_newer_binary_restarts_managers_one_at_a_time() {
    let mut hosts =
        vec![node_of("h1", "a", true), node_of("h2", "b", true), node_of("h3", "c", false)];
    for seen in &mut hosts {
        seen.facts.binary = Some("old".into());
    }
    let steps = told(&look(hosts), &wish());
    let put = "put swarm 1.0.0 (23 MB) to /usr/local/bin/swarm, over the one that is there";
    let restart = "restart swarm-daemon.service (containers go on)";
    let expected = format!(
        "h1 {put}\nh2 {put}\nh3 {put}\nh3 {restart}\n\nh1 {restart}\n\nh2 {restart}\n\n\
         h1 wait until 3 nodes are ready, 2 managers"
    );
    assert_eq!(steps, expected);
}

#[test]
fn a_package_s_daemon_is_used_as_it_is() {
    let mut seen = fresh("h1");
    let file = "/lib/systemd/system/swarm-daemon.service".to_owned();
    seen.facts.unit = Some(Unit { file, ..Unit::default() });
    seen.facts.packaged = Some("swarm version 1.0.0".into());
    let steps = told(&look(vec![seen]), &wish());
    assert!(steps.starts_with("h1 turn swarm-daemon.service on\n\nh1 begin"), "{steps}");
}

#[test]
fn what_stands_in_the_way_is_told_before_anything_is_planned() {
    let manager = || node_of("h1", "a", true);
    // All that is wrong, of all machines.
    let (mut one, mut two) = (fresh("h1"), fresh("h2"));
    one.facts.systemd = false;
    two.facts.engine = crate::facts::Engine::None;
    let words = refused(&look(vec![one, two]), &wish());
    assert!(
        words.contains("h1: no systemd") && words.contains("h2: there is no Docker"),
        "{words}"
    );
    // Names.
    let other = UpWish { name: Some("test".into()), ..wish() };
    let words = refused(&look(vec![manager()]), &other);
    assert_eq!(words, "h1: its cluster is named prod, not test; a name stays");
    let mut strange = fresh("h2");
    strange.facts.manifest = Some(Manifest::new("test", "1"));
    let words = refused(&look(vec![manager(), strange]), &wish());
    assert_eq!(words, "h2: it is in the cluster test, others in prod: swarm down it first");
    let bad = UpWish { name: Some("a b".into()), ..wish() };
    assert!(refused(&look(vec![fresh("h1")]), &bad).contains("expected up to 63 letters"));
    // Swarms.
    let words = refused(&look(vec![node_of("h2", "b", false), fresh("h3")]), &wish());
    assert!(words.contains("at 10.0.0.1:2377: name one of them too"), "{words}");
    let mut look_ = look(vec![manager(), node_of("h2", "z", false)]);
    look_.swarm.as_mut().unwrap().nodes.retain(|node| node.id != "z");
    assert!(refused(&look_, &wish()).contains("h2: it is a node of another swarm"));
    // A port.
    let mut taken = fresh("h1");
    taken.facts.port_taken = true;
    assert!(refused(&look(vec![taken]), &wish()).contains("port 2377"));
}

#[test]
fn managers_are_given_the_endpoint_that_is_asked_for() {
    let day = 24 * 3600;
    let asked = |authority: Option<&str>| EndpointWish {
        port: 3376,
        authority: authority.map(str::to_owned),
        folder: "/certs".into(),
        now: 1000 * day,
    };
    let with = |authority| UpWish { endpoint: Some(asked(authority)), ..wish() };
    let steps = told(&look(vec![fresh("h1"), fresh("h2")]), &with(None));
    let step = "h1 have all nodes served as one engine on port 3376 by TLS, with a certificate for \
                10.0.0.1, h1, localhost, 127.0.0.1\nh1 put the unit";
    assert!(steps.contains(step), "{steps}");
    assert_eq!(steps.matches("port 3376").count(), 1, "workers serve nothing: {steps}");
    // One that has it, until its last month; and not by another authority.
    let mut there = node_of("h1", "a", true);
    let mut set = |ends| {
        let names = ["h1", "10.0.0.1", "localhost", "127.0.0.1"].map(String::from).into();
        let endpoint = Endpoint { port: 3376, authority: "ca".into(), names, ends };
        there.facts.unit.as_mut().unwrap().sum = digest(unit(true).as_bytes());
        there.facts.manifest.as_mut().unwrap().endpoint = Some(endpoint);
        look(vec![there.clone()])
    };
    let now = set(1100 * day);
    assert_eq!(told(&now, &with(Some("ca"))), "");
    assert_eq!(told(&now, &wish()), "", "it stays where it is not asked for again");
    assert!(refused(&now, &with(None)).contains("--certs"));
    let steps = told(&set(1020 * day), &with(Some("ca")));
    assert!(steps.contains("port 3376") && steps.contains("restart"), "{steps}");
    // Its end is told where nobody asks for a new one.
    for (ends, words) in [
        (1100, None),
        (
            1020,
            Some(
                "its endpoint's certificate ends in 20 days: the same command with --endpoint 3376 makes",
            ),
        ),
        (
            1000,
            Some(
                "its endpoint's certificate has ended: the same command with --endpoint 3376 makes",
            ),
        ),
    ] {
        let mut look = set(ends * day);
        look.hosts[0].facts.clock = Some(1000 * day);
        let notes = plan_up(&look, &wish()).unwrap().notes;
        let told = notes.first().map(|(_, words)| words.as_str());
        let fits = words.is_none_or(|words| told.is_some_and(|told| told.contains(words)));
        assert!(fits && told.is_some() == words.is_some(), "{ends}: {told:?}");
        assert_eq!(plan_up(&look, &with(Some("ca"))).unwrap().notes, []);
    }
}

#[test]
fn a_new_certificate_keeps_the_names_of_the_old_one() {
    let mut there = node_of("h1", "a", true);
    let names = ["172.16.0.11", "h1", "localhost"].map(String::from).into();
    let endpoint = Endpoint { port: 3376, authority: "ca".into(), names, ends: 1 << 40 };
    there.facts.manifest.as_mut().unwrap().endpoint = Some(endpoint);
    let (authority, folder) = (Some("ca".to_owned()), "/certs".to_owned());
    let asked = EndpointWish { port: 3376, authority, folder, now: 0 };
    let steps = told(&look(vec![there]), &UpWish { endpoint: Some(asked), ..wish() });
    assert!(steps.contains("for 172.16.0.11, h1, localhost, 10.0.0.1, 127.0.0.1"), "{steps}");
}

#[test]
fn nodes_whose_daemon_does_not_run_are_started_and_stay_what_they_were() {
    let asleep = |name: &str, id: &str| {
        let mut seen = node_of(name, id, false);
        seen.facts.manifest.as_mut().unwrap().node = Some(id.into());
        seen.facts.unit.as_mut().unwrap().active = false;
        seen.standing = Standing::Absent;
        seen
    };
    let mut both = look(vec![node_of("h1", "a", true), asleep("h2", "b")]);
    both.swarm.as_mut().unwrap().nodes.push(Listed { id: "b".into(), ..Listed::default() });
    let steps = told(&both, &wish());
    let expected = "h2 turn swarm-daemon.service on\n\nh1 wait until 2 nodes are ready, 1 manager";
    assert_eq!(steps, expected);
    // Without a manager that runs: nobody knows what they are a part of.
    let alone = look(vec![asleep("h1", "a"), asleep("h2", "b")]);
    let plan = plan_up(&alone, &wish()).unwrap();
    assert!(plan.steps().all(|step| step.action == Action::Start));
    assert!(plan.afterwards[0].contains("2 nodes had a daemon that did not run"));
}

#[test]
fn only_who_can_be_there_is_waited_for() {
    // One manager of three is lost: it is neither ready nor reachable, whatever its role.
    let mut lost = look(vec![node_of("h1", "a", true), fresh("h4")]);
    let nodes = &mut lost.swarm.as_mut().unwrap().nodes;
    let manager = |id: &str, there| Listed {
        id: id.into(),
        manager: true,
        ready: there,
        reachable: there,
        ..Listed::default()
    };
    nodes.extend([manager("b", true), manager("c", false)]);
    let steps = told(&lost, &wish());
    assert!(steps.ends_with("h1 wait until 3 nodes are ready, 2 managers"), "{steps}");
    // Of three managers, one of them lost, two are no even number.
    assert_eq!(plan_up(&lost, &wish()).unwrap().notes, []);
    // A node that has just stopped, and which its manager still has as ready; and a manager that sleeps.
    let asleep = |manager| {
        let mut seen = node_of("h2", "b", manager);
        seen.facts.manifest.as_mut().unwrap().node = Some("b".into());
        seen.facts.unit.as_mut().unwrap().active = false;
        seen.standing = Standing::Absent;
        seen
    };
    for (there, role, wait) in [
        (true, false, "2 nodes are ready, 1 manager"),
        (true, true, "2 nodes are ready, 2 managers"),
        (false, true, "2 nodes are ready, 2 managers"),
    ] {
        let mut look = look(vec![node_of("h1", "a", true), asleep(role)]);
        look.swarm.as_mut().unwrap().nodes.push(Listed { manager: role, ..manager("b", there) });
        let steps = told(&look, &wish());
        assert!(steps.ends_with(wait), "{there} {role}: {steps}");
    }
}

#[test]
fn wishes_that_cannot_be_done_are_refused() {
    // Workers, and no manager that could promote them.
    let workers = || look(vec![node_of("h2", "b", false), node_of("h3", "c", false)]);
    for (managers, count) in [(vec![0], None), (Vec::new(), Some(2))] {
        let words = refused(&workers(), &UpWish { managers, count, ..wish() });
        let told = "h2: it is a worker: name one of its swarm's managers (10.0.0.1:2377) too, so that it can \
                    be promoted";
        assert!(words.starts_with(told), "{words}");
    }
    // None of them is taken for a manager.
    let endpoint = EndpointWish { port: 3376, authority: None, folder: "/c".into(), now: 0 };
    assert_eq!(told(&workers(), &UpWish { endpoint: Some(endpoint), ..wish() }), "");
    let many = UpWish { count: Some(3), ..wish() };
    let words = refused(&look(vec![fresh("h1"), fresh("h2")]), &many);
    assert_eq!(words, "--managers 3: only 2 machines are named");
}

#[test]
fn a_worker_is_no_stranger_beside_a_manager_that_is_started() {
    let mut first = node_of("h1", "a", true);
    first.facts.manifest.as_mut().unwrap().node = Some("a".into());
    first.facts.unit.as_mut().unwrap().active = false;
    (first.standing, first.facts.port_taken) = (Standing::Absent, false);
    let both = look(vec![first, node_of("h2", "b", false)]);
    assert_eq!(told(&both, &wish()), "h1 turn swarm-daemon.service on");
    // Whether the other one can be promoted is known when it runs.
    let plan = plan_up(&both, &UpWish { managers: vec![1], ..wish() }).unwrap();
    assert!(plan.afterwards[0].contains("the same command again"), "{:?}", plan.afterwards);
}

#[test]
fn an_older_program_replaces_no_newer_one() {
    let with = |version: &str, sum: &str| {
        let mut seen = node_of("h1", "a", true);
        seen.facts.manifest.as_mut().unwrap().version = version.into();
        seen.facts.binary = Some(sum.into());
        look(vec![seen, fresh("h9")])
    };
    let words = "h1: it has swarm 1.1.0, and this is 1.0.0, which may not read what that one wrote: use swarm \
                 1.1.0 or a newer one";
    assert_eq!(refused(&with("1.1.0", "other"), &wish()), words);
    for version in ["1.0.0", "0.9.12", "1.0.0-rc.1", "of our own"] {
        assert!(
            told(&with(version, "other"), &wish()).contains("over the one that is there"),
            "{version}"
        );
    }
}

#[test]
fn a_node_that_is_given_no_tasks_is_told_of() {
    let mut look = look(vec![node_of("h1", "a", true), node_of("h3", "c", false)]);
    look.swarm.as_mut().unwrap().nodes[1].kept_free = Some("drain".into());
    let plan = plan_up(&look, &wish()).unwrap();
    let words = "its availability is drain, so that it is given no tasks: docker node update --availability \
                 active c on a manager gives it some again";
    assert_eq!(plan.notes, [(1, words.to_owned())]);
    assert!(plan.is_empty());
}
