//! When a snapshot is taken, and its writing off the path of commands.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{Aggregate, cache::Known};
use crate::{
    event::BadInput,
    store::{EventStore, ReadError, Snapshot, SnapshotKey},
    stream::StreamId,
};

/// After this time a command takes a snapshot, however few events there were. A stream that gets an
/// event now and then for years still has a recent one.
pub const SNAPSHOT_AFTER: Duration = Duration::from_hours(24);
/// The snapshots that one repository writes at the same time. When more are due, they wait for the
/// next command of their stream: snapshots must not take the throughput of commands.
const WRITES_MAX: usize = 4;

/// When a repository takes snapshots: every so many events, or after a time, whichever comes first.
///
/// A snapshot spares reading the events before it, and costs a point read more on each load of a
/// state that is not cached. It pays for streams of hundreds of events; below that, one query reads
/// them all.
pub struct Snapshots<A>(Option<Rule<A>>);

struct Rule<A> {
    events: u64,
    after: Duration,
    encode: fn(&A) -> Result<Value, serde_json::Error>,
    decode: fn(Value) -> Result<A, serde_json::Error>,
}

impl<A> Snapshots<A> {
    /// No snapshots are read or written.
    pub fn off() -> Self {
        Self(None)
    }

    /// A snapshot every so many events (0 counts as 1), or after [`SNAPSHOT_AFTER`].
    ///
    /// The state is stored as what serde makes of it, at most
    /// [`SNAPSHOT_BYTES_MAX`](crate::store::SNAPSHOT_BYTES_MAX) bytes of JSON.
    pub fn every(events: u64) -> Self
    where
        A: Serialize + DeserializeOwned,
    {
        Self(Some(Rule {
            events: events.max(1),
            after: SNAPSHOT_AFTER,
            encode: |state| serde_json::to_value(state),
            decode: |state| serde_json::from_value(state),
        }))
    }

    /// Sets the time after which a command takes a snapshot, however few events there were.
    #[must_use]
    pub fn or_after(mut self, time: Duration) -> Self {
        if let Some(rule) = &mut self.0 {
            rule.after = time;
        }
        self
    }

    pub(super) fn are_off(&self) -> bool {
        self.0.is_none()
    }

    /// The state in a snapshot; nothing when it is not one of this program's.
    pub(super) fn decode(&self, state: Value) -> Option<A> {
        (self.0.as_ref()?.decode)(state).ok()
    }

    fn is_due(&self, known: &Known<A>, now: Timestamp) -> bool {
        let Some(rule) = &self.0 else { return false };
        let events = known.version.saturating_sub(known.snapshot_version);
        let old = known.since.is_some_and(|since| {
            Duration::try_from(now.duration_since(since)).is_ok_and(|age| age >= rule.after)
        });
        events >= rule.events || (old && events > 0)
    }
}

impl<A> std::fmt::Debug for Snapshots<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            None => f.write_str("Snapshots::off()"),
            Some(rule) => {
                write!(f, "Snapshots::every({}).or_after({:?})", rule.events, rule.after)
            }
        }
    }
}

/// Writes snapshots in tasks of its own.
#[derive(Debug)]
pub(super) struct SnapshotWriter {
    tasks: TaskTracker,
    writes: Arc<Semaphore>,
}

impl SnapshotWriter {
    pub(super) fn new() -> Self {
        Self { tasks: TaskTracker::new(), writes: Arc::new(Semaphore::new(WRITES_MAX)) }
    }

    /// Takes a snapshot if one is due, and notes it in `known`. Whether it gets written decides
    /// itself later; the next one comes when it is due again.
    pub(super) fn take_if_due<A: Aggregate>(
        &self,
        snapshots: &Snapshots<A>,
        store: &EventStore,
        stream: &StreamId,
        known: &mut Known<A>,
    ) {
        let now = store.now();
        let (Some(rule), Some(last_event_id)) = (&snapshots.0, known.last_event_id) else { return };
        if !snapshots.is_due(known, now) {
            return;
        }
        let Ok(turn) = Arc::clone(&self.writes).try_acquire_owned() else { return };
        // Whoever closes waits for the token too, so that no write begins behind its back.
        let token = self.tasks.token();
        if self.tasks.is_closed() {
            return;
        }
        known.snapshot_version = known.version;
        known.since = Some(now);
        let (encode, version, state) = (rule.encode, known.version, Arc::clone(&known.state));
        let (store, stream) = (store.clone(), stream.clone());
        self.tasks.spawn(async move {
            let written = match encode(&state) {
                Ok(state) => {
                    let snapshot = Snapshot { version, last_event_id, taken_at: now, state };
                    write::<A>(&store, &stream, &snapshot).await
                }
                Err(_) => Err("the state has no JSON form".to_owned()),
            };
            if let Err(reason) = written {
                let category = stream.reported_category();
                tracing::warn!(stream_category = category, reason, "no snapshot was written");
            }
            drop(turn);
        });
        drop(token);
    }

    /// Waits for the writes that have begun. None begins afterwards.
    pub(super) async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn write<A: Aggregate>(
    store: &EventStore,
    stream: &StreamId,
    snapshot: &Snapshot,
) -> Result<(), String> {
    let key = SnapshotKey::new(A::TYPE, A::STATE_SCHEMA).map_err(|error| error.to_string())?;
    match Box::pin(store.write_snapshot(stream, &key, snapshot)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(reason(&error)),
    }
}

/// What a log may say about a snapshot that was not read or written. The errors themselves name the
/// stream, and places in the state, whose names may be payload.
pub(super) fn reason(error: &ReadError) -> String {
    match error {
        ReadError::Store(error) => error.to_string(),
        ReadError::Corrupt(corrupt) => corrupt.reason.clone(),
        ReadError::BadInput(BadInput::Json { .. }) => {
            "the state has a value that cannot be stored without change".to_owned()
        }
        ReadError::BadInput(input) => input.to_string(),
        ReadError::Continuation(bad) => bad.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{EventId, JsonProblem, Part},
        store::CorruptDocument,
    };

    fn known(version: u64, snapshot_version: u64, since: &str) -> Known<u64> {
        Known {
            state: Arc::new(version),
            version,
            last_event_id: Some(EventId::random()),
            snapshot_version,
            since: Some(since.parse().unwrap()),
        }
    }

    #[test]
    fn snapshots_are_due_by_events_or_by_time() {
        let snapshots = Snapshots::<u64>::every(10).or_after(Duration::from_hours(1));
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let recent = "2026-11-20T09:00:01Z";
        let old = "2026-11-20T09:00:00Z";
        for (known, due) in [
            (known(9, 0, recent), false),
            (known(10, 0, recent), true),
            (known(19, 10, recent), false),
            (known(20, 10, recent), true),
            (known(1, 0, old), true),
            (known(10, 10, old), false),
            (known(1, 0, "2026-11-20T11:00:00Z"), false),
        ] {
            assert_eq!(snapshots.is_due(&known, now), due, "{known:?}");
        }
        assert!(!Snapshots::<u64>::off().is_due(&known(99, 0, old), now));
    }

    #[test]
    fn a_log_names_neither_the_stream_nor_places_in_the_state() {
        let (stream, document_id) = ("quote-secret".to_owned(), "secret".to_owned());
        let damaged = CorruptDocument { stream, document_id, reason: "it is damaged".to_owned() };
        assert_eq!(reason(&damaged.into()), "it is damaged");
        let (part, pointer) = (Part::State, "/secret".to_owned());
        let problem = JsonProblem::Invalid("secret".to_owned());
        let unfit = reason(&BadInput::Json { part, pointer, problem }.into());
        assert!(!unfit.contains("secret"), "{unfit}");
    }
}
