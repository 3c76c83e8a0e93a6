//! Why a test program failed, in the few lines of all it said that tell it: hundreds of others' follow
//! them, and where only an end is kept they are not in it.

/// As many lines of one reason.
const LINES: usize = 20;
/// As many reasons of one program.
const REASONS: usize = 4;

/// What begins a reason: what a test returned, or where it panicked.
fn begins(line: &str) -> bool {
    line.starts_with("Error: ") || (line.starts_with("thread '") && line.contains(" panicked at "))
}

/// What ends one.
fn ends(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("Stack backtrace:")
        || line.starts_with("stack backtrace:")
        || line.starts_with("note: run with `RUST_BACKTRACE")
        || (line.starts_with("test ") && line.contains(" ... "))
}

/// The reasons in what a program said.
pub fn reasons(said: &str) -> String {
    let mut lines = said.lines().peekable();
    let mut told = String::new();
    for _ in 0..REASONS {
        let Some(first) = lines.by_ref().find(|line| begins(line)) else { break };
        told.push_str(first.trim_end());
        told.push('\n');
        for _ in 1..LINES {
            let Some(line) = lines.next_if(|line| !begins(line) && !ends(line)) else { break };
            if !line.trim().is_empty() {
                told.push_str(line.trim_end());
                told.push('\n');
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_and_nothing_else() {
        let said = "running 2 tests\n\
                    test fine ... ok\n\
                    Error: 1 pages are wrong:\n\n\
                    docs/nodes.md:35: `swarm status`: it said no\n\n\
                    Stack backtrace:\n   0: somewhere\n\
                    thread 'other' (17) panicked at tests/docs.rs:3:5:\n\
                    a word is missing\n\
                    note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\
                    test other ... FAILED\n\
                    failures:\n    other\n";
        let told = reasons(said);
        assert_eq!(
            told,
            "Error: 1 pages are wrong:\n\
             docs/nodes.md:35: `swarm status`: it said no\n\
             thread 'other' (17) panicked at tests/docs.rs:3:5:\n\
             a word is missing\n"
        );
        assert_eq!(reasons("test fine ... ok\n"), "");
    }

    #[test]
    fn endless_ones_are_cut() {
        let said = format!("Error: all\n{}", "more\n".repeat(100)).repeat(9);
        assert_eq!(reasons(&said).lines().count(), REASONS * LINES);
    }
}
