//! The documentation, run: every fenced block of README.md and docs/*.md says in a comment before it
//! what it needs, and a test does what it says (`tests/docs.rs`).
//!
//! - `block`: the blocks of a page, and what stands before and after each. Pure.
//! - `need`: what such a comment may say. Pure.
//! - `steps`: a block's lines as commands, and what it shows of their output.
//! - `shown`: whether what was printed is what is shown. Pure.
//! - `script`: commands as one script, and what each of them said. Pure.
//! - `world`: three machines on which they run.
//!
//! How a page's author writes such comments is in CONTRIBUTING.md. Invariant: a block without a comment
//! fails, so that no example is forgotten.

mod block;
mod need;
mod script;
mod shown;
mod steps;
mod world;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

pub use block::{Block, blocks};
pub use need::{Need, What};
pub use world::World;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All blocks of README.md and docs/*.md, page by page, in order.
pub fn all() -> Result<Vec<Block>> {
    let root = root();
    let mut pages = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root.join("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|end| end == "md") {
            pages.push(format!("docs/{name}"));
        }
    }
    pages.sort();
    let mut all = Vec::new();
    for page in pages {
        let text = fs::read_to_string(root.join(&page)).with_context(|| page.clone())?;
        all.extend(blocks(&page, &text)?);
    }
    Ok(all)
}
