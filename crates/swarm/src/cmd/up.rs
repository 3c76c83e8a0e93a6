//! `swarm up`: machines become nodes of a swarm over SSH. What that takes is decided in `swarm-install`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use swarm_install::{Program, UpWish, plan_up};

use super::machines::{Machines, not_done, say};
use crate::cli::UpFlags;
use crate::config::Env;
use crate::usage::UsageError;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Looks, plans, does.
pub async fn run(flags: UpFlags, env: Env<'_>) -> anyhow::Result<()> {
    let mut machines = Machines::new(&flags.hosts, &flags.ssh, env)?;
    let mut managers = Vec::new();
    for host in &flags.managers {
        managers.push(machines.add("--manager", host)?);
    }
    let wish = UpWish {
        name: flags.name,
        managers,
        count: flags.count.as_deref().map(number).transpose()?,
        advertise: advertise(&machines, &flags.advertise)?,
        what: String::new(),
        program: program(flags.binary.as_deref())?,
    };
    let what = match &flags.binary {
        Some(file) => format!("{file} ({} MB)", wish.program.megabytes()),
        None => format!("swarm {VERSION} ({} MB)", wish.program.megabytes()),
    };
    let done = up(&machines, &UpWish { what, ..wish }, flags.dry_run).await;
    machines.close().await;
    done
}

async fn up(machines: &Machines, wish: &UpWish, dry_run: bool) -> anyhow::Result<()> {
    let look = machines.look().await?;
    let plan =
        plan_up(&look, wish).map_err(|refusals| not_done("nothing was changed:", refusals))?;
    let applied = machines.carry_out(&look, &plan, Some(&wish.program), dry_run).await?;
    if plan.is_empty() {
        say(&format!("{}: nothing to do: all is as it should be", plan.name))?;
    } else if let Some(applied) = applied {
        let (steps, took) = (applied.steps, applied.took.as_secs_f64());
        say(&format!("{}: done, {steps} steps in {took:.1} s", plan.name))?;
        if let Some(manager) = plan.manager() {
            let host = machines.name(manager);
            say(&format!("on {host}: DOCKER_HOST=unix:///run/swarm/docker.sock docker node ls"))?;
            say(
                "all nodes as one engine, there: DOCKER_HOST=unix:///run/swarm/cluster.sock docker ps",
            )?;
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<usize, UsageError> {
    let wrong = || UsageError::value("--managers", text, "expected a number, 1 or more");
    text.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)
}

fn advertise(machines: &Machines, texts: &[String]) -> Result<BTreeMap<usize, String>, UsageError> {
    let each = texts.iter().map(|text| {
        let wrong = |problem: &str| UsageError::value("--advertise-addr", text, problem);
        let (host, address) =
            text.rsplit_once('=').ok_or_else(|| wrong("expected HOST=ADDRESS"))?;
        if address.is_empty() {
            return Err(wrong("the address is missing"));
        }
        let at = machines.find(host).ok_or_else(|| wrong("none of the machines is named so"))?;
        Ok((at, address.to_owned()))
    });
    each.collect()
}

/// The binary: the one that was named, or this very program.
fn program(file: Option<&str>) -> anyhow::Result<Program> {
    let path = match file {
        Some(file) => PathBuf::from(file),
        None => std::env::current_exe().context("this program's own file cannot be found")?,
    };
    Program::read(&path, VERSION).map_err(|error| match file {
        Some(file) => UsageError::value("--binary", file, error.to_string()).into(),
        None => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::SshFlags;

    #[test]
    fn flags_are_read_and_wrong_ones_refused_in_words() {
        let hosts = ["root@h1".to_owned(), "h2".to_owned(), "h1".to_owned()];
        let mut machines = Machines::new(&hosts, &SshFlags::default(), &|_| None).unwrap();
        assert_eq!(machines.add("--manager", "h2").unwrap(), 1);
        assert_eq!(machines.add("--manager", "h3").unwrap(), 2, "the same machine counts once");
        assert!(machines.add("--manager", "-x").is_err());
        let given = |text: &str| advertise(&machines, &[text.to_owned()]);
        assert_eq!(given("h1=10.0.0.1").unwrap(), BTreeMap::from([(0, "10.0.0.1".to_owned())]));
        for (text, words) in [("h1", "HOST=ADDRESS"), ("h1=", "missing"), ("h9=a", "none of")] {
            assert!(given(text).unwrap_err().to_string().contains(words), "{text}");
        }
        assert_eq!(number("3").unwrap(), 3);
        assert!(number("0").is_err() && number("x").is_err());
        assert!(program(Some("/no/such")).unwrap_err().is::<UsageError>());
        assert_eq!(program(None).unwrap().version, VERSION);
    }
}
