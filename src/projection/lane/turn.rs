//! One turn: read what the runs need, fold them, and commit all of it in one transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    super::{
        Document, Total, ViewFault, ViewKey, ViewQuery, Write,
        document::{Kind, own_id, total_id, view_id},
        fold::FoldFault,
        store::WRITES_MAX,
        totals::Measures,
    },
    CONFLICTS_MAX, Job, Lane, Shared, Verdict,
    cache::Slot,
    plan::{Planned, Prepared, TotalChange, plan, prepare},
};

/// The most runs of one turn: each writes a document at least.
const JOBS_MAX: usize = 96;
/// The most bytes of one transaction, by estimate: the service takes 2 MB.
const BYTES_MAX: usize = 1_500_000;
/// The documents that are read at the same time.
const READS_AT_ONCE: usize = 16;
/// The contributions of a page, when an extreme has to be looked for.
const SCAN_PAGE: u32 = 1000;

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
        let mut turn = Turn { lane: self, shared, slots: HashMap::new(), dirty: BTreeSet::new() };
        let jobs = match turn.load_own(&jobs).await {
            Ok(()) => jobs,
            Err(fault) => return fail(jobs, &fault),
        };
        let ready: Vec<Ready> = jobs.into_iter().filter_map(|job| turn.fold(job)).collect();
        let totals = ready.iter().flat_map(|ready| &ready.prepared.totals);
        let totals: BTreeSet<String> = totals.map(|change| total_id(&change.key)).collect();
        if let Err(fault) = turn.load(totals).await {
            return fail(ready.into_iter().map(|ready| ready.job).collect(), &fault);
        }
        let (included, rest) = turn.include(ready).await;
        turn.commit(included, rest).await;
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
struct Turn<'a> {
    lane: &'a Lane,
    shared: &'a Shared,
    slots: HashMap<String, Slot>,
    /// The documents that have changed.
    dirty: BTreeSet<String>,
}

impl Turn<'_> {
    /// Gets the documents of the streams themselves.
    async fn load_own(&mut self, jobs: &[Job]) -> Result<(), ViewFault> {
        let mut needed = BTreeSet::new();
        for job in jobs {
            let events: Vec<_> = job.run.events.iter().map(AsRef::as_ref).collect();
            // What cannot be read is found again when it is folded.
            let keys = self.shared.projection.touches(&events).unwrap_or_default();
            let ids = keys.iter().map(|key| view_id(&job.stream, key));
            let ids: BTreeSet<String> = ids.chain([own_id(&job.stream)]).collect();
            // The first event of a stream mostly finds nothing. Where it does, the commit is refused.
            if job.run.first == 1 && job.conflicts == 0 {
                for id in ids {
                    let slot = self.lane.cache().take(&id).unwrap_or_else(Slot::absent);
                    self.slots.insert(id, slot);
                }
            } else {
                needed.extend(ids);
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

    /// Folds a run. One that is done, or cannot be, gets its answer.
    fn fold(&mut self, job: Job) -> Option<Ready> {
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
        // A panic is a fault of this run's events, and not of those who are written with it.
        let prepared = catch_unwind(AssertUnwindSafe(|| self.prepare(&job, &planned)));
        match prepared {
            Ok(Ok(prepared)) => Some(Ready { job, prepared }),
            Ok(Err(fault)) => {
                answer(job, fault.into());
                None
            }
            Err(_) => {
                answer(job, Verdict::Poison("the projection panicked".to_owned()));
                None
            }
        }
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
                Err(verdict) => {
                    answer(ready.job, verdict);
                    continue;
                }
            };
            let weight =
                changed.values().map(|slot| slot.document.as_ref().map_or(0, Document::weight));
            let together = weight.fold(bytes, usize::saturating_add);
            let new = changed.keys().filter(|id| !self.dirty.contains(*id)).count();
            if self.dirty.len().saturating_add(new) > WRITES_MAX || together > BYTES_MAX {
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

    /// The documents as they are with a run.
    async fn changed(&self, prepared: &mut Prepared) -> Result<BTreeMap<String, Slot>, Verdict> {
        let mut changed = BTreeMap::new();
        for (id, document) in mem::take(&mut prepared.documents) {
            let slot = self.slots.get(&id).cloned().unwrap_or_else(Slot::absent);
            let covered = prepared.covered.max(slot.covered);
            changed.insert(id, Slot { document, covered, ..slot });
        }
        for TotalChange { key, old, new } in &prepared.totals {
            let id = total_id(key);
            let slot = self.slots.get(&id).cloned().unwrap_or_else(Slot::absent);
            let former = slot.document.as_ref().and_then(|document| document.total.clone());
            let mut total = former.unwrap_or_default();
            let unknown = total.replace(old.as_ref(), new.as_ref()).map_err(FoldFault::from)?;
            if !unknown.is_empty() {
                self.look_for(key, unknown, &changed, &mut total).await?;
            }
            let document = Document::of_total(&self.lane.partition, key, total.clone());
            let document = (total.streams > 0).then_some(document);
            changed.insert(id, Slot { document, ..slot });
        }
        Ok(changed)
    }

    /// Looks for extremes among the contributions of the shard: what is stored, and what this turn has made
    /// of it.
    async fn look_for(
        &self,
        key: &str,
        names: BTreeSet<String>,
        changed: &BTreeMap<String, Slot>,
        total: &mut Total,
    ) -> Result<(), Verdict> {
        let mut found = Total::default();
        let mut add = |document: &Document| {
            let adds = document.adds.as_ref().and_then(|adds| adds.get(key)).into_iter().flatten();
            let named = adds.filter(|(name, _)| names.contains(*name));
            let named: Measures = named.map(|(name, part)| (name.clone(), part.clone())).collect();
            found.add(&named).map_err(FoldFault::from)
        };
        let ours = || self.dirty.iter().filter(|id| !changed.contains_key(*id));
        let ours: BTreeMap<&String, &Slot> = ours()
            .filter_map(|id| self.slots.get(id).map(|slot| (id, slot)))
            .chain(changed)
            .collect();
        for document in ours.values().filter_map(|slot| slot.document.as_ref()) {
            if document.kind == Kind::Contribution {
                add(document)?;
            }
        }
        let mut query = ViewQuery {
            kinds: vec![Kind::Contribution],
            filters: Vec::new(),
            sort: "key".to_owned(),
            is_descending: false,
            after: None,
            limit: SCAN_PAGE,
        };
        loop {
            let page = self.shared.store.query(&self.lane.partition, &query).await;
            let page = page.map_err(|fault| verdict(&fault))?;
            for found in page.iter().filter(|found| !ours.contains_key(&found.document.id)) {
                add(&found.document)?;
            }
            let last = page.last().and_then(|found| found.document.sort.get("key").cloned());
            if last.is_none() {
                break;
            }
            query.after = last;
        }
        total.measures.extend(found.measures);
        Ok(())
    }

    /// Commits what has changed, and answers.
    async fn commit(mut self, included: Vec<Ready>, rest: Vec<Job>) {
        self.lane.put_back(rest);
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
                cache.put(id, slot);
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
            ViewFault::TooLarge if jobs.len() > 1 => {
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

fn verdict(fault: &ViewFault) -> Verdict {
    match fault {
        // Damage does not pass by itself, but it is mended without a new event.
        ViewFault::Damaged { .. } => Verdict::Poison(fault.to_string()),
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
