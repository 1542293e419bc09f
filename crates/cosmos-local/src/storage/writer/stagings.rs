//! The containers that one commit writes to.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use redb::WriteTransaction;

use super::super::apply::Staging;
use super::super::container::Container;
use super::super::error::StorageError;
use super::Indexing;

/// The containers of one commit.
pub(in crate::storage) struct Stagings<'txn, 'known> {
    pub(super) transaction: &'txn WriteTransaction,
    pub(super) known: &'known BTreeMap<u32, Indexing>,
    pub(super) open: BTreeMap<u32, Staging<'txn>>,
}

impl<'txn> Stagings<'txn, '_> {
    /// The staging of a container, opened at first use.
    pub(in crate::storage) fn of(
        &mut self,
        container: &Arc<Container>,
    ) -> Result<&mut Staging<'txn>, StorageError> {
        match self.open.entry(container.numbers().container) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            // Opening the tables of a deleted container would make them anew.
            Entry::Vacant(entry) if !self.known.contains_key(entry.key()) => {
                Err(StorageError::NotFound)
            }
            Entry::Vacant(entry) => {
                Ok(entry.insert(Staging::open(self.transaction, Arc::clone(container))?))
            }
        }
    }
}
