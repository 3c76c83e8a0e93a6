//! Whether the links of the documentation lead to a file that is there, and to a heading in it; whether
//! every page is in the documentation's index; and whether its blocks are such as the tests see: fenced.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::pages::{self, Page};

/// The page that names all others of its folder.
const INDEX: &str = "docs/README.md";

/// All links of the repository at `root` that lead nowhere.
pub fn check(root: &Path) -> Result<Vec<String>> {
    Ok(breaches(&pages::all(root)?, |path| root.join(path).exists()))
}

fn breaches(all: &[Page], there: impl Fn(&str) -> bool) -> Vec<String> {
    let by_path: BTreeMap<_, _> = all.iter().map(|page| (page.path.as_str(), page)).collect();
    let mut breaches = Vec::new();
    for page in all {
        for link in &page.links {
            let at = format!("{}:{}: the link {}", page.path, link.line, link.target);
            let Some((path, anchor)) = pages::lead(&page.path, &link.target) else { continue };
            let Some(anchor) = anchor else {
                if !there(&path) {
                    breaches.push(format!("{at}: there is no {path}"));
                }
                continue;
            };
            match by_path.get(path.as_str()) {
                None => breaches.push(format!("{at}: there is no page {path}")),
                Some(page) if page.headings.iter().any(|heading| heading.anchor == anchor) => {}
                Some(_) => breaches.push(format!("{at}: {path} has no heading {anchor}")),
            }
        }
    }
    for page in all.iter().filter(|page| page.path == "README.md" || page.path.starts_with("docs/"))
    {
        for line in page.indented() {
            let rule = "a block of code by its indent: fence it, so that it is run";
            breaches.push(format!("{}:{line}: {rule}", page.path));
        }
    }
    if let Some(index) = by_path.get(INDEX) {
        let named: Vec<_> =
            index.links.iter().filter_map(|link| pages::lead(INDEX, &link.target)).collect();
        for page in all.iter().filter(|page| page.path.starts_with("docs/") && page.path != INDEX) {
            if !named.iter().any(|(path, _)| *path == page.path) {
                breaches.push(format!("{}: {INDEX} does not name it", page.path));
            }
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_file_and_a_heading() {
        let pages = [
            Page::new("README.md", "# R\n[a](docs/a.md#one) [l](LICENSE) [w](https://w/)\n".into()),
            Page::new("docs/README.md", "[a](a.md)\n".into()),
            Page::new("docs/a.md", "# One\n[r](../README.md#r) [o](#one)\n".into()),
        ];
        let there = |path: &str| path == "LICENSE" || pages.iter().any(|page| page.path == path);
        assert_eq!(breaches(&pages, there), [""; 0]);
    }

    #[test]
    fn what_leads_nowhere_is_told_with_its_line() {
        let pages = [
            Page::new("docs/README.md", "# D\n".into()),
            Page::new("docs/a.md", "# A\n\n[x](b.md)\n[y](#two)\n[z](c.md#d)\n\n    code\n".into()),
        ];
        let found = breaches(&pages, |path| path == "docs/a.md");
        let begins = [
            "docs/a.md:3: ",
            "docs/a.md:4: ",
            "docs/a.md:5: ",
            "docs/a.md:7: a block",
            "docs/a.md: docs/README",
        ];
        assert_eq!(found.len(), begins.len(), "{found:?}");
        assert!(found.iter().zip(begins).all(|(told, begin)| told.starts_with(begin)), "{found:?}");
    }
}
