//! Many writers on one stream: no gap, no duplicate, and every writer is told the truth.

use std::collections::HashMap;

use cosmos_event_store::{
    AppendError, AppendOutcome, EventId, EventStore, ExpectedVersion, NewEvent,
};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, event, events, ids_of};

const WRITERS: u64 = 50;

/// What a writer was told: the ids of its events and where the first of them is.
type Told = (Vec<EventId>, u64);

/// Checks that the stream consists of exactly the acknowledged appends.
async fn assert_truth(fixture: &Fixture, stream: &str, told: &[Told]) {
    let stored = fixture.ids(stream).await;
    let places: HashMap<EventId, u64> = stored.iter().copied().zip(1..).collect();
    assert_eq!(places.len(), stored.len(), "an event is stored twice");
    let mut acknowledged = 0;
    for (ids, first) in told {
        for (id, number) in ids.iter().zip(*first..) {
            assert_eq!(places.get(id), Some(&number), "a writer was told another place");
            acknowledged += 1;
        }
    }
    assert_eq!(acknowledged, stored.len(), "an event is stored that nobody was told of");
}

/// Appends behind a version that the writer follows, as a command handler does.
async fn append_in_turn(store: EventStore, stream: &'static str, mine: Vec<NewEvent>) -> Told {
    let mut version = 0;
    loop {
        let expected = ExpectedVersion::Exact(version);
        match store.append(stream, expected, mine.clone()).await {
            Ok(AppendOutcome::Appended(receipt)) => return (ids_of(&mine), receipt.first),
            Err(AppendError::Conflict { actual, events, .. }) => {
                assert!(actual > version);
                assert!(events.iter().all(|event| !ids_of(&mine).contains(&event.id())));
                version = actual;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_writers_that_each_expect_a_version() {
    let fixture = Fixture::new().await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let mine = events(1 + writer % 3);
        writers.spawn(append_in_turn(fixture.store.clone(), "crowd-1", mine));
    }
    let told = writers.join_all().await;
    assert_truth(&fixture, "crowd-1", &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_writers_that_append_at_the_end() {
    let fixture = Fixture::new().await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, mine) = (fixture.store.clone(), events(1 + writer % 3));
        writers.spawn(async move {
            let outcome =
                store.append("crowd-1", ExpectedVersion::Any, mine.clone()).await.unwrap();
            assert!(!outcome.is_repeated());
            (ids_of(&mine), outcome.receipt().first)
        });
    }
    let told = writers.join_all().await;
    assert_truth(&fixture, "crowd-1", &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_writers_of_which_one_can_win() {
    let fixture = Fixture::new().await;
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let (store, mine) = (fixture.store.clone(), vec![event(n)]);
        writers.spawn(async move {
            let outcome = store.append("crowd-1", ExpectedVersion::NoStream, mine.clone()).await;
            (mine, outcome)
        });
    }
    let mut winners = Vec::new();
    let mut losers = 0;
    for (mine, outcome) in writers.join_all().await {
        match outcome {
            Ok(AppendOutcome::Appended(_)) => winners.push(ids_of(&mine)),
            Err(AppendError::Conflict { actual: 1, .. }) => losers += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((winners.len(), losers), (1, WRITERS - 1));
    assert_eq!(fixture.ids("crowd-1").await, winners[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_writers_of_the_same_commit() {
    let fixture = Fixture::new().await;
    let commit = events(3);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, commit) = (fixture.store.clone(), commit.clone());
        let expected =
            if writer % 2 == 0 { ExpectedVersion::NoStream } else { ExpectedVersion::Any };
        writers.spawn(async move { store.append("crowd-1", expected, commit).await.unwrap() });
    }
    let outcomes = writers.join_all().await;
    let appended = outcomes.iter().filter(|outcome| !outcome.is_repeated()).count();
    assert_eq!(appended, 1);
    assert!(outcomes.iter().all(|outcome| outcome.receipt().first == 1));
    assert_eq!(fixture.ids("crowd-1").await, ids_of(&commit));
}
