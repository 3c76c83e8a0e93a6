//! `docs/api-coverage.md`, rendered from the route table.

use std::fmt::Write as _;

use swarm_docker::ApiVersion;

use crate::route::{Disposition, Resources, RouteOf};
use crate::table::RESOURCES;

/// The whole page. Deterministic, so that a test can hold the file against it.
pub fn coverage_markdown() -> String {
    let mut page = format!(
        "# Coverage of the Docker Engine API\n\n\
         Every path of the API v{} to v{}, and what the pool manager does with it. Rendered from \
         the route table of `swarm-api`; a test fails when this page differs from it. To render it \
         again: `UPDATE_API_COVERAGE=1 cargo test -p swarm-api coverage`.\n\n\
         - **served**: answered from what the manager knows of the whole pool\n\
         - **forwarded**: sent to the engine that has the object, or to one chosen for it\n\
         - **fanned out**: sent to every engine concerned, the answers merged\n\
         - **refused**: not there in a pool; the status says so\n\n\
         Every path is also served without a version in front. A client of any version in the \
         range may use every path; *since* is the version that brought it to the API. *upgrade* \
         marks the paths where a connection may leave HTTP (`Upgrade: tcp`, `h2c`, `websocket`).\n",
        ApiVersion::OLDEST,
        ApiVersion::NEWEST
    );
    tables(&mut page, RESOURCES);
    page.push_str(
        "\n# The node endpoint of swarm mode\n\n\
         What `swarm daemon` answers itself on the endpoint that stands for its node's own engine. Every \
         other path, also one that only a newer engine knows, goes to the engine as it came, upgrades \
         included.\n",
    );
    tables(&mut page, crate::node::RESOURCES);
    page
}

fn tables<B: ?Sized>(page: &mut String, resources: Resources<B>) {
    for (resource, routes) in resources {
        let _ = write!(
            page,
            "\n## {resource}\n\n| method | path | since | what happens |\n|---|---|---|---|\n"
        );
        for route in *routes {
            let since = route.since.map(|since| since.to_string()).unwrap_or_default();
            let (method, pattern) = (route.method, route.pattern);
            let _ = writeln!(page, "| {method} | `{pattern}` | {since} | {} |", what(route));
        }
    }
}

fn what<B: ?Sized>(route: &RouteOf<B>) -> String {
    let mut what = match route.disposition {
        Disposition::Served => "served".to_owned(),
        Disposition::Forwarded => "forwarded".to_owned(),
        Disposition::FannedOut => "fanned out".to_owned(),
        Disposition::Refused(status, words) => {
            let begin = words.split_once(". ").map_or(words, |(sentence, _)| sentence);
            format!("refused: {} \"{begin}\"", status.as_u16())
        }
    };
    if route.hijacked {
        what.push_str(", upgrade");
    }
    if !route.note.is_empty() {
        what.push_str(": ");
        what.push_str(route.note);
    }
    what
}
