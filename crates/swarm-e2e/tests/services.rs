//! Services on a swarm of real engines, by the plain `docker` client: what runs, how it changes, what
//! is told when it cannot.

use std::time::Duration;

use anyhow::{Result, ensure};
use swarm_e2e::{Daemons, IMAGE, exclusive, until};

const LONG: Duration = Duration::from_mins(1);

/// Tasks of a service that run, as `NAME NODE`.
fn running(nodes: &Daemons<'_>, service: &str) -> Result<Vec<String>> {
    let filter =
        ["--filter", "desired-state=running", "--format", "{{.Name}} {{.Node}} {{.CurrentState}}"];
    let listed = nodes.docker(1, &[&["service", "ps", service][..], &filter].concat()).ok()?;
    let lines = listed.lines().filter(|line| line.contains(" Running "));
    let mut lines: Vec<_> =
        lines.map(|line| line.split(" Running").next().unwrap_or("").to_owned()).collect();
    lines.sort();
    Ok(lines)
}

#[test]
fn services_are_created_scaled_updated_rolled_back_and_removed() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2, 3], 1)?;
    let sleep = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    let create = ["service", "create", "--name", "web", "--replicas", "3", "--env", "A=1"];
    let said = nodes.docker(1, &[&create[..], &sleep].concat()).ok()?;
    ensure!(said.contains("converged"), "{said}");
    ensure!(
        running(&nodes, "web")? == ["web.1 host-1", "web.2 host-2", "web.3 host-3"]
            || running(&nodes, "web")?.len() == 3,
        "{:?}",
        running(&nodes, "web")?
    );
    let on: std::collections::BTreeSet<_> = running(&nodes, "web")?
        .iter()
        .filter_map(|line| line.split(' ').nth(1).map(str::to_owned))
        .collect();
    ensure!(on.len() == 3, "they are spread: {on:?}");

    nodes.docker(1, &["service", "scale", "web=5"]).ok()?;
    ensure!(running(&nodes, "web")?.len() == 5);
    nodes.docker(1, &["service", "scale", "web=2"]).ok()?;
    until(LONG, "two are left", || Ok((running(&nodes, "web")?.len() == 2).then_some(())))?;

    let before = running(&nodes, "web")?;
    nodes.docker(1, &["service", "update", "--label-add", "team=red", "web"]).ok()?;
    ensure!(running(&nodes, "web")? == before, "a label restarts nothing");
    nodes.docker(1, &["service", "update", "--env-add", "A=2", "web"]).ok()?;
    let env = "{{json .Spec.TaskTemplate.ContainerSpec.Env}} {{.UpdateStatus.State}}";
    let shown = nodes.docker(1, &["service", "inspect", "--format", env, "web"]).ok()?;
    ensure!(shown == r#"["A=2"] completed"#, "{shown}");
    nodes.docker(1, &["service", "rollback", "web"]).ok()?;
    let shown = nodes.docker(1, &["service", "inspect", "--format", env, "web"]).ok()?;
    ensure!(shown.starts_with(r#"["A=1"] rollback"#), "{shown}");

    nodes.docker(1, &["service", "rm", "web"]).ok()?;
    // A manager tells it all among its engine's own events, as Docker's does.
    let format = "{{.Scope}} {{.Type}} {{.Action}} {{.Actor.Attributes.name}} \
                  {{index .Actor.Attributes \"replicas.old\"}} \
                  {{index .Actor.Attributes \"updatestate.new\"}}";
    let asked = ["events", "--since", "10m", "--until", "0s", "--format", format];
    let told = nodes.docker(1, &asked).ok()?;
    for words in [
        "swarm service create web",
        "swarm service update web 3",
        "swarm service update web  completed",
        "swarm service remove web",
        "local container start web.1.",
    ] {
        ensure!(told.contains(words), "{words}: {told}");
    }
    for host in 1..=3 {
        until(LONG, "its containers are gone", || {
            Ok(nodes.engine(host, &["ps", "--all", "--quiet"]).ok()?.is_empty().then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn what_cannot_run_says_why() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    let service = |name: &str, more: &[&str]| {
        let begin =
            ["service", "create", "--detach", "--name", name, "--restart-condition", "none"];
        nodes.docker(1, &[&begin[..], more].concat())
    };
    let error = |name: &str, words: &str| {
        until(LONG, format_args!("{name} says {words}"), || {
            let format = "{{.CurrentState}} {{.Error}}";
            let told =
                nodes.docker(1, &["service", "ps", "--no-trunc", "--format", format, name]).ok()?;
            Ok(told.contains(words).then_some(()))
        })
    };
    service("nowhere", &["--constraint", "node.labels.disk==tape", IMAGE, "true"]).ok()?;
    error("nowhere", "no suitable node")?;
    service("missing", &["not-there:1"]).ok()?;
    error("missing", "not-there")?;
    service("failing", &[IMAGE, "sh", "-c", "exit 7"]).ok()?;
    error("failing", "non-zero exit (7)")?;

    // What cannot run anywhere is not tried again and again.
    nodes.docker(1, &["service", "create", "--detach", "--name", "again", "not-there:1"]).ok()?;
    error("again", "not-there")?;
    std::thread::sleep(Duration::from_secs(6));
    let tried = nodes.docker(1, &["service", "ps", "--quiet", "again"]).ok()?;
    ensure!(tried.lines().count() <= 3, "{tried}");

    for (more, words) in [
        (&["--network", "front", IMAGE][..], "front"),
        (&["--publish", "80:80", IMAGE], "mode=host"),
    ] {
        let told = service("refused", more).fails()?;
        ensure!(told.contains(words), "{words}: {told}");
    }
    service("twice", &[IMAGE, "sleep", "1d"]).ok()?;
    let told = service("twice", &[IMAGE]).fails()?;
    ensure!(told.contains("name conflicts with an existing object"), "{told}");
    let told = nodes.docker(1, &["service", "inspect", "nothing"]).fails()?;
    ensure!(told.contains("no such service") || told.contains("not found"), "{told}");
    Ok(())
}

#[test]
fn global_services_jobs_and_host_ports() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2, 3], 1)?;
    let publish = "published=8080,target=80,mode=host";
    let serve = "mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 80 -h /w";
    let global =
        ["service", "create", "--name", "everywhere", "--mode", "global", "--publish", publish];
    nodes
        .docker(
            1,
            &[&global[..], &["--hostname", "{{.Node.Hostname}}", IMAGE, "sh", "-c", serve]]
                .concat(),
        )
        .ok()?;
    for host in 1..=3 {
        let fetch = format!("timeout 5 wget -q -O- http://{}:8080/", lab.ip(host));
        until(LONG, "it answers on its host", || {
            let got = lab.sh(host, &fetch).ok();
            Ok(got.filter(|got| got.trim() == format!("host-{host}")))
        })?;
    }
    nodes.docker(1, &["node", "update", "--availability", "drain", "host-2"]).ok()?;
    until(LONG, "a drained node runs none", || {
        let listed = running(&nodes, "everywhere")?;
        Ok((listed.len() == 2 && !listed.iter().any(|line| line.ends_with("host-2"))).then_some(()))
    })?;
    Ok(())
}
