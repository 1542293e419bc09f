//! `POST /streams/{id}/events`.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};

use super::{
    SESSION_TOKEN,
    append_body::{AppendRequest, Expected, Order, OrderPlace, order},
    event_body::ReceiptBody,
};
use crate::{
    event::{EventId, NewEvent},
    http::{
        access::Principal,
        answer, body, cloudevents, etag,
        idempotency::IdempotencyKey,
        links,
        media::{self, CLOUD_EVENT, CLOUD_EVENTS, JSON},
        openapi::StoreWriteProblems,
        parameters::{Parameters, StreamPath, whole_number},
        problem::{self, Problem, REQUEST_CHARGE, request_charge},
        read_models,
        shared::{InFlight, Shared},
        trace,
    },
    projection::ReceiptToken,
    store::{AppendOptions, AppendOutcome},
    stream::{ExpectedVersion, StreamId},
    telemetry::trace::TraceContext,
};

/// What a body may be.
const TYPES: &[&str] = &[JSON, CLOUD_EVENT, CLOUD_EVENTS];

/// Append events to a stream: all of them, once, or none.
///
/// Repeat a request whose answer was lost with the same event ids or the same `Idempotency-Key`: nothing
/// is stored twice, and the answer has the original numbers.
#[utoipa::path(
    post,
    path = "/streams/{id}/events",
    tag = "streams",
    params(
        ("id" = String, Path, description = "The stream: 1 to 128 characters, no control characters",
         min_length = 1, max_length = 128, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"),
        ("expectedVersion" = Option<String>, Query, pattern = "^(any|noStream|streamExists|[0-9]{1,15})$",
         description = "What the stream must be, for CloudEvents: their bodies have no place for it"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
         pattern = "^[!-~]+$",
         description = "The same for every repeat; the ids of events without one follow from it"),
        ("If-Match" = Option<String>, Header, pattern = "^(\\*|\"[0-9]{1,15}\")$",
         description = "The version that the stream must have, in quotes; `*`: any but 0"),
        ("If-None-Match" = Option<String>, Header, pattern = "^\\*$",
         description = "`*`: the stream must be empty"),
    ),
    request_body(content(
        (AppendRequest<'_> = "application/json"),
        (cloudevents::CloudEventSchema = "application/cloudevents+json"),
        (Vec<cloudevents::CloudEventSchema> = "application/cloudevents-batch+json"),
    )),
    responses(
        (status = 201, description = "Stored by this request", body = ReceiptBody<'_>,
         headers(("Location" = String), ("ETag" = String), ("request-charge" = String),
                 ("session-token" = String), ("receipt" = String))),
        (status = 200, description = "Stored by an earlier request", body = ReceiptBody<'_>,
         headers(("Location" = String), ("ETag" = String), ("request-charge" = String),
                 ("session-token" = String), ("receipt" = String))),
        StoreWriteProblems,
    )
)]
pub(super) async fn append(
    State(shared): State<Shared>,
    StreamPath(stream): StreamPath,
    parameters: Parameters,
    in_flight: InFlight,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    parameters.only(&["expectedVersion"])?;
    let kind = media::of_body(&parts.headers, TYPES)?;
    let key = IdempotencyKey::of(&parts.headers)?;
    let required = required_version(&parts.headers, &parameters)?;
    let bytes = body::read(&shared, body).await?;
    let place = if kind == JSON { OrderPlace::Members } else { OrderPlace::Events };
    let order = order_of(kind, body::text(&bytes)?, &stream, key.as_ref())?;
    drop(bytes);
    let (expected, is_conditional) = settle(order.expected, required)?;
    let ids: Vec<EventId> = order.events.iter().map(NewEvent::id).collect();
    let options =
        AppendOptions { aggregate_type: order.aggregate_type, ..AppendOptions::default() };
    let store = shared.store.clone();
    let (principal, context) = (parts.extensions.get(), parts.extensions.get());
    let events = signed(order.events, principal, context, &place)?;
    let write = async move { Box::pin(store.append_with(stream, expected, events, options)).await };
    match shared.write(in_flight, write).await? {
        Some(Ok(outcome)) => receipt(&outcome, &ids),
        Some(Err(error)) => Err(problem::of_append(error, is_conditional, &place)),
        None => Err(Problem::outcome_unknown()),
    }
}

/// The events, each with an actor and a trace: the caller and that of the request where they name none.
fn signed(
    events: Vec<NewEvent>,
    principal: Option<&Principal>,
    context: Option<&TraceContext>,
    place: &OrderPlace,
) -> Result<Vec<NewEvent>, Problem> {
    if principal.is_none() && context.is_none() {
        return Ok(events);
    }
    let sign = |event: NewEvent| {
        let mut metadata = trace::traced(event.metadata().clone(), context);
        if let (None, Some(principal)) = (&metadata.actor, principal) {
            metadata = metadata.with_actor(principal.as_str());
        }
        event.with_metadata(metadata)
    };
    let signed = events.into_iter().map(sign).collect::<Result<_, _>>();
    signed.map_err(|input| problem::of_input(&input, place))
}

fn order_of(
    kind: &str,
    text: &str,
    stream: &StreamId,
    key: Option<&IdempotencyKey>,
) -> Result<Order, Problem> {
    let events = match kind {
        CLOUD_EVENT => vec![cloudevents::read_one(text)?],
        CLOUD_EVENTS => cloudevents::read_batch(text)?,
        _ => return order(text, stream, key),
    };
    Ok(Order { expected: None, aggregate_type: None, events })
}

/// A version that a header or the query requires.
struct Required {
    expected: ExpectedVersion,
    /// A header is a condition: when it does not hold the status is 412, not 409.
    is_conditional: bool,
}

fn required_version(
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Option<Required>, Problem> {
    let required = etag::required_version(headers)?;
    let parameter = parameters.text("expectedVersion").map(parse_expected).transpose()?;
    match (required, parameter) {
        (Some(header), Some(parameter)) if header != parameter => {
            let detail = "the header requires another version of the stream";
            Err(Problem::parameter("expectedVersion", detail))
        }
        (Some(expected), _) => Ok(Some(Required { expected, is_conditional: true })),
        (None, Some(expected)) => Ok(Some(Required { expected, is_conditional: false })),
        (None, None) => Ok(None),
    }
}

fn parse_expected(text: &str) -> Result<ExpectedVersion, Problem> {
    let name = "expectedVersion";
    let expected = match Expected::named(text) {
        Some(expected) => Some(expected),
        None => Expected::version(whole_number(name, text)?),
    };
    let expected = expected.ok_or_else(|| Problem::parameter(name, "beyond what is stored"))?;
    Ok(expected.0)
}

/// What is expected in the end, and whether a header said so.
fn settle(
    of_body: Option<ExpectedVersion>,
    required: Option<Required>,
) -> Result<(ExpectedVersion, bool), Problem> {
    match (of_body, required) {
        (Some(body), Some(Required { expected, .. })) if body != expected => {
            let detail =
                "the body expects another version of the stream than a header or the query";
            Err(Problem::header("if-match", detail))
        }
        (_, Some(Required { expected, is_conditional })) => Ok((expected, is_conditional)),
        (Some(expected), None) => Ok((expected, false)),
        (None, None) => Ok((ExpectedVersion::Any, false)),
    }
}

fn receipt(outcome: &AppendOutcome, ids: &[EventId]) -> Result<Response, Problem> {
    let is_repeated = outcome.is_repeated();
    let receipt = outcome.receipt();
    let status = if is_repeated { StatusCode::OK } else { StatusCode::CREATED };
    let body = ReceiptBody::new(receipt, is_repeated, ids);
    let mut answer = answer::of_value(status, JSON, &body)?;
    let headers = answer.headers_mut();
    let location = links::event(receipt.stream.as_str(), receipt.first);
    if let Ok(location) = HeaderValue::from_str(&location) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(header::ETAG, etag::of_version(receipt.last));
    headers.insert(REQUEST_CHARGE, request_charge(receipt.request_charge));
    let token = receipt.session_token.as_ref();
    if let Some(Ok(token)) = token.map(|token| HeaderValue::from_str(token.as_str())) {
        headers.insert(SESSION_TOKEN, token);
    }
    read_models::add_receipt(headers, &ReceiptToken::of(receipt));
    Ok(answer)
}
