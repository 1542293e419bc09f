//! Keys that are set aside, and how they are tried again.
//!
//! What comes for a key that is set aside is passed over: it stays in the container. When an operator wants
//! the key to be tried again, its changes are read from there, in order, until there are no more. Only then
//! is what comes kept waiting, and the container read once more, so that nothing lies between the two;
//! then the key is as any other again, in one commit with the lease. Others of the range go on meanwhile.

mod step;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::{task::JoinSet, time::Instant};

use self::step::{From, StepResult, step};
use super::Holding;
use crate::feed::{
    FeedRange,
    documents::{Discard, Discarded, Document, Parked, Stored, parked_id},
    handler::{Delivery, Random},
    options::REDRIVES_MAX,
    store::{Done, Operation},
};

/// The keys that are set aside, as they were listed.
#[derive(Debug, Clone)]
pub(in crate::feed) struct Listing {
    /// When the listing was begun: it has everything that was stored before.
    pub(in crate::feed) begun: Instant,
    /// The documents, by key.
    pub(in crate::feed) keys: Arc<BTreeMap<String, Stored<Parked>>>,
}

/// The keys that are set aside, as one holding knows them.
#[derive(Debug)]
pub(super) struct Aside {
    /// What the holding has. A key that was set aside in a range that has nothing in common with it is of
    /// no concern here: there may be thousands of leases, and of keys.
    range: FeedRange,
    /// The document of each, unless it has to be listed first.
    keys: BTreeMap<String, Option<Stored<Parked>>>,
    /// When this holding has changed a document: a listing that was begun before knows nothing of it.
    changed: BTreeMap<String, Instant>,
    /// Versions of documents that are known to be gone, though a listing may be older than that.
    gone: BTreeMap<String, String>,
    /// Keys of other ranges.
    elsewhere: BTreeSet<String>,
    drives: BTreeMap<String, Drive>,
    steps: JoinSet<Step>,
}

/// A key that is tried again.
#[derive(Debug)]
struct Drive {
    parked: Stored<Parked>,
    /// The order of the next change to read.
    next: u64,
    /// Whether what comes waits.
    is_last: bool,
    /// Somebody else has changed its document during a step: with the end of the step, this is over.
    overtaken: Option<Overtaken>,
    state: State,
}

/// What somebody else did to the document of a key that is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overtaken {
    /// The key is not set aside any more.
    LetGo,
    /// It is to be tried again in another way, or not any more.
    Changed,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    /// The next step can begin.
    Ready,
    Running,
    /// Nothing is left to be handled: the key is to be as any other.
    Finished,
    /// It failed again.
    Failed(Parked),
}

/// What one step of trying a key again came to.
#[derive(Debug)]
struct Step {
    key: String,
    result: StepResult,
}

/// A change of the document of a key that is tried again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DriveChange {
    key: String,
    etag: String,
    /// What is stored; nothing where the key is not set aside any more.
    document: Option<Parked>,
    /// What was given up.
    discarded: Option<Discarded>,
}

impl DriveChange {
    /// Whether the key is not tried again any more.
    pub(super) fn is_last(&self) -> bool {
        self.document.as_ref().is_none_or(|parked| !parked.redrive)
    }

    /// Keeps what was given up.
    pub(super) fn keeps(&self) -> Option<Operation> {
        self.discarded.clone().map(|discarded| Operation::Upsert(Document::Discarded(discarded)))
    }

    pub(super) fn operation(&self) -> Operation {
        let etag = self.etag.clone();
        match &self.document {
            Some(parked) => Operation::Replace { document: Document::Parked(parked.clone()), etag },
            None => Operation::Delete { id: parked_id(&self.key), etag },
        }
    }
}

impl Aside {
    pub(super) fn new(range: &FeedRange, listing: &Listing) -> Self {
        let listed = listing.keys.iter().filter(|(_, found)| found.document.range.overlaps(range));
        Self {
            keys: listed.map(|(key, found)| (key.clone(), Some(found.clone()))).collect(),
            range: range.clone(),
            changed: BTreeMap::new(),
            gone: BTreeMap::new(),
            elsewhere: BTreeSet::new(),
            drives: BTreeMap::new(),
            steps: JoinSet::new(),
        }
    }

    /// Whether changes of a key are passed over.
    pub(super) fn passes_over(&self, key: &str) -> bool {
        self.keys.contains_key(key) && !self.drives.get(key).is_some_and(|drive| drive.is_last)
    }

    /// A key was set aside by this holding.
    pub(super) fn add(&mut self, key: &str) {
        self.keys.insert(key.to_owned(), None);
        self.changed.insert(key.to_owned(), Instant::now());
    }

    /// Somebody else has changed the document that had this version.
    fn is_overtaken(&mut self, key: &str, etag: &str) {
        self.changed.insert(key.to_owned(), Instant::now());
        self.gone.insert(key.to_owned(), etag.to_owned());
    }

    /// Takes what was listed: the keys that are gone, because an operator has let them go.
    fn take(&mut self, listing: &Listing) -> Vec<String> {
        self.changed.retain(|_, at| *at >= listing.begun);
        let listed = |key: &str| listing.keys.get(key);
        let is_changed = |key: &str| self.changed.contains_key(key);
        // Once a listing knows that a version is gone, later ones do, too.
        self.gone.retain(|key, etag| {
            is_changed(key) || listed(key).is_some_and(|found| found.etag == *etag)
        });
        let is_unsure = |key: &str| is_changed(key) || self.gone.contains_key(key);
        let is_gone = |key: &&String| listed(key).is_none() && !is_unsure(key);
        let gone: Vec<String> = self.keys.keys().filter(is_gone).cloned().collect();
        let is_ours = |found: &Stored<Parked>| found.document.range.overlaps(&self.range);
        let known = listing.keys.iter().filter(|(key, found)| !is_unsure(key) && is_ours(found));
        for (key, found) in known {
            self.keys.insert(key.clone(), Some(found.clone()));
        }
        self.elsewhere.retain(|key| listing.keys.contains_key(key));
        gone
    }

    /// Keys that are to be tried again and are not yet.
    fn wished(&self) -> Vec<Stored<Parked>> {
        let room = REDRIVES_MAX.saturating_sub(self.drives.len());
        let wished = self
            .keys
            .iter()
            .filter(|(key, _)| !self.drives.contains_key(*key) && !self.elsewhere.contains(*key));
        let wished = wished.filter_map(|(_, known)| known.clone());
        wished.filter(|known| known.document.redrive).take(room).collect()
    }

    /// The next step that has ended; for ever where none is under way.
    pub(super) async fn next(&mut self) -> Option<StepEnded> {
        match self.steps.join_next().await {
            Some(Ok(step)) => Some(StepEnded(step)),
            // Handlers are contained, and steps are cut off only with the holding.
            Some(Err(_)) => None,
            None => std::future::pending().await,
        }
    }

    /// Whether nothing is under way and everything that was done is stored.
    pub(super) fn is_settled(&self) -> bool {
        self.steps.is_empty() && self.drives.values().all(|drive| drive.change("").is_none())
    }

    /// Whether something is to be stored soon.
    pub(super) fn is_urgent(&self) -> bool {
        let is_over = |drive: &Drive| matches!(drive.state, State::Finished | State::Failed(_));
        self.drives.values().any(is_over)
    }

    /// What is to be stored, at most so much.
    pub(super) fn changes(&self, most: usize) -> Vec<DriveChange> {
        let changes = self.drives.iter().filter_map(|(key, drive)| drive.change(key));
        changes.take(most).collect()
    }

    pub(super) async fn shutdown(&mut self) {
        self.steps.shutdown().await;
    }
}

/// A step that has ended.
pub(super) struct StepEnded(Step);

impl Drive {
    fn change(&self, key: &str) -> Option<DriveChange> {
        if self.overtaken.is_some() {
            return None;
        }
        let (document, is_over) = match &self.state {
            State::Finished => (None, true),
            State::Failed(parked) => (Some(parked.clone()), true),
            State::Ready | State::Running if self.next > self.parked.document.order => {
                let parked = self.parked.document.clone();
                let before = self.given_up_before();
                let discard = parked.discard.map(|discard| Discard { before, ..discard });
                (Some(Parked { order: self.next, discard, ..parked }), false)
            }
            State::Ready | State::Running => return None,
        };
        let discarded = self.discarded().filter(|_| is_over);
        let (key, etag) = (key.to_owned(), self.parked.etag.clone());
        Some(DriveChange { key, etag, document, discarded })
    }

    /// What was stored before this time is given up, in seconds.
    fn given_up_before(&self) -> Option<u64> {
        let discard = self.parked.document.discard.as_ref()?;
        Some(discard.before.unwrap_or(self.parked.stored_at))
    }

    fn discarded(&self) -> Option<Discarded> {
        let parked = &self.parked.document;
        let Discard { reason, at, order, .. } = parked.discard.clone()?;
        let (key, parked) = (parked.key.clone(), parked.reason.clone());
        Some(Discarded { key, order, parked, reason, at })
    }
}

impl Holding {
    /// Takes what the host has listed. Keys that an operator has let go are handled again.
    pub(super) fn take_listing(&mut self) {
        let listing = self.listing.borrow_and_update().clone();
        for key in self.aside.take(&listing) {
            // One that is just being tried again comes to its end first.
            if !self.aside.drives.contains_key(&key) {
                self.aside.keys.remove(&key);
            }
        }
    }

    /// Begins the next steps.
    pub(super) fn drive(&mut self) {
        if self.stop.is_cancelled() {
            return;
        }
        for parked in self.aside.wished() {
            let (key, next) = (parked.document.key.clone(), parked.document.order);
            let (is_last, overtaken, state) = (false, None, State::Ready);
            let drive = Drive { parked, next, is_last, overtaken, state };
            self.aside.drives.insert(key, drive);
        }
        let shared = &self.shared;
        let (lease, stop) = (&self.lease.document, &self.stop);
        for drive in self.aside.drives.values_mut().filter(|drive| drive.state == State::Ready) {
            drive.state = State::Running;
            let parked = drive.parked.document.clone();
            let delivery = Delivery {
                key: parked.key.clone(),
                changes: Arc::from([]),
                range: lease.range.clone(),
                epoch: lease.epoch,
                attempt: 1,
                stop: stop.clone(),
            };
            let from = From { order: drive.next, given_up_before: drive.given_up_before() };
            let (shared, wishes) = (Arc::clone(shared), self.wishes.clone());
            let random = Random::new(self.random.next());
            self.aside.steps.spawn(async move {
                let key = parked.key.clone();
                Step { key, result: step(&shared, &parked, from, delivery, wishes, random).await }
            });
        }
    }

    /// A step has ended.
    pub(super) fn stepped(&mut self, StepEnded(Step { key, result }): StepEnded) {
        if let StepResult::Handled { handled, .. } = &result {
            self.count_handled(*handled);
        }
        let most = self.shared.options.run_changes_max;
        let range = self.lease.document.range.clone();
        let now = self.shared.clock.now().as_second();
        let Some(drive) = self.aside.drives.get_mut(&key) else { return };
        drive.state = State::Ready;
        if let Some(overtaken) = drive.overtaken {
            return self.end_overtaken(&key, overtaken);
        }
        match result {
            StepResult::Elsewhere => {
                self.forget(&key);
                self.aside.elsewhere.insert(key);
            }
            StepResult::Handled { changes, last, .. } => {
                let next = last.map_or(drive.next, |last| last.saturating_add(1));
                let has_more = changes >= most && next > drive.next;
                drive.next = drive.next.max(next);
                if !has_more && drive.is_last {
                    drive.state = State::Finished;
                } else if !has_more {
                    drive.is_last = self.schedule.hold(&key);
                }
            }
            StepResult::Poison { first, reason, attempts } => {
                let before = &drive.parked.document;
                let (order, lsn) = first.unwrap_or((drive.next, before.lsn));
                let key = before.key.clone();
                drive.state = State::Failed(Parked {
                    key,
                    order,
                    lsn,
                    reason,
                    attempts,
                    since: now,
                    range,
                    redrive: false,
                    discard: None,
                });
            }
            StepResult::Unread | StepResult::Stopped => {}
        }
    }

    /// The document of a key that is tried again was changed.
    pub(super) fn driven(&mut self, change: &DriveChange, done: Done) {
        self.aside.changed.insert(change.key.clone(), Instant::now());
        let Some(drive) = self.aside.drives.get_mut(&change.key) else { return };
        let (Some(parked), Done::Written { etag, stored_at }) = (&change.document, done) else {
            self.is_as_any_other(&change.key);
            return;
        };
        // The state may be a later one by now.
        let is_over = !parked.redrive;
        drive.parked = Stored { document: parked.clone(), etag, stored_at };
        let known = drive.parked.clone();
        self.aside.keys.insert(change.key.clone(), Some(known));
        if is_over {
            self.forget(&change.key);
        }
    }

    /// The document of a key that is tried again was changed by somebody else.
    pub(super) fn overtaken(&mut self, change: &DriveChange, is_missing: bool) {
        let key = &change.key;
        self.aside.is_overtaken(key, &change.etag);
        // Not set aside any more: by this holding, whose answer was lost, or by an operator.
        let overtaken = if is_missing { Overtaken::LetGo } else { Overtaken::Changed };
        if overtaken == Overtaken::Changed {
            self.aside.keys.insert(key.clone(), None);
        }
        match self.aside.drives.get_mut(key) {
            // The same key is never in two runs, so the one that is under way ends first. What comes for a
            // key that was let go waits until then.
            Some(drive) if drive.state == State::Running => {
                drive.overtaken = Some(overtaken);
                if is_missing && !drive.is_last {
                    drive.is_last = self.schedule.hold(key);
                }
            }
            _ => self.end_overtaken(key, overtaken),
        }
    }

    fn end_overtaken(&mut self, key: &str, overtaken: Overtaken) {
        match overtaken {
            Overtaken::LetGo => self.is_as_any_other(key),
            Overtaken::Changed => self.forget(key),
        }
        // What was listed meanwhile was not all heeded.
        self.shared.look.notify_one();
    }

    fn is_as_any_other(&mut self, key: &str) {
        self.aside.keys.remove(key);
        let Some(drive) = self.aside.drives.remove(key).filter(|drive| drive.is_last) else {
            return;
        };
        if self.shared.feed.has_rising_order() {
            // What was read from the container as well does not come twice.
            for (page, mut changes) in self.schedule.take(key) {
                changes.retain(|change| change.order >= drive.next);
                if changes.is_empty() {
                    self.progress.finished(page);
                } else {
                    self.schedule.push(key.to_owned(), page, changes);
                }
            }
        }
        self.schedule.finish(key);
    }

    /// Ends trying a key again: it stays set aside.
    fn forget(&mut self, key: &str) {
        if self.aside.drives.remove(key).is_some_and(|drive| drive.is_last) {
            self.pass_over_waiting(key);
        }
    }

    /// What waits for a key is passed over after all.
    fn pass_over_waiting(&mut self, key: &str) {
        let waiting = self.schedule.take(key);
        self.schedule.finish(key);
        for (page, _) in waiting {
            self.progress.finished(page);
        }
    }

    /// The lease is to be given away: who takes it goes on with the keys that are tried again.
    pub(super) fn stop_driving(&mut self) {
        // What waits for one that is not set aside any more is handled, not passed over.
        let is_open = |drive: &Drive| {
            let is_over = drive.state == State::Finished;
            drive.is_last && !is_over && drive.overtaken != Some(Overtaken::LetGo)
        };
        let open = self.aside.drives.iter_mut().map(|(key, drive)| (key.clone(), drive));
        let open: Vec<String> = open
            .filter_map(|(key, drive)| {
                is_open(drive).then(|| {
                    drive.is_last = false;
                    key
                })
            })
            .collect();
        for key in open {
            self.pass_over_waiting(&key);
        }
    }
}

#[cfg(test)]
mod tests;
