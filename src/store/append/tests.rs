//! What is refused before anything is sent, and what would be sent.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::ManualClock,
    event::{EventId, Metadata},
};

fn prepare(expected: ExpectedVersion, events: Vec<NewEvent>) -> Result<Prepared, AppendError> {
    let clock = ManualClock::new("2026-11-20T10:00:00.1234567Z".parse::<Timestamp>().unwrap());
    let stream = StreamId::new("quote-1").unwrap();
    Prepared::new(stream, expected, events, AppendOptions::default(), &clock)
}

fn event(data: Value) -> NewEvent {
    NewEvent::new("Tested", data).unwrap()
}

fn events(count: usize) -> Vec<NewEvent> {
    (0..count).map(|n| event(json!(n))).collect()
}

fn refused(expected: ExpectedVersion, events: Vec<NewEvent>) -> BadInput {
    match prepare(expected, events) {
        Err(AppendError::BadInput(input)) => input,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_number_of_events_depends_on_the_place() {
    for expected in [ExpectedVersion::NoStream, ExpectedVersion::Exact(0), ExpectedVersion::Any] {
        assert!(prepare(expected, events(100)).is_ok(), "{expected}");
        assert_eq!(
            refused(expected, events(101)),
            BadInput::TooManyEvents { events: 101, max: 100 }
        );
    }
    for expected in [ExpectedVersion::Exact(1), ExpectedVersion::StreamExists] {
        assert!(prepare(expected, events(99)).is_ok(), "{expected}");
        assert_eq!(
            refused(expected, events(100)),
            BadInput::TooManyEvents { events: 100, max: 99 }
        );
    }
    assert_eq!(refused(ExpectedVersion::Any, Vec::new()), BadInput::NoEvents);
}

#[test]
fn an_id_occurs_once_in_a_call() {
    let event_id = EventId::random();
    let twice = vec![event(json!(1)).with_id(event_id), event(json!(2)).with_id(event_id)];
    assert_eq!(refused(ExpectedVersion::Any, twice), BadInput::DuplicateEventId { event_id });
}

#[test]
fn versions_end_where_numbers_do() {
    let last = ExpectedVersion::Exact(SEQUENCE_NUMBER_MAX - 1);
    assert!(prepare(last, events(1)).is_ok());
    assert_eq!(
        refused(last, events(2)),
        BadInput::SequenceNumberRange { number: SEQUENCE_NUMBER_MAX - 1, max: SEQUENCE_NUMBER_MAX }
    );
    assert!(matches!(
        refused(ExpectedVersion::Exact(u64::MAX), events(1)),
        BadInput::SequenceNumberRange { .. }
    ));
}

#[test]
fn data_and_metadata_are_bounded() {
    let data = |bytes: usize| vec![event(json!("x".repeat(bytes - 2)))];
    assert!(prepare(ExpectedVersion::Any, data(DATA_BYTES_MAX)).is_ok());
    assert_eq!(
        refused(ExpectedVersion::Any, data(DATA_BYTES_MAX + 1)),
        BadInput::DataSize { bytes: DATA_BYTES_MAX + 1, max: DATA_BYTES_MAX }
    );
    let metadata = |bytes: usize| {
        let metadata = Metadata::default().with_actor("x".repeat(bytes - 12));
        vec![event(json!(1)).with_metadata(metadata).unwrap()]
    };
    assert!(prepare(ExpectedVersion::Any, metadata(METADATA_BYTES_MAX)).is_ok());
    assert_eq!(
        refused(ExpectedVersion::Any, metadata(METADATA_BYTES_MAX + 1)),
        BadInput::MetadataSize { bytes: METADATA_BYTES_MAX + 1, max: METADATA_BYTES_MAX }
    );
}

#[test]
fn a_batch_is_measured_when_it_comes_near_the_limit() {
    let large = |count: usize, bytes: usize| -> Vec<NewEvent> {
        (0..count).map(|_| event(json!("x".repeat(bytes)))).collect()
    };
    assert!(prepare(ExpectedVersion::NoStream, large(20, 100_000)).is_ok());
    let Err(AppendError::TooLarge { bytes: Some(bytes), max, .. }) =
        prepare(ExpectedVersion::NoStream, large(21, 100_000))
    else {
        panic!()
    };
    assert!(bytes > max && bytes < max + 100_000, "{bytes}");
}

#[test]
fn numbers_that_grow_when_they_are_written_are_measured() {
    // `1.0` is `1` in canonical form, so the written list is twice as long.
    let floats = Value::Array(vec![json!(1.0); 300_000]);
    assert_eq!(
        refused(ExpectedVersion::Any, vec![event(floats)]),
        BadInput::DataSize { bytes: 1_200_001, max: DATA_BYTES_MAX }
    );
}

#[test]
fn aggregate_types_are_checked() {
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    let named = |name: &str| {
        let options = AppendOptions::default().with_aggregate_type(name);
        let stream = StreamId::new("quote-1").unwrap();
        Prepared::new(stream, ExpectedVersion::Any, events(1), options, &clock)
    };
    assert_eq!(named("policy").unwrap().aggregate_type, "policy");
    assert!(matches!(
        named(""),
        Err(AppendError::BadInput(BadInput::AggregateTypeLength { characters: 0, max: 128 }))
    ));
    assert!(matches!(
        named("a\u{0}"),
        Err(AppendError::BadInput(BadInput::AggregateTypeControl { position: 2 }))
    ));
}

#[test]
fn times_are_cut_to_microseconds_and_default_to_the_recording() {
    let at: Timestamp = "2026-11-19T09:00:00.9999999Z".parse().unwrap();
    let events = vec![event(json!(1)).with_occurred_at(at).unwrap(), event(json!(2))];
    let prepared = prepare(ExpectedVersion::Exact(4), events).unwrap();
    let documents: Vec<_> = prepared.documents(5).collect();
    assert_eq!(documents[0].occurred_at, "2026-11-19T09:00:00.999999Z");
    assert_eq!(documents[1].occurred_at, "2026-11-20T10:00:00.123456Z");
    assert_eq!(documents[0].recorded_at, "2026-11-20T10:00:00.123456Z");
    assert_eq!(documents[1].id, "00000000000000000006");
    assert_eq!((documents[1].commit.first, documents[1].commit.size), (5, 2));
}

/// The fixture is frozen: what it holds is what every version of the store must write for this event.
#[test]
fn the_written_document_is_that_of_the_fixture() {
    let metadata = Metadata::default()
        .with_correlation_id("c-1")
        .with_causation_id("command-7")
        .with_trace(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            Some("vendor=1".to_owned()),
        )
        .with_actor("api")
        .with_custom("page", 2);
    let second = NewEvent::from_json(
        "GeographicDetailsSet",
        r#"{"zipCode":"560001","city":"Bengaluru","area":12.5,"large":1152921504606846976,"tags":[]}"#,
    )
    .unwrap()
    .with_id("67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap())
    .with_schema_version(2)
    .unwrap()
    .with_metadata(metadata)
    .unwrap()
    .with_occurred_at("2026-11-20T09:59:59.5Z".parse().unwrap())
    .unwrap();
    let first = event(json!({}));
    let prepared = prepare(ExpectedVersion::Exact(1), vec![first, second]).unwrap();
    let document = prepared.documents(2).nth(1).unwrap();
    let written = serde_json::to_string(&document).unwrap();
    assert_eq!(written, include_str!("../../../tests/fixtures/event-schema-1.json").trim_end());
    // The SDK turns a document into a value before it writes it.
    let through_value = serde_json::to_value(&document).unwrap().to_string();
    assert_eq!(through_value, written);
}
