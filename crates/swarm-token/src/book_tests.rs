//! Tests of the book: tables for its rules, and one property for its counts.

use proptest::prelude::*;

use super::*;

const DAY: Millis = 24 * 3_600_000;

fn book(limits: Limits) -> Book {
    Book::new(limits, 30 * DAY)
}

fn token(n: u128) -> Token {
    Token::from_bits(n)
}

fn set(book: &mut Book, token: Token) -> (u64, Vec<String>) {
    let cluster = book.open(token, 0).unwrap();
    (cluster.index(), cluster.nodes.keys().map(ToString::to_string).collect())
}

#[test]
fn the_index_moves_with_the_set_and_only_with_it() {
    let mut book = book(Limits::default());
    let token = token(1);
    book.create(token, 0).unwrap();
    let (empty, _) = set(&mut book, token);
    assert_eq!(book.register(token, "b:2", 60, 0), Ok(true));
    let (one, nodes) = set(&mut book, token);
    assert_ne!(empty, one);
    assert_eq!(nodes, ["b:2"]);

    book.kept(token, "b:2", 60);
    assert_eq!(book.register(token, "b:2", 60, 1_000), Ok(false), "a renewal is not written");
    assert_eq!(book.register(token, "b:2", 90, 1_000), Ok(true), "another length is");
    assert_eq!(set(&mut book, token).0, one);

    book.register(token, "a:1", 60, 1_000).unwrap();
    let (two, nodes) = set(&mut book, token);
    assert!(two != one && nodes == ["a:1", "b:2"]);
    assert_eq!(book.deregister(token, "a:1", 1_000), Ok(true));
    let index = set(&mut book, token).0;
    assert_eq!(book.deregister(token, "a:1", 1_000), Ok(true), "written again, and no news");
    assert_eq!(book.deregister(token, "c:1", 1_000), Ok(false));
    assert_eq!(set(&mut book, token).0, index);
    assert!(book.open(token, 0).unwrap().left.contains_key("a:1"));
    assert_eq!(set(&mut book, token).1, ["b:2"]);
    book.register(token, "a:1", 60, 1_000).unwrap();
    assert!(book.open(token, 0).unwrap().left.is_empty(), "who comes back has not left");
}

#[test]
fn what_was_not_written_is_written_at_the_next_renewal() {
    let mut book = book(Limits::default());
    book.create(token(1), 0).unwrap();
    assert_eq!(book.register(token(1), "a:1", 60, 0), Ok(true));
    assert_eq!(book.register(token(1), "a:1", 60, 0), Ok(true), "no word yet that it is on disk");
    book.kept(token(1), "a:1", 30);
    assert_eq!(book.register(token(1), "a:1", 60, 0), Ok(true), "another length is on disk");
}

#[test]
fn registrations_and_tokens_end_in_their_time() {
    let mut book = book(Limits::default());
    for n in [1, 2] {
        book.create(token(n), 0).unwrap();
    }
    book.register(token(1), "a:1", 60, 0).unwrap();
    book.register(token(1), "b:2", 120, 0).unwrap();
    let index = set(&mut book, token(1)).0;
    assert_eq!(book.expire(59_999), Ended::default());
    let ended = book.expire(60_000);
    assert_eq!(ended.nodes, [(token(1), "a:1".into())]);
    let (now, nodes) = set(&mut book, token(1));
    assert!(now != index && nodes == ["b:2"]);

    book.register(token(1), "b:2", 120, 29 * DAY).unwrap();
    assert_eq!(book.expire(30 * DAY - 1).clusters, [], "a token lasts while it is looked at");
    assert_eq!(book.expire(30 * DAY).clusters, [token(2)]);
    assert_eq!(book.open(token(2), 0).unwrap_err(), Refusal::UnknownToken);
    assert_eq!(book.expire(59 * DAY).clusters, [token(1)]);
    assert_eq!(book.nodes, 0);
}

#[test]
fn a_token_with_engines_does_not_expire_before_them() {
    let mut book = Book::new(Limits::default(), 1_000);
    book.create(token(1), 0).unwrap();
    book.register(token(1), "a:1", 60, 0).unwrap();
    assert_eq!(book.expire(59_000), Ended::default());
    assert_eq!(book.expire(60_000).clusters, [token(1)]);
}

#[test]
fn after_a_start_registrations_run_anew_and_tokens_can_be_used() {
    let mut book = book(Limits::default());
    let now = 1_000 * DAY;
    book.restore(token(1), 0, 0, now);
    book.restore(token(2), 0, 2 * now, now);
    assert!(book.restore_node(token(1), "a:1", Some(60), now));
    assert!(book.restore_node(token(1), "b:2", None, now));
    assert!(!book.restore_node(token(9), "a:1", Some(60), now));
    assert_eq!(book.expire(now + 59_999), Ended::default());
    assert_eq!(book.expire(now + 60_000).nodes.len(), 1);
    assert!(book.expire(now + 29 * DAY).clusters.is_empty());
    let mut idle = Book::new(Limits::default(), 30 * DAY);
    idle.restore(token(1), 0, 0, now);
    assert!(idle.expire(now + DAY - 1).clusters.is_empty(), "a day to be used again");
    assert_eq!(idle.expire(now + DAY).clusters, [token(1)]);
}

#[test]
fn bounds_are_told_and_hold() {
    let limits = Limits { clusters: 2, nodes_per_cluster: 2, nodes: 3, ..Limits::default() };
    let mut book = book(limits);
    book.create(token(1), 0).unwrap();
    book.create(token(2), 0).unwrap();
    assert_eq!(book.create(token(3), 0), Err(Refusal::TooManyClusters { limit: 2 }));
    for address in ["a:1", "b:2"] {
        book.register(token(1), address, 60, 0).unwrap();
    }
    let refused = book.register(token(1), "c:3", 60, 0);
    assert_eq!(refused, Err(Refusal::TooManyNodes { what: "a token", limit: 2 }));
    assert!(book.register(token(1), "a:1", 60, 0).is_ok(), "who is in may renew");
    book.register(token(2), "a:1", 60, 0).unwrap();
    let refused = book.register(token(2), "b:2", 60, 0);
    assert_eq!(refused, Err(Refusal::TooManyNodes { what: "the service", limit: 3 }));
    let both = ["x:1".into(), "y:1".into()];
    assert!(book.replace(token(2), both.to_vec(), 60, 0).is_err());
    assert_eq!(set(&mut book, token(2)).1, ["a:1"], "a refusal changes nothing");
    assert_eq!(book.deregister(token(1), "a:1", 0), Ok(true));
    assert!(book.register(token(1), "a:1", 60, 0).is_ok(), "who left has its place");
    assert!(book.remove(token(2)) && !book.remove(token(2)));
    assert_eq!(book.nodes, 2);
    assert_eq!(book.replace(token(4), both[..1].to_vec(), 60, 0), Ok(()));
}

#[test]
fn uses_are_written_seldom() {
    let mut book = book(Limits::default());
    book.create(token(1), 0).unwrap();
    book.open(token(1), 3_000).unwrap();
    assert_eq!(book.uses_to_keep(3_000, 9), []);
    book.open(token(1), 3_001).unwrap();
    assert_eq!(book.uses_to_keep(3_000, 9), [(token(1), 3_001)]);
    assert_eq!(book.uses_to_keep(3_000, 9), []);
}

proptest! {
    /// Whatever is done, the count of engines is the sum over the tokens.
    #[test]
    fn the_count_is_the_sum(steps in proptest::collection::vec((0u8..6, 0u128..3, 0u8..4), 0..80)) {
        let limits = Limits { clusters: 3, nodes_per_cluster: 3, nodes: 5, ..Limits::default() };
        let mut book = Book::new(limits, 400_000);
        let mut now = 0;
        for (what, n, host) in steps {
            let (token, address) = (token(n), format!("h{host}:1"));
            let _ = match what {
                0 => book.create(token, now),
                1 | 2 => book.register(token, &address, 60, now).map(drop),
                3 => book.deregister(token, &address, now).map(drop),
                4 => book.replace(token, vec![address.into()], 30, now),
                _ => { now += 45_000; book.expire(now); Ok(()) }
            };
            let sum: usize = book.all().map(|(_, c)| c.nodes.len() + c.left.len()).sum();
            prop_assert_eq!(sum, book.nodes);
            prop_assert!(book.nodes <= 5);
        }
    }
}
