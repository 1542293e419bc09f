//! How lines become runs.

use serde_json::json;

use super::*;
use crate::event::{Commit, NewEvent};

fn line(number: u64, sequence_number: u64, commit: Option<Commit>) -> Line {
    let event = NewEvent::new("T", json!(null)).unwrap();
    Line { number, bytes: 100, sequence_number, event, aggregate_type: None, commit }
}

fn id(stream: &str) -> StreamId {
    StreamId::new(stream).unwrap()
}

/// Which sequence numbers of which streams are stored together.
fn runs(lines: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<(String, Vec<u64>)> {
    let mut runs = Runs::default();
    let mut closed = Vec::new();
    for ((stream, sequence_number), number) in lines.into_iter().zip(1..) {
        closed.extend(runs.push(id(stream), line(number, sequence_number, None)));
    }
    closed.extend(runs.finish());
    let numbers = |run: &Run| run.lines.iter().map(|line| line.sequence_number).collect();
    closed.iter().map(|run| (run.stream.to_string(), numbers(run))).collect()
}

#[test]
fn streams_may_be_interleaved() {
    let mixed = [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3)];
    assert_eq!(runs(mixed), [("a".to_owned(), vec![1, 2, 3]), ("b".to_owned(), vec![1, 2])]);
}

#[test]
fn what_does_not_follow_is_a_run_of_its_own() {
    let odd = [("a", 1), ("a", 2), ("a", 4), ("a", 3), ("a", 3)];
    let expected = [vec![1, 2], vec![4], vec![3], vec![3]];
    assert_eq!(runs(odd), expected.map(|numbers| ("a".to_owned(), numbers)));
}

#[test]
fn a_long_run_is_closed_when_it_fills_a_transaction() {
    let long = runs((1..=250).map(|number| ("a", number)));
    let lengths: Vec<_> = long.iter().map(|(_, numbers)| numbers.len()).collect();
    assert_eq!(lengths, [99, 99, 52]);
}

#[test]
fn a_run_ends_with_a_commit() {
    let mut runs = Runs::default();
    let mut closed = Vec::new();
    for number in 1..=180 {
        let first = (number - 1) / 60 * 60 + 1;
        let commit = Some(Commit { first, size: 60 });
        closed.extend(runs.push(id("a"), line(number, number, commit)));
    }
    closed.extend(runs.finish());
    let lengths: Vec<_> = closed.iter().map(|run| run.lines.len()).collect();
    assert_eq!(lengths, [120, 60]);
}

#[test]
fn what_waits_is_bounded_and_the_oldest_goes_first() {
    let mut runs = Runs::default();
    let mut closed = Vec::new();
    let count = u64::try_from(OPEN_LINES_MAX).unwrap() + 10;
    for number in 1..=count {
        let stream = id(&format!("s-{number}"));
        closed.extend(runs.push(stream, line(number, 1, None)));
        assert!(runs.lines <= OPEN_LINES_MAX);
    }
    let numbers: Vec<_> = closed.iter().map(|run| run.lines[0].number).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    let mut large = line(1, 1, None);
    large.bytes = OPEN_BYTES_MAX;
    assert_eq!(Runs::default().push(id("a"), large.clone()).len(), 0);
    large.bytes += 1;
    assert_eq!(Runs::default().push(id("a"), large).len(), 1);
}
