//! Registry credentials on their way from a client to an engine (`X-Registry-Auth`,
//! `X-Registry-Config`): checked for form, passed on as they came, never shown.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderValue;

use crate::error::ApiError;

/// Docker's own encoding, URL-safe; clients differ in the padding.
const URL_SAFE: GeneralPurpose = lenient(&alphabet::URL_SAFE);
/// What some clients send instead.
const STANDARD: GeneralPurpose = lenient(&alphabet::STANDARD);

const fn lenient(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

/// The header's value. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryAuth(HeaderValue);

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryAuth(…)")
    }
}

impl RegistryAuth {
    /// Checks that the value is base64 of a JSON object, and marks it so that no HTTP library
    /// shows it either. An empty value is no credentials. The error never repeats the value.
    pub fn new(value: &HeaderValue) -> Result<Option<Self>, ApiError> {
        let bytes = value.as_bytes().trim_ascii();
        if bytes.is_empty() {
            return Ok(None);
        }
        let wrong =
            |what: &str| ApiError::invalid(format!("invalid X-Registry-Auth header: {what}"));
        let decoded = URL_SAFE
            .decode(bytes)
            .or_else(|_| STANDARD.decode(bytes))
            .map_err(|_| wrong("it is not base64"))?;
        let object = serde_json::from_slice::<serde_json::Map<_, _>>(&decoded);
        if object.is_err() && decoded.trim_ascii() != b"null" {
            return Err(wrong("it does not hold a JSON object"));
        }
        let mut value = value.clone();
        value.set_sensitive(true);
        Ok(Some(Self(value)))
    }

    /// The value for an engine's request.
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_checked_and_never_shown() {
        let plain = r#"{"username":"u","password":"secret>?"}"#;
        for encoded in [URL_SAFE.encode(plain), STANDARD.encode(plain)] {
            let encoded = encoded.trim_end_matches('=');
            let auth = RegistryAuth::new(&encoded.parse().unwrap()).unwrap().unwrap();
            assert_eq!(auth.header().as_bytes(), encoded.as_bytes());
            assert_eq!(format!("{auth:?}"), "RegistryAuth(…)");
            assert!(!format!("{:?}", auth.header()).contains(encoded));
        }
        assert_eq!(RegistryAuth::new(&HeaderValue::from_static("")).unwrap(), None);
        // "e30" is {}, which clients send for "anonymous".
        assert!(RegistryAuth::new(&HeaderValue::from_static("e30=")).unwrap().is_some());
    }

    #[test]
    fn errors_do_not_repeat_the_value() {
        for value in ["!!secret!!", "c2VjcmV0"] {
            let error = RegistryAuth::new(&HeaderValue::from_static(value)).unwrap_err();
            assert_eq!(error.status(), 400);
            assert!(!error.message.contains("secret") && !error.message.contains(value));
        }
    }
}
