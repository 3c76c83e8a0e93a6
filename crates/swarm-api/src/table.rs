//! All routes of the endpoint that is one huge engine. They stand in one file per Docker resource.

use swarm_backend::Backend;

use crate::route::{Resources, Route};

/// Every route of the Docker Engine API, by resource; and last, what Docker has no words for.
pub(crate) const RESOURCES: Resources<dyn Backend> = &[
    ("Containers", crate::containers::ROUTES),
    ("Exec", crate::exec::ROUTES),
    ("Images", crate::images::ROUTES),
    ("Build", crate::build::ROUTES),
    ("Networks", crate::networks::ROUTES),
    ("Volumes", crate::volumes::ROUTES),
    ("System", crate::system::ROUTES),
    ("Plugins", crate::plugins::ROUTES),
    ("Nodes", crate::nodes::ROUTES),
    ("Swarm", crate::swarm::ROUTES),
    ("Pool", crate::nodes::POOL),
];

/// Every route of the Docker Engine API.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    RESOURCES.iter().flat_map(|(_, routes)| routes.iter())
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proptest::prelude::*;

    use super::*;
    use crate::route::find;

    fn hit(method: &Method, path: &'static str) -> Option<(&'static str, &'static str)> {
        find(RESOURCES, method, path).map(|hit| (hit.route.pattern, hit.cut.name))
    }

    #[test]
    fn names_may_span_slashes_and_the_most_specific_route_wins() {
        let get = &Method::GET;
        let delete = &Method::DELETE;
        assert_eq!(hit(get, "/containers/json"), Some(("/containers/json", "")));
        assert_eq!(hit(get, "/containers/a/json"), Some(("/containers/{name}/json", "a")));
        assert_eq!(
            hit(get, "/containers/node-1/web/json"),
            Some(("/containers/{name}/json", "node-1/web"))
        );
        assert_eq!(hit(get, "/containers/json/json"), Some(("/containers/{name}/json", "json")));
        assert_eq!(
            hit(get, "/images/reg:5000/a/b:1@sha256:0f/json"),
            Some(("/images/{name}/json", "reg:5000/a/b:1@sha256:0f"))
        );
        assert_eq!(hit(get, "/images/get"), Some(("/images/get", "")));
        assert_eq!(hit(get, "/images/get/get"), Some(("/images/{name}/get", "get")));
        assert_eq!(
            hit(get, "/containers/x/attach/ws"),
            Some(("/containers/{name}/attach/ws", "x"))
        );
        assert_eq!(
            hit(delete, "/containers/n/c/checkpoints/one"),
            Some(("/containers/{name}/checkpoints/{checkpoint}", "n/c"))
        );
        assert_eq!(hit(delete, "/containers/n/c"), Some(("/containers/{name}", "n/c")));
        assert_eq!(hit(get, "/networks"), Some(("/networks", "")));
        assert_eq!(hit(get, "/networks/"), Some(("/networks/", "")));
        assert_eq!(hit(get, "/networks/n/net"), Some(("/networks/{name}", "n/net")));
        assert_eq!(hit(get, "/plugins/privileges"), Some(("/plugins/privileges", "")));
    }

    #[test]
    fn what_docker_does_not_have_is_not_found() {
        for (method, path) in [
            (Method::GET, "/"),
            (Method::GET, ""),
            (Method::GET, "/containers"),
            (Method::GET, "/containers/"),
            (Method::GET, "/containers//json"),
            (Method::POST, "/containers/json"),
            (Method::GET, "/containers/create"),
            (Method::GET, "/images//json"),
            (Method::HEAD, "/info"),
            (Method::GET, "/nope"),
            (Method::PATCH, "/info"),
            (Method::DELETE, "/images/"),
        ] {
            assert!(find(RESOURCES, &method, path).is_none(), "{method} {path}");
        }
    }

    #[test]
    fn no_two_routes_are_the_same() {
        let mut seen = std::collections::BTreeSet::new();
        for route in routes() {
            assert!(seen.insert((route.method, route.pattern)), "twice: {route:?}");
            assert!(route.pattern.matches('{').count() <= 2);
        }
    }

    proptest! {
        #[test]
        fn matching_never_panics(method in 0_usize..6, path in "\\PC*") {
            let methods = [
                Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH,
            ];
            let _ = find(RESOURCES, &methods[method], &path);
        }

        #[test]
        fn the_parts_of_a_match_are_the_path(
            route in prop::sample::select(routes().copied().collect::<Vec<_>>()),
            name in "[a-z]{1,4}(/[a-z0-9:@.]{1,6}){0,3}",
        ) {
            let path = route.pattern.replace("{name}", &name).replace("{checkpoint}", "c1");
            let method: Method = route.method.parse().unwrap();
            let cut = find(RESOURCES, &method, &path).unwrap().cut;
            prop_assert_eq!([cut.before, cut.name, cut.after].concat(), path);
        }

        #[test]
        fn a_near_miss_never_panics(
            route in prop::sample::select(routes().copied().collect::<Vec<_>>()),
            cut_at in 0_usize..60, junk in "[/{}a-z%.é]{0,8}",
        ) {
            let mut path = route.pattern.to_owned();
            path.truncate(cut_at.min(path.len()));
            path.push_str(&junk);
            let method: Method = route.method.parse().unwrap();
            let _ = find(RESOURCES, &method, &path);
        }
    }
}
