//! Reading a request's path: the version in front, the object's name in the middle.
//!
//! Invariants: a name is percent-decoded exactly once; no name that could climb out of its place
//! (empty or dotted segments, NUL, control characters) gets past here. Reading is total.

use percent_encoding::percent_decode_str;
use swarm_backend::{ApiError, ObjectPath, Result, Served};
use swarm_docker::ApiVersion;

use crate::route::Cut;

/// Longest name taken, bytes after decoding: an image reference is at most 255 for the name, 128
/// for the tag and 135 for a digest, a node's name at most 253.
const LONGEST_NAME: usize = 1024;

/// Splits `/v1.41/info` into `1.41` and `/info`; what has no version in front is left whole.
///
/// Docker's router takes `/v` and any run of digits and dots for a version; whether it is one is
/// seen only once the rest of the path has found its route.
pub(crate) fn split_version(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix("/v") else { return (None, path) };
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    match (rest.get(..end), rest.get(end..)) {
        (Some(version), Some(tail)) if !version.is_empty() && tail.starts_with('/') => {
            (Some(version), tail)
        }
        _ => (None, path),
    }
}

/// The version a client asked for, when it is one that is served. The words are Docker's
/// (`api/server/middleware`, 400).
pub(crate) fn check_version(text: Option<&str>, served: Served) -> Result<Option<ApiVersion>> {
    let Some(text) = text else { return Ok(None) };
    let asked = lenient(text);
    if asked < served.oldest {
        let oldest = served.oldest;
        return Err(ApiError::invalid(format!(
            "client version {text} is too old. Minimum supported API version is {oldest}, \
             please upgrade your client to a newer version"
        )));
    }
    if asked > served.promised {
        let newest = served.newest;
        return Err(ApiError::invalid(format!(
            "client version {text} is too new. Maximum supported API version is {newest}"
        )));
    }
    Ok(Some(asked.min(served.newest)))
}

/// Docker compares versions part by part and reads a part that is missing or no number as 0.
fn lenient(text: &str) -> ApiVersion {
    let mut parts = text
        .split('.')
        .map(|part| if part.is_empty() { 0 } else { part.parse::<u16>().unwrap_or(u16::MAX) });
    ApiVersion::new(parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The object's name, decoded and checked, and the path around it.
pub(crate) fn read_name(cut: &Cut<'_>) -> Result<(String, ObjectPath)> {
    refuse_dots(cut.before)?;
    let after = check_tail(cut.after)?;
    if cut.name.is_empty() {
        return Ok((String::new(), ObjectPath::whole([cut.before, cut.after].concat())));
    }
    let name = decode(cut.name)?;
    // Engines list containers as "/web" and take that form back.
    let name = name.strip_prefix('/').unwrap_or(&name).to_owned();
    check_name(&name)?;
    Ok((name, ObjectPath { before: cut.before.to_owned(), after }))
}

fn decode(text: &str) -> Result<String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| ApiError::invalid("invalid path: a name is not valid UTF-8"))
}

fn check_name(name: &str) -> Result<()> {
    if name.len() > LONGEST_NAME {
        let length = name.len();
        return Err(ApiError::invalid(format!(
            "invalid name: {length} bytes long (at most {LONGEST_NAME})"
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!("invalid name {name:?}: has control characters")));
    }
    if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(ApiError::invalid(format!(
            "invalid name {name:?}: a part between slashes is empty, \".\" or \"..\""
        )));
    }
    Ok(())
}

/// What follows the name is the route's own text, but for a last parameter (a checkpoint's name):
/// that one is checked like a name and passed on as it came.
fn check_tail(after: &str) -> Result<String> {
    for segment in after.split('/').skip(1) {
        check_name(&decode(segment)?)?;
    }
    Ok(after.to_owned())
}

fn refuse_dots(path: &str) -> Result<()> {
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(ApiError::invalid("invalid path: has \".\" or \"..\" in it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SERVED: Served = Served {
        oldest: ApiVersion::OLDEST,
        newest: ApiVersion::new(1, 41),
        promised: ApiVersion::new(1, 41),
    };

    #[test]
    fn a_version_in_front_is_split_off() {
        assert_eq!(split_version("/v1.41/info"), (Some("1.41"), "/info"));
        assert_eq!(split_version("/info"), (None, "/info"));
        assert_eq!(split_version("/version"), (None, "/version"));
        assert_eq!(split_version("/volumes/v1.41/x"), (None, "/volumes/v1.41/x"));
        assert_eq!(split_version("/v1.x/info"), (None, "/v1.x/info"));
        assert_eq!(split_version("/v/info"), (None, "/v/info"));
        assert_eq!(split_version("/v1.41"), (None, "/v1.41"));
        assert_eq!(split_version("/v1.41/v1.41/info"), (Some("1.41"), "/v1.41/info"));
    }

    #[test]
    fn versions_out_of_range_are_refused_in_dockers_words() {
        let words = |text| check_version(Some(text), SERVED).unwrap_err().message;
        assert_eq!(
            words("1.10"),
            "client version 1.10 is too old. Minimum supported API version is 1.24, \
             please upgrade your client to a newer version"
        );
        assert_eq!(
            words("1.99"),
            "client version 1.99 is too new. Maximum supported API version is 1.41"
        );
        assert!(words("1").contains("too old"));
        assert!(words("...").contains("too old"));
        assert!(words("99999999999999999999.1").contains("too new"));
        assert_eq!(check_version(Some("1.30"), SERVED).unwrap(), Some(ApiVersion::new(1, 30)));
        assert_eq!(check_version(None, SERVED).unwrap(), None);
    }

    #[test]
    fn a_version_that_was_announced_a_moment_ago_gets_what_the_newest_is() {
        let falling = Served { promised: ApiVersion::new(1, 50), ..SERVED };
        let check = |text| check_version(Some(text), falling);
        assert_eq!(check("1.50").unwrap(), Some(ApiVersion::new(1, 41)));
        assert_eq!(check("1.40").unwrap(), Some(ApiVersion::new(1, 40)));
        let words = check("1.51").unwrap_err().message;
        assert!(words.ends_with("Maximum supported API version is 1.41"), "{words}");
    }

    fn name(text: &str) -> Result<String> {
        read_name(&Cut { before: "/containers/", name: text, after: "/json" }).map(|(n, _)| n)
    }

    #[test]
    fn names_are_decoded_once_and_may_hold_a_node() {
        assert_eq!(name("node-1/web").unwrap(), "node-1/web");
        assert_eq!(name("node-1%2Fweb").unwrap(), "node-1/web");
        assert_eq!(name("%2Fweb").unwrap(), "web");
        assert_eq!(name("a%2525").unwrap(), "a%25");
        assert_eq!(name("sha256%3A0f").unwrap(), "sha256:0f");
    }

    #[test]
    fn names_that_climb_or_hide_are_refused() {
        for bad in [
            "..",
            ".",
            "%2e%2e",
            "a/../b",
            "a%2f..%2fb",
            "a//b",
            "a/",
            "%00",
            "a%0ab",
            "%2F",
            "//web",
            "%ff",
            "a%7f",
        ] {
            let error = name(bad).unwrap_err();
            assert_eq!(error.status(), 400, "{bad}: {error}");
        }
        assert!(name(&"a".repeat(2000)).unwrap_err().message.contains("2000 bytes"));
        let cut = Cut { before: "/c/", name: "a", after: "/checkpoints/%2e%2e" };
        assert_eq!(read_name(&cut).unwrap_err().status(), 400);
    }

    proptest! {
        #[test]
        fn reading_never_panics(path in "\\PC*", name in "\\PC*", after in "(/[a-z%0-9.]*){0,3}") {
            let (version, _) = split_version(&path);
            let _ = check_version(version, SERVED);
            let _ = read_name(&Cut { before: &path, name: &name, after: &after });
        }

        #[test]
        fn what_passes_stays_in_its_place(text in "[a-z%0-9./]{1,24}") {
            if let Ok(name) = name(&text) {
                prop_assert!(!name.is_empty() && !name.contains('\0'));
                prop_assert!(name.split('/').all(|s| !matches!(s, "" | "." | "..")));
            }
        }

        #[test]
        fn any_version_text_is_answered(text in "[0-9.]{1,30}") {
            if let Ok(Some(version)) = check_version(Some(&text), SERVED) {
                prop_assert!(version >= SERVED.oldest && version <= SERVED.newest);
            }
        }
    }
}
