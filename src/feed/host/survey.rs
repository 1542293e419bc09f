//! Leases against partitions: what was split or merged, and what is not covered.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{HostTask, Wish, after};
use crate::feed::{
    FeedRange,
    coverage::{Overlap, Repair, check},
    documents::{Document, Lease, Stored},
    options::WAITING_INTERVAL,
    restart,
    store::{OPERATIONS_MAX, Operation, StoreFault},
};

/// The parts that a lease is split into at once. With the lease and the topology they are one transaction.
const CHILDREN_MAX: usize = OPERATIONS_MAX.saturating_sub(2);

impl HostTask {
    /// Mends what does not tile the key space. What is seen once may be a listing that was torn by a
    /// change; what is still so after the expiry is mended under the version of the topology that was
    /// read before.
    pub(super) async fn mend(&mut self) {
        let leases: Vec<Stored<Lease>> = self.leases.values().cloned().collect();
        let ranges: Vec<FeedRange> =
            leases.iter().map(|lease| lease.document.range.clone()).collect();
        let repair = check(&ranges);
        if repair.is_empty() {
            self.suspect = repair;
            return;
        }
        let now = Instant::now();
        if repair != self.suspect {
            // Whoever still works on a lease that is gone looks at the leases when the topology changes,
            // or has lost its right to act after the expiry.
            if self.announce().await {
                (self.suspect, self.suspect_since) = (repair, Instant::now());
            }
            self.look_soon();
            return;
        }
        if now.saturating_duration_since(self.suspect_since) < self.shared.options.expiry {
            self.look_soon();
            return;
        }
        tracing::error!("the leases do not cover the feed as they must, and are mended");
        let Repair { gaps, overlaps } = repair;
        let mut changes = Vec::new();
        for Overlap { leases: places, .. } in overlaps {
            let replaced: Vec<&Stored<Lease>> =
                places.iter().filter_map(|place| leases.get(*place)).collect();
            changes.extend(self.replace_by_one(&replaced));
        }
        changes.extend(gaps.into_iter().filter_map(|range| self.in_place_of_lost(range)));
        self.change_leases(changes).await;
    }

    /// Notes the leases whose documents cannot be read. Whoever works on one looks at the leases when the
    /// topology changes, or has lost its right to act after the expiry: until then nobody takes it.
    pub(super) async fn note_damaged(&mut self) {
        let now = Instant::now();
        let known = std::mem::take(&mut self.damaged);
        for (id, lease) in self.leases.iter().filter(|(_, lease)| lease.document.is_damaged) {
            let before = known.get(id).filter(|(etag, _)| *etag == lease.etag);
            let since = before.map_or(now, |(_, since)| *since);
            self.damaged.insert(id.clone(), (lease.etag.clone(), since));
        }
        let is_new = |(id, (etag, _)): (&String, &(String, Instant))| {
            known.get(id).is_none_or(|(known, _)| known != etag)
        };
        if self.damaged.iter().any(is_new) && !self.announce().await {
            // Who was not told may work for longer: it is told next time, and waited for from then on.
            self.damaged
                .retain(|id, (etag, _)| known.get(id).is_some_and(|(known, _)| known == etag));
            self.look_soon();
        }
        if !self.damaged.is_empty() {
            self.look_soon();
        }
    }

    /// Whether whoever worked on a lease may not have seen yet that its document cannot be read.
    pub(super) fn is_just_damaged(&self, lease: &Stored<Lease>) -> bool {
        let expiry = self.shared.options.expiry;
        let known = self.damaged.get(&lease.document.id());
        let known = known.filter(|(etag, _)| *etag == lease.etag);
        lease.document.is_damaged && known.is_none_or(|(_, since)| since.elapsed() < expiry)
    }

    /// A lease in the place of one that is gone. Its epoch begins with the service's time in seconds, which
    /// is more than anything that was ever counted one by one: a handler that has seen the lease before it
    /// was lost must not take the new one for an older.
    fn in_place_of_lost(&self, range: FeedRange) -> Option<Vec<Operation>> {
        let topology = &self.listed_topology.as_ref()?.document;
        let goal = restart::lost(topology, self.saved.as_ref(), &range)?;
        let lease = Lease {
            epoch: self.shared.service_now(),
            done_at: goal.done_at,
            ..self.new_lease(range, goal.position)
        };
        Some(vec![Operation::Create(Document::Lease(lease))])
    }

    /// One lease in the place of several: it begins at the earliest of their places in time, because
    /// places of different ranges cannot be compared. What comes again is passed over downstream. When they
    /// are too many for one transaction, the others come next.
    fn replace_by_one(&self, replaced: &[&Stored<Lease>]) -> Option<Vec<Operation>> {
        let most = OPERATIONS_MAX.saturating_sub(2).min(replaced.len());
        let replaced = replaced.get(..most)?;
        let ranges = replaced.iter().map(|lease| lease.document.range.clone());
        let range = ranges.reduce(|one, other| one.hull(&other))?;
        let position = restart::earliest(replaced.iter().map(|lease| &lease.document));
        let mut lease = self.new_lease(range, position);
        lease.epoch = replaced.iter().map(|lease| lease.document.epoch).max().unwrap_or_default();
        lease.done_at = replaced.iter().filter_map(|lease| lease.document.done_at).min();
        // One of them may not have been rewound yet.
        let generations = replaced.iter().map(|lease| lease.document.generation);
        lease.generation = generations.min().unwrap_or(lease.generation);
        if replaced.iter().any(|lease| lease.document.is_damaged) {
            // Of one of them nothing is known, so the whole is as if it were lost.
            let topology = &self.listed_topology.as_ref()?.document;
            let goal = restart::lost(topology, self.saved.as_ref(), &lease.range)?;
            (lease.position, lease.done_at) = (goal.position, goal.done_at);
            lease.epoch = lease.epoch.max(self.shared.service_now());
            lease.generation = topology.generation;
        }
        let has_same_id = |found: &&&Stored<Lease>| found.document.id() == lease.id();
        let same = replaced.iter().find(has_same_id).map(|found| found.etag.clone());
        let mut operations: Vec<Operation> = replaced
            .iter()
            .filter(|found| found.document.id() != lease.id())
            .map(|found| Operation::Delete { id: found.document.id(), etag: found.etag.clone() })
            .collect();
        let document = Document::Lease(lease);
        operations.push(match same {
            Some(etag) => Operation::Replace { document, etag },
            None => Operation::Create(document),
        });
        Some(operations)
    }

    fn touch(&self) -> Option<Operation> {
        let topology = self.topology.as_ref()?;
        let document = Document::Topology(topology.document.clone());
        Some(Operation::Replace { document, etag: topology.etag.clone() })
    }

    /// Lets all hosts look at the leases. Says whether they will: a change of somebody else may be older than
    /// what they are to see.
    async fn announce(&mut self) -> bool {
        let Some(touch) = self.touch() else { return false };
        self.next_beat = Instant::now();
        match self.shared.leases.commit(vec![touch]).await {
            Ok(_) => return true,
            Err(StoreFault::Conflict { .. }) => {}
            Err(fault) => self.note(&fault),
        }
        false
    }

    /// Makes changes, each of them whole, as many as fit into one transaction: the others are found again.
    ///
    /// Under the topology that was listed with the leases: who joined later may have taken one.
    async fn change_leases(&mut self, changes: Vec<Vec<Operation>>) {
        let Some(Stored { document, etag, .. }) = self.listed_topology.clone() else { return };
        let touch = Operation::Replace { document: Document::Topology(document), etag };
        let mut operations = vec![touch];
        for change in changes {
            if operations.len().saturating_add(change.len()) <= OPERATIONS_MAX {
                operations.extend(change);
            }
        }
        if operations.len() == 1 {
            return;
        }
        match self.shared.leases.commit(operations).await {
            Ok(_) => {}
            Err(StoreFault::Conflict { .. }) => {
                let soon = after(Instant::now(), WAITING_INTERVAL.saturating_mul(2));
                self.next_survey = self.next_survey.min(soon);
                self.look_soon();
            }
            Err(fault) => self.note(&fault),
        }
        self.suspect = Repair::default();
        self.next_beat = Instant::now();
    }

    /// Compares the leases with the partitions of the feed.
    pub(super) async fn survey(&mut self) {
        self.next_survey = after(Instant::now(), self.shared.options.list_interval);
        let partitions = match self.shared.feed.ranges().await {
            Ok(partitions) => partitions,
            Err(fault) => {
                self.trouble = Some(fault.to_string());
                return;
            }
        };
        let mut parts: BTreeMap<FeedRange, Vec<Stored<Lease>>> = BTreeMap::new();
        let mut splits = Vec::new();
        for (id, lease) in &self.leases {
            let range = &lease.document.range;
            let children: Vec<FeedRange> =
                partitions.iter().filter_map(|partition| partition.intersection(range)).collect();
            if children.len() > 1 {
                let children = at_most(CHILDREN_MAX, children);
                splits.push((id.clone(), lease.clone(), children));
            } else if let Some(partition) =
                partitions.iter().find(|partition| partition.contains(range) && *partition != range)
            {
                parts.entry(partition.clone()).or_default().push(lease.clone());
            }
        }
        for (id, lease, children) in splits {
            self.split(&id, &lease, children).await;
        }
        self.unfit.clear();
        if parts.is_empty() {
            return;
        }
        match self.shared.feed.reads_parts().await {
            Ok(true) => return,
            Ok(false) => {}
            Err(fault) => {
                self.trouble = Some(fault.to_string());
                return;
            }
        }
        for (partition, leases) in parts {
            self.merge(&partition, &leases).await;
        }
    }

    /// Whether a host that lives works on a lease, or may.
    fn is_worked_on(&self, lease: &Stored<Lease>) -> bool {
        let is_member = |owner: &String| {
            self.listed_topology
                .as_ref()
                .is_some_and(|topology| topology.document.members.contains(owner))
        };
        match &lease.document.owner {
            None => self.is_just_damaged(lease),
            Some(owner) if *owner == self.me.incarnation => {
                self.held.contains_key(&lease.document.id())
            }
            Some(owner) => is_member(owner),
        }
    }

    /// Puts leases on the partitions in the place of one that spans several.
    async fn split(&mut self, id: &str, lease: &Stored<Lease>, children: Vec<FeedRange>) {
        if let Some(held) = self.held.get(id) {
            let Some(touch) = self.touch() else { return };
            if matches!(*held.wish.borrow(), Wish::Work | Wish::Pause) {
                held.wish.send_replace(Wish::Split { children, touch: Box::new(touch) });
            }
            return;
        }
        // A damaged one is made anew first. A member that this host has not seen beat yet may work on it as
        // well.
        if lease.document.is_damaged || self.is_worked_on(lease) {
            return;
        }
        let delete = Operation::Delete { id: id.to_owned(), etag: lease.etag.clone() };
        let mut operations = vec![delete];
        operations.extend(children.into_iter().map(|range| {
            let child = Lease { range, owner: None, ..lease.document.clone() };
            Operation::Create(Document::Lease(child))
        }));
        self.change_leases(vec![operations]).await;
    }

    /// Makes the leases on parts of one partition one, once nobody works on any of them: who does finds
    /// out with the next page, and lets go.
    async fn merge(&mut self, partition: &FeedRange, leases: &[Stored<Lease>]) {
        self.unfit.extend(leases.iter().map(|lease| lease.document.id()));
        if leases.iter().any(|lease| self.is_worked_on(lease)) || !tile(partition, leases) {
            let soon = after(Instant::now(), WAITING_INTERVAL);
            self.next_survey = self.next_survey.min(soon);
            self.look_soon();
            return;
        }
        let leases: Vec<&Stored<Lease>> = leases.iter().collect();
        let change = self.replace_by_one(&leases);
        self.change_leases(change.into_iter().collect()).await;
    }
}

/// At most so many parts of a range: the last one has the rest, and is split next.
fn at_most(most: usize, mut parts: Vec<FeedRange>) -> Vec<FeedRange> {
    parts.sort();
    let rest = parts.split_off(parts.len().min(most.saturating_sub(1)));
    parts.extend(rest.into_iter().reduce(|one, other| one.hull(&other)));
    parts
}

/// Whether leases, in the order of their ranges, cover a partition without a gap.
fn tile(partition: &FeedRange, leases: &[Stored<Lease>]) -> bool {
    let mut end = partition.begin();
    for lease in leases {
        if lease.document.range.begin() != end {
            return false;
        }
        end = lease.document.range.end();
    }
    end == partition.end()
}
