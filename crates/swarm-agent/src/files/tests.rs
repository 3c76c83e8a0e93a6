//! Files of tasks: templated, owned, in memory, and gone with their task.

use std::os::unix::fs::MetadataExt as _;

use serde_json::json;
use swarm_model::Task;

use super::*;
use crate::convert::{NodeFacts, convert};

const TASK: &str = "0123456789abcdefghijklmno";

fn data(id: &str, name: &str, text: &str, rest: &serde_json::Value) -> Data {
    let mut spec = rest.clone();
    spec["Name"] = name.into();
    spec["Data"] = STANDARD.encode(text).into();
    serde_json::from_value(json!({"ID": id, "Spec": spec})).unwrap()
}

fn golang() -> serde_json::Value {
    json!({"Templating": {"Name": "golang"}})
}

fn task() -> Task {
    serde_json::from_value(json!({"ID": TASK, "Slot": 1,
        "ServiceAnnotations": {"Name": "web"},
        "Spec": {"ContainerSpec": {"Image": "a", "Env": ["MODE=fast"],
            "Secrets": [{"SecretID": "s1", "SecretName": "key", "File": {"Name": "key"}}],
            "Configs": [{"ConfigID": "c1", "ConfigName": "conf",
                         "File": {"Name": "conf", "UID": "0", "Mode": 256}}]}}}))
    .unwrap()
}

async fn write(files: &Files, store: &DataStore) -> Result<Vec<PathBuf>, Refusal> {
    let converted = convert(&task(), &NodeFacts::default(), "c").unwrap();
    files.write(&Id::from(TASK), &converted.files, store, &converted.names).await
}

#[tokio::test]
async fn files_are_filled_owned_and_removed() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let files = Files::open(folder.path()).unwrap();
    let store = DataStore::default();
    let template = "{{ secret \"key\" }} {{ env \"MODE\" }} {{ .Service.Name }}";
    store.take(
        true,
        vec![
            (FileKind::Secret, data("s1", "key", "{{ not filled }}", &json!({}))),
            (FileKind::Config, data("c1", "conf", template, &golang())),
        ],
        &[],
    );
    let paths = write(&files, &store).await.unwrap();
    assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), "{{ not filled }}");
    assert_eq!(std::fs::read_to_string(&paths[1]).unwrap(), "{{ not filled }} fast web");
    assert_eq!(std::fs::metadata(&paths[1]).unwrap().mode() & 0o7777, 0o400);
    // Again, as after a crash: the same files.
    let inode = std::fs::metadata(&paths[0]).unwrap().ino();
    write(&files, &store).await.unwrap();
    assert_eq!(std::fs::metadata(&paths[0]).unwrap().ino(), inode);
    files.keep_only(|id| id == TASK);
    assert!(paths[0].exists());
    files.remove(&Id::from(TASK));
    assert!(!paths[0].exists());
    assert!(files.write(&Id::from("../x"), &[], &store, &converted_names()).await.is_ok());
    assert!(files.of(&Id::from("../x")).is_err());
}

fn converted_names() -> TaskNames {
    convert(&task(), &NodeFacts::default(), "c").unwrap().names
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_wrong_is_told_without_a_byte_of_a_secret() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let files = Files::open(folder.path()).unwrap();
    let store = DataStore::default();
    let error = write(&files, &store).await.unwrap_err();
    assert_eq!(error.to_string(), "secret key (s1) was not given to this node");
    let config = (FileKind::Config, data("c1", "conf", "{{ if }}", &golang()));
    store.take(false, vec![config, (FileKind::Secret, data("s1", "key", "x", &json!({})))], &[]);
    let error = write(&files, &store).await.unwrap_err().to_string();
    assert_eq!(error, "config conf: template: \"if\" is not supported");
    let secret = (FileKind::Secret, data("s1", "key", "{{ hunter2 }}", &golang()));
    store.take(false, vec![secret], &[]);
    let error = write(&files, &store).await.unwrap_err().to_string();
    assert_eq!(error, "secret key: its template cannot be filled");
    let other = json!({"Templating": {"Name": "jinja"}});
    store.take(false, vec![(FileKind::Secret, data("s1", "key", "x", &other))], &[]);
    let error = write(&files, &store).await.unwrap_err().to_string();
    assert_eq!(error, "secret key: unknown templating \"jinja\"");
    store.take(false, vec![], &[(FileKind::Secret, Id::from("s1"))]);
    assert!(write(&files, &store).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_for_one_task_comes_before_what_is_for_all_and_a_driver_s_failure_is_told() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let files = Files::open(folder.path()).unwrap();
    let store = DataStore::default();
    let key = |id: &str, text: &str| (FileKind::Secret, data(id, "key", text, &json!({})));
    let own = format!("s1.{TASK}");
    store.take(
        true,
        vec![
            key("s1.another", "another's"),
            (FileKind::Config, data("c1", "conf", "x", &json!({}))),
        ],
        &[],
    );
    assert!(write(&files, &store).await.is_err(), "another task's is not this one's");
    store.take(false, vec![key("s1", "all's"), key(&own, "own")], &[]);
    let paths = write(&files, &store).await.unwrap();
    assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), "own");
    store.take(false, vec![], &[(FileKind::Secret, Id::from(own.as_str()))]);
    let paths = write(&files, &store).await.unwrap();
    assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), "all's");
    let failed = json!({ DRIVER_FAILED: "the secret driver vault gave no value: it is sealed" });
    store.take(false, vec![(FileKind::Secret, data(&own, "key", "", &failed))], &[]);
    let error = write(&files, &store).await.unwrap_err().to_string();
    assert_eq!(error, "secret key: the secret driver vault gave no value: it is sealed");
}
