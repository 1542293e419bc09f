//! The beat: renew, and look at the others, in one commit.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{BEAT_RETRY, HostTask, Wish, after};
use crate::feed::{
    documents::{Document, Host, Stored, TOPOLOGY_ID, host_id},
    liveness::Sighting,
    store::{Done, OPERATIONS_MAX, Operation, StoreFault},
};

/// The operations of a beat before those that read other hosts.
const OWN_OPERATIONS: usize = 3;

impl HostTask {
    pub(super) async fn beat(&mut self) {
        let sent = Instant::now();
        self.next_beat = after(sent, self.shared.options.beat);
        if self.topology.is_none() {
            let rest = self.join().await;
            if self.topology.is_none() {
                self.next_beat = after(Instant::now(), rest);
                return;
            }
        }
        self.me.beat = self.me.beat.saturating_add(1);
        let mut others = self.other_members();
        loop {
            let mut operations = vec![
                Operation::Upsert(Document::Host(self.me.clone())),
                Operation::Read { id: host_id(&self.me.incarnation) },
                Operation::Read { id: TOPOLOGY_ID.to_owned() },
            ];
            operations.extend(others.iter().map(|other| Operation::Read { id: host_id(other) }));
            match self.shared.leases.commit(operations).await {
                Ok(done) => return self.beaten(sent, done).await,
                Err(StoreFault::Conflict { operation, .. }) => {
                    // A document that should be read is gone.
                    let place = operation.checked_sub(OWN_OPERATIONS);
                    let Some(place) = place.filter(|place| *place < others.len()) else {
                        self.topology = None;
                        self.next_beat = Instant::now();
                        return;
                    };
                    // It may have been deleted by hand, so its host gets the time of any other.
                    let gone = others.remove(place);
                    self.absent.entry(gone).or_insert(sent);
                }
                Err(fault) => {
                    self.note(&fault);
                    self.next_beat = after(Instant::now(), BEAT_RETRY);
                    return;
                }
            }
        }
    }

    fn other_members(&self) -> Vec<String> {
        let members = self.topology.iter().flat_map(|topology| &topology.document.members);
        let others = members.filter(|member| **member != self.me.incarnation);
        others.take(OPERATIONS_MAX.saturating_sub(OWN_OPERATIONS)).cloned().collect()
    }

    async fn beaten(&mut self, sent: Instant, done: Vec<Done>) {
        let mut service_now = 0;
        let mut sightings = Vec::new();
        let mut others: Vec<Host> = Vec::new();
        self.versions.clear();
        for done in done {
            let Done::Read(found) = done else { continue };
            let Stored { document, etag, stored_at } = *found;
            match document {
                Document::Topology(document) => {
                    self.topology = Some(Stored { document, etag, stored_at });
                }
                Document::Host(host) => {
                    if host.incarnation == self.me.incarnation {
                        service_now = stored_at;
                    } else {
                        let incarnation = host.incarnation.clone();
                        self.versions.insert(incarnation.clone(), etag.clone());
                        sightings.push(Sighting { incarnation, etag, stored_at });
                        others.push(host);
                    }
                }
                _ => {}
            }
        }
        let ahead = i64::try_from(service_now).unwrap_or_default();
        let ahead = ahead.saturating_sub(self.shared.clock.now().as_second());
        self.shared.skew.store(ahead, Ordering::Relaxed);
        // Who was struck off must not act before it has come back: its leases are free for others.
        if self.is_member() {
            self.fence.send_replace(after(sent, self.shared.options.fence()));
        }
        self.trouble = None;
        self.absent.retain(|gone, _| others.iter().all(|other| other.incarnation != *gone));
        let now = self.monotonic(Instant::now());
        let mut alive = self.observer.look(now, service_now, &sightings);
        alive.push(self.me.incarnation.clone());
        alive.sort();
        let asks =
            others.iter().any(|other| other.wants.iter().any(|id| self.held.contains_key(id)));
        let is_other = self.topology.as_ref().is_some_and(|topology| topology.etag != self.listed);
        if is_other || asks || alive != self.alive {
            self.next_list = Instant::now();
        } else if !self.me.wants.is_empty() {
            self.look_soon();
        }
        (self.others, self.alive) = (others, alive);
        // Who does not beat any more is replaced as soon as it may be, not with the beat after that.
        if let Some(expiry) = self.observer.next_expiry(now) {
            self.next_beat = self.next_beat.min(after(self.origin, expiry));
        }
        self.pause_or_work();
        self.stay().await;
    }

    fn is_member(&self) -> bool {
        let topology = self.topology.as_ref();
        topology.is_some_and(|known| known.document.members.contains(&self.me.incarnation))
    }

    /// Who was struck off although it lives comes back; who is dead is struck off.
    async fn stay(&mut self) {
        if !self.is_member() {
            self.topology = None;
            self.next_beat = Instant::now();
            return;
        }
        let Some(topology) = &self.topology else { return };
        let members = &topology.document.members;
        let (now, expiry) = (Instant::now(), self.shared.options.expiry);
        let is_dead = |member: &&String| {
            // A member that joined since the beat was sent has not been looked at yet.
            let was_read = self.others.iter().any(|other| other.incarnation == **member);
            let absent = self.absent.get(*member);
            let is_gone =
                absent.is_some_and(|since| now.saturating_duration_since(*since) >= expiry);
            (was_read && !self.alive.contains(member)) || is_gone
        };
        let dead = members.iter().filter(is_dead).take(OPERATIONS_MAX.saturating_sub(1));
        let dead: Vec<String> = dead.cloned().collect();
        if !dead.is_empty() {
            self.strike(&dead).await;
        }
    }

    /// Takes hosts off the members, unless one of them has beaten since it was read. Their leases are free
    /// then.
    async fn strike(&mut self, dead: &[String]) {
        let Some(topology) = &self.topology else { return };
        let mut document = topology.document.clone();
        document.members.retain(|member| !dead.contains(member));
        let document = Document::Topology(document);
        let mut operations = vec![Operation::Replace { document, etag: topology.etag.clone() }];
        operations.extend(dead.iter().map(|member| self.still_dead(member)));
        match self.shared.leases.commit(operations).await {
            // The next list brings the new one, and the leases that are free.
            Ok(_) => self.next_list = Instant::now(),
            // Somebody else was quicker, or it has beaten meanwhile: the next beat tells.
            Err(StoreFault::Conflict { .. }) => {}
            Err(fault) => self.note(&fault),
        }
        let soon = after(Instant::now(), BEAT_RETRY);
        self.next_beat = self.next_beat.min(soon);
    }

    /// What fails when a host has beaten since it was read: it may act again.
    fn still_dead(&self, member: &str) -> Operation {
        let found = self.others.iter().find(|other| other.incarnation == member);
        match found.zip(self.versions.get(member)) {
            Some((host, etag)) => {
                Operation::Replace { document: Document::Host(host.clone()), etag: etag.clone() }
            }
            // Its document is gone, and must be so still.
            None => Operation::Create(Document::Host(Host {
                instance: member.to_owned(),
                incarnation: member.to_owned(),
                beat: 0,
                wants: Vec::new(),
            })),
        }
    }

    /// Hands on what the topology says about working.
    fn pause_or_work(&mut self) {
        let wish = if self.is_paused() { Wish::Pause } else { Wish::Work };
        let generation = self.topology.as_ref().map_or(0, |known| known.document.generation);
        for (id, held) in &self.held {
            let is_old =
                self.leases.get(id).is_some_and(|lease| lease.document.generation < generation);
            let current = held.wish.borrow().clone();
            if is_old && matches!(current, Wish::Work | Wish::Pause) {
                // What was read is of the past: who takes the lease next goes to the new place.
                held.wish.send_replace(Wish::Release);
            } else if matches!(current, Wish::Work | Wish::Pause) && current != wish {
                held.wish.send_replace(wish.clone());
            }
        }
    }
}
