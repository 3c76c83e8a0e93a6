//! Calls by name: the services of a route.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Answers = Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// Services, each under its name.
#[derive(Clone, Default)]
pub struct Services(HashMap<String, Answers>);

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Services {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With all calls of this service.
    #[must_use]
    pub fn with<S>(self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.under(format!("/{}/", S::NAME), service)
    }

    /// With one call of this service.
    #[must_use]
    pub fn with_call<S>(self, call: &str, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.under(format!("/{}/{call}", S::NAME), service)
    }

    fn under<S>(mut self, path: String, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let answers = move |request| -> Answer {
            // A service of tonic's is always ready.
            let answering = service.clone().call(request);
            Box::pin(async move {
                match answering.await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            })
        };
        self.0.insert(path, Arc::new(answers));
        self
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        let service = path.rfind('/').and_then(|end| path.get(..=end));
        let found = self.0.get(path).or_else(|| self.0.get(service?));
        match found {
            Some(answers) => answers(request).await,
            None => Status::unimplemented(format!("no call {path} is served here")).into_http(),
        }
    }
}
