//! Templates: minijinja (Jinja2's language) over a look at what is there.
//!
//! Invariants: what is printed is one plain word, unless the author marks it `safe`: a label with a line
//! break or a brace in it ends the rendering, not the proxy's rules; what is not defined is an error; a
//! rendering ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, context};
use serde::Serialize;

use crate::process::Kind;
use crate::reach::Settings;
use crate::sight::Sight;
use crate::sites::{Site, sites, word};

/// Steps of one rendering: some thousand for each of 10,000 containers.
const LONGEST: u64 = 50_000_000;

/// The ready templates.
const NGINX: &str = include_str!("templates/nginx.conf.j2");
const HAPROXY: &str = include_str!("templates/haproxy.cfg.j2");

/// Why a template cannot be read or rendered, with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the template {name}: {reason}")]
pub struct BadTemplate {
    /// Its name.
    pub name: String,
    /// In one line.
    pub reason: String,
}

/// A template that can be rendered.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    environment: Environment<'static>,
    settings: Settings,
    vars: BTreeMap<String, String>,
}

/// A rendered text, and who is left out (its name) with the reason.
pub type Rendered = (String, Vec<(String, String)>);

#[derive(Serialize)]
struct Reached {
    address: String,
    port: u16,
    endpoint: String,
}

impl Template {
    /// The ready template for a proxy.
    pub fn ready(kind: Kind) -> &'static str {
        match kind {
            Kind::Nginx => NGINX,
            Kind::Haproxy => HAPROXY,
        }
    }

    /// Reads a template; `name` is for messages.
    pub fn read(
        name: &str,
        source: String,
        settings: Settings,
        vars: BTreeMap<String, String>,
    ) -> Result<Self, BadTemplate> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_keep_trailing_newline(true);
        environment.set_fuel(Some(LONGEST));
        // With one, what macros and blocks give is safe, for its parts were looked at.
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Custom("word"));
        environment.set_formatter(print);
        environment.add_filter("word", |text: &str| word(text));
        environment.add_filter("with_label", with_label);
        environment.add_filter("with_port", with_port);
        let bad = |error: Error| BadTemplate { name: name.to_owned(), reason: in_words(&error) };
        environment.add_template_owned("template", source).map_err(bad)?;
        Ok(Self { name: name.to_owned(), environment, settings, vars })
    }

    /// What of `vars` it looks at; `None` where it passes over all of them.
    pub fn asked_for(&self) -> Option<BTreeSet<String>> {
        let template = self.environment.get_template("template").ok()?;
        let names = template.undeclared_variables(true);
        if names.contains("vars") {
            return None;
        }
        let own = names.iter().filter_map(|name| name.strip_prefix("vars."));
        Some(own.filter_map(|name| name.split('.').next()).map(str::to_owned).collect())
    }

    /// The text for what is there.
    pub fn render(&self, sight: Sight) -> Result<Rendered, BadTemplate> {
        let (sites, refused) = sites(&sight, &self.settings);
        let text = self.fill(&Arc::new(sight), &sites);
        let bad = |error: Error| BadTemplate { name: self.name.clone(), reason: in_words(&error) };
        Ok((text.map_err(bad)?, refused))
    }

    fn fill(&self, sight: &Arc<Sight>, sites: &[Site]) -> Result<String, Error> {
        let (settings, seen) = (self.settings.clone(), Arc::clone(sight));
        let endpoint =
            Value::from_function(move |thing: Value, port: u16| -> Result<Value, Error> {
                reached(&seen, &settings, &thing, port)
            });
        let context = context! {
            sites => sites,
            nodes => sight.nodes,
            containers => sight.containers,
            services => sight.services,
            tasks => sight.tasks,
            vars => self.vars,
            endpoint => endpoint,
        };
        self.environment.get_template("template")?.render(context)
    }
}

/// `endpoint(container, 80)`: where a container's or a task's port is reached; `none` where it is not.
fn reached(sight: &Sight, settings: &Settings, thing: &Value, port: u16) -> Result<Value, Error> {
    let id = thing.get_attr("id")?;
    let id = id.as_str().unwrap_or_default();
    let container = sight.containers.iter().find(|container| container.id == id);
    let task = sight.tasks.iter().find(|task| task.id == id);
    let found = match (container, task) {
        (Some(container), _) => settings.container(sight, container, port),
        (_, Some(task)) => settings.task(sight, task, port),
        (None, None) => {
            let expected = "endpoint(THING, PORT) needs a container or a task";
            return Err(Error::new(ErrorKind::InvalidOperation, expected));
        }
    };
    Ok(found.map_or(Value::from(()), |found| {
        let endpoint = found.to_string();
        Value::from_serialize(Reached { address: found.address, port: found.port, endpoint })
    }))
}

/// `list | with_label("tier")`, `list | with_label("tier", "front")`.
fn with_label(list: &Value, key: &str, wanted: Option<&str>) -> Result<Value, Error> {
    let mut kept = Vec::new();
    for one in list.try_iter()? {
        let label = one.get_attr("labels")?.get_item(&Value::from(key))?;
        let has = match wanted {
            Some(wanted) => label.as_str() == Some(wanted),
            None => !label.is_undefined(),
        };
        if has {
            kept.push(one);
        }
    }
    Ok(Value::from(kept))
}

/// `list | with_port(80)`: containers with this TCP port inside, services and tasks that publish it.
fn with_port(list: &Value, wanted: u16) -> Result<Value, Error> {
    let mut kept = Vec::new();
    for one in list.try_iter()? {
        for port in one.get_attr("ports")?.try_iter()? {
            let inside = port.get_attr("private")?;
            let inside = if inside.is_undefined() { port.get_attr("target")? } else { inside };
            let is_tcp = port.get_attr("protocol")?.as_str() == Some("tcp");
            if is_tcp && inside == Value::from(wanted) {
                kept.push(one);
                break;
            }
        }
    }
    Ok(Value::from(kept))
}

/// Prints what is one plain word, or is marked as safe by the template.
fn print(out: &mut Output<'_>, _: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@+,=*[]".contains(c);
    if value.is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "there is nothing to print: none"));
    }
    let text = value.to_string();
    if !value.is_safe()
        && let Some(odd) = text.chars().find(|c| !plain(*c))
    {
        let shown: String = text.chars().take(80).collect();
        let problem = format!(
            "{shown:?} has {odd:?} in it, which may mean something to the proxy; `| word` makes one \
             plain word of it, `| safe` prints it as it is"
        );
        return Err(Error::new(ErrorKind::InvalidOperation, problem));
    }
    out.write_str(&text).map_err(Error::from)
}

/// An error with its place, in one line.
fn in_words(error: &Error) -> String {
    let detail = error.detail().map_or_else(
        || error.kind().to_string(),
        |detail| match error.kind() {
            ErrorKind::InvalidOperation => detail.to_owned(),
            kind => format!("{kind}: {detail}"),
        },
    );
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    let hint = match error.kind() {
        ErrorKind::OutOfFuel => " (does it go in circles?)",
        _ => "",
    };
    format!("{line}{}{hint}", detail.replace('\n', " "))
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
