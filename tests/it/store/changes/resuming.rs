//! Continuations: each goes on exactly behind what was given, whatever becomes of the partitions.

use cosmos_event_store::{
    Credential, EventStore, StoreOptions,
    store::{
        BadContinuation, CONTINUATION_BYTES_MAX, Changes, ChangesFrom, ChangesPage, ReadError,
        Usage,
    },
};
use cosmos_local::{Fault, FaultAction, LocalCosmos, Mode};

use super::{Streams, append, drain, fixture, fixture_of, note};
use crate::fixture::{DATABASE, Fixture, KEY, events, options};

async fn go_on(fixture: &Fixture, continuation: &str, limit: u32) -> Changes {
    let from = ChangesFrom::Continuation(continuation.to_owned());
    fixture.store.changes_in_pages(from, limit).await.unwrap()
}

async fn next(changes: &mut Changes) -> ChangesPage {
    let page = Box::pin(changes.next_page()).await.unwrap();
    assert!(page.continuation().len() < CONTINUATION_BYTES_MAX);
    page
}

async fn refused(store: &EventStore, continuation: &str) -> BadContinuation {
    let from = ChangesFrom::Continuation(continuation.to_owned());
    match store.changes(from).await {
        Err(ReadError::Continuation(bad)) => bad,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reader_that_starts_again_at_every_page_sees_each_event_once() {
    let fixture = fixture().await;
    let mut all = Streams::new();
    append(&fixture, &mut all).await;
    for limit in [1, 2, 3, 7, 1000] {
        let mut read = Streams::new();
        let mut changes =
            fixture.store.changes_in_pages(ChangesFrom::Beginning, limit).await.unwrap();
        let last = loop {
            let page = next(&mut changes).await;
            if page.events.is_empty() {
                break page;
            }
            note(&mut read, &page);
            changes = go_on(&fixture, &page.continuation(), limit).await;
        };
        assert_eq!(read, all, "{limit}");
        assert_eq!(
            drain(&mut go_on(&fixture, &last.continuation(), limit).await).await,
            Streams::new()
        );
    }
    fixture.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_reader_may_go_on_behind_every_event_of_a_page() {
    let fixture = fixture_of(Mode::Strict, 2).await;
    let mut all = Streams::new();
    append(&fixture, &mut all).await;
    // Pages of other sizes than the one that was left begin at the same place.
    for (limit, later) in [(1000, 1000), (1000, 1), (4, 1000), (4, 3)] {
        let mut read = Streams::new();
        let mut changes =
            fixture.store.changes_in_pages(ChangesFrom::Beginning, limit).await.unwrap();
        loop {
            let page = next(&mut changes).await;
            if page.events.is_empty() {
                break;
            }
            for index in 0..page.events.len() {
                let mut rest = read.clone();
                let mut part = page.clone();
                part.events.truncate(index + 1);
                note(&mut rest, &part);
                let continuation = page.continuation_behind(index);
                let others = drain(&mut go_on(&fixture, &continuation, later).await).await;
                for (stream, ids) in others {
                    rest.entry(stream).or_default().extend(ids);
                }
                assert_eq!(rest, all, "{limit} {index}");
            }
            assert_eq!(page.continuation_behind(page.events.len() - 1), page.continuation());
            note(&mut read, &page);
        }
    }
    fixture.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_continuation_survives_splits_also_in_another_process() {
    for mode in [Mode::Strict, Mode::Lenient] {
        let fixture = fixture_of(mode, 1).await;
        let mut all = Streams::new();
        append(&fixture, &mut all).await;
        let mut changes = fixture.store.changes_in_pages(ChangesFrom::Beginning, 9).await.unwrap();
        let mut before = Streams::new();
        note(&mut before, &next(&mut changes).await);
        let page = next(&mut changes).await;
        let middle = page.continuation_behind(4);
        let mut part = page.clone();
        part.events.truncate(5);

        fixture.control().split(DATABASE, "events", Some(0), None).await.unwrap();
        fixture.control().split(DATABASE, "events", Some(1), None).await.unwrap();
        append(&fixture, &mut all).await;
        let options = options(fixture.endpoint.endpoint());
        let other = EventStore::connect(options).await.unwrap();
        for store in [&fixture.store, &other] {
            for (continuation, part) in [(page.continuation(), &page), (middle.clone(), &part)] {
                let mut read = before.clone();
                note(&mut read, part);
                let mut text = continuation;
                // And on, page by page, each with a reader of its own.
                loop {
                    let from = ChangesFrom::Continuation(text);
                    let mut changes = store.changes_in_pages(from, 3).await.unwrap();
                    let page = next(&mut changes).await;
                    if page.events.is_empty() {
                        break;
                    }
                    note(&mut read, &page);
                    text = page.continuation();
                }
                assert_eq!(read, all);
            }
        }
        fixture.endpoint.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn after_a_merge_parts_are_read_or_the_continuation_is_refused() {
    for mode in [Mode::Strict, Mode::Lenient] {
        let fixture = fixture_of(mode, 2).await;
        let mut all = Streams::new();
        append(&fixture, &mut all).await;
        let mut changes = fixture.store.changes(ChangesFrom::Beginning).await.unwrap();
        let mut read = Streams::new();
        let page = next(&mut changes).await;
        note(&mut read, &page);
        fixture.control().merge(DATABASE, "events", 0, 1).await.unwrap();
        append(&fixture, &mut all).await;
        let other = EventStore::connect(options(fixture.endpoint.endpoint())).await.unwrap();
        let from = ChangesFrom::Continuation(page.continuation());
        for mut changes in [changes, other.changes(from).await.unwrap()] {
            if mode == Mode::Lenient {
                let mut read = read.clone();
                for (stream, ids) in drain(&mut changes).await {
                    read.entry(stream).or_default().extend(ids);
                }
                assert_eq!(read, all);
            } else {
                let refused = Box::pin(changes.next_page()).await.unwrap_err();
                let is_clear = matches!(refused, ReadError::Continuation(BadContinuation::Merged));
                assert!(is_clear, "{refused:?}");
                Box::pin(changes.next_page()).await.expect_err("the feed is over");
            }
        }
        // From the beginning there is always a way.
        let mut changes = other.changes(ChangesFrom::Beginning).await.unwrap();
        assert_eq!(drain(&mut changes).await, all);
        fixture.endpoint.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn no_partition_waits_for_another_to_be_drained() {
    let fixture = fixture_of(Mode::Strict, 3).await;
    let mut all = Streams::new();
    append(&fixture, &mut all).await;
    let mut home = std::collections::BTreeSet::new();
    let mut text = None;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let from = text.map_or(ChangesFrom::Beginning, ChangesFrom::Continuation);
        let page = next(&mut fixture.store.changes_in_pages(from, 1).await.unwrap()).await;
        streams.push(page.events[0].stream().to_owned());
        text = Some(page.continuation());
    }
    // The first event of each partition, by readers of which each saw one page.
    for stream in &streams {
        let mut beginning =
            fixture.store.changes_in_pages(ChangesFrom::Beginning, 1000).await.unwrap();
        for partition in 0..3 {
            let page = next(&mut beginning).await;
            if page.events.iter().any(|event| event.stream() == stream) {
                home.insert(partition);
            }
        }
    }
    assert_eq!(home.len(), 3, "{streams:?}");
    fixture.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_no_continuation_of_this_store_is_refused() {
    let fixture = fixture().await;
    append(&fixture, &mut Streams::new()).await;
    let mut changes = fixture.store.changes(ChangesFrom::Beginning).await.unwrap();
    let page = next(&mut changes).await;
    let (text, middle) = (page.continuation(), page.continuation_behind(0));
    for garbage in ["", "now", &text[1..], &text[..text.len() - 1], &format!("{text}x")] {
        assert_eq!(refused(&fixture.store, garbage).await, BadContinuation::Form, "{garbage}");
    }
    let newer = format!("2{}", &text[1..]);
    assert_eq!(refused(&fixture.store, &newer).await, BadContinuation::Version);

    // Another database of the same account, and another account whose ids of containers are the same:
    // one without events, and one with another event at the same place.
    let credential = Credential::key(KEY);
    let elsewhere = StoreOptions::new(fixture.endpoint.endpoint(), credential, "other");
    let (database, _) = EventStore::provision_and_connect(elsewhere).await.unwrap();
    let endpoint = LocalCosmos::builder().ephemeral().partitions(3).start().await.unwrap();
    let options = options(endpoint.endpoint());
    let (account, _) = EventStore::provision_and_connect(options).await.unwrap();
    let other = Fixture { endpoint, store: account };
    for text in [&text, &middle] {
        assert_eq!(refused(&database, text).await, BadContinuation::Elsewhere);
        assert_eq!(refused(&other.store, text).await, BadContinuation::Elsewhere);
    }
    append(&other, &mut Streams::new()).await;
    assert_eq!(refused(&other.store, &text).await, BadContinuation::Elsewhere);
    let mut now = fixture.store.changes(ChangesFrom::Now).await.unwrap();
    let now = next(&mut now).await.continuation();
    assert_eq!(refused(&other.store, &now).await, BadContinuation::Elsewhere);
    other.endpoint.shutdown().await.unwrap();
    fixture.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_store_that_has_the_same_events_in_another_order_is_another_store() {
    let (first, second) = (fixture_of(Mode::Strict, 1).await, fixture_of(Mode::Strict, 1).await);
    let (a, b) = (events(1), events(1));
    first.given("a", &a).await;
    first.given("b", &b).await;
    second.given("b", &b).await;
    second.given("a", &a).await;
    let mut changes = first.store.changes_in_pages(ChangesFrom::Beginning, 1).await.unwrap();
    let text = next(&mut changes).await.continuation();
    assert_eq!(refused(&second.store, &text).await, BadContinuation::Elsewhere);
    assert_eq!(next(&mut go_on(&first, &text, 9).await).await.events[0].stream(), "b");
    first.endpoint.shutdown().await.unwrap();
    second.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_continuation_of_an_empty_store_has_everything_behind_it() {
    let fixture = fixture().await;
    let mut texts = Vec::new();
    for from in [ChangesFrom::Beginning, ChangesFrom::Now] {
        let mut changes = fixture.store.changes(from).await.unwrap();
        texts.push(next(&mut changes).await.continuation());
    }
    let mut all = Streams::new();
    append(&fixture, &mut all).await;
    for text in texts {
        assert_eq!(drain(&mut go_on(&fixture, &text, 5).await).await, all);
    }
    fixture.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn going_on_takes_a_point_read_and_a_page() {
    let fixture = fixture_of(Mode::Strict, 1).await;
    fixture.given("a", &events(3)).await;
    fixture.given("b", &events(1)).await;
    let mut changes = fixture.store.changes_in_pages(ChangesFrom::Beginning, 3).await.unwrap();
    let page = next(&mut changes).await;
    assert_eq!(page.usage.round_trips, 1);
    fixture.control().reset_counts();
    let page = next(&mut go_on(&fixture, &page.continuation(), 3).await).await;
    let counts = fixture.control().reset_counts();
    assert_eq!((counts.total, counts.of("change_feed")), (2, 1));
    assert_eq!((page.events.len(), page.usage.round_trips), (1, 2));
    assert!(page.usage.request_charge > Usage::default().request_charge + 1.0);
    fixture.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_replica_that_is_behind_is_asked_again() {
    let fixture = fixture_of(Mode::Strict, 1).await;
    fixture.given("a", &events(1)).await;
    let mut changes = fixture.store.changes(ChangesFrom::Beginning).await.unwrap();
    let text = next(&mut changes).await.continuation();
    let (status, substatus, retry_after_ms) = (404, None, None);
    let missing = FaultAction::Status { status, substatus, retry_after_ms };
    let missing = Fault::new(missing).on_kind("read_item");
    fixture.control().inject(missing.clone().times(1)).unwrap();
    assert!(next(&mut go_on(&fixture, &text, 3).await).await.events.is_empty());
    fixture.control().inject(missing).unwrap();
    assert_eq!(refused(&fixture.store, &text).await, BadContinuation::Elsewhere);
    fixture.endpoint.shutdown().await.unwrap();
}
