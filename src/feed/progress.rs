//! How far a lease has come: which checkpoint may be written.
//!
//! Pages are read in order and worked on side by side. A checkpoint says that everything up to a page is
//! done, so it follows the oldest page that is not.

use std::{collections::VecDeque, ops::RangeInclusive};

/// A place in the feed of a lease that may be made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The number of the page, counted from 1 within one holding of the lease.
    pub ordinal: u64,
    /// Where to go on behind the page.
    pub continuation: String,
    /// When its last change was stored, in seconds, as the service stamps it; of an earlier page where this
    /// one has no changes.
    pub stored_at: Option<u64>,
}

/// The pages of a lease that are not checkpointed yet.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    pages: VecDeque<Page>,
    next: u64,
    /// The newest page behind which nothing is open.
    done: Option<Checkpoint>,
}

#[derive(Debug, Clone)]
struct Page {
    checkpoint: Checkpoint,
    /// When its first change was stored, in seconds.
    oldest: Option<u64>,
    /// Parts of it that are not done.
    open: usize,
}

impl Progress {
    /// Nothing was read yet.
    pub fn new() -> Self {
        Self { pages: VecDeque::new(), next: 1, done: None }
    }

    /// A page was read that is done when so many parts of it are; its changes were stored in this time, in
    /// seconds, from the first to the last. Gives its number.
    pub fn read(
        &mut self,
        parts: usize,
        continuation: String,
        stored: Option<RangeInclusive<u64>>,
    ) -> u64 {
        let oldest = stored.as_ref().map(|stored| *stored.start());
        let stored_at = stored.map(|stored| *stored.end());
        let ordinal = self.next;
        self.next = self.next.saturating_add(1);
        let before = self.pages.back().map(|page| page.checkpoint.stored_at);
        let before = before.or_else(|| self.done.as_ref().map(|done| done.stored_at)).flatten();
        let stored_at = stored_at.max(before);
        let checkpoint = Checkpoint { ordinal, continuation, stored_at };
        self.pages.push_back(Page { checkpoint, oldest, open: parts });
        self.settle();
        ordinal
    }

    /// A part of a page is done.
    pub fn finished(&mut self, ordinal: u64) {
        if let Some(page) = self.pages.iter_mut().find(|page| page.checkpoint.ordinal == ordinal) {
            page.open = page.open.saturating_sub(1);
        }
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(page) = self.pages.pop_front_if(|page| page.open == 0) {
            self.done = Some(page.checkpoint);
        }
    }

    /// The newest checkpoint that may be written; nothing before the first page is done.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.done.as_ref()
    }

    /// When the oldest change that may not be done was stored, in seconds; nothing where all are.
    pub fn oldest(&self) -> Option<u64> {
        self.pages.iter().find_map(|page| page.oldest)
    }

    /// The pages that are not done: how far reading is ahead.
    pub fn open_pages(&self) -> usize {
        self.pages.len()
    }

    /// Whether everything that was read is done.
    pub fn is_done(&self) -> bool {
        self.pages.is_empty()
    }
}

#[cfg(test)]
mod tests;
