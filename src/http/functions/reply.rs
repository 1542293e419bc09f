//! What the Functions host is answered: always a JSON object, because it waits for ever for anything else.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use serde_json::{Map, Value};

/// The answer to an invocation.
///
/// Text in `Outputs` and `ReturnValue` that happens to be base64 is decoded by the host, so both have objects and
/// nothing, never text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Reply {
    outputs: Map<String, Value>,
    logs: Vec<String>,
    return_value: Option<Map<String, Value>>,
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

impl Reply {
    /// It is done.
    pub(super) fn done(logs: Vec<String>, value: Option<Map<String, Value>>) -> Self {
        Self {
            outputs: Map::new(),
            logs,
            return_value: value,
            status: StatusCode::OK,
            retry_after: None,
        }
    }

    /// A caller of an HTTP function is answered with this.
    pub(super) fn answer(answer: Value) -> Self {
        let mut reply = Self::done(Vec::new(), None);
        reply.outputs.insert("res".to_owned(), answer);
        reply
    }

    /// The host counts a failure, and its policy of retries acts. It ignores the body, which is an object all the
    /// same.
    pub(super) fn failed(status: StatusCode, reason: String) -> Self {
        Self { status, ..Self::done(vec![reason], None) }
    }

    /// For whoever else reads the answer.
    pub(super) fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn into_response(self) -> Response {
        // Texts and JSON values always have a JSON form.
        let body = serde_json::to_vec(&self).unwrap_or_else(|_| b"{}".to_vec());
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(time) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(time.as_secs().max(1)));
        }
        response
    }
}
