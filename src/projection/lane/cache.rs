//! What a lane remembers of its documents: those that were used last, up to a number of bytes.

use lru::LruCache;

use super::super::{Document, document::own_id};

/// A document as it is stored, or that there is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    /// The document; nothing where there is none.
    pub(super) document: Option<Document>,
    /// Its version.
    pub(super) etag: Option<String>,
    /// Up to where the events of its stream are known to be in it, or not to concern it.
    pub(super) covered: u64,
}

impl Slot {
    /// No document.
    pub(super) fn absent() -> Self {
        Self { document: None, etag: None, covered: 0 }
    }

    /// A document that was read.
    pub(super) fn of(document: Document, etag: String) -> Self {
        let covered = document.last_sequence_number.unwrap_or_default();
        Self { document: Some(document), etag: Some(etag), covered }
    }

    fn weight(&self) -> usize {
        self.document.as_ref().map_or(256, Document::weight)
    }
}

/// The slots that were used last.
#[derive(Debug)]
pub(super) struct Cache {
    slots: LruCache<String, Slot>,
    bytes: usize,
    bytes_max: usize,
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { slots: LruCache::unbounded(), bytes: 0, bytes_max }
    }

    /// Takes a slot out: whoever does not put it back has it read again.
    pub(super) fn take(&mut self, id: &str) -> Option<Slot> {
        let slot = self.slots.pop(id)?;
        self.bytes = self.bytes.saturating_sub(slot.weight());
        Some(slot)
    }

    pub(super) fn put(&mut self, id: String, slot: Slot) {
        self.bytes = self.bytes.saturating_add(slot.weight());
        if let Some((_, former)) = self.slots.push(id, slot) {
            self.bytes = self.bytes.saturating_sub(former.weight());
        }
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.slots.pop_lru() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.weight());
        }
    }

    /// Moves the coverage of a stream over events that do not concern it, if they are the next ones.
    pub(super) fn cover(&mut self, stream: &str, first: u64, last: u64) {
        if let Some(slot) = self.slots.get_mut(&own_id(stream))
            && slot.covered.saturating_add(1) >= first
        {
            slot.covered = slot.covered.max(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_slots_go_when_there_are_too_many_bytes() {
        let mut cache = Cache::new(1024);
        for id in ["a", "b", "c", "d"] {
            cache.put(id.to_owned(), Slot::absent());
        }
        assert!(cache.take("a").is_some());
        cache.put("a".to_owned(), Slot::absent());
        cache.put("e".to_owned(), Slot::absent());
        assert_eq!(cache.take("b"), None, "it was used least lately");
        cache.put("a".to_owned(), Slot { covered: 3, ..Slot::absent() });
        assert_eq!(cache.take("a").map(|slot| slot.covered), Some(3));
        assert_eq!(cache.bytes, 3 * 256);
    }

    #[test]
    fn only_the_next_events_move_the_coverage() {
        let mut cache = Cache::new(1024);
        cache.put(own_id("a"), Slot { covered: 3, ..Slot::absent() });
        cache.cover("a", 5, 6);
        cache.cover("b", 1, 6);
        assert_eq!(cache.slots.peek(&own_id("a")).map(|slot| slot.covered), Some(3));
        cache.cover("a", 2, 7);
        cache.cover("a", 4, 5);
        assert_eq!(cache.take(&own_id("a")).map(|slot| slot.covered), Some(7));
    }
}
