//! What the errors of the store are as problems.
//!
//! A problem says what a client does next, and no more: causes go to the log.

use serde_json::Value;

use super::{BODY_TOO_LARGE, CONFLICT, EVENT_ID_REUSED, PRECONDITION_FAILED, Problem, STREAM_FULL};
use crate::{
    event::{BadInput, Part, RecordedEvent},
    http::streams::EventBody,
    store::{AppendError, CorruptDocument, ReadError, StoreError, StoreErrorKind, Usage},
    stream::ExpectedVersion,
};

/// Where in a body the parts of an event are.
pub(crate) trait BadPlace {
    /// The pointer to what the input problem is about.
    fn pointer(&self, input: &BadInput) -> String;
}

/// Input that the store refuses, as a problem of the body; ids and numbers of the path as one of a
/// parameter.
pub(crate) fn of_input(input: &BadInput, place: &dyn BadPlace) -> Problem {
    match input {
        BadInput::StreamIdLength { .. } | BadInput::StreamIdControl { .. } => {
            Problem::parameter("id", input.to_string())
        }
        BadInput::Json { problem, .. } => Problem::body(place.pointer(input), problem.to_string()),
        _ => Problem::body(place.pointer(input), input.to_string()),
    }
}

/// An append that was not stored. `is_conditional` says that the expected version came in a header.
pub(crate) fn of_append(error: AppendError, is_conditional: bool, place: &dyn BadPlace) -> Problem {
    let usage = error.usage();
    let problem = match error {
        AppendError::BadInput(input) => of_input(&input, place),
        AppendError::Conflict { expected, actual, events, .. } => {
            let kind = if is_conditional { &PRECONDITION_FAILED } else { &CONFLICT };
            let detail = format!("the stream is at version {actual}, not at {expected}");
            Problem::new(kind, detail)
                .with("expected", expected_version(expected))
                .with("actual", actual)
                .with("events", bodies(&events))
        }
        AppendError::EventIdReused { event_id, stored, .. } => {
            Problem::new(&EVENT_ID_REUSED, "an event id is stored as something else in this stream")
                .with("eventId", event_id.to_string())
                .with("stored", bodies(&stored))
        }
        AppendError::TooLarge { max, .. } => {
            let detail = format!("the events are too large for one transaction of {max} bytes");
            Problem::new(&BODY_TOO_LARGE, detail)
        }
        AppendError::OutcomeUnknown { source, .. } => {
            log(&source, "the outcome of an append is not known");
            Problem::outcome_unknown()
        }
        AppendError::Throttled { retry_after, .. } => Problem::throttled(retry_after),
        AppendError::Denied { source, .. } | AppendError::Unavailable { source, .. } => {
            log(&source, "an append could not be sent");
            Problem::unavailable()
        }
        AppendError::StreamFull { .. } => {
            Problem::new(&STREAM_FULL, "the stream has reached the 20 GB that it may have")
        }
        AppendError::Corrupt(corrupt) => of_corrupt(&corrupt),
        AppendError::Store(error) => of_store(&error),
        AppendError::Unexplained { .. } => {
            tracing::error!("the store refused an append, and nothing explains it");
            Problem::internal()
        }
    };
    with_usage(problem, usage)
}

/// A read that failed.
pub(crate) fn of_read(error: &ReadError) -> Problem {
    match error {
        ReadError::BadInput(BadInput::SequenceNumberRange { .. }) => {
            Problem::parameter("n", error.to_string())
        }
        ReadError::BadInput(_) => Problem::parameter("id", error.to_string()),
        ReadError::Continuation(bad) => Problem::parameter("after", bad.to_string()),
        ReadError::Corrupt(corrupt) => of_corrupt(corrupt),
        ReadError::Store(error) => with_usage(of_store(error), error.usage()),
    }
}

fn of_corrupt(corrupt: &CorruptDocument) -> Problem {
    // The stream id is the key of a person at times, so only the place in it is told.
    let CorruptDocument { document_id, reason, .. } = corrupt;
    tracing::error!(document_id, reason, "a stored document cannot be read");
    Problem::internal()
}

fn of_store(error: &StoreError) -> Problem {
    match error.kind() {
        StoreErrorKind::Throttled => Problem::throttled(error.retry_after()),
        StoreErrorKind::Denied
        | StoreErrorKind::Unavailable
        | StoreErrorKind::NotProvisioned
        | StoreErrorKind::Configuration => {
            log(error, "the store cannot be used");
            Problem::unavailable()
        }
        StoreErrorKind::TooLarge => {
            Problem::new(&BODY_TOO_LARGE, "the events are too large for one transaction")
        }
        StoreErrorKind::StreamFull => {
            Problem::new(&STREAM_FULL, "the stream has reached the 20 GB that it may have")
        }
        StoreErrorKind::Rejected | StoreErrorKind::Protocol => {
            tracing::error!(%error, "the store gave an answer that is not expected");
            Problem::internal()
        }
    }
}

fn log(error: &StoreError, what: &str) {
    tracing::warn!(%error, activity_id = error.activity_id().unwrap_or_default(), "{what}");
}

fn with_usage(problem: Problem, usage: Usage) -> Problem {
    if usage == Usage::default() { problem } else { problem.with_usage(usage) }
}

/// Events as members of a problem.
pub(crate) fn bodies(events: &[RecordedEvent]) -> Value {
    let body = |event| serde_json::to_value(EventBody::new(event)).unwrap_or_default();
    events.iter().map(body).collect()
}

fn expected_version(expected: ExpectedVersion) -> Value {
    match expected {
        ExpectedVersion::Any => "any".into(),
        ExpectedVersion::NoStream => "noStream".into(),
        ExpectedVersion::StreamExists => "streamExists".into(),
        ExpectedVersion::Exact(version) => version.into(),
    }
}

/// The member of an event's metadata or data that a problem is about, below the event.
pub(crate) fn part_name(part: Part) -> &'static str {
    match part {
        Part::Data => "data",
        Part::Metadata => "metadata",
        Part::State => "state",
    }
}
