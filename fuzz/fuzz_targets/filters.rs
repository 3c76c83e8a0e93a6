//! Filters: parsing takes anything, what parses encodes to text that parses to the same, and the
//! queries made of them never panic. The same properties run as `filters::tests` in swarm-docker.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swarm_docker::Filters;
use swarm_docker::container::ListFilter;
use swarm_docker::event::EventFilter;
use swarm_docker::network::NetworkFilter;
use swarm_docker::volume::VolumeFilter;

fuzz_target!(|data: (&str, &str)| {
    let (text, source) = data;
    let Ok(filters) = Filters::parse(text) else { return };
    let again = Filters::parse(&filters.encode());
    // A key that lost its last value says nothing; all that say something come back.
    for key in filters.keys() {
        let known = again.as_ref().map(|again| again.get(key)).unwrap_or_default();
        assert_eq!(known, filters.get(key));
        assert_eq!(filters.matcher(key).matches(source), filters.matcher(key).matches(source));
        let _ = (filters.flag(key), filters.exact(key, source), filters.fuzzy(key, source));
        let _ = filters.matches_kv(key, |_| Some(source));
    }
    let _ = ListFilter::parse(filters.clone());
    let _ = NetworkFilter::parse(filters.clone());
    let _ = VolumeFilter::parse(filters.clone());
    let _ = EventFilter::new(filters);
});
