//! What is counted about requests: how many came to which route, how they were answered, how long
//! the answer took, and how many are under way.
//!
//! Publishing the counts is somebody else's ([`ApiMetrics::register`]).
//!
//! Invariants: a label is a route's pattern, its method or a class of status, never what a client
//! sent; once its route has been used, a request costs a few atomic additions, the histogram's own
//! short lock, and no allocation.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::route::Resources;

/// Upper bounds of the times until an answer begins, in seconds: from what the pool's own snapshots
/// answer to what a container's stop or an image's pull may take.
const DURATIONS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

/// The classes of answers. The last is that of requests whose client left before an answer.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "abandoned"];
/// Its place.
const ABANDONED: usize = 5;

/// The method and route of requests that no route fits, and of OPTIONS, which fits all.
const OTHER: &str = "other";

type Label = (&'static str, &'static str);

/// Counts of the API's requests. Cheap to clone; clones are one.
#[derive(Debug, Clone)]
pub struct ApiMetrics {
    requests: Family<[Label; 4], Counter>,
    durations: Family<[Label; 3], Histogram>,
    in_flight: Gauge,
}

impl Default for ApiMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            in_flight: Gauge::default(),
        }
    }
}

impl ApiMetrics {
    /// Has the counts published.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "api_requests",
            "Requests to the Docker API that were answered, by route, class of status and endpoint, and \
             those whose client left before",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "api_request_duration",
            "Time from a request's head to the head of its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "api_requests_in_flight",
            "Requests to the Docker API whose answer has not been sent to its end, streams included",
            self.in_flight.clone(),
        );
    }
}

/// The counters of one route, made when first needed.
#[derive(Debug)]
struct OfRoute {
    method: &'static str,
    pattern: &'static str,
    answers: [OnceLock<Counter>; CLASSES.len()],
    durations: OnceLock<Histogram>,
}

impl OfRoute {
    fn new(method: &'static str, pattern: &'static str) -> Self {
        Self { method, pattern, answers: Default::default(), durations: OnceLock::new() }
    }

    fn labels(&self) -> [Label; 2] {
        [("method", self.method), ("route", self.pattern)]
    }
}

/// The counters by route.
#[derive(Debug)]
pub(crate) struct Counted {
    metrics: ApiMetrics,
    /// In the order of the endpoint's table.
    routes: Box<[OfRoute]>,
    other: OfRoute,
    endpoint: Label,
}

impl Counted {
    pub(crate) fn new<B: ?Sized>(
        resources: Resources<B>,
        endpoint: &'static str,
        metrics: ApiMetrics,
    ) -> Self {
        let routes = resources.iter().flat_map(|(_, routes)| routes.iter());
        let routes = routes.map(|route| OfRoute::new(route.method, route.pattern));
        let (routes, other) = (routes.collect(), OfRoute::new(OTHER, OTHER));
        Self { metrics, routes, other, endpoint: ("endpoint", endpoint) }
    }

    /// A request has come.
    pub(crate) fn begin(counted: &Arc<Self>) -> Begun {
        counted.metrics.in_flight.inc();
        Begun { counted: Arc::clone(counted), route: OnceLock::new(), answered: false }
    }

    fn count(&self, route: &OfRoute, class: usize) {
        let Some(slot) = route.answers.get(class) else { return };
        let counter = slot.get_or_init(|| {
            let [method, pattern] = route.labels();
            let status = ("status", CLASSES.get(class).copied().unwrap_or(OTHER));
            let labels = [method, pattern, status, self.endpoint];
            self.metrics.requests.get_or_create_owned(&labels)
        });
        counter.inc();
    }

    fn observe(&self, route: &OfRoute, elapsed: Duration) {
        let histogram = route.durations.get_or_init(|| {
            let [method, pattern] = route.labels();
            self.metrics.durations.get_or_create_owned(&[method, pattern, self.endpoint])
        });
        histogram.observe(elapsed.as_secs_f64());
    }
}

/// A request that is under way: until its answer's last byte, or until its client left.
#[derive(Debug)]
pub(crate) struct Begun {
    counted: Arc<Counted>,
    route: OnceLock<usize>,
    answered: bool,
}

impl Begun {
    /// It fits this route, the `number`th.
    pub(crate) fn found(&self, number: usize) {
        // A request has one route: a second word would be about another request.
        let _ = self.route.set(number);
    }

    /// Its answer begins.
    pub(crate) fn answered(&mut self, status: StatusCode, elapsed: Duration) {
        self.answered = true;
        let route = self.route();
        // 100 to 599; hyper sends nothing else.
        self.counted.count(route, usize::from(status.as_u16() / 100).saturating_sub(1).min(4));
        self.counted.observe(route, elapsed);
    }

    /// The method and the pattern of the route that it fits, where it fits one.
    pub(crate) fn pattern(&self) -> Option<(&'static str, &'static str)> {
        let route = self.route();
        (route.pattern != OTHER).then_some((route.method, route.pattern))
    }

    fn route(&self) -> &OfRoute {
        let found = self.route.get().and_then(|number| self.counted.routes.get(*number));
        found.unwrap_or(&self.counted.other)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.counted.metrics.in_flight.dec();
        if !self.answered {
            self.counted.count(self.route(), ABANDONED);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use prometheus_client::encoding::text;

    use super::*;
    use crate::route;
    use crate::table::RESOURCES;

    fn published(metrics: &ApiMetrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut out = String::new();
        text::encode(&mut out, &registry).unwrap();
        out
    }

    #[test]
    fn requests_are_counted_by_route_and_class_and_never_by_what_was_sent() {
        let metrics = ApiMetrics::default();
        let counted = Arc::new(Counted::new(RESOURCES, "pool", metrics.clone()));
        for (method, path, status) in [
            (Method::GET, "/containers/secret/json", 200),
            (Method::GET, "/containers/other/json", 404),
            (Method::GET, "/containers/third/json", 204),
            (Method::POST, "/exec/0123/start", 101),
            (Method::GET, "/secret", 404),
            (Method::from_bytes(b"SECRET").unwrap(), "/info", 404),
        ] {
            let mut begun = Counted::begin(&counted);
            if let Some(hit) = route::find(RESOURCES, &method, path) {
                begun.found(hit.number);
            }
            begun.answered(StatusCode::from_u16(status).unwrap(), Duration::from_millis(3));
        }
        let text = published(&metrics);
        for line in [
            r#"api_requests_total{method="GET",route="/containers/{name}/json",status="2xx",endpoint="pool"} 2"#,
            r#"api_requests_total{method="GET",route="/containers/{name}/json",status="4xx",endpoint="pool"} 1"#,
            r#"api_requests_total{method="POST",route="/exec/{name}/start",status="1xx",endpoint="pool"} 1"#,
            r#"api_requests_total{method="other",route="other",status="4xx",endpoint="pool"} 2"#,
            r#"api_request_duration_seconds_count{method="GET",route="/containers/{name}/json",endpoint="pool"} 3"#,
            "api_requests_in_flight 0",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} is not in {text}");
        }
        assert!(!text.to_ascii_lowercase().contains("secret"), "{text}");
    }

    #[test]
    fn a_request_is_under_way_until_its_answer_has_gone_and_may_be_abandoned() {
        let metrics = ApiMetrics::default();
        let counted = Arc::new(Counted::new(RESOURCES, "pool", metrics.clone()));
        let mut answered = Counted::begin(&counted);
        answered.answered(StatusCode::OK, Duration::ZERO);
        let abandoned = Counted::begin(&counted);
        let hit = route::find(RESOURCES, &Method::GET, "/events").unwrap();
        abandoned.found(hit.number);
        assert!(published(&metrics).contains("api_requests_in_flight 2\n"));
        drop((answered, abandoned));
        let text = published(&metrics);
        assert!(text.contains("api_requests_in_flight 0\n"), "{text}");
        let line = r#"api_requests_total{method="GET",route="/events",status="abandoned",endpoint="pool"} 1"#;
        assert!(text.contains(line), "{text}");
    }
}
