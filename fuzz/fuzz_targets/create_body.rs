//! Create bodies: extraction never panics, changes nothing when it refuses, and is stable when it is
//! repeated. The same properties run as `extract::tests` in swarm-core.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swarm_core::placement::request::Request;

fuzz_target!(|data: &[u8]| {
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    let mut given = body.clone();
    match Request::from_create_body("x", &mut given) {
        Err(_) => assert_eq!(given, body),
        Ok(first) => {
            let once = given.clone();
            let second = Request::from_create_body("x", &mut given);
            assert_eq!(second, Ok(first));
            assert_eq!(once, given);
        }
    }
});
