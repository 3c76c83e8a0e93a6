//! Which page becomes which file, and the navigation: the sections of docs/README.md, in its order.

use std::path::Path;

use anyhow::{Context as _, Result};
use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};

use crate::pages::{Page, lead};

/// The page whose headings and links are the navigation.
const INDEX: &str = "docs/README.md";

/// A page in the navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub words: String,
    pub file: String,
}

/// The site's plan.
#[derive(Debug)]
pub struct Map {
    paths: Vec<String>,
    /// Headings with their pages.
    pub sections: Vec<(String, Vec<Entry>)>,
}

impl Map {
    /// Of these pages.
    pub fn new(all: &[Page]) -> Result<Self> {
        let paths = all.iter().map(|page| page.path.clone()).collect();
        let index = all.iter().find(|page| page.path == INDEX).context("no docs/README.md")?;
        Ok(Self { paths, sections: Self::navigation(index) })
    }

    fn navigation(index: &Page) -> Vec<(String, Vec<Entry>)> {
        let mut sections: Vec<(String, Vec<Entry>)> = Vec::new();
        let (mut heading, mut open): (Option<String>, Option<Entry>) = (None, None);
        for event in index.events() {
            match event {
                Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => {
                    heading = Some(String::new());
                }
                Event::End(TagEnd::Heading(HeadingLevel::H2)) => {
                    sections.extend(heading.take().map(|heading| (heading, Vec::new())));
                }
                Event::Start(Tag::Link { dest_url, .. }) => {
                    let file = lead(INDEX, &dest_url).map(|(path, _)| Self::file(&path));
                    open = file.map(|file| Entry { words: String::new(), file });
                }
                Event::End(TagEnd::Link) => {
                    let entries = sections.last_mut().map(|(_, entries)| entries);
                    if let (Some(entry), Some(entries)) = (open.take(), entries) {
                        entries.push(entry);
                    }
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                    if let Some(entry) = &mut open {
                        // In the navigation a page is called by its name alone.
                        entry
                            .words
                            .push_str(text.trim_start_matches("../").trim_end_matches(".md"));
                    }
                }
                _ => {}
            }
        }
        sections
    }

    /// The file of a page in the site.
    pub fn file(path: &str) -> String {
        match path {
            "README.md" => "index.html".to_owned(),
            INDEX => "documentation.html".to_owned(),
            _ => {
                let name = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
                format!("{}.html", name.to_lowercase())
            }
        }
    }

    fn is_page(&self, path: &str) -> bool {
        self.paths.iter().any(|known| known == path)
    }

    /// Where another file that a page links to is put; none for pages.
    pub fn copied(&self, path: &str) -> Option<String> {
        (!self.is_page(path)).then(|| format!("files/{path}"))
    }

    /// What a link on a page becomes in the site.
    pub fn target(&self, page: &str, target: &str) -> String {
        let Some((path, anchor)) = lead(page, target) else { return target.to_owned() };
        let file = self.copied(&path).unwrap_or_else(|| Self::file(&path));
        match anchor {
            Some(anchor) if path == page => format!("#{anchor}"),
            Some(anchor) => format!("{file}#{anchor}"),
            None => file,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn navigation_and_targets_follow_the_index() {
        let page = |path: &str, text: &str| Page::new(path, text.to_owned());
        let all = [
            page("README.md", "# R\n"),
            page(
                "docs/README.md",
                "# D\n[a](a.md)\n## One\n| [a](a.md) | [../B](../B.md) |\n## Two\n",
            ),
            page("docs/a.md", "# A\n"),
            page("B.md", "# B\n"),
        ];
        let map = Map::new(&all).unwrap();
        let entry = |words: &str, file: &str| Entry { words: words.into(), file: file.into() };
        let one = vec![entry("a", "a.html"), entry("B", "b.html")];
        assert_eq!(map.sections, [("One".to_owned(), one), ("Two".to_owned(), Vec::new())]);
        assert_eq!(map.target("docs/a.md", "../README.md#r"), "index.html#r");
        assert_eq!(map.target("docs/a.md", "#x"), "#x");
        assert_eq!(map.target("README.md", "LICENSE"), "files/LICENSE");
        assert_eq!(map.target("README.md", "https://x/"), "https://x/");
    }
}
