//! A container's configuration as it was asked for, kept as text.
//!
//! It is looked into seldom, when a container is placed or shown while its engine is away, and kept
//! for every container of a pool: parsed, it would take several times the memory.

use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The body of `POST /containers/create`, scheduling expressions in their labels: always a JSON
/// object. Equal when the text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration(Arc<str>);

impl Configuration {
    /// Its fields.
    pub fn fields(&self) -> Map<String, Value> {
        // It was one when it came in.
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Changes its fields.
    pub fn edit(&mut self, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut fields = self.fields();
        change(&mut fields);
        *self = Self::from(&fields);
    }
}

impl From<&Map<String, Value>> for Configuration {
    fn from(fields: &Map<String, Value>) -> Self {
        // JSON values of maps with text for keys can always be written.
        Self(serde_json::to_string(fields).unwrap_or_else(|_| "{}".to_owned()).into())
    }
}

impl Serialize for Configuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: &RawValue = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Configuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        if !text.get().starts_with('{') {
            return Err(D::Error::custom("a container's configuration is an object"));
        }
        Ok(Self(text.get().into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_goes_in_and_out_as_it_is() {
        let text = r#"{"Image":"redis","HostConfig":{"Memory":9007199254740993},"X":[1,null]}"#;
        let mut one: Configuration = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&one).unwrap(), text, "large numbers and order are kept");
        one.edit(|fields| drop(fields.insert("Image".to_owned(), json!("valkey"))));
        assert_eq!(one.fields()["Image"], "valkey");
        let error = serde_json::from_str::<Configuration>("[1]").unwrap_err().to_string();
        assert!(error.contains("is an object"), "{error}");
    }
}
