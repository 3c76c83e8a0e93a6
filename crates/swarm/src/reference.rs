//! `docs/cli.md`: every command and flag, written from the command line itself, and checked to be so.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;

const HEAD: &str = "\
# Commands and flags
Written from the program itself; a test compares them. Render it again with
`UPDATE_CLI_REFERENCE=1 cargo test -p swarm reference`. What flags mean together is on each subsystem's
own page. A variable in `[env: …]` counts where its flag is not given.

<!-- every block: usage -->
";

/// The whole page.
fn page() -> String {
    let mut root = Cli::command();
    // What is inherited is written out once, under the first heading.
    root.build();
    let mut page = HEAD.to_owned();
    let everywhere: Vec<_> = shown(&root).filter(|arg| arg.is_global_set()).cloned().collect();
    page.push_str("\n## Every command\n");
    options(&mut page, everywhere.iter());
    for command in root.get_subcommands() {
        describe(&mut page, command, "swarm", 2);
    }
    page
}

fn describe(page: &mut String, command: &Command, above: &str, depth: usize) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    // Writing into a string cannot fail.
    let _ = writeln!(page, "\n{} {name}", "#".repeat(depth));
    if let Some(about) = command.get_about() {
        let _ = writeln!(page, "{}.", line(&about.to_string()));
    }
    let aliases: Vec<_> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        let _ = writeln!(page, "\nAlso {}.", aliases.join(", "));
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let _ = writeln!(page, "\n```text\n{}\n```", usage.trim());
    let own: Vec<_> = shown(command).filter(|arg| !arg.is_global_set()).collect();
    options(page, own.into_iter());
    for below in command.get_subcommands() {
        describe(page, below, &name, depth + 1);
    }
}

/// A command's own arguments that its help shows.
fn shown(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help")
}

fn options<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    let rows: Vec<_> = args.map(row).collect();
    if !rows.is_empty() {
        let _ = writeln!(page, "\n| argument | meaning |\n|---|---|\n{}", rows.join("\n"));
    }
}

fn row(arg: &Arg) -> String {
    let values: Vec<_> =
        arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let takes = arg.get_action().takes_values();
    let short = arg.get_short().map(|short| format!("-{short}"));
    let names = arg.get_long_and_visible_aliases().unwrap_or_default();
    let long = names.into_iter().map(|long| format!("--{long}"));
    let mut name = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    if takes {
        let values = values.join(" ");
        name = if name.is_empty() { values } else { format!("{name} {values}") };
    }
    let mut meaning = arg.get_help().map(|help| line(&help.to_string())).unwrap_or_default();
    let possible: Vec<_> = if takes { arg.get_possible_values() } else { Vec::new() }
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !possible.is_empty() {
        let _ = write!(meaning, " ({})", possible.join(", "));
    }
    format!("| `{name}` | {} |", meaning.replace('|', "\\|"))
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

#[test]
fn the_page_of_flags_is_what_the_program_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let page = page();
    if std::env::var_os("UPDATE_CLI_REFERENCE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/cli.md is not what the program says; render it again with \
         UPDATE_CLI_REFERENCE=1 cargo test -p swarm reference"
    );
}
