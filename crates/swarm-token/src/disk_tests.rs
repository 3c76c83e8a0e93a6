//! Tests of the file: what is kept, and how a file that cannot be used is told.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn token(n: u128) -> Token {
    Token::from_bits(n)
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("made/here");
    let (mut disk, kept) = Disk::open(&directory).unwrap();
    assert_eq!(kept, Kept::default());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&directory.join(FILE))), (0o700, 0o600));
    let node =
        |n, address: &str, ttl| Change::Node { token: token(n), address: address.into(), ttl };
    disk.write(&[
        Change::Create { token: token(1), at: 5 },
        Change::Create { token: token(u128::MAX), at: 6 },
        Change::Create { token: token(3), at: 7 },
        node(1, "a:1", 60),
        node(1, "b:1", 60),
        node(1, "c:1", 60),
        node(u128::MAX, "a:1", 90),
        node(3, "a:1", 90),
    ])
    .unwrap();
    disk.write(&[
        Change::Use { token: token(1), at: 50 },
        Change::Use { token: token(9), at: 50 },
        Change::Left { token: token(1), address: "b:1".into() },
        Change::Gone { token: token(1), address: "c:1".into() },
        Change::Remove { token: token(u128::MAX) },
        Change::Replace { token: token(3), at: 70, addresses: vec!["z:1".into()], ttl: 30 },
    ])
    .unwrap();
    drop(disk);
    let (_, kept) = Disk::open(&directory).unwrap();
    assert_eq!(kept.clusters, [(token(1), 5, 50), (token(3), 7, 70)]);
    let nodes = [
        (token(1), "a:1".into(), Some(60)),
        (token(1), "b:1".into(), None),
        (token(3), "z:1".into(), Some(30)),
    ];
    assert_eq!(kept.nodes, nodes);
}

#[test]
fn a_file_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = Disk::open(folder.path()).unwrap();
    let error = Disk::open(folder.path()).unwrap_err();
    assert!(matches!(error, DiskError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"));
    drop(first);
    assert!(Disk::open(folder.path()).is_ok());
}

#[test]
fn a_file_that_is_none_is_called_damaged_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    for content in [&b"# not a store\n"[..], &[0; 8192], &[0xff; 10_000]] {
        std::fs::write(&path, content).unwrap();
        let error = Disk::open(folder.path()).unwrap_err();
        assert!(matches!(error, DiskError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("restore it from a copy"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = Disk::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("Is a directory"), "{error}");
    let error = Disk::open(Path::new("/dev/null/x")).unwrap_err().to_string();
    assert!(error.starts_with("data directory /dev/null/x: "), "{error}");
}

#[test]
fn a_file_that_was_altered_is_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (mut disk, _) = Disk::open(folder.path()).unwrap();
    let node = |n| Change::Node { token: token(1), address: format!("h{n}:1").into(), ttl: 60 };
    let nodes: Vec<_> = (0..1_000).map(node).collect();
    disk.write(&[Change::Create { token: token(1), at: 5 }]).unwrap();
    disk.write(&nodes).unwrap();
    drop(disk);
    let path = folder.path().join(FILE);
    let mut content = std::fs::read(&path).unwrap();
    // The first page is the file's head.
    for page in content.chunks_mut(4096).skip(1) {
        page[..512].fill(0xa5);
    }
    std::fs::write(&path, content).unwrap();
    let error = Disk::open(folder.path()).unwrap_err();
    assert!(matches!(error, DiskError::Damaged { .. }), "{error}");
}

#[test]
fn a_newer_layout_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(Disk::open(folder.path()).unwrap());
    let database = open(&folder.path().join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(LAYOUT).unwrap().insert("version", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Disk::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("newer version (layout 2"), "{error}");
}
