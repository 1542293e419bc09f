//! One turn: read what the runs need, fold them, and commit all of it in one transaction.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    super::{
        Document, Total, ViewFault, ViewKey, Write,
        document::{is_own_id, own_id, total_id, view_id},
        fold::FoldFault,
        store::WRITES_MAX,
    },
    CONFLICTS_MAX, Job, Lane, Shared, Verdict,
    cache::Slot,
    merge::Setback,
    plan::{Planned, Prepared, plan, prepare},
};

/// The most runs of one turn: each writes a document at least.
const JOBS_MAX: usize = 96;
/// The most bytes of one transaction, by estimate: the service takes 2 MB.
const BYTES_MAX: usize = 1_500_000;
/// The documents that are read at the same time.
const READS_AT_ONCE: usize = 16;

/// What was done, for whoever watches.
#[derive(Debug, Default)]
pub(in crate::projection) struct Counts {
    pub(in crate::projection) reads: AtomicU64,
    pub(in crate::projection) commits: AtomicU64,
    pub(in crate::projection) writes: AtomicU64,
    pub(in crate::projection) conflicts: AtomicU64,
    pub(in crate::projection) events: AtomicU64,
    pub(in crate::projection) repeats: AtomicU64,
}

impl Counts {
    fn add(counter: &AtomicU64, number: usize) {
        counter.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A run whose new events are known, with the views that they touch.
struct Known {
    job: Job,
    planned: Planned,
    keys: Vec<ViewKey>,
}

/// A run whose events are folded.
struct Ready {
    job: Job,
    prepared: Prepared,
}

impl Lane {
    /// Works for those that wait, once.
    pub(super) async fn take_turn(&self, shared: &Shared) {
        let jobs = self.drain();
        if jobs.is_empty() {
            return;
        }
        let mut turn = Turn {
            lane: self,
            shared,
            slots: HashMap::new(),
            dirty: BTreeSet::new(),
            unverified: BTreeSet::new(),
            again: Vec::new(),
        };
        if let Err(fault) = turn.load_own(&jobs).await {
            return self.not_loaded(jobs, &fault);
        }
        let known: Vec<Known> = jobs.into_iter().filter_map(|job| turn.plan(job)).collect();
        if let Err(fault) = turn.load_parts(&known).await {
            return self.not_loaded(known.into_iter().map(|known| known.job).collect(), &fault);
        }
        let ready: Vec<Ready> = known.into_iter().filter_map(|known| turn.fold(known)).collect();
        let totals = ready.iter().flat_map(|ready| &ready.prepared.totals);
        let totals: BTreeSet<String> = totals.map(|change| total_id(&change.key)).collect();
        if let Err(fault) = turn.load(totals).await {
            self.put_back(mem::take(&mut turn.again));
            return self.not_loaded(ready.into_iter().map(|ready| ready.job).collect(), &fault);
        }
        let (included, rest) = turn.include(ready).await;
        turn.commit(included, rest).await;
    }

    /// A document cannot be read: whose it is shows when each run is tried by itself.
    fn not_loaded(&self, jobs: Vec<Job>, fault: &ViewFault) {
        if matches!(fault, ViewFault::Damaged { .. }) && jobs.len() > 1 {
            let alone = jobs.into_iter().map(|job| Job { is_alone: true, ..job });
            self.put_back(alone.collect());
        } else {
            fail(jobs, fault);
        }
    }

    /// The runs of one turn, without those that nobody waits for any more.
    fn drain(&self) -> Vec<Job> {
        let mut queue = self.queue();
        let mut jobs: Vec<Job> = Vec::new();
        while jobs.len() < JOBS_MAX {
            let Some(next) = queue.front() else { break };
            // A stream whose former run nobody waits for may be in the queue twice.
            let is_twice = jobs.iter().any(|job| job.stream == next.stream);
            if (next.is_alone && !jobs.is_empty()) || is_twice {
                break;
            }
            // Those that met a conflict do not go with one that may be the next to cause one.
            if next.is_guess() && jobs.first().is_some_and(|first| first.conflicts > 0) {
                break;
            }
            let Some(job) = queue.pop_front() else { break };
            let is_alone = job.is_alone;
            if !job.reply.is_closed() {
                jobs.push(job);
            }
            if is_alone {
                break;
            }
        }
        jobs
    }

    /// Puts runs back to where they were.
    fn put_back(&self, jobs: Vec<Job>) {
        let mut queue = self.queue();
        for job in jobs.into_iter().rev() {
            queue.push_front(job);
        }
    }
}

/// A turn under way. Documents are taken out of the cache, and only put back when they are known to be what
/// is stored.
pub(super) struct Turn<'a> {
    pub(super) lane: &'a Lane,
    pub(super) shared: &'a Shared,
    pub(super) slots: HashMap<String, Slot>,
    /// The documents that have changed.
    pub(super) dirty: BTreeSet<String>,
    /// Those that may be otherwise, and are only remembered when they could be written.
    unverified: BTreeSet<String>,
    /// Runs that are tried again with documents that are read again.
    again: Vec<Job>,
}

impl Turn<'_> {
    /// Gets the documents of the streams themselves.
    async fn load_own(&mut self, jobs: &[Job]) -> Result<(), ViewFault> {
        let mut needed = BTreeSet::new();
        for job in jobs {
            let id = own_id(&job.stream);
            if !job.is_guess() {
                needed.insert(id);
                continue;
            }
            let known = self.lane.cache().take(&id);
            let slot = known.unwrap_or_else(|| {
                self.unverified.insert(id.clone());
                Slot::absent()
            });
            self.slots.insert(id, slot);
        }
        self.load(needed).await
    }

    /// Gets the documents of the parts that are touched, and only after those of the streams: what is read
    /// later is not older, and a part only changes together with the document of its stream. So a part that
    /// was not there is not there when the commit finds its stream unchanged.
    async fn load_parts(&mut self, known: &[Known]) -> Result<(), ViewFault> {
        let mut needed = BTreeSet::new();
        for Known { job, keys, .. } in known {
            let own = self.slots.get(&own_id(&job.stream));
            let is_new = own.is_none_or(|own| own.document.is_none());
            let parts = keys.iter().filter(|key| **key != ViewKey::Stream);
            for id in parts.map(|key| view_id(&job.stream, key)) {
                if is_new {
                    // There are no parts without the document of their stream.
                    self.unverified.insert(id.clone());
                    self.slots.insert(id, Slot::absent());
                } else {
                    needed.insert(id);
                }
            }
        }
        self.load(needed).await
    }

    /// Gets documents, from the cache or by reading them.
    async fn load(&mut self, ids: BTreeSet<String>) -> Result<(), ViewFault> {
        let mut missing = Vec::new();
        for id in ids {
            if self.slots.contains_key(&id) {
                continue;
            }
            match self.lane.cache().take(&id) {
                Some(slot) => {
                    self.slots.insert(id, slot);
                }
                None => missing.push(id),
            }
        }
        Counts::add(&self.shared.counts.reads, missing.len());
        let (store, partition) = (&self.shared.store, &self.lane.partition);
        let reads = missing.into_iter().map(|id| async move {
            let found = store.read(partition, &id).await?;
            let slot =
                found.map_or_else(Slot::absent, |found| Slot::of(found.document, found.etag));
            Ok::<_, ViewFault>((id, slot))
        });
        let read: Vec<_> =
            stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect().await?;
        self.slots.extend(read);
        Ok(())
    }

    /// Finds the new events of a run. One that is done, or cannot be, gets its answer.
    fn plan(&mut self, job: Job) -> Option<Known> {
        let own = self.slots.get(&own_id(&job.stream));
        let planned = match plan(own, &job.run, job.at_once) {
            Ok(planned) => planned,
            Err(verdict) => {
                answer(job, verdict);
                return None;
            }
        };
        Counts::add(&self.shared.counts.repeats, planned.repeats);
        if planned.events.is_empty() {
            self.cover(&job.stream, planned.covered);
            answer(job, Verdict::Applied);
            return None;
        }
        let events: Vec<_> = planned.events.iter().map(AsRef::as_ref).collect();
        match guarded(|| self.shared.projection.touches(&events)) {
            Ok(keys) => Some(Known { job, planned, keys }),
            Err(fault) => {
                answer(job, fault.into());
                None
            }
        }
    }

    /// Folds a run. One that cannot be folded gets its answer.
    fn fold(&mut self, known: Known) -> Option<Ready> {
        let Known { job, planned, keys } = known;
        let fault = match guarded(|| self.prepare(&job, &planned)) {
            Ok(prepared) => return Some(Ready { job, prepared }),
            Err(fault) => fault,
        };
        // What is remembered of some views may be older than that of others.
        if job.conflicts == 0 && !matches!(fault, FoldFault::Event { .. }) {
            let ids = keys.iter().map(|key| view_id(&job.stream, key));
            self.unverified.extend(ids.chain([own_id(&job.stream)]));
            self.again.push(Job { conflicts: 1, ..job });
        } else {
            answer(job, fault.into());
        }
        None
    }

    fn prepare(&self, job: &Job, planned: &Planned) -> Result<Prepared, FoldFault> {
        let document = |key: &ViewKey| {
            self.slots.get(&view_id(&job.stream, key)).and_then(|slot| slot.document.as_ref())
        };
        prepare(&self.shared.projection, &self.lane.partition, &job.stream, planned, document)
    }

    fn cover(&mut self, stream: &str, covered: u64) {
        if let Some(slot) = self.slots.get_mut(&own_id(stream)) {
            slot.covered = slot.covered.max(covered);
        }
    }

    /// Takes runs into the transaction while there is place. Gives those that are in it, and the rest.
    async fn include(&mut self, ready: Vec<Ready>) -> (Vec<Ready>, Vec<Job>) {
        let mut included: Vec<Ready> = Vec::new();
        let mut rest = Vec::new();
        let mut bytes: usize = 0;
        for mut ready in ready {
            if !rest.is_empty() {
                rest.push(ready.job);
                continue;
            }
            let changed = match self.changed(&mut ready.prepared).await {
                Ok(changed) => changed,
                Err(Setback::Final(verdict)) => {
                    answer(ready.job, verdict);
                    continue;
                }
                Err(Setback::Doubtful(fault)) => {
                    self.doubt(ready, fault);
                    continue;
                }
            };
            let weight =
                changed.values().map(|slot| slot.document.as_ref().map_or(0, Document::weight));
            let together = weight.fold(bytes, usize::saturating_add);
            let new = changed.keys().filter(|id| !self.dirty.contains(*id)).count();
            let is_one = included.is_empty() && ready.prepared.events <= 1;
            let is_many = self.dirty.len().saturating_add(new) > WRITES_MAX;
            // The weight of one event alone is left to the service to judge.
            if is_many || (together > BYTES_MAX && !is_one) {
                if included.is_empty() {
                    rest.extend(smaller(ready.job));
                } else {
                    rest.push(ready.job);
                }
                continue;
            }
            bytes = together;
            self.dirty.extend(changed.keys().cloned());
            self.slots.extend(changed);
            included.push(ready);
        }
        (included, rest)
    }

    /// A run that does not fit what is known of the documents is tried again with those that are stored.
    fn doubt(&mut self, Ready { mut job, prepared }: Ready, fault: FoldFault) {
        job.conflicts = job.conflicts.saturating_add(1);
        if job.conflicts > CONFLICTS_MAX {
            return answer(job, fault.into());
        }
        let totals = prepared.totals.iter().map(|change| total_id(&change.key));
        self.unverified.extend(totals.chain([own_id(&job.stream)]));
        self.again.push(job);
    }

    /// Commits what has changed, and answers.
    async fn commit(mut self, included: Vec<Ready>, rest: Vec<Job>) {
        self.lane.put_back(rest);
        self.lane.put_back(mem::take(&mut self.again));
        let writes: Vec<Write> = self.dirty.iter().filter_map(|id| self.write(id)).collect();
        let partition = &self.lane.partition;
        let count = writes.len();
        let committed = if writes.is_empty() {
            Ok(Vec::new())
        } else {
            self.shared.store.commit(partition, writes).await
        };
        let etags = match committed {
            Ok(etags) => etags,
            Err(fault) => return self.refused(included, &fault),
        };
        let counts = &self.shared.counts;
        Counts::add(&counts.commits, usize::from(count > 0));
        Counts::add(&counts.writes, count);
        let written: Vec<&String> =
            self.dirty.iter().filter(|id| self.slots.get(*id).is_some_and(is_written)).collect();
        for (id, etag) in written.into_iter().zip(etags) {
            if let Some(slot) = self.slots.get_mut(id) {
                slot.etag = Some(etag).filter(|_| slot.document.is_some());
            }
        }
        {
            let mut cache = self.lane.cache();
            for (id, slot) in mem::take(&mut self.slots) {
                let is_stored = self.dirty.contains(&id) || !self.unverified.contains(&id);
                // That another document is not there holds for this turn only: nothing need be written
                // where it stays so, and then nobody would notice.
                if is_stored && (slot.document.is_some() || is_own_id(&id)) {
                    cache.put(id, slot);
                }
            }
        }
        for Ready { job, prepared } in included {
            Counts::add(&counts.events, prepared.events);
            if prepared.is_part {
                self.lane.put_back(vec![job]);
            } else {
                answer(job, Verdict::Applied);
            }
        }
    }

    fn write(&self, id: &str) -> Option<Write> {
        let slot = self.slots.get(id).filter(|slot| is_written(slot))?;
        let etag = slot.etag.clone();
        Some(match &slot.document {
            Some(document) => Write { document: document.clone(), etag, is_delete: false },
            None => Write { document: self.nothing(id), etag, is_delete: true },
        })
    }

    /// Stands for a document that is deleted.
    fn nothing(&self, id: &str) -> Document {
        let mut document = Document::of_total(&self.lane.partition, "", Total::default());
        id.clone_into(&mut document.id);
        document
    }

    /// Nothing was written, or nobody knows. The documents are read again.
    fn refused(self, included: Vec<Ready>, fault: &ViewFault) {
        let jobs: Vec<Job> = included.into_iter().map(|ready| ready.job).collect();
        match fault {
            ViewFault::Conflict => {
                Counts::add(&self.shared.counts.conflicts, 1);
                let mut again = Vec::new();
                for mut job in jobs {
                    job.conflicts = job.conflicts.saturating_add(1);
                    if job.conflicts > CONFLICTS_MAX {
                        answer(job, verdict(fault));
                    } else {
                        again.push(job);
                    }
                }
                self.lane.put_back(again);
            }
            ViewFault::TooLarge | ViewFault::Unfit(_) if jobs.len() > 1 => {
                let alone = jobs.into_iter().map(|job| Job { is_alone: true, ..job });
                self.lane.put_back(alone.collect());
            }
            ViewFault::TooLarge => {
                let again = jobs.into_iter().filter_map(smaller).collect();
                self.lane.put_back(again);
            }
            _ => fail(jobs, fault),
        }
    }
}

/// A panic is a fault of the run's events, and not of those who are written with it.
fn guarded<T>(work: impl FnOnce() -> Result<T, FoldFault>) -> Result<T, FoldFault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(FoldFault::Panic))
}

fn is_written(slot: &Slot) -> bool {
    slot.document.is_some() || slot.etag.is_some()
}

/// The run in smaller parts, unless it is one event already: then it cannot be written at all.
fn smaller(mut job: Job) -> Option<Job> {
    let at_once = job.at_once.min(job.run.events.len());
    if at_once <= 1 {
        let reason = "an event changes more than one transaction takes: 100 documents, 2 MB";
        answer(job, Verdict::Poison(reason.to_owned()));
        return None;
    }
    job.at_once = at_once.div_ceil(2);
    job.is_alone = true;
    Some(job)
}

pub(super) fn verdict(fault: &ViewFault) -> Verdict {
    match fault {
        // Damage does not pass by itself, but it is mended without a new event.
        ViewFault::Damaged { .. } | ViewFault::Unfit(_) => Verdict::Poison(fault.to_string()),
        _ => Verdict::Transient(fault.to_string()),
    }
}

fn fail(jobs: Vec<Job>, fault: &ViewFault) {
    for job in jobs {
        answer(job, verdict(fault));
    }
}

fn answer(job: Job, verdict: Verdict) {
    if job.reply.send(verdict).is_err() {
        tracing::trace!("nobody waits for the run any more");
    }
}
