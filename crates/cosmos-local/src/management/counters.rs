//! Counts of requests by kind, and of the bytes that they carried.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Every kind of request, in the order in which they are looked up: frequent ones first.
pub(crate) const KINDS: [&str; 28] = [
    "batch",
    "read_item",
    "query_items",
    "change_feed",
    "create_item",
    "upsert_item",
    "replace_item",
    "patch_item",
    "delete_item",
    "read_feed",
    "read_ranges",
    "query_plan",
    "read_account",
    "create_database",
    "list_databases",
    "query_databases",
    "read_database",
    "delete_database",
    "create_container",
    "list_containers",
    "query_containers",
    "read_container",
    "replace_container",
    "delete_container",
    "query_offers",
    "list_offers",
    "read_offer",
    "replace_offer",
];

/// The kinds that read or write items, which are what a partition throttles.
pub(crate) const DATA_KINDS: [&str; 10] = [
    "batch",
    "read_item",
    "query_items",
    "change_feed",
    "create_item",
    "upsert_item",
    "replace_item",
    "patch_item",
    "delete_item",
    "read_feed",
];

/// The name of requests that are no known operation.
const OTHER: &str = "other";

/// Counters that the server keeps while it serves.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    kinds: [AtomicU64; KINDS.len()],
    other: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
}

impl Counters {
    /// Counts a request when it has arrived, whatever becomes of it.
    pub(crate) fn received(&self, kind: &str, body_bytes: usize) {
        let index = KINDS.iter().position(|known| *known == kind);
        let counter = index.and_then(|index| self.kinds.get(index)).unwrap_or(&self.other);
        counter.fetch_add(1, Ordering::Relaxed);
        add(&self.request_bytes, body_bytes);
    }

    /// Counts the body of an answer.
    pub(crate) fn sent(&self, body_bytes: usize) {
        add(&self.response_bytes, body_bytes);
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> Counts {
        let mut kinds: BTreeMap<String, u64> = KINDS
            .iter()
            .zip(&self.kinds)
            .map(|(kind, counter)| ((*kind).to_owned(), counter.load(Ordering::Relaxed)))
            .collect();
        kinds.insert(OTHER.to_owned(), self.other.load(Ordering::Relaxed));
        kinds.retain(|_, count| *count > 0);
        Counts {
            total: kinds.values().sum(),
            kinds,
            request_bytes: self.request_bytes.load(Ordering::Relaxed),
            response_bytes: self.response_bytes.load(Ordering::Relaxed),
        }
    }

    /// Gives the counts so far and starts again at nothing.
    pub(crate) fn reset(&self) -> Counts {
        let counts = self.counts();
        for counter in self.kinds.iter().chain([&self.other]) {
            counter.store(0, Ordering::Relaxed);
        }
        self.request_bytes.store(0, Ordering::Relaxed);
        self.response_bytes.store(0, Ordering::Relaxed);
        counts
    }
}

fn add(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Requests since the start, or since the counters were reset.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Counts {
    /// Requests of every kind.
    pub total: u64,
    /// Requests by kind, for example `batch`; kinds without a request are left out.
    pub kinds: BTreeMap<String, u64>,
    /// Bytes of the request bodies.
    pub request_bytes: u64,
    /// Bytes of the answers' bodies.
    pub response_bytes: u64,
}

impl Counts {
    /// Requests of one kind.
    pub fn of(&self, kind: &str) -> u64 {
        self.kinds.get(kind).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind_and_reset() {
        let counters = Counters::default();
        counters.received("batch", 10);
        counters.received("batch", 5);
        counters.received("replace_offer", 0);
        counters.received("unheard_of", 0);
        counters.sent(7);
        let counts = counters.counts();
        assert_eq!((counts.of("batch"), counts.of("other"), counts.of("read_item")), (2, 1, 0));
        assert_eq!((counts.total, counts.request_bytes, counts.response_bytes), (4, 15, 7));
        assert_eq!(counters.reset(), counts);
        assert_eq!(counters.counts(), Counts::default());
    }

    #[test]
    fn data_kinds_are_kinds() {
        assert!(DATA_KINDS.iter().all(|kind| KINDS.contains(kind)));
    }
}
