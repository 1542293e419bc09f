//! What a refused append means.
//!
//! The service answers an occupied place, a taken event id and a duplicate inside the batch with the
//! same bare 409. What is stored tells them apart; this module compares, and does no IO.

use std::collections::HashMap;

use crate::event::{ContentHash, EventId, RecordedEvent};

/// An event of the call, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) id: EventId,
    pub(crate) hash: ContentHash,
}

/// What was read after the refusal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReadBack {
    /// The stored events that have an id of the call, in any order.
    pub(crate) same_ids: Vec<RecordedEvent>,
    /// The stored events from the place on, in order; bounded.
    pub(crate) at_place: Vec<RecordedEvent>,
    /// The version of the stream.
    pub(crate) version: u64,
}

/// What a refused append means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The call's events are one whole stored commit.
    Repeated {
        /// The sequence number of its first event.
        first: u64,
    },
    /// Ids of the call are stored as something else.
    Reused {
        /// The first id of the call that is stored.
        event_id: EventId,
        /// The stored events, in the order of the stream.
        stored: Vec<RecordedEvent>,
    },
    /// The stream is at another version.
    Conflict {
        /// The version that it has.
        actual: u64,
        /// The events at the place, bounded.
        events: Vec<RecordedEvent>,
    },
    /// The place is free, and so are the ids.
    Unexplained,
}

/// Decides what it means that `wanted` could not be stored from `place` on.
pub(crate) fn classify(wanted: &[Wanted], place: u64, read: ReadBack) -> Verdict {
    let ReadBack { mut same_ids, at_place, version } = read;
    if let Some(first) = repeated_commit(wanted, &same_ids) {
        return Verdict::Repeated { first };
    }
    let is_stored = |event: &&Wanted| same_ids.iter().any(|stored| stored.id() == event.id);
    if let Some(event_id) = wanted.iter().find(is_stored).map(|event| event.id) {
        same_ids.sort_unstable_by_key(RecordedEvent::sequence_number);
        return Verdict::Reused { event_id, stored: same_ids };
    }
    if version.saturating_add(1) == place {
        return Verdict::Unexplained;
    }
    Verdict::Conflict { actual: version, events: at_place }
}

/// The first sequence number of the commit that consists of exactly these events, in this order.
fn repeated_commit(wanted: &[Wanted], stored: &[RecordedEvent]) -> Option<u64> {
    if stored.len() != wanted.len() {
        return None;
    }
    let by_id: HashMap<EventId, &RecordedEvent> =
        stored.iter().map(|event| (event.id(), event)).collect();
    let commit = by_id.get(&wanted.first()?.id)?.commit();
    let whole = u64::try_from(wanted.len()).is_ok_and(|count| count == commit.size);
    let same_run = wanted.iter().zip(commit.first..).all(|(event, number)| {
        by_id.get(&event.id).is_some_and(|stored| {
            stored.sequence_number() == number
                && stored.commit() == commit
                && *stored.content_hash() == event.hash
        })
    });
    (whole && same_run).then_some(commit.first)
}

#[cfg(test)]
mod tests;
