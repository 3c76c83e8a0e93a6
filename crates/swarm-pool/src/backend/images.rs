//! Images: one list of all engines' images, and requests about one of them.
//!
//! An image is the same wherever it is, so reading asks one engine that has it, and changing changes
//! it everywhere. Pull and import are in `pull`, load in `load`, push in `push`.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use swarm_backend::{ApiError, Effect, Exchange, Images, Reply, Result, System, empty};
use swarm_docker::Query;
use swarm_docker::image::ImageEntry;
use swarm_docker::json::elements;

use super::blame;
use super::image_holders::Holder;
use super::image_list::ImageQuery;
use super::prune::united;
use super::{Copied, LARGEST_DOCUMENT, deadline, json};
use crate::Pool;
use crate::engine::{Engine, Mark};
use crate::fanout::{self, Answer};

#[async_trait]
impl Images for Pool {
    async fn list_images(&self, exchange: Exchange) -> Result<Reply> {
        let version = exchange.version.unwrap_or_else(|| self.served().newest);
        let mut query = ImageQuery::parse(&exchange.query, version, Timestamp::now())?;
        self.settle_all().await;
        query.older_than = self.created(query.before())?;
        query.newer_than = self.created(query.since())?;
        let entries = match &query.live {
            Some(live) => self.images_from_engines(live, query.nodes()).await?,
            None => self.known_images(query.nodes())?,
        };
        let admitted = entries.iter().map(|image| &**image).filter(|image| query.admits(image));
        Ok(Reply::json(StatusCode::OK, query.render(admitted, version)?))
    }

    async fn create_image(&self, exchange: Exchange) -> Result<Reply> {
        let given = |key: &str| exchange.query.get(key).is_some_and(|value| !value.is_empty());
        match (given("fromImage"), given("fromSrc")) {
            (true, _) => self.pull(exchange).await,
            (false, true) => self.import(exchange).await,
            (false, false) => Err(ApiError::invalid("one of fromImage and fromSrc must be given")),
        }
    }

    async fn load_images(&self, exchange: Exchange) -> Result<Reply> {
        self.load(exchange).await
    }

    async fn save_images(&self, exchange: Exchange) -> Result<Reply> {
        let mut exchange = exchange;
        let names: Vec<String> = exchange.query.all("names").map(str::to_owned).collect();
        let mut wanted = Vec::with_capacity(names.len());
        for name in &names {
            let holders = self.ready_holders(name).await?;
            if holders.is_empty() {
                return Err(ApiError::not_found(format!("No such image: {name}")));
            }
            wanted.push((name.as_str(), holders));
        }
        if wanted.is_empty() {
            return self.any_engine()?.forward(exchange, "", None).await;
        }
        let (engine, local) = holder_of_all(&wanted)?;
        exchange.query.remove("names");
        for name in local {
            exchange.query.push("names", name);
        }
        engine.forward(exchange, "", deadline(Effect::Streams)).await
    }

    async fn search_images(&self, exchange: Exchange) -> Result<Reply> {
        self.any_engine()?.forward(exchange, "", deadline(Effect::Reads)).await
    }

    async fn prune_images(&self, exchange: Exchange) -> Result<Reply> {
        Reply::ok(&united(self.prune(exchange, [], Some(Mark::Images)).await?))
    }

    async fn forward_image(&self, name: &str, exchange: Exchange, effect: Effect) -> Result<Reply> {
        if exchange.path.after == "/push" {
            return self.push(name, exchange).await;
        }
        match self.image_holders(name).await?.first() {
            Some(holder) => holder.engine.forward(exchange, &holder.name, deadline(effect)).await,
            // Nobody has it: an engine says so in its own words.
            None => self.any_engine()?.forward(exchange, name, deadline(effect)).await,
        }
    }

    async fn tag_image(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let holders = self.image_holders(name).await?;
        let Some(local) = holders.first().map(|holder| holder.name.clone()) else {
            return self.any_engine()?.forward(exchange, name, deadline(Effect::Changes)).await;
        };
        let request = Copied::read(exchange).await?;
        let answers = fanout::ask(&engines_of(&holders), async |engine| {
            let reply = request.send(&engine, &local, Effect::Changes).await?;
            engine.wrote(Mark::Images);
            json(reply).await
        })
        .await;
        // A holder that cannot be asked now is an error as well: it would have the image without
        // the name when it returns.
        fanout::all_of(answers)?;
        let headers = HeaderMap::new();
        Ok(Reply { status: StatusCode::CREATED, headers, body: empty(), upgraded: None })
    }

    async fn remove_image(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let holders = self.image_holders(name).await?;
        let Some(local) = holders.first().map(|holder| holder.name.clone()) else {
            return self.any_engine()?.forward(exchange, name, deadline(Effect::Changes)).await;
        };
        let request = Copied::read(exchange).await?;
        let answers = fanout::ask(&engines_of(&holders), async |engine| {
            let reply = request.send(&engine, &local, Effect::Changes).await?;
            engine.wrote(Mark::Images);
            json(reply).await
        })
        .await;
        Reply::ok(&removed(answers)?)
    }

    async fn distribution(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.any_engine()?.forward(exchange, name, deadline(Effect::Reads)).await
    }
}

impl Pool {
    /// When the image that `before` or `since` names was made.
    fn created(&self, name: Option<&str>) -> Result<Option<i64>> {
        let Some(name) = name else { return Ok(None) };
        let holders = self.listed_holders(name)?;
        let image = holders.into_iter().find_map(|holder| holder.image);
        image
            .map(|image| Some(image.created))
            .ok_or_else(|| ApiError::not_found(format!("No such image: {name}")))
    }

    fn known_images(&self, nodes: &[String]) -> Result<Vec<Arc<ImageEntry>>> {
        let engines: Vec<Arc<Engine>> =
            if nodes.is_empty() { self.members.all().to_vec() } else { self.engines_for(nodes)? };
        Ok(engines.iter().flat_map(|engine| engine.view().images.to_vec()).collect())
    }

    async fn images_from_engines(
        &self,
        query: &Query,
        nodes: &[String],
    ) -> Result<Vec<Arc<ImageEntry>>> {
        let path = format!("/images/json?{}", query.encode());
        let answers = fanout::ask(&self.engines_for(nodes)?, async |engine| {
            let body = engine.read(&path, LARGEST_DOCUMENT).await?;
            let entries = elements("the list of images", &body)?
                .into_iter()
                .map(|entry| ImageEntry::parse(entry.get().as_bytes()).map(Arc::new))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            Ok(entries)
        })
        .await;
        Ok(fanout::any_of(answers)?.into_iter().flat_map(|(_, entries)| entries).collect())
    }
}

fn engines_of(holders: &[Holder]) -> Vec<Arc<Engine>> {
    let mut engines: Vec<Arc<Engine>> = Vec::with_capacity(holders.len());
    for holder in holders {
        // One engine may have two images that a digest names.
        if !engines.iter().any(|known| known.key() == holder.engine.key()) {
            engines.push(Arc::clone(&holder.engine));
        }
    }
    engines
}

/// One engine that has every image, with its names for them; else an error that says what is
/// missing where.
fn holder_of_all(wanted: &[(&str, Vec<Holder>)]) -> Result<(Arc<Engine>, Vec<String>)> {
    let mut missing = Vec::new();
    let everyone: Vec<Holder> = wanted.iter().flat_map(|(_, holders)| holders.clone()).collect();
    for engine in engines_of(&everyone) {
        let here = |holders: &[Holder]| {
            holders.iter().find(|holder| holder.engine.key() == engine.key()).cloned()
        };
        let lacking: Vec<&str> = wanted
            .iter()
            .filter(|(_, holders)| here(holders).is_none())
            .map(|(name, _)| *name)
            .collect();
        if lacking.is_empty() {
            let names = wanted.iter().filter_map(|(_, holders)| here(holders));
            let names = names.map(|holder| holder.name).collect();
            return Ok((engine, names));
        }
        missing.push(format!("{} lacks {}", engine.label(), lacking.join(", ")));
    }
    Err(ApiError::not_found(format!(
        "no node has all of these images: {}; pull or load them on one node first",
        missing.join("; ")
    )))
}

/// What a removal on several engines did. An image that went away by itself is removed all the same;
/// any other refusal is told, with what was done elsewhere.
fn removed(answers: Vec<Answer<Value>>) -> Result<Vec<Value>> {
    let mut items: Vec<Value> = Vec::new();
    let (mut done, mut gone, mut refusals) = (Vec::new(), None, Vec::new());
    for Answer { engine, result } in answers {
        match result {
            Ok(list) => {
                done.push(engine.label());
                for item in list.as_array().into_iter().flatten() {
                    if !items.contains(item) {
                        items.push(item.clone());
                    }
                }
            }
            Err(error) if error.status() == StatusCode::NOT_FOUND => gone = Some(error),
            Err(error) => refusals.push((engine.label(), error)),
        }
    }
    let Some((_, first)) = refusals.first() else {
        return match gone {
            Some(error) if done.is_empty() => Err(error),
            _ => Ok(items),
        };
    };
    let class = first.class;
    let elsewhere = match done.as_slice() {
        [] => String::new(),
        done => format!(" (removed on {})", done.join(", ")),
    };
    Err(ApiError { class, message: blame::told(&refusals) + &elsewhere })
}

#[cfg(test)]
#[path = "images_tests.rs"]
mod tests;
