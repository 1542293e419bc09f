//! Lines that are read, lines that are refused, and lines that come back.

use serde_json::json;

use super::*;

const LINE: &str = r#"{"aggregateId":"loan-1","sequenceNumber":2,"type":"T","time":"2011-10-01T00:38:44.546+02:00","data":{"a":1}}"#;

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut line: Value = serde_json::from_str(LINE).unwrap();
    change(&mut line);
    line.to_string()
}

#[test]
fn the_five_fields_are_enough() {
    let (stream, line) = parse(LINE, 7, "").unwrap();
    assert_eq!(stream.as_str(), "loan-1");
    assert_eq!((line.number, line.sequence_number, line.bytes), (7, 2, LINE.len()));
    assert_eq!(line.event.event_type(), &"T");
    assert_eq!(line.event.data(), &json!({"a": 1}));
    let time = line.event.occurred_at().map(format_timestamp);
    assert_eq!(time.as_deref(), Some("2011-09-30T22:38:44.546000Z"));
    assert_eq!((line.aggregate_type, line.commit), (None, None));
    assert_eq!(line.event.id(), derived_id(&stream, 2));
}

#[test]
fn ids_follow_from_the_stream_with_its_suffix_and_the_number() {
    let name = b"https://github.com/cosmos-event-store/cosmos-event-store#imported-events";
    assert_eq!(EVENT_ID_NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_URL, name));
    let (stream, line) = parse(LINE, 1, "-copy").unwrap();
    assert_eq!(stream.as_str(), "loan-1-copy");
    assert_eq!(line.event.id(), EventId::derived(EVENT_ID_NAMESPACE, "loan-1-copy/2"));
    // An id that is given is kept: ids are unique within a stream.
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let (_, line) = parse(&with(|line| line["eventId"] = json!(id)), 1, "-copy").unwrap();
    assert_eq!(line.event.id().to_string(), id);
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    for name in ["aggregateId", "sequenceNumber", "type", "time", "data"] {
        let text = with(|line| {
            line.as_object_mut().unwrap().shift_remove(name);
        });
        assert_eq!(parse(&text, 1, ""), Err(LineError::Missing(name)));
    }
    let error = parse(&with(|line| line["eventID"] = json!(1)), 1, "").unwrap_err();
    assert!(error.to_string().starts_with("unknown field `eventID`"), "{error}");
}

#[test]
fn null_is_data() {
    let (_, line) = parse(&with(|line| line["data"] = Value::Null), 1, "").unwrap();
    assert_eq!(line.event.data(), &Value::Null);
}

#[test]
fn wrong_values_are_refused() {
    let set =
        |name: &str, value: Value| parse(&with(|line| line[name] = value), 1, "").unwrap_err();
    assert_eq!(set("time", json!("2011-10-01T00:38:44")), LineError::Time);
    assert_eq!(set("time", json!("yesterday")), LineError::Time);
    assert!(matches!(set("sequenceNumber", json!(0)), LineError::BadInput(_)));
    assert!(matches!(set("aggregateId", json!("")), LineError::BadInput(_)));
    assert!(matches!(set("metadata", json!({"actr": "x"})), LineError::BadInput(_)));
    assert!(matches!(set("schemaVersion", json!(0)), LineError::BadInput(_)));
    for commit in [
        json!({"first": 3, "size": 2}),
        json!({"first": 1, "size": 1}),
        json!({"first": 0, "size": 5}),
        json!({"first": 1, "size": 101}),
        json!({"first": 2, "size": 0}),
    ] {
        assert_eq!(set("commit", commit), LineError::Commit);
    }
    assert_eq!(set("contentHash", json!("v1:00")), LineError::ContentHash);
    let text = LINE.replace("{\"a\":1}", "{\"a\":9007199254740993}");
    assert!(matches!(parse(&text, 1, ""), Err(LineError::BadInput(_))));
    let text = LINE.replace("{\"a\":1}", "{\"a\":1,\"a\":2}");
    assert!(matches!(parse(&text, 1, ""), Err(LineError::BadInput(_))));
}

#[test]
fn new_events_have_no_place_yet() {
    let event = parse_new(r#"{"type":"T","data":[1],"schemaVersion":2}"#).unwrap();
    assert_eq!((event.event_type().as_str(), event.schema_version()), ("T", 2));
    assert_eq!(event.occurred_at(), None);
    assert_eq!(parse_new(LINE), Err(LineError::Misplaced("aggregateId")));
    assert_eq!(parse_new(r#"{"data":1}"#), Err(LineError::Missing("type")));
}
