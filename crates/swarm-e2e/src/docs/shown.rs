//! Whether what a command printed is what the documentation shows of it.
//!
//! Numbers, ids, times and sizes differ from run to run; words do not. So the words of the documentation
//! that hold no digit must be printed, in their order; paths, `…` and `...` stand for anything. That finds a
//! changed message, column or state, and passes whatever else a machine makes different.

/// Words that tell a time, which may be told in others.
const TIME: [&str; 14] = [
    "About", "Less", "than", "a", "an", "ago", "second", "seconds", "minute", "minutes", "hour",
    "hours", "Up", "Created",
];

/// The first word that is shown and was not printed (where it had to be), if there is one.
pub fn missing<'a>(shown: &'a [String], printed: &str) -> Option<&'a str> {
    let mut printed = words(printed);
    shown
        .iter()
        .flat_map(|line| words(line))
        .filter(|word| !TIME.contains(word) && !word.contains('…') && !word.contains("..."))
        // A path is one machine's.
        .filter(|word| !word.starts_with('/'))
        .find(|word| !printed.any(|other| other == *word))
}

/// What stands between blanks and punctuation, if there is no digit in it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let between = |c: char| c.is_whitespace() || "()[]{}\"'`,;:=|".contains(c);
    text.split(between)
        .map(|word| word.trim_matches(|c: char| ".→-".contains(c)))
        .filter(|word| !word.is_empty() && !word.contains(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn words_count_and_numbers_do_not() {
        let shown = lines("ID   NAME     STATUS\n5f0c web Up 2 seconds, 10.0.0.12:80->80/tcp");
        let printed = "ID     NAME   STATUS       PORTS\nab12   web    Up Less than a second   …";
        assert_eq!(missing(&shown, printed), None);
        assert_eq!(missing(&lines("ID STATUS NAME"), printed), Some("NAME"));
        assert_eq!(missing(&lines("ID stopped"), printed), Some("stopped"));
    }

    #[test]
    fn wrapped_lines_and_ellipses_are_no_difference() {
        let shown = lines("no suitable node (no\nresources: 64 GiB wanted, …)");
        let printed = "error: no suitable node (no resources: 9 GiB wanted, node-1 has 3)";
        assert_eq!(missing(&shown, printed), None);
    }
}
