//! Making answers.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;

use super::{media::JSON, problem::Problem};

/// An answer with a body of this type.
pub(crate) fn of_bytes(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// An answer with a value as JSON of this type.
pub(crate) fn of_value(
    status: StatusCode,
    content_type: &'static str,
    value: &impl Serialize,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|error| {
        // What is answered is text, numbers, or JSON that was stored, so this is a fault of the service.
        tracing::error!(%error, "an answer has no JSON form");
        Problem::internal()
    })?;
    Ok(of_bytes(status, content_type, body))
}

/// An answer that says yes, with a value as JSON.
pub(crate) fn ok(value: &impl Serialize) -> Result<Response, Problem> {
    of_value(StatusCode::OK, JSON, value)
}
