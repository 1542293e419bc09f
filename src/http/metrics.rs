//! What is measured, for Prometheus: the figures of the store and of the service, and those that the program gives
//! a source of.

use std::{fmt, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use utoipa::OpenApi;

use super::{
    answer, openapi, parameters::Parameters, problem::Problem, router::Routes, shared::Shared,
};
use crate::telemetry::figures::{Figure, merged, text};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Where more figures come from. It is asked with every request, and must not wait for anything.
#[derive(Clone)]
pub(super) struct Source(Arc<dyn Fn() -> Vec<Figure> + Send + Sync>);

impl Source {
    pub(super) fn new(figures: impl Fn() -> Vec<Figure> + Send + Sync + 'static) -> Self {
        Self(Arc::new(figures))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

#[derive(OpenApi)]
#[openapi(paths(show))]
struct Description;

pub(super) fn routes() -> Routes {
    Routes::new(Router::new().route("/metrics", get(show)), Description::openapi())
}

/// What is measured.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    responses(
        (status = 200, description = "The figures of the store, of the service, and of the worker in it where there is one, in \
         the text format of Prometheus", body = String,
         content_type = "text/plain; version=0.0.4; charset=utf-8"),
        openapi::BadRequests,
    )
)]
async fn show(State(shared): State<Shared>, parameters: Parameters) -> Result<Response, Problem> {
    parameters.only(&[])?;
    Ok(answer::of_bytes(StatusCode::OK, TEXT, text(&figures(&shared))))
}

/// Everything that is measured here.
pub(super) fn figures(shared: &Shared) -> Vec<Figure> {
    let more = shared.options.figures.as_ref().map_or_else(Vec::new, |Source(more)| more());
    merged(shared.store.figures().into_iter().chain(shared.answered.figures()).chain(more))
}
