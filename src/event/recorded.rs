//! Events as they are stored.

use std::fmt;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ContentHash, EventId, EventType, Metadata};

/// Which append stored an event: the events of one append are one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The sequence number of the commit's first event.
    pub first: u64,
    /// The number of its events.
    pub size: u64,
}

/// An event of a stream. Its `Debug` shows neither data nor metadata, so that no payload gets into a
/// log by way of an error.
#[derive(Clone, PartialEq)]
pub struct RecordedEvent(Fields);

impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedEvent")
            .field("stream", &self.0.stream)
            .field("sequence_number", &self.0.sequence_number)
            .field("id", &self.0.id)
            .field("event_type", &self.0.event_type)
            .field("commit", &self.0.commit)
            .finish_non_exhaustive()
    }
}

/// What a recorded event consists of.
#[derive(Clone, PartialEq)]
pub(crate) struct Fields {
    pub(crate) stream: String,
    pub(crate) aggregate_type: String,
    pub(crate) sequence_number: u64,
    pub(crate) id: EventId,
    pub(crate) event_type: EventType,
    pub(crate) schema_version: u32,
    pub(crate) data: Value,
    pub(crate) metadata: Metadata,
    pub(crate) occurred_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
    pub(crate) commit: Commit,
    pub(crate) content_hash: ContentHash,
}

impl RecordedEvent {
    pub(crate) fn new(fields: Fields) -> Self {
        Self(fields)
    }

    /// The id of its stream.
    pub fn stream(&self) -> &str {
        &self.0.stream
    }

    /// The type of the aggregate that the stream belongs to.
    pub fn aggregate_type(&self) -> &str {
        &self.0.aggregate_type
    }

    /// Its place in the stream, counted from 1.
    pub fn sequence_number(&self) -> u64 {
        self.0.sequence_number
    }

    /// Its id.
    pub fn id(&self) -> EventId {
        self.0.id
    }

    /// Its type.
    pub fn event_type(&self) -> &EventType {
        &self.0.event_type
    }

    /// The version of its data's schema.
    pub fn schema_version(&self) -> u32 {
        self.0.schema_version
    }

    /// Its data.
    pub fn data(&self) -> &Value {
        &self.0.data
    }

    /// Its data, without a copy.
    pub fn into_data(self) -> Value {
        self.0.data
    }

    /// Its data as a type of the application's own.
    ///
    /// # Errors
    ///
    /// What serde says when the data does not have that shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.0.data)
    }

    /// Its metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// When it happened, as the caller said.
    pub fn occurred_at(&self) -> Timestamp {
        self.0.occurred_at
    }

    /// When it was stored, by the clock of the process that appended it.
    pub fn recorded_at(&self) -> Timestamp {
        self.0.recorded_at
    }

    /// Which append stored it.
    pub fn commit(&self) -> Commit {
        self.0.commit
    }

    /// The hash of its type, schema version and data.
    pub fn content_hash(&self) -> &ContentHash {
        &self.0.content_hash
    }
}
