//! Prunes (`POST /containers/prune` and its kin, API v1.25): the engines that the filter `node=`
//! selects are asked at once, and what they answer is added up.
//!
//! What is special to one kind of object (pool-wide networks, names of volumes) is its own file's.

use std::sync::Arc;

use serde_json::Value;
use swarm_backend::{Effect, Exchange, Result};
use swarm_docker::Filters;

use super::{Copied, json};
use crate::Pool;
use crate::engine::{Engine, Mark};
use crate::fanout;

impl Pool {
    /// Each engine's answer to a prune, `more` filters added to the client's; `mark` is read back
    /// where one answered.
    pub(super) async fn prune(
        &self,
        exchange: Exchange,
        more: impl IntoIterator<Item = (&'static str, String)>,
        mark: Option<Mark>,
    ) -> Result<Vec<(Arc<Engine>, Value)>> {
        let mut request = Copied::read(exchange).await?;
        let mut filters = Filters::from_query(&request.query)?;
        let engines = self.engines_for(&filters.remove("node"))?;
        for (key, value) in more {
            filters.add(key, value);
        }
        filters.write_to(&mut request.query);
        let answers = fanout::ask(&engines, async |engine| {
            let answer = json(request.send(&engine, "", Effect::Changes).await?).await?;
            if let Some(mark) = &mark {
                engine.wrote(mark.clone());
            }
            Ok(answer)
        })
        .await;
        fanout::any_of(answers)
    }
}

/// Adds up the answers of a prune: lists are joined, numbers added.
pub(super) fn united(answers: Vec<(Arc<Engine>, Value)>) -> Value {
    sum(answers.into_iter().map(|(_, answer)| answer))
}

fn sum(answers: impl Iterator<Item = Value>) -> Value {
    let mut sum = serde_json::Map::new();
    for answer in answers {
        let Value::Object(answer) = answer else { continue };
        for (key, value) in answer {
            match (sum.get_mut(&key), value) {
                (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
                (Some(Value::Number(known)), Value::Number(more)) => {
                    let total = known.as_i64().unwrap_or(0) + more.as_i64().unwrap_or(0);
                    sum.insert(key, total.into());
                }
                (Some(Value::Null) | None, value) => {
                    sum.insert(key, value);
                }
                (Some(_), _) => {}
            }
        }
    }
    Value::Object(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prunes_are_added_up() {
        let answers = [
            json!({"ContainersDeleted": ["a"], "SpaceReclaimed": 5}),
            json!({"ContainersDeleted": null, "SpaceReclaimed": 0}),
            json!({"ContainersDeleted": ["b", "c"], "SpaceReclaimed": 7}),
        ];
        assert_eq!(
            sum(answers.into_iter()),
            json!({"ContainersDeleted": ["a", "b", "c"], "SpaceReclaimed": 12})
        );
    }

    #[test]
    fn a_null_list_does_not_hide_a_later_one() {
        let answers = [json!({"ImagesDeleted": null}), json!({"ImagesDeleted": ["x"]})];
        assert_eq!(sum(answers.into_iter()), json!({"ImagesDeleted": ["x"]}));
    }
}
