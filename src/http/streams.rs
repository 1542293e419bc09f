//! Streams over HTTP: append, read, list.

mod append;
mod append_body;
mod event_body;
mod list;
mod one;
mod page;

use axum::{
    Router,
    http::{HeaderMap, HeaderName},
    routing::get,
};
use utoipa::OpenApi;

pub(crate) use self::event_body::EventBody;
use super::{
    limits::SESSION_TOKEN_BYTES_MAX,
    problem::{self, Problem},
    router::Routes,
    shared::Shared,
};
use crate::store::{ReadError, SessionToken, StoreErrorKind};

/// The header that has the session token, in requests and answers.
pub(crate) const SESSION_TOKEN: HeaderName = HeaderName::from_static("session-token");

#[derive(OpenApi)]
#[openapi(
    paths(append::append, page::events, one::event, one::stream, list::streams),
    components(schemas(append_body::AppendRequest<'_>))
)]
struct Description;

pub(super) fn routes() -> Routes {
    let router: Router<Shared> = Router::new()
        .route("/streams", get(list::streams))
        .route("/streams/{id}", get(one::stream))
        .route("/streams/{id}/events", get(page::events).post(append::append))
        .route("/streams/{id}/events/{n}", get(one::event));
    Routes::new(router, Description::openapi())
}

/// The session token of a read, if it has one.
pub(crate) fn session_token(headers: &HeaderMap) -> Result<Option<SessionToken>, Problem> {
    let Some(value) = headers.get(SESSION_TOKEN) else { return Ok(None) };
    let is_fit = (1..=SESSION_TOKEN_BYTES_MAX).contains(&value.len())
        && value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(token) if is_fit => Ok(Some(SessionToken::new(token))),
        _ => Err(foreign_session_token()),
    }
}

fn foreign_session_token() -> Problem {
    Problem::header("session-token", "not a session token of this service")
}

/// Whether the store does not understand a session token: everything else of a read is made here.
pub(crate) fn is_foreign_token(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::Store(store)
            if matches!(store.kind(), StoreErrorKind::Rejected | StoreErrorKind::Protocol)
    )
}

/// A read that failed. What the store refuses to understand is the token, where there is one.
pub(crate) fn read_problem(error: &ReadError, token: Option<&SessionToken>) -> Problem {
    match error {
        ReadError::Store(store) if token.is_some() && is_foreign_token(error) => {
            tracing::warn!(error = %store, "the store refused a read with a session token");
            foreign_session_token()
        }
        _ => problem::of_read(error),
    }
}
