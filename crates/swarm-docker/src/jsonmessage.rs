//! Progress lines of pull, push, load, import and build: one JSON object per line.
//!
//! Source: `POST /images/create` (API v1.24 and up). A failure after the stream began can only be
//! told in it: `error` and `errorDetail`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::json::{ParseError, bytes, read};

/// One line. Fields nobody here knows (`aux`, `progress`, ...) are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Build output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// What happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// How far it is.
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub progress_detail: Option<Progress>,
    /// To what it happens: a layer or, in a pool, a node. Lines with the same id replace each
    /// other on a terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The failure, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The failure again, as clients since Docker 1.0 read it.
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ErrorDetail>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `progressDetail`; empty once there is nothing to count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Done so far, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<i64>,
    /// To do in all, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// Everything else (`units`, `hidecounts`).
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `errorDetail`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A process's exit code, for builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The failure in words.
    #[serde(default)]
    pub message: String,
}

impl Message {
    /// A line of progress about `id`.
    pub fn status(id: impl Into<String>, status: impl Into<String>) -> Self {
        Self { id: Some(id.into()), status: Some(status.into()), ..Self::default() }
    }

    /// The line that tells the client the whole request failed.
    pub fn error(message: impl Into<String>) -> Self {
        let message = message.into();
        let error_detail = Some(ErrorDetail { code: None, message: message.clone() });
        Self { error: Some(message), error_detail, ..Self::default() }
    }

    /// Reads one line.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        read("a progress line", line)
    }

    /// The failure this line tells, if it does.
    pub fn failure(&self) -> Option<&str> {
        let detail = self.error_detail.as_ref().map(|detail| detail.message.as_str());
        detail.filter(|message| !message.is_empty()).or(self.error.as_deref())
    }

    /// As one line; Docker ends them with `\r\n`.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = bytes(self);
        line.extend_from_slice(b"\r\n");
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_keeps_what_is_not_known() {
        let line = br#"{"status":"Downloading","progressDetail":{"current":1,"total":9,"units":"B"},"progress":"[>]","id":"n1","aux":{"ID":"x"}}"#;
        let message = Message::parse(line).unwrap();
        assert_eq!(message.rest["aux"]["ID"], "x");
        let again: Value = serde_json::from_slice(&message.to_line()).unwrap();
        assert_eq!(again, serde_json::from_slice::<Value>(line).unwrap());
    }

    #[test]
    fn a_failure_is_told_both_ways() {
        let line = Message::error("no space").to_line();
        assert_eq!(
            line,
            b"{\"error\":\"no space\",\"errorDetail\":{\"message\":\"no space\"}}\r\n"
        );
        assert_eq!(Message::parse(&line).unwrap().failure(), Some("no space"));
        assert_eq!(Message::status("n1", "Pulling").failure(), None);
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Message::parse(&line);
        }

        #[test]
        fn lines_round_trip(id in "\\PC*", status in "\\PC*") {
            let message = Message::status(id, status);
            prop_assert_eq!(Message::parse(&message.to_line()).unwrap(), message);
        }
    }
}
