//! The event store: append, read, provision.
//!
//! Invariants:
//!
//! - Every write is one transactional batch, which reads the event before the place and creates the
//!   new ones. So a stream has no gap, no event is ever changed, and an append is stored whole or
//!   not at all.
//! - Every call has one of the outcomes of [`AppendOutcome`] and [`AppendError`], also when answers
//!   are lost.
//! - Every result says what it took: request charge and round trips.
//!
//! The stored documents are described in `docs/stored-format.md`. This module knows nothing of
//! aggregates, projections or HTTP; its sub-module `cosmos` is the only one that knows the SDK.

mod account;
mod append;
mod changes;
mod classify;
mod cosmos;
mod document;
mod error;
mod list;
mod lookup;
mod plan;
mod provision;
mod read;
mod snapshot;
mod usage;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

pub(crate) use self::document::read_event;
pub use self::{
    account::{
        AccountError, AccountFault, AccountProperties, CONSISTENCY_LEVELS, account_problems,
        account_properties, check_account, write_region_problems,
    },
    append::{AppendOptions, BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, WINNING_EVENTS_MAX},
    changes::{CONTINUATION_BYTES_MAX, Changes, ChangesFrom, ChangesPage},
    error::{AppendError, BadContinuation, CorruptDocument, ReadError, StoreError, StoreErrorKind},
    list::{Counts, ListStreams, StreamPage, StreamPages, TypeCounts},
    provision::{
        ContainerShape, DefaultTtl, ProvisionError, ProvisionReport, missing_permissions,
        provision, verify_containers, wanted_containers,
    },
    read::{EventPages, EventStream, Events, ReadStream},
    snapshot::{SNAPSHOT_BYTES_MAX, Snapshot, SnapshotKey, SnapshotOutcome},
    usage::{AppendOutcome, Receipt, SessionToken, Usage},
};
use self::{
    append::{Appending, Prepared},
    cosmos::{Answered, Connection},
    read::Meter,
};
use crate::{
    clock::Clock,
    config::StoreOptions,
    event::{BadInput, NewEvent},
    stream::{ExpectedVersion, StreamId},
    telemetry::{OperationKind, Outcome, figures::Figure, operations::Operations},
};

/// An event store in one database. Cheap to clone; clones share the connections.
///
/// ```no_run
/// use cosmos_event_store::{Credential, EventStore, ExpectedVersion, NewEvent, StoreOptions};
/// use futures::TryStreamExt;
/// use serde_json::json;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let key = Credential::key(std::env::var("COSMOS_KEY")?);
/// let store = EventStore::connect(StoreOptions::new("http://127.0.0.1:8081", key, "quotes")).await?;
/// let event = NewEvent::new("QuoteInitiated", json!({"country": "IN"}))?;
/// let appended = store.append("quote-1", ExpectedVersion::NoStream, vec![event]).await?;
/// println!("version {}", appended.receipt().last);
/// let mut events = store.read("quote-1").forwards().from(1).stream();
/// while let Some(event) = events.try_next().await? {
///     println!("{:>4}  {}  {}", event.sequence_number(), event.recorded_at(), event.event_type());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct EventStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    options: StoreOptions,
    /// How many appends were acknowledged.
    appends: watch::Sender<u64>,
    /// What was done so far.
    operations: Operations,
}

/// A value that was read, with what that took.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// What it took.
    pub usage: Usage,
    /// What makes a later read see at least as much.
    pub session_token: Option<SessionToken>,
}

impl EventStore {
    /// Connects to the database's events container, which must be there: see [`provision`].
    ///
    /// Reads the account's and the container's properties.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Configuration`] for an endpoint or credential that cannot be used,
    /// [`StoreErrorKind::NotProvisioned`] when the container is missing, and the others as they
    /// occur.
    pub async fn connect(options: StoreOptions) -> Result<Self, StoreError> {
        let client = Box::pin(cosmos::connect(&options)).await?;
        let connection = Box::pin(Connection::open(&client, &options.database)).await?;
        Ok(Self::new(connection, options))
    }

    fn new(connection: Connection, options: StoreOptions) -> Self {
        let (appends, operations) = (watch::Sender::new(0), Operations::default());
        Self(Arc::new(Inner { connection, options, appends, operations }))
    }

    /// [Provisions](provision) and connects with one client, which is quicker than one after the
    /// other.
    ///
    /// # Errors
    ///
    /// Those of [`provision`] and of [`connect`](Self::connect).
    pub async fn provision_and_connect(
        options: StoreOptions,
    ) -> Result<(Self, ProvisionReport), ProvisionError> {
        let client = Box::pin(cosmos::connect(&options)).await?;
        let report = provision::provision_with(&client, &options).await?;
        let connection = Box::pin(Connection::open(&client, &options.database)).await?;
        Ok((Self::new(connection, options), report))
    }

    /// Appends events to a stream: all of them, once, or none.
    ///
    /// One round trip where the expected version is definite and nothing stands in the way. `Any`
    /// and `StreamExists` first read the version. A refusal costs one query, which tells a repeat
    /// from a conflict.
    ///
    /// # Errors
    ///
    /// Every variant of [`AppendError`] says what to do next.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before it is done, the events may or may not be stored, now or a
    /// moment later. Call it again with the same event ids to find out: nothing is stored twice.
    pub async fn append<S>(
        &self,
        stream: S,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<AppendOutcome, AppendError>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        self.append_with(stream, expected, events, AppendOptions::default()).await
    }

    /// Like [`append`](Self::append), with what else an append may be told.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    ///
    /// # Cancel safety
    ///
    /// As [`append`](Self::append).
    pub async fn append_with<S>(
        &self,
        stream: S,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
        options: AppendOptions,
    ) -> Result<AppendOutcome, AppendError>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        let stream = stream.try_into().map_err(Into::into)?;
        let meter = self.meter(OperationKind::Append, stream.reported_category());
        let clock = self.clock();
        let prepared = match Prepared::new(stream, expected, events, options, clock) {
            Ok(prepared) => prepared,
            Err(error) => {
                meter.emit(append_outcome_of(&Err(&error)), Usage::default(), 0, 0);
                return Err(error);
            }
        };
        let time_max = self.0.options.append_time_max;
        let mut appending = Appending::new(&self.0.connection, clock, time_max, &prepared);
        let result = appending.run().await;
        if result.is_ok() {
            self.0.appends.send_modify(|appends| *appends = appends.wrapping_add(1));
        }
        let usage = appending.usage();
        let outcome = append_outcome_of(&result.as_ref());
        let (items, bytes) = match outcome {
            Outcome::Done => (prepared.events(), prepared.bytes()),
            _ => (0, 0),
        };
        meter.emit(outcome, usage, items, bytes);
        result
    }

    /// How many appends were acknowledged, through this store or its clones. Whoever waits for it to change
    /// learns at once that there is something new in the change feed. It says nothing of the appends of
    /// others, or of those whose outcome is unknown, so it is a reason to look early and no more.
    pub fn appends(&self) -> watch::Receiver<u64> {
        self.0.appends.subscribe()
    }

    /// What was done through this store and its clones, counted by operation: request charge, round trips,
    /// retries, throttles, outcomes, times. [`telemetry::operations`](crate::telemetry::operations) has the
    /// names.
    pub fn figures(&self) -> Vec<Figure> {
        self.0.operations.figures()
    }

    fn operations(&self) -> &Operations {
        &self.0.operations
    }

    /// Describes a read of a stream. Nothing is sent, and an invalid stream id is not reported, before
    /// it is started.
    pub fn read<S>(&self, stream: S) -> ReadStream
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        ReadStream::new(self.clone(), stream.try_into().map_err(Into::into))
    }

    /// The version of a stream: the sequence number of its last event, 0 when it has none. One query.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn version<S>(&self, stream: S) -> Result<Answer<u64>, ReadError>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        let stream = stream.try_into().map_err(Into::into)?;
        let meter = self.meter(OperationKind::ReadVersion, stream.reported_category());
        let Answered { value, usage, session_token } =
            Box::pin(read::last_event_number(&self.0.connection, stream.as_str(), None)).await;
        meter.report(&value, usage, 1, 0);
        value.map(|value| Answer { value, usage, session_token })
    }

    /// Describes a list of all streams, by their first events.
    pub fn streams(&self) -> ListStreams {
        ListStreams::new(self.clone())
    }

    fn connection(&self) -> &Connection {
        &self.0.connection
    }

    fn clock(&self) -> &dyn Clock {
        self.0.options.clock.as_ref()
    }

    /// The time by the store's clock.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.clock().now()
    }

    fn page_events(&self) -> u32 {
        self.0.options.page_events
    }

    fn meter(&self, kind: OperationKind, category: &str) -> Meter<'_> {
        let started: Duration = self.clock().monotonic();
        Meter { store: self, kind, category: category.to_owned(), started }
    }
}

/// How an append is reported.
fn append_outcome_of(result: &Result<&AppendOutcome, &AppendError>) -> Outcome {
    match result {
        Ok(AppendOutcome::Appended(_)) => Outcome::Done,
        Ok(AppendOutcome::Repeated(_)) => Outcome::Repeated,
        Err(AppendError::BadInput(_) | AppendError::TooLarge { .. }) => Outcome::BadInput,
        Err(AppendError::Conflict { .. }) => Outcome::Conflict,
        Err(AppendError::EventIdReused { .. }) => Outcome::EventIdReused,
        Err(AppendError::OutcomeUnknown { .. }) => Outcome::OutcomeUnknown,
        Err(AppendError::Throttled { .. }) => Outcome::Throttled,
        Err(AppendError::Corrupt(_)) => Outcome::Corrupt,
        Err(_) => Outcome::Failed,
    }
}
