//! Quotes over HTTP: commands and views of the reference domain.
//!
//! A quote is a stream, and its id is that of the stream; `/streams/{id}` has its raw events. What a
//! quote permits is the domain's business; here it gets its status codes.

mod command;
mod create;
mod history;
mod list;
mod read;
mod refusal;
mod schema;

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use utoipa::OpenApi;

use self::{
    command::{Asked, run},
    refusal::PROBLEM_TYPES,
};
use super::{
    parameters::{Parameters, StreamPath},
    problem::Problem,
    router::Routes,
    shared::Shared,
};
use crate::quotes::{
    ApproveInput, ContactInput, FamilyInput, FinalizeInput, GeographicInput, RejectInput,
    SaveInput, WithdrawInput,
};

#[derive(OpenApi)]
#[openapi(paths(
    create::create,
    geographic,
    contact,
    family,
    save,
    finalize,
    approve,
    reject,
    withdraw,
    read::quote,
    read::status,
    history::history,
    list::quotes,
    list::summary,
))]
struct Description;

pub(super) fn routes() -> Routes {
    let router: Router<Shared> = Router::new()
        .route("/quotes", post(create::create).get(list::quotes))
        .route("/quotes/summary", get(list::summary))
        .route("/quotes/{id}", get(read::quote))
        .route("/quotes/{id}/status", get(read::status))
        .route("/quotes/{id}/history", get(history::history))
        .route("/quotes/{id}/geographic", post(geographic))
        .route("/quotes/{id}/contact", post(contact))
        .route("/quotes/{id}/family", post(family))
        .route("/quotes/{id}/save", post(save))
        .route("/quotes/{id}/finalize", post(finalize))
        .route("/quotes/{id}/approve", post(approve))
        .route("/quotes/{id}/reject", post(reject))
        .route("/quotes/{id}/withdraw", post(withdraw));
    Routes::new(router, Description::openapi()).with_problems(PROBLEM_TYPES)
}

/// Declares the route of a command: its handler and its description, which differ in the input alone.
macro_rules! command {
    ($(#[$doc:meta])* $name:ident, $path:literal, $input:ty, $body:ty) => {
        $(#[$doc])*
        #[utoipa::path(
            post,
            path = $path,
            tag = "quotes",
            params(schema::QuoteId, schema::CommandHeaders),
            request_body(content = $body, description = "Nothing but what is described"),
            responses(
                (status = 200, description = "Done now or by an earlier request", body = schema::Done,
                 headers(("ETag" = String), ("request-charge" = String),
                         ("session-token" = String), ("receipt" = String))),
                schema::CommandProblems,
            ),
        )]
        async fn $name(
            State(shared): State<Shared>,
            StreamPath(id): StreamPath,
            parameters: Parameters,
            asked: Asked,
        ) -> Result<Response, Problem> {
            parameters.only(&[])?;
            run::<$input>(shared, id, asked, stringify!($name)).await
        }
    };
}

command!(
    /// Note where the customer lives.
    geographic,
    "/quotes/{id}/geographic",
    GeographicInput,
    schema::GeographicBody
);
command!(
    /// Note how to reach the customer.
    contact,
    "/quotes/{id}/contact",
    ContactInput,
    schema::ContactBody
);
command!(
    /// Note who is insured besides the policy holder.
    family,
    "/quotes/{id}/family",
    FamilyInput,
    schema::FamilyBody
);
command!(
    /// Save what was entered so far.
    save,
    "/quotes/{id}/save",
    SaveInput,
    Option<schema::SaveBody>
);
command!(
    /// Make an offer: all three sections must be there.
    finalize,
    "/quotes/{id}/finalize",
    FinalizeInput,
    Option<schema::FinalizeBody>
);
command!(
    /// Make the offer a policy.
    approve,
    "/quotes/{id}/approve",
    ApproveInput,
    Option<schema::ApproveBody>
);
command!(
    /// Turn the offer down, as the insurer.
    reject,
    "/quotes/{id}/reject",
    RejectInput,
    schema::RejectBody
);
command!(
    /// Turn the quote down, as the customer.
    withdraw,
    "/quotes/{id}/withdraw",
    WithdrawInput,
    Option<schema::WithdrawBody>
);
