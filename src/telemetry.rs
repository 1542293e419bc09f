//! What the store reports about itself.
//!
//! One [`StoreOperation`] per call goes to `tracing`, at the debug level, with the target
//! [`TARGET`] and the field names below. Payloads, stream ids, keys and tokens are never reported;
//! of a stream only its category, of which there are few.

pub mod exporting;
pub mod figures;
pub mod operations;
#[cfg(feature = "otlp")]
mod otlp;
pub mod spans;
mod subscriber;
pub mod trace;

use std::{fmt, time::Duration};

pub use self::subscriber::{LogError, LogForm, LogOptions, LogPlace};

/// The target of the events.
pub const TARGET: &str = "cosmos_event_store::operation";
/// Field: what was done, one of [`OperationKind`].
pub const FIELD_OPERATION: &str = "operation";
/// Field: the category of the stream; empty for operations on all streams, and for a stream whose id has
/// no category.
pub const FIELD_CATEGORY: &str = "stream_category";
/// Field: how it ended, one of [`Outcome`].
pub const FIELD_OUTCOME: &str = "outcome";
/// Field: the request charge in RU.
pub const FIELD_REQUEST_CHARGE: &str = "request_charge_ru";
/// Field: the requests that were sent, with those that the SDK repeated.
pub const FIELD_ROUND_TRIPS: &str = "round_trips";
/// Field: the requests among them that failed and were sent again.
pub const FIELD_RETRIES: &str = "retries";
/// Field: the requests among them that the service answered with 429.
pub const FIELD_THROTTLES: &str = "throttles";
/// Field: the documents that were written or read.
pub const FIELD_ITEMS: &str = "items";
/// Field: the bytes of JSON that were written or read, without the envelopes.
pub const FIELD_BYTES: &str = "bytes";
/// Field: how long it took, in microseconds.
pub const FIELD_ELAPSED: &str = "elapsed_us";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OperationKind {
    /// An append, with all its requests.
    Append,
    /// One page of a stream.
    ReadPage,
    /// A single event by number.
    ReadEvent,
    /// The version of a stream.
    ReadVersion,
    /// An event looked up by its id.
    FindEvent,
    /// The snapshot of a stream.
    ReadSnapshot,
    /// A snapshot, with the look at the one before it.
    WriteSnapshot,
    /// One page of the list of streams.
    ListStreams,
    /// A count of all events and streams.
    Count,
    /// One page of the change feed.
    ChangesPage,
}

impl OperationKind {
    /// The name that is reported.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::ReadPage => "read_page",
            Self::ReadEvent => "read_event",
            Self::ReadVersion => "read_version",
            Self::FindEvent => "find_event",
            Self::ReadSnapshot => "read_snapshot",
            Self::WriteSnapshot => "write_snapshot",
            Self::ListStreams => "list_streams",
            Self::Count => "count",
            Self::ChangesPage => "changes_page",
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Done: read, or written.
    Done,
    /// The append had been stored before.
    Repeated,
    /// Another event is at the place.
    Conflict,
    /// An event id is taken.
    EventIdReused,
    /// Refused before anything was sent.
    BadInput,
    /// It is not known whether the append was stored.
    OutcomeUnknown,
    /// The service had no throughput left.
    Throttled,
    /// A stored document is not one of this store's.
    Corrupt,
    /// Any other failure.
    Failed,
}

impl Outcome {
    /// The name that is reported.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Repeated => "repeated",
            Self::Conflict => "conflict",
            Self::EventIdReused => "event_id_reused",
            Self::BadInput => "bad_input",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Throttled => "throttled",
            Self::Corrupt => "corrupt",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one call did and what it took.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StoreOperation<'a> {
    /// What was done.
    pub kind: OperationKind,
    /// The category of the stream; empty for operations on all streams, and for a stream whose id has no
    /// category.
    pub category: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// The request charge in RU.
    pub request_charge: f64,
    /// The requests that were sent, with those that the SDK repeated.
    pub round_trips: u32,
    /// The requests among them that failed and were sent again.
    pub retries: u32,
    /// The requests among them that the service answered with 429.
    pub throttles: u32,
    /// The documents that were written or read.
    pub items: u64,
    /// The bytes of JSON that were written or read, without the envelopes.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl<'a> StoreOperation<'a> {
    /// An operation that has done nothing yet.
    pub fn new(kind: OperationKind, category: &'a str) -> Self {
        Self {
            kind,
            category,
            outcome: Outcome::Done,
            request_charge: 0.0,
            round_trips: 0,
            retries: 0,
            throttles: 0,
            items: 0,
            bytes: 0,
            elapsed: Duration::ZERO,
        }
    }

    /// Hands it to `tracing`.
    pub fn emit(&self) {
        tracing::event!(
            target: TARGET,
            tracing::Level::DEBUG,
            {
                { FIELD_OPERATION } = self.kind.as_str(),
                { FIELD_CATEGORY } = self.category,
                { FIELD_OUTCOME } = self.outcome.as_str(),
                { FIELD_REQUEST_CHARGE } = self.request_charge,
                { FIELD_ROUND_TRIPS } = self.round_trips,
                { FIELD_RETRIES } = self.retries,
                { FIELD_THROTTLES } = self.throttles,
                { FIELD_ITEMS } = self.items,
                { FIELD_BYTES } = self.bytes,
                { FIELD_ELAPSED } = u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX),
            },
            "store operation"
        );
    }
}

#[cfg(test)]
mod tests;
