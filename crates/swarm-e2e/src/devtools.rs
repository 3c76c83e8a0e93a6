//! Chromium's DevTools protocol by way of its driver: what WebDriver has no command for.

use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// One command of the protocol.
#[derive(Debug)]
pub struct Devtools(String);

impl Devtools {
    /// `method` as the protocol names it (`Emulation.setEmulatedMedia`).
    pub fn new(method: &str, parameters: &Value) -> Self {
        Self(json!({"cmd": method, "params": parameters}).to_string())
    }
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.clone()))
    }
}
