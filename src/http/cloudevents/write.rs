//! Writing events as `CloudEvents`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{
    SPEC_VERSION,
    read::{is_attribute_name, is_int32, is_json},
};
use crate::{
    event::{EventId, RecordedEvent, format_timestamp},
    http::{links, media::JSON},
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
    datacontenttype: &'a str,
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
    /// What else came with it, and has no other meaning here.
    #[serde(flatten)]
    extensions: BTreeMap<&'a str, &'a Value>,
    data: &'a Value,
}

/// The attributes that are written from elsewhere: what a client has under these names is not theirs.
const OWN: &[&str] = &[
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "sequence",
    "schemaversion",
    "aggregatetype",
    "recordedtime",
    "correlationid",
    "causationid",
    "actor",
    "traceparent",
    "tracestate",
    "data",
];

/// Whether a member of the metadata can stand as an attribute.
fn is_extension(name: &str, value: &Value) -> bool {
    let is_simple = match value {
        Value::String(_) | Value::Bool(_) => true,
        Value::Number(number) => number.as_i64().is_some_and(is_int32),
        _ => false,
    };
    is_simple && is_attribute_name(name) && !OWN.contains(&name)
}

impl<'a> CloudEvent<'a> {
    pub(crate) fn new(event: &'a RecordedEvent) -> Self {
        let metadata = event.metadata();
        let custom = metadata.custom.iter();
        let extensions = custom.filter(|(name, value)| is_extension(name, value));
        let kind = metadata.custom.get("datacontenttype").and_then(Value::as_str);
        Self {
            specversion: SPEC_VERSION,
            id: event.id(),
            source: links::stream(event.stream()),
            r#type: event.event_type().as_str(),
            subject: event.stream(),
            time: format_timestamp(event.occurred_at()),
            datacontenttype: kind.filter(|kind| is_json(kind)).unwrap_or(JSON),
            sequence: item_id(event.sequence_number()),
            schemaversion: event.schema_version(),
            aggregatetype: event.aggregate_type(),
            recordedtime: format_timestamp(event.recorded_at()),
            correlationid: metadata.correlation_id.as_deref(),
            causationid: metadata.causation_id.as_deref(),
            actor: metadata.actor.as_deref(),
            traceparent: metadata.traceparent.as_deref(),
            tracestate: metadata.tracestate.as_deref(),
            extensions: extensions.map(|(name, value)| (name.as_str(), value)).collect(),
            data: event.data(),
        }
    }
}
