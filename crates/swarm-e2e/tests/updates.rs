//! Updates that fail, on a swarm of real engines by the plain `docker` client: they stop, are taken back
//! or go on, as the service says, and what runs meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Daemons, IMAGE, exclusive, until};

const LONG: Duration = Duration::from_mins(1);
const MISSING: &str = "not-there:1";

struct Rig<'l> {
    nodes: Daemons<'l>,
}

/// What the client printed, and whether it succeeded.
struct Said {
    ok: bool,
    last: String,
    all: String,
}

impl Rig<'_> {
    /// A service that sleeps.
    fn create(&self, name: &str, more: &[&str]) -> Result<()> {
        self.create_as(name, more, &[IMAGE, "sleep", "1d"])
    }

    fn create_as(&self, name: &str, more: &[&str], task: &[&str]) -> Result<()> {
        let begin = ["service", "create", "--quiet", "--name", name, "--stop-signal", "KILL"];
        let watch = ["--update-monitor", "1s", "--rollback-monitor", "1s"];
        self.nodes.docker(1, &[&begin[..], &watch, more, task].concat()).ok().map(drop)
    }

    /// `docker service update`, waited for.
    fn update(&self, service: &str, more: &[&str]) -> Result<Said> {
        let arguments = [&["service", "update"], more, &[service]].concat();
        let output = self.nodes.docker(1, &arguments).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        let ok = output.status.success();
        let last = if ok { &out } else { &error }.lines().last().unwrap_or_default().to_owned();
        Ok(Said { ok, last, all: format!("{out}\n{error}") })
    }

    /// Of its own spec the image, and how its update is.
    fn state(&self, service: &str) -> Result<String> {
        let format = "{{.Spec.TaskTemplate.ContainerSpec.Image}} {{.UpdateStatus.State}}: \
                      {{.UpdateStatus.Message}}";
        self.nodes.docker(1, &["service", "inspect", "--format", format, service]).ok()
    }

    /// Waits until it is so, as far as this says it. The client is content when all have run for the time of the
    /// update's monitor, as it has seen it.
    fn becomes(&self, service: &str, expected: &str) -> Result<()> {
        let mut last = String::new();
        until(LONG, format_args!("{service} is {expected}"), || {
            last = self.state(service)?;
            Ok(last.starts_with(expected).then_some(()))
        })
        .with_context(|| last)
    }

    /// Ids of the tasks that run this image.
    fn running(&self, service: &str, image: &str) -> Result<Vec<String>> {
        let format = "{{.ID}} {{.Image}} {{.DesiredState}} {{.CurrentState}}";
        let arguments = ["service", "ps", "--no-trunc", "--format", format, service];
        let listed = self.nodes.docker(1, &arguments).ok()?;
        let is_one = |line: &&str| line.contains(&format!(" {image} Running Running "));
        let ids = listed.lines().filter(is_one).filter_map(|line| line.split(' ').next());
        let mut ids: Vec<_> = ids.map(str::to_owned).collect();
        ids.sort();
        Ok(ids)
    }

    fn remove(&self, service: &str) -> Result<()> {
        self.nodes.docker(1, &["service", "rm", service]).ok().map(drop)
    }
}

#[test]
fn an_update_that_fails_pauses_is_taken_back_or_goes_on() -> Result<()> {
    let lab = exclusive()?;
    let rig = Rig { nodes: Daemons::swarm(&lab, &[1, 2, 3], 1)? };

    // Docker's default: it stops at the first that fails, and the client fails with it.
    rig.create("web", &["--replicas", "4"])?;
    let before = rig.running("web", IMAGE)?;
    ensure!(before.len() == 4, "{before:?}");
    let said = rig.update("web", &["--image", MISSING])?;
    let words = "update paused due to failure or early termination of task";
    ensure!(!said.ok && said.last.contains(words), "{}", said.all);
    // The client shows it only where it looks just then.
    let errors = ["service", "ps", "--no-trunc", "--format", "{{.Error}}", "web"];
    let errors = rig.nodes.docker(1, &errors).ok()?;
    ensure!(errors.contains("No such image: not-there:1"), "{errors}");
    rig.becomes("web", &format!("{MISSING} paused: {words}"))?;
    let stayed = rig.running("web", IMAGE)?;
    ensure!(stayed.len() == 3 && stayed.iter().all(|id| before.contains(id)), "{stayed:?}");
    // By hand back to what it was: the three go on.
    let back = rig.nodes.docker(1, &["service", "rollback", "web"]).ok()?;
    ensure!(back.contains("converged"), "{back}");
    let now = rig.running("web", IMAGE)?;
    ensure!(now.len() == 4 && stayed.iter().all(|id| now.contains(id)), "{stayed:?} {now:?}");

    // One that is taken back by itself.
    let said = rig.update("web", &["--image", MISSING, "--update-failure-action", "rollback"])?;
    ensure!(said.ok && said.last.contains("converged"), "{}", said.all);
    ensure!(said.all.contains("rollback"), "{}", said.all);
    rig.becomes("web", &format!("{IMAGE} rollback_completed: "))?;
    let now = rig.running("web", IMAGE)?;
    ensure!(now.len() == 4 && stayed.iter().all(|id| now.contains(id)), "{stayed:?} {now:?}");
    rig.remove("web")?;

    // One that is to go on in spite of it replaces all.
    rig.create("on", &["--replicas", "2", "--update-failure-action", "continue"])?;
    rig.update("on", &["--detach", "--image", MISSING])?;
    until(LONG, "none of the old ones is left", || {
        Ok(rig.running("on", IMAGE)?.is_empty().then_some(()))
    })?;
    rig.becomes("on", &format!("{MISSING} completed: "))?;
    rig.remove("on")
}

#[test]
fn so_many_may_fail_and_a_new_one_starts_first() -> Result<()> {
    let lab = exclusive()?;
    let rig = Rig { nodes: Daemons::swarm(&lab, &[1, 2, 3], 1)? };

    // One of three ends at once: less than the half that may.
    let ends = "test $SLOT = \"$BAD\" && exit 3; exec sleep 1d";
    let ratio = ["--update-max-failure-ratio", "0.5", "--restart-condition", "none"];
    let slots = ["--replicas", "3", "--env", "SLOT={{.Task.Slot}}"];
    rig.create_as("ratio", &[&slots[..], &ratio].concat(), &[IMAGE, "sh", "-c", ends])?;
    let before = rig.running("ratio", IMAGE)?;
    rig.update("ratio", &["--detach", "--env-add", "BAD=2"])?;
    until(LONG, "it has gone through", || {
        Ok(rig.state("ratio")?.contains(" completed: ").then_some(()))
    })?;
    let now = rig.running("ratio", IMAGE)?;
    ensure!(now.len() == 2 && now.iter().all(|id| !before.contains(id)), "{before:?} {now:?}");
    // A third is more than a fifth.
    let said = rig.update("ratio", &["--update-max-failure-ratio", "0.2", "--env-add", "BAD=1"])?;
    ensure!(!said.ok && said.last.contains("update paused"), "{}", said.all);
    rig.remove("ratio")?;

    // The old one runs until the new one does, and one that cannot start takes nothing away.
    rig.create("first", &["--update-order", "start-first"])?;
    let before = rig.running("first", IMAGE)?;
    let said = rig.update("first", &["--image", MISSING])?;
    ensure!(!said.ok && said.last.contains("update paused"), "{}", said.all);
    ensure!(rig.running("first", IMAGE)? == before, "it went before another was there");
    let slow = ["--image", IMAGE, "--args", "sleep 2d"];
    let said = rig.update("first", &slow)?;
    ensure!(said.ok && said.last.contains("converged"), "{}", said.all);
    let now = rig.running("first", IMAGE)?;
    ensure!(now.len() == 1 && now != before, "{now:?}");
    rig.remove("first")?;

    // What starts and is not well has failed too.
    rig.create("ill", &["--update-failure-action", "rollback"])?;
    let check = ["--health-cmd", "false", "--health-interval", "500ms", "--health-retries", "2"];
    let begun = Instant::now();
    let said = rig.update("ill", &check)?;
    ensure!(said.ok && said.last.contains("converged"), "{}", said.all);
    rig.becomes("ill", &format!("{IMAGE} rollback_completed: "))?;
    println!("an unhealthy update was taken back after {:.1?}", begun.elapsed());
    let format = "{{json .Spec.TaskTemplate.ContainerSpec.Healthcheck}}";
    let shown = rig.nodes.docker(1, &["service", "inspect", "--format", format, "ill"]).ok()?;
    ensure!(!shown.contains("false"), "{shown}");
    let errors = ["service", "ps", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}", "ill"];
    let told = rig.nodes.docker(1, &errors).ok()?;
    ensure!(told.contains("unhealthy"), "{told}");
    Ok(())
}
