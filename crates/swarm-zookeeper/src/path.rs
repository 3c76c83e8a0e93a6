//! Where a key stands in ZooKeeper's tree: the key `a/b` is the znode `/a/b`.
//!
//! It refuses what ZooKeeper cannot name, before anything is sent. Pure.

/// ZooKeeper's own corner of the tree.
const RESERVED: &str = "zookeeper";

/// The znode of a key; in words, why there is none.
pub(crate) fn znode(key: &str) -> Result<String, String> {
    for part in key.split('/') {
        if part.is_empty() || part == "." || part == ".." {
            return Err(format!("{key:?} is no key for it: a part of a key cannot be {part:?}"));
        }
    }
    if let Some(wrong) = key.chars().find(|c| !is_nameable(*c)) {
        return Err(format!("{key:?} is no key for it: it cannot hold {wrong:?}"));
    }
    if key.split('/').next() == Some(RESERVED) {
        return Err(format!("{key:?} is no key for it: /{RESERVED} is the server's own"));
    }
    Ok(format!("/{key}"))
}

/// The znode whose children are a directory's keys; the empty directory is the root.
pub(crate) fn directory(directory: &str) -> Result<String, String> {
    if directory.is_empty() { Ok("/".to_owned()) } else { znode(directory) }
}

/// The key of a child of a directory.
pub(crate) fn child(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Which direct child of a directory's znode a znode is, if it is one.
pub(crate) fn name_in<'a>(directory: &str, znode: &'a str) -> Option<&'a str> {
    let name = znode.strip_prefix(directory)?;
    let name = if directory == "/" { name } else { name.strip_prefix('/')? };
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// The znode above; `None` for those right below the root.
pub(crate) fn parent(znode: &str) -> Option<&str> {
    znode.rsplit_once('/').map(|(parent, _)| parent).filter(|parent| !parent.is_empty())
}

/// What ZooKeeper's `PathUtils` lets through.
fn is_nameable(c: char) -> bool {
    !matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_have_a_place_or_a_reason() {
        for key in ["10.0.0.1:2375", "[2001:db8::1]:2375", "a/b c/ü", "a/zookeeper", ".../x"] {
            assert_eq!(znode(key), Ok(format!("/{key}")));
        }
        for (key, words) in [
            ("", "cannot be \"\""),
            ("a//b", "cannot be \"\""),
            ("/a", "cannot be \"\""),
            ("a/../b", "cannot be \"..\""),
            ("a\nb", "cannot hold '\\n'"),
            ("zookeeper/quota", "the server's own"),
        ] {
            let reason = znode(key).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        }
        assert_eq!(directory(""), Ok("/".into()));
    }

    #[test]
    fn children_are_told_from_what_stands_elsewhere() {
        for (directory, znode, name) in [
            ("/a/b", "/a/b/c", Some("c")),
            ("/a/b", "/a/b/c/d", None),
            ("/a/b", "/a/b", None),
            ("/a/b", "/a/bc", None),
            ("/a/b", "/x", None),
            ("/", "/a", Some("a")),
            ("/", "/a/b", None),
            ("/", "/", None),
        ] {
            assert_eq!(name_in(directory, znode), name, "{directory} {znode}");
        }
        assert_eq!((child("", "a"), child("a/b", "c")), ("a".into(), "a/b/c".into()));
        assert_eq!((parent("/a"), parent("/a/b/c")), (None, Some("/a/b")));
    }

    proptest! {
        /// A key that has a place is found again as a child of its directory, and of no other.
        #[test]
        fn a_child_has_its_name(above in "[a-z./\\PC]{0,12}", name in "\\PC{1,8}") {
            let key = child(&above, &name);
            if let (Ok(above), Ok(znode)) = (directory(&above), znode(&key)) {
                let is_direct = !name.contains('/');
                prop_assert_eq!(name_in(&above, &znode), is_direct.then_some(&*name));
                prop_assert_eq!(name_in(&znode, &above), None);
            }
        }
    }
}
