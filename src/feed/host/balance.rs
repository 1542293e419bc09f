//! Taking leases, asking for them, and giving them away.

use tokio::time::Instant;

use super::{HostTask, Wish};
use crate::feed::{
    balancer::{Holding as Owned, Move, plan},
    documents::{Document, Lease, Stored, Topology},
    restart,
    store::{Done, OPERATIONS_MAX, Operation, StoreFault},
};

impl HostTask {
    /// Does this host's part of the plan that all hosts make.
    pub(super) async fn balance(&mut self) {
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        // Who is a member is alive until somebody has struck it off: a host that has just joined may hold
        // leases before anybody has seen it beat.
        let Some(topology) = self.listed_topology.clone() else { return };
        let moves = plan(&topology.document.members, &self.owned());
        let mine = |one: &&Move| one.to == self.me.incarnation;
        let free = moves.iter().filter(mine).filter(|one| one.from.is_none());
        let mut free: Vec<String> = free.map(|one| one.lease.clone()).collect();
        let goes = |id: &String| moves.iter().any(|one| one.lease == *id);
        let (mut gone, mut back) = (Vec::new(), Vec::new());
        for id in self.idle() {
            // One that fits no partition is mended only when it is nobody's.
            let leaves = self.unfit.contains(&id) || goes(&id);
            if leaves { gone.push(id) } else { back.push(id) }
        }
        free.extend(back);
        let asked = moves.iter().filter(mine).filter(|one| one.from.is_some());
        let wants: Vec<String> = asked.map(|one| one.lease.clone()).collect();
        self.give_away(&moves);
        self.let_go(&gone).await;
        if wants != self.me.wants {
            self.me.wants = wants;
            // Who holds them reads it with its next beat.
            self.next_beat = now;
        }
        if !moves.is_empty() {
            // As long as something has to change hands, nobody waits for the timer.
            self.look_soon();
        }
        self.acquire(&free, &topology).await;
    }

    /// Who holds what.
    fn owned(&self) -> Vec<Owned> {
        let owned = |(id, lease): (&String, &Stored<Lease>)| Owned {
            lease: id.clone(),
            owner: lease.document.owner.clone(),
        };
        let rests = |(id, lease): &(&String, &Stored<Lease>)| {
            !self.resting.contains_key(*id)
                && !self.unfit.contains(*id)
                && !self.is_just_damaged(lease)
        };
        self.leases.iter().filter(rests).map(owned).collect()
    }

    /// Leases that are ours on paper and that nobody works on: the answer to an acquisition was lost, or
    /// the task has ended.
    pub(super) fn idle(&self) -> Vec<String> {
        let is_idle = |(id, lease): &(&String, &Stored<Lease>)| {
            lease.document.owner.as_ref() == Some(&self.me.incarnation)
                && !self.held.contains_key(*id)
                && !self.resting.contains_key(*id)
        };
        self.leases.iter().filter(is_idle).map(|(id, _)| id.clone()).collect()
    }

    /// Lets go of leases on paper that others should have.
    pub(super) async fn let_go(&mut self, leases: &[String]) {
        let release = |id: &String| {
            let found = self.leases.get(id)?;
            let document = Document::Lease(Lease { owner: None, ..found.document.clone() });
            Some(Operation::Replace { document, etag: found.etag.clone() })
        };
        let operations: Vec<Operation> =
            leases.iter().filter_map(release).take(OPERATIONS_MAX).collect();
        if operations.is_empty() {
            return;
        }
        match self.shared.leases.commit(operations).await {
            Ok(_) | Err(StoreFault::Conflict { .. }) => {}
            Err(fault) => self.note(&fault),
        }
        self.look_soon();
    }

    /// Lets go of what others should have and ask for.
    fn give_away(&self, moves: &[Move]) {
        for one in moves.iter().filter(|one| one.from.as_ref() == Some(&self.me.incarnation)) {
            let is_asked = self
                .others
                .iter()
                .any(|other| other.incarnation == one.to && other.wants.contains(&one.lease));
            if let (true, Some(held)) = (is_asked, self.held.get(&one.lease))
                && matches!(*held.wish.borrow(), Wish::Work | Wish::Pause)
            {
                held.wish.send_replace(Wish::Release);
            }
        }
    }

    /// Takes free leases, many at a time.
    async fn acquire(&mut self, free: &[String], topology: &Stored<Topology>) {
        let mut acquired = Vec::new();
        for chunk in free.chunks(OPERATIONS_MAX.saturating_sub(1)) {
            let mut leases = Vec::new();
            let mut takes_from_dead = false;
            for id in chunk {
                let Some(found) = self.leases.get(id) else { continue };
                let owner = found.document.owner.as_ref();
                takes_from_dead |= owner.is_some_and(|owner| *owner != self.me.incarnation);
                let Some(document) = self.taken(id, &found.document, &topology.document) else {
                    // The saved positions were not listed with the topology that tells of them. When they are
                    // gone, the operator has to rewind again.
                    self.trouble =
                        Some("the positions of the last rewind are not there".to_owned());
                    self.look_soon();
                    continue;
                };
                leases.push((document, found.etag.clone()));
            }
            let replace = |(document, etag): &(Lease, String)| Operation::Replace {
                document: Document::Lease(document.clone()),
                etag: etag.clone(),
            };
            let mut operations: Vec<Operation> = leases.iter().map(replace).collect();
            if operations.is_empty() {
                continue;
            }
            if takes_from_dead {
                // Under the version of the topology that does not have the owner any more: a listing may
                // be older in parts.
                let document = Document::Topology(topology.document.clone());
                operations.push(Operation::Replace { document, etag: topology.etag.clone() });
            }
            match self.shared.leases.commit(operations).await {
                Ok(done) => {
                    self.misplaced.retain(|id| !chunk.contains(id));
                    for ((document, _), done) in leases.into_iter().zip(done) {
                        if let Done::Written { etag, stored_at } = done {
                            acquired.push(Stored { document, etag, stored_at });
                        }
                    }
                }
                // Somebody else was quicker, or it is not known: the next list tells.
                Err(StoreFault::Conflict { .. }) => self.look_soon(),
                Err(fault) => {
                    self.note(&fault);
                    self.look_soon();
                }
            }
        }
        if !acquired.is_empty() {
            self.take_over(acquired).await;
        }
    }

    /// A lease as this host takes it; nothing where it is not known where it goes on.
    fn taken(&self, id: &str, found: &Lease, topology: &Topology) -> Option<Lease> {
        let mut lease = found.clone();
        if lease.is_damaged {
            let goal = restart::lost(topology, self.saved.as_ref(), &lease.range)?;
            tracing::error!(
                lease = id,
                "the document of a lease could not be read, and is made anew"
            );
            lease = self.new_lease(lease.range, goal.position);
            lease.done_at = goal.done_at;
            lease.epoch = self.shared.service_now();
        }
        lease.owner = Some(self.me.incarnation.clone());
        lease.epoch = lease.epoch.saturating_add(1);
        lease.ordinal = 0;
        if self.misplaced.contains(id) {
            lease.position = restart::by_time(&lease.position, lease.done_at);
        }
        if lease.generation < topology.generation {
            lease.generation = topology.generation;
            if topology.rewind.is_some() {
                let goal = restart::rewound(topology, self.saved.as_ref(), &lease.range)?;
                (lease.position, lease.done_at) = (goal.position, goal.done_at);
            }
        }
        Some(lease)
    }

    /// Begins to work on leases that were acquired: the parked keys are read after that, so that none is
    /// missed that the owner before has set aside.
    async fn take_over(&mut self, acquired: Vec<Stored<Lease>>) {
        let begun = Instant::now();
        match self.shared.leases.list().await {
            Ok(listed) => self.sort(begun, listed),
            Err(fault) => {
                // They are ours on paper; the next list takes them again.
                self.note(&fault);
                self.look_soon();
                return;
            }
        }
        for lease in acquired {
            let id = lease.document.id();
            let is_ours = self.leases.get(&id).is_some_and(|found| found.etag == lease.etag);
            if is_ours {
                self.hold(lease);
            } else {
                self.look_soon();
            }
        }
    }
}
