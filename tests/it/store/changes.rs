//! The change feed of all streams, from several partitions.

mod resuming;

use std::collections::BTreeMap;

use cosmos_event_store::{
    EventId, EventStore,
    store::{Changes, ChangesFrom, ChangesPage},
};
use cosmos_local::{LocalCosmos, Mode};

use crate::fixture::{DATABASE, Fixture, events, ids_of, options};

type Streams = BTreeMap<String, Vec<EventId>>;

/// Two-event pages from three partitions.
async fn fixture() -> Fixture {
    fixture_of(Mode::Strict, 3).await
}

async fn fixture_of(mode: Mode, partitions: u32) -> Fixture {
    let builder = LocalCosmos::builder().ephemeral().mode(mode).partitions(partitions);
    let endpoint = builder.start().await.unwrap();
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

/// Notes the events of a page.
fn note(streams: &mut Streams, page: &ChangesPage) {
    for event in &page.events {
        let ids = streams.entry(event.stream().to_owned()).or_default();
        ids.push(event.id());
    }
}

/// Everything up to the first page without events.
async fn drain(changes: &mut Changes) -> Streams {
    let mut streams = Streams::new();
    loop {
        let page = Box::pin(changes.next_page()).await.unwrap();
        if page.events.is_empty() {
            return streams;
        }
        note(&mut streams, &page);
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

#[tokio::test]
async fn now_is_behind_what_is_stored_also_when_partitions_were_split_before_anybody_knew() {
    for mode in [Mode::Strict, Mode::Lenient] {
        let fixture = fixture_of(mode, 2).await;
        append(&fixture, &mut Streams::new()).await;
        let mut now = fixture.store.changes(ChangesFrom::Now).await.unwrap();
        fixture.control().split(DATABASE, "events", Some(0), None).await.unwrap();
        let page = Box::pin(now.next_page()).await.unwrap();
        assert_eq!(page.events, []);
        let mut later = Streams::new();
        append(&fixture, &mut later).await;
        assert_eq!(drain(&mut now).await, later);
        let from = ChangesFrom::Continuation(page.continuation());
        assert_eq!(drain(&mut fixture.store.changes(from).await.unwrap()).await, later);
        fixture.endpoint.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_page_has_as_many_events_as_asked_for_and_the_rest_of_an_append() {
    let fixture = fixture_of(Mode::Strict, 1).await;
    for (stream, count) in [("a", 1), ("b", 5), ("c", 1), ("d", 1)] {
        fixture.given(stream, &events(count)).await;
    }
    for (limit, expected) in
        [(0, vec![1, 5, 1, 1]), (1, vec![1, 5, 1, 1]), (2, vec![6, 2]), (7, vec![7, 1])]
    {
        let mut changes =
            fixture.store.changes_in_pages(ChangesFrom::Beginning, limit).await.unwrap();
        for count in expected.into_iter().chain([0]) {
            let page = Box::pin(changes.next_page()).await.unwrap();
            assert_eq!(page.events.len(), count, "{limit}");
        }
    }
    fixture.endpoint.shutdown().await.unwrap();
}
