//! Jobs on a swarm of real engines, by the plain `docker` client: they end well, it waits for that, and
//! what fails says so.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use swarm_e2e::{Daemons, IMAGE, Watch, exclusive, until};

const LONG: Duration = Duration::from_mins(1);

/// `docker service ps`, a line for each task.
fn tasks(nodes: &Daemons<'_>, service: &str, format: &str) -> Result<Vec<String>> {
    let listed =
        nodes.docker(1, &["service", "ps", "--no-trunc", "--format", format, service]).ok()?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// What `docker service ls` counts.
fn counted(nodes: &Daemons<'_>, service: &str) -> Result<String> {
    let name = format!("name={service}");
    nodes.docker(1, &["service", "ls", "--filter", &name, "--format", "{{.Replicas}}"]).ok()
}

/// When the containers of a service began and ended, on all nodes: `(began, ended)`, as text that sorts.
fn spans(nodes: &Daemons<'_>, service: &str) -> Result<Vec<(String, String)>> {
    let label = format!("label=com.docker.swarm.service.name={service}");
    let mut spans = Vec::new();
    for host in 1..=3 {
        let ids = nodes.engine(host, &["ps", "--all", "--quiet", "--filter", &label]).ok()?;
        for id in ids.lines() {
            let format = "{{.State.StartedAt}} {{.State.FinishedAt}}";
            let span = nodes.engine(host, &["inspect", "--format", format, id]).ok()?;
            let (began, ended) = span.split_once(' ').context("two times")?;
            spans.push((began.to_owned(), ended.to_owned()));
        }
    }
    Ok(spans)
}

#[test]
fn so_many_of_a_job_at_once_until_all_have_ended_well() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2, 3], 1)?;
    let begin = ["service", "create", "--name", "batch", "--mode", "replicated-job"];
    let numbers = ["--replicas", "5", "--max-concurrent", "2"];
    let task = [IMAGE, "sh", "-c", "echo part of it; sleep 1"];
    // The client waits until all are complete.
    let said = nodes.docker(1, &[&begin[..], &numbers, &task].concat()).ok()?;
    ensure!(said.contains("job complete"), "{said}");
    ensure!(counted(&nodes, "batch")? == "0/2 (5/5 completed)");
    let now = tasks(&nodes, "batch", "{{.DesiredState}} {{.CurrentState}}")?;
    let complete = now.iter().filter(|line| line.starts_with("Complete Complete"));
    ensure!(complete.count() == 5 && now.len() == 5, "{now:?}");
    let logs = nodes.docker(1, &["service", "logs", "--raw", "batch"]).ok()?;
    ensure!(logs.lines().filter(|line| *line == "part of it").count() == 5, "{logs}");
    let spans = spans(&nodes, "batch")?;
    ensure!(spans.len() == 5, "{spans:?}");
    for (began, _) in &spans {
        let at_once = spans.iter().filter(|(from, to)| from <= began && began < to);
        ensure!(at_once.count() <= 2, "{spans:?}");
    }

    // What is asked for again runs again, and the last run's tasks go.
    let ids = |nodes| tasks(nodes, "batch", "{{.ID}}").map(BTreeSet::from_iter);
    let before: BTreeSet<String> = ids(&nodes)?;
    let said = nodes.docker(1, &["service", "update", "--force", "batch"]).ok()?;
    ensure!(said.contains("job complete"), "{said}");
    ensure!(counted(&nodes, "batch")? == "0/2 (5/5 completed)");
    until(LONG, "the last run's tasks are gone", || {
        let now = ids(&nodes)?;
        Ok((now.len() == 5 && now.is_disjoint(&before)).then_some(()))
    })?;
    nodes.docker(1, &["service", "rm", "batch"]).ok().map(drop)
}

#[test]
fn a_job_runs_once_on_every_node_and_one_that_fails_says_so() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2, 3], 1)?;
    nodes.node(1, &["update", "--availability", "pause", "host-3"])?;
    let begin = ["service", "create", "--name", "each", "--mode", "global-job"];
    let task = ["--hostname", "{{.Node.Hostname}}", IMAGE, "hostname"];
    let said = nodes.docker(1, &[&begin[..], &task].concat()).ok()?;
    ensure!(said.contains("job complete"), "{said}");
    ensure!(counted(&nodes, "each")? == "0/0 (2/2 completed)", "{}", counted(&nodes, "each")?);
    // A node that comes later has its part to do.
    nodes.node(1, &["update", "--availability", "active", "host-3"])?;
    until(LONG, "the third has done its part", || {
        let logs = nodes.docker(1, &["service", "logs", "--raw", "each"]).ok()?;
        let mut hosts: Vec<_> = logs.lines().collect();
        hosts.sort_unstable();
        Ok((hosts == ["host-1", "host-2", "host-3"]).then_some(()))
    })?;

    // One that fails is tried as often as it may; the client tells why it waits, and goes on waiting.
    let begin = ["service", "create", "--name", "bad", "--mode", "replicated-job"];
    let limits = ["--restart-condition", "on-failure", "--restart-delay", "500ms"];
    let task = ["--restart-max-attempts", "1", IMAGE, "sh", "-c", "echo once more; exit 3"];
    let command = nodes.client(1).command(&[&begin[..], &limits, &task].concat());
    let mut client = Watch::start(command)?;
    client.wait_for("task: non-zero exit (3)", LONG)?;
    until(LONG, "it was tried twice", || {
        let now = tasks(&nodes, "bad", "{{.DesiredState}} {{.CurrentState}} {{.Error}}")?;
        let failed = |line: &&String| {
            line.starts_with("Shutdown Failed") && line.contains("task: non-zero exit (3)")
        };
        Ok((now.iter().filter(failed).count() == 2 && now.len() == 2).then_some(()))
    })?;
    ensure!(counted(&nodes, "bad")? == "0/1 (0/1 completed)", "{}", counted(&nodes, "bad")?);
    let logs = nodes.docker(1, &["service", "logs", "--raw", "bad"]).ok()?;
    ensure!(logs == "once more\nonce more", "{logs}");
    ensure!(client.runs()?, "{:?}", client.lines());
    client.signal(Signal::SIGINT)?;
    ensure!(client.wait_end(LONG)?.success(), "{:?}", client.lines());
    client.wait_for("Operation continuing in background", LONG)?;

    // Mended, and run to its end.
    let mended = ["service", "update", "--args", "true", "bad"];
    let said = nodes.docker(1, &mended).ok()?;
    ensure!(said.contains("job complete"), "{said}");
    ensure!(counted(&nodes, "bad")? == "0/1 (1/1 completed)");
    Ok(())
}
