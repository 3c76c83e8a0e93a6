//! `key=value,key=value`, as `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_EXPORTER_OTLP_HEADERS` have it: what
//! could be taken for a comma or an equals sign is percent-encoded (W3C Baggage, 3.3).

use percent_encoding::percent_decode_str;

/// The pairs of a list, decoded. The error is which one is none, counted from 1: its text may be secret.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>, usize> {
    let parts = text.split(',').enumerate().filter(|(_, part)| !part.trim().is_empty());
    parts.map(|(place, part)| pair(part).ok_or(place + 1)).collect()
}

fn pair(part: &str) -> Option<(String, String)> {
    let (key, value) = part.split_once('=')?;
    let (key, value) = (decoded(key)?, decoded(value)?);
    (!key.is_empty()).then_some((key, value))
}

fn decoded(text: &str) -> Option<String> {
    Some(percent_decode_str(text.trim()).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_trimmed_and_decoded_and_the_first_bad_one_is_counted() {
        let two = pairs(" a = 1%2C2 ,, b=x=y,").unwrap();
        assert_eq!(two, [("a".into(), "1,2".into()), ("b".into(), "x=y".into())]);
        assert_eq!(pairs("").unwrap(), []);
        assert_eq!(pairs("a=1,secret"), Err(2));
        assert_eq!(pairs("=1"), Err(1));
        assert_eq!(pairs("a=%ff"), Err(1));
    }
}
