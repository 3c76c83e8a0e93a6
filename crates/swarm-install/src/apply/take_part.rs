//! Steps about a machine's part in the swarm. Each is read back from the daemon itself, or from a manager.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Said, StepError, Work, place};
use crate::asked::{AskError, Asked};
use crate::plan::count;
use crate::standing::{Member, Standing};

/// For a daemon, a node, a role to be what it should.
const PATIENCE: Duration = Duration::from_mins(1);
/// For tasks to run elsewhere: an image may have to be pulled there.
const DRAIN: Duration = Duration::from_mins(1);
/// Between two looks: nothing announces these to us.
const LOOK: Duration = Duration::from_millis(200);

/// Looks until there is an answer; the last thing in its way is the error.
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> Result<T, StepError>
where
    F: Future<Output = Result<T, String>>,
{
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(answer) => return Ok(answer),
            Err(words) if begun.elapsed() > PATIENCE => {
                let seconds = PATIENCE.as_secs();
                return Err(StepError::Words(format!("{what}: not within {seconds} s: {words}")));
            }
            Err(_) => sleep(LOOK).await,
        }
    }
}

fn words(error: &AskError) -> String {
    error.to_string()
}

/// Waits until the daemon of a machine answers; one that was a manager answers as one again.
pub async fn answers(work: &Work<'_>, host: usize) -> Said {
    let asked = work.asked(host)?;
    let managed = work.seen(host)?.standing.member().is_some_and(|member| member.manager);
    until("its daemon answers", || async {
        match asked.standing().await.map_err(|error| words(&error))? {
            Standing::Member(member) if managed && !member.manager => {
                Err("it has no other managers yet".to_owned())
            }
            _ if managed => asked.nodes().await.map(drop).map_err(|error| words(&error)),
            Standing::Odd(words) => Err(words),
            _ => Ok(()),
        }
    })
    .await?;
    Ok(None)
}

async fn member(asked: &Asked, manager: bool) -> Result<Member, StepError> {
    until("it is a node", || async {
        match asked.standing().await.map_err(|error| words(&error))? {
            Standing::Member(member) if member.managers.is_empty() => {
                Err("it knows no manager yet".to_owned())
            }
            Standing::Member(member) if member.manager || !manager => Ok(member),
            Standing::Odd(words) => Err(words),
            _ => Err("it is none yet".to_owned()),
        }
    })
    .await
}

/// Notes on the machine which node it is.
async fn note(work: &Work<'_>, host: usize, node: &str) -> Result<(), StepError> {
    let Some(mut manifest) = work.manifest(host) else { return Ok(()) };
    manifest.node = Some(node.to_owned());
    place::manifest(work, host, &manifest).await.map(drop)
}

/// Begins the swarm.
pub async fn begin(work: &Work<'_>, host: usize, name: &str, advertise: Option<&str>) -> Said {
    let asked = work.asked(host)?;
    asked.begin(name, advertise).await?;
    let member = member(&asked, true).await?;
    note(work, host, &member.node).await?;
    Ok(Some(format!("managers are reached at {}", member.managers.join(", "))))
}

/// Joins. The token goes from the manager's answer into the request, and nowhere else.
pub async fn join(
    work: &Work<'_>,
    host: usize,
    by: usize,
    manager: bool,
    advertise: Option<&str>,
) -> Said {
    let keeper = work.asked(by)?;
    let token = keeper.token(manager).await?;
    let managers = member(&keeper, true).await?.managers;
    let new = work.asked(host)?;
    new.join(&managers, &token, advertise).await?;
    let member = member(&new, manager).await?;
    note(work, host, &member.node).await?;
    Ok(None)
}

/// A worker becomes a manager.
pub async fn promote(work: &Work<'_>, host: usize, by: usize, node: &str) -> Said {
    work.asked(by)?.set_node(node, "Role", "manager").await?;
    let new = work.asked(host)?;
    member(&new, true).await?;
    Ok(None)
}

/// Waits for the nodes.
pub async fn ready(work: &Work<'_>, by: usize, nodes: usize, managers: usize) -> Said {
    let keeper = work.asked(by)?;
    until("the nodes are ready", || async {
        let listed = keeper.nodes().await.map_err(|error| words(&error))?;
        let ready = listed.iter().filter(|node| node.ready).count();
        let manage = listed.iter().filter(|node| node.manager && node.reachable).count();
        if ready >= nodes && manage >= managers {
            return Ok(());
        }
        Err(format!("{} are ready, {}", count(ready, "node"), count(manage, "manager")))
    })
    .await?;
    Ok(None)
}

/// Its tasks go elsewhere. Those that have no other place do not keep it.
pub async fn drain(work: &Work<'_>, by: usize, node: &str) -> Said {
    let keeper = work.asked(by)?;
    keeper.set_node(node, "Availability", "drain").await?;
    let begun = Instant::now();
    loop {
        let running = keeper.running(node).await?;
        if running == 0 {
            return Ok(None);
        }
        if begun.elapsed() > DRAIN {
            return Ok(Some(format!("{} still run there", count(running, "task"))));
        }
        sleep(LOOK).await;
    }
}

/// A manager becomes a worker; one whose daemon does not run is only told of.
pub async fn demote(work: &Work<'_>, host: usize, by: usize, node: &str) -> Said {
    work.asked(by)?.set_node(node, "Role", "worker").await?;
    if work.seen(host)?.standing.member().is_none() {
        return Ok(None);
    }
    let asked = work.asked(host)?;
    until("it is a worker", || async {
        match asked.standing().await.map_err(|error| words(&error))? {
            Standing::Member(member) if member.manager => Err("it is a manager".to_owned()),
            Standing::Odd(words) => Err(words),
            _ => Ok(()),
        }
    })
    .await?;
    Ok(None)
}

/// Leaves.
pub async fn leave(work: &Work<'_>, host: usize, force: bool) -> Said {
    let asked = work.asked(host)?;
    asked.leave(force).await?;
    until("it has left", || async {
        match asked.standing().await.map_err(|error| words(&error))? {
            Standing::Idle => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    Ok(None)
}

/// Taken out of the list: by force, for it has left, or is silent and was named.
pub async fn remove(work: &Work<'_>, by: usize, node: &str) -> Said {
    let keeper = work.asked(by)?;
    until("it is out of the list", || async {
        match keeper.remove_node(node, true).await {
            Err(error) if !error.missing => Err(words(&error)),
            _ => Ok(()),
        }
    })
    .await?;
    Ok(None)
}
