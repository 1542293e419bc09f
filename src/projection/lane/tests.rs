//! Tests of lanes and of the plan of a run.

use std::sync::Arc;

use serde_json::json;

use super::{
    cache::Slot,
    plan::{Planned, plan, prepare},
    *,
};
use crate::projection::{
    Document, Kind, ViewKey,
    document::Guard,
    exactness::{Broken, Chains, Lines, Sums, event},
    memory::{MemoryViews, Weather},
};

fn noted(number: u64, event_type: &str) -> Arc<RecordedEvent> {
    Arc::new(event("a", number, event_type, json!({"number": 1, "part": "p", "group": "red"})))
}

/// A run with all of its events taken but those that are named.
fn run(first: u64, last: u64, not_taken: &[u64]) -> Run {
    let taken = (first..=last).filter(|number| !not_taken.contains(number));
    Run { first, last, events: taken.map(|number| noted(number, "Added")).collect() }
}

/// What is stored after an event, and up to where it is known to be complete.
fn slot(last: u64, covered: u64) -> Slot {
    let guard = Guard::of(&noted(last, "Added"));
    let document = Document::of_stream("p", Kind::View, "a", guard);
    Slot { covered, ..Slot::of(document, "1".to_owned()) }
}

fn numbers(planned: &Planned) -> Vec<u64> {
    planned.events.iter().map(|event| event.sequence_number()).collect()
}

#[test]
fn events_that_are_there_are_passed_over() {
    let planned = plan(Some(&slot(3, 3)), &run(2, 5, &[]), usize::MAX).unwrap();
    assert_eq!((numbers(&planned), planned.covered, planned.repeats), (vec![4, 5], 5, 2));
    let planned = plan(Some(&slot(9, 9)), &run(2, 5, &[]), usize::MAX).unwrap();
    assert_eq!((numbers(&planned), planned.covered, planned.repeats), (vec![], 9, 4));
    let planned = plan(None, &run(1, 2, &[]), usize::MAX).unwrap();
    assert_eq!((numbers(&planned), planned.covered), (vec![1, 2], 2));
}

#[test]
fn a_gap_is_found_by_what_is_covered_and_not_by_the_guard() {
    let missing = |from| Err(Verdict::Missing { from });
    let found = |slot: Option<&Slot>, run: &Run| plan(slot, run, usize::MAX).map(|_| ());
    assert_eq!(found(None, &run(2, 3, &[])), missing(1));
    assert_eq!(found(Some(&Slot::absent()), &run(2, 3, &[])), missing(1));
    assert_eq!(found(Some(&slot(3, 3)), &run(5, 6, &[])), missing(4));
    assert_eq!(found(Some(&slot(3, 3)), &run(4, 6, &[])), Ok(()));
    // The fourth is known not to concern the projection.
    assert_eq!(found(Some(&slot(3, 4)), &run(5, 6, &[])), Ok(()));
}

#[test]
fn another_history_is_poison() {
    let mut of_other = slot(3, 3);
    let other = Guard::of(&event("b", 3, "Added", json!({})));
    of_other.document = Some(Document::of_stream("p", Kind::View, "a", other));
    for run in [run(3, 3, &[]), run(1, 5, &[])] {
        let found = plan(Some(&of_other), &run, usize::MAX);
        assert!(matches!(found, Err(Verdict::Poison(_))), "{found:?}");
    }
    // Where the event of the guard is not among them nobody can tell.
    assert!(plan(Some(&of_other), &run(1, 2, &[]), usize::MAX).is_ok());
}

#[test]
fn a_run_is_taken_in_parts() {
    let run = run(1, 7, &[2, 6, 7]);
    let part = plan(Some(&Slot::absent()), &run, 2).unwrap();
    assert_eq!((numbers(&part), part.covered, part.is_part), (vec![1, 3], 3, true));
    let part = plan(Some(&slot(3, 3)), &run, 2).unwrap();
    // What is not taken behind the last one is covered too.
    assert_eq!((numbers(&part), part.covered, part.is_part), (vec![4, 5], 7, false));
    assert_eq!(plan(Some(&slot(5, 5)), &run, 2).unwrap().covered, 7);
}

fn prepared<'a>(
    projection: &Projection,
    events: Vec<Arc<RecordedEvent>>,
    documents: impl Fn(&ViewKey) -> Option<&'a Document>,
) -> Vec<(String, Option<Document>)> {
    let covered = events.last().unwrap().sequence_number();
    let planned = Planned { events, covered, repeats: 0, is_part: false };
    prepare(projection, "p", "a", &planned, documents).unwrap().documents
}

#[test]
fn a_view_that_is_made_and_deleted_leaves_a_guard() {
    let projection = Projection::views(Chains { broken: Broken::default(), takes: None }).unwrap();
    let events = vec![noted(1, "Added"), noted(2, "Ended")];
    let made = prepared(&projection, events, |_| None);
    let own = made[0].1.clone().unwrap();
    assert_eq!(
        (own.kind, own.data.is_none(), own.last_sequence_number),
        (Kind::Guard, true, Some(2))
    );
    // And made again from what is nothing.
    let made = prepared(&projection, vec![noted(3, "Added")], |_| Some(&own));
    let again = made[0].1.clone().unwrap();
    assert_eq!((again.kind, again.value()["events"].clone()), (Kind::View, json!(1)));
}

#[test]
fn the_guard_moves_where_the_view_of_the_stream_is_not_touched() {
    let projection = Projection::views(Lines { broken: Broken::default() }).unwrap();
    let made = prepared(&projection, vec![noted(1, "Moved"), noted(2, "Noted")], |_| None);
    let [(_, Some(own)), (_, Some(other)), (_, Some(part))] = made.as_slice() else {
        panic!("{made:?}")
    };
    assert_eq!((own.kind, own.last_sequence_number), (Kind::View, Some(2)));
    for part in [other, part] {
        assert_eq!(part.last_sequence_number, Some(1), "the last event that touches it");
    }
    let made = prepared(&projection, vec![noted(3, "Noted")], |_| Some(own));
    let moved = made[0].1.clone().unwrap();
    assert_eq!((moved.kind, moved.last_sequence_number, made.len()), (Kind::View, Some(3), 1));
    assert_eq!(moved.value(), own.value());
}

#[test]
fn totals_that_stay_the_same_are_not_changed() {
    let projection = Projection::totals(Sums { broken: Broken::default() }).unwrap();
    let changes = |events, own: Option<&Document>| {
        let planned = Planned { events, covered: 9, repeats: 0, is_part: false };
        prepare(&projection, "p", "a", &planned, |_| own).unwrap()
    };
    let first = changes(vec![noted(1, "Added")], None);
    assert_eq!(first.totals.len(), 0, "it has no group yet");
    let own = first.documents[0].1.clone();
    let moved = changes(vec![noted(2, "Moved")], own.as_ref());
    let keys: Vec<_> = moved.totals.iter().map(|change| change.key.as_str()).collect();
    assert_eq!(keys, ["red"]);
    assert!(moved.totals[0].old.is_none() && moved.totals[0].new.is_some());
}

/// A run whose leader is gone is done by another, and one that nobody waits for is left out.
#[tokio::test]
async fn runs_that_nobody_waits_for_are_left_out() {
    let projection = Projection::views(Chains { broken: Broken::default(), takes: None }).unwrap();
    let views = MemoryViews::new(Weather::fine(0));
    let store = Arc::new(views.clone());
    let shared = Shared { projection, store, counts: Counts::default() };
    let lane = Lane::new("p".to_owned(), 1024);
    let turn = lane.turn.lock().await;
    let mut waiting = Box::pin(lane.apply(&shared, "a", Arc::new(run(1, 2, &[]))));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    drop(waiting);
    assert_eq!(lane.queue().len(), 1);
    drop(turn);
    let other = Run { first: 1, last: 1, events: vec![noted(1, "Added")] };
    assert_eq!(lane.apply(&shared, "a", Arc::new(other)).await, Verdict::Applied);
    let last: Vec<_> = views.peek().iter().map(|one| one.last_sequence_number).collect();
    assert_eq!(last, [Some(1)]);
    assert!(lane.queue().is_empty());
}
