//! What an engine says about itself in `GET /version`, and the API versions both sides speak.

use serde::Deserialize;
use swarm_docker::ApiVersion;

use crate::EngineError;

/// The API versions an engine and this build both speak, and the engine's release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    /// The oldest both speak.
    pub oldest: ApiVersion,
    /// The newest both speak.
    pub newest: ApiVersion,
    /// The engine's release, such as `20.10.24`.
    pub server: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    version: String,
    api_version: String,
    #[serde(default, rename = "MinAPIVersion")]
    min_api_version: Option<String>,
}

impl EngineVersion {
    /// Reads the answer to `GET /version`. Engines before API 1.25 name no oldest version.
    pub(crate) fn read(json: &[u8]) -> Result<Self, EngineError> {
        let unexpected = |reason: String| EngineError::Json { path: "/version".to_owned(), reason };
        let answer: Answer =
            serde_json::from_slice(json).map_err(|error| unexpected(error.to_string()))?;
        let version =
            |text: &str| text.parse::<ApiVersion>().map_err(|e| unexpected(e.to_string()));
        let newest = version(&answer.api_version)?;
        let oldest = match answer.min_api_version.as_deref() {
            None | Some("") => ApiVersion::OLDEST.min(newest),
            Some(text) => version(text)?,
        };
        if oldest > ApiVersion::NEWEST || newest < ApiVersion::OLDEST || oldest > newest {
            return Err(EngineError::Version { oldest, newest });
        }
        Ok(Self {
            oldest: oldest.max(ApiVersion::OLDEST),
            newest: newest.min(ApiVersion::NEWEST),
            server: answer.version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(api: &str, min: &str) -> Result<EngineVersion, EngineError> {
        let json = format!(r#"{{"Version":"x","ApiVersion":"{api}","MinAPIVersion":"{min}"}}"#);
        EngineVersion::read(json.as_bytes())
    }

    #[test]
    fn the_range_is_what_both_speak() {
        let range = |api, min| read(api, min).map(|v| (v.oldest.minor, v.newest.minor)).unwrap();
        assert_eq!(range("1.41", "1.12"), (24, 41));
        assert_eq!(range("1.52", "1.44"), (44, 52));
        assert_eq!(range("1.60", "1.44"), (44, ApiVersion::NEWEST.minor));
        assert_eq!(range("1.24", ""), (24, 24));
    }

    #[test]
    fn no_overlap_names_both_ranges() {
        let error = read("1.23", "1.12").unwrap_err().to_string();
        assert!(error.contains("1.12 to 1.23") && error.contains("1.24 to"), "{error}");
        assert!(matches!(read("1.99", "1.90"), Err(EngineError::Version { .. })));
        assert!(matches!(read("one", ""), Err(EngineError::Json { .. })));
    }
}
