//! Putting the parts of the interface together.

use axum::{
    Router,
    extract::State,
    http::{Method, StatusCode},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use utoipa::openapi::OpenApi;

use super::{
    access, answer, feed, health, lag, metrics, observe, openapi,
    parameters::{NamePath, Parameters},
    problem::{METHOD_NOT_ALLOWED, PROBLEM_TYPES, Problem, ProblemType, ROUTE_NOT_FOUND},
    quotes, read_models,
    shared::Shared,
    streams,
};

/// A part of the interface: its routes, their description, and its types of problems.
pub(crate) struct Routes {
    router: Router<Shared>,
    description: OpenApi,
    problems: &'static [&'static ProblemType],
}

impl Routes {
    pub(crate) fn new(router: Router<Shared>, description: OpenApi) -> Self {
        Self { router, description, problems: &[] }
    }

    /// Adds the types of problems that only this part has.
    #[must_use]
    pub(crate) fn with_problems(mut self, problems: &'static [&'static ProblemType]) -> Self {
        self.problems = problems;
        self
    }
}

/// The parts of the interface.
fn parts() -> Vec<Routes> {
    vec![
        health::routes(),
        metrics::routes(),
        lag::routes(),
        streams::routes(),
        feed::routes(),
        quotes::routes(),
        read_models::routes(),
    ]
}

/// The whole application.
pub(super) fn app(shared: &Shared) -> Router {
    let mut router = Router::new();
    let mut description = openapi::description();
    let mut problems = PROBLEM_TYPES.to_vec();
    for part in parts() {
        router = router.merge(part.router);
        description.merge(part.description);
        problems.extend(part.problems);
    }
    access::describe(&mut description, &shared.options.access);
    let description = openapi::served(&description);
    let router = router
        .route("/", get(index))
        .route(
            "/openapi.json",
            get(async move |parameters: Parameters| description.answer(&parameters)),
        )
        .route(
            "/problems/{slug}",
            get(async move |NamePath(slug): NamePath, parameters: Parameters| {
                explain(&problems, &slug, &parameters)
            }),
        );
    surrounded(router, shared)
}

/// Only what those ask for who watch a process.
pub(super) fn watched(shared: &Shared) -> Router {
    let parts = [health::routes(), metrics::routes(), lag::routes()];
    let router = parts.into_iter().fold(Router::new(), |router, part| router.merge(part.router));
    surrounded(router, shared)
}

/// The routes, with what surrounds every request.
fn surrounded(router: Router<Shared>, shared: &Shared) -> Router {
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(route_not_found)
        .layer(middleware::from_fn_with_state(Shared::clone(shared), observe::observe))
        .with_state(Shared::clone(shared))
}

/// What there is.
#[utoipa::path(
    get,
    path = "/",
    tag = "service",
    responses((status = 200, description = "Links to what there is", body = Value), openapi::ReadProblems)
)]
pub(super) async fn index(parameters: Parameters) -> Result<Response, Problem> {
    parameters.only(&[])?;
    answer::ok(&json!({
        "quotes": "/quotes",
        "quote": "/quotes/{id}",
        "summary": "/quotes/summary",
        "readModels": "/read-models",
        "readModel": "/read-models/{name}/views",
        "view": "/read-models/{name}/views/{id}",
        "totals": "/read-models/{name}/totals",
        "total": "/read-models/{name}/totals/{key}",
        "streams": "/streams",
        "stream": "/streams/{id}",
        "events": "/streams/{id}/events",
        "event": "/streams/{id}/events/{n}",
        "feed": "/feed",
        "description": "/openapi.json",
        "problem": "/problems/{slug}",
        "alive": "/healthz",
        "ready": "/readyz",
        "metrics": "/metrics",
        "lag": "/lag",
        "processorLag": "/lag/{processor}",
    }))
}

/// What a type of problem means.
#[utoipa::path(
    get,
    path = "/problems/{slug}",
    tag = "service",
    params(("slug" = String, Path, description = "The last part of the type of a problem",
            example = "conflict")),
    responses(
        (status = 200, description = "What it means and what to do", body = openapi::ProblemExplanation),
        openapi::LookupProblems,
    )
)]
#[allow(dead_code, reason = "the description of `explain`, which has one argument more")]
pub(super) fn problem() {}

fn explain(
    problems: &[&'static ProblemType],
    slug: &str,
    parameters: &Parameters,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let found = problems.iter().find(|problem| problem.slug == slug);
    let problem = found.ok_or_else(|| {
        Problem::new(&ROUTE_NOT_FOUND, "there is no type of problem with this name")
    })?;
    answer::ok(&openapi::ProblemExplanation::new(problem))
}

async fn route_not_found() -> Problem {
    Problem::new(&ROUTE_NOT_FOUND, "there is nothing at this path")
}

/// The router adds the header `Allow`.
async fn method_not_allowed(State(_): State<Shared>, method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::new(&METHOD_NOT_ALLOWED, "the path does not take this method").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::access::is_classified;

    #[test]
    fn it_is_known_for_every_route_who_may_use_it() {
        let mut description = openapi::description();
        for part in parts() {
            description.merge(part.description);
        }
        let routes: Vec<&String> = description.paths.paths.keys().collect();
        assert!(routes.len() > 20, "{routes:?}");
        let unknown: Vec<_> = routes.iter().filter(|route| !is_classified(route)).collect();
        assert!(
            unknown.is_empty(),
            "add them to the table in src/http/access/scope.rs: {unknown:?}"
        );
    }
}
