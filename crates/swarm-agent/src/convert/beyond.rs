//! What a service asks of its host beyond Docker's (`swarm.host.*`), as far as this node's owner allows
//! it: the scheduler has looked at it already, and the last word is here.

use serde_json::{Map, Value};
use swarm_model::service::host::{Asks, grants};

use super::fields::Refusal;

pub(super) fn add(
    asks: Option<&Asks>,
    allowed: &[String],
    host: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let Some(asks) = asks else { return Ok(()) };
    let asks = asks.read().map_err(|wrong| Refusal(wrong.to_string()))?;
    if let Some(lacking) = grants::lacks(allowed, &asks) {
        return Err(Refusal(format!(
            "this node does not allow {} (its owner does by swarm daemon --allow {})",
            lacking.words(),
            lacking.name(),
        )));
    }
    for ask in asks {
        let name = ask.name();
        match (host.get_mut(ask.field), ask.value) {
            (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
            (Some(Value::Object(all)), Value::Object(more)) => all.extend(more),
            (None, value) => {
                host.insert(ask.field.to_owned(), value);
            }
            (Some(_), _) => {
                return Err(Refusal(format!(
                    "label swarm.host.{name}: the spec sets {} itself",
                    ask.field
                )));
            }
        }
    }
    Ok(())
}
