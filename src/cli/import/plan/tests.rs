//! What differs, and how lines become commits.

use serde_json::{Value, json};

use super::*;
use crate::{
    cli::line::parse,
    event::{Commit, Fields, Metadata},
};

const TIME: &str = "2026-01-05T09:00:00.000000Z";

fn text(change: impl FnOnce(&mut Value)) -> String {
    let mut line = json!({
        "aggregateId": "loan-1", "sequenceNumber": 1, "type": "T", "time": TIME,
        "data": {"a": 1, "b": 2.5}, "metadata": {"actor": "x", "custom": {"n": 1}},
    });
    change(&mut line);
    line.to_string()
}

fn run_of(text: &str) -> Run {
    let (stream, line) = parse(text, 1, "").unwrap();
    Run { stream, lines: vec![line], bytes: text.len() }
}

/// What is stored when the line is imported unchanged.
fn stored() -> RecordedEvent {
    let run = run_of(&text(|_| ()));
    let event = &run.lines[0].event;
    RecordedEvent::new(Fields {
        stream: run.stream.to_string(),
        aggregate_type: "loan".to_owned(),
        sequence_number: 1,
        id: event.id(),
        event_type: event.event_type().clone(),
        schema_version: 1,
        data: event.data().clone(),
        metadata: Metadata::from_json(r#"{"custom":{"n":1.0},"actor":"x"}"#).unwrap(),
        occurred_at: TIME.parse().unwrap(),
        recorded_at: TIME.parse().unwrap(),
        commit: Commit { first: 1, size: 1 },
        content_hash: hash_of(event).parse().unwrap(),
    })
}

fn differs(change: impl FnOnce(&mut Value)) -> Option<Vec<&'static str>> {
    let run = run_of(&text(change));
    differences(&run, &run.lines[0], &stored())
}

#[test]
fn the_same_event_is_the_same_however_it_is_written() {
    assert_eq!(differs(|_| ()), None);
    assert_eq!(differs(|line| line["data"] = json!({"b": 2.5, "a": 1.0})), None);
    assert_eq!(differs(|line| line["time"] = json!("2026-01-05T10:00:00+01:00")), None);
    assert_eq!(differs(|line| line["aggregateType"] = json!("loan")), None);
    // Commits are not compared: what matters is what happened.
    assert_eq!(differs(|line| line["commit"] = json!({"first": 1, "size": 2})), None);
}

#[test]
fn every_field_that_differs_is_named() {
    for (field, value) in [
        ("eventId", json!("67e55044-10b1-426f-9247-bb680e5fe0c8")),
        ("type", json!("U")),
        ("schemaVersion", json!(2)),
        ("data", json!({"a": 1})),
        ("time", json!("2026-01-05T09:00:00.000001Z")),
        ("metadata", json!({"actor": "y"})),
        ("aggregateType", json!("credit")),
    ] {
        assert_eq!(differs(|line| line[field] = value), Some(vec![field]));
    }
    let two = differs(|line| {
        line["type"] = json!("U");
        line["data"] = json!(0);
    });
    assert_eq!(two, Some(vec!["type", "data"]));
}

fn lines(commits: &[Option<Commit>]) -> Vec<Line> {
    let run = run_of(&text(|_| ()));
    let with = |(commit, number): (&Option<Commit>, u64)| Line {
        sequence_number: number,
        commit: *commit,
        ..run.lines[0].clone()
    };
    commits.iter().zip(1..).map(with).collect()
}

#[test]
fn commits_are_as_the_lines_say() {
    let (one, two) = (Some(Commit { first: 1, size: 1 }), Some(Commit { first: 2, size: 2 }));
    assert_eq!(commits(&lines(&[one, two, two, None, None])), [0..1, 1..3, 3..5]);
    assert!(commits(&lines(&[])).is_empty());
    let full = Some(Commit { first: 1, size: 100 });
    assert_eq!(commits(&lines(&[full; 100])), vec![0..100; 1]);
}

#[test]
fn commits_are_otherwise_as_large_as_they_may_be() {
    assert_eq!(commits(&lines(&[None; 100])), [0..99, 99..100]);
    let mut large = lines(&[None; 4]);
    large[1].bytes = COMMIT_TEXT_MAX - large[0].bytes;
    assert_eq!(commits(&large), [0..2, 2..4]);
    large[1].bytes += 1;
    assert_eq!(commits(&large), [0..1, 1..2, 2..4]);
}

#[test]
fn a_commit_has_one_aggregate_type() {
    let mut mixed = lines(&[None; 3]);
    mixed[2].aggregate_type = Some("credit".to_owned());
    assert_eq!(commits(&mixed), [0..2, 2..3]);
}
