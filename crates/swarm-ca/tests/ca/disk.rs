//! An identity on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use swarm_ca::{Disk, DiskError, NodeKey, Role, Stored, UnlockKey};

use crate::cluster::{MANAGER, WORKER, node, root};

#[test]
fn an_identity_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("certificates");
    let disk = Disk::open(&path).unwrap();
    assert!(disk.load(None).unwrap().is_none() && disk.load_roots().unwrap().is_none());
    let root = root();
    let stored = node(&root, MANAGER, Role::Manager);
    disk.save_roots(&root.roots().unwrap()).unwrap();
    disk.save(&stored, None).unwrap();
    let again = Disk::open(&path).unwrap();
    let loaded = again.load(None).unwrap().unwrap();
    assert_eq!((&loaded.key, &loaded.chain), (&stored.key, &stored.chain));
    assert_eq!(loaded.identity, stored.identity);
    assert_eq!(again.load_roots().unwrap(), Some(root.roots().unwrap()));
    // What a crash left behind is in nobody's way.
    fs::write(path.join(".swarm-node.pem.new"), "half a k").unwrap();
    // Replaced as a whole, and nothing else is left in the folder.
    let renewed = node(&root, MANAGER, Role::Worker);
    disk.save(&renewed, None).unwrap();
    assert_eq!(again.load(None).unwrap().unwrap().key, renewed.key);
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        names.push(entry.file_name());
    }
    names.sort();
    assert_eq!(names, ["swarm-node.pem", "swarm-root-ca.pem"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_locked_key_needs_its_unlock_key() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    let stored = node(&root(), MANAGER, Role::Manager);
    let lock = UnlockKey::generate().unwrap();
    disk.save(&stored, Some(&lock)).unwrap();
    let text = fs::read_to_string(folder.path().join("swarm-node.pem")).unwrap();
    assert!(!text.contains("BEGIN PRIVATE KEY"), "nothing can be read from disk");
    let error = disk.load(None).unwrap_err();
    assert!(matches!(error, DiskError::Locked) && error.to_string().contains("swarm unlock"));
    assert_eq!(disk.identity().unwrap().unwrap(), stored.identity, "whose it is lies open");
    let other = UnlockKey::generate().unwrap();
    assert!(matches!(disk.load(Some(&other)).unwrap_err(), DiskError::Unlock(_)));
    let again = UnlockKey::parse(lock.to_text().reveal()).unwrap();
    assert_eq!(disk.load(Some(&again)).unwrap().unwrap().key, stored.key);
    // A disk that takes nothing leaves what was there.
    fs::create_dir(folder.path().join(".swarm-node.pem.new")).unwrap();
    let error = disk.save(&stored, None).unwrap_err().to_string();
    assert!(error.contains("swarm-node.pem"), "{error}");
    assert!(matches!(disk.load(None).unwrap_err(), DiskError::Locked));
    fs::remove_dir(folder.path().join(".swarm-node.pem.new")).unwrap();
    // Unlocked for good: a key that lies open needs none.
    disk.save(&stored, None).unwrap();
    assert_eq!(disk.load(Some(&other)).unwrap().unwrap().key, stored.key);
}

#[test]
fn what_is_damaged_is_told_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    let root = root();
    disk.save(&node(&root, MANAGER, Role::Manager), None).unwrap();
    let path = folder.path().join("swarm-node.pem");
    let whole = fs::read_to_string(&path).unwrap();
    let own = node(&root, WORKER, Role::Worker);
    disk.save(&own, None).unwrap();
    let other = fs::read_to_string(&path).unwrap();
    let end = "-----END PRIVATE KEY-----\n";
    let mixed = [whole.split_once(end).unwrap().0, end, other.split_once(end).unwrap().1].concat();
    for (text, words) in [
        ("", "no PEM section"),
        (&whole[..whole.len() - 40], "swarm-node.pem cannot be used"),
        (whole.split_once(end).unwrap().1, "does not begin with a key"),
        (&mixed, "not of this node's key"),
    ] {
        fs::write(&path, text).unwrap();
        let error = disk.load(None).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("swarm-node.pem"), "{error}");
        assert!(text.len() < 100 || !error.contains(&text[40..80]), "nothing of it is shown");
    }
    fs::write(folder.path().join("swarm-root-ca.pem"), "x").unwrap();
    assert!(disk.load_roots().unwrap_err().to_string().contains("swarm-root-ca.pem"));
    let error = Stored::new(NodeKey::generate().unwrap(), &root.certificate_pem()).unwrap_err();
    assert!(matches!(error, DiskError::Identity(_)), "{error}");
}
