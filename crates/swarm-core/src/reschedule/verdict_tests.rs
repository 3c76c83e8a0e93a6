//! The words are tested with the plan's; here is only what a plan does not show.

use super::super::fixture::engine;
use super::super::{Attempt, Settings};
use super::*;

#[test]
fn silence_counts_from_when_this_manager_watched() {
    let engine = engine("n1");
    let verdict = |since, watching| {
        let view = View {
            now: Millis(60_000),
            watching_since: Millis(watching),
            settings: Settings::default(),
            intents: &[],
            engines: &[],
            attempt: &|_| Attempt::None,
            removed: &|_| false,
            shared_volume: &|_| false,
            suitable: &|_| Ok(()),
        };
        let engine = EngineView {
            engine: &engine,
            state: State::Silent { since: Millis(since), error: "refused" },
            registration: Registration::NotApplicable,
            containers: &[],
        };
        Verdict::of(&engine, &view)
    };
    assert!(matches!(verdict(50_000, 0), Verdict::Failed(_)));
    assert!(matches!(verdict(50_001, 0), Verdict::Doubtful { again: Some(Millis(60_001)), .. }));
    assert!(matches!(verdict(0, 55_000), Verdict::Doubtful { again: Some(Millis(65_000)), .. }));
    assert!(!verdict(0, 0).works() && !verdict(0, 0).settled());
}
