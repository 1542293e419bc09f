//! One logical partition of a version: runs of many streams are written together.
//!
//! Runs queue up, and one of those that wait has its turn: it reads, folds and commits what has gathered, for
//! all. While a commit is on its way the next runs gather, so transactions grow with the load and are not
//! waited for without one. There is no task of its own: when the one that has the turn is dropped, the others
//! see that their work was not done, and do it.
//!
//! What was written is remembered with its etag. A host is mostly the only one that writes, and then it
//! does not have to read again; where it is not, its write is refused, and it reads.

mod cache;
mod merge;
mod plan;
mod turn;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use self::cache::Cache;
pub(super) use self::{
    plan::{Planned, prepare},
    turn::Counts,
};
use super::{Projection, ViewStore, fold::FoldFault};
use crate::event::RecordedEvent;

/// How often a run is tried again at once when others change its documents.
const CONFLICTS_MAX: u32 = 8;

/// What the lanes of a version share.
pub(super) struct Shared {
    pub(super) projection: Projection,
    pub(super) store: Arc<dyn ViewStore>,
    pub(super) counts: Counts,
}

/// Consecutive events of a stream.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The sequence number of the first of them.
    pub(super) first: u64,
    /// The sequence number of the last of them.
    pub(super) last: u64,
    /// Those of them that the projection takes.
    pub(super) events: Vec<Arc<RecordedEvent>>,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// All of it is in the read model.
    Applied,
    /// The events from here on come first.
    Missing { from: u64 },
    /// It did not work now.
    Transient(String),
    /// It will not work later.
    Poison(String),
}

/// A run that waits.
struct Job {
    stream: String,
    run: Arc<Run>,
    /// The most events that are taken at once.
    at_once: usize,
    /// Whether it gets a transaction of its own.
    is_alone: bool,
    conflicts: u32,
    reply: oneshot::Sender<Verdict>,
}

impl Job {
    /// Whether there is taken to be nothing of its stream: its first event mostly finds nothing, and where it
    /// does, the commit is refused.
    fn is_guess(&self) -> bool {
        self.run.first == 1 && self.conflicts == 0
    }
}

/// One logical partition.
pub(super) struct Lane {
    partition: String,
    queue: Mutex<VecDeque<Job>>,
    /// Held across requests: it is what makes one run work for all.
    turn: tokio::sync::Mutex<()>,
    cache: Mutex<Cache>,
}

impl Lane {
    pub(super) fn new(partition: String, cache_bytes: usize) -> Self {
        Self {
            partition,
            queue: Mutex::default(),
            turn: tokio::sync::Mutex::new(()),
            cache: Mutex::new(Cache::new(cache_bytes)),
        }
    }

    /// Has a run applied.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the run may or may not be applied, and so may those of others that were to
    /// be written with it; they are tried again.
    pub(super) async fn apply(&self, shared: &Shared, stream: &str, run: Arc<Run>) -> Verdict {
        loop {
            let (reply, mut answer) = oneshot::channel();
            let job = Job {
                stream: stream.to_owned(),
                run: Arc::clone(&run),
                at_once: usize::MAX,
                is_alone: false,
                conflicts: 0,
                reply,
            };
            self.queue().push_back(job);
            let answered = loop {
                tokio::select! {
                    biased;
                    answered = &mut answer => break answered,
                    turn = self.turn.lock() => {
                        self.take_turn(shared).await;
                        drop(turn);
                    }
                }
            };
            if let Ok(verdict) = answered {
                return verdict;
            }
            // Whoever had the turn was dropped. What it wrote is found by the guard.
            tracing::debug!("a run is taken up again");
        }
    }

    /// Events that the projection does not take move the coverage of the stream, if it is remembered.
    pub(super) fn pass_over(&self, stream: &str, first: u64, last: u64) {
        self.cache().cover(stream, first, last);
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<FoldFault> for Verdict {
    fn from(fault: FoldFault) -> Self {
        Self::Poison(fault.to_string())
    }
}

#[cfg(test)]
mod tests;
