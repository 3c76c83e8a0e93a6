//! What a route is, and how a path is matched; the list of all of them is `table`.
//!
//! Patterns hold at most one `{name}`, which may span slashes (`/images/library/busybox/json`),
//! and after it at most one further parameter at the very end, which may not.
//!
//! Invariant: among the routes that match a path the most specific wins: one without a name before
//! one with, and a longer tail before a shorter. Matching is total: no path can make it panic.

use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use swarm_backend::{Backend, Exchange, Reply, Result};
use swarm_docker::ApiVersion;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Answered from what is known of the whole pool.
    Served,
    /// Sent to the engine that has the object, or to one chosen for it.
    Forwarded,
    /// Sent to every engine concerned, the answers merged.
    FannedOut,
    /// Not served, with this status and these words.
    Refused(StatusCode, &'static str),
}

/// How a request's body is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Passed on as it arrives.
    Stream,
    /// Read whole, up to a bound.
    Control,
    /// Read whole, up to a bound, and refused unless it says it is JSON.
    Json,
}

/// Calls the backend for one route; the text is the object's name ("" where there is none).
pub(crate) type Handler<B> = for<'a> fn(&'a B, &'a str, Exchange) -> BoxFuture<'a, Result<Reply>>;

/// One method and path pattern of the Docker Engine API, as a backend of kind `B` serves it.
pub struct RouteOf<B: ?Sized + 'static> {
    /// The method.
    pub method: &'static str,
    /// The path without version, such as `/images/{name}/push`.
    pub pattern: &'static str,
    /// What becomes of such a request.
    pub disposition: Disposition,
    /// The API version that brought it, where that is after v1.24. Documentation only: Docker's
    /// own router serves a route to clients of any version, and so does this one.
    pub since: Option<ApiVersion>,
    /// A few words for docs/api-coverage.md.
    pub note: &'static str,
    /// Whether the connection may leave HTTP (`Upgrade:`); elsewhere that header is ignored.
    pub hijacked: bool,
    /// Of several managers each answers it for itself; it is never sent on.
    pub(crate) own: bool,
    /// Refused only where there is no swarm.
    pub(crate) in_swarm: bool,
    pub(crate) intake: Intake,
    pub(crate) handler: Handler<B>,
}

/// A route of the endpoint that is one huge engine.
pub type Route = RouteOf<dyn Backend>;

impl<B: ?Sized> Clone for RouteOf<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: ?Sized> Copy for RouteOf<B> {}

impl<B: ?Sized> std::fmt::Debug for RouteOf<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:?}", self.method, self.pattern, self.disposition)
    }
}

impl<B: ?Sized> RouteOf<B> {
    const fn new(
        method: &'static str,
        pattern: &'static str,
        disposition: Disposition,
        handler: Handler<B>,
    ) -> Self {
        Self {
            method,
            pattern,
            disposition,
            since: None,
            note: "",
            hijacked: false,
            own: false,
            in_swarm: false,
            intake: Intake::Stream,
            handler,
        }
    }

    pub(crate) const fn served(
        method: &'static str,
        pattern: &'static str,
        handler: Handler<B>,
    ) -> Self {
        Self::new(method, pattern, Disposition::Served, handler)
    }

    pub(crate) const fn forwarded(
        method: &'static str,
        pattern: &'static str,
        handler: Handler<B>,
    ) -> Self {
        Self::new(method, pattern, Disposition::Forwarded, handler)
    }

    pub(crate) const fn fanned_out(
        method: &'static str,
        pattern: &'static str,
        handler: Handler<B>,
    ) -> Self {
        Self::new(method, pattern, Disposition::FannedOut, handler)
    }

    pub(crate) const fn refused(
        method: &'static str,
        pattern: &'static str,
        status: StatusCode,
        words: &'static str,
    ) -> Self {
        // Never called: a refused route is answered before its handler would be.
        Self::new(method, pattern, Disposition::Refused(status, words), |_, _, _| {
            Box::pin(async { Err(swarm_backend::ApiError::not_found("page not found")) })
        })
    }

    pub(crate) const fn since(mut self, minor: u16) -> Self {
        self.since = Some(ApiVersion::new(1, minor));
        self
    }

    pub(crate) const fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    pub(crate) const fn hijacked(mut self) -> Self {
        self.hijacked = true;
        self
    }

    /// Each manager answers for itself.
    pub(crate) const fn own(mut self) -> Self {
        self.own = true;
        self
    }

    /// Refused where there is no swarm, and otherwise served so.
    pub(crate) const fn in_swarm(mut self, handler: Handler<B>) -> Self {
        self.in_swarm = true;
        self.handler = handler;
        self
    }

    /// It changes nothing and takes nothing in: any manager may answer it.
    pub(crate) fn reads(&self) -> bool {
        matches!(self.method, "GET" | "HEAD") && !self.hijacked
    }

    /// Of several managers only the primary serves it.
    pub(crate) fn is_primarys(&self) -> bool {
        !self.own && !matches!(self.disposition, Disposition::Refused(..))
    }

    pub(crate) const fn control(mut self) -> Self {
        self.intake = Intake::Control;
        self
    }

    pub(crate) const fn json(mut self) -> Self {
        self.intake = Intake::Json;
        self
    }

    /// Where this pattern's parts are in `path`; `None` when it does not match.
    fn cut<'p>(&self, path: &'p str) -> Option<Cut<'p>> {
        let Some((before, after)) = self.pattern.split_once("{name}") else {
            return (path == self.pattern).then_some(Cut { before: path, name: "", after: "" });
        };
        let rest = path.strip_prefix(before)?;
        let tail_start = match after.split_once('{') {
            None => rest.len() - rest.strip_suffix(after).map(|_| after.len())?,
            Some((literal, _)) => {
                let at = rest.rfind(literal)?;
                let parameter = rest.get(at + literal.len()..)?;
                if parameter.is_empty() || parameter.contains('/') {
                    return None;
                }
                at
            }
        };
        let name = rest.get(..tail_start)?;
        if name.is_empty() {
            return None;
        }
        Some(Cut { before: path.get(..before.len())?, name, after: rest.get(tail_start..)? })
    }

    /// How much of the path the pattern itself spells out; more is more specific.
    fn weight(&self) -> (bool, usize) {
        (!self.pattern.contains('{'), self.pattern.len())
    }
}

/// A path cut around its object's name, all parts still percent-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut<'p> {
    pub before: &'p str,
    pub name: &'p str,
    pub after: &'p str,
}

/// Routes by the resource that they are about.
pub(crate) type Resources<B> = &'static [(&'static str, &'static [RouteOf<B>])];

/// A route that was found.
#[derive(Debug)]
pub(crate) struct Hit<'p, B: ?Sized + 'static> {
    /// Its place among all routes of its endpoint.
    pub number: usize,
    pub route: &'static RouteOf<B>,
    pub cut: Cut<'p>,
}

/// The route of an endpoint for `method` and an unversioned, still percent-encoded `path`.
pub(crate) fn find<'p, B: ?Sized>(
    resources: Resources<B>,
    method: &Method,
    path: &'p str,
) -> Option<Hit<'p, B>> {
    let routes = resources.iter().flat_map(|(_, routes)| routes.iter());
    routes
        .enumerate()
        .filter(|(_, route)| route.method == method.as_str())
        .filter_map(|(number, route)| Some(Hit { number, route, cut: route.cut(path)? }))
        .max_by_key(|hit| hit.route.weight())
}
