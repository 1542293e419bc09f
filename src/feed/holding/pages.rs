//! Reading of one lease: open, next page, wait, and what a page leads to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{End, Holding, Reader};
use crate::feed::{
    documents::Lag,
    options::POLL_MAX,
    source::{Change, FeedFault, FeedReader, Page},
};

/// What reading has come to.
pub(super) enum Advanced {
    /// It is time for the next step.
    Due,
    Opened(Result<Box<dyn FeedReader>, FeedFault>),
    Read(Box<dyn FeedReader>, Result<Page, FeedFault>),
}

/// Waits for the next step of reading; for ever where nothing is to be read. Nothing is lost when it is
/// dropped and called again.
pub(super) async fn advance(reader: &mut Reader, reads: bool) -> Advanced {
    match reader {
        Reader::Closed { at } | Reader::Open { at, .. } if reads => {
            // A timer counts whole milliseconds: a page that is due does not wait for the next one.
            if *at > Instant::now() {
                tokio::time::sleep_until(*at).await;
            }
            Advanced::Due
        }
        Reader::Opening(opening) => Advanced::Opened(opening.await),
        Reader::Reading(reading) => {
            let (reader, page) = reading.await;
            Advanced::Read(reader, page)
        }
        Reader::Closed { .. } | Reader::Open { .. } => std::future::pending().await,
    }
}

impl Holding {
    /// Whether the next page is waited for because there was nothing new.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(&self.reader, Reader::Open { at, .. } if *at > Instant::now())
    }

    /// Reads without waiting for the time.
    pub(super) fn read_now(&mut self) {
        if let Reader::Open { at, .. } = &mut self.reader {
            *at = Instant::now();
        }
    }

    pub(super) fn advanced(&mut self, advanced: Advanced) -> Option<End> {
        let now = Instant::now();
        match advanced {
            Advanced::Due => {
                let closed = Reader::Closed { at: now };
                self.reader = match std::mem::replace(&mut self.reader, closed) {
                    Reader::Open { mut reader, .. } => {
                        // A hint that comes while the page is on its way may be of what it does not have.
                        self.hint.mark_unchanged();
                        Reader::Reading(Box::pin(async move {
                            let page = reader.next_page().await;
                            (reader, page)
                        }))
                    }
                    Reader::Closed { .. } => {
                        let feed = Arc::clone(&self.shared.feed);
                        let range = self.lease.document.range.clone();
                        let position = self.commits.position(&self.lease.document);
                        Reader::Opening(Box::pin(async move { feed.open(&range, &position).await }))
                    }
                    other => other,
                };
                None
            }
            Advanced::Opened(Ok(reader)) => {
                self.reader = Reader::Open { reader, at: now };
                None
            }
            Advanced::Read(reader, Ok(page)) => {
                let is_empty = page.changes.is_empty();
                self.take(page);
                let wait = if is_empty { self.next_wait() } else { Duration::ZERO };
                self.reader = Reader::Open { reader, at: later(now, wait) };
                None
            }
            Advanced::Opened(Err(fault)) | Advanced::Read(_, Err(fault)) => self.failed(fault),
        }
    }

    /// Idle ranges are polled less and less often.
    fn next_wait(&mut self) -> Duration {
        let wait = self.idle;
        self.idle = self.idle.saturating_mul(2).min(self.shared.options.poll_max);
        wait
    }

    fn failed(&mut self, fault: FeedFault) -> Option<End> {
        match fault {
            FeedFault::Unavailable(_) => {
                // What was read goes on; the range is opened again behind it.
                let wait = self.next_wait().min(POLL_MAX);
                self.reader = Reader::Closed { at: later(Instant::now(), wait) };
                None
            }
            FeedFault::Moved => {
                // What was read is finished; then the lease is free for whoever fits it to the partitions.
                self.has_moved = true;
                self.reader = Reader::Closed { at: Instant::now() };
                None
            }
            FeedFault::BadPosition(reason) => Some(End::BadPlace(reason)),
            FeedFault::Refused(reason) => Some(End::Refused(reason)),
        }
    }

    /// Takes a page: changes of one key go together, in order.
    fn take(&mut self, page: Page) {
        let Page { mut changes, continuation, last_lsn, request_charge } = page;
        self.state.request_charge += request_charge;
        if !changes.is_empty() {
            self.idle = self.shared.options.poll_min;
        }
        // The service may give the changes of one transaction in any order.
        changes.sort_by_key(|change| (change.lsn, change.order));
        if last_lsn.is_none() {
            // Several partitions are in the range, so there is no such number.
            self.shared.compare.notify_one();
        }
        let stored_at = changes.iter().map(|change| change.stored_at).max();
        let read_lsn = changes.last().map(|change| change.lsn);
        let lsn = last_lsn.or(read_lsn).unwrap_or(self.state.lsn.1);
        // A page without changes says that everything up to there was read.
        self.state.lsn = (read_lsn.unwrap_or(lsn), lsn.max(read_lsn.unwrap_or(lsn)));
        let mut by_key: BTreeMap<String, Vec<Change>> = BTreeMap::new();
        for change in changes {
            if !self.aside.passes_over(&change.key) {
                by_key.entry(change.key.clone()).or_default().push(change);
            }
        }
        let is_empty = read_lsn.is_none();
        // A page that only says again that there is nothing new is no reason for a checkpoint. The first one
        // is: the lease then says that nothing is behind.
        if is_empty && self.state.is_caught_up && self.commits.is_read_up_to(&continuation) {
            return self.tell(is_empty);
        }
        let ordinal = self.progress.read(by_key.len(), continuation.clone(), stored_at);
        self.commits.read_up_to(continuation);
        for (key, changes) in by_key {
            self.schedule.push(key, ordinal, changes);
        }
        self.tell(is_empty);
    }

    /// Tells how far it is behind.
    pub(super) fn tell(&mut self, was_empty: bool) {
        let is_done = self.progress.is_done();
        let (read, stored) = self.state.lsn;
        let now = self.shared.clock.now().as_second();
        let done_at = self.progress.checkpoint().and_then(|checkpoint| checkpoint.stored_at);
        let age = done_at.map_or(0, |at| u64::try_from(now).unwrap_or_default().saturating_sub(at));
        let transactions = u64::try_from(stored.saturating_sub(read)).unwrap_or_default();
        self.state.is_caught_up = is_done && was_empty;
        let seconds = if self.state.is_caught_up { 0 } else { age };
        self.state.lag = Lag { seconds, transactions };
        self.seen.send_replace(self.state.clone());
    }
}

fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}
