//! Every command block of README.md and docs/*.md, run: with the real program and the real `docker`, on
//! three machines with real engines.
//!
//! `DOCS=pool` runs only the blocks of pages whose name contains that, and says how long each took.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use swarm_e2e::Browser;
use swarm_e2e::docs::{Block, Need, What, World, all, root};

/// As many blocks may be left out, each with its reason.
const MOST_LEFT_OUT: usize = 4;

fn what(block: &Block) -> Option<&What> {
    block.need.as_ref().map(|need| &need.what)
}

#[test]
fn every_block_says_what_it_needs_and_few_are_left_out() -> Result<()> {
    let all = all()?;
    ensure!(all.len() > 80, "only {} blocks were found", all.len());
    let silent: Vec<_> = all.iter().filter(|b| b.need.is_none()).map(Block::place).collect();
    ensure!(
        silent.is_empty(),
        "these blocks say in no comment what they need (CONTRIBUTING.md tells how):\n{}",
        silent.join("\n")
    );
    let mut left_out = 0;
    for block in &all {
        if let Some(What::Not(reason)) = what(block) {
            left_out += 1;
            println!("{}: not run: {reason}", block.place());
        }
    }
    println!("{} blocks, {left_out} of them are not run", all.len());
    ensure!(left_out <= MOST_LEFT_OUT, "{left_out} blocks are not run, {MOST_LEFT_OUT} may be");
    Ok(())
}

#[test]
fn usage_blocks_are_what_help_says() -> Result<()> {
    let swarm = swarm_e2e::swarm()?;
    let mut looked = 0;
    for block in all()?.iter().filter(|block| what(block) == Some(&What::Usage)) {
        let words = block.lines[0].split_whitespace().skip(1);
        let words: Vec<_> = words.take_while(|word| word.starts_with(char::is_lowercase)).collect();
        let output = Command::new(swarm).args(&words).arg("--help").output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        for line in &block.lines {
            ensure!(said.contains(line.trim()), "{}: {line:?} is not in:\n{said}", block.place());
        }
        looked += 1;
    }
    ensure!(looked > 20, "only {looked} usage blocks");
    Ok(())
}

#[test]
fn commands_of_the_workspace_exist_with_their_flags() -> Result<()> {
    let mut looked = 0;
    for block in all()?.iter().filter(|block| what(block) == Some(&What::Cargo)) {
        for line in &block.lines {
            let line = line.split(" #").next().unwrap_or_default();
            let words: Vec<_> = line.split_whitespace().collect();
            let (program, words) = match words.as_slice() {
                [] | ["#", ..] => continue,
                ["cargo", "xtask", rest @ ..] => ("xtask", rest),
                ["cargo", "run", rest @ ..] => {
                    let package = rest.iter().position(|word| *word == "-p").map(|at| rest[at + 1]);
                    let own =
                        rest.iter().position(|word| *word == "--").map_or(rest.len(), |at| at + 1);
                    (package.unwrap_or("xtask"), &rest[own..])
                }
                _ => bail!("{}: `{line}` is no command of the workspace", block.place()),
            };
            program_knows(program, words)
                .map_err(|error| error.context(format!("{}: `{line}`", block.place())))?;
            looked += 1;
        }
    }
    ensure!(looked > 5, "only {looked} commands");
    Ok(())
}

/// Whether a program knows the verb and the flags: verbs of xtask by its help, flags by the source, for no
/// test builds all these programs.
fn program_knows(program: &str, words: &[&str]) -> Result<()> {
    let mut folder = root().join("crates").join(program).join("src");
    if program == "xtask" {
        let output = xtask()?.arg("help").args(words.first()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        folder = root().join("xtask/src");
    }
    let source = source(&folder)?;
    for flag in words.iter().filter_map(|word| word.strip_prefix("--")) {
        let field = format!(" {}: ", flag.replace('-', "_"));
        let named = [format!("\"--{flag}\""), format!("long = \"{flag}\"")];
        let known = source.contains(&field) || named.iter().any(|name| source.contains(name));
        ensure!(known, "{program} has no --{flag}");
    }
    Ok(())
}

/// All of a folder's source.
fn source(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            text.push_str(&source(&path)?);
        } else {
            text.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(text)
}

/// `cargo xtask`, as it is built already where it runs these tests.
fn xtask() -> Result<Command> {
    let built = std::env::current_exe()?.with_file_name("../xtask");
    if built.exists() {
        return Ok(Command::new(built));
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["run", "--quiet", "-p", "xtask", "--"]).current_dir(root());
    Ok(cargo)
}

#[tokio::test]
async fn the_site_is_read_and_searched_in_a_browser() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = folder.path().join("site");
    let made = xtask()?.args(["site", "--into"]).arg(&site).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let browser = Browser::start(1200, 900).await?;
    browser.open(&format!("file://{}", site.join("index.html").display())).await?;
    browser
        .until("a heading", "document.querySelector('h1')?.innerText.startsWith('swarm')")
        .await?;
    browser.run("document.querySelector('a[href=\"nodes.html\"]').click()").await?;
    browser.until("the page of nodes", "document.title === 'Nodes of a pool'").await?;
    browser
        .run(
            "const f = document.getElementById('search'); f.value = 'managers mistake'; \
              f.dispatchEvent(new Event('input'))",
        )
        .await?;
    let first = "document.querySelector('#found a')?.getAttribute('href')";
    let found = browser.until("what is found", first).await?;
    ensure!(found == "managers.html#two-managers-by-mistake", "{found}");
    // Dark and light: the button turns what the system chose.
    let back = "return getComputedStyle(document.body).backgroundColor";
    let before = browser.run(back).await?;
    browser.run("document.getElementById('light').click()").await?;
    ensure!(browser.run(back).await? != before, "the button does nothing");
    // Whatever the policy of the pages, or a file that is missing, had refused would be told here.
    let asked = "return performance.getEntriesByType('resource').map(entry => entry.name)";
    let asked = browser.run(asked).await?;
    let outside = asked
        .as_array()
        .into_iter()
        .flatten()
        .filter(|name| !name.as_str().unwrap_or_default().starts_with("file://"));
    ensure!(outside.count() == 0, "{asked}");
    browser.close().await
}

#[test]
fn every_block_does_what_its_page_says() -> Result<()> {
    let only = std::env::var("DOCS").unwrap_or_default();
    let all = all()?;
    let wanted = all.iter().filter(|block| {
        block.page.contains(&only) && block.need.as_ref().is_some_and(Need::needs_machines)
    });
    let mut world = World::boot()?;
    let (mut ran, mut wrong, mut lost) = (0, Vec::new(), String::new());
    for block in wanted {
        // What follows on the page builds upon what failed.
        if block.page == lost {
            continue;
        }
        let begun = Instant::now();
        ran += 1;
        if let Err(error) = world.run(block) {
            lost.clone_from(&block.page);
            wrong.push(format!("{error:#}"));
        }
        println!("{:>6} ms  {}", begun.elapsed().as_millis(), block.place());
    }
    ensure!(wrong.is_empty(), "{} pages are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
    ensure!(ran > 0, "no block ran");
    Ok(())
}
