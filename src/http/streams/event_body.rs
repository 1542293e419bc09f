//! How events and receipts are written.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    event::{EventId, Metadata, RecordedEvent, format_timestamp},
    store::{Receipt, SessionToken},
};

/// An event of a stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub(crate) struct EventBody<'a> {
    /// The stream that it is in.
    stream: &'a str,
    /// Its place in the stream, from 1.
    #[schema(minimum = 1)]
    sequence_number: u64,
    /// Its id, unique in the stream.
    #[schema(value_type = uuid::Uuid)]
    event_id: EventId,
    /// What happened.
    r#type: &'a str,
    /// The version of the schema of its data.
    #[schema(minimum = 1)]
    schema_version: u32,
    /// The type of the aggregate that the stream belongs to.
    aggregate_type: &'a str,
    /// Its data, any JSON.
    data: &'a Value,
    /// What is known besides.
    #[schema(value_type = MetadataBody)]
    metadata: &'a Metadata,
    /// When it happened, as the caller said (RFC 3339, UTC, microseconds).
    #[schema(format = DateTime)]
    occurred_at: String,
    /// When it was stored.
    #[schema(format = DateTime)]
    recorded_at: String,
    /// Which append stored it.
    commit: CommitBody,
    /// The hash of type, schema version and data.
    content_hash: &'a str,
}

/// The events of one append.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Commit)]
struct CommitBody {
    /// The sequence number of the first one.
    first: u64,
    /// How many they are.
    size: u64,
}

/// What is known about an event besides what happened.
#[derive(ToSchema)]
#[schema(as = Metadata, rename_all = "camelCase")]
#[allow(dead_code, reason = "the description of `Metadata`, which knows no HTTP")]
pub(super) struct MetadataBody {
    /// What all events of one business transaction share.
    correlation_id: Option<String>,
    /// The command or event that caused this one.
    causation_id: Option<String>,
    /// The W3C trace context's `traceparent`.
    traceparent: Option<String>,
    /// The W3C trace context's `tracestate`.
    tracestate: Option<String>,
    /// Who did it.
    actor: Option<String>,
    /// Whatever else the application wants to keep.
    #[schema(value_type = Object, required = false)]
    custom: Value,
}

impl<'a> EventBody<'a> {
    pub(crate) fn new(event: &'a RecordedEvent) -> Self {
        let commit = event.commit();
        Self {
            stream: event.stream(),
            sequence_number: event.sequence_number(),
            event_id: event.id(),
            r#type: event.event_type().as_str(),
            schema_version: event.schema_version(),
            aggregate_type: event.aggregate_type(),
            data: event.data(),
            metadata: event.metadata(),
            occurred_at: format_timestamp(event.occurred_at()),
            recorded_at: format_timestamp(event.recorded_at()),
            commit: CommitBody { first: commit.first, size: commit.size },
            content_hash: event.content_hash().as_str(),
        }
    }
}

/// Whether a call stored the events.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum AppendedAs {
    /// By this request.
    Appended,
    /// By an earlier one.
    Repeated,
}

/// Where the events of an append are, and what it took.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Receipt)]
pub(super) struct ReceiptBody<'a> {
    stream: &'a str,
    /// The sequence number of the first event.
    first: u64,
    /// The sequence number of the last event: the version of the stream with them.
    last: u64,
    outcome: AppendedAs,
    /// What it took, in RU.
    request_charge: f64,
    /// The requests to the store.
    round_trips: u32,
    /// What makes the events visible to a read elsewhere: the header `session-token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<&'a str>,
    /// The ids of the events, in their order.
    #[schema(value_type = Vec<uuid::Uuid>)]
    event_ids: &'a [EventId],
}

impl<'a> ReceiptBody<'a> {
    pub(super) fn new(receipt: &'a Receipt, is_repeated: bool, event_ids: &'a [EventId]) -> Self {
        Self {
            stream: receipt.stream.as_str(),
            first: receipt.first,
            last: receipt.last,
            outcome: if is_repeated { AppendedAs::Repeated } else { AppendedAs::Appended },
            request_charge: (receipt.request_charge * 100.0).round() / 100.0,
            round_trips: receipt.round_trips,
            session_token: receipt.session_token.as_ref().map(SessionToken::as_str),
            event_ids,
        }
    }
}
