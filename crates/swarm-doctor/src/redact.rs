//! What is left out of answers before they are passed on: in an answer every field that may hold what
//! people chose (environments, arguments, the values of labels and options), wherever it stands; of an
//! event all but what is the engine's or the manager's own.

use serde_json::{Map, Value, json};

/// In the place of what was left out.
const LEFT_OUT: &str = "(left out)";

/// Objects with names and values that people chose.
const CHOSEN: [&str; 7] =
    ["labels", "options", "driveropts", "annotations", "sysctls", "runtimes", "attributes"];
/// What may hold arguments, passwords or keys.
const SECRET: [&str; 12] = [
    "env",
    "cmd",
    "args",
    "entrypoint",
    "command",
    "healthcheck",
    "auth",
    "password",
    "token",
    "data",
    "joinTokens",
    "unlockkey",
];
/// Attributes of events that are the engine's or the manager's own words.
const OWN: [&str; 10] = [
    "name",
    "image",
    "exitCode",
    "signal",
    "container",
    "driver",
    "type",
    "node.name",
    "node.addr",
    "node.id",
];

/// An answer without what is secret in it.
pub fn answer(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().map(field).collect()),
        // A row of `SystemStatus`: the engines' labels in one text.
        Value::Array(row) if is_labels(&row) => {
            let labels = row[1].as_str().unwrap_or_default().split(", ");
            let names = labels.filter_map(|label| Some(label.split_once('=')?.0));
            let shown: Vec<_> = names.map(|name| format!("{name}={LEFT_OUT}")).collect();
            json!([row[0], shown.join(", ")])
        }
        Value::Array(all) => all.into_iter().map(answer).collect(),
        Value::String(text) => Value::String(without_password(&text)),
        other => other,
    }
}

fn is_labels(row: &[Value]) -> bool {
    matches!(row, [Value::String(name), Value::String(_)] if name.ends_with("Labels"))
}

fn field((name, value): (String, Value)) -> (String, Value) {
    let is = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(&name));
    let value = if is(&SECRET) {
        match value {
            Value::Null => Value::Null,
            _ => json!(LEFT_OUT),
        }
    } else if is(&CHOSEN) {
        chosen(value)
    } else {
        answer(value)
    };
    (name, value)
}

/// Keeps names, in both forms that Docker has: an object, and a list of `NAME=VALUE`.
fn chosen(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, _)| (name, json!(LEFT_OUT))).collect()
        }
        Value::Array(all) => all
            .into_iter()
            .map(|one| match one.as_str().and_then(|text| text.split_once('=')) {
                Some((name, _)) => json!(format!("{name}={LEFT_OUT}")),
                None => json!(LEFT_OUT),
            })
            .collect(),
        Value::Null => Value::Null,
        _ => json!(LEFT_OUT),
    }
}

/// An event with what is not people's own words.
pub fn event(event: &Value) -> Value {
    let actor = &event["Actor"];
    let mut attributes = Map::new();
    for name in OWN {
        if let Some(text) = actor["Attributes"][name].as_str() {
            attributes.insert(name.to_owned(), json!(without_password(text)));
        }
    }
    // `exec_start: sh -c "..."` tells what was run.
    let action = event["Action"].as_str().unwrap_or_default();
    let action = action.split_once(": ").map_or(action, |(action, _)| action);
    let health = event["Action"].as_str().filter(|action| action.starts_with("health_status: "));
    json!({
        "time": event["time"], "timeNano": event["timeNano"], "Type": event["Type"],
        "Action": health.unwrap_or(action),
        "Actor": {"ID": actor["ID"], "Attributes": attributes},
    })
}

/// A text whose URLs have no user and password.
fn without_password(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after.find(['/', ' ', ',', '"', '?', '#']).unwrap_or(after.len());
        let (host, behind) = after.split_at(end);
        match host.rsplit_once('@') {
            Some((_, host)) => {
                clean.push_str(LEFT_OUT);
                clean.push('@');
                clean.push_str(host);
            }
            None => clean.push_str(host),
        }
        rest = behind;
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_that_people_chose_go_and_names_stay() {
        let found = answer(json!({
            "Names": ["/n1/web"], "Image": "nginx", "Command": "run --password=hunter2",
            "Labels": {"db.password": "hunter2"}, "Env": ["A=hunter2"], "Ports": [],
            "Config": {"Cmd": ["hunter2"], "Healthcheck": {"Test": ["hunter2"]}, "Env": null},
            "HttpProxy": "http://me:hunter2@proxy:3128/x,http://proxy2",
            "DriverOpts": {"o": "password=hunter2"}, "SystemStatus": [["  └ Labels", "a=hunter2, b=hunter2"], ["  └ ID", "5"]]
        }));
        let text = found.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        for kept in [
            "/n1/web",
            "nginx",
            "db.password",
            "(left out)@proxy:3128/x,http://proxy2",
            "\"Env\":null",
            r#"["  └ Labels","a=(left out), b=(left out)"]"#,
            r#"["  └ ID","5"]"#,
        ] {
            assert!(text.contains(kept), "{kept} is not in {text}");
        }
        assert_eq!(answer(json!({"Labels": ["a=hunter2", "b"]}))["Labels"][0], "a=(left out)");
    }

    #[test]
    fn an_event_tells_what_happened_and_not_what_was_run() {
        let of = |action: &str| {
            event(&json!({"Type": "container", "Action": action, "time": 5,
                "from": "nginx", "Actor": {"ID": "c", "Attributes": {
                    "name": "web", "secret.label": "hunter2", "execID": "e", "node.name": "n1"}}}))
        };
        let ran = of("exec_create: sh -c hunter2");
        assert_eq!(
            (&ran["Action"], &ran["Actor"]["Attributes"]["name"]),
            (&json!("exec_create"), &json!("web"))
        );
        assert!(!ran.to_string().contains("hunter2") && ran.to_string().contains("n1"));
        assert_eq!(of("health_status: healthy")["Action"], "health_status: healthy");
    }

    proptest! {
        #[test]
        fn no_password_stays_in_a_url(before in "[a-z ,]{0,6}", user in "[a-z]{0,4}", host in "[a-z]{1,6}") {
            let text = format!("{before}https://{user}:hunter2@{host}:80/p and ftp://x");
            let clean = without_password(&text);
            prop_assert!(!clean.contains("hunter2"), "{clean}");
            let after = format!("@{host}:80/p and ftp://x");
            prop_assert!(clean.ends_with(&after), "{clean}");
        }

        #[test]
        fn any_text_is_passed_through(text in "\\PC{0,40}") {
            let clean = without_password(&text);
            prop_assert!(text.contains("://") || clean == text);
        }
    }
}
