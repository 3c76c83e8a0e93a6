//! The filters and the form of `GET /images/json` over a pool: pure.
//!
//! Filters are Docker's and hold for each engine's own entry, before entries of one image are
//! united: an image that has lost its name on one engine is dangling there, whatever it is called
//! elsewhere. `reference` also takes names out of an entry, as Docker does.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use swarm_backend::{ApiError, Result};
use swarm_docker::image::{ImageEntry, united};
use swarm_docker::{ApiVersion, Filters, Query, Reference, time};

use super::image_pattern::Pattern;

/// Every filter of an image list (API v1.24 to v1.52), and `node`.
const ACCEPTED: [&str; 8] =
    ["before", "dangling", "label", "label!", "node", "reference", "since", "until"];
/// Parameters that only engines can answer.
const ENGINES_OWN: [&str; 3] = ["shared-size", "manifests", "identity"];
/// From this version on a list has no `<none>` in place of missing names.
const NO_PLACEHOLDERS: ApiVersion = ApiVersion::new(1, 43);
/// From this version on it has no `VirtualSize`.
const NO_VIRTUAL_SIZE: ApiVersion = ApiVersion::new(1, 44);
/// Before this version the parameter `filter` was a reference.
const NO_FILTER_PARAMETER: ApiVersion = ApiVersion::new(1, 41);

/// One request for a list.
#[derive(Debug)]
pub(super) struct ImageQuery {
    filters: Filters,
    nodes: Vec<String>,
    dangling: Option<bool>,
    patterns: Vec<Pattern>,
    until: Option<i64>,
    /// Images made before this moment, seconds since 1970; see [`ImageQuery::before`].
    pub older_than: Option<i64>,
    /// Images made after this moment; see [`ImageQuery::since`].
    pub newer_than: Option<i64>,
    /// What must be asked of the engines, if anything.
    pub live: Option<Query>,
}

impl ImageQuery {
    pub(super) fn parse(query: &Query, version: ApiVersion, now: Timestamp) -> Result<Self> {
        let mut filters = Filters::from_query(query)?;
        filters.accept(&ACCEPTED)?;
        if version < NO_FILTER_PARAMETER
            && let Some(name) = query.get("filter").filter(|name| !name.is_empty())
        {
            filters.add("reference", name);
        }
        let nodes = filters.remove("node");
        let dangling = filters.flag("dangling")?;
        let patterns = filters.get("reference").iter().map(|text| Pattern::parse(text));
        let patterns = patterns.collect::<Result<_>>()?;
        let until = match filters.get("until") {
            [] => None,
            [text] => {
                let point = time::parse_point(text, now).ok_or_else(|| {
                    ApiError::invalid(format!("invalid filter 'until={text}': not a time"))
                })?;
                Some(point.as_second())
            }
            _ => return Err(ApiError::invalid("invalid filter: more than one until")),
        };
        let mut live = Query::default();
        // Docker looks for dangling images among those without children, whatever `all` says.
        if query.flag("all") && dangling != Some(true) {
            live.set("all", "1");
        }
        for key in ENGINES_OWN {
            if let Some(value) = query.get(key).filter(|_| query.flag(key)) {
                live.set(key, value);
            }
        }
        let live = Some(live).filter(|live| !live.pairs().is_empty());
        Ok(Self {
            filters,
            nodes,
            dangling,
            patterns,
            until,
            older_than: None,
            newer_than: None,
            live,
        })
    }

    /// The nodes asked for; none means all.
    pub(super) fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// The image that `before` names.
    pub(super) fn before(&self) -> Option<&str> {
        self.filters.get("before").last().map(String::as_str)
    }

    /// The image that `since` names.
    pub(super) fn since(&self) -> Option<&str> {
        self.filters.get("since").last().map(String::as_str)
    }

    /// Whether one engine's entry belongs to the list.
    pub(super) fn admits(&self, image: &ImageEntry) -> bool {
        let dangling = match self.dangling {
            None => true,
            Some(true) => image.tags.is_empty(),
            Some(false) => !(image.tags.is_empty() && image.digests.is_empty()),
        };
        let label = |key: &str| image.labels.get(key);
        dangling
            && self.filters.matches_kv("label", label)
            && (!self.filters.contains("label!") || self.filters.matches_kv("label!", label))
            && self.older_than.is_none_or(|moment| image.created < moment)
            && self.newer_than.is_none_or(|moment| image.created > moment)
            && self.until.is_none_or(|moment| image.created < moment)
            && (self.patterns.is_empty()
                || image.tags.iter().chain(image.digests.iter()).any(|name| self.asks_for(name)))
    }

    fn asks_for(&self, name: &str) -> bool {
        if self.patterns.is_empty() {
            return true;
        }
        let bare = Reference::parse(name).map(|reference| reference.familiar_name()).ok();
        self.patterns.iter().any(|pattern| {
            pattern.matches(name) || bare.as_deref().is_some_and(|bare| pattern.matches(bare))
        })
    }

    /// The list as JSON, in the form of `version`.
    pub(super) fn render<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a ImageEntry>,
        version: ApiVersion,
    ) -> Result<Vec<u8>> {
        let list = united(entries);
        let mut list: Vec<Map<String, Value>> = serde_json::from_slice(&list)
            .map_err(|error| ApiError::system(format!("the list of images: {error}")))?;
        for image in &mut list {
            let tags = self.names(image, "RepoTags");
            let digests = self.names(image, "RepoDigests");
            let nameless = tags.is_empty() && digests.is_empty();
            let or_none = |names: Vec<String>, none: &str| {
                if nameless && version < NO_PLACEHOLDERS { json!([none]) } else { json!(names) }
            };
            image.insert("RepoTags".to_owned(), or_none(tags, "<none>:<none>"));
            image.insert("RepoDigests".to_owned(), or_none(digests, "<none>@<none>"));
            if version < NO_VIRTUAL_SIZE && !image.contains_key("VirtualSize") {
                let size = image.get("Size").cloned().unwrap_or(json!(0));
                image.insert("VirtualSize".to_owned(), size);
            }
        }
        serde_json::to_vec(&list).map_err(|error| ApiError::system(error.to_string()))
    }

    fn names(&self, image: &Map<String, Value>, key: &str) -> Vec<String> {
        let names = image.get(key).and_then(Value::as_array).into_iter().flatten();
        names
            .filter_map(Value::as_str)
            .filter(|name| !name.starts_with("<none>") && self.asks_for(name))
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V41: ApiVersion = ApiVersion::new(1, 41);
    const V44: ApiVersion = ApiVersion::new(1, 44);

    fn image(id: &str, tags: &[&str], created: i64) -> ImageEntry {
        let raw = json!({"Id": id, "RepoTags": tags, "RepoDigests": [], "Created": created,
            "Size": 7, "Labels": {"a": "1"}});
        ImageEntry::parse(raw.to_string().as_bytes()).unwrap()
    }

    fn query(filters: &str) -> Result<ImageQuery> {
        let mut query = Query::default();
        query.set("filters", filters);
        ImageQuery::parse(&query, V41, Timestamp::from_second(1_000).unwrap())
    }

    #[test]
    fn filters_are_docker_s() {
        let named = image("sha256:a", &["app:1", "reg:5000/app:2"], 100);
        let nameless = image("sha256:b", &[], 200);
        for (filters, of_named, of_nameless) in [
            ("{}", true, true),
            (r#"{"dangling":["true"]}"#, false, true),
            (r#"{"dangling":["false"]}"#, true, false),
            (r#"{"label":["a=1"]}"#, true, true),
            (r#"{"label":["a=2"]}"#, false, false),
            (r#"{"label!":["a=1"]}"#, false, false),
            (r#"{"label!":["a=2"]}"#, true, true),
            (r#"{"until":["150"]}"#, true, false),
            (r#"{"until":["13m40s"]}"#, true, false),
            (r#"{"reference":["app"]}"#, true, false),
            (r#"{"reference":["app:*"]}"#, true, false),
            (r#"{"reference":["ap"]}"#, false, false),
            (r#"{"reference":["*/app"]}"#, true, false),
        ] {
            let query = query(filters).unwrap();
            assert_eq!(query.admits(&named), of_named, "{filters}");
            assert_eq!(query.admits(&nameless), of_nameless, "{filters}");
        }
        let mut between = query("{}").unwrap();
        (between.older_than, between.newer_than) = (Some(200), Some(99));
        assert!(between.admits(&named) && !between.admits(&nameless));
        assert_eq!(query(r#"{"nope":["1"]}"#).unwrap_err().message, "invalid filter 'nope'");
        assert!(query(r#"{"until":["soon"]}"#).is_err());
    }

    #[test]
    fn a_reference_filter_takes_other_names_out() {
        let one = image("sha256:a", &["app:1", "other:1"], 1);
        let two = image("sha256:a", &["app:2"], 1);
        let query = query(r#"{"reference":["app"]}"#).unwrap();
        let list: Value =
            serde_json::from_slice(&query.render([&one, &two], V44).unwrap()).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert_eq!(list[0]["RepoTags"], json!(["app:1", "app:2"]));
        assert_eq!(list[0].get("VirtualSize"), None);
    }

    #[test]
    fn old_clients_get_the_placeholders_they_know() {
        let nameless = image("sha256:b", &[], 2);
        let query = query("{}").unwrap();
        let old: Value = serde_json::from_slice(&query.render([&nameless], V41).unwrap()).unwrap();
        assert_eq!(old[0]["RepoTags"], json!(["<none>:<none>"]));
        assert_eq!(old[0]["RepoDigests"], json!(["<none>@<none>"]));
        assert_eq!(old[0]["VirtualSize"], 7);
        let new: Value = serde_json::from_slice(&query.render([&nameless], V44).unwrap()).unwrap();
        assert_eq!(new[0]["RepoTags"], json!([]));
    }

    #[test]
    fn what_only_engines_know_is_asked_of_them() {
        let parse = |text: &str| {
            let query = Query::parse(text);
            ImageQuery::parse(&query, ApiVersion::new(1, 40), Timestamp::UNIX_EPOCH).unwrap()
        };
        assert!(parse("").live.is_none() && parse("digests=1&all=0").live.is_none());
        assert_eq!(
            parse("all=1&shared-size=true").live.unwrap().encode(),
            "all=1&shared-size=true"
        );
        assert!(parse("all=1&filters={\"dangling\":[\"true\"]}").live.is_none());
        assert_eq!(parse("filter=app").patterns.len(), 1);
    }
}
