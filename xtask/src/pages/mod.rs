//! The documentation as a set of pages: README, ARCHITECTURE, CONTRIBUTING and docs/*.md, what they
//! are called, what they link to, and which anchors they have.
//!
//! `tidy` looks whether the links lead anywhere, `site` makes HTML of them. Markdown is read by
//! pulldown-cmark. Invariants: an anchor is the one that GitHub gives a heading; the order is fixed.

mod anchor;

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

pub use anchor::Anchors;

/// A heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    pub level: HeadingLevel,
    pub text: String,
    pub anchor: String,
}

/// A link or picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// From 1.
    pub line: usize,
    pub target: String,
    /// The words of it.
    pub words: String,
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page {
    /// From the repository's root: `docs/pool.md`.
    pub path: String,
    pub text: String,
    pub headings: Vec<Heading>,
    pub links: Vec<Link>,
}

impl Page {
    /// Reads a page's text.
    pub fn new(path: &str, text: String) -> Self {
        let mut page =
            Self { path: path.to_owned(), text, headings: Vec::new(), links: Vec::new() };
        page.find();
        page
    }

    /// The text's parts; tables are read.
    pub fn events(&self) -> Parser<'_> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
    }

    /// Its first heading.
    pub fn title(&self) -> &str {
        self.headings.first().map_or(&self.path, |heading| &heading.text)
    }

    /// The lines of blocks of code that no fence makes.
    pub fn indented(&self) -> Vec<usize> {
        let blocks = self.events().into_offset_iter().filter_map(|(event, range)| match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => Some(range.start),
            _ => None,
        });
        blocks.map(|start| self.line(start)).collect()
    }

    /// The line of a place in the text, from 1.
    fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    fn find(&mut self) {
        let (mut headings, mut links, mut anchors) = (Vec::new(), Vec::new(), Anchors::default());
        let mut heading: Option<(HeadingLevel, String)> = None;
        let mut link: Option<Link> = None;
        for (event, range) in self.events().into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => heading = Some((level, String::new())),
                Event::End(TagEnd::Heading(_)) => {
                    if let Some((level, text)) = heading.take() {
                        let anchor = anchors.next(&text);
                        headings.push(Heading { level, text, anchor });
                    }
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    let line = self.line(range.start);
                    link = Some(Link { line, target: dest_url.to_string(), words: String::new() });
                }
                Event::End(TagEnd::Link | TagEnd::Image) => links.extend(link.take()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some((_, heading)) = &mut heading {
                        heading.push_str(&text);
                    }
                    if let Some(link) = &mut link {
                        link.words.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        (self.headings, self.links) = (headings, links);
    }
}

/// All pages of the repository at `root`, in order of their paths.
pub fn all(root: &Path) -> Result<Vec<Page>> {
    let mut paths = ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"].map(str::to_owned).to_vec();
    let folder = root.join("docs");
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|end| end == "md") {
            paths.push(format!("docs/{name}"));
        }
    }
    paths.sort();
    let read = |path: String| {
        let text = fs::read_to_string(root.join(&path)).with_context(|| path.clone())?;
        Ok(Page::new(&path, text))
    };
    paths.into_iter().map(read).collect()
}

/// Where a link on a page leads: a path from the repository's root, and an anchor there. None where it
/// leads out of the repository.
pub fn lead(page: &str, target: &str) -> Option<(String, Option<String>)> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (target, None),
    };
    if path.is_empty() {
        return Some((page.to_owned(), anchor));
    }
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let mut whole = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::Normal(name) => whole.push(name),
            _ => {}
        }
    }
    Some((whole.display().to_string(), anchor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_links_are_found() {
        let text = "# The `a` page\n\nsee [b *c*](b.md#x)\nand\n![p](images/p.png)\n\n## A b\n\
                    ```\n# no heading\n[no](link)\n```\n## A b\n";
        let page = Page::new("docs/a.md", text.to_owned());
        assert_eq!(page.title(), "The a page");
        let anchors: Vec<_> = page.headings.iter().map(|h| h.anchor.as_str()).collect();
        assert_eq!(anchors, ["the-a-page", "a-b", "a-b-1"]);
        let links: Vec<_> =
            page.links.iter().map(|l| (l.line, l.target.as_str(), l.words.as_str())).collect();
        assert_eq!(links, [(3, "b.md#x", "b c"), (5, "images/p.png", "p")]);
    }

    #[test]
    fn links_lead_from_their_page() {
        let found = |target| lead("docs/a.md", target);
        assert_eq!(found("b.md#x"), Some(("docs/b.md".into(), Some("x".into()))));
        assert_eq!(found("../README.md"), Some(("README.md".into(), None)));
        assert_eq!(found("#y"), Some(("docs/a.md".into(), Some("y".into()))));
        assert_eq!(found("https://example.com/"), None);
    }
}
