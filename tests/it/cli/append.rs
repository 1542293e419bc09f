//! `append`: receipts, repeats, conflicts and input that is refused.

use serde_json::json;

use super::program::Place;

const ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

#[test]
fn a_repeated_append_stores_nothing_and_says_so() {
    let place = Place::new();
    let append = ["append", "q-1", "--type", "T", "--data", r#"{"a":1}"#, "--event-id", ID];
    let receipt = place.json(&append);
    assert_eq!(receipt["outcome"], "appended");
    assert_eq!((&receipt["first"], &receipt["last"]), (&json!(1), &json!(1)));
    assert_eq!(receipt["eventIds"], json!([ID]));
    let receipt = place.json(&append);
    assert_eq!(receipt["outcome"], "repeated");
    let out = place.run(&append).ok();
    assert_eq!(out, format!("event 1 of q-1: repeated, it was stored before\n  {ID}\n"));
    assert_eq!(place.json(&["stats"])["events"], json!(1));
}

#[test]
fn an_unmet_expectation_has_its_own_exit_code() {
    let place = Place::new();
    let append = |expected: &str| {
        place.run(&["append", "q-1", "--type", "T", "--data", "1", "--expected", expected])
    };
    append("streamExists").failed(3, "q-1");
    append("noStream").ok();
    append("noStream").failed(3, "stream q-1 is at version 1, not at no stream");
    append("1").ok();
    append("1").failed(3, "stream q-1 is at version 2, not at version 1");
    append("7").failed(3, "stream q-1 is at version 2, not at version 7");
    append("streamExists").ok();
    append("any").ok();
    append("latest").failed_by_clap("expected any, noStream, streamExists");
    assert_eq!(place.json(&["stats"])["events"], json!(4));
}

#[test]
fn an_id_with_another_content_is_refused() {
    let place = Place::new();
    place.run(&["append", "q-1", "--type", "T", "--data", "1", "--event-id", ID]).ok();
    let other = place.run(&["append", "q-1", "--type", "T", "--data", "2", "--event-id", ID]);
    other.failed(3, "is already stored in stream q-1 as something else");
}

#[test]
fn events_of_a_file_become_one_commit() {
    let place = Place::new();
    let text = format!(
        "{}\n\n{}\n",
        json!({"type": "A", "data": {"n": 1}, "eventId": ID, "time": "2026-01-01T01:00:00+01:00"}),
        json!({"type": "B", "data": [], "schemaVersion": 2, "metadata": {"actor": "me"}}),
    );
    let file = place.file("events.jsonl", &text);
    let receipt = place.json(&["append", "q-1", "--events", &file, "--expected", "noStream"]);
    assert_eq!((&receipt["first"], &receipt["last"]), (&json!(1), &json!(2)));
    let events = place.json(&["read", "q-1"]);
    assert_eq!(events[0]["time"], "2026-01-01T00:00:00.000000Z");
    assert_eq!(events[0]["eventId"], ID);
    assert_eq!(events[1]["commit"], json!({"first": 1, "size": 2}));
    assert_eq!(events[1]["metadata"], json!({"actor": "me"}));
    assert_eq!(events[1]["schemaVersion"], json!(2));
    let bad = place.file("bad.jsonl", "{\"type\":\"A\",\"data\":1}\n{\"type\":\"A\"}\n");
    place
        .run(&["append", "q-1", "--events", &bad])
        .failed(2, "line 2: the field `data` is missing");
    assert_eq!(place.json(&["stats"])["events"], json!(2));
}

#[test]
fn data_comes_from_the_command_line_a_file_or_standard_input() {
    let place = Place::new();
    let file = place.file("data.json", "{\"from\": \"file\"}\n");
    place.run(&["append", "q-1", "--type", "T", "--data", &format!("@{file}")]).ok();
    place.run_with_input(&["append", "q-1", "--type", "T", "--data", "-"], "\"input\"").ok();
    let metadata = r#"{"correlationId":"c","custom":{"a":true}}"#;
    place.run(&["append", "q-1", "--type", "T", "--data", "null", "--metadata", metadata]).ok();
    let events = place.json(&["read", "q-1"]);
    assert_eq!(events[0]["data"], json!({"from": "file"}));
    assert_eq!(events[1]["data"], json!("input"));
    assert_eq!(events[2]["metadata"], json!({"correlationId": "c", "custom": {"a": true}}));
}

#[test]
fn input_that_cannot_be_stored_is_refused_before_anything_is_made() {
    let place = Place::new();
    let append = |data: &str| place.run(&["append", "q-1", "--type", "T", "--data", data]);
    append("{").failed(2, "not valid JSON");
    append(r#"{"n":9007199254740993}"#).failed(2, "data at \"/n\"");
    append(r#"{"n":1,"n":2}"#).failed(2, "the key occurs twice");
    assert!(!place.data_dir().exists());
    let long = "x".repeat(129);
    place
        .run(&["append", &long, "--type", "T", "--data", "1"])
        .failed(2, "a stream id has 1 to 128 characters, not 129");
}

impl super::program::Ran {
    /// Refused by the parser of the command line.
    #[track_caller]
    fn failed_by_clap(&self, text: &str) {
        assert_eq!(self.code, 2, "{self:?}");
        assert!(self.err.starts_with("error: ") && self.err.contains(text), "{self:?}");
    }
}
