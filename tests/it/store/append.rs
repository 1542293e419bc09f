//! Every row of the append table that needs no fault.

use cosmos_event_store::{
    AppendError, AppendOptions, AppendOutcome, BadInput, ExpectedVersion, NewEvent, RecordedEvent,
    StreamId, store::WINNING_EVENTS_MAX,
};
use serde_json::json;

use crate::fixture::{Fixture, event, events, ids_of};

#[tokio::test]
async fn new_events_at_the_expected_place_are_appended_in_one_round_trip() {
    let fixture = Fixture::new().await;
    let (first, second) = (events(2), events(3));
    let AppendOutcome::Appended(receipt) =
        fixture.store.append("quote-1", ExpectedVersion::NoStream, first.clone()).await.unwrap()
    else {
        panic!()
    };
    assert_eq!((receipt.first, receipt.last, receipt.round_trips), (1, 2, 1));
    assert_eq!(receipt.stream, StreamId::new("quote-1").unwrap());
    assert!(receipt.request_charge > 0.0);
    assert!(receipt.session_token.is_some());
    assert_eq!(fixture.requests(), 1);

    let AppendOutcome::Appended(receipt) =
        fixture.store.append("quote-1", ExpectedVersion::Exact(2), second.clone()).await.unwrap()
    else {
        panic!()
    };
    assert_eq!((receipt.first, receipt.last, receipt.round_trips), (3, 5, 1));
    assert_eq!(fixture.requests(), 1);
    assert_eq!(fixture.ids("quote-1").await, [ids_of(&first), ids_of(&second)].concat());
}

#[tokio::test]
async fn acknowledged_appends_are_told_to_whoever_waits() {
    let fixture = Fixture::new().await;
    let mut appends = fixture.store.appends();
    assert_eq!(*appends.borrow_and_update(), 0);
    let clone = fixture.store.clone();
    clone.append("quote-1", ExpectedVersion::NoStream, events(2)).await.unwrap();
    appends.changed().await.unwrap();
    assert_eq!(*appends.borrow_and_update(), 1);
    let refused = fixture.store.append("quote-1", ExpectedVersion::NoStream, events(1)).await;
    assert!(refused.is_err() && !appends.has_changed().unwrap());
}

#[tokio::test]
async fn the_most_events_of_an_append_fit() {
    let fixture = Fixture::new().await;
    let appended =
        fixture.store.append("full-1", ExpectedVersion::NoStream, events(100)).await.unwrap();
    assert_eq!(appended.receipt().last, 100);
    let appended =
        fixture.store.append("full-1", ExpectedVersion::Exact(100), events(99)).await.unwrap();
    assert_eq!((appended.receipt().last, appended.receipt().round_trips), (199, 1));
    assert_eq!(fixture.events("full-1").await.len(), 199);
}

#[tokio::test]
async fn a_full_append_to_any_version_is_told_from_its_repeat() {
    let fixture = Fixture::new().await;
    let full = events(100);
    fixture.store.append("full-1", ExpectedVersion::Any, full.clone()).await.unwrap();
    let repeated = fixture.store.append("full-1", ExpectedVersion::Any, full).await.unwrap();
    assert!(repeated.is_repeated());
    assert_eq!((repeated.receipt().first, repeated.receipt().last), (1, 100));
    let refused = fixture.store.append("full-1", ExpectedVersion::Any, events(100)).await;
    assert!(matches!(
        refused,
        Err(AppendError::BadInput(BadInput::TooManyEvents { events: 100, max: 99 }))
    ));
}

#[tokio::test]
async fn a_large_append_fits_and_a_larger_one_is_refused_before_it_is_sent() {
    let fixture = Fixture::new().await;
    let large = |count: usize| -> Vec<NewEvent> {
        (0..count).map(|_| NewEvent::new("Large", "x".repeat(100_000)).unwrap()).collect()
    };
    fixture.store.append("large-1", ExpectedVersion::NoStream, large(20)).await.unwrap();
    fixture.requests();
    let refused = fixture.store.append("large-1", ExpectedVersion::Exact(20), large(21)).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { bytes: Some(_), .. })));
    assert_eq!(fixture.requests(), 0);
    assert_eq!(fixture.events("large-1").await.len(), 20);
}

#[tokio::test]
async fn a_whole_commit_again_is_a_repeat_wherever_the_stream_has_moved() {
    let fixture = Fixture::new().await;
    let commit = events(3);
    fixture.given("quote-1", &events(2)).await;
    fixture.given("quote-1", &commit).await;
    for moved in [false, true] {
        if moved {
            fixture.given("quote-1", &events(50)).await;
        }
        for expected in [
            ExpectedVersion::Exact(2),
            ExpectedVersion::NoStream,
            ExpectedVersion::Exact(4),
            ExpectedVersion::Exact(1000),
            ExpectedVersion::StreamExists,
            ExpectedVersion::Any,
        ] {
            let before = fixture.ids("quote-1").await;
            let outcome = fixture.store.append("quote-1", expected, commit.clone()).await.unwrap();
            assert!(outcome.is_repeated(), "{expected}");
            assert_eq!((outcome.receipt().first, outcome.receipt().last), (3, 5), "{expected}");
            assert_eq!(fixture.ids("quote-1").await, before);
        }
    }
}

#[tokio::test]
async fn a_repeat_takes_two_round_trips_and_may_have_other_metadata() {
    let fixture = Fixture::new().await;
    let commit = events(2);
    fixture.given("quote-1", &commit).await;
    let again: Vec<NewEvent> = commit
        .into_iter()
        .map(|event| event.with_occurred_at(jiff::Timestamp::UNIX_EPOCH).unwrap())
        .collect();
    fixture.requests();
    let repeated = fixture.store.append("quote-1", ExpectedVersion::NoStream, again).await.unwrap();
    assert!(repeated.is_repeated());
    assert_eq!(repeated.receipt().round_trips, 2);
    assert_eq!(fixture.requests(), 2);
}

#[tokio::test]
async fn ids_that_are_stored_otherwise_are_reported_with_what_is_stored() {
    let fixture = Fixture::new().await;
    let commit = events(3);
    fixture.given("quote-1", &commit).await;
    fixture.given("quote-1", &events(1)).await;
    let other_content = vec![event(99).with_id(commit[0].id())];
    let other_type = vec![NewEvent::new("Other", json!({"n": 0})).unwrap().with_id(commit[0].id())];
    let part = commit[..2].to_vec();
    let more = [commit.clone(), events(1)].concat();
    let other_order = vec![commit[1].clone(), commit[0].clone(), commit[2].clone()];
    let mixed = vec![event(7), commit[2].clone()];
    for (call, numbers) in [
        (other_content, vec![1]),
        (other_type, vec![1]),
        (part, vec![1, 2]),
        (more, vec![1, 2, 3]),
        (other_order, vec![1, 2, 3]),
        (mixed, vec![3]),
    ] {
        for expected in [
            ExpectedVersion::NoStream,
            ExpectedVersion::Exact(4),
            ExpectedVersion::Exact(9),
            ExpectedVersion::Any,
        ] {
            let Err(AppendError::EventIdReused { stored, event_id, usage, .. }) =
                fixture.store.append("quote-1", expected, call.clone()).await
            else {
                panic!("{expected}")
            };
            let found: Vec<u64> = stored.iter().map(RecordedEvent::sequence_number).collect();
            assert_eq!(found, numbers);
            assert!(call.iter().any(|event| event.id() == event_id));
            assert!(usage.round_trips >= 2);
        }
    }
    assert_eq!(fixture.events("quote-1").await.len(), 4);
}

#[tokio::test]
async fn the_same_ids_in_another_stream_are_other_events() {
    let fixture = Fixture::new().await;
    let commit = events(2);
    fixture.given("quote-1", &commit).await;
    let outcome = fixture.store.append("quote-2", ExpectedVersion::NoStream, commit).await.unwrap();
    assert!(!outcome.is_repeated());
}

#[tokio::test]
async fn another_event_at_the_place_is_a_conflict_with_the_events_that_won() {
    let fixture = Fixture::new().await;
    fixture.given("quote-1", &events(2)).await;
    let winners = events(3);
    fixture.given("quote-1", &winners).await;
    fixture.requests();
    let Err(AppendError::Conflict { stream, expected, actual, events, usage }) =
        fixture.store.append("quote-1", ExpectedVersion::Exact(2), events(2)).await
    else {
        panic!()
    };
    assert_eq!(stream.as_str(), "quote-1");
    assert_eq!((expected, actual), (ExpectedVersion::Exact(2), 5));
    let won: Vec<_> = events.iter().map(RecordedEvent::id).collect();
    assert_eq!(won, ids_of(&winners));
    assert_eq!(usage.round_trips, 2);
    assert!(usage.request_charge > 0.0);
    assert_eq!(fixture.requests(), 2);
}

#[tokio::test]
async fn the_winning_events_are_bounded() {
    let fixture = Fixture::new().await;
    fixture.given("quote-1", &events(90)).await;
    let Err(AppendError::Conflict { actual, events, .. }) =
        fixture.store.append("quote-1", ExpectedVersion::Exact(10), events(1)).await
    else {
        panic!()
    };
    assert_eq!(actual, 90);
    assert_eq!(events.len() as u64, WINNING_EVENTS_MAX);
    assert_eq!(events[0].sequence_number(), 11);
}

#[tokio::test]
async fn a_missing_predecessor_is_a_conflict_with_a_lower_version() {
    let fixture = Fixture::new().await;
    fixture.given("quote-1", &events(2)).await;
    for (stream, expected, version) in [("quote-1", 5, 2), ("quote-2", 1, 0)] {
        let Err(AppendError::Conflict { actual, events, usage, .. }) =
            fixture.store.append(stream, ExpectedVersion::Exact(expected), events(1)).await
        else {
            panic!()
        };
        assert_eq!((actual, events.len()), (version, 0));
        // The batch, what is stored, and the version.
        assert_eq!(usage.round_trips, 3);
    }
    assert_eq!(fixture.events("quote-2").await.len(), 0);
}

#[tokio::test]
async fn no_stream_and_stream_exists_mean_what_they_say() {
    let fixture = Fixture::new().await;
    let refused = fixture.store.append("quote-1", ExpectedVersion::StreamExists, events(1)).await;
    assert!(matches!(
        refused,
        Err(AppendError::Conflict { actual: 0, expected: ExpectedVersion::StreamExists, .. })
    ));
    fixture.store.append("quote-1", ExpectedVersion::Exact(0), events(1)).await.unwrap();
    let refused = fixture.store.append("quote-1", ExpectedVersion::NoStream, events(1)).await;
    assert!(matches!(refused, Err(AppendError::Conflict { actual: 1, .. })));
    fixture.requests();
    let appended =
        fixture.store.append("quote-1", ExpectedVersion::StreamExists, events(1)).await.unwrap();
    assert_eq!((appended.receipt().first, appended.receipt().round_trips), (2, 2));
    assert_eq!(fixture.requests(), 2);
}

#[tokio::test]
async fn bad_input_is_refused_before_anything_is_sent() {
    let fixture = Fixture::new().await;
    let append = |stream: &'static str, events: Vec<NewEvent>| {
        let store = fixture.store.clone();
        async move { store.append(stream, ExpectedVersion::Any, events).await }
    };
    let same = vec![event(1); 2];
    assert!(matches!(
        append("", events(1)).await,
        Err(AppendError::BadInput(BadInput::StreamIdLength { .. }))
    ));
    assert!(matches!(
        append("a\nb", events(1)).await,
        Err(AppendError::BadInput(BadInput::StreamIdControl { position: 2 }))
    ));
    assert!(matches!(
        append("a", Vec::new()).await,
        Err(AppendError::BadInput(BadInput::NoEvents))
    ));
    assert!(matches!(
        append("a", events(101)).await,
        Err(AppendError::BadInput(BadInput::TooManyEvents { .. }))
    ));
    assert!(matches!(
        append("a", same).await,
        Err(AppendError::BadInput(BadInput::DuplicateEventId { .. }))
    ));
    assert_eq!(fixture.requests(), 0);
}

#[tokio::test]
async fn everything_that_an_event_has_comes_back() {
    let fixture = Fixture::new().await;
    let metadata = cosmos_event_store::Metadata::default()
        .with_correlation_id("c")
        .with_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None)
        .with_custom("limit", 1_u64 << 60);
    let data = r#"{"z":1,"a":{"y":[1.5,-0.25,1e300,9007199254740992,1152921504606846976,-9223372036854775808],"b":"\u0001\ud83d\ude00\"\\/"},"n":null,"t":true,"e":{},"l":[]}"#;
    let event = NewEvent::from_json("Every \u{1f600} kind/of?type#", data)
        .unwrap()
        .with_schema_version(7)
        .unwrap()
        .with_metadata(metadata.clone())
        .unwrap()
        .with_occurred_at("1969-07-20T20:17:40.123456789Z".parse().unwrap())
        .unwrap();
    let stream = "a/b?c#d%20\\ \u{1f600}-1";
    let options = AppendOptions::default().with_aggregate_type("odd one");
    fixture
        .store
        .append_with(stream, ExpectedVersion::NoStream, vec![event.clone()], options)
        .await
        .unwrap();
    let stored = fixture.store.read_event(stream, 1).await.unwrap().value.unwrap();
    assert_eq!(stored.stream(), stream);
    assert_eq!(stored.aggregate_type(), "odd one");
    assert_eq!(stored.id(), event.id());
    assert_eq!(stored.event_type(), event.event_type());
    assert_eq!(stored.schema_version(), 7);
    assert_eq!(stored.data(), event.data());
    assert_eq!(stored.data()["a"]["y"][4], json!(1_u64 << 60));
    assert_eq!(
        stored.data().as_object().unwrap().keys().collect::<Vec<_>>(),
        ["z", "a", "n", "t", "e", "l"]
    );
    assert_eq!(*stored.metadata(), metadata);
    assert_eq!(stored.occurred_at().to_string(), "1969-07-20T20:17:40.123456Z");
    assert_eq!((stored.commit().first, stored.commit().size), (1, 1));
    let read = fixture.events(stream).await;
    assert_eq!(read, [stored]);
    // The hash does not depend on having been stored in between.
    assert!(
        fixture
            .store
            .append(stream, ExpectedVersion::Any, vec![event])
            .await
            .unwrap()
            .is_repeated()
    );
}
