//! Every row of the append table that needs a fault: lost answers, throttling, refusals.

use std::time::Duration;

use azure_data_cosmos::PartitionKey;
use cosmos_event_store::{
    AppendError, AppendOutcome, ExpectedVersion, ReadError, StoreErrorKind,
    clock::{Clock, SystemClock},
};
use cosmos_local::{Fault, FaultAction};
use serde_json::json;

use crate::{
    fixture::{Fixture, event, events, ids_of},
    sdk::events_container,
};

fn status(status: u16, substatus: u32) -> Fault {
    Fault::new(FaultAction::Status { status, substatus: Some(substatus), retry_after_ms: None })
        .on_kind("batch")
}

fn impatient(options: cosmos_event_store::StoreOptions) -> cosmos_event_store::StoreOptions {
    options.with_append_time_max(Duration::from_secs(2))
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_the_next_one() {
    for expected in [ExpectedVersion::NoStream, ExpectedVersion::Any] {
        let fixture = Fixture::new().await;
        let commit = events(3);
        fixture
            .control()
            .inject(Fault::new(FaultAction::DropAfter).on_kind("batch").times(1))
            .unwrap();
        // The SDK sends it again by itself, so the first call is answered with a repeat.
        let outcome = fixture.store.append("quote-1", expected, commit.clone()).await.unwrap();
        assert!(outcome.is_repeated(), "{expected}");
        assert_eq!((outcome.receipt().first, outcome.receipt().last), (1, 3));
        assert_eq!(fixture.ids("quote-1").await, ids_of(&commit));
        let sent = u64::from(outcome.receipt().round_trips);
        let counts = fixture.control().counts();
        assert_eq!(counts.of("batch"), 2);
        assert!(sent >= 3, "{sent}");
    }
}

#[tokio::test]
async fn a_lost_request_is_sent_again() {
    let fixture = Fixture::new().await;
    fixture
        .control()
        .inject(Fault::new(FaultAction::DropBefore).on_kind("batch").times(1))
        .unwrap();
    let outcome =
        fixture.store.append("quote-1", ExpectedVersion::NoStream, events(1)).await.unwrap();
    assert!(!outcome.is_repeated());
    assert_eq!(fixture.events("quote-1").await.len(), 1);
}

#[tokio::test]
async fn answers_are_sought_beyond_the_patience_of_the_sdk() {
    let fixture = Fixture::new().await;
    let commit = events(2);
    fixture.control().inject(Fault::new(FaultAction::DropAfter).on_kind("batch").times(9)).unwrap();
    let outcome =
        fixture.store.append("quote-1", ExpectedVersion::NoStream, commit.clone()).await.unwrap();
    assert!(outcome.is_repeated());
    assert_eq!(fixture.ids("quote-1").await, ids_of(&commit));
    assert_eq!(fixture.control().counts().of("batch"), 10);
}

#[tokio::test]
async fn what_is_not_settled_in_time_is_unknown_and_safe_to_repeat() {
    for (action, stored) in [(FaultAction::DropAfter, 2), (FaultAction::DropBefore, 0)] {
        let fixture = Fixture::with(impatient).await;
        let commit = events(2);
        fixture.control().inject(Fault::new(action).on_kind("batch")).unwrap();
        let clock = SystemClock::new();
        let Err(AppendError::OutcomeUnknown { stream, usage, .. }) =
            fixture.store.append("quote-1", ExpectedVersion::NoStream, commit.clone()).await
        else {
            panic!()
        };
        assert!(clock.monotonic() < Duration::from_secs(4));
        assert_eq!(stream.as_str(), "quote-1");
        assert!(usage.round_trips > 1);
        fixture.control().clear_faults();
        assert_eq!(fixture.events("quote-1").await.len(), stored);
        let outcome = fixture
            .store
            .append("quote-1", ExpectedVersion::NoStream, commit.clone())
            .await
            .unwrap();
        assert_eq!(outcome.is_repeated(), stored > 0);
        assert_eq!(fixture.ids("quote-1").await, ids_of(&commit));
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_unknown() {
    let fixture = Fixture::with(impatient).await;
    fixture
        .control()
        .inject(Fault::new(FaultAction::Delay { ms: 10_000 }).on_kind("batch"))
        .unwrap();
    let clock = SystemClock::new();
    let error =
        fixture.store.append("quote-1", ExpectedVersion::NoStream, events(1)).await.unwrap_err();
    assert!(matches!(error, AppendError::OutcomeUnknown { .. }), "{error:?}");
    assert!(clock.monotonic() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_error_says_nothing_about_the_write() {
    let fixture = Fixture::with(impatient).await;
    fixture.control().inject(status(500, 0)).unwrap();
    let error =
        fixture.store.append("quote-1", ExpectedVersion::NoStream, events(1)).await.unwrap_err();
    assert!(matches!(error, AppendError::OutcomeUnknown { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_lost_behind_other_events_is_settled_too() {
    let fixture = Fixture::new().await;
    let commit = events(2);
    // The batch is stored, its answer is lost, and the SDK's next try is delayed while others append.
    fixture
        .control()
        .inject(
            Fault::new(FaultAction::DropAfter)
                .on_kind("batch")
                .with_partition_key("quote-1")
                .times(1),
        )
        .unwrap();
    let store = fixture.store.clone();
    let mine = commit.clone();
    let lost =
        tokio::spawn(async move { store.append("quote-1", ExpectedVersion::Any, mine).await });
    let outcome = lost.await.unwrap().unwrap();
    fixture.given("quote-1", &events(3)).await;
    let again =
        fixture.store.append("quote-1", ExpectedVersion::Any, commit.clone()).await.unwrap();
    assert!(outcome.is_repeated() && again.is_repeated());
    assert_eq!(outcome.receipt().first, again.receipt().first);
    assert_eq!(fixture.events("quote-1").await.len(), 5);
}

#[tokio::test]
async fn throttling_that_ends_is_ridden_out() {
    let fixture = Fixture::new().await;
    let throttled =
        FaultAction::Status { status: 429, substatus: Some(3200), retry_after_ms: Some(5) };
    fixture.control().inject(Fault::new(throttled).on_kind("batch").times(3)).unwrap();
    let AppendOutcome::Appended(receipt) =
        fixture.store.append("quote-1", ExpectedVersion::NoStream, events(1)).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(receipt.round_trips, 4);
}

#[tokio::test]
async fn throttling_that_does_not_end_is_reported_and_nothing_is_stored() {
    let fixture = Fixture::new().await;
    let throttled =
        FaultAction::Status { status: 429, substatus: Some(3200), retry_after_ms: Some(20) };
    fixture.control().inject(Fault::new(throttled).on_kind("batch")).unwrap();
    let error =
        fixture.store.append("quote-1", ExpectedVersion::NoStream, events(1)).await.unwrap_err();
    let AppendError::Throttled { retry_after, usage, .. } = error else { panic!("{error:?}") };
    assert_eq!(retry_after, Some(Duration::from_millis(20)));
    assert_eq!(u64::from(usage.round_trips), fixture.requests());
    fixture.control().clear_faults();
    assert!(fixture.events("quote-1").await.is_empty());
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let fixture = Fixture::with(impatient).await;
    let append = || fixture.store.append("quote-1", ExpectedVersion::NoStream, events(1));
    for (code, sub_code) in [(401, 0), (403, 5300)] {
        fixture.control().inject(status(code, sub_code).times(20)).unwrap();
        let error = append().await.unwrap_err();
        assert!(matches!(error, AppendError::Denied { .. }), "{error:?}");
        fixture.control().clear_faults();
    }
    fixture.control().inject(status(403, 1014)).unwrap();
    let error = append().await.unwrap_err();
    assert!(matches!(error, AppendError::StreamFull { .. }), "{error:?}");
    fixture.control().clear_faults();

    fixture.control().inject(status(413, 0)).unwrap();
    let error = append().await.unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { bytes: None, .. }), "{error:?}");
    fixture.control().clear_faults();

    fixture.control().inject(status(400, 0)).unwrap();
    let error = append().await.unwrap_err();
    let AppendError::Store(error) = error else { panic!("{error:?}") };
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert_eq!(error.status(), Some((400, 0)));
    fixture.control().clear_faults();
    assert!(fixture.events("quote-1").await.is_empty());
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_unavailable_and_nothing_was_sent() {
    let fixture = Fixture::with(impatient).await;
    let Fixture { endpoint, store } = fixture;
    endpoint.shutdown().await.unwrap();
    let error = store.append("quote-1", ExpectedVersion::NoStream, events(1)).await.unwrap_err();
    assert!(matches!(error, AppendError::Unavailable { .. }), "{error:?}");
    let error = store.read("quote-1").all().await.unwrap_err();
    let ReadError::Store(error) = error else { panic!("{error:?}") };
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_conflict_that_no_read_explains_is_an_error_of_its_own() {
    let fixture = Fixture::new().await;
    fixture.given("quote-1", &events(2)).await;
    for expected in [ExpectedVersion::Exact(2), ExpectedVersion::Any] {
        fixture.control().inject(status(409, 0).times(1)).unwrap();
        let error = fixture.store.append("quote-1", expected, events(1)).await.unwrap_err();
        assert!(matches!(error, AppendError::Unexplained { .. }), "{error:?}");
    }
    assert_eq!(fixture.events("quote-1").await.len(), 2);
}

#[tokio::test]
async fn a_foreign_document_in_the_way_of_an_append_is_named() {
    let fixture = Fixture::new().await;
    // A unique key violation whose culprit is no event.
    let container = events_container(fixture.endpoint.endpoint()).await;
    let mine = event(1);
    let stranger = json!({"id": "stranger", "aggregateId": "quote-1", "eventId": mine.id()});
    container.create_item("quote-1", "stranger", stranger, None).await.unwrap();
    let error =
        fixture.store.append("quote-1", ExpectedVersion::NoStream, vec![mine]).await.unwrap_err();
    let AppendError::Corrupt(corrupt) = error else { panic!("{error:?}") };
    assert_eq!((corrupt.stream.as_str(), corrupt.document_id.as_str()), ("quote-1", "stranger"));
}

#[tokio::test]
async fn a_read_back_that_fails_is_unknown() {
    let fixture = Fixture::with(impatient).await;
    fixture.given("quote-1", &events(1)).await;
    let query = FaultAction::Status { status: 400, substatus: Some(0), retry_after_ms: None };
    fixture.control().inject(Fault::new(query).on_kind("query_items")).unwrap();
    let error =
        fixture.store.append("quote-1", ExpectedVersion::NoStream, events(1)).await.unwrap_err();
    assert!(matches!(error, AppendError::OutcomeUnknown { .. }), "{error:?}");
}

#[tokio::test]
async fn foreign_and_missing_documents_are_named_by_reads() {
    let fixture = Fixture::new().await;
    fixture.given("quote-1", &events(3)).await;
    let container = events_container(fixture.endpoint.endpoint()).await;
    let stranger = json!({"id": "cart", "aggregateId": "quote-1", "items": []});
    container.create_item("quote-1", "cart", stranger, None).await.unwrap();
    let error = fixture.store.read("quote-1").all().await.unwrap_err();
    let ReadError::Corrupt(corrupt) = error else { panic!("{error:?}") };
    assert_eq!((corrupt.stream.as_str(), corrupt.document_id.as_str()), ("quote-1", "cart"));
    assert!(matches!(fixture.store.version("quote-1").await, Err(ReadError::Corrupt(_))));
    // A part that does not reach the stranger can be read.
    assert_eq!(fixture.store.read("quote-1").up_to(3).all().await.unwrap().events.len(), 3);

    let key: PartitionKey = "quote-1".into();
    container.delete_item(key.clone(), "cart", None).await.unwrap();
    container.delete_item(key, "00000000000000000002", None).await.unwrap();
    for backwards in [false, true] {
        let read = fixture.store.read("quote-1");
        let read = if backwards { read.backwards() } else { read };
        let ReadError::Corrupt(corrupt) = read.all().await.unwrap_err() else { panic!() };
        assert_eq!(corrupt.document_id, "00000000000000000002");
    }
}
