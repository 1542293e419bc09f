//! The errors of the store, in terms of what a caller does next.

use std::{error::Error as StdError, fmt, time::Duration};

use thiserror::Error;

use super::usage::Usage;
use crate::{
    event::{BadInput, EventId, RecordedEvent},
    stream::{ExpectedVersion, StreamId},
};

/// What kind of failure a [`StoreError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The account, database or container had no throughput left.
    Throttled,
    /// The credential is missing, wrong, or lacks a permission.
    Denied,
    /// The service could not be reached, or did not answer in time.
    Unavailable,
    /// The database or a container is not there: provision it.
    NotProvisioned,
    /// A document or request is larger than the service takes.
    TooLarge,
    /// The logical partition is full (20 GB).
    StreamFull,
    /// A setting is wrong, for example the endpoint.
    Configuration,
    /// The service refused the request in a way that the store does not expect.
    Rejected,
    /// The service answered with something that the store does not understand.
    Protocol,
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Throttled => "the throughput is used up",
            Self::Denied => "access was denied",
            Self::Unavailable => "the service is unavailable",
            Self::NotProvisioned => "the database or container does not exist",
            Self::TooLarge => "the request is too large",
            Self::StreamFull => "the logical partition is full",
            Self::Configuration => "a setting is wrong",
            Self::Rejected => "the service refused the request",
            Self::Protocol => "the service gave an unexpected answer",
        })
    }
}

/// A failure of the service or on the way to it. The cause is its `source`.
#[derive(Debug)]
pub struct StoreError(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: StoreErrorKind,
    status: Option<(u16, u32)>,
    retry_after: Option<Duration>,
    activity_id: Option<String>,
    usage: Usage,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    pub(crate) fn new(kind: StoreErrorKind) -> Self {
        Self(Box::new(Details {
            kind,
            status: None,
            retry_after: None,
            activity_id: None,
            usage: Usage::default(),
            source: None,
        }))
    }

    pub(crate) fn with_status(mut self, status: u16, sub_status: u32) -> Self {
        self.0.status = Some((status, sub_status));
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    pub(crate) fn with_activity_id(mut self, activity_id: Option<String>) -> Self {
        self.0.activity_id = activity_id;
        self
    }

    pub(crate) fn with_usage(mut self, usage: Usage) -> Self {
        self.0.usage = usage;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind
    }

    /// Whether the same call may well succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, StoreErrorKind::Throttled | StoreErrorKind::Unavailable)
    }

    /// How long to wait before the next try, where the service said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The HTTP status and the sub-status, where the service answered.
    pub fn status(&self) -> Option<(u16, u32)> {
        self.0.status
    }

    /// The service's name for the request, for its support.
    pub fn activity_id(&self) -> Option<&str> {
        self.0.activity_id.as_deref()
    }

    /// What the failed call took.
    pub fn usage(&self) -> Usage {
        self.0.usage
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(f)?;
        if let Some((status, sub_status)) = self.0.status {
            write!(f, " (status {status}/{sub_status})")?;
        }
        Ok(())
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| {
            let source: &(dyn StdError + 'static) = source;
            source
        })
    }
}

/// A stored document that is not one of this store's, or is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("document {document_id:?} of stream {stream:?} cannot be read: {reason}")]
#[non_exhaustive]
pub struct CorruptDocument {
    /// The partition that it is in.
    pub stream: String,
    /// Its id.
    pub document_id: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why an append did not end well.
///
/// What is not in doubt was not stored: after every error but
/// [`OutcomeUnknown`](Self::OutcomeUnknown) and [`Corrupt`](Self::Corrupt), nothing of this call is in
/// the stream.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Refused before anything was sent. Correct the call.
    #[error(transparent)]
    BadInput(#[from] BadInput),
    /// The stream is not at the expected version. Look at what happened and decide again.
    #[error("stream {stream} is at version {actual}, not at {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the call expected.
        expected: ExpectedVersion,
        /// The version that the stream has. Less than expected means that the caller's state is not
        /// from this stream; caches and snapshots of it are to be discarded.
        actual: u64,
        /// The events that won, from the expected place on: not more than
        /// [`WINNING_EVENTS_MAX`](crate::store::WINNING_EVENTS_MAX).
        events: Vec<RecordedEvent>,
        /// What the call took.
        usage: Usage,
    },
    /// An event id of the call is stored, but not as this commit: with another content, in another
    /// run of events, or in a larger or smaller commit. Ids are unique per stream.
    #[error("event id {event_id} is already stored in stream {stream} as something else")]
    EventIdReused {
        /// The stream.
        stream: StreamId,
        /// The first id of the call that is stored.
        event_id: EventId,
        /// The stored events that have ids of the call.
        stored: Vec<RecordedEvent>,
        /// What the call took.
        usage: Usage,
    },
    /// The events are too large for one transaction. Append fewer of them at a time.
    #[error("the events are too large for one transaction, which takes {max} bytes")]
    TooLarge {
        /// The bytes of the request, where the store has measured them.
        bytes: Option<usize>,
        /// The most that the store sends.
        max: usize,
        /// What the call took.
        usage: Usage,
    },
    /// The answer was lost and could not be had in time. Repeat the call with the same event ids:
    /// nothing is stored twice.
    #[error("it is not known whether the events were stored in stream {stream}")]
    OutcomeUnknown {
        /// The stream.
        stream: StreamId,
        /// What the call took.
        usage: Usage,
        /// The last failure.
        source: StoreError,
    },
    /// No throughput was left, after the retries of the SDK. Wait and repeat.
    #[error("the throughput is used up")]
    Throttled {
        /// How long to wait, where the service said so.
        retry_after: Option<Duration>,
        /// What the call took.
        usage: Usage,
        /// The last failure.
        source: StoreError,
    },
    /// The credential is missing, wrong, or lacks a permission.
    #[error("access was denied")]
    Denied {
        /// What the call took.
        usage: Usage,
        /// The failure.
        source: StoreError,
    },
    /// The service could not be reached; nothing was sent.
    #[error("the service is unavailable")]
    Unavailable {
        /// What the call took.
        usage: Usage,
        /// The last failure.
        source: StoreError,
    },
    /// The stream's logical partition has reached its 20 GB.
    #[error("stream {stream} is full")]
    StreamFull {
        /// The stream.
        stream: StreamId,
        /// What the call took.
        usage: Usage,
    },
    /// The service reported a conflict that no read explains: neither is the place taken nor an
    /// event id.
    #[error(
        "the service refused the append to stream {stream} at {expected}, and nothing explains it"
    )]
    Unexplained {
        /// The stream.
        stream: StreamId,
        /// What the call expected.
        expected: ExpectedVersion,
        /// What the call took.
        usage: Usage,
    },
    /// The append was refused, and what could tell why is a document that is not one of this store's.
    #[error(transparent)]
    Corrupt(#[from] CorruptDocument),
    /// Any other failure; nothing was stored.
    #[error(transparent)]
    Store(StoreError),
}

impl AppendError {
    /// What the call took before it failed.
    pub fn usage(&self) -> Usage {
        match self {
            Self::BadInput(_) | Self::Corrupt(_) => Usage::default(),
            Self::Conflict { usage, .. }
            | Self::EventIdReused { usage, .. }
            | Self::TooLarge { usage, .. }
            | Self::OutcomeUnknown { usage, .. }
            | Self::Throttled { usage, .. }
            | Self::Denied { usage, .. }
            | Self::Unavailable { usage, .. }
            | Self::StreamFull { usage, .. }
            | Self::Unexplained { usage, .. } => *usage,
            Self::Store(error) => error.usage(),
        }
    }

    /// Whether the same call, with the same event ids, may well succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::OutcomeUnknown { .. } | Self::Throttled { .. } | Self::Unavailable { .. }
        )
    }
}

/// Why a continuation of the change feed cannot be used. Begin again without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadContinuation {
    /// It was cut or changed, or never was one.
    #[error("not a continuation of the change feed, or not all of one")]
    Form,
    /// A newer version of this library has made it.
    #[error("made by a newer version")]
    Version,
    /// The store does not have the event behind which it lies, or another write made it.
    #[error("of another store, or of this one as it was before it was made anew")]
    Elsewhere,
    /// The partitions in which it was reached were merged, and the service does not read parts of one.
    #[error("of partitions that were merged since")]
    Merged,
}

/// Why a read failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Refused before anything was sent.
    #[error(transparent)]
    BadInput(#[from] BadInput),
    /// A continuation of the change feed that cannot be used.
    #[error("the continuation cannot be used: {0}")]
    Continuation(#[from] BadContinuation),
    /// A stored document is not one of this store's, is damaged, or is missing.
    #[error(transparent)]
    Corrupt(#[from] CorruptDocument),
    /// The service failed, or the way to it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fit_into_a_result() {
        assert!(size_of::<AppendError>() <= 128, "{}", size_of::<AppendError>());
        assert!(size_of::<ReadError>() <= 128, "{}", size_of::<ReadError>());
    }

    #[test]
    fn the_cause_is_kept_and_not_repeated() {
        let error = StoreError::new(StoreErrorKind::Throttled)
            .with_status(429, 3200)
            .with_source("too many requests");
        assert_eq!(error.to_string(), "the throughput is used up (status 429/3200)");
        assert_eq!(error.source().unwrap().to_string(), "too many requests");
        assert!(error.is_retryable());
    }
}
