//! What is measured, for Prometheus. What that is, the program says: it gives a source of text.

use std::{fmt, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use utoipa::OpenApi;

use super::{
    answer, openapi, parameters::Parameters, problem::Problem, router::Routes, shared::Shared,
};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// A text without a figure, where there is no source.
const NOTHING: &str = "# nothing is measured here\n";

/// Where the text comes from. It is asked with every request, and must not wait for anything.
#[derive(Clone)]
pub(super) struct Source(Arc<dyn Fn() -> String + Send + Sync>);

impl Source {
    pub(super) fn new(text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(text))
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
        (status = 200, description = "The figures of the worker in the service, in the text format of \
         Prometheus; only a comment where there is none", body = String,
         content_type = "text/plain; version=0.0.4; charset=utf-8"),
        openapi::BadRequests,
    )
)]
pub(super) async fn show(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let source = shared.options.metrics.as_ref();
    let text = source.map_or_else(|| NOTHING.to_owned(), |Source(text)| text());
    Ok(answer::of_bytes(StatusCode::OK, TEXT, text))
}
