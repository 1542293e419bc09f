//! Where changes come from.

use std::fmt;

use futures::future::BoxFuture;
use serde_json::value::RawValue;
use thiserror::Error;

use super::{FeedRange, documents::Position};

/// The change feed of a container. Implementations: Cosmos DB, and memory for tests.
pub trait Feed: Send + Sync + 'static {
    /// The ranges of the physical partitions as they are now.
    fn ranges(&self) -> BoxFuture<'_, Result<Vec<FeedRange>, FeedFault>>;

    /// Whether a part of a physical partition can be read by itself.
    fn reads_parts(&self) -> BoxFuture<'_, Result<bool, FeedFault>>;

    /// A place that has everything of a range before it that is stored now.
    fn now(&self, range: &FeedRange) -> BoxFuture<'_, Result<String, FeedFault>>;

    /// Opens a range at a place. A place that was reached in a range may be used for a part of it.
    fn open(
        &self,
        range: &FeedRange,
        position: &Position,
    ) -> BoxFuture<'_, Result<Box<dyn FeedReader>, FeedFault>>;

    /// A range that a key is in, as narrow as the feed knows; nothing for a key that has no place, such as
    /// that of a document without one.
    fn range_of(&self, key: &str) -> BoxFuture<'_, Result<Option<FeedRange>, FeedFault>>;

    /// Whether a key is in a part of the range that it was said to be in. Asked only where parts of
    /// partitions are read, for a key that has documents.
    fn has_key(&self, part: &FeedRange, key: &str) -> BoxFuture<'_, Result<bool, FeedFault>>;

    /// Whether every change of a key has a higher order than all that were stored before, so that a change
    /// is known by it.
    fn has_rising_order(&self) -> bool {
        false
    }

    /// The changes of one key from an order on, in order, at most so many: for a key that was set aside.
    fn read_key(
        &self,
        key: &str,
        order: u64,
        changes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Change>, FeedFault>>;
}

/// An open range.
pub trait FeedReader: Send {
    /// The next page, also when there is nothing new.
    ///
    /// After an error the reader is over: open the range again.
    fn next_page(&mut self) -> BoxFuture<'_, Result<Page, FeedFault>>;
}

/// A page of a range.
#[derive(Debug, Clone)]
pub struct Page {
    /// The changes, in the order in which the service gives them. Those of one transaction may be in any
    /// order.
    pub changes: Vec<Change>,
    /// The place behind the page.
    pub continuation: String,
    /// The last transaction that is stored in the range, where the feed says so.
    pub last_lsn: Option<i64>,
    /// The request charge in RU.
    pub request_charge: f64,
}

/// A document after a change. Its `Debug` does not show the document.
#[derive(Clone)]
pub struct Change {
    /// The key of which it is: changes of one key are handled in order.
    pub key: String,
    /// Its place among the changes of its key in one transaction.
    pub order: u64,
    /// The transaction that wrote it.
    pub lsn: i64,
    /// When it was stored, in seconds, as the service stamps it.
    pub stored_at: u64,
    /// The document, as it came.
    pub document: Box<RawValue>,
    /// What is wrong with it, where key or order could not be found: it is then handled as the poison that
    /// it is, never lost.
    pub problem: Option<&'static str>,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Change");
        debug.field("key", &self.key).field("order", &self.order).field("lsn", &self.lsn);
        debug.field("stored_at", &self.stored_at).field("problem", &self.problem);
        debug.finish_non_exhaustive()
    }
}

/// Why the feed did not give what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FeedFault {
    /// The range is not one that can be read any more: partitions were split or merged.
    #[error("the partitions of the feed have changed")]
    Moved,
    /// The feed did not answer, or has no throughput left.
    #[error("the feed is not available: {0}")]
    Unavailable(String),
    /// The place is not one of this feed, or too old.
    #[error("the feed refuses the place: {0}")]
    BadPosition(String),
    /// Everything else.
    #[error("the feed refuses: {0}")]
    Refused(String),
}
