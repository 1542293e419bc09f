//! What a transaction asks for and what became of it.

use super::item::{Item, NewItem};

/// A condition on the entity tag of the item that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// None.
    None,
    /// The item's entity tag must be this one (`*`: any).
    IfMatch(String),
    /// The item's entity tag must not be this one (`*`: there must be none).
    IfNoneMatch(String),
}

impl Condition {
    /// Whether an item with this entity tag meets it.
    pub(super) fn met_by(&self, etag: &str) -> bool {
        match self {
            Self::None => true,
            Self::IfMatch(wanted) => wanted == "*" || wanted == etag,
            Self::IfNoneMatch(unwanted) => unwanted != "*" && unwanted != etag,
        }
    }
}

/// One operation of a transaction.
#[derive(Debug)]
pub(crate) enum Operation {
    /// Write an item that must not be there.
    Create(NewItem),
    /// Write an item, there or not; a condition counts only when it is there.
    Upsert(NewItem, Condition),
    /// Write an item that must be there.
    Replace(NewItem, Condition),
    /// Remove the item with this id.
    Delete(String, Condition),
    /// Read the item with this id, as the operations before it left it.
    Read(String, Condition),
}

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All of it happened.
    Committed {
        /// The LSN of the commit; of the partition when nothing was written.
        lsn: u64,
        /// The partition.
        partition: u32,
        /// A result for each operation.
        results: Vec<OpResult>,
    },
    /// None of it happened.
    Failed {
        /// Which operation failed, from 0.
        at: usize,
        /// Why.
        failure: OpFailure,
        /// The partition.
        partition: u32,
        /// The partition's LSN.
        lsn: u64,
    },
}

/// What one operation did.
#[derive(Debug)]
pub(crate) enum OpResult {
    /// Created this item.
    Created(Item),
    /// Replaced an item by this one.
    Replaced(Item),
    /// Removed an item.
    Deleted,
    /// Read this item.
    Read(Item),
    /// The item has the entity tag that the caller knows.
    NotModified(String),
}

/// Why one operation could not be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpFailure {
    /// There is no such item.
    NotFound,
    /// An item with that id is there.
    Conflict,
    /// Another item of the logical partition has the same values of a unique key.
    UniqueConflict,
    /// The condition on the entity tag does not hold.
    PreconditionFailed,
    /// The item's partition key is not that of the transaction.
    KeyMismatch,
}
