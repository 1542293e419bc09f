//! Pages of one partition: where they begin, what is in them, and what goes wrong.

use azure_data_cosmos::PartitionKey;
use cosmos_event_store::feed::{
    Change, CosmosFeed, Feed, FeedFault, FeedFields, FeedRange, documents::Position,
};
use cosmos_local::{Fault, FaultAction, Mode};
use serde_json::{Value, json};

use super::watched::{Streams, Watched, drain, fields, note};
use crate::{
    fixture::{KEY, events, options},
    sdk::events_container,
};

/// All changes from a position up to the first page without any.
async fn changes(watched: &Watched, position: Position) -> Vec<Change> {
    let mut reader = watched.open(&FeedRange::full(), position).await;
    let mut changes = Vec::new();
    loop {
        let page = reader.next_page().await.unwrap();
        if page.changes.is_empty() {
            return changes;
        }
        changes.extend(page.changes);
    }
}

/// Stores a document that no event store would.
async fn store(watched: &Watched, partition: impl Into<PartitionKey>, document: Value) {
    let container = events_container(watched.fixture.endpoint.endpoint()).await;
    let id = document["id"].as_str().unwrap().to_owned();
    container.upsert_item(partition.into(), &id, &document, None).await.unwrap();
}

#[tokio::test]
async fn a_page_has_documents_their_keys_and_orders_and_the_last_transaction() {
    for mode in [Mode::Strict, Mode::Lenient] {
        let watched = Watched::new(mode, 1).await;
        watched.fixture.given("a", &events(2)).await;
        watched.fixture.given("b", &events(1)).await;
        let mut reader = watched.open(&FeedRange::full(), Position::Beginning).await;
        let page = reader.next_page().await.unwrap();
        let last = page.last_lsn.unwrap();
        let places: Vec<_> =
            page.changes.iter().map(|change| (change.key.as_str(), change.lsn)).collect();
        assert_eq!(places, [("a", last - 1), ("a", last - 1), ("b", last)]);
        assert!(page.request_charge > 1.0);
        for change in &page.changes {
            let document: Value = serde_json::from_str(change.document.get()).unwrap();
            assert_eq!(document["aggregateId"], change.key);
            assert_eq!(document["sequenceNumber"], change.order);
            assert_eq!(document["_ts"], change.stored_at);
        }
        let page = reader.next_page().await.unwrap();
        assert_eq!((page.changes.len(), page.last_lsn), (0, Some(last)));
        watched.end().await;
    }
}

#[tokio::test]
async fn the_changes_of_a_transaction_have_its_lsn_in_whatever_order_they_come() {
    let watched = Watched::new(Mode::Strict, 1).await;
    watched.fixture.given("a", &events(20)).await;
    let found = changes(&watched, Position::Beginning).await;
    let orders: Vec<u64> = found.iter().map(|change| change.order).collect();
    assert!(!orders.is_sorted(), "the endpoint mixes them");
    assert!(found.iter().all(|change| change.lsn == found[0].lsn));
    let mut streams = Streams::new();
    note(&mut streams, found);
    assert_eq!(streams, Streams::from([("a".to_owned(), (1..=20).collect())]));
    watched.end().await;
}

#[tokio::test]
async fn a_range_is_opened_at_the_beginning_now_a_time_or_a_place() {
    let watched = Watched::new(Mode::Strict, 1).await;
    watched.fixture.given("early", &events(1)).await;
    let mut reader = watched.open(&FeedRange::full(), Position::Beginning).await;
    let place = drain(&mut reader, &mut Streams::new()).await.unwrap();
    let now = Position::Continuation(watched.feed.now(&FeedRange::full()).await.unwrap());
    watched.fixture.control().advance_clock(100);
    watched.fixture.given("late", &events(1)).await;

    let all = changes(&watched, Position::Beginning).await;
    let [early, late] = all.as_slice() else { panic!("{all:?}") };
    assert!(late.stored_at >= early.stored_at + 100);
    let since = |seconds: u64| Position::Time(i64::try_from(seconds).unwrap());
    for (position, keys) in [
        (place, vec!["late"]),
        (now, vec!["late"]),
        (since(early.stored_at - 1), vec!["early", "late"]),
        (since(early.stored_at + 50), vec!["late"]),
        (since(late.stored_at + 50), vec![]),
    ] {
        let found = changes(&watched, position.clone()).await;
        let found: Vec<&str> = found.iter().map(|change| change.key.as_str()).collect();
        assert_eq!(found, keys, "{position:?}");
    }
    watched.end().await;
}

#[tokio::test]
async fn documents_that_are_no_events_come_too() {
    for mode in [Mode::Strict, Mode::Lenient] {
        let watched = Watched::new(mode, 1).await;
        let odd = json!({"id": "odd", "aggregateId": "a", "eventId": "1", "sequenceNumber": 1,
            "current": {"deep": [1, {"sequenceNumber": 9}]}, "metadata": null, "type": 5});
        store(&watched, "a", odd).await;
        let unordered = json!({"id": "unordered", "aggregateId": "a", "eventId": "2"});
        store(&watched, "a", unordered).await;
        let keyless = json!({"id": "keyless", "eventId": "3", "sequenceNumber": 7});
        store(&watched, PartitionKey::UNDEFINED, keyless).await;
        let number = json!({"id": "n", "aggregateId": 5, "eventId": "4", "sequenceNumber": 2});
        store(&watched, 5, number).await;

        let found = changes(&watched, Position::Beginning).await;
        let found: Vec<_> = found
            .iter()
            .map(|change| (change.key.as_str(), change.order, change.problem))
            .collect();
        let expected = [
            ("a", 1, None),
            ("?unordered", 0, Some("it has no order")),
            ("?keyless", 0, Some("it has no key")),
            ("=5.0", 2, None),
        ];
        assert_eq!(found, expected);
        // Each of them is found again by its key.
        for (key, order, problem) in expected {
            let again = watched.feed.read_key(key, 0, 10).await.unwrap();
            let again: Vec<_> = again.iter().map(|change| (change.order, change.problem)).collect();
            assert_eq!(again, [(order, problem)], "{key}");
        }
        watched.end().await;
    }
}

#[tokio::test]
async fn one_key_is_read_again_in_order_from_an_order_on() {
    let watched = Watched::new(Mode::Strict, 3).await;
    watched.append(&mut Streams::new()).await;
    watched.fixture.given("a", &events(12)).await;
    for (order, changes_max, expected) in
        [(0, 100, 1..=12), (5, 100, 5..=12), (5, 3, 5..=7), (1, 7, 1..=7), (12, 1, 12..=12)]
    {
        let found = watched.feed.read_key("a", order, changes_max).await.unwrap();
        let orders: Vec<u64> = found.iter().map(|change| change.order).collect();
        assert_eq!(orders, expected.collect::<Vec<u64>>(), "{order} {changes_max}");
        assert!(found.iter().all(|change| change.key == "a" && change.problem.is_none()));
    }
    for (key, order, changes_max) in [("a", 13, 100), ("a", 1, 0), ("nobody", 0, 9), ("?x", 0, 9)] {
        let found = watched.feed.read_key(key, order, changes_max).await.unwrap();
        assert_eq!(found.len(), 0, "{key}");
    }
    let refused = watched.feed.read_key("=[", 0, 9).await.unwrap_err();
    assert!(matches!(refused, FeedFault::Refused(_)), "{refused:?}");
    watched.end().await;
}

#[tokio::test]
async fn a_text_that_is_no_place_of_the_feed_is_refused() {
    let watched = Watched::new(Mode::Strict, 1).await;
    let now = watched.feed.now(&FeedRange::full()).await.unwrap();
    let (range, _) = now.split_once("c1.").unwrap();
    for text in [
        String::new(),
        "c1.nonsense".to_owned(),
        format!("{range}c1.!"),
        format!("{range}c1.e30"),
        format!("{range}c9.e30"),
        format!("{range}\"7x\""),
    ] {
        let position = Position::Continuation(text);
        let found = match watched.feed.open(&FeedRange::full(), &position).await {
            Ok(mut reader) => reader.next_page().await.map(|_| ()),
            Err(fault) => Err(fault),
        };
        assert!(matches!(found, Err(FeedFault::BadPosition(_))), "{position:?}: {found:?}");
    }
    // A place of another container.
    let options = options(watched.fixture.endpoint.endpoint());
    let other = CosmosFeed::open(&options, "snapshots", fields()).await.unwrap();
    let position = Position::Continuation(other.now(&FeedRange::full()).await.unwrap());
    let refused = watched.feed.open(&FeedRange::full(), &position).await.err();
    assert!(matches!(refused, Some(FeedFault::BadPosition(_))), "{refused:?}");
    let refused = watched.feed.open(&FeedRange::full(), &Position::Time(i64::MAX)).await.err();
    assert!(matches!(refused, Some(FeedFault::BadPosition(_))), "{refused:?}");
    watched.end().await;
}

#[tokio::test]
async fn what_goes_wrong_says_what_to_do() {
    let status = |status| FaultAction::Status { status, substatus: None, retry_after_ms: Some(1) };
    let watched = Watched::new(Mode::Strict, 1).await;
    watched.fixture.given("a", &events(1)).await;
    watched.feed.ranges().await.unwrap();
    for (action, unavailable) in [
        (status(429), true),
        (status(503), true),
        (FaultAction::DropBefore, true),
        (FaultAction::DropAfter, true),
        (status(401), false),
        (status(403), false),
        (status(400), false),
    ] {
        let mut reader = watched.open(&FeedRange::full(), Position::Beginning).await;
        watched
            .fixture
            .control()
            .inject(Fault::new(action.clone()).on_kind("change_feed"))
            .unwrap();
        let failed = reader.next_page().await.unwrap_err();
        let is_right = match &failed {
            FeedFault::Unavailable(_) => unavailable,
            FeedFault::Refused(_) => !unavailable,
            _ => false,
        };
        assert!(is_right, "{action:?}: {failed:?}");
        watched.fixture.control().clear_faults();
        let mut again = watched.open(&FeedRange::full(), Position::Beginning).await;
        assert_eq!(again.next_page().await.unwrap().changes.len(), 1);
    }
    let failing = Fault::new(status(503)).on_kind("query_items");
    watched.fixture.control().inject(failing).unwrap();
    let failed = watched.feed.read_key("a", 0, 1).await.unwrap_err();
    assert!(matches!(failed, FeedFault::Unavailable(_)), "{failed:?}");
    watched.end().await;
}

#[tokio::test]
async fn a_feed_that_is_not_there_cannot_be_opened() {
    let watched = Watched::new(Mode::Strict, 1).await;
    let here = options(watched.fixture.endpoint.endpoint());
    let refused = CosmosFeed::open(&here, "nothing", fields()).await.unwrap_err();
    assert!(matches!(refused, FeedFault::Refused(_)), "{refused:?}");
    let nowhere = options("http://127.0.0.1:9");
    let failed = CosmosFeed::open(&nowhere, "events", fields()).await.unwrap_err();
    assert!(matches!(failed, FeedFault::Unavailable(_)), "{failed:?}");
    let shown = format!("{:?}", watched.feed);
    assert!(!shown.contains(KEY), "{shown}");
    assert!(FeedFields::new("aggregateId", "/order").is_err());
    watched.end().await;
}
