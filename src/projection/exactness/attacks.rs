//! Single attacks: limits of a transaction, documents that are not as they are taken to be, and many at once.

use std::sync::{Arc, atomic::Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    devices::Picky,
    model::{Which, assert_same, of_views, stored},
    projections::{Broken, Chains, event},
    run,
};
use crate::{
    event::RecordedEvent,
    projection::{
        Definition, Projection, ProjectionHandler, Unreadable, ViewKey, Views,
        memory::{MemoryHistory, MemoryViews, Weather},
    },
};

/// An event of the tested projections.
fn noted(stream: &str, number: u64, event_type: &str, part: &str, group: &str) -> RecordedEvent {
    let data = json!({"number": 1, "part": part, "group": group});
    event(stream, number, event_type, data)
}

fn handler(which: Which, store: Arc<Picky>, history: &MemoryHistory) -> ProjectionHandler {
    let projection = which.projection(&Broken::default());
    ProjectionHandler::new(projection, 1, store, Arc::new(history.clone()))
}

fn views() -> MemoryViews {
    MemoryViews::new(Weather::fine(0))
}

/// Touches as many parts as an event says, each with a text of some length.
struct Wide;

impl Views for Wide {
    type Event = (u64, usize);
    type View = String;

    fn definition(&self) -> Definition {
        Definition::new("wide", 1).sharded(1).with_parts()
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<(u64, usize)>, Unreadable> {
        if event.event_type().as_str() == "Panics" {
            return Ok(Some((u64::MAX, 0)));
        }
        Ok(Some(event.decode()?))
    }

    fn touches(&self, (parts, _): &(u64, usize), recorded: &RecordedEvent) -> Vec<ViewKey> {
        assert_ne!(*parts, u64::MAX, "it panics");
        let part = |part| ViewKey::Part(format!("{}-{part}", recorded.sequence_number()));
        (0..*parts).map(part).collect()
    }

    fn change(
        &self,
        _: &ViewKey,
        _: Option<String>,
        (_, length): &(u64, usize),
        recorded: &RecordedEvent,
    ) -> Option<String> {
        Some(recorded.sequence_number().to_string().repeat(*length))
    }
}

fn wide(stream: &str, shapes: &[(u64, usize)]) -> Vec<RecordedEvent> {
    let event = |(number, shape): (u64, &(u64, usize))| event(stream, number, "Wide", json!(shape));
    (1..).zip(shapes).map(event).collect()
}

fn wide_handler(store: &Arc<Picky>) -> ProjectionHandler {
    let projection = Projection::views(Wide).unwrap();
    let store = Arc::<Picky>::clone(store);
    ProjectionHandler::new(projection, 1, store, Arc::new(MemoryHistory::default()))
}

#[test]
fn a_run_that_is_too_large_is_applied_in_parts() {
    let shapes: [&[(u64, usize)]; 3] = [
        // 98 views of parts and the document of the stream fit, but not those of two events.
        &[(98, 1), (98, 1), (1, 1), (50, 1), (50, 1), (98, 1)],
        // More bytes than the estimate takes.
        &[(3, 300_000), (2, 400_000), (1, 900_000), (1, 900_000)],
        // More bytes than the service takes, though the estimate does.
        &[(4, 100_000), (3, 100_000), (3, 100_000), (3, 100_000)],
    ];
    for (shapes, bytes_max) in shapes.into_iter().zip([2_000_000, 2_000_000, 500_000]) {
        let picky = Picky::new(views(), bytes_max);
        let streams = [wide("a", shapes), wide("b", shapes), wide("c", &[(1, 1)])];
        run(0, async {
            let handler = wide_handler(&picky);
            let apply = |events: &Vec<RecordedEvent>| {
                let (handler, events) = (handler.clone(), events.clone());
                async move { handler.apply(events[0].stream(), events.clone()).await }
            };
            for done in futures::future::join_all(streams.iter().map(apply)).await {
                done.unwrap();
            }
        });
        assert_same(&stored(&picky.views.peek()), &of_views(&Wide, streams.iter()), "in parts");
        assert!(picky.largest.load(Ordering::Relaxed) <= 100);
        let refused = picky.too_large.load(Ordering::Relaxed);
        assert!(bytes_max > 500_000 || refused > 0, "it was to be refused");
    }
}

#[test]
fn an_event_that_no_transaction_takes_is_poison_and_the_rest_goes_on() {
    let picky = Picky::new(views(), 500_000);
    run(0, async {
        let handler = wide_handler(&picky);
        for events in [wide("a", &[(1, 1), (100, 1)]), wide("b", &[(1, 1), (1, 600_000)])] {
            let other = wide(&format!("other of {}", events[0].stream()), &[(1, 1)]);
            let (one, other) = tokio::join!(
                handler.apply(events[0].stream(), events.clone()),
                handler.apply(other[0].stream(), other.clone()),
            );
            assert!(one.unwrap_err().is_poison());
            other.unwrap();
        }
    });
    let documents = stored(&picky.views.peek());
    assert_eq!(documents.len(), 8, "the first event of each is there");
}

/// A run of many events that each touch many parts does not read all parts for each piece of it.
#[test]
fn the_reads_of_a_long_run_grow_with_it() {
    let picky = Picky::new(views(), 2_000_000);
    let events = wide("a", &vec![(30, 1); 40]);
    let applied = run(0, async {
        let handler = wide_handler(&picky);
        handler.apply("a", events[..1].to_vec()).await.unwrap();
        handler.apply("a", events.clone()).await.unwrap();
        handler.applied()
    });
    assert!(applied.reads < 6 * 40 * 30, "{applied:?}");
    assert_eq!(applied.events, 40);
}

#[test]
fn a_panic_is_a_fault_of_its_own_stream() {
    let picky = Picky::new(views(), 2_000_000);
    run(0, async {
        let handler = wide_handler(&picky);
        let (first, other) = (wide("a", &[(1, 1)]), wide("b", &[(1, 1)]));
        let panics = vec![event("c", 1, "Panics", Value::Null)];
        let (one, fault, two) = tokio::join!(
            handler.apply("a", first),
            handler.apply("c", panics),
            handler.apply("b", other),
        );
        one.unwrap();
        two.unwrap();
        assert!(fault.unwrap_err().is_poison());
    });
}

/// A damaged document parks the streams that need it, and no others.
#[test]
fn a_damaged_document_parks_only_its_own_stream() {
    let picky = Picky::new(views(), 2_000_000);
    let history = MemoryHistory::default();
    let stream = |name: &str| -> Vec<RecordedEvent> {
        (1..=4).map(|number| noted(name, number, "Added", "p", "")).collect()
    };
    let names = ["a", "b", "c", "d", "e", "f"];
    run(0, async {
        let first = handler(Which::Chains, Arc::clone(&picky), &history);
        for name in names {
            first.apply(name, stream(name)[..2].to_vec()).await.unwrap();
        }
        *picky.damaged.lock().unwrap() = Some("s:c".to_owned());
        let other = handler(Which::Chains, Arc::clone(&picky), &history);
        let apply = |name| {
            let other = other.clone();
            async move { (name, other.apply(name, stream(name)[2..].to_vec()).await) }
        };
        for (name, done) in futures::future::join_all(names.map(apply)).await {
            assert_eq!(done.is_err_and(|fault| fault.is_poison()), name == "c", "{name}");
        }
    });
}

/// Another owner moves a stream from one total to another. What is remembered of the totals is too old then,
/// and the stream does not fit it.
#[test]
fn a_total_that_is_remembered_from_before_parks_nobody() {
    let picky = Picky::new(views(), 2_000_000);
    let history = MemoryHistory::default();
    let name = "a";
    let types =
        [("Added", ""), ("Moved", "red"), ("Moved", "green"), ("Moved", ""), ("Moved", "red")];
    let events: Vec<RecordedEvent> = (1..)
        .zip(types)
        .map(|(number, (event_type, group))| noted(name, number, event_type, "", group))
        .collect();
    // In the same shard, so that it keeps the totals in mind.
    let shard = |name: &str| Which::Sums.projection(&Broken::default()).definition().shard(name);
    let near = (0..100).map(|n| format!("b{n}")).find(|near| shard(near) == shard(name)).unwrap();
    let others: Vec<RecordedEvent> = (1..)
        .zip(["", "red", "red", "red"])
        .map(|(number, group)| {
            let event_type = if group.is_empty() { "Added" } else { "Moved" };
            noted(&near, number, event_type, "", group)
        })
        .collect();
    history.store(events.iter().chain(&others).cloned());
    run(0, async {
        let one = handler(Which::Sums, Arc::clone(&picky), &history);
        let two = handler(Which::Sums, Arc::clone(&picky), &history);
        one.apply(&near, others[..3].to_vec()).await.unwrap();
        two.apply(name, events[..2].to_vec()).await.unwrap();
        // It remembers the total without the stream that now leaves it.
        one.apply(name, events[2..3].to_vec()).await.unwrap();
        two.apply(&near, others[3..].to_vec()).await.unwrap();
        // And here the stream itself is remembered from before.
        two.apply(name, events[2..].to_vec()).await.unwrap();
    });
    let expected = Which::Sums.replayed(&[events, others]);
    assert_same(&stored(&picky.views.peek()), &expected, "two owners by turns");
}

/// The part is made by another owner after it was remembered that it is not there, and then it goes. Nothing
/// would be written of it, so that no commit could be refused.
#[test]
fn a_part_that_another_owner_has_made_is_deleted() {
    let picky = Picky::new(views(), 2_000_000);
    let history = MemoryHistory::default();
    let types = [
        ("Added", "q"),
        ("Dropped", "p"),
        ("Added", "q"),
        ("Added", "p"),
        ("Added", "q"),
        ("Dropped", "p"),
    ];
    let events: Vec<RecordedEvent> = (1..)
        .zip(types)
        .map(|(number, (event_type, part))| noted("a", number, event_type, part, ""))
        .collect();
    history.store(events.iter().cloned());
    run(0, async {
        let one = handler(Which::Lines, Arc::clone(&picky), &history);
        let two = handler(Which::Lines, Arc::clone(&picky), &history);
        one.apply("a", events[..1].to_vec()).await.unwrap();
        one.apply("a", events[1..2].to_vec()).await.unwrap();
        // Of what is written here nothing is remembered, but the part is not in it.
        picky.fails_once.store(true, Ordering::Relaxed);
        assert!(!one.apply("a", events[2..3].to_vec()).await.unwrap_err().is_poison());
        two.apply("a", events[2..4].to_vec()).await.unwrap();
        one.apply("a", events[4..5].to_vec()).await.unwrap();
        one.apply("a", events[5..].to_vec()).await.unwrap();
    });
    let expected = Which::Lines.replayed(&[events]);
    assert_same(&stored(&picky.views.peek()), &expected, "two owners by turns");
}

#[test]
fn an_event_with_another_id_is_poison() {
    let picky = Picky::new(views(), 2_000_000);
    run(0, async {
        let handler = handler(Which::Chains, picky, &MemoryHistory::default());
        handler.apply("a", vec![noted("a", 1, "Added", "", "")]).await.unwrap();
        let mut other = noted("b", 1, "Added", "", "");
        assert!(handler.apply("a", vec![other.clone()]).await.unwrap_err().is_poison());
        other = noted("a", 1, "Added", "", "");
        handler.apply("a", vec![other]).await.unwrap();
    });
}

/// Twice the same stream at a time, as after a timeout of an attempt whose run still waits.
#[test]
fn one_stream_may_wait_twice() {
    let picky = Picky::new(views().in_weather(Weather { turns: 3, ..Weather::fine(1) }), 2_000_000);
    let events: Vec<_> = (1..=30).map(|number| noted("a", number, "Added", "p", "")).collect();
    let history = MemoryHistory::default();
    history.store(events.iter().cloned());
    run(0, async {
        let handler = handler(Which::Lines, Arc::clone(&picky), &history);
        let mut all = JoinSet::new();
        for begin in [0, 10, 5, 0, 20, 3] {
            let (handler, events) = (handler.clone(), events[begin..begin + 10].to_vec());
            all.spawn(async move { handler.apply("a", events).await });
        }
        // One of them is dropped while it waits.
        let (late, gone) = (handler.clone(), events.clone());
        let gone = super::storm::cut_after(2, late.apply("a", gone)).await;
        assert_eq!(gone, None);
        while let Some(done) = all.join_next().await {
            done.unwrap().unwrap();
        }
    });
    assert_same(&stored(&picky.views.peek()), &Which::Lines.replayed(&[events]), "at once");
}

/// Thousands of runs wait on one lane, and all of them are applied, in transactions of many.
#[test]
fn thousands_of_runs_wait_on_one_lane() {
    const RUNS: u64 = 5000;
    let views = views();
    let projection = || {
        let views = Chains { broken: Broken::default(), takes: None };
        Projection::views(OneShard(views)).unwrap()
    };
    let handler = ProjectionHandler::new(
        projection(),
        1,
        Arc::new(views.clone()),
        Arc::new(MemoryHistory::default()),
    );
    let applied = run(0, async {
        let mut all = JoinSet::new();
        for number in 0..RUNS {
            let (handler, stream) = (handler.clone(), format!("s-{number}"));
            all.spawn(async move {
                let events = vec![noted(&stream, 1, "Added", "", "")];
                handler.apply(&stream, events).await
            });
        }
        while let Some(done) = all.join_next().await {
            done.unwrap().unwrap();
        }
        handler.applied()
    });
    assert_eq!((applied.events, applied.conflicts, applied.reads), (RUNS, 0, 0));
    assert!(applied.commits <= RUNS.div_ceil(96) + 1, "{applied:?}");
    assert_eq!(views.peek().len(), 5000);
}

/// The same in one shard.
struct OneShard(Chains);

impl Views for OneShard {
    type Event = <Chains as Views>::Event;
    type View = <Chains as Views>::View;

    fn definition(&self) -> Definition {
        Definition { shards: 1, ..self.0.definition() }
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<Self::Event>, Unreadable> {
        self.0.decode(event)
    }

    fn change(
        &self,
        key: &ViewKey,
        view: Option<Self::View>,
        event: &Self::Event,
        recorded: &RecordedEvent,
    ) -> Option<Self::View> {
        self.0.change(key, view, event, recorded)
    }
}

/// Streams that come again from their beginning meet a conflict each, and do not hold up one another.
#[test]
fn a_rewind_to_the_beginning_holds_up_nobody() {
    let picky = Picky::new(views(), 2_000_000);
    let stream = |number: u64| -> Vec<RecordedEvent> {
        (1..=3).map(|n| noted(&format!("s-{number}"), n, "Added", "p", "red")).collect()
    };
    run(0, async {
        let first = handler(Which::Sums, Arc::clone(&picky), &MemoryHistory::default());
        for number in 0..300 {
            first.apply(&format!("s-{number}"), stream(number)[..2].to_vec()).await.unwrap();
        }
        let again = handler(Which::Sums, Arc::clone(&picky), &MemoryHistory::default());
        let mut all = JoinSet::new();
        for number in 0..300 {
            let again = again.clone();
            all.spawn(async move {
                for _ in 0..number % 7 {
                    tokio::task::yield_now().await;
                }
                again.apply(&format!("s-{number}"), stream(number)).await
            });
        }
        while let Some(done) = all.join_next().await {
            done.unwrap().unwrap();
        }
    });
    let streams: Vec<_> = (0..300).map(stream).collect();
    assert_same(&stored(&picky.views.peek()), &Which::Sums.replayed(&streams), "after a rewind");
}
