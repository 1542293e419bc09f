//! Lease documents in memory.
//!
//! Each handle is one client with a session of its own: a listing may be older than what others have
//! written, but never older than what this client has written or read.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{DAWN, Fate, Weather};
use crate::feed::{
    documents::{Document, Stored},
    store::{Done, LeaseStore, OPERATIONS_MAX, Operation, StoreFault},
};

/// How long a request waits for an answer that does not come.
const TIME_OUT: Duration = Duration::from_secs(3);
/// The commits that a listing may lack at the most.
const STALE_COMMITS_MAX: usize = 64;

/// The documents of one processor, in memory. A clone belongs to the same client; see
/// [`client`](Self::client).
#[derive(Debug, Clone)]
pub struct MemoryLeases {
    documents: Arc<Mutex<Documents>>,
    weather: Weather,
    origin: Instant,
    name: Arc<str>,
    /// The commit that the client has seen last.
    session: Arc<AtomicU64>,
}

/// A document, and when it was written.
#[derive(Debug, Clone)]
struct Kept {
    stored: Arc<Stored<Document>>,
    at: Instant,
}

/// What one operation has changed, so that it can be taken back.
struct Step {
    id: String,
    before: Option<Kept>,
    after: Option<Arc<Stored<Document>>>,
}

#[derive(Debug, Default)]
struct Documents {
    by_id: BTreeMap<String, Kept>,
    version: u64,
    commits: u64,
    /// The newest commits, for listings that do not know of them yet.
    recent: VecDeque<Arc<Commit>>,
    history: Option<Vec<Arc<Commit>>>,
    /// Nothing is to be removed before this second.
    next_expiry: u64,
}

/// What one commit has changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Commit {
    /// When it was carried out.
    pub at: Instant,
    /// The client that it is of; empty for what was done by hand.
    pub by: Arc<str>,
    /// The documents that it has changed, in order.
    pub changes: Vec<Changed>,
    number: u64,
}

/// A document before and after a commit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Changed {
    /// Its id.
    pub id: String,
    /// What it was; nothing where it was created.
    pub before: Option<Arc<Stored<Document>>>,
    /// What it is; nothing where it was removed.
    pub after: Option<Arc<Stored<Document>>>,
}

impl MemoryLeases {
    /// No documents.
    pub fn new(weather: Weather) -> Self {
        Self {
            documents: Arc::default(),
            weather,
            origin: Instant::now(),
            name: Arc::from(""),
            session: Arc::default(),
        }
    }

    /// The same documents for another client, with a session of its own.
    #[must_use]
    pub fn client(&self, name: &str) -> Self {
        Self { name: Arc::from(name), session: Arc::default(), ..self.clone() }
    }

    /// All documents as they are, without a request.
    pub fn peek(&self) -> Vec<Stored<Document>> {
        self.documents().by_id.values().map(|kept| Stored::clone(&kept.stored)).collect()
    }

    /// One document as it is, without a request, and when it was written.
    pub fn peek_one(&self, id: &str) -> Option<(Arc<Stored<Document>>, Instant)> {
        let documents = self.documents();
        documents.by_id.get(id).map(|kept| (Arc::clone(&kept.stored), kept.at))
    }

    /// Removes a document, as an operator may do by hand.
    pub fn remove(&self, id: &str) {
        let mut documents = self.documents();
        if let Some(before) = documents.by_id.remove(id) {
            let before = Some(before.stored);
            documents.note("", vec![Changed { id: id.to_owned(), before, after: None }]);
        }
    }

    /// Spoils a lease, as an operator may do by hand: nothing but its id is left.
    pub fn spoil(&self, id: &str) {
        let mut documents = self.documents();
        let version = documents.version.saturating_add(1);
        let Some(document) = Document::spoiled(id) else { return };
        if let Some(found) = documents.by_id.get_mut(id) {
            let (etag, stored_at) = (version.to_string(), found.stored.stored_at);
            let stored = Arc::new(Stored { document, etag, stored_at });
            let before = Some(std::mem::replace(&mut found.stored, Arc::clone(&stored)));
            documents.version = version;
            let changed = Changed { id: id.to_owned(), before, after: Some(stored) };
            documents.note("", vec![changed]);
        }
    }

    /// Commits that were carried out.
    pub fn commits(&self) -> u64 {
        self.documents().commits
    }

    /// Keeps what is changed from now on, for [`take_history`](Self::take_history).
    pub fn keep_history(&self) {
        self.documents().history.get_or_insert_default();
    }

    /// What was changed since the last call, in order.
    pub fn take_history(&self) -> Vec<Arc<Commit>> {
        self.documents().history.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn documents(&self) -> MutexGuard<'_, Documents> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, operations: &[Operation]) -> Result<(u64, Vec<Done>), StoreFault> {
        if operations.len() > OPERATIONS_MAX {
            return Err(StoreFault::Refused("too many operations".to_owned()));
        }
        let now = Instant::now();
        let second = DAWN.saturating_add(now.saturating_duration_since(self.origin).as_secs());
        let mut documents = self.documents();
        documents.expire(second);
        let mut done = Vec::new();
        let mut steps = Vec::new();
        for (place, operation) in operations.iter().enumerate() {
            match documents.one(operation, second, now, &mut steps) {
                Ok(one) => done.push(one),
                Err(missing) => {
                    documents.take_back(steps);
                    return Err(StoreFault::Conflict { operation: place, missing });
                }
            }
        }
        documents.commits = documents.commits.saturating_add(1);
        let changed = |step: Step| Changed {
            id: step.id,
            before: step.before.map(|kept| kept.stored),
            after: step.after,
        };
        documents.note(&self.name, steps.into_iter().map(changed).collect());
        Ok((documents.commits, done))
    }

    /// All documents, as a client with this session may see them.
    fn listing(&self) -> (u64, Vec<Stored<Document>>) {
        let staleness = self.weather.staleness();
        let documents = self.documents();
        let mut seen: BTreeMap<&str, &Arc<Stored<Document>>> =
            documents.by_id.iter().map(|(id, kept)| (id.as_str(), &kept.stored)).collect();
        let session = self.session.load(Ordering::Relaxed);
        let now = Instant::now();
        let may_lack = |commit: &&Arc<Commit>| {
            commit.number > session && now.saturating_duration_since(commit.at) < staleness
        };
        let unknown = documents.recent.iter().rev().take_while(may_lack).count();
        let unknown = u64::try_from(unknown).unwrap_or_default();
        // Half of the listings are of now. Of the others one part may be older than the other, as two
        // pages are.
        let lacks = if unknown > 0 { self.weather.below(unknown.saturating_mul(2)) } else { 0 };
        let lacks = lacks.saturating_sub(unknown.saturating_sub(1)).min(unknown);
        let more = self.weather.below(lacks.saturating_add(1));
        let is_first = self.weather.below(2) == 0;
        let cut = documents.by_id.keys().nth(documents.by_id.len().div_euclid(2));
        let mut oldest = documents.commits;
        for (place, commit) in (0..lacks).zip(documents.recent.iter().rev()) {
            oldest = commit.number.saturating_sub(1);
            for Changed { id, before, .. } in commit.changes.iter().rev() {
                if place >= more && cut.is_some_and(|cut| (id < cut) == is_first) {
                    continue;
                }
                match before {
                    Some(before) => seen.insert(id, before),
                    None => seen.remove(id.as_str()),
                };
            }
        }
        (oldest, seen.into_values().map(|stored| Stored::clone(stored)).collect())
    }

    async fn request<T>(
        &self,
        work: impl FnOnce() -> Result<(u64, T), StoreFault>,
    ) -> Result<T, StoreFault> {
        let (fate, there, back) = self.weather.fate();
        let lost = || Err(StoreFault::Unavailable("no answer".to_owned()));
        tokio::time::sleep(there).await;
        let (done, back) = match fate {
            Fate::Done => (work(), back),
            Fate::LostRequest => (lost(), TIME_OUT),
            // A refusal that is not heard is not done either.
            Fate::LostAnswer => (work().and_then(|_| lost()), TIME_OUT),
            Fate::Throttled => {
                (Err(StoreFault::Unavailable("no throughput left".to_owned())), back)
            }
        };
        tokio::time::sleep(back).await;
        // Only who hears the answer knows what it has seen.
        done.map(|(seen, done)| {
            self.session.fetch_max(seen, Ordering::Relaxed);
            done
        })
    }
}

impl Documents {
    /// Removes what the service removes by itself.
    fn expire(&mut self, now: u64) {
        if now < self.next_expiry {
            return;
        }
        let mut next = u64::MAX;
        let mut gone = Vec::new();
        for (id, Kept { stored, .. }) in &self.by_id {
            let Some(seconds) = stored.document.time_to_live() else { continue };
            let until = stored.stored_at.saturating_add(seconds.into());
            if until > now {
                next = next.min(until);
            } else {
                gone.push(id.clone());
            }
        }
        for id in gone {
            self.by_id.remove(&id);
        }
        self.next_expiry = next;
    }

    /// Remembers what was changed.
    fn note(&mut self, by: &str, changes: Vec<Changed>) {
        let (at, by, number) = (Instant::now(), Arc::from(by), self.commits);
        let commit = Arc::new(Commit { at, by, changes, number });
        if let Some(history) = &mut self.history {
            history.push(Arc::clone(&commit));
        }
        if self.recent.len() >= STALE_COMMITS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(commit);
    }

    fn take_back(&mut self, steps: Vec<Step>) {
        for Step { id, before, .. } in steps.into_iter().rev() {
            match before {
                Some(before) => self.by_id.insert(id, before),
                None => self.by_id.remove(&id),
            };
        }
    }

    /// Carries out one operation, or says whether its document is missing.
    fn one(
        &mut self,
        operation: &Operation,
        second: u64,
        at: Instant,
        steps: &mut Vec<Step>,
    ) -> Result<Done, bool> {
        let holds = |id: &str, etag: &str| match self.by_id.get(id) {
            Some(found) if found.stored.etag == *etag => Ok(()),
            found => Err(found.is_none()),
        };
        let document = match operation {
            Operation::Create(document) => {
                if self.by_id.contains_key(&document.id()) {
                    return Err(false);
                }
                document
            }
            Operation::Upsert(document) => document,
            Operation::Replace { document, etag } => {
                holds(&document.id(), etag)?;
                document
            }
            Operation::Delete { id, etag } => {
                holds(id, etag)?;
                let before = self.by_id.remove(id);
                steps.push(Step { id: id.clone(), before, after: None });
                return Ok(Done::Deleted);
            }
            Operation::Read { id } => {
                let found = self.by_id.get(id).ok_or(true)?;
                return Ok(Done::Read(Box::new(Stored::clone(&found.stored))));
            }
        };
        self.version = self.version.saturating_add(1);
        let etag = self.version.to_string();
        let stored = Stored { document: document.clone(), etag: etag.clone(), stored_at: second };
        let (id, stored) = (document.id(), Arc::new(stored));
        if let Some(seconds) = document.time_to_live() {
            self.next_expiry = self.next_expiry.min(second.saturating_add(seconds.into()));
        }
        let before = self.by_id.insert(id.clone(), Kept { stored: Arc::clone(&stored), at });
        steps.push(Step { id, before, after: Some(stored) });
        Ok(Done::Written { etag, stored_at: second })
    }
}

impl LeaseStore for MemoryLeases {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Stored<Document>>, StoreFault>> {
        Box::pin(self.request(|| Ok(self.listing())))
    }

    fn commit(&self, operations: Vec<Operation>) -> BoxFuture<'_, Result<Vec<Done>, StoreFault>> {
        Box::pin(async move { self.request(|| self.apply(&operations)).await })
    }
}
