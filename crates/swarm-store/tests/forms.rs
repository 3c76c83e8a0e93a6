//! What released versions wrote into logs and snapshots: commands, their outcomes, the state as a whole, and the
//! bounds by which every replica has to judge alike.

// A test's own set-up fails the test by failing.
#![allow(clippy::unwrap_used)]

use anyhow::Result;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use swarm_store::{
    Command, Done, Due, LARGEST_TRANSACTION, LARGEST_VALUE, LONGEST_KEY, Loader, MOST_CHANGES,
    MOST_LEASES, Machine, Outcome, Pinned, QUOTA, Refusal, Transaction, When,
};
use swarm_testkit::forms::{Form, check};

fn of<T: Serialize + DeserializeOwned>(name: &'static str, sample: &T) -> Form<'static> {
    let again = |bytes: &[u8]| Ok(postcard::to_stdvec(&postcard::from_bytes::<T>(bytes)?)?);
    Form::placed(name, postcard::to_stdvec(sample).unwrap(), again)
}

fn pinned() -> Pinned {
    Pinned { key: "docker/swarm/leader".to_owned(), revision: 70_000 }
}

fn put(key: &str, value: &'static str, when: When) -> Command {
    let (key, value) = (key.to_owned(), Bytes::from_static(value.as_bytes()));
    Command::Put { key, value, when, lease: Some("0b".repeat(16)), guard: Some(pinned()) }
}

fn transaction() -> Transaction {
    Transaction {
        expects: vec![
            ("swarm/services/a".to_owned(), When::At(300)),
            ("swarm/guards/services".to_owned(), When::Absent),
        ],
        puts: vec![("swarm/services/a".to_owned(), Bytes::from_static(b"{\"ID\":\"a\"}"))],
        deletes: vec!["swarm/tasks/b".to_owned()],
    }
}

fn commands() -> Vec<Form<'static>> {
    let lease = || "0b".repeat(16);
    vec![
        of("command put", &put("pool/nodes/a", "10.0.0.11:2375", When::At(300))),
        of("command put, new", &put("pool/nodes/a", "", When::Absent)),
        of(
            "command delete",
            &Command::Delete { key: "k".to_owned(), when: When::Always, guard: Some(pinned()) },
        ),
        of("command grant", &Command::Grant { lease: lease(), ttl: 60_000 }),
        of("command renew", &Command::Renew { lease: lease() }),
        of("command revoke", &Command::Revoke { lease: lease() }),
        of(
            "command expire",
            &Command::Expire { due: vec![Due { lease: lease(), renewals: 1_000 }] },
        ),
        of("command renew all", &Command::RenewAll { leases: vec![7, u128::MAX] }),
        of("command transact", &Command::Transact(transaction())),
    ]
}

fn outcomes() -> Vec<Form<'static>> {
    let key = || "swarm/services/a".to_owned();
    let refused = |refusal| -> Outcome { Err(refusal) };
    vec![
        of("outcome written", &Outcome::Ok(Done::Written(70_000))),
        of("outcome deleted", &Outcome::Ok(Done::Deleted)),
        of("outcome leased", &Outcome::Ok(Done::Leased)),
        of("outcome ended", &Outcome::Ok(Done::Ended(300))),
        of("outcome renewed", &Outcome::Ok(Done::Renewed { over: vec![7] })),
        of("outcome conflict", &refused(Refusal::Conflict(key()))),
        of("outcome fenced", &refused(Refusal::Fenced(key()))),
        of("outcome lease lost", &refused(Refusal::LeaseLost("0b".repeat(16)))),
        of("outcome bound", &refused(Refusal::Bound("it is full".to_owned()))),
        of("outcome too large", &refused(Refusal::TooLarge { key: key(), size: 5 << 20 })),
    ]
}

/// Leases, values with and without one, and a revision.
fn snapshot() -> Vec<u8> {
    let mut machine = Machine::default();
    let lease = "0b".repeat(16);
    machine.apply(Command::Grant { lease: lease.clone(), ttl: 60_000 }, 0).unwrap();
    machine.apply(Command::Renew { lease: lease.clone() }, 1).unwrap();
    let leased = Command::Put {
        key: "pool/nodes/a".to_owned(),
        value: Bytes::from_static(b"10.0.0.11:2375"),
        when: When::Absent,
        lease: Some(lease),
        guard: None,
    };
    machine.apply(leased, 2).unwrap();
    let mut more = transaction();
    more.expects.clear();
    machine.apply(Command::Transact(more), 3).unwrap();
    chunk(&machine)
}

fn chunk(machine: &Machine) -> Vec<u8> {
    machine.snapshot().chunks().next().unwrap()
}

fn loaded(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut loader = Loader::new(0);
    loader.take(bytes)?;
    Ok(chunk(&loader.finish()?))
}

/// Every replica decides by these whether it takes what is in the log: two versions that have different ones
/// come to different states.
fn bounds() -> Form<'static> {
    let today = format!(
        "key {LONGEST_KEY} value {LARGEST_VALUE} transaction {LARGEST_TRANSACTION} changes \
         {MOST_CHANGES} leases {MOST_LEASES} quota {QUOTA}"
    );
    let same = today.clone().into_bytes();
    Form::placed("bounds", today.into_bytes(), move |_| Ok(same.clone()))
}

#[test]
fn what_released_versions_wrote_is_read() {
    let mut forms = commands();
    forms.extend(outcomes());
    forms.push(Form::placed("snapshot", snapshot(), loaded));
    forms.push(bounds());
    check(env!("CARGO_MANIFEST_DIR"), env!("CARGO_PKG_VERSION"), &forms).unwrap();
}
