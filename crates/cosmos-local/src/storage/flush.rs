//! How index entries get from memory into the file: a frozen layer, slice by slice.
//!
//! The order of the steps is what makes a crash harmless at any point:
//!
//! 1. the entries of the layer are written, in key order, over any number of commits;
//! 2. the superfluous rows of the log are removed, over any number of commits;
//! 3. the mark up to which the log is indexed moves forward, and the layer is dropped.
//!
//! A crash in step 1 or 2 derives all entries again from the log above the old mark. Rows are only missing
//! there if step 1 was complete, so what they would have removed is removed already. The LSNs reached are
//! stored with the first commit of step 2, because the rows that prove them may go.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use redb::WriteTransaction;
use serde::{Deserialize, Serialize};

use super::apply::Staging;
use super::catalog::META;
use super::container::Container;
use super::encoding::Pointer;
use super::error::StorageError;
use super::memory::Layer;

/// Weight in entries at which the active layer is frozen. Bounds memory (about 15 MB with the frozen layer) and the
/// log to be read again after a crash (about 20,000 small items, a fraction of a second).
pub(super) const FREEZE_AT: usize = 32 * 1024;

/// What is stored about how far a container is indexed.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Last LSN of each log; rows above it, if any, are in the log.
    pub(super) lsns: BTreeMap<u32, u64>,
    /// LSN of each log up to which the file has all index entries.
    pub(super) indexed: BTreeMap<u32, u64>,
    pub(super) next_ordinal: u64,
}

impl Progress {
    pub(super) fn key(container: u32) -> String {
        format!("progress/{container}")
    }

    fn store(&self, transaction: &WriteTransaction, container: u32) -> Result<(), StorageError> {
        let json = serde_json::to_vec(self)
            .map_err(|error| StorageError::Corrupt(format!("progress: {error}")))?;
        let mut meta = transaction.open_table(META)?;
        meta.insert(Self::key(container).as_str(), json.as_slice())?;
        Ok(())
    }
}

/// A layer on its way into the file.
#[derive(Debug)]
pub(super) struct Flush {
    layer: Arc<Layer>,
    /// The state to be stored when all is written.
    reached: Progress,
    indexed_before: BTreeMap<u32, u64>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Entries { after: Option<Vec<u8>> },
    Rows { rows: Vec<Pointer> },
    Done,
}

impl Flush {
    /// Freezes the active layer of a container, if it weighs `at_least` that much and none is frozen.
    pub(super) fn begin(
        container: &Container,
        at_least: usize,
        indexed_before: &BTreeMap<u32, u64>,
    ) -> Option<Self> {
        let mut view = container.view_mut();
        if view.frozen.is_some() || view.active.weight < at_least || view.active.entries.is_empty()
        {
            return None;
        }
        let layer = Arc::new(std::mem::take(&mut view.active));
        view.frozen = Some(Arc::clone(&layer));
        let reached = Progress {
            lsns: view.lsns.clone(),
            indexed: view.lsns.clone(),
            next_ordinal: view.next_ordinal,
        };
        let indexed_before = indexed_before.clone();
        Some(Self { layer, reached, indexed_before, step: Step::Entries { after: None } })
    }

    /// Writes about `budget` entries within the commit of `staging`; true when nothing is left to write.
    pub(super) fn advance(
        &mut self,
        transaction: &WriteTransaction,
        staging: &mut Staging<'_>,
        budget: usize,
    ) -> Result<bool, StorageError> {
        let container = staging.container.numbers().container;
        match &mut self.step {
            Step::Entries { after } => {
                let lower = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
                let mut last = None;
                let mut written = 0;
                for (key, pointer) in
                    self.layer.entries.range::<Vec<u8>, _>((lower, Bound::Unbounded))
                {
                    if written == budget {
                        break;
                    }
                    match pointer {
                        Some(pointer) => {
                            staging.index.insert(key.as_slice(), pointer.encode().as_slice())?;
                        }
                        None => {
                            staging.index.remove(key.as_slice())?;
                        }
                    }
                    last = Some(key);
                    written += 1;
                }
                match last {
                    Some(last) if written == budget => *after = Some(last.clone()),
                    _ => {
                        // Lowest last, because the tail goes first: a row goes before the row that
                        // replaced or deleted it, else a crash between the two would bring it back.
                        let mut rows: Vec<_> = self.layer.dead.iter().copied().collect();
                        rows.sort_unstable_by(|a, b| b.cmp(a));
                        self.step = Step::Rows { rows };
                    }
                }
            }
            Step::Rows { rows } => {
                // The mark stays where it was; only the LSNs are made safe.
                Progress { indexed: self.indexed_before.clone(), ..self.reached.clone() }
                    .store(transaction, container)?;
                for pointer in rows.split_off(rows.len().saturating_sub(budget)) {
                    staging.log.remove(pointer.encode().as_slice())?;
                }
                if rows.is_empty() {
                    self.reached.store(transaction, container)?;
                    self.step = Step::Done;
                }
            }
            Step::Done => {}
        }
        Ok(matches!(self.step, Step::Done))
    }

    /// Drops the layer, after the commit that wrote the last of it; gives the new mark.
    pub(super) fn finish(self, container: &Container) -> BTreeMap<u32, u64> {
        container.view_mut().frozen = None;
        self.reached.indexed
    }
}
