//! `swarm down`: nodes leave their swarm over SSH, and are what they were before `swarm up`.

use swarm_install::{DownWish, plan_down};

use super::machines::{Machines, not_done, say};
use crate::cli::DownFlags;
use crate::config::Env;
use crate::usage::UsageError;

/// Looks, plans, does.
pub async fn run(flags: DownFlags, env: Env<'_>) -> anyhow::Result<()> {
    let mut machines = Machines::new(&flags.hosts, &flags.ssh, env)?;
    let mut stay = Vec::new();
    for host in &flags.managers {
        if machines.find(host).is_some() {
            let problem = "it is one of the machines that go; name a manager that stays";
            return Err(UsageError::value("--manager", host, problem).into());
        }
        stay.push(machines.add("--manager", host)?);
    }
    let wish = DownWish { stay, force: flags.force };
    machines.unless_interrupted(down(&machines, &wish, flags.dry_run)).await
}

async fn down(machines: &Machines, wish: &DownWish, dry_run: bool) -> anyhow::Result<()> {
    let look = machines.look().await?;
    let plan =
        plan_down(&look, wish).map_err(|refusals| not_done("nothing was changed:", refusals))?;
    let applied = machines.carry_out(&look, &plan, None, dry_run).await?;
    if plan.is_empty() {
        say("nothing to do: no swarm daemon, and nothing that swarm up has put there")?;
    } else if let Some(applied) = applied {
        say(&format!("done, {} steps in {:.1} s", applied.steps, applied.took.as_secs_f64()))?;
        for words in &plan.afterwards {
            say(&format!("left to do: {words}"))?;
        }
    }
    Ok(())
}
