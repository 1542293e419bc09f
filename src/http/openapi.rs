//! The description of the interface, made from the code (`OpenAPI` 3.1).

use std::collections::BTreeMap;

use axum::{body::Bytes, http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::{
    IntoResponses, OpenApi, ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, Object, Ref, RefOr, ResponseBuilder, Type,
        response::Response as ResponseDescription,
    },
};

pub(super) use super::problem::ProblemDocument as ProblemSchema;
use super::{
    answer,
    media::JSON,
    parameters::Parameters,
    problem::{InputError, PROBLEM_JSON, Problem, ProblemType},
    router,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "cosmos-event-store",
        description = "An event store for any language. Appends are safe to repeat when events have ids, \
                       or the request an `Idempotency-Key`. Every error is a problem document (RFC 9457) \
                       whose `type` is stable. Every answer has an `x-request-id`.",
    ),
    paths(router::index, router::problem),
    components(schemas(ProblemSchema<'_>, InputError)),
    tags(
        (name = "quotes", description = "The reference domain: an insurance quote"),
        (name = "streams", description = "Streams and their events"),
        (name = "read models", description = "What projections made of the events"),
        (name = "service", description = "The service itself"),
    )
)]
struct Description;

/// The description without the parts.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// The description as it is served.
#[derive(Debug, Clone)]
pub(super) struct Served(Bytes);

pub(super) fn served(description: &utoipa::openapi::OpenApi) -> Served {
    // A description has only texts as keys, so it always has a JSON form.
    Served(serde_json::to_vec(description).unwrap_or_default().into())
}

impl Served {
    pub(super) fn answer(&self, parameters: &Parameters) -> Result<Response, Problem> {
        parameters.only(&[])?;
        Ok(answer::of_bytes(StatusCode::OK, JSON, self.0.clone()))
    }
}

/// What a type of problem means.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemExplanation {
    /// The type, as it stands in problem documents.
    r#type: String,
    title: &'static str,
    status: u16,
    /// What it means and what a client does next.
    explanation: &'static str,
}

impl ProblemExplanation {
    pub(super) fn new(problem: &'static ProblemType) -> Self {
        Self {
            r#type: format!("/problems/{}", problem.slug),
            title: problem.title,
            status: problem.status,
            explanation: problem.explanation,
        }
    }
}

/// An answer that is a problem document, for descriptions.
pub(crate) fn problem(description: &str, headers: &[&str]) -> RefOr<ResponseDescription> {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let mut answer = ResponseBuilder::new().description(description).content(PROBLEM_JSON, content);
    for name in headers {
        let number = Object::with_type(Type::Integer);
        answer = answer.header(*name, HeaderBuilder::new().schema(number).build());
    }
    answer.build().into()
}

/// The problems with these statuses, for descriptions.
pub(crate) fn problems(statuses: &[u16]) -> BTreeMap<String, RefOr<ResponseDescription>> {
    let described = |status: &u16| {
        let (text, headers): (&str, &[&str]) = match status {
            400 => ("A parameter, a header or the form of the body is wrong", &[]),
            403 => ("A page of another site had the request sent", &[]),
            404 => ("It does not exist", &[]),
            406 => ("The answer has no form that the client accepts", &[]),
            408 => ("The body did not arrive in time", &[]),
            409 => ("The stream is not at the expected version, or an event id is reused", &[]),
            412 => ("The stream is not at the version that a header requires", &[]),
            413 => ("The body or its events are too large", &[]),
            415 => ("The type of the body is not one that is taken", &[]),
            422 => ("The body is JSON, but not what is needed", &[]),
            421 => ("The request is for another site than this machine", &[]),
            429 => ("The throughput of the store is used up", &["Retry-After"]),
            504 => ("An append is not visible in the read model yet", &["Retry-After"]),
            500 => ("A stored document is damaged, or the service has a fault", &[]),
            507 => ("The stream has reached 20 GB", &[]),
            _ => (
                "The store cannot be used, too many requests are in flight, or it is not known \
                 whether a write was stored",
                &["Retry-After"],
            ),
        };
        (status.to_string(), problem(text, headers))
    };
    statuses.iter().map(described).collect()
}

/// The problems of a request that has only parameters.
pub(crate) struct BadRequests;

impl IntoResponses for BadRequests {
    fn responses() -> BTreeMap<String, RefOr<ResponseDescription>> {
        problems(&[400, 421])
    }
}

/// The problems of every request that does not need the store.
pub(crate) struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<ResponseDescription>> {
        problems(&[400, 421, 503])
    }
}

/// The problems of looking something up that may be missing, without the store.
pub(crate) struct LookupProblems;

impl IntoResponses for LookupProblems {
    fn responses() -> BTreeMap<String, RefOr<ResponseDescription>> {
        problems(&[400, 404, 421, 503])
    }
}

/// The problems of reading from the store.
pub(crate) struct StoreReadProblems;

impl IntoResponses for StoreReadProblems {
    fn responses() -> BTreeMap<String, RefOr<ResponseDescription>> {
        problems(&[400, 404, 406, 421, 429, 500, 503])
    }
}

/// The problems of listing what is in the store.
pub(crate) struct StoreListProblems;

impl IntoResponses for StoreListProblems {
    fn responses() -> BTreeMap<String, RefOr<ResponseDescription>> {
        problems(&[400, 406, 421, 429, 500, 503])
    }
}

/// The problems of writing to the store.
pub(crate) struct StoreWriteProblems;

impl IntoResponses for StoreWriteProblems {
    fn responses() -> BTreeMap<String, RefOr<ResponseDescription>> {
        problems(&[400, 403, 408, 409, 412, 413, 415, 421, 422, 429, 500, 503, 507])
    }
}
