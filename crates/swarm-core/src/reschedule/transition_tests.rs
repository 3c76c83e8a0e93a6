//! Each rewriting, and what it does to the generation.

use super::super::fixture::{at, engine, intent};
use super::*;

#[test]
fn a_move_is_one_generation_and_one_note() {
    let web = intent("web", 1, at("n1", "c1"));
    let lost = lost(&web, "n1 failed", 7);
    assert_eq!((lost.generation, lost.place.engine()), (2, None));
    let going = going(&lost, &engine("n2"));
    let there = arrived(&going, &engine("n2"), "c2");
    assert_eq!((there.generation, &there.place), (2, &at("n2", "c2")));
    let note =
        Moved { at: 7, from: engine("n1"), to: Some(engine("n2")), reason: "n1 failed".to_owned() };
    assert_eq!(there.moves, [note]);
    assert_eq!(moving(&web, &engine("n2"), "n1 failed", 7), going);
}

#[test]
fn each_further_create_has_a_generation_of_its_own() {
    let first = intent("web", 1, Place::Going { to: engine("n1") });
    assert_eq!(abandoned(&first, "why"), None);
    let second = retried(&first, &engine("n2"));
    assert_eq!((second.generation, may_have_copies(&second)), (2, true));
    assert_eq!(abandoned(&second, "no client was told of a success"), None);

    let moved = moving(&intent("web", 1, at("n1", "c1")), &engine("n2"), "drained", 0);
    let again = abandoned(&moved, "n2 failed").unwrap();
    assert_eq!((again.generation, again.moves[0].to.as_ref()), (3, None));
    assert_eq!(going(&again, &engine("n3")).moves[0].to, Some(engine("n3")));
}

#[test]
fn a_move_off_a_working_engine_keeps_the_generation_and_makes_the_old_copy_the_one_too_many() {
    let web = intent("web", 3, at("n1", "c1"));
    let there = super::moved(&web, &engine("n2"), "c2", "drained", 7);
    assert_eq!((there.generation, &there.place), (3, &at("n2", "c2")));
    let note =
        Moved { at: 7, from: engine("n1"), to: Some(engine("n2")), reason: "drained".to_owned() };
    assert_eq!(there.moves, [note]);
    assert!(may_have_copies(&there), "so that one that never ran is started");
}
