//! Discovery URLs and ranges: parsing takes anything; what parses stands for as many addresses as it
//! says, within the bound. The same properties run as `range::tests` and `url::tests` in
//! swarm-discovery.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swarm_discovery::{Discovery, DiscoveryOptions, Entry, MAX_ENTRIES, Pattern};

fuzz_target!(|text: &str| {
    match Pattern::parse(text) {
        Ok(pattern) => {
            assert!((1..=MAX_ENTRIES).contains(&pattern.count()));
            // Expanding the largest ones is only slow.
            if pattern.count() <= 4_096 {
                assert_eq!(pattern.expand().len(), pattern.count());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(entry) = text.parse::<Entry>() {
        assert_eq!(entry.to_string().parse::<Entry>().as_ref(), Ok(&entry));
    }
    match Discovery::parse(text, &DiscoveryOptions::new()) {
        Ok(backend) => assert!(!backend.describe().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
