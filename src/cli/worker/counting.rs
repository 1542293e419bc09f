//! Deliveries that are counted and nothing else.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Mutex, PoisonError},
};

use futures::{FutureExt as _, future::BoxFuture};
use serde::Serialize;

use crate::{
    cli::table::{counted, grouped},
    feed::{Delivery, Handler, HandlerFault},
};

/// Streams are told apart up to this number: a worker runs for long, and each takes memory.
const STREAMS_MAX: usize = 1_000_000;

/// Counts what is delivered.
#[derive(Debug, Default)]
pub(in crate::cli) struct Counting(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    events: u64,
    /// The hashes of their names: shorter, and two are the same hardly ever.
    streams: HashSet<u64>,
}

/// What was counted, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Tally {
    /// As often as they were delivered.
    pub(in crate::cli) events: u64,
    /// Up to a million, which then means at least that many.
    pub(in crate::cli) streams: u64,
}

impl Counting {
    pub(in crate::cli) fn tally(&self) -> Tally {
        let seen = self.seen();
        Tally { events: seen.events, streams: number(seen.streams.len()) }
    }

    fn count(&self, stream: &str, events: usize) {
        let mut hasher = DefaultHasher::new();
        stream.hash(&mut hasher);
        let mut seen = self.seen();
        seen.events = seen.events.saturating_add(number(events));
        if seen.streams.len() < STREAMS_MAX {
            seen.streams.insert(hasher.finish());
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// For people.
    pub(super) fn shown(self) -> String {
        let events = counted(self.events, "event");
        let streams = if self.streams < number(STREAMS_MAX) {
            counted(self.streams, "stream")
        } else {
            format!("{} streams or more", grouped(self.streams))
        };
        format!("handled {events} of {streams}")
    }
}

impl Handler for Counting {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        self.count(&delivery.key, delivery.changes.len());
        std::future::ready(Ok(())).boxed()
    }
}

fn number(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_and_streams_told_apart() {
        let counting = Counting::default();
        assert_eq!(counting.tally().shown(), "handled 0 events of 0 streams");
        counting.count("a", 1);
        assert_eq!(counting.tally().shown(), "handled 1 event of 1 stream");
        counting.count("b", 1200);
        counting.count("a", 33);
        assert_eq!(counting.tally(), Tally { events: 1234, streams: 2 });
        assert_eq!(counting.tally().shown(), "handled 1,234 events of 2 streams");
    }

    #[test]
    fn memory_is_bounded() {
        let counting = Counting::default();
        for stream in 0..STREAMS_MAX + 10 {
            counting.count(&stream.to_string(), 1);
        }
        let shown = "handled 1,000,010 events of 1,000,000 streams or more";
        assert_eq!(counting.tally().shown(), shown);
    }
}
