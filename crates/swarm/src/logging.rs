//! Where the log goes and how much of it: standard error, one line per event, colours on a
//! terminal only; or one JSON object per event, for programs. Standard output belongs to what a command prints.
//! What is said within a trace has the trace's id, so that either leads to the other.

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, format};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::LogFlags;
use crate::config::Env;
use crate::usage::UsageError;

/// Starts the log. `RUST_LOG` decides where no flag does.
pub fn start(flags: &LogFlags, env: Env<'_>) -> Result<(), UsageError> {
    let debug =
        flags.debug || env("DEBUG").is_some_and(|on| crate::values::boolean(&on) == Ok(true));
    let level = match (flags.level.as_deref(), debug) {
        (Some(level), _) => Some(parse(level)?),
        (None, true) => Some("debug"),
        (None, false) => None,
    };
    // What the libraries under us report at debug level is noise to an operator.
    // A peer that is away is told by us; the consensus library says so ten times a second.
    let ours = |level: &str| {
        EnvFilter::new(format!("warn,zookeeper_client=error,openraft=error,swarm={level}"))
    };
    let filter = match (level, env("RUST_LOG").filter(|filter| !filter.is_empty())) {
        (Some(level), _) => ours(level),
        (None, Some(filter)) => EnvFilter::try_new(&filter).map_err(|error| {
            UsageError::value("RUST_LOG", &filter, format!("not a log filter: {error}"))
        })?,
        (None, None) => ours("info"),
    };
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start (there is none outside tests) keeps the first.
    let _ = match flags.format.as_deref() {
        None | Some("text") => {
            let text = format().with_target(false).with_ansi(colours);
            log.with_ansi(colours)
                .event_format(Joined { format: text, shape: Shape::Text })
                .try_init()
        }
        // What an event says beside its words stands at the first level, as log stores want it.
        Some("json") => {
            let json = format().with_target(false).json().flatten_event(true);
            let joined = Joined { format: json, shape: Shape::Json };
            log.with_ansi(false).fmt_fields(JsonFields::new()).event_format(joined).try_init()
        }
        Some(other) => {
            return Err(UsageError::value("--log-format", other, "expected text or json"));
        }
    };
    Ok(())
}

/// A line of the log, with the id of the trace that it is part of.
struct Joined<F> {
    format: F,
    shape: Shape,
}

enum Shape {
    Text,
    Json,
}

impl<S, N, F> FormatEvent<S, N> for Joined<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(id) = swarm_trace::current_id() else {
            return self.format.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{}", self.shape.with_id(line.trim_end(), &id))
    }
}

impl Shape {
    fn with_id(&self, line: &str, id: &str) -> String {
        match (self, line.strip_suffix('}')) {
            (Self::Json, Some(open)) => format!("{open},\"trace_id\":\"{id}\"}}"),
            _ => format!("{line} trace_id={id}"),
        }
    }
}

/// Classic's names; its `fatal` and `panic` end a process, so they show errors here.
fn parse(level: &str) -> Result<&'static str, UsageError> {
    match level.to_ascii_lowercase().as_str() {
        "trace" => Ok("trace"),
        "debug" => Ok("debug"),
        "info" => Ok("info"),
        "warn" | "warning" => Ok("warn"),
        "error" | "fatal" | "panic" => Ok("error"),
        _ => Err(UsageError::value(
            "--log-level",
            level,
            "expected debug, info, warn, error, fatal or panic",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_its_trace_as_its_own_notation_has_it() {
        assert_eq!(Shape::Text.with_id("INFO created a=1", "4b"), "INFO created a=1 trace_id=4b");
        let line = Shape::Json.with_id(r#"{"level":"INFO"}"#, "4b");
        assert_eq!(line, r#"{"level":"INFO","trace_id":"4b"}"#);
        assert_eq!(Shape::Json.with_id("broken", "4b"), "broken trace_id=4b");
    }
}
