//! `read`, `streams`, `stats`, `provision` and `sample`.

use serde_json::{Value, json};

use super::program::{Place, SAMPLE, program, read};

fn numbers(events: &Value) -> Vec<u64> {
    let number = |event: &Value| event["sequenceNumber"].as_u64().unwrap();
    events.as_array().unwrap().iter().map(number).collect()
}

/// A stream with the given number of events.
fn place_with(events: u64) -> Place {
    let place = Place::new();
    let lines: String = (1..=events).map(|number| super::program::line("a-1", number, 0)).collect();
    place.run_with_input(&["import", "-"], &lines).ok();
    place
}

#[test]
fn a_stream_is_printed_for_people() {
    let place = Place::with_sample();
    let out = place.run(&["read", "quote-1"]).ok();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "   1  2026-01-05T09:00:39.588Z  QuoteInitiated        by customer");
    assert_eq!(lines[1], "   2  2026-01-05T09:02:06.098Z  GeographicDetailsSet  by customer");
}

#[test]
fn every_option_of_a_read() {
    let place = place_with(9);
    let read = |args: &[&str]| numbers(&place.json(&[&["read", "a-1"], args].concat()));
    assert_eq!(read(&[]), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(read(&["--from", "4", "--to", "6"]), [4, 5, 6]);
    assert_eq!(read(&["--backwards", "--limit", "2"]), [9, 8]);
    assert_eq!(read(&["--backwards", "--from", "3", "--to", "5"]), [5, 4, 3]);
    assert_eq!(read(&["--limit", "3"]), [1, 2, 3]);
    assert_eq!(read(&["--limit", "0"]), [0; 0]);
    assert_eq!(read(&["--from", "10"]), [0; 0]);
    assert_eq!(read(&["--as-of", "2020-01-01T00:00:00Z"]), [0; 0]);
    assert_eq!(read(&["--as-of", "2999-01-01T00:00:00Z"]).len(), 9);
    let recorded = place.json(&["read", "a-1", "--limit", "1"])[0]["recordedAt"].clone();
    assert_eq!(read(&["--as-of", recorded.as_str().unwrap(), "--backwards"]).len(), 9);
    place.run(&["read", "a-1", "--from", "0"]).failed(2, "0 is not a sequence number");
}

#[test]
fn long_streams_come_page_by_page() {
    let place = place_with(1001);
    assert_eq!(numbers(&place.json(&["read", "a-1"])), (1..=1001).collect::<Vec<_>>());
    let newest = place.json(&["read", "a-1", "--backwards", "--limit", "500"]);
    assert_eq!(numbers(&newest), (502..=1001).rev().collect::<Vec<_>>());
}

#[test]
fn a_stream_that_is_not_there_has_no_events() {
    let place = Place::with_sample();
    assert_eq!(place.json(&["read", "quote-0"]), json!([]));
    let ran = place.run(&["read", "quote-0"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert_eq!(ran.err, "stream quote-0 has no such events\n");
}

#[test]
fn a_data_folder_is_not_made_by_reading() {
    let place = Place::new();
    for command in [&["read", "q"][..], &["streams"], &["stats"], &["export"]] {
        place.run(command).failed(2, "there is no data folder");
        assert!(!place.data_dir().exists());
    }
}

#[test]
fn streams_are_listed_with_their_first_events() {
    let place = Place::with_sample();
    let streams = place.json(&["streams"]);
    let streams = streams.as_array().unwrap();
    assert_eq!(streams.len(), 40);
    let first = streams.iter().find(|stream| stream["stream"] == "quote-1").unwrap();
    let expected = json!({
        "stream": "quote-1",
        "aggregateType": "quote",
        "firstEventType": "QuoteInitiated",
        "firstEventTime": "2026-01-05T09:00:39.588000Z",
    });
    assert_eq!(first, &expected);
    assert_eq!(place.run(&["streams", "--limit", "3"]).ok().lines().count(), 3);
}

#[test]
fn counts_have_the_events_of_each_type() {
    let place = Place::with_sample();
    let stats = place.json(&["stats"]);
    assert_eq!((&stats["streams"], &stats["events"]), (&json!(40), &json!(330)));
    let of_types = stats["types"].as_object().unwrap().values().map(|n| n.as_u64().unwrap());
    assert_eq!(of_types.sum::<u64>(), 330);
    assert_eq!(stats["types"]["QuoteInitiated"], json!(40));
    let out = place.run(&["stats"]).ok();
    assert!(out.starts_with("330 events  40 streams\n"), "{out}");
    assert!(out.contains("\n      40  QuoteInitiated\n"), "{out}");
}

#[test]
fn provisioning_says_what_it_made_and_what_it_found() {
    let place = Place::new();
    let all = json!(["events", "snapshots", "read-models", "leases"]);
    let first = place.json(&["provision"]);
    assert_eq!(first, json!({"database": "event-store", "created": all, "verified": []}));
    let second = place.json(&["provision"]);
    assert_eq!(second, json!({"database": "event-store", "created": [], "verified": all}));
    let other = place.run(&["provision", "--database", "tenant-2"]).ok();
    assert_eq!(other.lines().next(), Some("events       created"));
    assert_eq!(place.json(&["stats"])["events"], json!(0));
}

#[test]
fn the_shipped_sample_can_be_made_again() {
    let output = program(&["sample"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), read(SAMPLE));
}
