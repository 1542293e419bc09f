//! Leases against partitions: what was split or merged, and what is not covered.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{HostTask, Wish, after};
use crate::feed::{
    FeedRange,
    coverage::{Overlap, Repair, check},
    documents::{Document, Lease, Position, Stored},
    options::{RESTART_MARGIN, WAITING_INTERVAL},
    store::{OPERATIONS_MAX, Operation, StoreFault},
};

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
            (self.suspect, self.suspect_since) = (repair, now);
            if let Some(touch) = self.touch() {
                self.announce(touch).await;
            }
            self.look_soon();
            return;
        }
        if now.saturating_duration_since(self.suspect_since) < self.shared.options.expiry {
            self.look_soon();
            return;
        }
        tracing::error!("the leases do not cover the feed as they must, and are mended");
        let Some(touch) = self.touch() else { return };
        let mut operations = vec![touch];
        let Repair { gaps, overlaps } = repair;
        for Overlap { leases: places, range } in overlaps {
            let replaced: Vec<&Stored<Lease>> =
                places.iter().filter_map(|place| leases.get(*place)).collect();
            operations.extend(self.replace_by_one(&replaced, range));
        }
        let start = self.topology.as_ref().map(|topology| topology.document.start);
        for range in gaps {
            let Some(start) = start else { continue };
            match self.start_of(&range, start).await {
                Ok(position) => {
                    let lease = self.new_lease(range, position);
                    operations.push(Operation::Create(Document::Lease(lease)));
                }
                Err(fault) => self.trouble = Some(fault.to_string()),
            }
        }
        self.change_leases(operations).await;
    }

    /// One lease in the place of several: it begins at the earliest of their places in time, because
    /// places of different ranges cannot be compared. What comes again is passed over downstream.
    fn replace_by_one(&self, replaced: &[&Stored<Lease>], range: FeedRange) -> Vec<Operation> {
        let positions = replaced.iter().map(|lease| restart(&lease.document));
        let position = positions.min_by_key(|position| match position {
            Position::Time(seconds) => *seconds,
            _ => i64::MIN,
        });
        let mut lease = self.new_lease(range, position.unwrap_or(Position::Beginning));
        lease.epoch = replaced.iter().map(|lease| lease.document.epoch).max().unwrap_or_default();
        lease.done_at = replaced.iter().filter_map(|lease| lease.document.done_at).min();
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
        operations
    }

    fn touch(&self) -> Option<Operation> {
        let topology = self.topology.as_ref()?;
        let document = Document::Topology(topology.document.clone());
        Some(Operation::Replace { document, etag: topology.etag.clone() })
    }

    /// Lets all hosts look at the leases.
    async fn announce(&mut self, touch: Operation) {
        match self.shared.leases.commit(vec![touch]).await {
            Ok(_) | Err(StoreFault::Conflict { .. }) => {}
            Err(fault) => self.note(&fault),
        }
        self.next_beat = Instant::now();
    }

    async fn change_leases(&mut self, mut operations: Vec<Operation>) {
        operations.truncate(OPERATIONS_MAX);
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
            self.merge(partition, &leases).await;
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
            None => false,
            Some(owner) if *owner == self.me.incarnation => {
                self.held.contains_key(&lease.document.id())
            }
            Some(owner) => is_member(owner),
        }
    }

    /// Puts leases on the partitions in the place of one that spans several.
    async fn split(&mut self, id: &str, lease: &Stored<Lease>, children: Vec<FeedRange>) {
        let Some(touch) = self.touch() else { return };
        if let Some(held) = self.held.get(id) {
            if matches!(*held.wish.borrow(), Wish::Work | Wish::Pause) {
                held.wish.send_replace(Wish::Split { children, touch: Box::new(touch) });
            }
            return;
        }
        // A member that this host has not seen beat yet may work on it as well.
        if self.is_worked_on(lease) {
            return;
        }
        let delete = Operation::Delete { id: id.to_owned(), etag: lease.etag.clone() };
        let mut operations = vec![touch, delete];
        operations.extend(children.into_iter().map(|range| {
            let child = Lease { range, owner: None, ..lease.document.clone() };
            Operation::Create(Document::Lease(child))
        }));
        self.change_leases(operations).await;
    }

    /// Makes the leases on parts of one partition one, once nobody works on any of them: who does finds
    /// out with the next page, and lets go.
    async fn merge(&mut self, partition: FeedRange, leases: &[Stored<Lease>]) {
        self.unfit.extend(leases.iter().map(|lease| lease.document.id()));
        if leases.iter().any(|lease| self.is_worked_on(lease)) || !tile(&partition, leases) {
            // What is ours on paper only looks to the others as if it were worked on: two hosts would wait
            // for each other for ever.
            let is_idle = |lease: &&Stored<Lease>| {
                let is_ours = lease.document.owner.as_ref() == Some(&self.me.incarnation);
                is_ours && !self.held.contains_key(&lease.document.id())
            };
            let idle: Vec<String> =
                leases.iter().filter(is_idle).map(|lease| lease.document.id()).collect();
            self.let_go(&idle).await;
            let soon = after(Instant::now(), WAITING_INTERVAL);
            self.next_survey = self.next_survey.min(soon);
            self.look_soon();
            return;
        }
        let Some(touch) = self.touch() else { return };
        let mut operations = vec![touch];
        let leases: Vec<&Stored<Lease>> = leases.iter().collect();
        operations.extend(self.replace_by_one(&leases, partition));
        self.change_leases(operations).await;
    }
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

/// Where a lease can be taken up again in another range: at the time of the last change that is done,
/// less a margin.
pub(super) fn restart(lease: &Lease) -> Position {
    match (&lease.position, lease.done_at) {
        (Position::Beginning, _) | (Position::Continuation(_), None) => Position::Beginning,
        (Position::Time(seconds), None) => Position::Time(*seconds),
        (_, Some(done_at)) => {
            let margin = i64::try_from(RESTART_MARGIN.as_secs()).unwrap_or(i64::MAX);
            let done_at = i64::try_from(done_at).unwrap_or(i64::MAX);
            match done_at.saturating_sub(margin) {
                // Before the first second there is nothing to leave out.
                seconds if seconds <= 0 => Position::Beginning,
                seconds => Position::Time(seconds),
            }
        }
    }
}
