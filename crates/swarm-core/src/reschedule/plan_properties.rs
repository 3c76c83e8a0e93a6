//! What holds for every pool: plans that are carried out end, and leave nothing to do; nothing moves
//! that may not; the order in which things are listed changes nothing.

use proptest::prelude::{Just, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generate;
use serde_json::json;
use swarm_model::{Desired, Intent, Place, Policy};

use super::super::fixture::{NOW, Pool, at, going, intent, with};
use super::super::{Action, Millis, State};

const NAMES: [&str; 4] = ["n0", "n1", "n2", "n3"];

fn state() -> impl Generate<Value = State<'static>> {
    let silent = |ago: u64| State::Silent { since: Millis(NOW.0 - ago * 1_000), error: "timeout" };
    prop_oneof![
        3 => Just(State::Healthy { settled: true }),
        2 => (0u64..40).prop_map(silent),
        1 => Just(State::Unknown { since: Millis(0) }),
        1 => Just(State::Gone),
    ]
}

fn wanted(index: usize) -> impl Generate<Value = (Intent, Vec<(usize, u64, bool)>)> {
    let place = prop_oneof![
        3 => (0usize..4).prop_map(move |n| at(NAMES[n], &format!("i{index}-c0"))),
        1 => (0usize..4).prop_map(|n| going(NAMES[n])),
        1 => Just(Place::Nowhere { reason: "why".to_owned() }),
    ];
    let policy = prop_oneof![
        Just(Policy::Off),
        Just(Policy::OnNodeFailure),
        Just(Policy::OnNodeFailureWithVolumes)
    ];
    let desired =
        prop_oneof![Just(Desired::Created), Just(Desired::Running), Just(Desired::Stopped)];
    let copies = prop::collection::vec((0usize..4, 1u64..4, prop::bool::ANY), 0..4);
    let needs = prop::option::of(0usize..6);
    (place, policy, desired, 1u64..4, prop::bool::ANY, needs, copies).prop_map(
        move |(place, policy, desired, generation, data, needs, mut copies)| {
            let host = json!({
                "Binds": if data { vec!["data:/d"] } else { vec![] },
                "Links": needs.map(|other| vec![format!("i{other}:x")]).unwrap_or_default(),
            });
            let mut intent = with(intent(&format!("i{index}"), generation, place), &host);
            (intent.policy, intent.desired) = (policy, desired);
            // Copies of later generations stop everything, and have a test of their own.
            copies.retain(|(_, made_for, _)| *made_for <= generation);
            (intent, copies)
        },
    )
}

fn pool() -> impl Generate<Value = Pool> {
    let wanted: Vec<_> = (0..6).map(wanted).collect();
    (prop::collection::vec(state(), 4), wanted).prop_map(|(states, wanted)| {
        let mut pool = Pool::new(&NAMES);
        for (name, state) in NAMES.into_iter().zip(states) {
            pool = pool.state(name, state);
        }
        for (intent, copies) in wanted {
            for (number, (engine, generation, running)) in copies.into_iter().enumerate() {
                let id = format!("{}-c{number}", intent.id);
                pool = pool.has(NAMES[engine], &intent.id, generation, &id);
                let copies = &mut pool.engine(NAMES[engine]).copies;
                copies.last_mut().unwrap().running = running;
            }
            pool = pool.wants(intent);
        }
        pool
    })
}

proptest! {
    #[test]
    fn plans_that_are_carried_out_end_and_leave_one_copy(mut pool in pool()) {
        let before = pool.clone();
        let mut passes = 0;
        loop {
            let plan = pool.plan();
            if plan.steps.is_empty() {
                break;
            }
            passes += 1;
            prop_assert!(passes < 12, "still {:#?}", plan.steps);
            for step in &plan.steps {
                pool.apply(step);
            }
        }
        for intent in pool.intents.values() {
            let working = |state| matches!(state, State::Healthy { .. });
            let engines = pool.engines.iter().filter(|engine| working(engine.state));
            let on = engines
                .filter(|engine| engine.copies.iter().any(|copy| copy.intent == intent.id))
                .count();
            // While it is not known what became of the one that is wanted, no other is touched.
            let doubtful = |e: &&super::super::fixture::Engine| {
                Some(&e.who) == intent.place.engine()
                    && matches!(e.state, State::Silent { since, .. }
                        if pool.now - since < pool.settings.grace)
            };
            let doubtful = pool.engines.iter().any(|e| doubtful(&e));
            // Copies beside each other on one engine are somebody's who copies labels there.
            prop_assert!(on <= 1 || doubtful, "{} is on {} engines", intent.id, on);
            let old = &before.intents[&intent.id];
            prop_assert!(old.generation <= intent.generation);
            let stays = old.policy == Policy::Off
                || old.policy == Policy::OnNodeFailure
                    && !old.local_data(|_| false).is_empty();
            if let (true, Place::At { engine, .. }) = (stays, &old.place) {
                let away = |e: &&super::super::fixture::Engine| e.who == *engine && !working(e.state);
                if before.engines.iter().any(|e| away(&e)) && on == 0 {
                    prop_assert_eq!(&old.place, &intent.place);
                }
            }
        }
    }

    #[test]
    fn a_plan_says_the_same_whatever_the_order_of_what_it_is_told(pool in pool()) {
        let mut turned = pool.clone();
        turned.engines.reverse();
        for engine in &mut turned.engines {
            engine.copies.reverse();
        }
        prop_assert_eq!(pool.says(), turned.says());
    }

    #[test]
    fn nothing_is_lost_while_its_engine_works_or_is_given_time(pool in pool()) {
        for step in pool.plan().steps {
            let Action::Lose { from } = step.action else { continue };
            let engine = pool.engines.iter().find(|engine| engine.who == from).unwrap();
            match engine.state {
                State::Healthy { .. } => prop_assert!(false, "{} works", from.name),
                State::Silent { since, .. } | State::Unknown { since } => {
                    prop_assert!(pool.now - since >= pool.settings.grace);
                }
                State::Gone => {}
            }
        }
    }
}
