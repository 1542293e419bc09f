//! What a holding makes durable: checkpoints, parked keys, the end.
//!
//! One commit is under way at a time, because each needs the version of the lease that the one before
//! has made. A commit whose answer is lost may have been done: the lease is then read again before
//! anything else, and is still ours if owner and epoch say so.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Committing, End, Holding, Wish, redrive::DriveChange};
use crate::feed::{
    FeedRange,
    documents::{Document, Lease, Parked, Position, Stored},
    progress::{Checkpoint, Progress},
    store::{Done, OPERATIONS_MAX, Operation, StoreFault},
};

/// How long to wait before a commit that was not answered is looked into.
const RETRY: Duration = Duration::from_millis(300);

/// What is under way.
enum UnderWay {
    /// A checkpoint, with keys that are parked, or tried again, in the same commit.
    Checkpoint { lease: Box<Lease>, parked: Vec<(Parked, Vec<u64>)>, driven: Vec<DriveChange> },
    /// The last one.
    Release,
    /// The lease is replaced by leases on its parts.
    Split,
    /// Nobody knows what became of the last commit: the lease is read.
    Look,
}

/// The place among the operations of a checkpoint of the first key that is tried again: before it are those
/// that are set aside, and what is kept of those that were given up.
fn first_driven(parked: &[(Parked, Vec<u64>)], driven: &[DriveChange]) -> usize {
    parked.len().saturating_add(driven.iter().filter_map(DriveChange::keeps).count())
}

/// What a holding makes durable.
pub(super) struct Commits {
    parks: Vec<(Parked, Vec<u64>)>,
    under_way: Option<(UnderWay, Committing)>,
    /// The newest checkpoint that is durable.
    durable: u64,
    /// Where reading is.
    read: Option<String>,
    /// Not before this time.
    not_before: Instant,
    /// A checkpoint is to be written at that time.
    waits: bool,
    /// The last commit was not answered.
    in_doubt: bool,
}

impl Commits {
    pub(super) fn new() -> Self {
        Self {
            parks: Vec::new(),
            under_way: None,
            durable: 0,
            read: None,
            not_before: Instant::now(),
            waits: false,
            in_doubt: false,
        }
    }

    /// A key has to be set aside; these parts of pages are done with it.
    pub(super) fn park(&mut self, parked: Parked, pages: Vec<u64>) {
        self.parks.push((parked, pages));
    }

    /// Reading has come to this place.
    pub(super) fn read_up_to(&mut self, continuation: String) {
        self.read = Some(continuation);
    }

    /// Whether reading has come to this place already.
    pub(super) fn is_read_up_to(&self, continuation: &str) -> bool {
        self.read.as_deref() == Some(continuation)
    }

    /// Whether everything that is done is durable.
    pub(super) fn is_durable(&self, progress: &Progress) -> bool {
        progress.checkpoint().is_none_or(|checkpoint| checkpoint.ordinal <= self.durable)
            && self.parks.is_empty()
    }

    /// When a checkpoint is to be written, where one waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waits.then_some(self.not_before)
    }

    /// Where to open the range: behind what was read.
    pub(super) fn position(&self, lease: &Lease) -> Position {
        self.read.clone().map_or_else(|| lease.position.clone(), Position::Continuation)
    }

    /// The answer of the commit that is under way; for ever where there is none.
    pub(super) async fn next(&mut self) -> Result<Vec<Done>, StoreFault> {
        match &mut self.under_way {
            Some((_, committing)) => committing.await,
            None => std::future::pending().await,
        }
    }
}

impl Holding {
    /// Begins a commit when there is a reason and none is under way.
    pub(super) fn commit_if_due(&mut self, wish: &Wish) {
        self.commits.waits = false;
        if self.commits.under_way.is_some() {
            return;
        }
        let now = Instant::now();
        if self.commits.in_doubt {
            let read = vec![Operation::Read { id: self.lease.document.id() }];
            self.send(UnderWay::Look, read, self.commits.not_before);
            return;
        }
        let is_done = self.progress.is_done() || self.stop.is_cancelled() || self.is_paused;
        let is_settled = self.aside.is_settled() || self.stop.is_cancelled();
        let is_drained =
            is_done && is_settled && self.running.is_empty() && self.commits.parks.is_empty();
        match wish {
            Wish::Release if is_drained => {
                let lease = Lease { owner: None, ..self.next_lease() };
                let operations = vec![self.replace(lease)];
                self.send(UnderWay::Release, operations, now);
            }
            Wish::Split { children, touch } if is_drained => {
                let operations = self.split(children, touch);
                self.send(UnderWay::Split, operations, now);
            }
            _ => self.checkpoint_if_due(now),
        }
    }

    fn checkpoint_if_due(&mut self, now: Instant) {
        let newest = self.progress.checkpoint().map_or(0, |checkpoint| checkpoint.ordinal);
        let is_urgent = !self.commits.parks.is_empty() || self.aside.is_urgent();
        let room = OPERATIONS_MAX.saturating_sub(1);
        let driven = self.aside.changes(room);
        if newest <= self.commits.durable && !is_urgent && driven.is_empty() {
            return;
        }
        if !is_urgent && now < self.commits.not_before {
            // What is done until then goes with it.
            self.commits.waits = true;
            return;
        }
        let lease = self.next_lease();
        let room = room.saturating_sub(driven.len().saturating_mul(2));
        let rest = self.commits.parks.split_off(self.commits.parks.len().min(room));
        let parked = std::mem::replace(&mut self.commits.parks, rest);
        let park =
            |(parked, _): &(Parked, Vec<u64>)| Operation::Upsert(Document::Parked(parked.clone()));
        let mut operations: Vec<Operation> = parked.iter().map(park).collect();
        operations.extend(driven.iter().filter_map(DriveChange::keeps));
        operations.extend(driven.iter().map(DriveChange::operation));
        operations.push(self.replace(lease.clone()));
        let what = UnderWay::Checkpoint { lease: Box::new(lease), parked, driven };
        self.send(what, operations, now);
    }

    /// The lease with what is done by now.
    fn next_lease(&self) -> Lease {
        let mut lease = self.lease.document.clone();
        if let Some(Checkpoint { ordinal, continuation, stored_at }) = self.progress.checkpoint() {
            lease.ordinal = *ordinal;
            lease.position = Position::Continuation(continuation.clone());
            lease.done_at = stored_at.or(lease.done_at);
        }
        lease.lag = Some(self.state.lag);
        lease
    }

    fn replace(&self, lease: Lease) -> Operation {
        Operation::Replace { document: Document::Lease(lease), etag: self.lease.etag.clone() }
    }

    /// The leases on the parts begin where this one is.
    fn split(&self, children: &[FeedRange], touch: &Operation) -> Vec<Operation> {
        let lease = self.next_lease();
        let delete = Operation::Delete { id: lease.id(), etag: self.lease.etag.clone() };
        let mut operations = vec![touch.clone(), delete];
        operations.extend(children.iter().map(|range| {
            let child = Lease { range: range.clone(), owner: None, ..lease.clone() };
            Operation::Create(Document::Lease(child))
        }));
        operations
    }

    fn send(&mut self, what: UnderWay, operations: Vec<Operation>, at: Instant) {
        let shared = Arc::clone(&self.shared);
        let committing = Box::pin(async move {
            tokio::time::sleep_until(at).await;
            // The right to act is looked at last: a commit that comes late is refused by its etag.
            let sent = Instant::now();
            if sent >= *shared.fence.borrow() {
                return Err(StoreFault::Unavailable("the host must not act".to_owned()));
            }
            let done = shared.leases.commit(operations).await;
            shared.meter.count(|metrics| metrics.commit_time.add(sent.elapsed()));
            done
        });
        self.commits.under_way = Some((what, committing));
    }

    /// A commit was answered.
    pub(super) fn committed(
        &mut self,
        done: Result<Vec<Done>, StoreFault>,
        is_ending: bool,
    ) -> Option<End> {
        let (what, _) = self.commits.under_way.take()?;
        let now = Instant::now();
        let interval = self.shared.options.checkpoint_interval;
        match (what, done) {
            (UnderWay::Release, Ok(_)) => {
                return Some(if self.has_moved { End::Moved } else { End::Released });
            }
            (UnderWay::Split, Ok(_)) => return Some(End::Split),
            (UnderWay::Checkpoint { lease, parked, driven }, Ok(mut done)) => {
                if let Some(Done::Written { etag, stored_at }) = done.pop() {
                    self.commits.durable = lease.ordinal.max(self.commits.durable);
                    self.lease = Stored { document: *lease, etag, stored_at };
                }
                self.commits.not_before = now.checked_add(interval).unwrap_or(now);
                if !parked.is_empty() || driven.iter().any(DriveChange::is_last) {
                    self.shared.look.notify_one();
                }
                let first = first_driven(&parked, &driven);
                for (change, done) in driven.iter().zip(done.into_iter().skip(first)) {
                    self.driven(change, done);
                }
                for (parked, pages) in parked {
                    self.set_aside(&parked.key, &pages);
                }
                self.shared.meter.count(|metrics| {
                    metrics.checkpoints = metrics.checkpoints.saturating_add(1);
                });
                self.state.undurable = None;
                // A checkpoint does not change whether there is anything new.
                self.tell(self.state.is_caught_up);
            }
            (UnderWay::Look, Ok(done)) => match done.into_iter().next() {
                Some(Done::Read(found)) => return self.found(*found),
                _ => return Some(End::Lost),
            },
            (what, Err(StoreFault::Unavailable(_))) => {
                if let UnderWay::Checkpoint { parked, .. } = what {
                    self.commits.parks.splice(0..0, parked);
                }
                self.commits.in_doubt = true;
                self.commits.not_before = now.checked_add(RETRY).unwrap_or(now);
            }
            (UnderWay::Look, Err(StoreFault::Conflict { .. })) => {
                // The lease is gone. A release or a split that was not answered has done that.
                return Some(if is_ending { End::Split } else { End::Lost });
            }
            (
                UnderWay::Checkpoint { parked, driven, .. },
                Err(StoreFault::Conflict { operation, missing }),
            ) => {
                // The lease is the last of the operations; before it are the keys that are tried again.
                let place = operation.checked_sub(first_driven(&parked, &driven));
                let Some(change) = place.and_then(|place| driven.get(place)) else {
                    return Some(End::Lost);
                };
                self.overtaken(change, missing);
                self.commits.parks.splice(0..0, parked);
                self.shared.look.notify_one();
            }
            (_, Err(StoreFault::Conflict { .. })) => return Some(End::Lost),
            (_, Err(StoreFault::Foreign { reason, .. } | StoreFault::Refused(reason))) => {
                return Some(End::Refused(reason));
            }
        }
        None
    }

    /// The lease as it is after a commit that was not answered.
    fn found(&mut self, found: Stored<Document>) -> Option<End> {
        let Document::Lease(lease) = found.document else { return Some(End::Lost) };
        let mine = lease.owner.as_ref() == Some(&self.shared.incarnation)
            && lease.epoch == self.lease.document.epoch;
        if !mine {
            return Some(if lease.owner.is_none() { End::Released } else { End::Lost });
        }
        self.commits.durable = lease.ordinal.max(self.commits.durable);
        self.commits.in_doubt = false;
        self.lease = Stored { document: lease, etag: found.etag, stored_at: found.stored_at };
        None
    }

    /// A key is parked: what waits for it is done with, and what comes is not handled here.
    fn set_aside(&mut self, key: &str, pages: &[u64]) {
        self.aside.add(key);
        let waiting = self.schedule.take(key);
        self.schedule.finish(key);
        for page in pages.iter().copied().chain(waiting.into_iter().map(|(page, _)| page)) {
            self.progress.finished(page);
        }
    }
}
