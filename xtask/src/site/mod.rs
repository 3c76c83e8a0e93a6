//! `cargo xtask site`: the documentation as a site of static pages, in `target/site`.
//!
//! - `map`: which page becomes which file, and what stands in the navigation. Pure.
//! - `render`: a page's Markdown to HTML, and what the search knows of it. Pure.
//!
//! Invariants: the same pages make the same bytes; nothing outside of the folder is asked for, which the
//! pages themselves forbid to browsers; the folder appears whole.

mod map;
mod render;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::cargo::root;
use crate::pages::{self, Page};

use map::Map;

/// Flags of `cargo xtask site`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder, which is replaced [default: target/site]
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

/// What all pages share, embedded.
const STYLE: &str = include_str!("site.css");
const SCRIPT: &str = include_str!("site.js");

/// In each folder that this command made: only such a one is replaced.
const MARK: &str = "site.js";

pub fn run(args: &Args) -> Result<()> {
    let into = args.into.clone().unwrap_or_else(|| root().join("target/site"));
    let files = files(&root(), &pages::all(&root())?)?;
    write(&into, &files)?;
    println!("{} files; open {}", files.len(), into.join("index.html").display());
    Ok(())
}

/// All files of the site, by their paths in it.
pub fn files(root: &Path, all: &[Page]) -> Result<BTreeMap<String, Vec<u8>>> {
    let map = Map::new(all)?;
    let mut files = BTreeMap::new();
    let mut found = Vec::new();
    for page in all {
        let html = render::page(page, &map);
        found.extend(render::sections(page));
        files.insert(Map::file(&page.path), html.into_bytes());
        for link in &page.links {
            let Some((path, _)) = pages::lead(&page.path, &link.target) else { continue };
            if let Some(place) = map.copied(&path) {
                let content = fs::read(root.join(&path));
                let at = || format!("{}:{}: {path}", page.path, link.line);
                files.insert(place, content.with_context(at)?);
            }
        }
    }
    files.insert("site.css".into(), STYLE.into());
    files.insert("site.js".into(), SCRIPT.into());
    let found = serde_json::to_string(&found)?;
    files.insert("search.js".into(), format!("const SECTIONS = {found};\n").into_bytes());
    Ok(files)
}

fn write(into: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let name = into.file_name().context("the folder has no name")?.to_string_lossy();
    if into.exists() && !into.join(MARK).exists() {
        bail!("{} is there and is no site of ours; name another folder", into.display());
    }
    // Beside it, so that it can take its place; it is removed when anything fails.
    let parent = into.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let new = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)?;
    for (path, content) in files {
        let path = new.path().join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    if into.exists() {
        fs::remove_dir_all(into)?;
    }
    fs::rename(new.keep(), into).with_context(|| into.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sites_links_lead_to_its_files_and_anchors() {
        let files = files(&root(), &pages::all(&root()).unwrap()).unwrap();
        let text =
            |name: &str| files.get(name).map(|file| String::from_utf8_lossy(file).into_owned());
        let mut looked = 0;
        for name in pages::all(&root()).unwrap().iter().map(|page| Map::file(&page.path)) {
            let html = text(&name).unwrap();
            for part in html.split(" href=\"").chain(html.split(" src=\"")).skip(1) {
                let target = part.split('"').next().unwrap();
                if target.starts_with("https://") || target.starts_with('<') {
                    continue;
                }
                let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
                let file = if file.is_empty() { name.as_str() } else { file };
                assert!(files.contains_key(file), "{name}: {target}");
                let anchored = text(file).unwrap().contains(&format!(" id=\"{anchor}\""));
                assert!(anchor.is_empty() || anchored, "{name}: {target}");
                looked += 1;
            }
        }
        assert!(looked > 1000, "only {looked} links");
    }

    #[test]
    fn it_is_the_same_each_time_and_replaces_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("site");
        let pages = pages::all(&root()).unwrap();
        let made = files(&root(), &pages).unwrap();
        assert!(made == files(&root(), &pages).unwrap());
        write(&into, &made).unwrap();
        fs::write(into.join("old.html"), "").unwrap();
        write(&into, &made).unwrap();
        assert!(!into.join("old.html").exists() && into.join("index.html").exists());
        let other = folder.path().join("mine");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("letter"), "").unwrap();
        assert!(write(&other, &made).is_err());
        assert!(other.join("letter").exists());
    }
}
