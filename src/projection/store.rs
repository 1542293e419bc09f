//! Where read models are kept.

use futures::{FutureExt as _, future::BoxFuture};
use serde_json::Value;
use thiserror::Error;

use super::{Document, Kind};

/// The writes of one commit, a limit of the service.
pub(super) const WRITES_MAX: usize = 100;

/// A container of read models. Implementations: Cosmos DB, and memory for tests.
///
/// A read may be older than the last commit of another process, but not older than what this client has read
/// or written in the same logical partition (session consistency). Whoever acts on it does so under the etags
/// that it saw.
pub trait ViewStore: Send + Sync + 'static {
    /// A document with its version; nothing where there is none. A point read.
    fn read<'a>(
        &'a self,
        partition: &'a str,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Found>, ViewFault>>;

    /// Carries out all writes in one logical partition, or none of them; at most 100. Gives the new
    /// etag of each, empty for one that deletes.
    fn commit<'a>(
        &'a self,
        partition: &'a str,
        writes: Vec<Write>,
    ) -> BoxFuture<'a, Result<Vec<String>, ViewFault>>;

    /// Documents of one logical partition, sorted.
    fn query<'a>(
        &'a self,
        partition: &'a str,
        query: &'a ViewQuery,
    ) -> BoxFuture<'a, Result<Vec<Found>, ViewFault>>;

    /// How many documents of a kind one logical partition has. Reads all of them, unless the store knows
    /// better.
    fn count<'a>(
        &'a self,
        partition: &'a str,
        kind: Kind,
    ) -> BoxFuture<'a, Result<u64, ViewFault>> {
        async move {
            let mut query = ViewQuery::of(vec![kind], COUNT_PAGE);
            let mut count: u64 = 0;
            loop {
                let page = self.query(partition, &query).await?;
                count = count.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
                if !query.go_on(&page) {
                    return Ok(count);
                }
            }
        }
        .boxed()
    }
}

/// The documents that are read with one query to be counted.
const COUNT_PAGE: u32 = 500;

/// A document as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The document.
    pub document: Document,
    /// Its version.
    pub etag: String,
}

/// A part of a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// What is stored; of one that is deleted only the id counts.
    pub document: Document,
    /// The version that must be there; without one no document must be there.
    pub etag: Option<String>,
    /// Whether the document is deleted and not stored.
    pub is_delete: bool,
}

/// Which documents of a logical partition, and in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewQuery {
    /// Of these kinds.
    pub kinds: Vec<Kind>,
    /// With these values of declared fields.
    pub filters: Vec<(String, Value)>,
    /// Sorted by this declared field, or by `key`.
    pub sort: String,
    /// The largest first.
    pub is_descending: bool,
    /// Only those behind the document with this text to sort by.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
}

impl ViewQuery {
    /// The first documents of these kinds, by key, at most so many.
    pub fn of(kinds: Vec<Kind>, limit: u32) -> Self {
        let (filters, sort) = (Vec::new(), "key".to_owned());
        Self { kinds, filters, sort, is_descending: false, after: None, limit }
    }

    /// Goes on behind a page of it. Says whether there may be more.
    pub fn go_on(&mut self, page: &[Found]) -> bool {
        let last = page.last().and_then(|found| found.document.sort.get(&self.sort).cloned());
        let is_full = u32::try_from(page.len()).is_ok_and(|found| found >= self.limit);
        self.after = last;
        is_full
    }
}

/// Why read models could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ViewFault {
    /// Another version of a document was found than the one that must be there. Nothing was written.
    #[error("a document of the read model has changed meanwhile")]
    Conflict,
    /// The documents are too large for one transaction. Nothing was written.
    #[error("the documents are larger than the service takes")]
    TooLarge,
    /// A document is not one that the service takes. Nothing was written.
    #[error("a document is not one that the service takes: {0}")]
    Unfit(String),
    /// The service did not answer, or has no throughput left. What was asked may or may not be done.
    #[error("the read models are not available: {0}")]
    Unavailable(String),
    /// A stored document cannot be read.
    #[error("document {id:?} of the read model cannot be read: {reason}")]
    Damaged {
        /// Its id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Everything else: wrong settings, missing permissions. Trying again does not help.
    #[error("the read models are refused: {0}")]
    Refused(String),
}
