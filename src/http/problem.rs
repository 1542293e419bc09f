//! Problems: how every error is answered (RFC 9457).
//!
//! A [`ProblemType`] has a stable name, a status and an explanation, which is served under
//! `/problems`. A [`Problem`] is one occurrence. Handlers return it; the outermost layer writes it,
//! because only that knows the id of the request.

mod kinds;
mod store;

use std::{borrow::Cow, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(crate) use self::{
    kinds::*,
    store::{BadPlace, bodies, of_append, of_input, of_read, part_name},
};
use super::{
    limits::{OVERLOAD_RETRY_AFTER, THROTTLE_RETRY_AFTER},
    request_id::RequestId,
};
use crate::store::Usage;

/// The type of a problem document.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// The header that says what a request took, in RU.
pub(crate) const REQUEST_CHARGE: HeaderName = HeaderName::from_static("request-charge");

/// A type of problems. Its name is for ever.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ProblemType {
    /// The last part of its URI, `/problems/<slug>`.
    #[serde(skip)]
    pub(crate) slug: &'static str,
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    /// What it means and what a client does next.
    pub(crate) explanation: &'static str,
}

/// What is wrong with one part of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct InputError {
    /// The place in the body, as a JSON pointer (RFC 6901); empty is the whole body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// The parameter of the path or query.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// The header.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// What is wrong there.
    detail: String,
}

/// A problem document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    /// The type of the problem, a stable reference: `GET` it for an explanation.
    #[schema(example = "/problems/conflict", value_type = String)]
    r#type: String,
    /// The type in a few words.
    title: &'a str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    detail: &'a str,
    /// The id of the request.
    instance: &'a str,
    /// What is wrong with which part of the input.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [InputError],
    /// What else there is to know, by the type of the problem.
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

/// One occurrence of a problem.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Details>);

#[derive(Debug, Clone)]
struct Details {
    kind: &'static ProblemType,
    detail: Cow<'static, str>,
    errors: Vec<InputError>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(kind: &'static ProblemType, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Details {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            members: Map::new(),
            headers: Vec::new(),
        }))
    }

    /// A fault of the service itself.
    pub(crate) fn internal() -> Self {
        Self::new(&INTERNAL, "the service could not do what was asked; its log says why")
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(&STORE_UNAVAILABLE, "the store did not answer; nothing was changed")
    }

    pub(crate) fn outcome_unknown() -> Self {
        let detail = "it is not known whether the events were stored; repeat the request with the \
                      same event ids or the same Idempotency-Key, nothing is stored twice";
        Self::new(&OUTCOME_UNKNOWN, detail)
    }

    pub(crate) fn overloaded() -> Self {
        Self::new(&OVERLOADED, "this process has too many requests in flight")
            .retry_after(OVERLOAD_RETRY_AFTER)
    }

    pub(crate) fn too_many_feeds() -> Self {
        Self::new(&OVERLOADED, "too many readers of the feed wait for something new")
            .retry_after(OVERLOAD_RETRY_AFTER)
    }

    pub(crate) fn throttled(retry_after: Option<Duration>) -> Self {
        Self::new(&THROTTLED, "the throughput of the store is used up; nothing was stored")
            .retry_after(retry_after.unwrap_or(THROTTLE_RETRY_AFTER))
    }

    /// A parameter of the path or query that cannot be used.
    pub(crate) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(&INVALID_PARAMETER, "a parameter cannot be used");
        problem.0.errors.push(InputError {
            pointer: None,
            parameter: Some(name.to_owned()),
            header: None,
            detail: detail.into(),
        });
        problem
    }

    /// A header that cannot be used.
    pub(crate) fn header(name: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(&INVALID_PARAMETER, "a header cannot be used");
        problem.0.errors.push(InputError {
            pointer: None,
            parameter: None,
            header: Some(name.to_owned()),
            detail: detail.into(),
        });
        problem
    }

    /// A body that is JSON, but not what is needed.
    pub(crate) fn body(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(&INVALID_BODY, "the body is not what is needed here");
        problem.0.errors.push(InputError {
            pointer: Some(pointer.into()),
            parameter: None,
            header: None,
            detail: detail.into(),
        });
        problem
    }

    /// A body whose members at these pointers are not what is needed.
    pub(crate) fn fields(problems: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut problem = Self::new(&INVALID_BODY, "the body is not what is needed here");
        let error = |(pointer, detail)| InputError {
            pointer: Some(pointer),
            parameter: None,
            header: None,
            detail,
        };
        problem.0.errors.extend(problems.into_iter().map(error));
        problem
    }

    /// The status of the answer.
    #[cfg(test)]
    pub(crate) fn status(&self) -> u16 {
        self.0.kind.status
    }

    /// What is wrong with which part of the input.
    #[cfg(test)]
    pub(crate) fn input_errors(&self) -> &[InputError] {
        &self.0.errors
    }

    /// Adds a member of this type of problem.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Says what the request took.
    #[must_use]
    pub(crate) fn with_usage(mut self, usage: Usage) -> Self {
        self.0.headers.push((REQUEST_CHARGE, request_charge(usage.request_charge)));
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Says when to come again, in whole seconds and never at once.
    #[must_use]
    pub(crate) fn retry_after(mut self, time: Duration) -> Self {
        let part = u64::from(time.subsec_nanos() > 0);
        let seconds = time.as_secs().saturating_add(part).max(1);
        self.0.headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() =
            StatusCode::from_u16(self.0.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        answer.extensions_mut().insert(Arc::new(self));
        answer
    }
}

/// Writes the problem of an answer, if that is one.
pub(super) fn render(mut answer: Response, id: &RequestId) -> Response {
    let Some(problem) = answer.extensions_mut().remove::<Arc<Problem>>() else { return answer };
    let Details { kind, detail, errors, members, headers } = &*problem.0;
    let document = ProblemDocument {
        r#type: format!("/problems/{}", kind.slug),
        title: kind.title,
        status: kind.status,
        detail,
        instance: id.as_str(),
        errors,
        members,
    };
    // Texts and JSON values always have a JSON form.
    let body = serde_json::to_vec(&document).unwrap_or_default();
    *answer.body_mut() = Body::from(body);
    for (name, value) in headers {
        answer.headers_mut().insert(name.clone(), value.clone());
    }
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A request charge in RU, as the service counts them: with two digits.
pub(crate) fn request_charge(charge: f64) -> HeaderValue {
    HeaderValue::from_str(&format!("{charge:.2}")).unwrap_or(HeaderValue::from_static("0"))
}
