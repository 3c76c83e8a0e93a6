//! Mounts: binds, volumes and tmpfs, which the engine takes in the form in which services have them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use swarm_model::service::Mount;

use super::fields::{Fields, Refusal, put};
use super::names::TaskNames;

pub(super) fn mounts(mounts: &[Mount], names: &TaskNames) -> Result<Vec<Value>, Refusal> {
    mounts.iter().map(|mount| one(mount, names)).collect()
}

fn one(mount: &Mount, names: &TaskNames) -> Result<Value, Refusal> {
    let mut fields = Fields::new("ContainerSpec.Mounts", mount.rest.clone());
    let kind: String = fields.or_zero("Type")?;
    // In Docker's form the first kind is the one that is not named.
    let kind = if kind.is_empty() { "bind".to_owned() } else { kind };
    match kind.as_str() {
        "bind" | "volume" | "tmpfs" => {}
        "npipe" => return fields.refuse("npipe is for Windows containers"),
        "cluster" => return fields.refuse("cluster volumes are not here"),
        other => return fields.refuse(&format!("invalid MountType: {other:?}")),
    }
    let mut out = Map::new();
    let source: String = fields.or_zero("Source")?;
    put(&mut out, "Type", kind.as_str());
    put(&mut out, "Source", names.fill("Mounts", &source)?);
    put(&mut out, "Target", names.fill("Mounts", &mount.target)?);
    put(&mut out, "ReadOnly", fields.or_zero::<bool>("ReadOnly")?);
    put(&mut out, "Consistency", fields.or_zero::<String>("Consistency")?);
    let options = fields.same(
        "BindOptions",
        &[
            "Propagation",
            "NonRecursive",
            "CreateMountpoint",
            "ReadOnlyNonRecursive",
            "ReadOnlyForceRecursive",
        ],
    )?;
    keep(&fields, &mut out, "BindOptions", options, kind == "bind")?;
    let options = fields.same("TmpfsOptions", &["SizeBytes", "Mode", "Options"])?;
    keep(&fields, &mut out, "TmpfsOptions", options, kind == "tmpfs")?;
    let options = volume(&mut fields, names)?;
    keep(&fields, &mut out, "VolumeOptions", options, kind == "volume")?;
    if let Some(options) = fields.value("ClusterOptions")
        && options.as_object().is_none_or(|options| !options.is_empty())
    {
        return fields.refuse("cluster volumes are not here");
    }
    fields.finish()?;
    Ok(Value::Object(out))
}

/// Keeps the options of the mount's own kind; those of another say that something is misunderstood.
fn keep(
    fields: &Fields,
    out: &mut Map<String, Value>,
    key: &str,
    options: Option<Value>,
    own: bool,
) -> Result<(), Refusal> {
    let Some(options) = options else { return Ok(()) };
    if own {
        put(out, key, options);
        return Ok(());
    }
    let empty = options.as_object().is_none_or(Map::is_empty);
    if empty { Ok(()) } else { fields.refuse(&format!("{key} is for another type of mount")) }
}

fn volume(fields: &mut Fields, names: &TaskNames) -> Result<Option<Value>, Refusal> {
    let Some(mut options) = fields.object("VolumeOptions")? else { return Ok(None) };
    let mut out = Map::new();
    put(&mut out, "NoCopy", options.or_zero::<bool>("NoCopy")?);
    put(&mut out, "Subpath", options.or_zero::<String>("Subpath")?);
    put(&mut out, "Labels", filled(options.or_zero("Labels")?, names)?);
    if let Some(mut driver) = options.object("DriverConfig")? {
        let mut config = Map::new();
        put(&mut config, "Name", driver.or_zero::<String>("Name")?);
        put(&mut config, "Options", filled(driver.or_zero("Options")?, names)?);
        driver.finish()?;
        put(&mut out, "DriverConfig", Value::Object(config));
    }
    options.finish()?;
    Ok(Some(Value::Object(out)))
}

fn filled(texts: BTreeMap<String, String>, names: &TaskNames) -> Result<Value, Refusal> {
    let filled: Result<BTreeMap<String, String>, Refusal> =
        texts.into_iter().map(|(key, text)| Ok((key, names.fill("Mounts", &text)?))).collect();
    Ok(json!(filled?))
}
