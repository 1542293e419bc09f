//! Reading streams, single events and the list of streams.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cosmos_event_store::{ExpectedVersion, ReadError, RecordedEvent, store::Events};
use futures::{StreamExt, TryStreamExt};

use crate::fixture::{Fixture, events, manual_clock, options};

fn numbers(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(RecordedEvent::sequence_number).collect()
}

#[tokio::test]
async fn streams_are_read_in_both_directions_and_in_part() {
    let fixture = Fixture::new().await;
    fixture.given("quote-1", &events(10)).await;
    let store = &fixture.store;
    let all = |events: Events| numbers(&events.events);
    assert_eq!(all(store.read("quote-1").all().await.unwrap()), (1..=10).collect::<Vec<_>>());
    assert_eq!(
        all(store.read("quote-1").backwards().all().await.unwrap()),
        (1..=10).rev().collect::<Vec<_>>()
    );
    assert_eq!(all(store.read("quote-1").from(4).up_to(6).all().await.unwrap()), [4, 5, 6]);
    assert_eq!(
        all(store.read("quote-1").backwards().from(4).up_to(6).all().await.unwrap()),
        [6, 5, 4]
    );
    assert_eq!(all(store.read("quote-1").from(9).all().await.unwrap()), [9, 10]);
    assert_eq!(all(store.read("quote-1").up_to(2).all().await.unwrap()), [1, 2]);
    assert_eq!(all(store.read("quote-1").from(11).all().await.unwrap()), [0_u64; 0]);
    assert_eq!(all(store.read("quote-1").from(5).up_to(4).all().await.unwrap()), [0_u64; 0]);
    assert_eq!(all(store.read("quote-2").all().await.unwrap()), [0_u64; 0]);
    assert!(matches!(store.read("quote-1").from(0).all().await, Err(ReadError::BadInput(_))));
    assert!(matches!(store.read("").all().await, Err(ReadError::BadInput(_))));
}

#[tokio::test]
async fn pages_are_bounded_and_say_what_they_took() {
    let fixture = Fixture::new().await;
    fixture.given("quote-1", &events(10)).await;
    fixture.requests();
    let pages: Vec<Events> =
        fixture.store.read("quote-1").page_events(4).pages().try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.events.len()).collect::<Vec<_>>(), [4, 4, 2]);
    for page in &pages {
        assert_eq!(page.usage.round_trips, 1);
        assert!(page.usage.request_charge > 0.0);
        assert!(page.session_token.is_some());
    }
    assert_eq!(fixture.requests(), 3);
    let backwards: Vec<RecordedEvent> = fixture
        .store
        .read("quote-1")
        .backwards()
        .page_events(3)
        .stream()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(numbers(&backwards), (1..=10).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_short_stream_is_one_round_trip() {
    let fixture = Fixture::new().await;
    fixture.given("quote-1", &events(10)).await;
    fixture.requests();
    let all = fixture.store.read("quote-1").all().await.unwrap();
    assert_eq!(all.usage.round_trips, 1);
    assert_eq!(fixture.requests(), 1);
}

#[tokio::test]
async fn a_single_event_is_a_point_read() {
    let fixture = Fixture::new().await;
    fixture.given("quote-1", &events(3)).await;
    fixture.requests();
    let answer = fixture.store.read_event("quote-1", 2).await.unwrap();
    assert_eq!(answer.value.unwrap().sequence_number(), 2);
    assert_eq!(answer.usage.round_trips, 1);
    let missing = fixture.store.read_event("quote-1", 4).await.unwrap();
    assert_eq!((missing.value, missing.usage.round_trips), (None, 1));
    let counts = fixture.control().counts();
    assert_eq!((counts.total, counts.of("read_item")), (2, 2));
    assert!(matches!(fixture.store.read_event("quote-1", 0).await, Err(ReadError::BadInput(_))));
}

#[tokio::test]
async fn the_version_is_one_query() {
    let fixture = Fixture::new().await;
    fixture.given("quote-1", &events(3)).await;
    fixture.requests();
    let answer = fixture.store.version("quote-1").await.unwrap();
    assert_eq!((answer.value, answer.usage.round_trips), (3, 1));
    assert_eq!(fixture.requests(), 1);
    assert_eq!(fixture.store.version("quote-2").await.unwrap().value, 0);
}

#[tokio::test]
async fn as_of_gives_the_longest_prefix_that_was_recorded_then() {
    let clock = manual_clock("2026-11-20T10:00:00Z");
    let for_store: Arc<_> = clock.clone();
    let fixture = Fixture::with(|options| options.with_clock(for_store)).await;
    let mut times = Vec::new();
    for _ in 0..4 {
        fixture.given("quote-1", &events(2)).await;
        times.push(fixture.events("quote-1").await.last().unwrap().recorded_at());
        clock.advance(Duration::from_mins(1));
    }
    // A writer whose clock is behind: its events come after others that were recorded later.
    clock.set("2026-11-20T10:00:30Z".parse().unwrap());
    fixture.given("quote-1", &events(2)).await;
    for (time, last) in times.iter().zip([2, 4, 6, 8]) {
        for page_events in [1, 3, 100] {
            let read = || fixture.store.read("quote-1").page_events(page_events).as_of(*time);
            let prefix = if last == 8 { 10 } else { last };
            let forwards = read().all().await.unwrap();
            assert_eq!(numbers(&forwards.events), (1..=prefix).collect::<Vec<_>>());
            let backwards = read().backwards().all().await.unwrap();
            assert_eq!(numbers(&backwards.events), (1..=prefix).rev().collect::<Vec<_>>());
            let part = read().backwards().from(2).up_to(5).all().await.unwrap();
            assert_eq!(numbers(&part.events), (2..=prefix.min(5)).rev().collect::<Vec<_>>());
        }
    }
    let before = "2026-11-20T09:00:00Z".parse().unwrap();
    assert!(fixture.store.read("quote-1").as_of(before).all().await.unwrap().events.is_empty());
    let none = fixture.store.read("quote-1").as_of(before).backwards().all().await.unwrap();
    assert!(none.events.is_empty());
}

#[tokio::test]
async fn all_streams_are_listed_page_by_page_and_counted() {
    let fixture = Fixture::new().await;
    let names: BTreeSet<String> = (0..25).map(|n| format!("quote-{n}")).collect();
    for name in &names {
        fixture.given(name, &events(3)).await;
    }
    let pages: Vec<_> =
        fixture.store.streams().page_events(10).pages().try_collect().await.unwrap();
    let listed: Vec<String> = pages
        .iter()
        .flat_map(|page| &page.first_events)
        .map(|event| {
            assert_eq!(event.sequence_number(), 1);
            event.stream().to_owned()
        })
        .collect();
    assert_eq!(listed.len(), 25);
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), names);

    let first = fixture.store.streams().page_events(10).pages().next().await.unwrap().unwrap();
    let rest: Vec<_> = fixture
        .store
        .streams()
        .continuation(first.continuation.unwrap())
        .pages()
        .try_collect()
        .await
        .unwrap();
    let rest: usize = rest.iter().map(|page| page.first_events.len()).sum();
    assert_eq!(first.first_events.len() + rest, 25);

    let counts = fixture.store.counts().await.unwrap();
    assert_eq!((counts.streams, counts.events), (25, 75));
}

#[tokio::test]
async fn a_session_token_makes_another_process_see_the_write() {
    let fixture = Fixture::new().await;
    let other = cosmos_event_store::EventStore::connect(options(fixture.endpoint.endpoint()))
        .await
        .unwrap();
    let receipt = fixture
        .store
        .append("quote-1", ExpectedVersion::NoStream, events(1))
        .await
        .unwrap()
        .into_receipt();
    let token = receipt.session_token.unwrap();
    let read = other.read("quote-1").session_token(token).all().await.unwrap();
    assert_eq!(numbers(&read.events), [1]);
}
