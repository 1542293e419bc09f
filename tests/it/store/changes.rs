//! The change feed of all streams, from several partitions.

use std::collections::BTreeMap;

use cosmos_event_store::{
    EventId, EventStore,
    store::{Changes, ChangesFrom},
};
use cosmos_local::LocalCosmos;

use crate::fixture::{DATABASE, Fixture, events, ids_of, options};

type Streams = BTreeMap<String, Vec<EventId>>;

/// Two-event pages from three partitions.
async fn fixture() -> Fixture {
    let endpoint = LocalCosmos::builder().ephemeral().partitions(3).start().await.unwrap();
    let options = options(endpoint.endpoint()).with_page_events(2);
    let (store, _) = EventStore::provision_and_connect(options).await.unwrap();
    Fixture { endpoint, store }
}

/// Appends to streams of all partitions, more to some of them.
async fn append(fixture: &Fixture, streams: &mut Streams) {
    for stream in 0..20_u64 {
        for commit in 0..stream % 4 {
            let (stream, new) = (format!("change-{stream}"), events(1 + commit));
            fixture.given(&stream, &new).await;
            streams.entry(stream).or_default().extend(ids_of(&new));
        }
    }
}

/// Everything up to the first page without events.
async fn drain(changes: &mut Changes) -> Streams {
    let mut streams = Streams::new();
    loop {
        let events = Box::pin(changes.next_page()).await.unwrap().events;
        if events.is_empty() {
            return streams;
        }
        for event in events {
            streams.entry(event.stream().to_owned()).or_default().push(event.id());
        }
    }
}

#[tokio::test]
async fn a_page_without_events_means_that_no_partition_has_more() {
    let fixture = fixture().await;
    let mut now = fixture.store.changes(ChangesFrom::Now).await.unwrap();
    assert_eq!(drain(&mut now).await, Streams::new());
    let mut first = Streams::new();
    append(&fixture, &mut first).await;
    let mut beginning = fixture.store.changes(ChangesFrom::Beginning).await.unwrap();
    assert_eq!(drain(&mut beginning).await, first);
    assert_eq!(drain(&mut now).await, first);

    fixture.control().split(DATABASE, "events", Some(1), None).await.unwrap();
    let mut second = Streams::new();
    append(&fixture, &mut second).await;
    assert_eq!(drain(&mut beginning).await, second);
    assert_eq!(drain(&mut now).await, second);
    fixture.endpoint.shutdown().await.unwrap();
}
