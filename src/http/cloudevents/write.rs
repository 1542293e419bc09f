//! Writing events as `CloudEvents`.

use serde::Serialize;
use serde_json::Value;

use super::SPEC_VERSION;
use crate::{
    event::{EventId, RecordedEvent, format_timestamp},
    http::links,
    stream::item_id,
};

/// An event on its way out.
#[derive(Debug, Serialize)]
pub(crate) struct CloudEvent<'a> {
    specversion: &'static str,
    id: EventId,
    source: String,
    r#type: &'a str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    /// The sequence number with leading zeros: the extension orders events as text.
    sequence: String,
    schemaversion: u32,
    aggregatetype: &'a str,
    recordedtime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
    data: &'a Value,
}

impl<'a> CloudEvent<'a> {
    pub(crate) fn new(event: &'a RecordedEvent) -> Self {
        let metadata = event.metadata();
        Self {
            specversion: SPEC_VERSION,
            id: event.id(),
            source: links::stream(event.stream()),
            r#type: event.event_type().as_str(),
            subject: event.stream(),
            time: format_timestamp(event.occurred_at()),
            datacontenttype: "application/json",
            sequence: item_id(event.sequence_number()),
            schemaversion: event.schema_version(),
            aggregatetype: event.aggregate_type(),
            recordedtime: format_timestamp(event.recorded_at()),
            correlationid: metadata.correlation_id.as_deref(),
            causationid: metadata.causation_id.as_deref(),
            actor: metadata.actor.as_deref(),
            traceparent: metadata.traceparent.as_deref(),
            tracestate: metadata.tracestate.as_deref(),
            data: event.data(),
        }
    }
}
