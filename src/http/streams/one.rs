//! `GET /streams/{id}` and `GET /streams/{id}/events/{n}`.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::{EventBody, read_problem, session_token};
use crate::{
    event::{RecordedEvent, format_timestamp},
    http::{
        answer,
        cloudevents::{CloudEvent, CloudEventSchema},
        etag,
        media::{self, CLOUD_EVENT, JSON},
        openapi::StoreReadProblems,
        parameters::{EventPath, Parameters, StreamPath},
        problem::{EVENT_NOT_FOUND, Problem, REQUEST_CHARGE, STREAM_NOT_FOUND, request_charge},
        shared::{Inner, Shared},
    },
    store::{ReadError, ReadStream, SessionToken, Usage},
    stream::StreamId,
};

/// What an event can be.
const TYPES: &[&str] = &[JSON, CLOUD_EVENT];
/// An event never changes; a year is as long as caches keep anything.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// A stream, by its last event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Stream)]
struct StreamBody<'a> {
    stream: &'a str,
    aggregate_type: &'a str,
    /// The sequence number of its last event.
    version: u64,
    /// When its last event was stored.
    #[schema(format = DateTime)]
    last_recorded_at: String,
}

/// Read one event. It never changes.
#[utoipa::path(
    get,
    path = "/streams/{id}/events/{n}",
    tag = "streams",
    params(
        ("id" = String, Path, description = "The stream: 1 to 128 characters, no control characters",
         min_length = 1, max_length = 128, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"),
        ("n" = u64, Path, minimum = 1, maximum = 9_007_199_254_740_991_u64,
         description = "The sequence number"),
        ("session-token" = Option<String>, Header, pattern = "^[!-~]{1,8192}$",
         description = "Sees at least what a write has stored"),
        ("If-None-Match" = Option<String>, Header, description = "Answers 304 when the event has this tag"),
    ),
    responses(
        (status = 200, description = "The event",
         content(
            (EventBody<'_> = "application/json"),
            (CloudEventSchema = "application/cloudevents+json"),
         ),
         headers(("ETag" = String), ("Cache-Control" = String), ("request-charge" = String))),
        (status = 304, description = "The client has it"),
        StoreReadProblems,
    )
)]
pub(super) async fn event(
    State(shared): State<Shared>,
    EventPath(stream, number): EventPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let kind = media::of_answer(&headers, TYPES)?;
    let token = session_token(&headers)?;
    let read = Box::pin(read_event(&shared, &stream, number, token.clone()));
    let read = shared.read(read).await?;
    let (event, usage) = read.map_err(|error| read_problem(&error, token.as_ref()))?;
    let event = event.ok_or_else(|| {
        Problem::new(&EVENT_NOT_FOUND, "the stream has no event with this number").with_usage(usage)
    })?;
    let form = if kind == JSON { "j" } else { "c" };
    let tag = etag::quoted(&format!("{form}-{}", event.id()));
    let mut answer = if etag::is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        match kind {
            JSON => answer::ok(&EventBody::new(&event))?,
            _ => answer::of_value(StatusCode::OK, kind, &CloudEvent::new(&event))?,
        }
    };
    let headers = answer.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::VARY, HeaderValue::from_name(header::ACCEPT));
    headers.insert(header::CACHE_CONTROL, FOR_EVER);
    headers.insert(REQUEST_CHARGE, request_charge(usage.request_charge));
    Ok(answer)
}

/// A point read, or a query where a session token must be honoured; one round trip in either case.
async fn read_event(
    shared: &Inner,
    stream: &StreamId,
    number: u64,
    token: Option<SessionToken>,
) -> Result<(Option<RecordedEvent>, Usage), ReadError> {
    let Some(token) = token else {
        let answer = Box::pin(shared.store.read_event(stream, number)).await?;
        return Ok((answer.value, answer.usage));
    };
    let read = shared.store.read(stream).from(number).up_to(number).page_events(1);
    first(read.session_token(token)).await
}

/// The first event of a read, and what it took to get it.
pub(super) async fn first(read: ReadStream) -> Result<(Option<RecordedEvent>, Usage), ReadError> {
    let mut usage = Usage::default();
    let mut pages = read.pages();
    while let Some(page) = pages.next().await {
        let page = page?;
        usage += page.usage;
        // A page may be empty without being the last.
        if let Some(event) = page.events.into_iter().next() {
            return Ok((Some(event), usage));
        }
    }
    Ok((None, usage))
}

/// Read what a stream is: its version, and when it was last appended to.
#[utoipa::path(
    get,
    path = "/streams/{id}",
    tag = "streams",
    params(
        ("id" = String, Path, description = "The stream: 1 to 128 characters, no control characters",
         min_length = 1, max_length = 128, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"),
        ("session-token" = Option<String>, Header, pattern = "^[!-~]{1,8192}$",
         description = "Sees at least what a write has stored"),
        ("If-None-Match" = Option<String>, Header, description = "Answers 304 at this version, in quotes"),
    ),
    responses(
        (status = 200, description = "The stream", body = StreamBody<'_>,
         headers(("ETag" = String), ("request-charge" = String))),
        (status = 304, description = "The stream is at the version that the client has"),
        StoreReadProblems,
    )
)]
pub(super) async fn stream(
    State(shared): State<Shared>,
    StreamPath(stream): StreamPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    media::of_answer(&headers, &[JSON])?;
    let mut read = shared.store.read(&stream).backwards().page_events(1);
    let token = session_token(&headers)?;
    if let Some(token) = token.clone() {
        read = read.session_token(token);
    }
    let read = shared.read(Box::pin(first(read))).await?;
    let (last, usage) = read.map_err(|error| read_problem(&error, token.as_ref()))?;
    let last = last.ok_or_else(|| {
        Problem::new(&STREAM_NOT_FOUND, "the stream has no events").with_usage(usage)
    })?;
    let tag = etag::of_version(last.sequence_number());
    let mut answer = if etag::is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer::ok(&StreamBody {
            stream: stream.as_str(),
            aggregate_type: last.aggregate_type(),
            version: last.sequence_number(),
            last_recorded_at: format_timestamp(last.recorded_at()),
        })?
    };
    let headers = answer.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(REQUEST_CHARGE, request_charge(usage.request_charge));
    Ok(answer)
}
