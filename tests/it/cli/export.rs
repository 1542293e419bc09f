//! `export`: what comes out goes in again, and is the same.

use serde_json::Value;

use super::program::{Place, SAMPLE_EVENTS, SAMPLE_STREAMS, read};

/// A log sorted by stream and number, without the time of storing.
fn comparable(log: &str) -> Vec<Value> {
    let mut events: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in &mut events {
        event.as_object_mut().unwrap().shift_remove("recordedAt").unwrap();
    }
    events.sort_by_key(|event| {
        (event["aggregateId"].to_string(), event["sequenceNumber"].as_u64().unwrap())
    });
    events
}

/// A place whose events have everything that an event can have.
fn rich() -> Place {
    let place = Place::with_sample();
    let events = concat!(
        r#"{"type":"Opened","data":{"amount":12.5,"big":9007199254740992},"schemaVersion":3}"#,
        "\n",
        r#"{"type":"Seen","data":null,"metadata":{"actor":"x","custom":{"k":[1,2]}}}"#,
        "\n",
    );
    let file = place.file("events.jsonl", events);
    place.run(&["append", "odd/one #1", "--events", &file, "--aggregate-type", "Odd"]).ok();
    place
        .run(&[
            "append",
            "odd/one #1",
            "--type",
            "Closed",
            "--data",
            "{}",
            "--aggregate-type",
            "Odd",
        ])
        .ok();
    place
}

#[test]
fn an_import_of_an_export_gives_the_same_events() {
    let (from, to) = (rich(), Place::new());
    let log = from.run(&["export"]).ok();
    let report = to.json(&["import", &to.file("log.jsonl", &log)]);
    assert_eq!(report["appended"].as_u64(), Some(SAMPLE_EVENTS + 3));
    assert_eq!(report["streams"].as_u64(), Some(SAMPLE_STREAMS + 1));
    assert_eq!(comparable(&to.run(&["export"]).ok()), comparable(&log));
    let odd = to.json(&["read", "odd/one #1"]);
    assert_eq!(odd[0]["commit"], serde_json::json!({"first": 1, "size": 2}));
    assert_eq!(odd[2]["commit"], serde_json::json!({"first": 3, "size": 1}));
    assert_eq!(odd[1]["metadata"]["custom"]["k"], serde_json::json!([1, 2]));
    assert_eq!(odd[0]["aggregateType"], "Odd");
    // Back where it comes from, it is a repetition.
    let report = from.json(&["import", &to.path("log.jsonl")]);
    assert_eq!(report["repeated"].as_u64(), Some(SAMPLE_EVENTS + 3));
}

#[test]
fn a_stream_is_exported_as_it_is_read() {
    let place = Place::with_sample();
    let log = place.run(&["export", "quote-2"]).json_lines();
    assert_eq!(Value::from(log), place.json(&["read", "quote-2"]));
    assert_eq!(place.run(&["export", "quote-0"]).ok(), "");
}

#[test]
fn a_file_appears_when_it_is_complete() {
    let place = Place::with_sample();
    let file = place.path("log.jsonl.gz");
    let out = place.run(&["export", "--file", &file]).ok();
    assert!(out.starts_with("330 events of 40 streams written to "), "{out}");
    assert!(!std::fs::exists(place.path("log.jsonl.gz.part")).unwrap());
    assert!(std::fs::read(&file).unwrap().starts_with(&[0x1f, 0x8b]));
    let report = Place::new().json(&["import", &file]);
    assert_eq!(report["appended"].as_u64(), Some(SAMPLE_EVENTS));
    let plain = place.path("log.jsonl");
    let exported = place.json(&["export", "--file", &plain]);
    assert_eq!(exported["events"].as_u64(), Some(SAMPLE_EVENTS));
    assert_eq!(exported["streams"].as_u64(), Some(SAMPLE_STREAMS));
    assert_eq!(comparable(&read(plain)), comparable(&place.run(&["export"]).ok()));
    place.run(&["export", "--file", &place.path("no/such/folder")]).failed(1, "No such file");
}
