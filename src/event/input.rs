//! What is refused before anything is sent.

use std::{convert::Infallible, fmt};

use thiserror::Error;

use super::{EventId, JSON_DEPTH_MAX};

/// Which JSON a problem was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The event's data.
    Data,
    /// The event's metadata.
    Metadata,
    /// The state in a snapshot.
    State,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::Metadata => "metadata",
            Self::State => "state",
        })
    }
}

/// Why JSON cannot be stored without change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonProblem {
    /// An integer that binary64, the number format of Cosmos DB, cannot hold exactly.
    #[error("the integer {token} cannot be stored exactly, send it as a string")]
    InexactInteger {
        /// The integer as it was written.
        token: String,
    },
    /// A number beyond the range of binary64.
    #[error("the number is beyond the range of binary64")]
    Overflow,
    /// An object has the same key twice.
    #[error("the key occurs twice in its object")]
    DuplicateKey,
    /// More levels than [`JSON_DEPTH_MAX`].
    #[error("the value is nested more than {JSON_DEPTH_MAX} levels deep")]
    TooDeep,
    /// Not JSON, or a value that has no JSON form.
    #[error("not valid JSON: {0}")]
    Invalid(String),
}

/// Input that the store refuses before anything is sent. Each limit has a variant of its own.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadInput {
    /// A stream id is empty or too long.
    #[error("a stream id has 1 to {max} characters, not {characters}")]
    StreamIdLength {
        /// The characters that it has.
        characters: usize,
        /// The most that it may have.
        max: usize,
    },
    /// A stream id has a control character.
    #[error("a stream id has no control characters, but character {position} is one")]
    StreamIdControl {
        /// Which character it is, counted from 1.
        position: usize,
    },
    /// An event type is empty or too long.
    #[error("an event type has 1 to {max} characters, not {characters}")]
    EventTypeLength {
        /// The characters that it has.
        characters: usize,
        /// The most that it may have.
        max: usize,
    },
    /// An event type has a control character.
    #[error("an event type has no control characters, but character {position} is one")]
    EventTypeControl {
        /// Which character it is, counted from 1.
        position: usize,
    },
    /// An aggregate type is empty or too long.
    #[error("an aggregate type has 1 to {max} characters, not {characters}")]
    AggregateTypeLength {
        /// The characters that it has.
        characters: usize,
        /// The most that it may have.
        max: usize,
    },
    /// An aggregate type has a control character.
    #[error("an aggregate type has no control characters, but character {position} is one")]
    AggregateTypeControl {
        /// Which character it is, counted from 1.
        position: usize,
    },
    /// Schema versions count from 1.
    #[error("a schema version is at least 1")]
    SchemaVersionZero,
    /// A sequence number is 0 or beyond what can be stored exactly.
    #[error("{number} is not a sequence number: they count from 1 to {max}")]
    SequenceNumberRange {
        /// The number.
        number: u64,
        /// The largest that can be stored.
        max: u64,
    },
    /// A time that RFC 3339 cannot write: before the year 0 or after 9999.
    #[error("the time is outside of the years 0 to 9999")]
    TimeRange,
    /// An append without events.
    #[error("an append has at least one event")]
    NoEvents,
    /// More events than one transaction takes.
    #[error("an append has at most {max} events here, not {events}")]
    TooManyEvents {
        /// The events of the call.
        events: usize,
        /// The most that the transaction takes: 100 into an empty stream, 99 behind another event.
        max: usize,
    },
    /// The same event id twice in one call.
    #[error("the event id {event_id} occurs twice in the call")]
    DuplicateEventId {
        /// The id.
        event_id: EventId,
    },
    /// A snapshot is too large.
    #[error("a snapshot has at most {max} bytes, not {bytes}")]
    SnapshotSize {
        /// The bytes that it has as JSON.
        bytes: usize,
        /// The most that it may have.
        max: usize,
    },
    /// An event's data is too large.
    #[error("the data of an event has at most {max} bytes, not {bytes}")]
    DataSize {
        /// The bytes of its compact JSON.
        bytes: usize,
        /// The most that it may have.
        max: usize,
    },
    /// An event's metadata is too large.
    #[error("the metadata of an event has at most {max} bytes, not {bytes}")]
    MetadataSize {
        /// The bytes of its compact JSON.
        bytes: usize,
        /// The most that it may have.
        max: usize,
    },
    /// JSON that cannot be stored without change.
    #[error("{part} at {pointer:?}: {problem}")]
    Json {
        /// Data or metadata.
        part: Part,
        /// Where, as an RFC 6901 pointer; empty is the whole value.
        pointer: String,
        /// What is wrong there.
        problem: JsonProblem,
    },
}

impl From<Infallible> for BadInput {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
