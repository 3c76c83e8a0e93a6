//! Which engines have the image that a client names: by reference, id, the start of an id, or any of
//! these after `node/`.
//!
//! The engines' lists answer; images between a build's layers are in no list and are asked for by
//! their id. Invariant: holders that can be asked come first.

use std::sync::Arc;

use swarm_backend::{ApiError, ObjectPath, Result};
use swarm_docker::image::ImageEntry;
use swarm_docker::reference::{Fit, ImageName};

use crate::Pool;
use crate::engine::Engine;
use crate::fanout;

/// Far above any image's description.
const LARGEST_INSPECT: usize = 16 << 20;

/// An engine that has the image.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    /// The engine.
    pub engine: Arc<Engine>,
    /// What the engine calls it: the client's words without the node.
    pub name: String,
    /// Its entry in the engine's list; `None` when it is in none.
    pub image: Option<Arc<ImageEntry>>,
}

impl Pool {
    /// The engines that have the image; none when nobody has it.
    pub(super) async fn image_holders(&self, name: &str) -> Result<Vec<Holder>> {
        let found = self.listed_holders(name)?;
        if !found.is_empty() {
            return Ok(found);
        }
        // It may have come an instant ago.
        self.settle_all().await;
        let found = self.listed_holders(name)?;
        if !found.is_empty() || !is_id(name) {
            return Ok(found);
        }
        let path = ObjectPath { before: "/images/".into(), after: "/json".into() }.with(name);
        let answers = fanout::ask(&self.members.reachable(), async |engine| {
            engine.read(&path, LARGEST_INSPECT).await
        })
        .await;
        let have_it = answers.into_iter().filter(|answer| answer.result.is_ok());
        Ok(have_it
            .map(|answer| Holder { engine: answer.engine, name: name.to_owned(), image: None })
            .collect())
    }

    /// Does any engine have it, as far as is known? Asked at every create, so the first one that has
    /// it ends the search.
    pub(crate) fn has_image(&self, name: &str) -> bool {
        let has = |engines: &[Arc<Engine>], name: &str| {
            let Ok(wanted) = ImageName::parse(name) else { return false };
            engines.iter().any(|engine| {
                let view = engine.view();
                let mut images = view.images.iter();
                images.any(|i| wanted.fit(&i.id, i.tags.iter(), i.digests.iter()).is_some())
            })
        };
        let on_node = |(node, local): (&str, &str)| has(&self.members.named(node), local);
        has(&self.members.all(), name) || name.split_once('/').is_some_and(on_node)
    }

    /// The same as [`Pool::image_holders`] from the lists alone, without waiting.
    pub(super) fn listed_holders(&self, name: &str) -> Result<Vec<Holder>> {
        let whole = ImageName::parse(name);
        if let Ok(wanted) = &whole {
            let found = holders(&self.members.all(), name, wanted)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        if let Some((node, local)) = name.split_once('/') {
            let engines = self.members.named(node);
            if !engines.is_empty() {
                return holders(&engines, local, &ImageName::parse(local)?);
            }
        }
        whole.map(|_| Vec::new())
    }

    /// The holders that can be asked now; when there are holders and none can, the first one's
    /// error.
    pub(super) async fn ready_holders(&self, name: &str) -> Result<Vec<Holder>> {
        let mut holders = self.image_holders(name).await?;
        let sick = holders.iter().find(|holder| !holder.engine.is_reachable()).cloned();
        holders.retain(|holder| holder.engine.is_reachable());
        match sick {
            Some(sick) if holders.is_empty() => Err(sick.engine.unusable()),
            Some(sick) => {
                tracing::warn!(image = name, engine = %sick.engine.label(), "left out: unreachable");
                Ok(holders)
            }
            None => Ok(holders),
        }
    }
}

fn holders(engines: &[Arc<Engine>], name: &str, wanted: &ImageName) -> Result<Vec<Holder>> {
    let views: Vec<_> = engines.iter().map(|engine| (engine, engine.view())).collect();
    let images = views
        .iter()
        .flat_map(|(engine, view)| view.images.iter().map(move |image| (*engine, image)));
    let mut found: Vec<Holder> = best(images, wanted, name)?
        .into_iter()
        .map(|(engine, image)| Holder {
            engine: Arc::clone(engine),
            name: name.to_owned(),
            image: Some(Arc::clone(image)),
        })
        .collect();
    found.sort_by_key(|holder| !holder.engine.is_reachable());
    Ok(found)
}

/// The candidates that fit best: a name goes before the start of an id, wherever it is; the start of
/// an id must be that of one image only.
fn best<'a, E>(
    candidates: impl Iterator<Item = (E, &'a Arc<ImageEntry>)>,
    wanted: &ImageName,
    name: &str,
) -> Result<Vec<(E, &'a Arc<ImageEntry>)>> {
    let mut found: Vec<(E, &Arc<ImageEntry>)> = Vec::new();
    let mut best = None;
    for (engine, image) in candidates {
        let Some(fit) = wanted.fit(&image.id, image.tags.iter(), image.digests.iter()) else {
            continue;
        };
        if best < Some(fit) {
            found.clear();
            best = Some(fit);
        }
        if best == Some(fit) {
            found.push((engine, image));
        }
    }
    if best == Some(Fit::IdPrefix) {
        let mut ids: Vec<&str> = found.iter().map(|(_, image)| &*image.id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > 1 {
            return Err(ApiError::conflict(format!(
                "{name} is ambiguous: it is the start of {} image ids, such as {} and {}",
                ids.len(),
                ids[0],
                ids[1]
            )));
        }
    }
    Ok(found)
}

fn is_id(name: &str) -> bool {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    !hex.is_empty() && hex.len() <= 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn image(id: &str, tags: &[&str]) -> Arc<ImageEntry> {
        let raw = json!({"Id": format!("sha256:{id}"), "RepoTags": tags, "RepoDigests": null});
        Arc::new(ImageEntry::parse(raw.to_string().as_bytes()).unwrap())
    }

    fn find(images: &[(u8, Arc<ImageEntry>)], name: &str) -> Result<Vec<u8>> {
        let wanted = ImageName::parse(name).unwrap();
        let candidates = images.iter().map(|(engine, image)| (*engine, image));
        Ok(best(candidates, &wanted, name)?.into_iter().map(|(engine, _)| engine).collect())
    }

    #[test]
    fn a_name_goes_before_the_start_of_an_id() {
        let images = [
            (1, image(&format!("abc{}", "0".repeat(61)), &["x:1"])),
            (2, image(&format!("abd{}", "0".repeat(61)), &["abc:latest"])),
            (3, image(&format!("abc{}", "0".repeat(61)), &[])),
        ];
        assert_eq!(find(&images, "abc").unwrap(), [2]);
        assert_eq!(find(&images, "abc0").unwrap(), [1, 3]);
        assert_eq!(find(&images, "x:1").unwrap(), [1]);
        assert_eq!(find(&images, "sha256:abd").unwrap(), [2]);
        assert!(find(&images, "nothing").unwrap().is_empty());
        let error = find(&images, "ab").unwrap_err();
        assert_eq!(error.status(), 409);
        assert!(error.message.starts_with("ab is ambiguous: it is the start of 2 image ids"));
    }

    #[test]
    fn only_hexadecimal_digits_can_be_an_id() {
        assert!(is_id("sha256:0f") && is_id("deadbeef"));
        assert!(!is_id("busybox") && !is_id("") && !is_id(&"a".repeat(65)));
    }
}
