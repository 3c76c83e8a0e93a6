//! Scheduling expressions: whatever parses prints back to the same text, and matching never panics.
//! The same properties run as `expr::tests` in swarm-core.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swarm_core::placement::expr::Expr;

fuzz_target!(|data: (&str, &str)| {
    let (text, what) = data;
    match Expr::parse(text) {
        Ok(expr) => {
            assert_eq!(expr.to_string(), text);
            assert_eq!(Expr::parse(&expr.to_string()).as_ref(), Ok(&expr));
            assert_eq!(expr.matches([what]), expr.holds(expr.covers(what)));
        }
        Err(error) => assert!(error.offset <= text.len() && !error.to_string().is_empty()),
    }
});
