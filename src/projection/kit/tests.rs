//! Tests: the kit takes what is right, and finds what is not.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::*;
use crate::projection::{
    Adds, Definition, Totals, Unreadable, ViewKey, Views,
    exactness::{Broken, Chains, Lines, Sums},
};

fn noted(event_type: &str, number: i64, part: &str, group: &str) -> NewEvent {
    let data = json!({"number": number, "part": part, "group": group});
    NewEvent::new(event_type, data).unwrap()
}

#[track_caller]
fn panics(work: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn views_of_streams_and_parts_are_compared() {
    let projection = Projection::views(Lines { broken: Broken::default() }).unwrap();
    let added = || noted("Added", 1, "p", "");
    let given = || {
        given(
            &projection,
            [
                ("a-1", vec![added(), noted("Moved", 1, "p", "")]),
                ("b:1", vec![added(), noted("Dropped", 1, "p", "")]),
            ],
        )
    };
    let documents = given();
    let part = documents.view(&part_id("a-1", "p")).unwrap();
    assert_eq!(part["events"], 2);
    given().then_part("a-1", "p", &part).then_no_part("b:1", "p").then_no_view("b:1");
    assert!(panics(|| drop(given().then_no_view("a-1"))).contains("has a view"));
    assert!(panics(|| drop(given().then_view("b:1", &1))).contains("there is no view"));
    assert!(panics(|| drop(given().then_view("a-1", &1))).contains("the view"));
    assert!(panics(|| drop(given().then_no_part("a-1", "p"))).contains("has a view"));
}

#[test]
fn totals_are_merged_over_their_shards() {
    let projection = Projection::totals(Sums { broken: Broken::default() }).unwrap();
    let stream = |number: u64| {
        let events = vec![noted("Moved", 0, "", "red"), noted("Added", 5, "", "")];
        (format!("s-{number}"), events)
    };
    let projected = given(&projection, (0..8).map(stream));
    let each: serde_json::Map<_, _> =
        (0..8).map(|number| (format!("s-{number}"), json!({"last": [5]}))).collect();
    let expected = json!({
        "cents": 40, "even": each, "events": 16, "high": "0005", "low": 5, "numbers": ["5"],
    });
    let projected = projected.then_total("red", 8, &expected).then_no_total("green");
    let fails = |work: fn(Projected)| panics(|| work(projected.clone()));
    assert!(fails(|all| drop(all.then_no_total("red"))).contains("there is a total"));
    assert!(
        fails(|all| drop(all.then_total("green", 0, &json!({})))).contains("there is no total")
    );
    assert!(fails(|all| drop(all.then_total("red", 8, &json!({})))).contains("the total"));
}

#[test]
fn an_event_that_cannot_be_taken_is_told() {
    let broken = Broken::default();
    broken.spoil("a-1", 2);
    let projection = Projection::views(Chains { broken, takes: None }).unwrap();
    let events = || [noted("Added", 1, "", ""), noted("Added", 2, "", "")];
    let told = panics(|| drop(given(&projection, [("a-1", events())])));
    assert!(told.contains("would be parked: event 2 cannot be read"), "{told}");
}

/// Counts over all streams by the way, and so is no projection.
#[derive(Default)]
struct Careless {
    calls: AtomicU64,
}

impl Views for Careless {
    type Event = ();
    type View = String;

    fn definition(&self) -> Definition {
        Definition::new("careless", 1)
    }

    fn decode(&self, _: &RecordedEvent) -> Result<Option<()>, Unreadable> {
        Ok(Some(()))
    }

    fn change(&self, _: &ViewKey, _: Option<String>, (): &(), _: &RecordedEvent) -> Option<String> {
        Some(self.calls.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

/// Adds under a key that is not its own.
struct Overwriting;

impl Totals for Overwriting {
    type Event = ();
    type State = u64;

    fn definition(&self) -> Definition {
        Definition::new("overwriting", 1).sharded(1)
    }

    fn decode(&self, _: &RecordedEvent) -> Result<Option<()>, Unreadable> {
        Ok(Some(()))
    }

    fn evolve(&self, state: u64, (): &(), _: &RecordedEvent) -> u64 {
        state + 1
    }

    fn adds(&self, stream: &str, _: &u64) -> Adds {
        let mut adds = Adds::default();
        adds.to("all").list("last", "the last one", json!(stream));
        adds
    }
}

#[test]
fn what_depends_on_chance_or_on_other_streams_is_found() {
    let streams = || [("a-1", [noted("Added", 1, "", "")]), ("b-1", [noted("Added", 1, "", "")])];
    let projection = Projection::views(Careless::default()).unwrap();
    let told = panics(|| drop(given(&projection, streams())));
    assert!(told.contains("delivered otherwise"), "{told}");

    let projection = Projection::totals(Overwriting).unwrap();
    let told = panics(|| drop(given(&projection, streams())));
    assert!(told.contains("have the same key"), "{told}");
}
