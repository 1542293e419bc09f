//! The stored form of an event: schema 1 of `docs/stored-format.md`.
//!
//! Writing the same event always gives the same bytes. Reading is strict: a document that another
//! program has put into a stream is reported by its id, never skipped and never guessed at.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::error::CorruptDocument;
use crate::{
    event::{
        Commit, ContentHash, EventId, EventType, Fields, Metadata, RecordedEvent, parse_timestamp,
        restore_integers,
    },
    stream::{item_id, parse_item_id},
};

/// The schema that this version writes, and the newest that it reads.
pub(crate) const SCHEMA: u64 = 1;

/// What is written. The order of the fields is the order in the document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventDocument<'a> {
    pub(crate) id: String,
    pub(crate) schema: u64,
    pub(crate) aggregate_id: &'a str,
    pub(crate) aggregate_type: &'a str,
    pub(crate) sequence_number: u64,
    pub(crate) event_id: EventId,
    #[serde(rename = "type")]
    pub(crate) event_type: &'a str,
    pub(crate) schema_version: u32,
    pub(crate) data: &'a Value,
    pub(crate) metadata: &'a Metadata,
    pub(crate) occurred_at: Cow<'a, str>,
    pub(crate) recorded_at: &'a str,
    pub(crate) commit: CommitDocument,
    pub(crate) content_hash: &'a str,
}

/// The commit inside an event document.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct CommitDocument {
    pub(crate) first: u64,
    pub(crate) size: u64,
}

/// What is read. Fields that this version does not know, such as the service's own, are passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    id: String,
    aggregate_id: String,
    aggregate_type: String,
    sequence_number: u64,
    event_id: EventId,
    #[serde(rename = "type")]
    event_type: String,
    schema_version: u32,
    data: Value,
    metadata: Metadata,
    occurred_at: String,
    recorded_at: String,
    commit: CommitDocument,
    content_hash: String,
}

/// Enough of a document to say which one it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    id: Option<Value>,
    aggregate_id: Option<Value>,
}

/// Reads a document of a stream, or of any stream where none is named.
pub(crate) fn read_event(
    stream: Option<&str>,
    raw: &RawValue,
) -> Result<RecordedEvent, CorruptDocument> {
    read(stream, raw).map_err(|reason| {
        let named: Named = serde_json::from_str(raw.get()).unwrap_or_default();
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        CorruptDocument {
            stream: stream.map_or_else(|| text(named.aggregate_id), str::to_owned),
            document_id: text(named.id),
            reason,
        }
    })
}

fn read(stream: Option<&str>, raw: &RawValue) -> Result<RecordedEvent, String> {
    check_schema(raw)?;
    let stored: Stored = serde_json::from_str(raw.get()).map_err(|error| describe(&error))?;
    let sequence_number = parse_item_id(&stored.id).ok_or("its id is not a sequence number")?;
    if sequence_number != stored.sequence_number {
        return Err(format!("its sequence number is {}", stored.sequence_number));
    }
    if stream.is_some_and(|stream| stream != stored.aggregate_id) {
        return Err(format!("it belongs to stream {:?}", stored.aggregate_id));
    }
    let CommitDocument { first, size } = stored.commit;
    let end = first.saturating_add(size);
    if first == 0 || !(first..end).contains(&sequence_number) {
        return Err(format!("it lies outside of its commit of {size} events from {first} on"));
    }
    let time = |name: &str, text: &str| {
        parse_timestamp(text).ok_or_else(|| format!("{name} is not a stored time"))
    };
    let mut data = stored.data;
    restore_integers(&mut data);
    let mut metadata = stored.metadata;
    metadata.custom.values_mut().for_each(restore_integers);
    Ok(RecordedEvent::new(Fields {
        aggregate_type: stored.aggregate_type,
        sequence_number,
        id: stored.event_id,
        event_type: EventType::new(stored.event_type).map_err(|error| error.to_string())?,
        schema_version: stored.schema_version,
        data,
        metadata,
        occurred_at: time("occurredAt", &stored.occurred_at)?,
        recorded_at: time("recordedAt", &stored.recorded_at)?,
        commit: Commit { first, size },
        content_hash: stored.content_hash.parse::<ContentHash>()?,
        stream: stored.aggregate_id,
    }))
}

/// The schema is looked at first: a document of another schema may have any other fields.
fn check_schema(raw: &RawValue) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Schema {
        schema: Option<u64>,
    }
    match serde_json::from_str::<Schema>(raw.get()) {
        Ok(Schema { schema: Some(SCHEMA) }) => Ok(()),
        Ok(Schema { schema: Some(schema) }) => {
            Err(format!("its schema is {schema}, and this version reads {SCHEMA}"))
        }
        Ok(Schema { schema: None }) | Err(_) => {
            Err("it has no schema number: another program has written it".to_owned())
        }
    }
}

/// What serde says, without the values that it may quote: they may be payload.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("missing field") {
        text.split(" at line ").next().unwrap_or_default().to_owned()
    } else {
        format!("a field has another type than expected (column {})", error.column())
    }
}

/// The error for a place of a stream at which there is nothing although something follows.
pub(crate) fn missing_event(stream: &str, sequence_number: u64) -> CorruptDocument {
    CorruptDocument {
        stream: stream.to_owned(),
        document_id: item_id(sequence_number),
        reason: "it is missing, although the stream goes on behind it".to_owned(),
    }
}

#[cfg(test)]
mod tests;
