//! The line format of logs: one event on each line, as JSON. `import` reads it, `export` writes it.
//!
//! `aggregateId`, `sequenceNumber`, `type`, `time` and `data` are what a line must have. `eventId`,
//! `schemaVersion`, `aggregateType`, `metadata` and `commit` are taken when they are there;
//! `contentHash` is checked, and `recordedAt` says when the event was stored where it comes from. Any
//! other field is refused: what is passed over in silence is lost.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};
use thiserror::Error;
use uuid::{Uuid, uuid};

use crate::{
    event::{
        BadInput, Commit, EventId, Metadata, NewEvent, RecordedEvent, content_hash,
        format_timestamp,
    },
    store::BATCH_OPERATIONS_MAX,
    stream::{SequenceNumber, StreamId},
};

/// The namespace of the ids (UUID version 5) of events that come without one. Their name is the
/// stream id, a slash and the sequence number, so the same log always gives the same ids.
pub const EVENT_ID_NAMESPACE: Uuid = uuid!("0e92eacc-63aa-59bc-b845-764b3a5ff104");

/// An event as it is written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventLine<'a> {
    aggregate_id: &'a str,
    sequence_number: u64,
    r#type: &'a str,
    time: String,
    data: &'a Value,
    event_id: EventId,
    aggregate_type: &'a str,
    schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
    commit: CommitField,
    recorded_at: String,
    content_hash: &'a str,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommitField {
    first: u64,
    size: u64,
}

impl<'a> EventLine<'a> {
    pub(super) fn new(event: &'a RecordedEvent) -> Self {
        let Commit { first, size } = event.commit();
        Self {
            aggregate_id: event.stream(),
            sequence_number: event.sequence_number(),
            r#type: event.event_type().as_str(),
            time: format_timestamp(event.occurred_at()),
            data: event.data(),
            event_id: event.id(),
            aggregate_type: event.aggregate_type(),
            schema_version: event.schema_version(),
            metadata: Some(event.metadata()).filter(|metadata| **metadata != Metadata::default()),
            commit: CommitField { first, size },
            recorded_at: format_timestamp(event.recorded_at()),
            content_hash: event.content_hash().as_str(),
        }
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum LineError {
    /// It is not the JSON object that it should be.
    #[error("{0}")]
    Json(String),
    /// It is longer than any event may be.
    #[error("the line has more than {max} bytes")]
    TooLong {
        /// The most that a line may have.
        max: usize,
    },
    /// It is not UTF-8.
    #[error("the line is not valid UTF-8")]
    Encoding,
    /// A field is missing.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// A field that the store sets itself.
    #[error("the field `{0}` has no place here: the store sets it")]
    Misplaced(&'static str),
    /// A time without an offset, or no time at all.
    #[error("`time` is not an RFC 3339 time with an offset")]
    Time,
    /// The commit cannot be, or the event is not in it.
    #[error("`commit` is not a run of at most {BATCH_OPERATIONS_MAX} events with this one in it")]
    Commit,
    /// The content is not what was hashed.
    #[error("`contentHash` does not fit the content; leave it out where the event was changed")]
    ContentHash,
    /// The store refuses it.
    #[error(transparent)]
    BadInput(#[from] BadInput),
}

/// A line that can be imported.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// The number of the line in its file, from 1.
    pub(super) number: u64,
    /// The bytes of its text.
    pub(super) bytes: usize,
    pub(super) sequence_number: u64,
    pub(super) event: NewEvent,
    pub(super) aggregate_type: Option<String>,
    pub(super) commit: Option<Commit>,
}

/// Every field that a line may have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    aggregate_id: Option<Cow<'a, str>>,
    sequence_number: Option<u64>,
    r#type: Option<Cow<'a, str>>,
    time: Option<Cow<'a, str>>,
    /// `null` is data, too.
    #[serde(default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    event_id: Option<EventId>,
    schema_version: Option<u32>,
    aggregate_type: Option<String>,
    metadata: Option<&'a RawValue>,
    commit: Option<CommitField>,
    recorded_at: Option<IgnoredAny>,
    content_hash: Option<Cow<'a, str>>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, LineError> {
        serde_json::from_str(text).map_err(|error| LineError::Json(describe(&error)))
    }

    /// The event itself; `time` has been looked at by the caller.
    fn event(&self, id: EventId, time: Option<Timestamp>) -> Result<NewEvent, LineError> {
        let name = self.r#type.as_deref().ok_or(LineError::Missing("type"))?;
        let data = self.data.ok_or(LineError::Missing("data"))?;
        let mut event = NewEvent::from_json(name, data.get())?.with_id(id);
        if let Some(version) = self.schema_version {
            event = event.with_schema_version(version)?;
        }
        if let Some(metadata) = self.metadata {
            event = event.with_metadata(Metadata::from_json(metadata.get())?)?;
        }
        if let Some(time) = time {
            event = event.with_occurred_at(time)?;
        }
        match &self.content_hash {
            Some(hash) if **hash != *hash_of(&event) => Err(LineError::ContentHash),
            _ => Ok(event),
        }
    }

    fn time(&self) -> Result<Option<Timestamp>, LineError> {
        self.time.as_deref().map(|time| time.parse().map_err(|_| LineError::Time)).transpose()
    }
}

/// The content hash that an event will have.
pub(super) fn hash_of(event: &NewEvent) -> String {
    let mut scratch = String::new();
    let (kind, version) = (event.event_type().as_str(), event.schema_version());
    content_hash(&mut scratch, kind, version, event.data()).as_str().to_owned()
}

/// Reads a line of a log. Returns the stream, whose name gets the suffix, and the rest.
pub(super) fn parse(
    text: &str,
    number: u64,
    stream_suffix: &str,
) -> Result<(StreamId, Line), LineError> {
    let fields = Fields::parse(text)?;
    let stream = fields.aggregate_id.as_deref().ok_or(LineError::Missing("aggregateId"))?;
    let stream = StreamId::new(format!("{stream}{stream_suffix}"))?;
    let sequence_number = fields.sequence_number.ok_or(LineError::Missing("sequenceNumber"))?;
    let sequence_number = SequenceNumber::new(sequence_number)?.get();
    let time = fields.time()?.ok_or(LineError::Missing("time"))?;
    let id = fields.event_id.unwrap_or_else(|| derived_id(&stream, sequence_number));
    let event = fields.event(id, Some(time))?;
    let commit = fields.commit.map(|commit| check_commit(commit, sequence_number)).transpose()?;
    let aggregate_type = fields.aggregate_type;
    let line = Line { number, bytes: text.len(), sequence_number, event, aggregate_type, commit };
    Ok((stream, line))
}

/// Reads a line of a file of events that are to be appended: where they go is not in it.
pub(super) fn parse_new(text: &str) -> Result<NewEvent, LineError> {
    let fields = Fields::parse(text)?;
    let misplaced = [
        (fields.aggregate_id.is_some(), "aggregateId"),
        (fields.sequence_number.is_some(), "sequenceNumber"),
        (fields.aggregate_type.is_some(), "aggregateType"),
        (fields.commit.is_some(), "commit"),
        (fields.recorded_at.is_some(), "recordedAt"),
    ];
    if let Some((_, name)) = misplaced.into_iter().find(|(is_there, _)| *is_there) {
        return Err(LineError::Misplaced(name));
    }
    let id = fields.event_id.unwrap_or_else(EventId::random);
    fields.event(id, fields.time()?)
}

/// The id of an event that comes without one.
pub(super) fn derived_id(stream: &StreamId, sequence_number: u64) -> EventId {
    EventId::derived(EVENT_ID_NAMESPACE, &format!("{stream}/{sequence_number}"))
}

fn check_commit(commit: CommitField, sequence_number: u64) -> Result<Commit, LineError> {
    let CommitField { first, size } = commit;
    let max = u64::try_from(BATCH_OPERATIONS_MAX).unwrap_or(u64::MAX);
    let is_in_it = (first..first.saturating_add(size)).contains(&sequence_number);
    if first > 0 && size <= max && is_in_it {
        Ok(Commit { first, size })
    } else {
        Err(LineError::Commit)
    }
}

/// A line is one line, so its number says more than the one that serde counts.
fn describe(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column", " at column")
}

#[cfg(test)]
mod tests;
