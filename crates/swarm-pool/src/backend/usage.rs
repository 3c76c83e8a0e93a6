//! `GET /system/df` (API v1.25 and up): asked of every engine and added up.
//!
//! Both forms are read: the lists of API v1.51 and older (`Images`, `Containers`, …) and the groups
//! of v1.52 (`ImageUsage` with totals and `Items`). An image that several engines have is one image
//! that takes its room on each of them, so sizes are added although the list has it once.
//! Containers and local volumes are shown as `node/name`, as their own lists show them.

use serde_json::{Map, Value};
use swarm_backend::{ApiError, Effect, Exchange, Reply, Result};
use swarm_docker::image::{self, ImageEntry};

use super::{Copied, json};
use crate::fanout;

/// Where a list of each kind is, in the old form and in the new one.
const IMAGES: [&str; 2] = ["/Images", "/ImageUsage/Items"];
const CONTAINERS: [&str; 2] = ["/Containers", "/ContainerUsage/Items"];
const VOLUMES: [&str; 2] = ["/Volumes", "/VolumeUsage/Items"];

impl crate::Pool {
    pub(super) async fn usage(&self, exchange: Exchange) -> Result<Reply> {
        let mut request = Copied::read(exchange).await?;
        // Engines of different versions answer a client that names none in different forms.
        request.version = request.version.or(Some(self.common_version()));
        let nodes: Vec<String> = request.query.all("node").map(str::to_owned).collect();
        request.query.remove("node");
        let engines = self.engines_for(&nodes)?;
        let answers = fanout::ask(&engines, async |engine| {
            // Counting a large disk takes minutes, as some changes do.
            let reply = request.send(&engine, "", Effect::Changes).await?;
            json(reply).await
        })
        .await;
        let answers = fanout::any_of(answers)?;
        let named = answers.into_iter().map(|(engine, usage)| (engine.label(), usage));
        Reply::ok(&united_usage(named)?)
    }
}

/// Adds up what the nodes use.
fn united_usage(answers: impl Iterator<Item = (String, Value)>) -> Result<Value> {
    let mut sum = Value::Object(Map::new());
    for (node, mut usage) in answers {
        name_by_node(&node, &mut usage);
        add(&mut sum, usage);
    }
    for place in IMAGES {
        let Some(list) = sum.pointer_mut(place) else { continue };
        unite_images(list)?;
        if let Some(group) = place.strip_suffix("/Items") {
            let counts = list.as_array().map(|list| {
                let used = |image: &&Value| image["Containers"].as_i64().unwrap_or(0) > 0;
                (list.len(), list.iter().filter(used).count())
            });
            if let (Some((total, active)), Some(group)) = (counts, sum.pointer_mut(group)) {
                group["TotalCount"] = total.into();
                group["ActiveCount"] = active.into();
            }
        }
    }
    for place in VOLUMES {
        if let Some(list) = sum.pointer_mut(place).and_then(Value::as_array_mut) {
            // A volume that all engines share is one volume.
            let mut seen = std::collections::HashSet::new();
            list.retain(|volume| seen.insert(volume["Name"].to_string()));
        }
    }
    Ok(sum)
}

/// Says of containers and volumes which node's they are.
fn name_by_node(node: &str, usage: &mut Value) {
    let objects = |usage: &mut Value, places: [&str; 2], name: &dyn Fn(&mut Value)| {
        for place in places {
            let list = usage.pointer_mut(place).and_then(Value::as_array_mut);
            list.into_iter().flatten().for_each(name);
        }
    };
    objects(usage, CONTAINERS, &|container| {
        let names = container.get_mut("Names").and_then(Value::as_array_mut);
        for name in names.into_iter().flatten() {
            let local = name.as_str().unwrap_or_default().trim_start_matches('/');
            *name = format!("/{node}/{local}").into();
        }
    });
    objects(usage, VOLUMES, &|volume| {
        let local =
            volume.get("Scope").and_then(Value::as_str).is_none_or(|scope| scope == "local");
        if let Some(name) = volume.get("Name").and_then(Value::as_str).filter(|_| local) {
            volume["Name"] = format!("{node}/{name}").into();
        }
    });
}

/// Adds `more`: numbers are summed, lists joined, groups added member by member. A size of -1 is
/// one that was not counted.
fn add(sum: &mut Value, more: Value) {
    match (sum, more) {
        (Value::Object(sum), Value::Object(more)) => {
            for (key, value) in more {
                match sum.get_mut(&key) {
                    Some(known) => add(known, value),
                    None => {
                        sum.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(sum), Value::Array(more)) => sum.extend(more),
        (sum @ Value::Number(_), Value::Number(more)) => {
            let (known, more) = (sum.as_i64().unwrap_or(0), more.as_i64().unwrap_or(0));
            *sum = match (known, more) {
                (..0, more) => more,
                (known, ..0) => known,
                (known, more) => known.saturating_add(more),
            }
            .into();
        }
        (sum @ Value::Null, more) => *sum = more,
        _ => {}
    }
}

/// One entry per image id, as in the pool's image list, but with the room it takes on all engines:
/// clients subtract images' sizes from `LayersSize`, which counts every engine's copy.
fn unite_images(list: &mut Value) -> Result<()> {
    let Some(images) = list.as_array().filter(|images| !images.is_empty()) else { return Ok(()) };
    let entries = images.iter().map(|image| ImageEntry::parse(image.to_string().as_bytes()));
    let entries = entries.collect::<std::result::Result<Vec<_>, _>>()?;
    let mut united: Value = serde_json::from_slice(&image::united(&entries))
        .map_err(|error| ApiError::system(format!("the united images: {error}")))?;
    for image in united.as_array_mut().into_iter().flatten() {
        let copies: Vec<&Value> = images.iter().filter(|copy| copy["Id"] == image["Id"]).collect();
        for size in ["Size", "SharedSize", "VirtualSize"] {
            let counted = copies.iter().filter_map(|copy| copy[size].as_i64()).filter(|n| *n >= 0);
            if image.get(size).is_some() && counted.clone().next().is_some() {
                image[size] = counted.sum::<i64>().into();
            }
        }
    }
    *list = united;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn united(answers: [Value; 2]) -> Value {
        let names = ["n1".to_owned(), "n2".to_owned()];
        united_usage(names.into_iter().zip(answers)).unwrap()
    }

    #[test]
    fn lists_are_joined_and_say_whose_they_are() {
        let usage = |tag: &str, container: &str, layers: i64| {
            json!({
                "LayersSize": layers,
                "Images": [{"Id": "sha256:a", "RepoTags": [tag], "RepoDigests": [],
                    "Created": 1, "Size": 10, "SharedSize": 0, "Containers": 1}],
                "Containers": [{"Id": container, "Names": [format!("/{container}")]}],
                "Volumes": [{"Name": "data", "Scope": "local", "UsageData": {"Size": 3}},
                    {"Name": "nfs", "Scope": "global"}],
                "BuildCache": null,
            })
        };
        let sum = united([usage("a:1", "web", 10), usage("a:2", "db", 12)]);
        assert_eq!(sum["LayersSize"], 22);
        assert_eq!(sum["Images"].as_array().unwrap().len(), 1);
        assert_eq!(sum["Images"][0]["RepoTags"], json!(["a:1", "a:2"]));
        assert_eq!(sum["Images"][0]["Containers"], 2);
        assert_eq!(sum["Images"][0]["Size"], 20, "it takes its room on both");
        assert_eq!(sum["Containers"][1]["Names"], json!(["/n2/db"]));
        let volumes: Vec<_> =
            sum["Volumes"].as_array().unwrap().iter().map(|volume| &volume["Name"]).collect();
        assert_eq!(volumes, ["n1/data", "nfs", "n2/data"]);
        assert_eq!(sum["BuildCache"], Value::Null);
    }

    #[test]
    fn groups_of_the_newer_form_are_added_member_by_member() {
        let usage = |active: i64| {
            json!({
                "ImageUsage": {"ActiveCount": active, "TotalCount": 1, "Reclaimable": 4,
                    "TotalSize": 10, "Items": [{"Id": "sha256:a", "RepoTags": ["a:1"],
                        "RepoDigests": [], "Created": 1, "Size": 10, "Containers": active}]},
                "BuildCacheUsage": {"TotalCount": 2, "TotalSize": 5, "Items": [{"ID": "x"}]},
            })
        };
        let sum = united([usage(0), usage(1)]);
        assert_eq!(sum["ImageUsage"]["TotalSize"], 20);
        assert_eq!(sum["ImageUsage"]["Reclaimable"], 8);
        assert_eq!(
            (&sum["ImageUsage"]["TotalCount"], &sum["ImageUsage"]["ActiveCount"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(sum["BuildCacheUsage"]["Items"].as_array().unwrap().len(), 2);
        let counts = united([
            json!({"ImageUsage": {"TotalCount": 2}}),
            json!({"ImageUsage": {"TotalCount": 3}}),
        ]);
        assert_eq!(
            counts["ImageUsage"]["TotalCount"], 5,
            "without items nothing is known of repeats"
        );
    }

    #[test]
    fn what_one_engine_did_not_count_hides_nothing() {
        let sum = united([json!({"LayersSize": -1}), json!({"LayersSize": 7, "Images": null})]);
        assert_eq!(sum, json!({"LayersSize": 7, "Images": null}));
    }
}
