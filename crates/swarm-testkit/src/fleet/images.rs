//! `/images/…` of a simulated engine. A pull always finds what it is asked for, unless
//! the name says `missing`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::Engine;
use super::container::stamp;
use super::events::Subject;
use super::filter::Filters;
use super::id::Id;
use super::reply::{self, Outcome, Refusal, quoted};
use super::route::Call;
use super::state::Books;

/// An image; engines share those of the seed.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub id: Id,
    /// Full references with tag.
    pub tags: Vec<Box<str>>,
    size: u64,
    created: i64,
}

impl Image {
    /// The image every engine would get under `reference`.
    pub fn seeded(reference: &str) -> Self {
        let reference = with_tag(reference);
        let id = Id::of(&reference);
        let size = 4_000_000 + u64::from(id.bytes()[0]) * 1_000_000;
        Self { id, tags: vec![reference.into()], size, created: 1_700_000_000_000_000_000 }
    }

    fn digests(&self) -> Vec<String> {
        let name = |tag: &str| tag.rsplit_once(':').map_or(tag, |(name, _)| name).to_owned();
        self.tags.iter().map(|t| format!("{}@sha256:{}", name(t), self.id)).collect()
    }
}

/// `reference` with `:latest` where it has neither tag nor digest.
pub(super) fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains(':') || last.contains('@') {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

/// The image that `key` (reference, id, id prefix of at least four digits) means.
pub(super) fn find<'a>(images: &'a [Arc<Image>], key: &str) -> Option<&'a Arc<Image>> {
    let plain = key.strip_prefix("docker.io/library/").or_else(|| key.strip_prefix("docker.io/"));
    let reference = with_tag(plain.unwrap_or(key));
    let digits = key.strip_prefix("sha256:").unwrap_or(key);
    images.iter().find(|image| image.tags.iter().any(|tag| **tag == *reference)).or_else(|| {
        images.iter().find(|image| {
            (digits.len() >= 4 && image.id.has_prefix(digits))
                || (key.contains('@') && image.digests().iter().any(|digest| digest == key))
        })
    })
}

fn get<'a>(books: &'a Books, key: &str) -> Result<&'a Arc<Image>, Refusal> {
    find(&books.images, key)
        .ok_or_else(|| Refusal::not_found(format!("No such image: {}", with_tag(key))))
}

pub(super) fn list(engine: &Engine, call: &Call) -> Outcome {
    let filters = Filters::parse(call.get("filters"))?;
    let books = engine.books.lock();
    let images: Vec<Value> = books
        .images
        .iter()
        .filter(|image| {
            filters.any("reference", |want| {
                image.tags.iter().any(|tag| **tag == **want || tag.split(':').next() == Some(want))
            }) && filters.get("label").is_empty()
        })
        .map(|image| {
            json!({
                "Containers": -1, "Created": image.created / 1_000_000_000,
                "Id": format!("sha256:{}", image.id), "Labels": null, "ParentId": "",
                "RepoDigests": image.digests(), "RepoTags": image.tags, "SharedSize": -1,
                "Size": image.size, "VirtualSize": image.size
            })
        })
        .collect();
    drop(books);
    Ok(reply::value(&Value::from(images)))
}

pub(super) fn inspect(engine: &Engine, call: &Call) -> Outcome {
    let books = engine.books.lock();
    let image = get(&books, &call.key)?;
    let layer = format!("sha256:{}", Id::of(&image.id.to_string()));
    Ok(reply::value(&json!({
        "Id": format!("sha256:{}", image.id), "RepoTags": image.tags,
        "RepoDigests": image.digests(), "Parent": "", "Comment": "",
        "Created": stamp(image.created), "Container": "", "DockerVersion": "20.10.24",
        "Author": "",
        "Config": {"Hostname": "", "User": "", "Tty": false, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["sh"], "Image": "", "Volumes": null, "WorkingDir": "", "Entrypoint": null,
            "Labels": null},
        "Architecture": "amd64", "Os": "linux", "Size": image.size, "VirtualSize": image.size,
        "GraphDriver": {"Data": null, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": [layer]},
        "Metadata": {"LastTagTime": stamp(image.created)}
    })))
}

pub(super) fn history(engine: &Engine, call: &Call) -> Outcome {
    let books = engine.books.lock();
    let image = get(&books, &call.key)?;
    Ok(reply::value(&json!([{
        "Id": format!("sha256:{}", image.id), "Created": image.created / 1_000_000_000,
        "CreatedBy": "/bin/sh -c #(nop) CMD [\"sh\"]", "Tags": image.tags,
        "Size": image.size, "Comment": ""
    }])))
}

/// `POST /images/create?fromImage=`: the progress lines of a pull of one layer. An image named `missing`
/// is nowhere, and the registry of one named `silent` does not answer.
pub(super) async fn pull(engine: &Arc<Engine>, call: &Call) -> Outcome {
    let name = call.get("fromImage").unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::bad("invalid reference format"));
    }
    let reference = match call.get("tag").filter(|tag| !tag.is_empty()) {
        Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
        Some(tag) => format!("{name}:{tag}"),
        None => with_tag(name),
    };
    if reference.contains("missing") {
        return Err(Refusal::not_found(format!(
            "manifest for {reference} not found: manifest unknown: manifest unknown"
        )));
    }
    if reference.contains("silent") {
        return std::future::pending().await;
    }
    let fresh = Image::seeded(&reference);
    let now = engine.now();
    let mut books = engine.books.lock();
    let had = find(&books.images, &reference).is_some();
    if !had {
        books.images.push(Arc::new(fresh.clone()));
    }
    publish(&mut books, now, "pull", &reference, name);
    drop(books);
    let layer = &fresh.id.short();
    let tag = reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    let mut lines = vec![json!({"status": format!("Pulling from {name}"), "id": tag})];
    if !had {
        lines.push(json!({"status": "Pulling fs layer", "progressDetail": {}, "id": layer}));
        lines.push(json!({"status": "Downloading", "id": layer,
            "progressDetail": {"current": fresh.size / 2, "total": fresh.size},
            "progress": "[=========>          ]"}));
        lines.push(json!({"status": "Pull complete", "progressDetail": {}, "id": layer}));
    }
    lines.push(json!({"status": format!("Digest: sha256:{}", fresh.id)}));
    let end = if had { "Image is up to date for" } else { "Downloaded newer image for" };
    lines.push(json!({"status": format!("Status: {end} {reference}")}));
    let chunks = lines.into_iter().map(|line| Ok(Bytes::from(format!("{line}\r\n"))));
    Ok(reply::stream("application/json", stream::iter(chunks)))
}

pub(super) fn tag(engine: &Engine, call: &Call) -> Outcome {
    let repo = call.get("repo").unwrap_or_default();
    if repo.is_empty() {
        return Err(Refusal::bad("invalid reference format"));
    }
    let tag = call.get("tag").filter(|tag| !tag.is_empty()).unwrap_or("latest");
    let reference = format!("{repo}:{tag}");
    let now = engine.now();
    let mut books = engine.books.lock();
    let id = get(&books, &call.key)?.id;
    for image in &mut books.images {
        if image.tags.iter().any(|t| **t == *reference) {
            Arc::make_mut(image).tags.retain(|t| **t != *reference);
        }
        if image.id == id {
            Arc::make_mut(image).tags.push(reference.as_str().into());
        }
    }
    publish(&mut books, now, "tag", &format!("sha256:{id}"), &reference);
    Ok(reply::empty(http::StatusCode::CREATED))
}

pub(super) fn remove(engine: &Engine, call: &Call) -> Outcome {
    let now = engine.now();
    let mut books = engine.books.lock();
    let image = Arc::clone(get(&books, &call.key)?);
    let reference = with_tag(&call.key);
    let tagged = image.tags.iter().any(|tag| **tag == *reference);
    if tagged && image.tags.len() > 1 {
        for image in &mut books.images {
            if image.tags.iter().any(|tag| **tag == *reference) {
                Arc::make_mut(image).tags.retain(|tag| **tag != *reference);
            }
        }
        publish(&mut books, now, "untag", &format!("sha256:{}", image.id), &reference);
        return Ok(reply::value(&json!([{ "Untagged": reference }])));
    }
    let user = books.containers.values().find(|c| c.spec.image_id == image.id);
    if let Some(user) = user.filter(|c| c.state.is_up() || !call.flag("force")) {
        let (short, state) =
            (image.id.short(), if user.state.is_up() { "running" } else { "stopped" });
        return Err(Refusal::conflict(format!(
            "conflict: unable to remove repository reference \"{}\" (must force) - container {} is using its referenced image {short} ({state})",
            call.key,
            user.id.short()
        )));
    }
    books.images.retain(|other| other.id != image.id);
    let id = format!("sha256:{}", image.id);
    publish(&mut books, now, "untag", &id, &id);
    publish(&mut books, now, "delete", &id, &id);
    let mut items: Vec<Value> = image.tags.iter().map(|t| json!({ "Untagged": t })).collect();
    items.push(json!({ "Deleted": id }));
    Ok(reply::value(&Value::from(items)))
}

pub(super) fn prune() -> reply::Reply {
    reply::value(&json!({ "ImagesDeleted": null, "SpaceReclaimed": 0 }))
}

fn publish(books: &mut Books, now: i64, action: &str, id: &str, name: &str) {
    let attributes = format!("\"name\":{}", quoted(name));
    books.events.publish(
        now,
        action,
        Subject { kind: "image", id, attributes: &attributes, from: None },
    );
}
