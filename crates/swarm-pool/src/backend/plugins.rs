//! Managed plugins (`/plugins/*`, API v1.25 and up): installed on every engine, or on one by the
//! name `node/plugin`; shown as `node/plugin`; changed wherever they are.
//!
//! Engines' plugins are not cached: they are few, change rarely and are asked about by hand.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use swarm_backend::{ApiError, Effect, Exchange, ObjectPath, Plugins, Reply, Result, full};
use swarm_docker::Filters;

use super::progress::{Shown, Telling, merged};
use super::spread::spread;
use super::{Copied, apart, deadline, document, json};
use crate::Pool;
use crate::engine::Engine;
use crate::fanout::{self, Answer};

/// Largest description of a plugin.
const LARGEST_PLUGIN: usize = 1 << 20;

/// An engine's whole answer.
type Whole = (StatusCode, HeaderMap, Bytes);

#[async_trait]
impl Plugins for Pool {
    async fn list_plugins(&self, exchange: Exchange) -> Result<Reply> {
        let mut request = Copied::read(exchange).await?;
        let mut filters = Filters::from_query(&request.query)?;
        let engines = self.engines_for(&filters.remove("node"))?;
        filters.write_to(&mut request.query);
        let answers = fanout::ask(&engines, async |engine| {
            json(request.send(&engine, "", Effect::Reads).await?).await
        })
        .await;
        let mut plugins = Vec::new();
        for (engine, answer) in fanout::any_of(answers)? {
            let Value::Array(own) = answer else { continue };
            plugins.extend(own.into_iter().map(|plugin| named(&engine.label(), plugin)));
        }
        Reply::ok(&plugins)
    }

    async fn install_plugin(&self, mut exchange: Exchange, effect: Effect) -> Result<Reply> {
        // `docker plugin install node-1/vieux/sshfs` names the node in `remote`, an alias in `name`.
        let mut engines = None;
        for key in ["remote", "name"] {
            let Some(name) = exchange.query.get(key) else { continue };
            if let Some((named, local)) = self.on_node(name) {
                exchange.query.set(key, local);
                engines = Some(named);
            }
        }
        let path = exchange.path.with("");
        if path.ends_with("/privileges") {
            let one = engines.and_then(|engines| engines.into_iter().next());
            let engine = one.map_or_else(|| self.any_engine(), Ok)?;
            return engine.forward(exchange, "", deadline(effect)).await;
        }
        let engines = engines.unwrap_or_else(|| self.members.reachable());
        if path.ends_with("/pull") {
            let plugin = exchange.query.get("remote").unwrap_or_default().to_owned();
            return everywhere(engines, "Installing", "installed", &plugin, "", exchange).await;
        }
        create_on(&engines, exchange).await
    }

    async fn forward_plugin(
        &self,
        name: &str,
        exchange: Exchange,
        effect: Effect,
    ) -> Result<Reply> {
        let (engines, local) = self.plugin(name).await?;
        let one = exchange.method == Method::GET || exchange.path.after == "/push";
        if one || engines.len() == 1 {
            return engines[0].forward(exchange, &local, deadline(effect)).await;
        }
        if effect == Effect::Streams {
            return everywhere(engines, "Upgrading", "upgraded", name, &local, exchange).await;
        }
        let request = Copied::read(exchange).await?;
        let answers = fanout::ask(&engines, async |engine| {
            whole(request.send(&engine, &local, effect).await?).await
        })
        .await;
        together(answers)
    }
}

impl Pool {
    /// The engines of `node/plugin` and the plugin's own name; `None` for a plain name.
    fn on_node(&self, name: &str) -> Option<(Vec<Arc<Engine>>, String)> {
        let (node, local) = name.split_once('/')?;
        let engines = self.members.named(node);
        (!engines.is_empty()).then(|| (engines, local.to_owned()))
    }

    /// The engines that have a plugin, at least one, and its own name; where none has it, an
    /// engine's refusal in its own words.
    async fn plugin(&self, name: &str) -> Result<(Vec<Arc<Engine>>, String)> {
        let (engines, local) =
            self.on_node(name).unwrap_or_else(|| (self.members.reachable(), name.to_owned()));
        let path = ObjectPath { before: "/plugins/".into(), after: "/json".into() }.with(&local);
        let answers =
            fanout::ask(&engines, async |engine| engine.read(&path, LARGEST_PLUGIN).await).await;
        let having = fanout::any_of(answers)?.into_iter().map(|(engine, _)| engine).collect();
        Ok((having, local))
    }
}

/// A plugin of the list, under the name by which the pool finds it again.
fn named(node: &str, mut plugin: Value) -> Value {
    if let Some(name) = plugin.get("Name").and_then(Value::as_str) {
        plugin["Name"] = format!("{node}/{name}").into();
    }
    plugin
}

/// Pulls or upgrades on every engine, with one stream of progress.
async fn everywhere(
    engines: Vec<Arc<Engine>>,
    doing: &str,
    done: &'static str,
    plugin: &str,
    object: &str,
    exchange: Exchange,
) -> Result<Reply> {
    let request = Arc::new(Copied::read(exchange).await?);
    let telling = Telling {
        doing: format!("{doing} {plugin}..."),
        done,
        task: format!("{} {plugin}", doing.to_lowercase()),
        last: None,
        shown: Shown::All,
    };
    merged(&engines, telling, |engine| {
        let (request, object) = (Arc::clone(&request), object.to_owned());
        async move { request.send(&engine, &object, Effect::Streams).await }
    })
    .await
}

/// `POST /plugins/create`: the plugin's files go to every engine at once.
async fn create_on(engines: &[Arc<Engine>], exchange: Exchange) -> Result<Reply> {
    if engines.is_empty() {
        return Err(fanout::nobody());
    }
    let (body, like) = apart(exchange);
    let each = engines.iter().zip(spread(body, engines.len())).map(|(engine, body)| {
        let exchange = like(body);
        // All at the same time: each reads the body only as fast as the slowest.
        async move {
            let result = match engine.forward(exchange, "", None).await {
                Ok(reply) => whole(reply).await,
                Err(error) => Err(error),
            };
            Answer { engine: Arc::clone(engine), result }
        }
    });
    together(join_all(each).await)
}

async fn whole(reply: Reply) -> Result<Whole> {
    let (status, headers) = (reply.status, reply.headers.clone());
    Ok((status, headers, document(reply).await?))
}

/// The answer for all: the first engine's, or every engine's refusal by name.
fn together(answers: Vec<Answer<Whole>>) -> Result<Reply> {
    let asked = answers.len();
    let (mut first, mut refused, mut class) = (None, Vec::new(), None);
    for Answer { engine, result } in answers {
        match result {
            Ok(answer) => first = first.or(Some(answer)),
            Err(error) => {
                class = class.or(Some(error.class));
                refused.push(format!("{}: {}", engine.label(), error.message));
            }
        }
    }
    match (first, class) {
        (_, Some(class)) => {
            let rest = match asked - refused.len() {
                0 => String::new(),
                done => format!(" (done on {done} of {asked} nodes)"),
            };
            Err(ApiError { class, message: refused.join("; ") + &rest })
        }
        (Some((status, mut headers, body)), None) => {
            headers.remove(http::header::CONTENT_LENGTH);
            Ok(Reply { status, headers, body: full(body), upgraded: None })
        }
        (None, None) => Err(fanout::nobody()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineKey;
    use serde_json::json;
    use swarm_engine::{ClientOptions, EngineAddress, EngineClient};

    fn answer(number: u32, result: Result<Whole>) -> Answer<Whole> {
        let address = EngineAddress::Tcp { host: format!("n{number}"), port: 1 };
        let client = EngineClient::new(address, ClientOptions::default());
        Answer { engine: Arc::new(Engine::new(EngineKey(number), client)), result }
    }

    fn done() -> Whole {
        (StatusCode::NO_CONTENT, HeaderMap::new(), Bytes::new())
    }

    #[test]
    fn a_listed_plugin_says_where_it_is() {
        let plugin = named("n1", json!({"Id": "x", "Name": "vieux/sshfs:latest"}));
        assert_eq!(plugin, json!({"Id": "x", "Name": "n1/vieux/sshfs:latest"}));
    }

    #[test]
    fn a_change_is_done_only_when_all_have_done_it() {
        let reply = together(vec![answer(1, Ok(done())), answer(2, Ok(done()))]).unwrap();
        assert_eq!(reply.status, StatusCode::NO_CONTENT);
        let busy = || Err(ApiError::engine(409, "plugin is in use"));
        let error = together(vec![answer(1, Ok(done())), answer(2, busy()), answer(3, busy())])
            .unwrap_err();
        assert_eq!(error.status(), 409);
        assert_eq!(
            error.message,
            "n2:1: plugin is in use; n3:1: plugin is in use (done on 1 of 3 nodes)"
        );
        assert_eq!(together(Vec::new()).unwrap_err().status(), 503);
    }
}
