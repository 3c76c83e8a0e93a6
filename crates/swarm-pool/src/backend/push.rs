//! `POST /images/{name}/push`: from an engine that has what is pushed.
//!
//! One tag goes from one engine. All tags of a repository (no `tag=`) may be spread over several
//! engines; then as few of them push as together have every tag.

use std::collections::BTreeSet;
use std::sync::Arc;

use swarm_backend::{Effect, Exchange, Reply, Result};
use swarm_docker::Reference;

use super::progress::{Shown, Telling, merged};
use super::{Copied, deadline};
use crate::Pool;
use crate::engine::Engine;

impl Pool {
    pub(super) async fn push(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let tag = exchange.query.get("tag").filter(|tag| !tag.is_empty()).map(str::to_owned);
        let one = match &tag {
            Some(tag) => Some(format!("{name}:{tag}")),
            None => tagged(name).then(|| name.to_owned()),
        };
        let Some(one) = one else { return self.push_all(name, exchange).await };
        match self.ready_holders(&one).await?.first() {
            Some(holder) => {
                let local = match &tag {
                    Some(tag) => holder.name.strip_suffix(&format!(":{tag}")),
                    None => None,
                };
                let local = local.unwrap_or(&holder.name).to_owned();
                holder.engine.forward(exchange, &local, deadline(Effect::Streams)).await
            }
            None => self.any_engine()?.forward(exchange, name, deadline(Effect::Streams)).await,
        }
    }

    /// Every tag of a repository.
    async fn push_all(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.settle_all().await;
        let (engines, repository) = match name.split_once('/') {
            Some((node, rest)) if !self.members.named(node).is_empty() => {
                (self.members.named(node), rest)
            }
            _ => (self.members.reachable(), name),
        };
        let wanted = Reference::parse(repository)?.familiar_name();
        let having: Vec<(Arc<Engine>, BTreeSet<String>)> = engines
            .into_iter()
            .map(|engine| {
                let view = engine.view();
                let tags = view.images.iter().flat_map(|image| image.tags.iter());
                let tags = tags.filter(|tag| repository_of(tag) == wanted).map(str::to_owned);
                let tags = tags.collect();
                (engine, tags)
            })
            .collect();
        let chosen = cover(having);
        match chosen.as_slice() {
            [] => self.any_engine()?.forward(exchange, repository, deadline(Effect::Streams)).await,
            [one] => one.forward(exchange, repository, deadline(Effect::Streams)).await,
            several => {
                let request = Arc::new(Copied::read(exchange).await?);
                let telling = Telling {
                    doing: format!("Pushing {wanted}..."),
                    done: "pushed",
                    task: format!("pushing {wanted}"),
                    last: None,
                    shown: Shown::All,
                };
                merged(several, telling, |engine| {
                    let (request, name) = (Arc::clone(&request), repository.to_owned());
                    async move { request.send(&engine, &name, Effect::Streams).await }
                })
                .await
            }
        }
    }
}

fn tagged(name: &str) -> bool {
    Reference::parse(name)
        .is_ok_and(|reference| reference.tag.is_some() || reference.digest.is_some())
}

fn repository_of(tag: &str) -> String {
    Reference::parse(tag).map(|reference| reference.familiar_name()).unwrap_or_default()
}

/// Few engines that together have all the tags: always the one that adds most.
fn cover<E>(mut having: Vec<(E, BTreeSet<String>)>) -> Vec<E> {
    let mut chosen = Vec::new();
    loop {
        let best = having.iter().enumerate().max_by_key(|(at, (_, tags))| {
            // The first of equals, so that the choice does not jump about.
            (tags.len(), std::cmp::Reverse(*at))
        });
        let Some((at, _)) = best.filter(|(_, (_, tags))| !tags.is_empty()) else { return chosen };
        let (engine, taken) = having.remove(at);
        for (_, tags) in &mut having {
            tags.retain(|tag| !taken.contains(tag));
        }
        chosen.push(engine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_engines_push_every_tag() {
        let having = |sets: &[(u8, &[&str])]| {
            let set = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
            sets.iter().map(|(engine, tags)| (*engine, set(tags))).collect::<Vec<_>>()
        };
        assert_eq!(cover(having(&[(1, &["a"]), (2, &["a", "b"]), (3, &["b"])])), [2]);
        assert_eq!(cover(having(&[(1, &["a"]), (2, &["b"]), (3, &["a"])])), [1, 2]);
        assert!(cover(having(&[(1, &[])])).is_empty());
    }

    #[test]
    fn a_port_is_no_tag() {
        assert!(!tagged("reg:5000/app") && tagged("reg:5000/app:1") && !tagged("app"));
        assert_eq!(repository_of("reg:5000/app:1"), "reg:5000/app");
    }
}
