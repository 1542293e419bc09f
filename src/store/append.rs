//! Appending: prepares the documents, then follows the plan.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{
    classify::{ReadBack, Wanted},
    cosmos::{Answered, BatchRequest, Connection},
    document::{CommitDocument, EventDocument, SCHEMA, read_event},
    error::{AppendError, CorruptDocument, StoreError, StoreErrorKind},
    plan::{End, JITTER_ONE, Plan, Step},
    read::last_event_number,
    usage::{AppendOutcome, Receipt, SessionToken, Usage},
};
use crate::{
    clock::Clock,
    event::{
        BadInput, DATA_BYTES_MAX, METADATA_BYTES_MAX, NewEvent, RecordedEvent, content_hash,
        format_timestamp, whole_microseconds,
    },
    stream::{ExpectedVersion, SEQUENCE_NUMBER_MAX, StreamId, check_aggregate_type, item_id},
};

/// The operations of one transactional batch, a limit of the service.
pub const BATCH_OPERATIONS_MAX: usize = 100;
/// The bytes of the largest batch that is sent. The service takes 2 MiB; what is left is room for
/// what it adds to each document.
pub const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024 - 64 * 1024;
/// The most events that a conflict reports. Whoever needs more reads on.
pub const WINNING_EVENTS_MAX: u64 = 32;
/// What the batch adds to a document: `{"operationType":"Create","resourceBody":}` and a comma.
const OPERATION_BYTES: usize = 48;
/// More than a document has besides its data, metadata, type and names.
const ENVELOPE_BYTES: usize = 640;

/// What an append may be told besides the events.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AppendOptions {
    /// The type of the aggregate; the part of the stream id before the first hyphen unless it is set.
    pub aggregate_type: Option<String>,
    /// When the events are recorded; the time by the store's clock unless it is set.
    pub(crate) recorded_at: Option<Timestamp>,
}

impl AppendOptions {
    /// Sets the type of the aggregate.
    #[must_use]
    pub fn with_aggregate_type(mut self, aggregate_type: impl Into<String>) -> Self {
        self.aggregate_type = Some(aggregate_type.into());
        self
    }
}

/// An append whose input is checked: everything that is sent is settled, but for the place.
#[derive(Debug)]
pub(crate) struct Prepared {
    stream: StreamId,
    aggregate_type: String,
    expected: ExpectedVersion,
    events: Vec<NewEvent>,
    wanted: Vec<Wanted>,
    recorded_at: String,
    bytes: usize,
}

impl Prepared {
    pub(crate) fn new(
        stream: StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
        options: AppendOptions,
        clock: &dyn Clock,
    ) -> Result<Self, AppendError> {
        check_counts(expected, &events)?;
        let aggregate_type = options.aggregate_type.unwrap_or_else(|| stream.category().to_owned());
        check_aggregate_type(&aggregate_type)?;
        let recorded_at = options.recorded_at.unwrap_or_else(|| clock.now());
        let recorded_at = format_timestamp(whole_microseconds(recorded_at)?);
        let mut scratch = String::new();
        let mut wanted = Vec::with_capacity(events.len());
        let mut bytes = 0_usize;
        for event in &events {
            let (kind, version) = (event.event_type().as_str(), event.schema_version());
            let hash = content_hash(&mut scratch, kind, version, event.data());
            wanted.push(Wanted { id: event.id(), hash });
            bytes = bytes.saturating_add(check_sizes(event, scratch.len())?);
        }
        let prepared =
            Self { stream, aggregate_type, expected, events, wanted, recorded_at, bytes };
        prepared.check_batch_size()?;
        Ok(prepared)
    }

    /// The document of each event when the first one is at this place.
    fn documents(&self, first: u64) -> impl Iterator<Item = EventDocument<'_>> {
        let size = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        let numbered = self.events.iter().zip(&self.wanted).zip(first..);
        numbered.map(move |((event, wanted), sequence_number)| EventDocument {
            id: item_id(sequence_number),
            schema: SCHEMA,
            aggregate_id: self.stream.as_str(),
            aggregate_type: &self.aggregate_type,
            sequence_number,
            event_id: event.id(),
            event_type: event.event_type().as_str(),
            schema_version: event.schema_version(),
            data: event.data(),
            metadata: event.metadata(),
            occurred_at: event
                .occurred_at()
                .map_or_else(|| self.recorded_at.as_str().into(), |at| format_timestamp(at).into()),
            recorded_at: &self.recorded_at,
            commit: CommitDocument { first, size },
            content_hash: wanted.hash.as_str(),
        })
    }

    /// A quick bound settles ordinary appends; only what comes near the limit is measured.
    fn check_batch_size(&self) -> Result<(), AppendError> {
        let names = self.stream.as_str().len().saturating_add(self.aggregate_type.len());
        // Escapes make a byte of a name at most six of JSON.
        let per_event = names.saturating_mul(6).saturating_add(ENVELOPE_BYTES);
        // A canonical number may be written with up to twice the bytes: `1` as `1.0` in a list.
        let bound = self
            .bytes
            .saturating_mul(2)
            .saturating_add(per_event.saturating_mul(self.events.len()));
        if bound <= BATCH_BYTES_MAX {
            return Ok(());
        }
        let mut counter = Counter(0);
        for document in self.documents(SEQUENCE_NUMBER_MAX) {
            counter.0 = counter.0.saturating_add(OPERATION_BYTES);
            measure(&mut counter, &document)?;
        }
        if counter.0 <= BATCH_BYTES_MAX {
            return Ok(());
        }
        Err(AppendError::TooLarge {
            bytes: Some(counter.0),
            max: BATCH_BYTES_MAX,
            usage: Usage::default(),
        })
    }

    pub(crate) fn events(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn check_counts(expected: ExpectedVersion, events: &[NewEvent]) -> Result<(), BadInput> {
    // The predecessor is read in the same batch, which leaves one operation less.
    let max = match expected.version() {
        Some(version) if version > 0 => BATCH_OPERATIONS_MAX.saturating_sub(1),
        _ if expected == ExpectedVersion::StreamExists => BATCH_OPERATIONS_MAX.saturating_sub(1),
        _ => BATCH_OPERATIONS_MAX,
    };
    if events.is_empty() {
        return Err(BadInput::NoEvents);
    }
    if events.len() > max {
        return Err(BadInput::TooManyEvents { events: events.len(), max });
    }
    let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
    if let Some(version) = expected.version()
        && version.saturating_add(count) > SEQUENCE_NUMBER_MAX
    {
        return Err(BadInput::SequenceNumberRange { number: version, max: SEQUENCE_NUMBER_MAX });
    }
    let mut ids = HashSet::with_capacity(events.len());
    match events.iter().find(|event| !ids.insert(event.id())) {
        Some(event) => Err(BadInput::DuplicateEventId { event_id: event.id() }),
        None => Ok(()),
    }
}

/// Checks the sizes of one event and returns the bytes of its content. `canonical` is the length of
/// the canonical form, which is at least half of what is written.
fn check_sizes(event: &NewEvent, canonical: usize) -> Result<usize, AppendError> {
    if canonical.saturating_mul(2) > DATA_BYTES_MAX {
        let mut counter = Counter(0);
        measure(&mut counter, event.data())?;
        if counter.0 > DATA_BYTES_MAX {
            return Err(BadInput::DataSize { bytes: counter.0, max: DATA_BYTES_MAX }.into());
        }
    }
    let mut counter = Counter(0);
    measure(&mut counter, event.metadata())?;
    if counter.0 > METADATA_BYTES_MAX {
        return Err(BadInput::MetadataSize { bytes: counter.0, max: METADATA_BYTES_MAX }.into());
    }
    Ok(canonical.saturating_add(counter.0))
}

/// Counts bytes instead of keeping them.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn measure(counter: &mut Counter, value: &impl serde::Serialize) -> Result<(), AppendError> {
    serde_json::to_writer(counter, value).map_err(|error| {
        AppendError::Store(StoreError::new(StoreErrorKind::Protocol).with_source(error))
    })
}

/// Why a step could not be done at all.
enum Broken {
    Corrupt(CorruptDocument),
    Store(StoreError),
}

/// An append on its way.
pub(crate) struct Appending<'a> {
    connection: &'a Connection,
    clock: &'a dyn Clock,
    started: Duration,
    time_max: Duration,
    prepared: &'a Prepared,
    usage: Usage,
    session_token: Option<SessionToken>,
}

impl<'a> Appending<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        clock: &'a dyn Clock,
        time_max: Duration,
        prepared: &'a Prepared,
    ) -> Self {
        Self {
            connection,
            clock,
            started: clock.monotonic(),
            time_max,
            prepared,
            usage: Usage::default(),
            session_token: None,
        }
    }

    /// What it took so far.
    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    /// Follows the plan to its end.
    pub(crate) async fn run(&mut self) -> Result<AppendOutcome, AppendError> {
        let prepared = self.prepared;
        let mut plan = Plan::new(
            prepared.expected,
            prepared.wanted.clone(),
            BATCH_OPERATIONS_MAX,
            self.time_max,
        );
        let mut step = plan.start();
        loop {
            step = match step {
                Step::FindVersion => {
                    let found = Box::pin(self.find_version()).await?;
                    plan.version_found(found)
                }
                Step::Send { first } => {
                    let answer = Box::pin(self.send(first)).await?;
                    plan.batch_answered(first, answer, self.elapsed(), jitter())
                }
                Step::ReadBack { first, predecessor_missing } => {
                    let read = Box::pin(self.read_back(first, predecessor_missing)).await?;
                    let elapsed = self.elapsed();
                    plan.read_back(first, predecessor_missing, read, elapsed, jitter())
                }
                Step::Wait(time, then) => {
                    tokio::time::sleep(time).await;
                    *then
                }
                Step::Done(end) => return self.finish(end),
            }
        }
    }

    fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }

    fn time_left(&self) -> Duration {
        self.time_max.saturating_sub(self.elapsed())
    }

    async fn find_version(&mut self) -> Result<Result<u64, StoreError>, AppendError> {
        let stream = self.prepared.stream.as_str();
        let answer = last_event_number(self.connection, stream, None).await;
        self.usage += answer.usage;
        split(answer.value.map_err(|error| match error {
            super::ReadError::Corrupt(corrupt) => Broken::Corrupt(corrupt),
            super::ReadError::Store(error) => Broken::Store(error),
            super::ReadError::BadInput(input) => {
                Broken::Store(StoreError::new(StoreErrorKind::Protocol).with_source(input))
            }
            super::ReadError::Continuation(bad) => {
                Broken::Store(StoreError::new(StoreErrorKind::Protocol).with_source(bad))
            }
        }))
    }

    async fn send(&mut self, first: u64) -> Result<super::plan::BatchAnswer, AppendError> {
        let mut request = BatchRequest::new(self.prepared.stream.as_str());
        if first > 1 {
            request = request.read(item_id(first.saturating_sub(1)));
        }
        for document in self.prepared.documents(first) {
            request = request.create(&document).map_err(AppendError::Store)?;
        }
        let Answered { value, usage, session_token } =
            self.connection.send_batch(request, self.time_left()).await;
        self.usage += usage;
        self.session_token = session_token.or(self.session_token.take());
        Ok(value)
    }

    async fn read_back(
        &mut self,
        first: u64,
        predecessor_missing: bool,
    ) -> Result<Result<ReadBack, StoreError>, AppendError> {
        let read = self.stored(first, predecessor_missing).await;
        split(read)
    }

    /// Reads what is stored under the ids of the call and from the place on.
    async fn stored(&mut self, first: u64, predecessor_missing: bool) -> Result<ReadBack, Broken> {
        let stream = self.prepared.stream.as_str();
        let last = first.saturating_add(WINNING_EVENTS_MAX).saturating_sub(1);
        let ids: Vec<_> = self.prepared.wanted.iter().map(|event| event.id).collect();
        // The SDK hands on the session token of the refusal, so the read sees what was in the way.
        let answer = self.connection.events_at_or_with_ids(stream, first, last, &ids).await;
        self.usage += answer.usage;
        self.session_token = answer.session_token.or(self.session_token.take());
        let documents: Vec<Box<RawValue>> = answer.value.map_err(Broken::Store)?;
        let (mut at_place, mut same_ids) = (Vec::new(), Vec::new());
        for raw in &documents {
            let event = read_event(Some(stream), raw).map_err(Broken::Corrupt)?;
            if ids.contains(&event.id()) {
                same_ids.push(event.clone());
            }
            if (first..=last).contains(&event.sequence_number()) {
                at_place.push(event);
            }
        }
        at_place.sort_unstable_by_key(RecordedEvent::sequence_number);
        let seen = at_place.last().map_or(0, RecordedEvent::sequence_number);
        // The batch has read the predecessor, so with nothing at the place the stream ends before it.
        let version = if seen == last || (seen == 0 && predecessor_missing) {
            match self.find_version().await {
                Ok(found) => found.map_err(Broken::Store)?.max(seen),
                Err(AppendError::Corrupt(corrupt)) => return Err(Broken::Corrupt(corrupt)),
                Err(AppendError::Store(error)) => return Err(Broken::Store(error)),
                Err(_) => return Err(Broken::Store(StoreError::new(StoreErrorKind::Protocol))),
            }
        } else {
            seen.max(first.saturating_sub(1))
        };
        Ok(ReadBack { same_ids, at_place, version })
    }

    fn finish(&mut self, end: End) -> Result<AppendOutcome, AppendError> {
        let (usage, stream) = (self.usage, self.prepared.stream.clone());
        let expected = self.prepared.expected;
        Err(match end {
            End::Appended { first } => return Ok(AppendOutcome::Appended(self.receipt(first))),
            End::Repeated { first } => return Ok(AppendOutcome::Repeated(self.receipt(first))),
            End::Reused { event_id, stored } => {
                AppendError::EventIdReused { stream, event_id, stored, usage }
            }
            End::Conflict { actual, events } => {
                AppendError::Conflict { stream, expected, actual, events, usage }
            }
            End::TooMany { max } => AppendError::BadInput(BadInput::TooManyEvents {
                events: self.prepared.events(),
                max,
            }),
            End::Unexplained => AppendError::Unexplained { stream, expected, usage },
            End::Unknown(source) => AppendError::OutcomeUnknown { stream, usage, source },
            End::Failed(source) => match source.kind() {
                StoreErrorKind::Throttled => {
                    AppendError::Throttled { retry_after: source.retry_after(), usage, source }
                }
                StoreErrorKind::Denied => AppendError::Denied { usage, source },
                StoreErrorKind::Unavailable => AppendError::Unavailable { usage, source },
                StoreErrorKind::StreamFull => AppendError::StreamFull { stream, usage },
                StoreErrorKind::TooLarge => {
                    AppendError::TooLarge { bytes: None, max: BATCH_BYTES_MAX, usage }
                }
                _ => AppendError::Store(source.with_usage(usage)),
            },
        })
    }

    fn receipt(&mut self, first: u64) -> Receipt {
        let events = u64::try_from(self.prepared.events()).unwrap_or(u64::MAX);
        Receipt {
            stream: self.prepared.stream.clone(),
            first,
            last: first.saturating_add(events).saturating_sub(1),
            request_charge: self.usage.request_charge,
            round_trips: self.usage.round_trips,
            session_token: self.session_token.take(),
        }
    }
}

/// A damaged document ends the append at once; a failure of the service is the plan's to judge.
fn split<T>(result: Result<T, Broken>) -> Result<Result<T, StoreError>, AppendError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Broken::Store(error)) => Ok(Err(error)),
        Err(Broken::Corrupt(corrupt)) => Err(AppendError::Corrupt(corrupt)),
    }
}

/// A random fraction of [`JITTER_ONE`].
fn jitter() -> u32 {
    let (random, _, _, _) = uuid::Uuid::new_v4().as_fields();
    random % JITTER_ONE
}

#[cfg(test)]
mod tests;
