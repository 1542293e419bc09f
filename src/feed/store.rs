//! Where leases are kept.

use futures::future::BoxFuture;
use thiserror::Error;

use super::documents::{Document, Stored};

/// The documents of one processor. Implementations: Cosmos DB, and memory for tests.
///
/// Every call is for one processor, in one logical partition.
pub trait LeaseStore: Send + Sync + 'static {
    /// All documents of the processor, in no order.
    ///
    /// The answer may be older than the last commit of another host; whoever acts on it does so under the
    /// etags that it saw.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Stored<Document>>, StoreFault>>;

    /// Carries out all operations, or none of them, in order. At most [`OPERATIONS_MAX`].
    fn commit(&self, operations: Vec<Operation>) -> BoxFuture<'_, Result<Vec<Done>, StoreFault>>;

    /// The request charge of all calls so far, in RU; 0 where the store does not know.
    fn request_charge(&self) -> f64 {
        0.0
    }
}

/// The operations of one commit, a limit of the service.
pub const OPERATIONS_MAX: usize = 100;

/// A part of a commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Stores a document that must not be there.
    Create(Document),
    /// Replaces the version of a document that has this etag.
    Replace {
        /// What is stored.
        document: Document,
        /// The version that must be there.
        etag: String,
    },
    /// Stores a document, whatever is there.
    Upsert(Document),
    /// Removes the version of a document that has this etag.
    Delete {
        /// Its id.
        id: String,
        /// The version that must be there.
        etag: String,
    },
    /// Reads a document that must be there.
    Read {
        /// Its id.
        id: String,
    },
}

/// What an operation of a commit came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// The document is stored in this version.
    Written {
        /// Its version.
        etag: String,
        /// When the service stored it, in seconds; 0 where the store does not say.
        stored_at: u64,
    },
    /// The document is removed.
    Deleted,
    /// The document is this.
    Read(Box<Stored<Document>>),
}

/// Why the lease store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreFault {
    /// An operation found another version of its document, or none, or one where none must be. Nothing was
    /// done.
    #[error("a document of the processor has changed (operation {operation})")]
    Conflict {
        /// Which operation, counted from 0.
        operation: usize,
        /// Whether the document is not there.
        missing: bool,
    },
    /// The store did not answer, or has no throughput left. What was asked may or may not be done.
    #[error("the lease store is not available: {0}")]
    Unavailable(String),
    /// A document is not one of this version's. Nothing is to be touched.
    #[error("document {id:?} of the processor cannot be read: {reason}")]
    Foreign {
        /// Its id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Everything else: wrong settings, missing permissions. Trying again does not help.
    #[error("the lease store refuses: {0}")]
    Refused(String),
}
