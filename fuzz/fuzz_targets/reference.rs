//! Image references: whatever parses prints, in either form, to text that parses to the same
//! reference; looking a name up among others never panics. The same properties run as
//! `reference::tests` in swarm-docker.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swarm_docker::reference::{ImageName, Reference};

fuzz_target!(|data: (&str, &str)| {
    let (text, tag) = data;
    if let Ok(reference) = Reference::parse(text) {
        assert_eq!(Reference::parse(&reference.canonical()).as_ref(), Ok(&reference));
        assert_eq!(Reference::parse(&reference.familiar()).as_ref(), Ok(&reference));
    }
    if let Ok(reference) = Reference::with_tag(text, tag) {
        assert_eq!(Reference::parse(&reference.canonical()).as_ref(), Ok(&reference));
    }
    let _ = ImageName::parse(text);
});
