//! The fenced blocks of a page, each with what the comments around it say.
//!
//! A comment right before a block (blank lines between do not count) says what it needs; comments
//! `<!-- then …` after it hold commands that must succeed once it has run; `<!-- every block: …` speaks
//! for all blocks of its page that have no comment of their own. Renderers show none of them.

use anyhow::{Context as _, Result, bail};

use super::need::Need;

/// One block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The page, from the repository's root.
    pub page: String,
    /// The line of its opening fence, from 1.
    pub line: usize,
    pub lines: Vec<String>,
    /// None where nothing says it.
    pub need: Option<Need>,
    /// What is looked at after it.
    pub then: Vec<String>,
}

impl Block {
    /// Where it is, as compilers write it.
    pub fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }
}

/// An open fence: how it is closed, and what stands before each of its lines.
struct Fence {
    mark: String,
    indent: usize,
}

/// The blocks of a page's text.
pub fn blocks(page: &str, text: &str) -> Result<Vec<Block>> {
    let mut found: Vec<Block> = Vec::new();
    let (mut everywhere, mut before): (Option<Need>, Option<Need>) = (None, None);
    let mut fence: Option<Fence> = None;
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let place = || format!("{page}:{}", at + 1);
        if let (Some(open), Some(block)) = (&fence, found.last_mut()) {
            if line.trim() == open.mark {
                fence = None;
            } else {
                let indent = open.indent.min(line.len() - line.trim_start().len());
                block.lines.push(line[indent..].to_owned());
            }
            continue;
        }
        let start = line.trim_start();
        let ticks = start.len() - start.trim_start_matches('`').len();
        if ticks >= 3 {
            fence = Some(Fence { mark: "`".repeat(ticks), indent: line.len() - start.len() });
            let need = before.take().or_else(|| everywhere.clone());
            let (page, line) = (page.to_owned(), at + 1);
            found.push(Block { page, line, lines: Vec::new(), need, then: Vec::new() });
        } else if let Some(comment) = start.strip_prefix("<!--") {
            let mut comment = comment.to_owned();
            while !comment.contains("-->") {
                let next = lines.next().with_context(place).context("a comment without end")?;
                comment.push('\n');
                comment.push_str(next.1);
            }
            let comment = comment.split("-->").next().unwrap_or_default().trim();
            if let Some(rest) = comment.strip_prefix("every block:") {
                everywhere = Need::parse(rest).with_context(place)?;
            } else if let Some(rest) = comment.strip_prefix("then\n") {
                let block =
                    found.last_mut().with_context(place).context("`then` after no block")?;
                block.then.extend(rest.lines().map(str::to_owned));
            } else {
                let need = Need::parse(comment).with_context(place)?;
                if need.is_some() && before.is_some() {
                    bail!("{}: a second comment before one block", place());
                }
                before = need.or(before);
            }
        } else if !start.is_empty() && before.is_some() {
            bail!("{}: the comment before this line speaks of no block", place());
        }
    }
    if fence.is_some() {
        bail!("{page}: a block without end");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::need::What;

    #[test]
    fn blocks_are_found_with_their_comments() {
        let text = "# A\n<!-- run: pool\nls -->\n\n```sh\na\n\n  b\n```\n<!-- then\nc\n-->\n\n\
                    - an item\n  ````\n  d\n  ```\n  ````\n";
        let found = blocks("a.md", text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].place(), "a.md:5");
        assert_eq!(found[0].lines, ["a", "", "  b"]);
        assert_eq!(found[0].need.as_ref().unwrap().given, ["ls"]);
        assert_eq!(found[0].then, ["c"]);
        assert_eq!(
            (found[1].lines.clone(), found[1].need.clone()),
            (vec!["d".into(), "```".into()], None)
        );
    }

    #[test]
    fn a_pages_comment_speaks_for_all_its_blocks_but_those_with_their_own() {
        let text = "<!-- every block: usage -->\n```\na\n```\n<!-- cargo -->\n```\nb\n```\n";
        let kinds: Vec<_> =
            blocks("a.md", text).unwrap().into_iter().map(|b| b.need.unwrap().what).collect();
        assert_eq!(kinds, [What::Usage, What::Cargo]);
    }

    #[test]
    fn what_is_misplaced_is_told_with_its_line() {
        for (text, says) in [
            ("<!-- run: pool -->\nwords\n```\na\n```\n", "a.md:2"),
            ("<!-- run: pool -->\n<!-- cargo -->\n```\n```\n", "second comment"),
            ("```\na\n", "without end"),
            ("<!-- run: pool\n", "without end"),
            ("<!-- then\na -->\n", "after no block"),
            ("\n<!-- run: what -->\n```\n```\n", "a.md:2"),
        ] {
            let error = format!("{:#}", blocks("a.md", text).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
