//! The steps of `swarm down`, for swarms in every condition.

use super::*;
use crate::check::tests::fresh;
use crate::facts::Unit;
use crate::manifest::Manifest;
use crate::standing::Member;

fn node_of(name: &str, id: &str, manager: bool) -> Seen {
    let mut seen = fresh(name);
    let mut manifest = Manifest::new("prod", "1.0.0");
    manifest.files = vec!["/usr/local/bin/swarm".into()];
    manifest.folders = vec!["/var/lib/swarm".into()];
    manifest.node = Some(id.into());
    seen.facts.manifest = Some(manifest);
    seen.facts.unit = Some(Unit { active: true, enabled: true, ..Unit::default() });
    let node = id.into();
    seen.standing = Standing::Member(Member { node, manager, ..Member::default() });
    seen
}

/// `mine` are machines that are named; `others` nodes that are not: `m` is a manager, `M` one that
/// cannot be reached, `w` a worker.
fn look(mine: Vec<Seen>, others: &str) -> Look {
    let named = mine.iter().filter_map(|seen| {
        let (member, manifest) = (seen.standing.member(), seen.facts.manifest.as_ref()?);
        let id = manifest.node.clone()?;
        let manager = member.is_some_and(|member| member.manager);
        Some(Listed { id, manager, reachable: manager, ready: true, ..Listed::default() })
    });
    let rest = others.chars().enumerate().map(|(at, kind)| Listed {
        id: format!("other{at}"),
        hostname: format!("o{at}"),
        manager: kind != 'w',
        reachable: kind == 'm',
        ready: true,
        ..Listed::default()
    });
    let nodes = named.chain(rest).collect();
    let by = mine.iter().position(|s| s.standing.member().is_some_and(|member| member.manager));
    let (id, name, services) = ("c1".to_owned(), Some("prod".to_owned()), Vec::new());
    let swarm = by.map(|by| Swarm { by, id, name, nodes, services });
    Look { hosts: mine, swarm, pool: None }
}

fn told(look: &Look, wish: &DownWish) -> String {
    let plan = plan_down(look, wish).unwrap();
    let stage = |steps: &Vec<Step>| {
        let lines =
            steps.iter().map(|step| format!("{} {}", look.hosts[step.host].target, step.action));
        lines.collect::<Vec<_>>().join("\n")
    };
    let stages = plan.stages.iter().map(stage).chain(plan.afterwards.iter().cloned());
    stages.collect::<Vec<_>>().join("\n\n")
}

fn refused(look: &Look) -> String {
    let refusals = plan_down(look, &DownWish::default()).unwrap_err();
    assert!(plan_down(look, &DownWish { force: true, ..DownWish::default() }).is_ok());
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const OFF: &str = "turn swarm-daemon.service off";
const CLEAN: &str = "remove /usr/local/bin/swarm, /run/swarm, /var/lib/swarm, /etc/swarm/up.json";

#[test]
fn a_worker_leaves_in_order_and_a_manager_takes_it_out() {
    let look = look(vec![node_of("h2", "b", false), node_of("h1", "a", true)], "w");
    let wish = DownWish { stay: vec![1], ..DownWish::default() };
    let expected = format!(
        "h2 drain it: its tasks go to other nodes\n\nh2 leave the swarm\n\n\
         h2 take it out of the list of nodes\n\nh2 {OFF}\nh2 {CLEAN}"
    );
    assert_eq!(told(&look, &wish), expected);
}

#[test]
fn managers_are_demoted_one_by_one_and_the_one_that_is_asked_goes_last() {
    let look = look(vec![node_of("h1", "a", true), node_of("h2", "b", true)], "mmm");
    let steps = told(&look, &DownWish::default());
    let expected = format!(
        "h1 drain it: its tasks go to other nodes\nh2 drain it: its tasks go to other nodes\n\n\
         h1 make this manager a worker\n\nh1 leave the swarm\n\nh1 take it out of the list of nodes\n\n\
         h2 make this manager a worker\n\nh2 leave the swarm\n\n\
         h1 {OFF}\nh1 {CLEAN}\nh2 {OFF}\nh2 {CLEAN}\n\n\
         on a manager that stays: docker node rm b"
    );
    assert_eq!(steps, expected);
}

#[test]
fn a_whole_swarm_ends_with_its_managers_last() {
    let look = look(vec![node_of("h1", "a", true), node_of("h2", "b", false)], "");
    let expected = format!(
        "h2 leave the swarm\n\nh1 leave the swarm by force\n\n\
         h1 {OFF}\nh1 {CLEAN}\nh2 {OFF}\nh2 {CLEAN}"
    );
    assert_eq!(told(&look, &DownWish::default()), expected);
}

#[test]
fn what_is_gone_already_gets_no_step() {
    let look = look(vec![fresh("h1"), fresh("h2")], "");
    assert_eq!(told(&look, &DownWish::default()), "");
    // A daemon that does not run, and a swarm that still has its node.
    let mut silent = node_of("h2", "b", false);
    silent.standing = Standing::Absent;
    silent.facts.unit = Some(Unit::default());
    let look = self::look(vec![silent, node_of("h1", "a", true)], "w");
    let wish = DownWish { stay: vec![1], ..DownWish::default() };
    assert_eq!(told(&look, &wish), format!("h2 take it out of the list of nodes\n\nh2 {CLEAN}"));
}

#[test]
fn workers_alone_leave_and_the_rest_is_said() {
    let look = look(vec![node_of("h2", "b", false)], "");
    let steps = told(&look, &DownWish::default());
    assert!(
        steps.starts_with("h2 leave the swarm") && steps.contains("docker node rm b"),
        "{steps}"
    );
}

#[test]
fn what_a_swarm_would_lose_is_refused_without_force() {
    let mut ends = look(vec![node_of("h1", "a", true)], "");
    ends.swarm.as_mut().unwrap().services = (0..7).map(|at| format!("s{at}")).collect();
    let words = "h1: the swarm prod would end, with 7 services (s0, s1, s2, s3, s4, …): --force, if \
        that is meant";
    assert_eq!(refused(&ends), words);
    let words = refused(&look(vec![node_of("h1", "a", true)], "ww"));
    assert!(words.contains("2 nodes of the swarm prod would be left without a manager (o0, o1)"));
    let words = refused(&look(vec![node_of("h1", "a", true)], "mM"));
    assert!(words.contains("of the 2 managers that stay 1 can be reached"), "{words}");
    // A worker takes no quorum away; where there is none, nobody can take it out.
    let both = || vec![node_of("h1", "a", true), node_of("h2", "b", false)];
    let wish = DownWish { stay: vec![0], ..DownWish::default() };
    assert!(plan_down(&look(both(), "mM"), &wish).is_ok());
    let refusals = plan_down(&look(both(), "M"), &wish).unwrap_err();
    assert!(refusals[0].words.contains("no quorum now: of its 2 managers 1"), "{refusals:?}");
}

#[test]
fn strangers_and_who_cannot_be_asked_are_told() {
    let both = vec![node_of("h1", "a", true), node_of("h2", "b", false)];
    let mut two = look(both, "");
    two.swarm.as_mut().unwrap().nodes.retain(|node| node.id == "a");
    let refusals = plan_down(&two, &DownWish::default()).unwrap_err();
    assert!(refusals[0].words.contains("another swarm"), "{refusals:?}");
    let asked = look(vec![node_of("h1", "a", true), node_of("h2", "b", false)], "");
    let wish = DownWish { stay: vec![1], ..DownWish::default() };
    assert!(plan_down(&asked, &wish).unwrap_err()[0].words.contains("no manager"));
}

/// A manager that `swarm up` made, and whose daemon does not run.
fn stopped(name: &str, id: &str) -> Seen {
    let mut seen = node_of(name, id, true);
    seen.standing = Standing::Absent;
    seen.facts.unit = Some(Unit { enabled: true, ..Unit::default() });
    (seen.facts.data, seen.facts.store) = (true, true);
    seen
}

#[test]
fn a_store_that_nobody_answers_for_is_removed_by_force_alone() {
    let alone = look(vec![stopped("h1", "a")], "");
    assert!(refused(&alone).contains("h1: its daemon does not run"), "{}", refused(&alone));
    let three = look(vec![stopped("h1", "a"), stopped("h2", "b"), stopped("h3", "c")], "");
    assert_eq!(refused(&three).lines().count(), 3);
    // A manager of another swarm than the one that answers.
    let mut strange = look(vec![stopped("h2", "z"), node_of("h1", "a", true)], "w");
    strange.swarm.as_mut().unwrap().nodes.retain(|node| node.id != "z");
    let stay = DownWish { stay: vec![1], ..DownWish::default() };
    assert!(plan_down(&strange, &stay).unwrap_err()[0].words.contains("does not run"));
    // One whose swarm answers; one that has left, or never was a manager.
    let known = look(vec![stopped("h2", "b"), node_of("h1", "a", true)], "mm");
    assert!(plan_down(&known, &stay).is_ok());
    let mut left = stopped("h1", "a");
    left.facts.store = false;
    assert!(plan_down(&look(vec![left], ""), &DownWish::default()).is_ok());
}

#[test]
fn a_daemon_that_is_not_well_goes_by_force_and_is_told_to_leave() {
    let odd = |name: &str, id: &str| {
        let mut seen = node_of(name, id, true);
        seen.standing = Standing::Odd("its store does not open".into());
        seen
    };
    let alone = look(vec![odd("h1", "a")], "");
    let words = "h1: its daemon is not well (its store does not open): mend it, or --force";
    assert_eq!(refused(&alone), words);
    let force = DownWish { force: true, ..DownWish::default() };
    let left = "h1 leave the swarm by force";
    assert!(told(&alone, &force).starts_with(left), "{}", told(&alone, &force));
    // Another one is asked: its tasks go first, and it is told itself, too.
    let mut both = look(vec![odd("h1", "a"), node_of("h2", "b", true)], "mm");
    both.swarm.as_mut().unwrap().nodes[0].manager = true;
    let stay = DownWish { stay: vec![1], force: true };
    let expected = format!(
        "h1 drain it: its tasks go to other nodes\n\nh1 make this manager a worker\n\n{left}\n\n\
         h1 take it out of the list of nodes\n\nh1 {OFF}\nh1 {CLEAN}"
    );
    assert_eq!(told(&both, &stay), expected);
}

#[test]
fn without_a_quorum_force_asks_nobody() {
    let force = DownWish { force: true, ..DownWish::default() };
    // Nobody leads now; and nobody would, afterwards.
    for others in ["MM", "M"] {
        let look = look(vec![node_of("h1", "a", true)], others);
        refused(&look);
        let steps = told(&look, &force);
        let expected = format!("h1 leave the swarm by force\n\nh1 {OFF}\nh1 {CLEAN}\n\n");
        assert!(steps.starts_with(&expected), "{steps}");
        assert!(steps.contains("docker node demote a; docker node rm --force a"), "{steps}");
    }
    let two = look(vec![node_of("h1", "a", true), node_of("h2", "b", false)], "mM");
    let words = told(&two, &force);
    assert!(
        words.starts_with("h2 leave the swarm by force\n\nh1 leave the swarm by force"),
        "{words}"
    );
    assert!(
        words.contains("--force-new-cluster") && words.ends_with("): docker node rm --force b")
    );
}
