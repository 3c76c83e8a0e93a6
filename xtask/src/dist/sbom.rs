//! What is built into the binary, as a list in CycloneDX 1.5 (JSON): each crate with its version,
//! licence and source, from cargo's own resolution.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::Release;
use crate::cargo::cargo;

pub fn write(release: &Release) -> Result<()> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let arguments = ["metadata", "--format-version=1", "--locked", "--filter-platform", &target];
    let output = cargo(&arguments).output().context("asking cargo for its resolution")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let list = list(&serde_json::from_slice(&output.stdout)?, "swarm")?;
    let text = format!("{}\n", serde_json::to_string_pretty(&list)?);
    Ok(fs::write(release.out.join(format!("{}.cdx.json", release.name())), text)?)
}

/// The list of one program's crates, the program first.
fn list(metadata: &Value, program: &str) -> Result<Value> {
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let by_id: BTreeMap<&str, &Value> =
        packages.iter().filter_map(|package| Some((package["id"].as_str()?, package))).collect();
    let own = packages
        .iter()
        .find(|package| package["name"] == program && package["source"].is_null())
        .and_then(|package| package["id"].as_str())
        .with_context(|| format!("there is no package {program}"))?;
    let nodes = metadata["resolve"]["nodes"].as_array().context("cargo resolved nothing")?;
    let below: BTreeMap<&str, Vec<&str>> =
        nodes.iter().filter_map(|node| Some((node["id"].as_str()?, built_in(node)))).collect();
    let mut found = BTreeSet::from([own]);
    let mut open = vec![own];
    while let Some(id) = open.pop() {
        for dependency in below.get(id).into_iter().flatten() {
            if found.insert(dependency) {
                open.push(dependency);
            }
        }
    }
    found.remove(own);
    let component = |id: &&str| by_id.get(*id).map(|package| component(package));
    let mut components: Vec<Value> = found.iter().filter_map(component).collect();
    components.sort_by_key(|component| component["bom-ref"].to_string());
    let mut program = by_id.get(own).map(|package| self::component(package)).unwrap_or_default();
    program["type"] = json!("application");
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": program },
        "components": components,
    }))
}

/// A node's dependencies that end up in the program: no build scripts', no tests'.
fn built_in(node: &Value) -> Vec<&str> {
    let is_normal = |dependency: &&Value| {
        let kinds = dependency["dep_kinds"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
    };
    let dependencies = node["deps"].as_array().into_iter().flatten();
    dependencies.filter(is_normal).filter_map(|dependency| dependency["pkg"].as_str()).collect()
}

fn component(package: &Value) -> Value {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let (name, version) = (text("name"), text("version"));
    let address = format!("pkg:cargo/{name}@{version}");
    let mut component = json!({
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": version,
        "purl": address,
    });
    if !text("license").is_empty() {
        // Some still write the old form, A/B.
        component["licenses"] = json!([{ "expression": text("license").replace('/', " OR ") }]);
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_listed_and_nothing_else() {
        let package = |name: &str, source: Value| {
            json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0",
                    "source": source })
        };
        let needs =
            |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [
                package("swarm", Value::Null),
                package("deep", json!("registry")),
                package("wide", json!("registry")),
                package("cc", json!("registry")),
                package("proptest", json!("registry")),
            ],
            "resolve": { "nodes": [
                { "id": "swarm", "deps": [needs("wide", Value::Null), needs("proptest", json!("dev"))] },
                { "id": "wide", "deps": [needs("deep", Value::Null), needs("cc", json!("build"))] },
                { "id": "deep", "deps": [needs("wide", Value::Null)] },
            ] },
        });
        let list = list(&metadata, "swarm").unwrap();
        assert_eq!(list["metadata"]["component"]["name"], "swarm");
        let names: Vec<_> =
            list["components"].as_array().unwrap().iter().map(|one| one["purl"].clone()).collect();
        assert_eq!(names, ["pkg:cargo/deep@1.0.0", "pkg:cargo/wide@1.0.0"]);
        assert_eq!(list["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert!(super::list(&metadata, "other").is_err());
    }
}
