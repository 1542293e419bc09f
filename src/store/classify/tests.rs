//! The classification, case by case, and against a model.
#![allow(clippy::as_conversions, reason = "lengths of short lists")]

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::event::{Commit, EventType, Fields, Metadata, content_hash};

/// The id of test event `n`.
fn id(n: u64) -> EventId {
    EventId::new(Uuid::from_u128(u128::from(n)))
}

fn hash(content: u64) -> ContentHash {
    content_hash(&mut String::new(), "Tested", 1, &json!(content))
}

fn wanted(ids_and_contents: &[(u64, u64)]) -> Vec<Wanted> {
    ids_and_contents.iter().map(|&(n, content)| Wanted { id: id(n), hash: hash(content) }).collect()
}

fn stored(number: u64, n: u64, content: u64, first: u64, size: u64) -> RecordedEvent {
    RecordedEvent::new(Fields {
        stream: "test-1".to_owned(),
        aggregate_type: "test".to_owned(),
        sequence_number: number,
        id: id(n),
        event_type: EventType::new("Tested").unwrap(),
        schema_version: 1,
        data: json!(content),
        metadata: Metadata::default(),
        occurred_at: Timestamp::UNIX_EPOCH,
        recorded_at: Timestamp::UNIX_EPOCH,
        commit: Commit { first, size },
        content_hash: hash(content),
    })
}

/// A stream of commits, each given as (id, content) pairs.
fn stream(commits: &[&[(u64, u64)]]) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    for commit in commits {
        let first = events.len() as u64 + 1;
        for (number, &(n, content)) in (first..).zip(*commit) {
            events.push(stored(number, n, content, first, commit.len() as u64));
        }
    }
    events
}

/// What the store would read of a stream.
fn read_back(stream: &[RecordedEvent], wanted: &[Wanted], place: u64) -> ReadBack {
    let is_wanted = |event: &&RecordedEvent| wanted.iter().any(|wanted| wanted.id == event.id());
    let at_place = |event: &&RecordedEvent| event.sequence_number() >= place;
    ReadBack {
        same_ids: stream.iter().filter(is_wanted).rev().cloned().collect(),
        at_place: stream.iter().filter(at_place).cloned().collect(),
        version: stream.len() as u64,
    }
}

fn verdict(commits: &[&[(u64, u64)]], call: &[(u64, u64)], place: u64) -> Verdict {
    let (stream, wanted) = (stream(commits), wanted(call));
    let read = read_back(&stream, &wanted, place);
    classify(&wanted, place, read)
}

fn reused(first_id: u64, numbers: &[u64]) -> impl Fn(&Verdict) -> bool {
    move |verdict| match verdict {
        Verdict::Reused { event_id, stored } => {
            let found: Vec<u64> = stored.iter().map(RecordedEvent::sequence_number).collect();
            *event_id == id(first_id) && found == numbers
        }
        _ => false,
    }
}

#[test]
fn the_same_commit_is_a_repeat_wherever_the_stream_has_moved() {
    let call = [(1, 1), (2, 2)];
    assert_eq!(verdict(&[&call], &call, 1), Verdict::Repeated { first: 1 });
    assert_eq!(verdict(&[&call, &[(9, 9)]], &call, 1), Verdict::Repeated { first: 1 });
    assert_eq!(verdict(&[&[(9, 9)], &call], &call, 2), Verdict::Repeated { first: 2 });
    // Another expected version than the first time, before, behind and beyond the end.
    for place in 1..=7 {
        let commits: [&[(u64, u64)]; 3] = [&[(8, 8)], &call, &[(9, 9)]];
        assert_eq!(verdict(&commits, &call, place), Verdict::Repeated { first: 2 }, "{place}");
    }
}

#[test]
fn another_content_under_an_id_is_reuse() {
    assert!(reused(1, &[1])(&verdict(&[&[(1, 1)]], &[(1, 7)], 1)));
    assert!(reused(1, &[1, 2])(&verdict(&[&[(1, 1), (2, 2)]], &[(1, 1), (2, 7)], 1)));
}

#[test]
fn part_of_a_commit_is_reuse() {
    let commits: [&[(u64, u64)]; 1] = [&[(1, 1), (2, 2), (3, 3)]];
    assert!(reused(1, &[1, 2])(&verdict(&commits, &[(1, 1), (2, 2)], 1)));
    assert!(reused(2, &[2, 3])(&verdict(&commits, &[(2, 2), (3, 3)], 2)));
    assert!(reused(2, &[2])(&verdict(&commits, &[(2, 2)], 4)));
}

#[test]
fn more_than_a_commit_is_reuse() {
    let commits: [&[(u64, u64)]; 2] = [&[(1, 1)], &[(2, 2)]];
    assert!(reused(1, &[1, 2])(&verdict(&commits, &[(1, 1), (2, 2)], 1)));
    assert!(reused(1, &[1])(&verdict(&[&[(1, 1)]], &[(1, 1), (2, 2)], 1)));
    assert!(reused(2, &[2])(&verdict(&commits, &[(5, 5), (2, 2)], 1)));
}

#[test]
fn another_order_is_reuse() {
    let commits: [&[(u64, u64)]; 1] = [&[(1, 1), (2, 2)]];
    assert!(reused(2, &[1, 2])(&verdict(&commits, &[(2, 2), (1, 1)], 1)));
}

#[test]
fn other_events_at_the_place_are_a_conflict_with_them() {
    let commits: [&[(u64, u64)]; 2] = [&[(1, 1)], &[(2, 2), (3, 3)]];
    let Verdict::Conflict { actual, events } = verdict(&commits, &[(9, 9)], 2) else { panic!() };
    assert_eq!(actual, 3);
    assert_eq!(events.iter().map(RecordedEvent::id).collect::<Vec<_>>(), [id(2), id(3)]);
}

#[test]
fn a_missing_predecessor_is_a_conflict_with_a_lower_version() {
    assert_eq!(
        verdict(&[&[(1, 1)]], &[(9, 9)], 5),
        Verdict::Conflict { actual: 1, events: Vec::new() }
    );
    assert_eq!(verdict(&[], &[(9, 9)], 2), Verdict::Conflict { actual: 0, events: Vec::new() });
}

#[test]
fn a_free_place_and_free_ids_explain_nothing() {
    assert_eq!(verdict(&[&[(1, 1)]], &[(9, 9)], 2), Verdict::Unexplained);
    assert_eq!(verdict(&[], &[(9, 9)], 1), Verdict::Unexplained);
}

/// The table of appends, said in another way than the code does.
fn model(commits: &[Vec<(u64, u64)>], call: &[(u64, u64)], place: u64) -> &'static str {
    let length: usize = commits.iter().map(Vec::len).sum();
    if commits.iter().any(|commit| commit == call) {
        "repeated"
    } else if commits.iter().flatten().any(|(n, _)| call.iter().any(|(wanted, _)| wanted == n)) {
        "reused"
    } else if length as u64 + 1 == place {
        "unexplained"
    } else {
        "conflict"
    }
}

/// Commits of one to three events with ids that do not repeat within the stream.
fn commits() -> impl Strategy<Value = Vec<Vec<(u64, u64)>>> {
    prop::collection::vec(prop::collection::vec(0_u64..2, 1..4), 0..4).prop_map(|commits| {
        let mut n = 0;
        let mut numbered = |content| {
            n += 1;
            (n, content)
        };
        commits.into_iter().map(|commit| commit.into_iter().map(&mut numbered).collect()).collect()
    })
}

proptest! {
    #[test]
    fn the_verdict_is_that_of_the_table(
        commits in commits(),
        call in prop::collection::hash_map(1_u64..10, 0_u64..2, 1..4),
        place in 1_u64..12,
    ) {
        let call: Vec<(u64, u64)> = call.into_iter().collect();
        let slices: Vec<&[(u64, u64)]> = commits.iter().map(Vec::as_slice).collect();
        let said = match verdict(&slices, &call, place) {
            Verdict::Repeated { .. } => "repeated",
            Verdict::Reused { .. } => "reused",
            Verdict::Conflict { .. } => "conflict",
            Verdict::Unexplained => "unexplained",
        };
        prop_assert_eq!(said, model(&commits, &call, place));
    }

    #[test]
    fn every_stored_commit_is_recognised(commits in commits(), place in 1_u64..12) {
        let slices: Vec<&[(u64, u64)]> = commits.iter().map(Vec::as_slice).collect();
        let mut first = 1;
        for commit in &commits {
            prop_assert_eq!(verdict(&slices, commit, place), Verdict::Repeated { first });
            first += commit.len() as u64;
        }
    }
}
