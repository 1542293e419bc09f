//! Reading of one lease: open, next page, wait, and what a page leads to.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

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
                        self.asked_at = *self.hint.borrow_and_update();
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
        self.shared.meter.count(|metrics| {
            metrics.pages = metrics.pages.saturating_add(1);
            let read = u64::try_from(changes.len()).unwrap_or_default();
            metrics.changes = metrics.changes.saturating_add(read);
            metrics.feed_charge += request_charge;
        });
        self.state.hint = self.asked_at;
        if !changes.is_empty() {
            self.idle = self.shared.options.poll_min;
        }
        // The service may give the changes of one transaction in any order.
        changes.sort_by_key(|change| (change.lsn, change.order));
        if last_lsn.is_none() {
            // Several partitions are in the range, so there is no such number.
            self.shared.compare.notify_one();
        }
        let times = || changes.iter().map(|change| change.stored_at);
        let stored = times().min().zip(times().max()).map(|(first, last)| first..=last);
        self.read_at = stored.as_ref().map(|stored| *stored.end()).max(self.read_at);
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
        let ordinal = self.progress.read(by_key.len(), continuation.clone(), stored);
        self.commits.read_up_to(continuation);
        for (key, changes) in by_key {
            self.schedule.push(key, ordinal, changes);
        }
        self.tell(is_empty);
    }

    /// Tells how far it is behind.
    pub(super) fn tell(&mut self, was_empty: bool) {
        let now = Instant::now();
        let is_done = self.progress.is_done();
        let (read, stored) = self.state.lsn;
        let transactions = u64::try_from(stored.saturating_sub(read)).unwrap_or_default();
        self.state.is_caught_up = is_done && was_empty;
        // Where nothing is open, what comes next was stored after what was read last.
        let oldest = self.progress.oldest().or(self.read_at);
        let age = oldest.map_or(0, |oldest| self.shared.service_now().saturating_sub(oldest));
        let seconds = if self.state.is_caught_up { 0 } else { age };
        self.state.lag = Lag { seconds, transactions };
        if self.state.is_caught_up {
            self.state.moved = Some(now);
        }
        let is_durable = is_done && self.commits.is_durable(&self.progress);
        self.state.undurable = if is_durable { None } else { self.state.undurable.or(Some(now)) };
        self.seen.send_replace(self.state.clone());
        if self.state.is_caught_up && self.shared.waiting.load(Ordering::Relaxed) > 0 {
            self.shared.news.notify_one();
        }
    }
}

fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}
