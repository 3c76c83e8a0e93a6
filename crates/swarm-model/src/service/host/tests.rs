//! Labels read and grants compared; what is no label of a setting is refused in words.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::grants::{allow, grant, lacks};
use super::*;

fn asks(labels: &[(&str, &str)]) -> Result<Vec<Ask>, Wrong> {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(name, text)| (format!("{PREFIX}{name}"), (*text).to_owned())).collect();
    Asks::of(&labels).map_or_else(|| Ok(Vec::new()), |asks| asks.read())
}

fn value(name: &str, text: &str) -> Value {
    asks(&[(name, text)]).unwrap()[0].value.clone()
}

#[test]
fn texts_are_read_as_docker_run_reads_its_flags() {
    let device = |host, container, may| json!({"PathOnHost": host, "PathInContainer": container, "CgroupPermissions": may});
    assert_eq!(
        value("devices", "/dev/fuse, /dev/a:/dev/b, /dev/c:r, /dev/d:/dev/e:rw"),
        json!([
            device("/dev/fuse", "/dev/fuse", "rwm"),
            device("/dev/a", "/dev/b", "rwm"),
            device("/dev/c", "/dev/c", "r"),
            device("/dev/d", "/dev/e", "rw"),
        ])
    );
    assert_eq!(value("gpus", "all"), json!([{"Count": -1, "Capabilities": [["gpu"]]}]));
    assert_eq!(value("gpus", "2"), json!([{"Count": 2, "Capabilities": [["gpu"]]}]));
    assert_eq!(
        value("gpus", "device=a,b"),
        json!([{"DeviceIDs": ["a", "b"], "Capabilities": [["gpu"]]}])
    );
    assert_eq!(value("shm-size", "64m"), json!(64 << 20));
    assert_eq!(value("storage-opt.size", "10G"), json!({"size": "10G"}));
    assert_eq!(value("security-opt", "seccomp=unconfined"), json!(["seccomp=unconfined"]));
    assert_eq!(value("oom-score-adj", "-5"), json!(-5));
    assert_eq!(asks(&[("privileged", "false")]), Ok(vec![]));
    assert_eq!(Asks::of(&BTreeMap::from([("swarm.cronjob".to_owned(), "x".to_owned())])), None);
}

#[test]
fn what_is_wrong_is_said() {
    for (name, text, words) in [
        ("privledged", "true", "label swarm.host.privledged: there is no such setting"),
        ("privileged", "yes", "neither true nor false"),
        ("devices", "fuse", "no absolute path"),
        ("devices", "/dev/../etc", "\"..\" in it"),
        ("devices", "/dev/a:/dev/b:x", "is not HOST[:CONTAINER[:rwm]]"),
        ("devices", "/dev/a,,", "empty item"),
        ("gpus", "0", "is not all"),
        ("shm-size", "a lot", "no amount of memory"),
        ("shm-size", "9999999999999g", "no amount of memory"),
        ("ipc", "container:a", "none of host, private"),
        ("cpu-shares", "1", "from 2 to"),
        ("storage-opt", "1", "no such setting"),
        ("runtime", "", "not one word"),
    ] {
        let error = asks(&[(name, text)]).unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn an_owner_allows_all_one_kind_or_one_thing() {
    let allowed = |grants: &[&str], name: &str, text: &str| {
        let grants: Vec<_> = grants.iter().map(|text| grant(text).unwrap()).collect();
        allow(&grants, &asks(&[(name, text)]).unwrap()[0])
    };
    for (grants, name, text, expected) in [
        (&[][..], "privileged", "true", false),
        (&["all"], "privileged", "true", true),
        (&["privileged"], "privileged", "true", true),
        (&["privileged"], "devices", "/dev/a", false),
        (&["devices"], "devices", "/dev/a", true),
        (&["device=/dev/a"], "devices", "/dev/a:/x", true),
        (&["device=/dev/a"], "devices", "/dev/a,/dev/b", false),
        (&["device=/dev/a", "device=/dev/b"], "devices", "/dev/a,/dev/b", true),
        (&["device=/dev/snd"], "devices", "/dev/snd/seq", true),
        (&["device=/dev/snd/"], "devices", "/dev/snd/seq", true),
        (&["device=/dev/snd"], "devices", "/dev/sndx", false),
        (&["cgroup-parent=/a"], "cgroup-parent", "/a/b", true),
        (&["ipc=host"], "ipc", "host", true),
        (&["ipc=host"], "ipc", "none", false),
        (&["security-opt=seccomp=unconfined"], "security-opt", "seccomp=unconfined", true),
        (&["storage-opt"], "storage-opt.size", "1G", true),
        (&["storage-opt=size=1G"], "storage-opt.size", "2G", false),
    ] {
        assert_eq!(allowed(grants, name, text), expected, "{grants:?} {name}={text}");
    }
    assert!(grant("everything").unwrap_err().to_string().contains("none of the settings"));
    assert!(grant("device=").unwrap_err().to_string().contains("names no value"));
    let two = asks(&[("privileged", "true"), ("gpus", "1")]).unwrap();
    let lacking = lacks(&["gpus".to_owned()], &two).map(Ask::words);
    assert_eq!(lacking, Some("privileged containers"));
}

proptest! {
    #[test]
    fn reading_never_fails_but_in_words(name in "[a-z.-]{0,16}", text in ".{0,40}") {
        let named = SETTINGS.iter().map(|setting| setting.name);
        for name in named.chain([name.as_str(), "storage-opt.a"]) {
            if let Err(wrong) = asks(&[(name, &text)]) {
                prop_assert!(wrong.to_string().starts_with("label swarm.host."), "{}", wrong);
            }
        }
    }

    #[test]
    fn devices_are_what_was_written(
        paths in prop::collection::vec(("/dev/[a-z]{1,6}", "/[a-z]{4,6}", "r?w?m?"), 1..4),
    ) {
        let text: Vec<_> = paths
            .iter()
            .map(|(host, inside, may)| match may.as_str() {
                "" => format!("{host}:{inside}"),
                may => format!("{host}:{inside}:{may}"),
            })
            .collect();
        let read = value("devices", &text.join(","));
        for (at, (host, inside, may)) in paths.iter().enumerate() {
            prop_assert_eq!(read[at]["PathOnHost"].as_str(), Some(host.as_str()));
            prop_assert_eq!(read[at]["PathInContainer"].as_str(), Some(inside.as_str()));
            let may = if may.is_empty() { "rwm" } else { may };
            prop_assert_eq!(read[at]["CgroupPermissions"].as_str(), Some(may));
        }
    }

    #[test]
    fn a_device_that_is_allowed_lies_where_its_owner_says(
        granted in "/dev(/[a-c]{1,2}){0,2}", asked in "/dev(/[a-c.]{1,2}){1,3}",
    ) {
        let Ok(ask) = asks(&[("devices", &asked)]) else { return Ok(()) };
        let grants = [grant(&format!("device={granted}")).unwrap()];
        let lies = std::path::Path::new(&asked).starts_with(&granted);
        prop_assert_eq!(allow(&grants, &ask[0]), lies);
    }
}
