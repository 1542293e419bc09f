//! What writers were told, against what is stored.

use std::collections::{BTreeMap, BTreeSet};

use cosmos_event_store::{EventId, EventStore, RecordedEvent, store::ChangesFrom};

use super::load::Attempt;
use crate::fixture::ids_of;

/// All appends of a test.
#[derive(Default)]
pub(super) struct Ledger {
    attempts: Vec<Attempt>,
    /// The appends that were not answered before a kill, in all rounds.
    pub(super) unanswered: usize,
}

impl Ledger {
    pub(super) fn add(&mut self, attempts: Vec<Attempt>) {
        self.unanswered += attempts.iter().filter(|attempt| attempt.first.is_none()).count();
        self.attempts.extend(attempts);
    }

    /// Checks what is stored after a restart, repeats what was not answered, and checks again.
    pub(super) async fn settle(&mut self, store: &EventStore) {
        let stored = self.check(store).await;
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.first.is_none()) {
            let Attempt { stream, expected, events, .. } = &*attempt;
            let outcome = store.append(stream.as_str(), *expected, events.clone()).await;
            let outcome = outcome.unwrap_or_else(|error| panic!("{stream}, repeated: {error}"));
            let was_stored = stored.contains(&events[0].id());
            assert_eq!(outcome.is_repeated(), was_stored, "{stream}: {outcome:?}");
            attempt.first = Some(outcome.receipt().first);
        }
        self.check(store).await;
    }

    /// Each stream consists of the acknowledged appends, each where its writer was told, and of whole
    /// ones that were not answered; the change feed has each of these events once. Gives their ids.
    async fn check(&self, store: &EventStore) -> BTreeSet<EventId> {
        let mut streams: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
        for attempt in &self.attempts {
            streams.entry(&attempt.stream).or_default().push(attempt);
        }
        let mut stored = BTreeMap::new();
        for (stream, attempts) in streams {
            let events = store.read(stream).all().await.unwrap().events;
            check_stream(stream, &events, &attempts);
            if !events.is_empty() {
                stored.insert(stream.to_owned(), ids(&events));
            }
        }
        let fed = fed(store).await;
        for (stream, ids) in &stored {
            let fed = fed.get(stream).map_or(&[][..], Vec::as_slice);
            let place = ids.iter().zip(fed).position(|(id, fed)| id != fed);
            let (stored, fed) = (ids.len(), (fed.len(), fed.iter().collect::<BTreeSet<_>>().len()));
            let same = place.is_none() && fed == (stored, stored);
            assert!(
                same,
                "{stream}: {stored} events, {fed:?} (different ones) in the change feed, other at {place:?}"
            );
        }
        assert_eq!(fed.len(), stored.len(), "the change feed has other streams");
        let all: Vec<_> = stored.into_values().flatten().collect();
        let unique: BTreeSet<_> = all.iter().copied().collect();
        assert_eq!(unique.len(), all.len(), "an event is stored twice");
        unique
    }
}

fn ids(events: &[RecordedEvent]) -> Vec<EventId> {
    events.iter().map(RecordedEvent::id).collect()
}

fn check_stream(stream: &str, events: &[RecordedEvent], attempts: &[&Attempt]) {
    let mut commits = BTreeMap::new();
    for commit in events.chunk_by(|one, next| one.commit() == next.commit()) {
        let (first, size) = (commit[0].commit().first, commit[0].commit().size);
        let numbers: Vec<_> = commit.iter().map(RecordedEvent::sequence_number).collect();
        assert_eq!(
            numbers,
            (first..first + size).collect::<Vec<_>>(),
            "{stream}: part of a commit"
        );
        commits.insert(first, ids(commit));
    }
    let numbers: Vec<_> = events.iter().map(RecordedEvent::sequence_number).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>(), "{stream} has a gap");
    for attempt in attempts {
        let mine = ids_of(&attempt.events);
        match attempt.first {
            Some(first) => {
                let there = commits.remove(&first);
                assert_eq!(there, Some(mine), "{stream}: not at {first} as acknowledged");
            }
            None => commits.retain(|_, ids| *ids != mine),
        }
    }
    assert!(commits.is_empty(), "{stream} has what nobody appended so: {commits:?}");
}

/// The ids in the change feed, by stream, in the order of the feed.
async fn fed(store: &EventStore) -> BTreeMap<String, Vec<EventId>> {
    let mut fed: BTreeMap<String, Vec<EventId>> = BTreeMap::new();
    let mut changes = store.changes(ChangesFrom::Beginning).await.unwrap();
    loop {
        let events = Box::pin(changes.next_page()).await.unwrap().events;
        if events.is_empty() {
            return fed;
        }
        for event in events {
            fed.entry(event.stream().to_owned()).or_default().push(event.id());
        }
    }
}
