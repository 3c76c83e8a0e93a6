//! The texts of labels, read as `docker run` reads its flags.

use serde_json::{Value, json};

use super::Wrong;

/// A device, as in `HostConfig.Devices`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    /// On the host.
    pub host: String,
    /// In the container.
    pub container: String,
    /// Out of `rwm`.
    pub may: String,
}

impl Device {
    pub(super) fn json(&self) -> Value {
        json!({
            "PathOnHost": self.host, "PathInContainer": self.container, "CgroupPermissions": self.may,
        })
    }
}

fn wrong<T>(words: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(words.into()))
}

pub(super) fn flag(text: &str) -> Result<bool, Wrong> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        other => wrong(format!("{other:?} is neither true nor false")),
    }
}

pub(super) fn number(text: &str, from: i64, to: i64) -> Result<i64, Wrong> {
    match text.parse::<i64>() {
        Ok(number) if (from..=to).contains(&number) => Ok(number),
        _ => wrong(format!("{text:?} is no whole number from {from} to {to}")),
    }
}

/// Docker's `RAMInBytes` without fractions: `64m`, `1GiB`, `4096`.
pub(super) fn bytes(text: &str) -> Result<i64, Wrong> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (amount, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => 64,
    };
    let bytes =
        amount.parse::<i64>().ok().and_then(|amount| amount.checked_mul(1_i64.checked_shl(shift)?));
    match bytes {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => wrong(format!("{text:?} is no amount of memory like 64m")),
    }
}

/// Something without spaces.
pub(super) fn word(text: &str) -> Result<&str, Wrong> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong(format!("{text:?} is not one word"));
    }
    Ok(text)
}

/// A path that goes down alone: what an owner allows below a path must lie there.
pub(super) fn path(text: &str) -> Result<&str, Wrong> {
    word(text)?;
    if text.split('/').any(|part| part == ".." || part == ".") {
        return wrong(format!("{text:?} has \".\" or \"..\" in it"));
    }
    Ok(text)
}

pub(super) fn one_of<'a>(text: &'a str, words: &[&str]) -> Result<&'a str, Wrong> {
    if words.contains(&text) {
        return Ok(text);
    }
    wrong(format!("{text:?} is none of {}", words.join(", ")))
}

pub(super) fn list(text: &str) -> Result<Vec<String>, Wrong> {
    let items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
    if items.iter().any(String::is_empty) {
        return wrong(format!("{text:?} has an empty item; they are parted by commas"));
    }
    Ok(items)
}

pub(super) fn devices(text: &str) -> Result<Vec<Device>, Wrong> {
    list(text)?.iter().map(|item| device(item)).collect()
}

fn device(text: &str) -> Result<Device, Wrong> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, may) = match *parts.as_slice() {
        [host] => (host, host, "rwm"),
        [host, may] if is_permission(may) => (host, host, may),
        [host, container] => (host, container, "rwm"),
        [host, container, may] if is_permission(may) => (host, container, may),
        _ => return wrong(format!("{text:?} is not HOST[:CONTAINER[:rwm]]")),
    };
    for path in [host, container] {
        self::path(path)?;
        if !path.starts_with('/') {
            return wrong(format!("{text:?}: {path:?} is no absolute path"));
        }
    }
    Ok(Device { host: host.to_owned(), container: container.to_owned(), may: may.to_owned() })
}

fn is_permission(text: &str) -> bool {
    let once = |c| text.matches(c).count() <= 1;
    !text.is_empty() && text.chars().all(|c| "rwm".contains(c)) && "rwm".chars().all(once)
}

/// As `--gpus` of `docker run`.
pub(super) fn gpus(text: &str) -> Result<Value, Wrong> {
    let request = |count: i64, ids: Vec<String>| {
        let mut request = json!({"Capabilities": [["gpu"]]});
        if ids.is_empty() {
            request["Count"] = count.into();
        } else {
            request["DeviceIDs"] = ids.into();
        }
        json!([request])
    };
    if text == "all" {
        return Ok(request(-1, Vec::new()));
    }
    if let Some(ids) = text.strip_prefix("device=") {
        return Ok(request(0, list(ids)?));
    }
    match text.parse::<i64>() {
        Ok(count) if count > 0 => Ok(request(count, Vec::new())),
        _ => wrong(format!("{text:?} is not all, a number, or device=ID,...")),
    }
}
