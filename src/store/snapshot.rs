//! Snapshots: states of aggregates, kept as opaque documents.
//!
//! The store knows where a snapshot belongs and never replaces one by an older one. What is in it,
//! and whether it can be used, only its writer knows.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{
    Answer, EventStore,
    cosmos::{Answered, Written},
    error::{CorruptDocument, ReadError, StoreError, StoreErrorKind},
    usage::Usage,
};
use crate::{
    event::{
        BadInput, EventId, Part, check_json, format_timestamp, parse_timestamp, restore_integers,
        whole_microseconds,
    },
    stream::{SEQUENCE_NUMBER_MAX, StreamId, check_aggregate_type},
    telemetry::OperationKind,
};

/// The schema of the documents that this version writes and reads.
const SCHEMA: u64 = 1;
/// The most bytes that the JSON of a state may have: half of what a document may, as for events. A
/// larger one costs more to read than the events that it stands for.
pub const SNAPSHOT_BYTES_MAX: usize = 1024 * 1024;
/// How often a snapshot is tried to be written when others write it at the same moment. Whoever
/// comes last has most likely the newest one, so trying again for long gains nothing.
const WRITE_TRIES_MAX: u32 = 3;

/// Which of a stream's snapshots: one per aggregate type and version of the state's shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SnapshotKey {
    aggregate_type: Cow<'static, str>,
    state_schema: u32,
}

impl SnapshotKey {
    /// The snapshot of this aggregate type in this version of its state's shape.
    ///
    /// # Errors
    ///
    /// [`BadInput::AggregateTypeLength`] and [`BadInput::AggregateTypeControl`].
    pub fn new(
        aggregate_type: impl Into<Cow<'static, str>>,
        state_schema: u32,
    ) -> Result<Self, BadInput> {
        let aggregate_type = aggregate_type.into();
        check_aggregate_type(&aggregate_type)?;
        Ok(Self { aggregate_type, state_schema })
    }

    /// The id of the document. Cosmos DB takes neither slashes nor `?` and `#` in an id; the percent
    /// sign is encoded too, so that no two types get the same id.
    fn item_id(&self) -> String {
        let mut id = String::with_capacity(self.aggregate_type.len().saturating_add(4));
        for character in self.aggregate_type.chars() {
            match character {
                '/' => id.push_str("%2F"),
                '\\' => id.push_str("%5C"),
                '?' => id.push_str("%3F"),
                '#' => id.push_str("%23"),
                '%' => id.push_str("%25"),
                other => id.push(other),
            }
        }
        id.push(':');
        id.push_str(&self.state_schema.to_string());
        id
    }
}

/// The state of a stream at a version.
///
/// Its `Debug` does not show the state.
#[derive(Clone, PartialEq)]
pub struct Snapshot {
    /// The version that the state is of: the sequence number of the last event in it.
    pub version: u64,
    /// The id of that event, which tells a snapshot of another history.
    pub last_event_id: EventId,
    /// When the snapshot was taken, to the microsecond, by the clock of its writer.
    pub taken_at: Timestamp,
    /// The state.
    pub state: Value,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("last_event_id", &self.last_event_id)
            .field("taken_at", &self.taken_at)
            .finish_non_exhaustive()
    }
}

/// What became of a snapshot that was handed to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotOutcome {
    /// It is stored.
    Written,
    /// One of the same or a later version is stored; nothing was written.
    Kept,
}

/// A snapshot document, as it is written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotDocument<'a> {
    id: &'a str,
    schema: u64,
    aggregate_id: &'a str,
    aggregate_type: &'a str,
    state_schema: u32,
    version: u64,
    last_event_id: EventId,
    taken_at: String,
    state: &'a Value,
}

/// A snapshot document, as it is read. Fields that the service adds are passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    schema: u64,
    aggregate_id: String,
    version: u64,
    last_event_id: EventId,
    taken_at: String,
    state: Value,
}

/// Enough of a document to compare versions.
#[derive(Debug, Deserialize)]
struct StoredVersion {
    version: u64,
}

fn read_document(stream: &str, item_id: &str, raw: &RawValue) -> Result<Snapshot, CorruptDocument> {
    let corrupt = |reason: &str| CorruptDocument {
        stream: stream.to_owned(),
        document_id: item_id.to_owned(),
        reason: reason.to_owned(),
    };
    // What serde says may quote values of the state.
    let stored: Stored = serde_json::from_str(raw.get())
        .map_err(|_| corrupt("a field of the snapshot is missing or of another type"))?;
    if stored.schema != SCHEMA {
        return Err(corrupt("this version does not know its schema"));
    }
    if stored.aggregate_id != stream {
        return Err(corrupt("it belongs to another stream"));
    }
    if !(1..=SEQUENCE_NUMBER_MAX).contains(&stored.version) {
        return Err(corrupt("its version is no sequence number"));
    }
    let taken_at =
        parse_timestamp(&stored.taken_at).ok_or_else(|| corrupt("takenAt is not a stored time"))?;
    let mut state = stored.state;
    restore_integers(&mut state);
    let (version, last_event_id) = (stored.version, stored.last_event_id);
    Ok(Snapshot { version, last_event_id, taken_at, state })
}

impl EventStore {
    /// The snapshot of a stream under a key; nothing where there is none. A point read: one round
    /// trip.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; [`ReadError::Corrupt`] for a document that cannot be a snapshot.
    pub async fn read_snapshot<S>(
        &self,
        stream: S,
        key: &SnapshotKey,
    ) -> Result<Answer<Option<Snapshot>>, ReadError>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        let stream = stream.try_into().map_err(Into::into)?;
        let (snapshot, usage) = self.look_up_snapshot(&stream, key).await;
        snapshot.map(|value| Answer { value, usage, session_token: None })
    }

    /// Like [`read_snapshot`](Self::read_snapshot), and says what it took also when it failed: for
    /// callers that go on without.
    pub(crate) async fn look_up_snapshot(
        &self,
        stream: &StreamId,
        key: &SnapshotKey,
    ) -> (Result<Option<Snapshot>, ReadError>, Usage) {
        let meter = self.meter(OperationKind::ReadSnapshot, stream.reported_category());
        let item_id = key.item_id();
        let Answered { value, usage, .. } =
            Box::pin(self.connection().read_snapshot(stream.as_str(), &item_id)).await;
        let bytes = value.iter().flatten().map(|found| found.raw.get().len()).sum();
        let snapshot = value.map_err(ReadError::from).and_then(|found| {
            let read = |raw: &RawValue| read_document(stream.as_str(), &item_id, raw);
            Ok(found.map(|found| read(&found.raw)).transpose()?)
        });
        let items = snapshot.iter().flatten().count();
        meter.report(&snapshot, usage, items, bytes);
        (snapshot, usage)
    }

    /// Stores a snapshot, unless one of the same or a later version is there. Two round trips: it looks
    /// first, and the write is conditional, so that a snapshot never goes backwards.
    ///
    /// # Errors
    ///
    /// [`ReadError::BadInput`] for a version or state that cannot be stored (numbers that binary64
    /// cannot hold, more than [`SNAPSHOT_BYTES_MAX`] bytes), and the failures of the service. Without
    /// a snapshot nothing is lost but time: the events are what counts.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the snapshot may or may not be stored.
    pub async fn write_snapshot<S>(
        &self,
        stream: S,
        key: &SnapshotKey,
        snapshot: &Snapshot,
    ) -> Result<Answer<SnapshotOutcome>, ReadError>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        let stream = stream.try_into().map_err(Into::into)?;
        let meter = self.meter(OperationKind::WriteSnapshot, stream.reported_category());
        let mut usage = Usage::default();
        let mut bytes = 0;
        let outcome = self.put_snapshot(&stream, key, snapshot, &mut usage, &mut bytes).await;
        let items = usize::from(matches!(outcome, Ok(SnapshotOutcome::Written)));
        meter.report(&outcome, usage, items, bytes);
        outcome.map(|value| Answer { value, usage, session_token: None })
    }

    async fn put_snapshot(
        &self,
        stream: &StreamId,
        key: &SnapshotKey,
        snapshot: &Snapshot,
        usage: &mut Usage,
        bytes: &mut usize,
    ) -> Result<SnapshotOutcome, ReadError> {
        let number = snapshot.version;
        if !(1..=SEQUENCE_NUMBER_MAX).contains(&number) {
            let max = SEQUENCE_NUMBER_MAX;
            return Err(BadInput::SequenceNumberRange { number, max }.into());
        }
        check_json(Part::State, &snapshot.state)?;
        let item_id = key.item_id();
        let document = serde_json::value::to_raw_value(&SnapshotDocument {
            id: &item_id,
            schema: SCHEMA,
            aggregate_id: stream.as_str(),
            aggregate_type: &key.aggregate_type,
            state_schema: key.state_schema,
            version: snapshot.version,
            last_event_id: snapshot.last_event_id,
            taken_at: format_timestamp(whole_microseconds(snapshot.taken_at)?),
            state: &snapshot.state,
        })
        .map_err(|error| StoreError::new(StoreErrorKind::Protocol).with_source(error))?;
        *bytes = document.get().len();
        if *bytes > SNAPSHOT_BYTES_MAX {
            return Err(BadInput::SnapshotSize { bytes: *bytes, max: SNAPSHOT_BYTES_MAX }.into());
        }
        for _ in 0..WRITE_TRIES_MAX {
            let found = Box::pin(self.connection().read_snapshot(stream.as_str(), &item_id)).await;
            *usage += found.usage;
            let found = found.value?;
            if let Some(found) = &found
                && let Ok(stored) = serde_json::from_str::<StoredVersion>(found.raw.get())
                && stored.version >= snapshot.version
            {
                return Ok(SnapshotOutcome::Kept);
            }
            let etag = found.and_then(|found| found.etag);
            let write =
                self.connection().write_snapshot(stream.as_str(), &item_id, &document, etag);
            let written = Box::pin(write).await;
            *usage += written.usage;
            match written.value? {
                Written::Done => return Ok(SnapshotOutcome::Written),
                Written::Overtaken => {}
            }
        }
        Ok(SnapshotOutcome::Kept)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    fn document() -> Value {
        json!({
            "id": "quote:1", "schema": 1, "aggregateId": "q-1", "aggregateType": "quote",
            "stateSchema": 1, "version": 7, "lastEventId": "67e55044-10b1-426f-9247-bb680e5fe0c8",
            "takenAt": "2026-11-20T10:00:00.000000Z", "state": {"n": 1}, "_etag": "x"
        })
    }

    #[test]
    fn ids_are_encoded_and_told_apart() {
        let id = |name: &'static str| SnapshotKey::new(name, 2).unwrap().item_id();
        assert_eq!(id("quote"), "quote:2");
        assert_eq!(id("a/b\\c?d#e%2F"), "a%2Fb%5Cc%3Fd%23e%252F:2");
        assert_ne!(id("a/b"), id("a%2Fb"));
        assert!(SnapshotKey::new("", 1).is_err());
        let longest = SnapshotKey::new("/".repeat(128), u32::MAX).unwrap().item_id();
        assert!(longest.len() < 1023, "the service takes 1023 bytes");
    }

    #[test]
    fn a_snapshot_is_read() {
        let snapshot = read_document("q-1", "quote:1", &raw(&document())).unwrap();
        assert_eq!((snapshot.version, snapshot.state), (7, json!({"n": 1})));
    }

    #[test]
    fn what_is_no_snapshot_is_refused_without_its_content() {
        for (field, value) in [
            ("schema", json!(2)),
            ("aggregateId", json!("q-2")),
            ("version", json!(0)),
            ("version", json!("secret")),
            ("takenAt", json!("secret")),
            ("lastEventId", json!("secret")),
        ] {
            let mut document = document();
            document[field] = value;
            let error = read_document("q-1", "quote:1", &raw(&document)).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(read_document("q-1", "quote:1", &raw(&json!({"schema": 1}))).is_err());
    }
}
