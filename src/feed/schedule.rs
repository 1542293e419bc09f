//! What may run side by side: different keys always, the same key never.
//!
//! Changes come page by page and are queued by key. A run takes what has gathered for one key, up to a
//! limit, so that a busy key catches up in few runs; keys take turns in the order in which they became
//! ready, so that a hot one does not hold up the others.

use std::collections::{BTreeMap, VecDeque};

/// The changes of one key in one page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part<C> {
    page: u64,
    changes: Vec<C>,
}

/// What has gathered for a key.
#[derive(Debug, Clone)]
struct Queue<C> {
    parts: VecDeque<Part<C>>,
    is_running: bool,
}

/// Consecutive changes of one key, to be handled now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run<C> {
    /// The key.
    pub key: String,
    /// The changes, in order.
    pub changes: Vec<C>,
    /// The pages that a part of is in it, in order: a page once for each part.
    pub pages: Vec<u64>,
}

/// The keys that have something to do.
#[derive(Debug, Clone)]
pub struct Schedule<C> {
    keys: BTreeMap<String, Queue<C>>,
    ready: VecDeque<String>,
    changes_max: usize,
    waiting: usize,
}

impl<C> Schedule<C> {
    /// Nothing to do. A run has at most so many changes, but never less than one part of a page: the
    /// changes of one key in one page stay together.
    pub fn new(changes_max: usize) -> Self {
        Self { keys: BTreeMap::new(), ready: VecDeque::new(), changes_max, waiting: 0 }
    }

    /// Takes the changes of a key in a page. Pages come in order.
    pub fn push(&mut self, key: String, page: u64, changes: Vec<C>) {
        self.waiting = self.waiting.saturating_add(changes.len());
        let part = Part { page, changes };
        if let Some(queue) = self.keys.get_mut(&key) {
            queue.parts.push_back(part);
            return;
        }
        let queue = Queue { parts: VecDeque::from([part]), is_running: false };
        self.keys.insert(key.clone(), queue);
        self.ready.push_back(key);
    }

    /// Makes a key busy that has nothing to do: what comes for it waits until
    /// [`finish`](Self::finish). Says whether it could.
    pub fn hold(&mut self, key: &str) -> bool {
        if self.keys.contains_key(key) {
            return false;
        }
        let queue = Queue { parts: VecDeque::new(), is_running: true };
        self.keys.insert(key.to_owned(), queue);
        true
    }

    /// The next run, if a key is ready. The key is then busy until [`finish`](Self::finish).
    pub fn start(&mut self) -> Option<Run<C>> {
        let key = self.ready.pop_front()?;
        let queue = self.keys.get_mut(&key)?;
        queue.is_running = true;
        let mut run = Run { key, changes: Vec::new(), pages: Vec::new() };
        while let Some(part) = queue.parts.front() {
            let together = run.changes.len().saturating_add(part.changes.len());
            if !run.pages.is_empty() && together > self.changes_max {
                break;
            }
            if let Some(part) = queue.parts.pop_front() {
                run.pages.push(part.page);
                run.changes.extend(part.changes);
            }
        }
        self.waiting = self.waiting.saturating_sub(run.changes.len());
        Some(run)
    }

    /// The run of a key has ended: what has gathered meanwhile is ready.
    pub fn finish(&mut self, key: &str) {
        let Some(queue) = self.keys.get_mut(key).filter(|queue| queue.is_running) else { return };
        if queue.parts.is_empty() {
            self.keys.remove(key);
        } else {
            queue.is_running = false;
            self.ready.push_back(key.to_owned());
        }
    }

    /// Takes away what waits for a key, for example because it is parked. Gives the changes with their
    /// pages.
    pub fn take(&mut self, key: &str) -> Vec<(u64, Vec<C>)> {
        let Some(queue) = self.keys.get_mut(key) else { return Vec::new() };
        let parts = std::mem::take(&mut queue.parts);
        if !queue.is_running {
            self.keys.remove(key);
            self.ready.retain(|ready| ready != key);
        }
        let taken: Vec<_> = parts.into_iter().map(|part| (part.page, part.changes)).collect();
        let changes: usize = taken.iter().map(|(_, changes)| changes.len()).sum();
        self.waiting = self.waiting.saturating_sub(changes);
        taken
    }

    /// The changes that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether a run can start.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether nothing waits and nothing runs.
    pub fn is_idle(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests;
