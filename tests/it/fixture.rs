//! An event store on an endpoint of its own, for one test.

use std::sync::Arc;

use cosmos_event_store::{
    AppendOutcome, Credential, EventId, EventStore, ExpectedVersion, NewEvent, RecordedEvent,
    StoreOptions, clock::ManualClock,
};
use cosmos_local::{Control, LocalCosmos};
use serde_json::json;

/// The key of every test endpoint.
pub(crate) const KEY: &str = cosmos_local::EMULATOR_KEY;
/// The database of every test.
pub(crate) const DATABASE: &str = "test";

/// An endpoint in memory and a store on it.
pub(crate) struct Fixture {
    pub(crate) endpoint: LocalCosmos,
    pub(crate) store: EventStore,
}

impl Fixture {
    /// Starts an endpoint, makes its database ready, and connects.
    pub(crate) async fn new() -> Self {
        Self::with(|options| options).await
    }

    /// The same with settings of the test's own.
    pub(crate) async fn with(change: impl FnOnce(StoreOptions) -> StoreOptions) -> Self {
        let endpoint = LocalCosmos::builder().ephemeral().start().await.unwrap();
        let options = change(options(endpoint.endpoint()));
        let (store, _) = EventStore::provision_and_connect(options).await.unwrap();
        // The first query makes the SDK read the partition key ranges, which is not what tests count.
        store.version("warm-up").await.unwrap();
        endpoint.control().reset_counts();
        Self { endpoint, store }
    }

    /// Faults and counters.
    pub(crate) fn control(&self) -> &Control {
        self.endpoint.control()
    }

    /// The requests since the last look.
    pub(crate) fn requests(&self) -> u64 {
        self.control().reset_counts().total
    }

    /// The sequence numbers and ids of a stream.
    pub(crate) async fn ids(&self, stream: &str) -> Vec<EventId> {
        self.events(stream).await.iter().map(RecordedEvent::id).collect()
    }

    /// All events of a stream, without a gap.
    pub(crate) async fn events(&self, stream: &str) -> Vec<RecordedEvent> {
        let events = self.store.read(stream).all().await.unwrap().events;
        for (event, number) in events.iter().zip(1..) {
            assert_eq!(event.sequence_number(), number);
        }
        events
    }

    /// Appends to the end of a stream, as a test's preparation.
    pub(crate) async fn given(&self, stream: &str, events: &[NewEvent]) -> AppendOutcome {
        self.store.append(stream, ExpectedVersion::Any, events.to_vec()).await.unwrap()
    }
}

/// Settings for an endpoint of a test.
pub(crate) fn options(endpoint: &str) -> StoreOptions {
    StoreOptions::new(endpoint, Credential::key(KEY), DATABASE)
}

/// A clock that stands still.
pub(crate) fn manual_clock(at: &str) -> Arc<ManualClock> {
    Arc::new(ManualClock::new(at.parse().unwrap()))
}

/// An event whose data is a number.
pub(crate) fn event(n: u64) -> NewEvent {
    NewEvent::new("Tested", json!({ "n": n })).unwrap()
}

/// Events with the data 0, 1, ...
pub(crate) fn events(count: u64) -> Vec<NewEvent> {
    (0..count).map(event).collect()
}

/// The ids of events.
pub(crate) fn ids_of(events: &[NewEvent]) -> Vec<EventId> {
    events.iter().map(NewEvent::id).collect()
}
