//! Whether the process is alive, and whether it can do its work.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, response::Response, routing::get};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::{OpenApi, ToSchema};

use super::{
    answer,
    limits::{READY_FRESH, READY_TIME_MAX},
    openapi,
    parameters::Parameters,
    problem::{NOT_READY, Problem},
    router::Routes,
    shared::Shared,
};

/// A stream that nobody writes: its first event is asked for to see whether the store answers.
const PROBED_STREAM: &str = "readiness-probe";

#[derive(OpenApi)]
#[openapi(paths(alive, ready))]
struct Description;

pub(super) fn routes() -> Routes {
    let router = Router::new().route("/healthz", get(alive)).route("/readyz", get(ready));
    Routes::new(router, Description::openapi())
}

/// Why a worker in the process does not work, where it does not. It is asked with every request, and must
/// not wait for anything.
#[derive(Clone)]
pub(super) struct Standstill(Arc<dyn Fn() -> Option<&'static str> + Send + Sync>);

impl Standstill {
    pub(super) fn new(reason: impl Fn() -> Option<&'static str> + Send + Sync + 'static) -> Self {
        Self(Arc::new(reason))
    }
}

impl std::fmt::Debug for Standstill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Standstill").finish_non_exhaustive()
    }
}

/// That it is so.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `alive` or `ready`.
    status: &'static str,
}

/// Whether the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "service",
    responses((status = 200, description = "The process answers", body = Health), openapi::BadRequests)
)]
async fn alive(parameters: Parameters) -> Result<Response, Problem> {
    parameters.only(&[])?;
    answer::ok(&Health { status: "alive" })
}

/// Whether the process can do its work: the store answers a point read in time, the worker in it has not laid its
/// work down, and it is not about to stop.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses(
        (status = 200, description = "Requests can be answered", body = Health),
        (status = 503, description = "They cannot, at the moment", body = openapi::ProblemSchema<'_>,
         content_type = "application/problem+json"),
        openapi::BadRequests,
    )
)]
async fn ready(State(shared): State<Shared>, parameters: Parameters) -> Result<Response, Problem> {
    parameters.only(&[])?;
    if shared.stopping.is_cancelled() {
        return Err(Problem::new(&NOT_READY, "the service is about to stop"));
    }
    if let Some(reason) = shared.options.standstill.as_ref().and_then(|Standstill(reason)| reason())
    {
        return Err(Problem::new(&NOT_READY, reason));
    }
    match shared.readiness.of(&shared).await {
        Ok(()) => answer::ok(&Health { status: "ready" }),
        Err(reason) => Err(Problem::new(&NOT_READY, reason)),
    }
}

/// What the store last said of itself. Everybody may ask for it, and as often as it pleases them; so those who
/// ask at the same time, or a moment later, have the store asked once.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Duration, Said)>>);

/// Nothing, or why the store is not ready.
type Said = Result<(), &'static str>;

impl Readiness {
    async fn of(&self, shared: &Shared) -> Said {
        let mut last = self.0.lock().await;
        if let Some((at, said)) = *last
            && shared.elapsed().saturating_sub(at) < READY_FRESH
        {
            return said;
        }
        let said = probe(shared).await;
        *last = Some((shared.elapsed(), said));
        said
    }
}

async fn probe(shared: &Shared) -> Said {
    let probe = Box::pin(shared.store.read_event(PROBED_STREAM, 1));
    match tokio::time::timeout(READY_TIME_MAX, probe).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store does not answer");
            Err("the store does not answer")
        }
        Err(_) => Err("the store does not answer in time"),
    }
}
