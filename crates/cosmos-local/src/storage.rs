//! The storage engine: databases, containers, items, the change feed, on one redb file.
//!
//! # Layout
//!
//! Bodies live once, in the *log* of their container, in the order of their LSN; everything else (the
//! key index, unique keys, secondary indexes, expiry) holds small pointers into the log. An
//! acknowledged write has put nothing but rows at the end of the log into a durable commit that it
//! shares with all writers waiting at that moment; the index entries wait in a sorted table in memory and
//! reach the file in slices, many writes at a time. After a crash they are derived again from the tail
//! of the log. `docs/decisions/002-storage.md` has the measurements behind this.
//!
//! # Invariants
//!
//! - One thread writes ([`writer`]); readers never wait for a commit.
//! - A write becomes visible after its commit is durable, and only then is it acknowledged.
//! - A row that another row replaces, and the row of a delete, leave the log only after every index
//!   entry that they imply is in the file.
//! - LSNs never go down: not across a restart, a split or a merge.
//!
//! What it does not know: HTTP, SQL.

mod admin;
mod apply;
mod catalog;
mod container;
mod definition;
mod encoding;
mod engine;
mod error;
mod feed;
mod flush;
mod folder;
mod indexing;
mod item;
mod memory;
mod operation;
mod probation;
mod recovery;
mod scan;
mod topology;
mod writer;

pub(crate) use catalog::{Database, Offer, OfferRecord};
pub(crate) use container::Container;
pub(crate) use definition::{ContainerDefinition, DefinitionError};
pub(crate) use engine::{Durability, Engine, EngineOptions};
pub(crate) use error::{OpenError, StorageError};
pub(crate) use feed::{FeedRequest, FeedScope, FeedStart};
pub(crate) use folder::check as check_folder;
pub(crate) use item::{Item, NewItem, PrepareError};
pub(crate) use scan::{Scan, ScanIter};
pub(crate) use topology::{PartitionInfo, Topology};

pub(crate) use operation::{Condition, OpFailure, OpResult, Operation, Outcome};

#[cfg(test)]
mod tests;
