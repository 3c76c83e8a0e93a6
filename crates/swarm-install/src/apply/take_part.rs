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
/// Between two looks at a node's tasks, which may be thousands.
const TASKS: Duration = Duration::from_secs(1);

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
        match keeper.running(node).await {
            Ok(0) => return Ok(None),
            Ok(running) if begun.elapsed() > DRAIN => {
                let runs = if running == 1 { "runs" } else { "run" };
                return Ok(Some(format!("{} still {runs} there", count(running, "task"))));
            }
            Err(error) if begun.elapsed() > DRAIN => return Err(error.into()),
            // One answer that fails is none.
            _ => sleep(TASKS).await,
        }
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

/// Leaves. A daemon that was not well before, and is only here by force, keeps nobody by what it says.
pub async fn leave(work: &Work<'_>, host: usize, force: bool) -> Said {
    let was_well = !matches!(work.seen(host)?.standing, Standing::Odd(_));
    match left(work, host, force).await {
        Err(error) if !was_well => Ok(Some(format!(
            "not by its own word: {error}; containers of its tasks may be left on its engine"
        ))),
        done => done,
    }
}

async fn left(work: &Work<'_>, host: usize, force: bool) -> Said {
    let asked = work.asked(host)?;
    asked.leave(force).await?;
    until("it has left", || async {
        match asked.standing().await.map_err(|error| words(&error))? {
            Standing::Idle => Ok(()),
            other => Err(other.to_string()),
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::check::tests::fresh;
    use crate::look::Look;
    use crate::remote::Remote;
    use crate::script::BINARY;
    use crate::ssh::Ssh;

    #[tokio::test]
    async fn a_daemon_that_was_not_well_before_keeps_nobody() {
        let mut seen = fresh("h1");
        let ssh = Arc::new(Ssh::new("false", false).unwrap());
        seen.remote = Remote::new(ssh, seen.target.clone(), BINARY);
        let mut look = Look { hosts: vec![seen], swarm: None, pool: None };
        for (standing, goes_on) in [(Standing::Odd("sick".into()), true), (Standing::Idle, false)] {
            look.hosts[0].standing = standing;
            let (noted, asked) = (Mutex::default(), Mutex::default());
            let work = Work { look: &look, goods: None, noted, asked };
            let said = leave(&work, 0, true).await;
            assert_eq!(said.is_ok(), goes_on, "{said:?}");
            assert!(!goes_on || said.unwrap().unwrap().contains("may be left on its engine"));
        }
    }

    /// An ssh that is a daemon, too: each connection has one answer, the first of `answers` that is left.
    fn daemon(folder: &tempfile::TempDir, answers: &[&str]) -> Ssh {
        use std::os::unix::fs::PermissionsExt as _;
        let at = |name: &str| folder.path().join(name).display().to_string();
        for (number, answer) in answers.iter().enumerate() {
            std::fs::write(at(&number.to_string()), answer).unwrap();
        }
        let text = format!(
            "#!/bin/sh\ncd {}\nhead -n1 >>asked\nnext=$(ls | grep '^[0-9]*$' | sort -n | head -n1)\n\
             mv $next told\nread -r status <told\n\
             printf 'HTTP/1.1 %s X\\r\\nConnection: close\\r\\n\\r\\n' $status\nsed 1d told\n",
            folder.path().display()
        );
        std::fs::write(at("ssh"), text).unwrap();
        std::fs::set_permissions(at("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        Ssh::new(&at("ssh"), false).unwrap()
    }

    #[tokio::test]
    async fn a_drain_asks_for_the_nodes_own_tasks_and_survives_an_answer_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let runs = r#"200
            [{ "NodeID": "n1", "Status": { "State": "running" } }]"#;
        let node = r#"200
            { "Version": { "Index": 1 }, "Spec": { "Availability": "drain" } }"#;
        let ssh = daemon(&folder, &[node, runs, "500\n{}", "200\n[]"]);
        let mut seen = fresh("h1");
        seen.remote = Remote::new(Arc::new(ssh), seen.target.clone(), BINARY);
        let look = Look { hosts: vec![seen], swarm: None, pool: None };
        let work =
            Work { look: &look, goods: None, noted: Mutex::default(), asked: Mutex::default() };
        let said = drain(&work, 0, "n1").await.unwrap();
        assert_eq!(said, None);
        let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
        let asked: Vec<_> = asked.lines().collect();
        assert_eq!(asked.len(), 4, "{asked:?}");
        let one = asked[1]
            .replace("%22", "\"")
            .replace("%7B", "{")
            .replace("%7D", "}")
            .replace("%3A", ":");
        assert!(
            one.contains("\"node\":{\"n1\":true}") && one.contains("\"desired-state\""),
            "{one}"
        );
    }
}
