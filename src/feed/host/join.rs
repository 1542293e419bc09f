//! Making a processor, joining it, and leaving it.

use std::time::Duration;

use futures::{StreamExt as _, future::BoxFuture, stream};
use tokio::time::Instant;

use super::{BEAT_RETRY, HostTask, REST, Wish, after};
use crate::feed::{
    FeedRange,
    documents::{Activity, Document, Lease, Position, Start, Stored, Topology, host_id},
    store::{Done, OPERATIONS_MAX, Operation, StoreFault},
};

/// The hosts of a processor: each reads the documents of all others with one beat.
const HOSTS_MAX: usize = OPERATIONS_MAX - 2;
/// The ranges that are asked for their "now" at the same time.
const STARTS_MAX: usize = 16;

impl HostTask {
    /// Becomes a member, and makes the processor where there is none. Gives how soon it is tried again, if
    /// that did not work out.
    pub(super) async fn join(&mut self) -> Duration {
        let joined = match self.shared.leases.list().await {
            Ok(listed) => {
                let topology = listed.iter().find_map(|found| match &found.document {
                    Document::Topology(topology) => {
                        let (etag, stored_at) = (found.etag.clone(), found.stored_at);
                        Some(Stored { document: topology.clone(), etag, stored_at })
                    }
                    _ => None,
                });
                match topology {
                    Some(topology) if self.does_other_work(&topology.document) => return REST,
                    Some(topology) => self.enter(topology).await,
                    None => self.make().await,
                }
            }
            Err(fault) => Err(fault),
        };
        match joined {
            Ok(()) => self.next_list = Instant::now(),
            // Somebody else was quicker: look again.
            Err(StoreFault::Conflict { .. }) => {}
            Err(fault) => self.note(&fault),
        }
        BEAT_RETRY
    }

    /// Whether the hosts of the processor do something else than this one. That may only change by hand.
    fn does_other_work(&mut self, topology: &Topology) -> bool {
        let mine = self.shared.options.handler_name.as_deref();
        let Some(other) = topology.other_handler(mine) else { return false };
        let mine = mine.unwrap_or_default();
        let trouble = format!(
            "the handler of the processor is {other:?}, that of this host {mine:?}: it does not join"
        );
        tracing::debug!(trouble, "the host does other work than the processor");
        self.trouble = Some(trouble);
        true
    }

    async fn enter(&mut self, mut topology: Stored<Topology>) -> Result<(), StoreFault> {
        if !topology.document.members.contains(&self.me.incarnation) {
            if topology.document.members.len() >= HOSTS_MAX {
                let reason = format!("{HOSTS_MAX} hosts share it already, and no more can");
                return Err(StoreFault::Refused(reason));
            }
            topology.document.members.push(self.me.incarnation.clone());
            if topology.document.handler.is_none() {
                topology.document.handler.clone_from(&self.shared.options.handler_name);
            }
            let document = Document::Topology(topology.document.clone());
            let replace = Operation::Replace { document, etag: topology.etag.clone() };
            let join = vec![replace, Operation::Upsert(Document::Host(self.me.clone()))];
            let done = self.shared.leases.commit(join).await?;
            if let Some(Done::Written { etag, stored_at }) = done.into_iter().next() {
                (topology.etag, topology.stored_at) = (etag, stored_at);
            }
        }
        self.topology = Some(topology);
        Ok(())
    }

    /// Makes the processor: what holds for all, and a lease for each partition.
    async fn make(&mut self) -> Result<(), StoreFault> {
        let unavailable =
            |fault: crate::feed::FeedFault| StoreFault::Unavailable(fault.to_string());
        let start = self.shared.options.start;
        let ranges = self.shared.feed.ranges().await.map_err(unavailable)?;
        let made_at = self.service_time().await?;
        let topology = Topology {
            start,
            made_at,
            generation: 0,
            rewind: None,
            activity: Activity::Running,
            members: vec![self.me.incarnation.clone()],
            handler: self.shared.options.handler_name.clone(),
        };
        let starts = |range| -> BoxFuture<'_, _> { Box::pin(self.start_of(range, start)) };
        let starts: Vec<_> = ranges.iter().map(starts).collect();
        let started: Vec<_> = stream::iter(starts).buffered(STARTS_MAX).collect().await;
        let mut leases = Vec::new();
        for (range, position) in ranges.into_iter().zip(started) {
            let mut lease = self.new_lease(range, position.map_err(unavailable)?);
            lease.done_at = (start == Start::Now).then_some(made_at);
            leases.push(Operation::Create(Document::Lease(lease)));
        }
        let first = OPERATIONS_MAX.saturating_sub(2).min(leases.len());
        let rest = leases.split_off(first);
        let mut operations = vec![
            Operation::Create(Document::Topology(topology.clone())),
            Operation::Upsert(Document::Host(self.me.clone())),
        ];
        operations.append(&mut leases);
        let done = self.shared.leases.commit(operations).await?;
        // Should this host end here, the check of coverage finds what is missing.
        for leases in rest.chunks(OPERATIONS_MAX) {
            self.shared.leases.commit(leases.to_vec()).await?;
        }
        // Known at once, so that work begins without another look.
        if let Some(Done::Written { etag, stored_at }) = done.into_iter().next() {
            self.topology = Some(Stored { document: topology, etag, stored_at });
        }
        Ok(())
    }

    /// What time it is by the service, in seconds.
    async fn service_time(&self) -> Result<u64, StoreFault> {
        let id = host_id(&self.me.incarnation);
        let operations = vec![
            Operation::Upsert(Document::Host(self.me.clone())),
            Operation::Read { id: id.clone() },
        ];
        let done = self.shared.leases.commit(operations).await?;
        let read = done.into_iter().find_map(|done| match done {
            Done::Read(found) => Some(found.stored_at),
            _ => None,
        });
        read.ok_or_else(|| StoreFault::Unavailable("the answer has no document".to_owned()))
    }

    /// Where a range begins. "Now" is settled once and for all, when the lease is made.
    pub(super) async fn start_of(
        &self,
        range: &FeedRange,
        start: Start,
    ) -> Result<Position, crate::feed::FeedFault> {
        Ok(match start {
            Start::Beginning => Position::Beginning,
            Start::Time(seconds) => Position::Time(seconds),
            Start::Now => Position::Continuation(self.shared.feed.now(range).await?),
        })
    }

    pub(super) fn new_lease(&self, range: FeedRange, position: Position) -> Lease {
        let generation = self.topology.as_ref().map_or(0, |known| known.document.generation);
        Lease {
            range,
            owner: None,
            epoch: 0,
            generation,
            done_at: None,
            position,
            ordinal: 0,
            lag: None,
            is_damaged: false,
        }
    }

    /// Gives all leases away and leaves, within a time.
    pub(super) async fn leave(mut self, time: Duration) {
        let until = after(Instant::now(), time);
        for held in self.held.values() {
            held.wish.send_replace(Wish::Release);
        }
        while !self.ends.is_empty() {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => break,
                ended = self.ends.join_next() => {
                    if let Some(Ok((lease, end))) = ended {
                        self.ended(&lease, end);
                    }
                }
                () = tokio::time::sleep_until(self.next_beat) => self.beat().await,
            }
            self.tell();
        }
        self.ends.shutdown().await;
        self.held.clear();
        // What is ours on paper only, after a time without the right to act, for example.
        let begun = Instant::now();
        if let Ok(listed) = self.shared.leases.list().await {
            self.sort(begun, listed);
            let idle = self.idle();
            self.let_go(&idle).await;
        }
        if let Some(mut topology) = self.topology.take() {
            topology.document.members.retain(|member| *member != self.me.incarnation);
            let document = Document::Topology(topology.document);
            let replace = Operation::Replace { document, etag: topology.etag };
            let farewell = self.shared.leases.commit(vec![replace]);
            // When it does not work out, the others find this host dead after the expiry.
            if let Err(fault) = farewell.await {
                tracing::debug!(%fault, "the host could not take its leave");
            }
        }
    }
}
