//! Lease documents in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{Fate, Weather};
use crate::feed::{
    documents::{Document, Stored},
    store::{Done, LeaseStore, Operation, StoreFault},
};

/// How long a request waits for an answer that does not come.
const TIME_OUT: Duration = Duration::from_secs(3);

/// The documents of one processor, in memory.
#[derive(Debug, Clone)]
pub struct MemoryLeases {
    documents: Arc<Mutex<Documents>>,
    weather: Weather,
    origin: Instant,
}

#[derive(Debug, Default)]
struct Documents {
    by_id: BTreeMap<String, Stored<Document>>,
    version: u64,
    commits: u64,
}

impl MemoryLeases {
    /// No documents.
    pub fn new(weather: Weather) -> Self {
        Self { documents: Arc::default(), weather, origin: Instant::now() }
    }

    /// All documents as they are, without a request.
    pub fn peek(&self) -> Vec<Stored<Document>> {
        self.documents().by_id.values().cloned().collect()
    }

    /// Removes a document, as an operator may do by hand.
    pub fn remove(&self, id: &str) {
        self.documents().by_id.remove(id);
    }

    /// Commits that were carried out.
    pub fn commits(&self) -> u64 {
        self.documents().commits
    }

    fn documents(&self) -> std::sync::MutexGuard<'_, Documents> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        Instant::now().saturating_duration_since(self.origin).as_secs()
    }

    fn apply(&self, operations: &[Operation]) -> Result<Vec<Done>, StoreFault> {
        let now = self.now();
        let mut documents = self.documents();
        let mut changed = documents.by_id.clone();
        let mut version = documents.version;
        // What the service removes by itself.
        changed.retain(|_, found| {
            found
                .document
                .time_to_live()
                .is_none_or(|seconds| found.stored_at.saturating_add(seconds.into()) > now)
        });
        let mut done = Vec::new();
        for (place, operation) in operations.iter().enumerate() {
            done.push(
                one(&mut changed, &mut version, operation, now)
                    .map_err(|missing| StoreFault::Conflict { operation: place, missing })?,
            );
        }
        documents.by_id = changed;
        documents.version = version;
        documents.commits = documents.commits.saturating_add(1);
        Ok(done)
    }

    async fn request<T>(
        &self,
        work: impl FnOnce() -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        let (fate, there, back) = self.weather.fate();
        tokio::time::sleep(there).await;
        let lost = || Err(StoreFault::Unavailable("no answer".to_owned()));
        match fate {
            Fate::Done => {
                let done = work();
                tokio::time::sleep(back).await;
                done
            }
            Fate::LostRequest => {
                tokio::time::sleep(TIME_OUT).await;
                lost()
            }
            Fate::LostAnswer => {
                let done = work();
                tokio::time::sleep(TIME_OUT).await;
                // A refusal that is not heard is not done either.
                done.and_then(|_| lost())
            }
        }
    }
}

fn one(
    documents: &mut BTreeMap<String, Stored<Document>>,
    version: &mut u64,
    operation: &Operation,
    now: u64,
) -> Result<Done, bool> {
    let mut write = |documents: &mut BTreeMap<String, Stored<Document>>, document: &Document| {
        *version = version.saturating_add(1);
        let etag = version.to_string();
        let stored = Stored { document: document.clone(), etag: etag.clone(), stored_at: now };
        documents.insert(document.id(), stored);
        Done::Written { etag, stored_at: now }
    };
    match operation {
        Operation::Create(document) if documents.contains_key(&document.id()) => Err(false),
        Operation::Create(document) | Operation::Upsert(document) => Ok(write(documents, document)),
        Operation::Replace { document, etag } => match documents.get(&document.id()) {
            Some(found) if found.etag == *etag => Ok(write(documents, document)),
            found => Err(found.is_none()),
        },
        Operation::Delete { id, etag } => match documents.get(id) {
            Some(found) if found.etag == *etag => {
                documents.remove(id);
                Ok(Done::Deleted)
            }
            found => Err(found.is_none()),
        },
        Operation::Read { id } => {
            documents.get(id).map(|found| Done::Read(Box::new(found.clone()))).ok_or(true)
        }
    }
}

impl LeaseStore for MemoryLeases {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Stored<Document>>, StoreFault>> {
        Box::pin(self.request(|| Ok(self.peek())))
    }

    fn commit(&self, operations: Vec<Operation>) -> BoxFuture<'_, Result<Vec<Done>, StoreFault>> {
        Box::pin(async move { self.request(|| self.apply(&operations)).await })
    }
}
