//! The route table against an independent list of the Docker Engine API, and against the page that
//! is rendered from it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use swarm_api::{coverage_markdown, routes};

/// Every method and path of the Docker Engine API v1.24 to v1.52, from its reference; parameters as
/// `{}`.
const DOCKER: &str = "
    GET /containers/json            POST /containers/create         POST /containers/prune
    GET /containers/{}/json         GET /containers/{}/top          GET /containers/{}/logs
    GET /containers/{}/changes      GET /containers/{}/export       GET /containers/{}/stats
    POST /containers/{}/resize      POST /containers/{}/start       POST /containers/{}/stop
    POST /containers/{}/restart     POST /containers/{}/kill        POST /containers/{}/update
    POST /containers/{}/rename      POST /containers/{}/pause       POST /containers/{}/unpause
    POST /containers/{}/attach      GET /containers/{}/attach/ws    POST /containers/{}/wait
    DELETE /containers/{}           HEAD /containers/{}/archive     GET /containers/{}/archive
    PUT /containers/{}/archive      POST /containers/{}/copy        POST /containers/{}/exec
    GET /containers/{}/checkpoints  POST /containers/{}/checkpoints
    DELETE /containers/{}/checkpoints/{}
    POST /exec/{}/start             POST /exec/{}/resize            GET /exec/{}/json
    GET /images/json                POST /images/create             POST /images/load
    GET /images/get                 GET /images/search              POST /images/prune
    GET /images/{}/json             GET /images/{}/history          GET /images/{}/get
    POST /images/{}/push            POST /images/{}/tag             DELETE /images/{}
    GET /distribution/{}/json       POST /commit
    POST /build                     POST /build/prune               POST /build/cancel
    POST /session                   POST /grpc
    GET /networks                   GET /networks/                  GET /networks/{}
    DELETE /networks/{}             POST /networks/create           POST /networks/{}/connect
    POST /networks/{}/disconnect    POST /networks/prune
    GET /volumes                    POST /volumes/create            GET /volumes/{}
    PUT /volumes/{}                 DELETE /volumes/{}              POST /volumes/prune
    GET /_ping                      HEAD /_ping                     GET /version
    GET /info                       GET /events                     GET /system/df
    POST /auth
    GET /plugins                    GET /plugins/privileges         POST /plugins/pull
    GET /plugins/{}/json            DELETE /plugins/{}              POST /plugins/{}/enable
    POST /plugins/{}/disable        POST /plugins/{}/upgrade        POST /plugins/create
    POST /plugins/{}/push           POST /plugins/{}/set
    GET /swarm                      POST /swarm/init                POST /swarm/join
    POST /swarm/leave               POST /swarm/update              GET /swarm/unlockkey
    POST /swarm/unlock
    GET /nodes                      GET /nodes/{}                   DELETE /nodes/{}
    POST /nodes/{}/update
    GET /services                   POST /services/create           GET /services/{}
    DELETE /services/{}             POST /services/{}/update        GET /services/{}/logs
    GET /tasks                      GET /tasks/{}                   GET /tasks/{}/logs
    GET /secrets                    POST /secrets/create            GET /secrets/{}
    DELETE /secrets/{}              POST /secrets/{}/update
    GET /configs                    POST /configs/create            GET /configs/{}
    DELETE /configs/{}              POST /configs/{}/update
";

/// What is this project's own: under `/pool`, where Docker has nothing, and what a swarm's node tells.
const OWN: [&str; 2] = ["/pool/", "/swarm/ways"];

#[test]
fn every_path_of_the_engine_api_is_in_the_table_and_nothing_else() {
    let words: Vec<&str> = DOCKER.split_whitespace().collect();
    let docker: BTreeSet<String> = words.chunks(2).map(|pair| pair.join(" ")).collect();
    assert_eq!(docker.len(), words.len() / 2, "the list itself names a path twice");
    let ours: BTreeSet<String> = routes()
        .filter(|route| !OWN.iter().any(|own| route.pattern.starts_with(own)))
        .map(|route| {
            let pattern = route.pattern.replace("{name}", "{}").replace("{checkpoint}", "{}");
            format!("{} {pattern}", route.method)
        })
        .collect();
    let missing: Vec<_> = docker.difference(&ours).collect();
    let unknown: Vec<_> = ours.difference(&docker).collect();
    assert!(missing.is_empty(), "in Docker's API and not in the table: {missing:#?}");
    assert!(unknown.is_empty(), "in the table and not in Docker's API: {unknown:#?}");
}

#[test]
fn the_coverage_page_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api-coverage.md");
    let page = coverage_markdown();
    if std::env::var_os("UPDATE_API_COVERAGE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/api-coverage.md is not what the routes say; render it again with \
         UPDATE_API_COVERAGE=1 cargo test -p swarm-api coverage"
    );
}
