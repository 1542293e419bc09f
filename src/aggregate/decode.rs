//! Why an event cannot be written or read.

use thiserror::Error;

use crate::event::{BadInput, RecordedEvent};

/// Why an event of an aggregate cannot be stored.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The event is not an enum of serde in its default form, one name with the data below it.
    #[error("an event must be an enum in the default form of serde")]
    Shape,
    /// The name of the event is not among those that the schema declares.
    #[error("event type {event_type:?} is not declared in the schema of its aggregate")]
    Undeclared {
        /// The name.
        event_type: String,
    },
    /// The data cannot be stored without change.
    #[error(transparent)]
    BadInput(#[from] BadInput),
    /// The event could be stored, but not be read again: a number that is not finite, for example,
    /// which JSON does not have.
    #[error("event {event_type} could not be read again: {problem}")]
    Unreadable {
        /// Its type.
        event_type: String,
        /// What would stand in the way.
        problem: DecodeProblem,
    },
}

/// What stands in the way of reading an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeProblem {
    /// No type of this name is known.
    #[error("this program does not know its type")]
    UnknownType,
    /// The version is newer than this program, or older than its oldest upcaster.
    #[error("this program reads version {current}, and nothing leads there from its version")]
    UnknownVersion {
        /// The version that this program reads.
        current: u32,
    },
    /// An upcaster refused the data.
    #[error("it cannot be brought to the current version: {0}")]
    Upcast(UpcastError),
    /// The data does not have the shape of its type. The reason names no values.
    #[error("its data has another shape: {reason}")]
    Data {
        /// What is missing or different.
        reason: String,
    },
}

/// A stored event that this program cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "event {sequence_number} of stream {stream}, {event_type} version {schema_version}, cannot be \
     read: {problem}"
)]
#[non_exhaustive]
pub struct DecodeError {
    /// Its stream.
    pub stream: String,
    /// Its place in the stream.
    pub sequence_number: u64,
    /// Its type, as it is stored.
    pub event_type: String,
    /// Its version, as it is stored.
    pub schema_version: u32,
    /// What stands in the way.
    pub problem: DecodeProblem,
}

impl DecodeError {
    /// The error for an event, for implementations of [`DomainEvent`](super::DomainEvent) of their own.
    pub fn new(event: &RecordedEvent, problem: DecodeProblem) -> Self {
        Self {
            stream: event.stream().to_owned(),
            sequence_number: event.sequence_number(),
            event_type: event.event_type().as_str().to_owned(),
            schema_version: event.schema_version(),
            problem,
        }
    }
}

/// Why an upcaster refuses data: a fixed text, so that no payload gets into an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct UpcastError(&'static str);

impl UpcastError {
    /// The reason, for example `"amount is not a number"`.
    pub const fn new(reason: &'static str) -> Self {
        Self(reason)
    }
}
