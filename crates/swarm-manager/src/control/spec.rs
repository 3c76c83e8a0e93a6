//! A service's spec as clients send it. A word that is none of those that a field has is refused in
//! Docker's words (`moby/daemon/cluster/convert/service.go`), which tools look for; a field that nobody
//! knows by its name ([`known`]); all else that is not as it should be in the parser's.

use serde_json::Value;
use swarm_backend::Result;
use swarm_docker::ApiError;
use swarm_model::ServiceSpec;

use super::answer::parse;
use super::known;

/// Where a word is, which there are (none is the default's), and what is said of another.
type Words = (&'static str, &'static [&'static str], fn(&str) -> String);

const WORDS: [Words; 6] = [
    ("/EndpointSpec/Mode", &["vip", "dnsrr"], |word| format!("invalid resolution mode: {word:?}")),
    ("/TaskTemplate/RestartPolicy/Condition", &["none", "on-failure", "any"], |word| {
        format!("invalid RestartCondition: {word:?}")
    }),
    ("/UpdateConfig/FailureAction", &ACTIONS, action),
    ("/UpdateConfig/Order", &ORDERS, order),
    ("/RollbackConfig/FailureAction", &ACTIONS, action),
    ("/RollbackConfig/Order", &ORDERS, order),
];
const ACTIONS: [&str; 3] = ["pause", "continue", "rollback"];
const ORDERS: [&str; 2] = ["stop-first", "start-first"];

fn action(word: &str) -> String {
    format!("unrecognized update failure action {word}")
}

fn order(word: &str) -> String {
    format!("unrecognized update order {word}")
}

/// Reads it.
pub(super) fn read(body: &[u8]) -> Result<ServiceSpec> {
    let sent = || serde_json::from_slice::<Value>(body).ok();
    let spec = parse(body).map_err(|error| {
        sent().and_then(|sent| wrong_word(&sent)).map_or(error, ApiError::invalid)
    })?;
    match sent().and_then(|sent| known::stranger(&sent)) {
        Some(words) => Err(ApiError::invalid(words)),
        None => Ok(spec),
    }
}

fn wrong_word(sent: &Value) -> Option<String> {
    WORDS.iter().find_map(|(place, known, words)| {
        let word = sent.pointer(place)?.as_str()?;
        (!word.is_empty() && !known.contains(&word)).then(|| words(word))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_word_that_a_field_does_not_have_is_refused_in_docker_s() {
        for (spec, words) in [
            (json!({"EndpointSpec": {"Mode": "x"}}), "invalid resolution mode: \"x\""),
            (
                json!({"TaskTemplate": {"RestartPolicy": {"Condition": "x"}}}),
                "invalid RestartCondition: \"x\"",
            ),
            (
                json!({"UpdateConfig": {"FailureAction": "x"}}),
                "unrecognized update failure action x",
            ),
            (json!({"RollbackConfig": {"Order": "x"}}), "unrecognized update order x"),
        ] {
            let error = read(spec.to_string().as_bytes()).unwrap_err();
            assert_eq!((error.status().as_u16(), &*error.message), (400, words));
        }
        let error = read(br#"{"Mode": {"Foo": {}}}"#).unwrap_err();
        assert_eq!(error.message, "unsupported field Foo of Mode");
        let error = read(br#"{"Name": 3}"#).unwrap_err();
        assert!(error.message.starts_with("invalid JSON: "), "{}", error.message);
    }
}
