//! Read models over HTTP: every projection of the program, whatever it is about.
//!
//! A read may carry the receipt of an append, and then waits until the append is visible; see `waiting`. What
//! is there is what projections made: the service adds nothing to it.

mod names;
mod refusal;
mod schema;
mod totals;
mod views;
mod waiting;

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue},
    routing::get,
};
use utoipa::OpenApi;

pub(crate) use self::{
    refusal::{damaged, no_read_models, of_list, of_read},
    schema::{PageParameters, ReadModelProblems, WaitParameters},
    totals::list as totals_list,
    views::add_next,
    waiting::{Seen, Waiting, foreign_receipt},
};
use super::{
    problem::Problem,
    router::Routes,
    shared::{Inner, Shared},
};
use crate::projection::{ReadModels, ReceiptToken};

/// The header with the receipt of what was written.
const RECEIPT: HeaderName = HeaderName::from_static("receipt");

#[derive(OpenApi)]
#[openapi(paths(names::names, views::view, views::views, totals::totals, totals::total))]
struct Description;

pub(super) fn routes() -> Routes {
    let router: Router<Shared> = Router::new()
        .route("/read-models", get(names::names))
        .route("/read-models/{name}/views", get(views::views))
        .route("/read-models/{name}/views/{id}", get(views::view))
        .route("/read-models/{name}/totals", get(totals::totals))
        .route("/read-models/{name}/totals/{key}", get(totals::total));
    Routes::new(router, Description::openapi()).with_problems(refusal::PROBLEM_TYPES)
}

/// The read models of the service.
pub(crate) fn of(shared: &Inner) -> Result<&ReadModels, Problem> {
    shared.options.read_models.as_ref().ok_or_else(no_read_models)
}

/// Says in an answer what a later read can wait for.
pub(crate) fn add_receipt(headers: &mut HeaderMap, receipt: &ReceiptToken) {
    if let Ok(receipt) = HeaderValue::from_str(&receipt.to_string()) {
        headers.insert(RECEIPT, receipt);
    }
}
