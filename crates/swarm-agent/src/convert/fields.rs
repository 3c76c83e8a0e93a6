//! Reading an object of a spec field by field, so that one nobody here knows is refused by its name
//! and never ignored.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use swarm_model::Rest;

/// Why a task cannot be run here at all, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl Refusal {
    /// A refusal in these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

/// What is left to read of an object.
#[derive(Debug)]
pub struct Fields {
    path: String,
    left: Rest,
}

impl Fields {
    /// The object at `path`, for the words of a refusal.
    pub fn new(path: impl Into<String>, object: Rest) -> Self {
        Self { path: path.into(), left: object }
    }

    /// A field; `null` is as good as none.
    pub fn value(&mut self, key: &str) -> Option<Value> {
        self.left.shift_remove(key).filter(|value| !value.is_null())
    }

    /// A field of a known type.
    pub fn get<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, Refusal> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let read = serde_json::from_value(value);
        read.map(Some).map_err(|error| Refusal(format!("{}.{key}: {error}", self.path)))
    }

    /// A field of a known type, or its zero.
    pub fn or_zero<T: DeserializeOwned + Default>(&mut self, key: &str) -> Result<T, Refusal> {
        Ok(self.get(key)?.unwrap_or_default())
    }

    /// An object within.
    pub fn object(&mut self, key: &str) -> Result<Option<Fields>, Refusal> {
        let object = self.get::<Map<String, Value>>(key)?;
        Ok(object.map(|object| Fields::new(format!("{}.{key}", self.path), object)))
    }

    /// The objects of a list within.
    pub fn objects(&mut self, key: &str) -> Result<Vec<Fields>, Refusal> {
        let objects: Vec<Map<String, Value>> = self.or_zero(key)?;
        let path = format!("{}.{key}", self.path);
        Ok(objects.into_iter().map(|object| Fields::new(path.clone(), object)).collect())
    }

    /// An object that the engine takes as it is, with no other fields than these.
    pub fn same(&mut self, key: &str, known: &[&str]) -> Result<Option<Value>, Refusal> {
        let Some(mut object) = self.object(key)? else { return Ok(None) };
        object.passed(known).map(Some)
    }

    /// This object as it is, with no other fields than these.
    pub fn passed(&mut self, known: &[&str]) -> Result<Value, Refusal> {
        let mut passed = Map::new();
        for key in known {
            if let Some(value) = self.value(key) {
                passed.insert((*key).to_owned(), value);
            }
        }
        self.finish()?;
        Ok(Value::Object(passed))
    }

    /// Refuses what was not read.
    pub fn finish(&self) -> Result<(), Refusal> {
        match self.left.iter().find(|(_, value)| !value.is_null()) {
            Some((key, _)) => Err(Refusal(format!("unsupported field {key} of {}", self.path))),
            None => Ok(()),
        }
    }

    /// A refusal that names this object.
    pub fn refuse<T>(&self, words: &str) -> Result<T, Refusal> {
        Err(Refusal(format!("{}: {words}", self.path)))
    }
}

/// Sets a field, unless it is nothing: zero, false, an empty text, list or object.
pub fn put(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let value = value.into();
    let is_nothing = match &value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
    };
    if !is_nothing {
        map.insert(key.to_owned(), value);
    }
}
