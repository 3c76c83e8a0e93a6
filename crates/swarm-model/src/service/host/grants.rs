//! What a node's owner allows: `NAME` for any value of a setting, `NAME=VALUE` for one; of paths also
//! what lies below it; `all` for everything.

use super::settings::{Kind, granted};
use super::{Ask, PREFIX, Wrong};

/// Everything.
pub const ALL: &str = "all";

/// Checks one grant, and writes it as nodes tell it.
pub fn grant(text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    if text == ALL {
        return Ok(text.to_owned());
    }
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let Some(setting) = granted(name.strip_prefix(PREFIX).unwrap_or(name)) else {
        return Err(Wrong(format!(
            "{name:?} is none of the settings that a service can ask for; give all, or some of {}",
            super::SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>().join(", ")
        )));
    };
    match value {
        None => Ok(setting.name.to_owned()),
        Some("") => Err(Wrong(format!("{name}= names no value; give {name} for any"))),
        Some(value) => Ok(format!("{}={value}", setting.name)),
    }
}

/// Whether these grants allow what is asked for: each item of it.
pub fn allow(grants: &[String], ask: &Ask) -> bool {
    ask.items.iter().all(|item| grants.iter().any(|grant| allows(grant, ask, item)))
}

/// What of these the grants do not allow.
pub fn lacks<'a>(grants: &[String], asks: &'a [Ask]) -> Option<&'a Ask> {
    asks.iter().find(|ask| !allow(grants, ask))
}

fn allows(grant: &str, ask: &Ask, item: &str) -> bool {
    let (name, value) = match grant.split_once('=') {
        None if grant == ALL => return true,
        None => (grant, None),
        Some((name, value)) => (name, Some(value)),
    };
    name == ask.setting.name
        && value.is_none_or(|value| {
            item == value
                || (matches!(ask.setting.kind, Kind::Devices | Kind::Path)
                    && item
                        .strip_prefix(value.trim_end_matches('/'))
                        .is_some_and(|below| below.starts_with('/')))
        })
}
