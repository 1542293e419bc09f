//! A real log of loan applications, where it is there.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
};

use serde_json::{Value, json};

use super::program::Place;

/// As many lines as an unoptimised build imports in a few seconds.
const LINES: usize = 4000;

#[test]
fn a_part_of_the_real_log_is_imported_twice() {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/loan-applications.jsonl.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("skipped: the real log is not there ({})", path.display());
        return;
    };
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let lines: Vec<String> = lines.take(LINES).map(Result::unwrap).collect();
    let streams: std::collections::BTreeSet<String> =
        lines.iter().map(|line| stream(line)).collect();
    let place = Place::new();
    let log = place.file("part.jsonl", &lines.join("\n"));
    let first = place.json(&["import", &log]);
    assert_eq!((&first["appended"], &first["failed"]), (&json!(LINES), &json!(0)));
    assert_eq!(first["streams"], json!(streams.len()));
    let second = place.json(&["import", &log]);
    assert_eq!((&second["appended"], &second["repeated"]), (&json!(0), &json!(LINES)));
    let stats = place.json(&["stats"]);
    assert_eq!((&stats["streams"], &stats["events"]), (&json!(streams.len()), &json!(LINES)));
    let events = place.json(&["read", "loan-173688"]);
    let types: Vec<&str> =
        events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types[..3], ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED"]);
    assert_eq!(events[0]["time"], "2011-09-30T22:38:44.546000Z");
    assert_eq!(events[0]["data"]["case:AMOUNT_REQ"], "20000");
}

fn stream(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    line["aggregateId"].as_str().unwrap().to_owned()
}
