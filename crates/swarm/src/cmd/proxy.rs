//! `swarm proxy`: reads the flags, opens the endpoint, and keeps a proxy's configuration until a signal.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use swarm_proxy::{Config, Kind, Placed, Process, Reload, Settings, Template, Watcher};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::manager::Manager;
use super::node::print;
use crate::cli::ProxyFlags;
use crate::cmd::manage::{notify, stop_on_signals};
use crate::config::{Env, pairs};
use crate::usage::UsageError;
use crate::values::duration;

const WAIT: &str = "250ms";
const MAX_WAIT: &str = "2s";
const RESYNC: &str = "60s";
/// More would be no answer to what happens.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// Less would keep the endpoint busy with nothing else.
const SHORTEST_RESYNC: Duration = Duration::from_secs(1);
/// More is no template.
const LARGEST_TEMPLATE: u64 = 4 << 20;

/// Checks the flags and does what they ask for.
pub async fn run(flags: &ProxyFlags, env: Env<'_>) -> anyhow::Result<()> {
    let kind = match flags.kind.as_str() {
        "nginx" => Kind::Nginx,
        _ => Kind::Haproxy,
    };
    if flags.print_template {
        return print(Template::ready(kind));
    }
    let template = template(flags, kind).await?;
    let mut watcher = Watcher::new(Manager::new(&flags.manager, env)?.into_client());
    if flags.print {
        return print(&swarm_proxy::rendered(&mut watcher, &template).await?);
    }
    let config = config(flags, kind)?;
    if flags.once {
        let path = config.path.display().to_string();
        // A future of many calls in one another.
        let placed = Box::pin(swarm_proxy::once(&mut watcher, &template, config)).await?;
        match placed {
            Placed::Changed => info!(config = path, "a new configuration is in place"),
            Placed::Same => info!(config = path, "the configuration is as it should be"),
        }
        return Ok(());
    }
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    notify(sd_notify::NotifyState::Ready);
    Box::pin(swarm_proxy::run(watcher, template, config, stop)).await;
    notify(sd_notify::NotifyState::Stopping);
    info!("stopped");
    Ok(())
}

async fn template(flags: &ProxyFlags, kind: Kind) -> anyhow::Result<Template> {
    let vars: BTreeMap<String, String> = pairs("--set", &flags.vars)?.into_iter().collect();
    let settings = Settings { internal: flags.internal, network: flags.network.clone() };
    let (name, source) = match &flags.template {
        Some(file) => (file.as_str(), read(Path::new(file)).await?),
        None => (flags.kind.as_str(), Template::ready(kind).to_owned()),
    };
    let given: Vec<String> = vars.keys().cloned().collect();
    let template = Template::read(name, source, settings, vars)?;
    for words in unused(&template, &given) {
        warn!("{words}");
    }
    Ok(template)
}

/// A variable that nothing looks at may be a slip: what was to be set would keep its usual value without a word.
/// It is no error, for one line of flags may serve several templates.
fn unused(template: &Template, given: &[String]) -> Vec<String> {
    let Some(asked) = template.asked_for() else { return Vec::new() };
    let unknown = given.iter().filter(|name| !asked.contains(*name));
    let all = match asked.iter().map(String::as_str).collect::<Vec<_>>().join(", ") {
        all if all.is_empty() => "none".to_owned(),
        all => all,
    };
    unknown
        .map(|name| format!("--set {name}: the template does not look at it; it looks at: {all}"))
        .collect()
}

async fn read(file: &Path) -> anyhow::Result<String> {
    let read = async {
        let size = tokio::fs::metadata(file).await?.len();
        if size > LARGEST_TEMPLATE {
            let problem = format!("it has {size} bytes, more than {LARGEST_TEMPLATE}");
            return Err(std::io::Error::other(problem));
        }
        tokio::fs::read_to_string(file).await
    };
    read.await.with_context(|| format!("cannot read the template {}", file.display()))
}

fn config(flags: &ProxyFlags, kind: Kind) -> Result<Config, UsageError> {
    let Some(path) = flags.config.as_deref().filter(|path| !path.is_empty()) else {
        return Err(UsageError::flags("--config FILE is needed: the configuration to keep"));
    };
    // From here on it is read by others, too: nginx takes what does not begin with a slash from a folder
    // of its own, and a command may go anywhere.
    let path = std::path::absolute(path)
        .map_err(|error| UsageError::value("--config", path, error.to_string()))?;
    if path.file_name().is_none() {
        let given = path.display().to_string();
        return Err(UsageError::value("--config", &given, "expected a file's path"));
    }
    let span = |flag: &str, given: &Option<String>, usual: &str| {
        let text = given.as_deref().unwrap_or(usual);
        Ok::<_, UsageError>((duration(flag, text)?, text.to_owned()))
    };
    let (wait, text) = span("--wait", &flags.wait, WAIT)?;
    if wait > LONGEST_WAIT {
        return Err(UsageError::value("--wait", &text, "expected 1m or less"));
    }
    let (max_wait, text) = span("--max-wait", &flags.max_wait, MAX_WAIT)?;
    if max_wait > LONGEST_WAIT || max_wait < wait {
        let problem = "expected 1m or less, and not less than --wait";
        return Err(UsageError::value("--max-wait", &text, problem));
    }
    let (resync, text) = span("--resync", &flags.resync, RESYNC)?;
    if resync < SHORTEST_RESYNC {
        return Err(UsageError::value("--resync", &text, "expected 1s or more"));
    }
    let reload = reload(flags, kind, &path)?;
    let check = flags.check.clone().unwrap_or_else(|| kind.checker().to_owned());
    Ok(Config { path, check: Some(check), reload, wait, max_wait, resync })
}

fn reload(flags: &ProxyFlags, kind: Kind, config: &Path) -> Result<Reload, UsageError> {
    let command = |text: &str| Some(text.to_owned()).filter(|text| !text.trim().is_empty());
    match (&flags.run, &flags.pid_file, &flags.reload, flags.no_reload) {
        (Some(run), None, None, false) => {
            Ok(Reload::Child(Box::new(Process::new(kind, command(run).as_deref(), config))))
        }
        (None, Some(file), None, false) => Ok(Reload::PidFile(kind, file.into())),
        (None, None, Some(text), false) => match command(text) {
            Some(text) => Ok(Reload::Command(text)),
            None => Err(UsageError::value("--reload", text, "expected a command")),
        },
        (None, None, None, true) => Ok(Reload::Nobody),
        (None, None, None, false) => Err(UsageError::flags(
            "how is the proxy told of a new configuration? Give --run, --pid-file FILE, \
             --reload COMMAND or --no-reload",
        )),
        _ => Err(UsageError::flags(
            "of --run, --pid-file, --reload and --no-reload only one can be given",
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn outcome(more: &[&str]) -> Result<Config, String> {
        let line = [&["swarm", "proxy", "nginx"], more].concat();
        let Ok(Cli { command: Some(Command::Proxy(flags)), .. }) = Cli::try_parse_from(line) else {
            return Err("clap".to_owned());
        };
        config(&flags, Kind::Nginx).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_that_go_together_make_a_configuration() {
        let config = outcome(&["--config", "/x", "--run"]).unwrap();
        assert!(matches!(config.reload, Reload::Child(_)));
        assert_eq!(config.check.as_deref(), Some("nginx -t -q -c \"$CONFIG\""));
        let config = outcome(&["--config", "x.conf", "--no-reload"]).unwrap();
        assert_eq!(config.path, std::env::current_dir().unwrap().join("x.conf"));
        let config = outcome(&["--config", "/x", "--run=my nginx", "--check", "true"]).unwrap();
        assert!(config.reload.is_down() && config.check.as_deref() == Some("true"));
        for (more, expected) in [
            (&[][..], "--config FILE is needed"),
            (&["--config", "/x"], "how is the proxy told"),
            (&["--config", "/", "--run"], "--config \"/\": expected a file's path"),
            (&["--config", "/x", "--run", "--no-reload"], "only one can be given"),
            (&["--config", "/x", "--reload", " "], "expected a command"),
            (&["--config", "/x", "--run", "--resync", "1ms"], "expected 1s or more"),
            (&["--config", "/x", "--run", "--wait", "3s"], "not less than --wait"),
            (&["--config", "/x", "--run", "--wait", "x"], "expected a duration"),
            (&["--config", "/x", "--once", "--run"], "clap"),
            (&["--network", "x"], "clap"),
        ] {
            let found = outcome(more).unwrap_err();
            assert!(found.contains(expected), "{more:?}: {found}");
        }
    }

    #[test]
    fn a_variable_that_the_template_does_not_look_at_is_told() {
        let ready = Template::ready(Kind::Nginx);
        let told = |source: &str, name: &str| {
            let (settings, vars) = (Settings::default(), BTreeMap::new());
            let template = Template::read("t", source.to_owned(), settings, vars).unwrap();
            unused(&template, &[name.to_owned()]).pop()
        };
        for name in ["http_port", "drain", "pid", "max_body"] {
            assert_eq!(told(ready, name), None);
        }
        let words = told(ready, "http-port").unwrap();
        assert!(words.contains("--set http-port: "), "{words}");
        assert!(words.ends_with("looks at: drain, http_port, max_body, pid"), "{words}");
        assert!(told("{{ nodes }}", "x").unwrap().ends_with("looks at: none"));
        let made = "{% macro m(x) %}{{ vars.tier.name }}{{ x }}{% endmacro %}{{ m(1) }}";
        assert_eq!(told(made, "tier"), None);
        // One that passes over all of them, or names them as it goes, may look at any.
        assert_eq!(told("{% for name in vars %}{{ name }}{% endfor %}", "x"), None);
        assert_eq!(told("{% set n = 'x' %}{{ vars[n] }}", "x"), None);
    }
}
