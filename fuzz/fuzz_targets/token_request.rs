//! Requests to the token service: any line is read or refused, and what is read is within its bounds.
//! The same properties run as `route::tests` in swarm-token.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use swarm_token::{Call, read_call};

fuzz_target!(|raw: (u8, &str, Option<&str>)| {
    let (method, path, query) = raw;
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD];
    let method = &methods[usize::from(method) % methods.len()];
    match read_call(method, path, query) {
        Ok(Call::Nodes(_, Some(poll))) => assert!(poll.wait.as_secs() <= 600),
        Ok(Call::Register(_, ttl) | Call::Replace(_, ttl)) => {
            assert!((1..=2_592_000).contains(&ttl));
        }
        Ok(Call::Node(_, address) | Call::Deregister(_, address)) => assert!(address.len() <= 261),
        _ => {}
    }
});
