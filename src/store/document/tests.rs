//! Reading what is stored, and refusing what is not ours.

use serde_json::json;

use super::*;
use crate::event::content_hash;

/// Frozen documents of schema 1. They are never changed: every later version must read them.
const FIXTURES: [&str; 3] = [
    include_str!("../../../tests/fixtures/event-schema-1.json"),
    include_str!("../../../tests/fixtures/event-schema-1-minimal.json"),
    include_str!("../../../tests/fixtures/event-schema-1-as-returned.json"),
];

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.trim_end().to_owned()).unwrap()
}

fn fixture() -> serde_json::Value {
    serde_json::from_str(FIXTURES[0]).unwrap()
}

fn reason(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut document = fixture();
    change(&mut document);
    let error = read_event(Some("quote-1"), &raw(&document.to_string())).unwrap_err();
    assert_eq!(error.stream, "quote-1");
    error.reason
}

#[test]
fn frozen_documents_are_read_and_their_hashes_hold() {
    for fixture in FIXTURES {
        let event = read_event(None, &raw(fixture)).unwrap();
        let hash = content_hash(
            &mut String::new(),
            event.event_type().as_str(),
            event.schema_version(),
            event.data(),
        );
        assert_eq!(hash, *event.content_hash());
    }
}

#[test]
fn a_frozen_document_means_what_it_says() {
    let event = read_event(Some("quote-1"), &raw(FIXTURES[0])).unwrap();
    assert_eq!(event.stream(), "quote-1");
    assert_eq!(event.aggregate_type(), "quote");
    assert_eq!(event.sequence_number(), 3);
    assert_eq!(event.id().to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
    assert_eq!(event.event_type(), &"GeographicDetailsSet");
    assert_eq!(event.schema_version(), 2);
    assert_eq!(event.data()["large"], json!(1_u64 << 60));
    assert_eq!(event.metadata().actor.as_deref(), Some("api"));
    assert_eq!(event.metadata().custom["page"], json!(2));
    assert_eq!(event.occurred_at().to_string(), "2026-11-20T09:59:59.5Z");
    assert_eq!(event.recorded_at().to_string(), "2026-11-20T10:00:00.123456Z");
    assert_eq!(event.commit(), Commit { first: 2, size: 2 });
}

#[test]
fn what_the_service_adds_and_reformats_does_not_matter() {
    let returned = read_event(Some("quote-1"), &raw(FIXTURES[2])).unwrap();
    assert_eq!(returned, read_event(Some("quote-1"), &raw(FIXTURES[0])).unwrap());
}

#[test]
fn foreign_and_damaged_documents_are_named() {
    let foreign = raw(r#"{"id":"cart","aggregateId":"quote-1","items":[]}"#);
    let error = read_event(None, &foreign).unwrap_err();
    assert_eq!((error.stream.as_str(), error.document_id.as_str()), ("quote-1", "cart"));
    assert_eq!(error.reason, "it has no schema number: another program has written it");

    for (expected, change) in [
        ("its schema is 2, and this version reads 1", json!({"schema": 2})),
        ("its id is not a sequence number", json!({"id": "3"})),
        ("its sequence number is 4", json!({"sequenceNumber": 4})),
        ("it belongs to stream \"quote-2\"", json!({"aggregateId": "quote-2"})),
        (
            "it lies outside of its commit of 2 events from 1 on",
            json!({"commit": {"first": 1, "size": 2}}),
        ),
        ("occurredAt is not a stored time", json!({"occurredAt": "2026-11-20T09:59:59.5Z"})),
        ("recordedAt is not a stored time", json!({"recordedAt": "yesterday"})),
        ("a content hash starts with v1:", json!({"contentHash": "v2:00"})),
        ("an event type has 1 to 256 characters, not 0", json!({"type": ""})),
    ] {
        let found = reason(|document| {
            for (key, value) in change.as_object().unwrap() {
                document[key] = value.clone();
            }
        });
        assert_eq!(found, expected);
    }
    let missing = reason(|document| {
        document.as_object_mut().unwrap().remove("eventId");
    });
    assert_eq!(missing, "missing field `eventId`");
}

#[test]
fn values_of_damaged_fields_are_not_repeated() {
    let found = reason(|document| document["eventId"] = json!("secret"));
    assert!(!found.contains("secret"), "{found}");
    assert!(found.starts_with("a field has another type than expected"), "{found}");
}
