//! Query strings: parsing takes anything, and what is encoded again parses to the same pairs. The
//! same properties run as `query::tests` in swarm-docker.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swarm_docker::Query;

fuzz_target!(|raw: &str| {
    let query = Query::parse(raw);
    assert_eq!(Query::parse(&query.encode()), query);
    for (key, value) in query.pairs() {
        assert!(query.all(key).any(|found| found == value));
        let _ = (query.flag(key), query.number(key));
    }
});
