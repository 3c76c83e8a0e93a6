//! The part of Go's template language that Docker's users write in a service's hostname, environment,
//! mounts, and in templated secrets and configs: fields, texts, calls, pipelines, trimming, comments.
//!
//! What is not here (`if`, `range`, variables, numbers) is refused in words, never passed through.
//! Names are looked up by whoever fills the template ([`Scope`]). Parser and evaluation are total.

mod parse;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use parse::{Expr, Piece};

/// The longest text a template may become; a config has 1000 KiB at most.
const LONGEST: usize = 1 << 20;

/// Why a template cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {0}")]
pub struct TemplateError(pub String);

/// What an expression is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// Labels.
    Map(BTreeMap<String, String>),
}

/// Where names are looked up.
pub trait Scope {
    /// The value of a field (`["Service", "ID"]`); `None` when there is none of that name.
    fn field(&self, path: &[String]) -> Option<Value>;

    /// What a function of one text gives; `None` when there is none of that name.
    fn call(&self, name: &str, argument: &str) -> Option<Result<String, TemplateError>>;
}

/// Fills a template.
pub fn fill(template: &str, scope: &dyn Scope) -> Result<String, TemplateError> {
    let mut out = String::new();
    for piece in parse::parse(template)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Action(expr) => match eval(&expr, scope)? {
                Value::Text(text) => out.push_str(&text),
                Value::Map(map) => out.push_str(&go_map(&map)),
            },
        }
        if out.len() > LONGEST {
            return Err(TemplateError(format!("it becomes longer than {LONGEST} bytes")));
        }
    }
    Ok(out)
}

/// As Go prints a map: in the order of its keys.
fn go_map(map: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    format!("map[{}]", pairs.join(" "))
}

fn eval(expr: &Expr, scope: &dyn Scope) -> Result<Value, TemplateError> {
    match expr {
        Expr::Text(text) => Ok(Value::Text(text.clone())),
        Expr::Field(path) => field(path, scope),
        Expr::Call(name, arguments) => {
            let values: Result<Vec<Value>, _> =
                arguments.iter().map(|argument| eval(argument, scope)).collect();
            call(name, values?, scope)
        }
    }
}

fn field(path: &[String], scope: &dyn Scope) -> Result<Value, TemplateError> {
    if let Some(value) = scope.field(path) {
        return Ok(value);
    }
    // `.Service.Labels.tier`: the last name is a key.
    if let Some((key, before)) = path.split_last()
        && let Some(Value::Map(map)) = scope.field(before)
    {
        let missing = || TemplateError(format!("map has no entry for key {key:?}"));
        return map.get(key).cloned().map(Value::Text).ok_or_else(missing);
    }
    Err(TemplateError(format!("there is no field .{}", path.join("."))))
}

fn call(name: &str, values: Vec<Value>, scope: &dyn Scope) -> Result<Value, TemplateError> {
    if name == "index" {
        return index(values);
    }
    let texts: Result<Vec<String>, TemplateError> = values
        .into_iter()
        .map(|value| match value {
            Value::Text(text) => Ok(text),
            Value::Map(_) => Err(TemplateError(format!("{name} takes texts, not labels"))),
        })
        .collect();
    let texts = texts?;
    if name == "join" {
        return match texts.split_first() {
            Some((separator, rest)) => Ok(Value::Text(rest.join(separator))),
            None => Err(TemplateError("join needs a separator".to_owned())),
        };
    }
    let one = match texts.as_slice() {
        [one] => one.as_str(),
        _ => "",
    };
    match scope.call(name, one) {
        Some(_) if texts.len() != 1 => {
            Err(TemplateError(format!("{name} takes one text, and was given {}", texts.len())))
        }
        Some(result) => result.map(Value::Text),
        None => Err(TemplateError(format!("function {name:?} not defined"))),
    }
}

/// As Go's: a key that is missing is the empty text.
fn index(values: Vec<Value>) -> Result<Value, TemplateError> {
    match <[Value; 2]>::try_from(values) {
        Ok([Value::Map(map), Value::Text(key)]) => {
            Ok(Value::Text(map.get(&key).cloned().unwrap_or_default()))
        }
        _ => Err(TemplateError("index takes labels and a key".to_owned())),
    }
}
