//! Walks over the items of a container by key or by an indexed path.
//!
//! A walk reads in chunks; each chunk sees the state of its own moment, as the pages of a query do.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;

use super::container::Container;
use super::definition::ContainerDefinition;
use super::encoding::{
    Family, after_prefix, after_values, encode_id, encode_value, item_key, key_prefix, path_prefix,
    range_prefix, unique_prefix,
};
use super::error::StorageError;
use super::item::Item;
use super::memory::KeyRange;
use crate::key::{EpkRange, PartitionKey};

/// Index entries of the first chunk of a walk; each later one is twice as long, up to the maximum.
const CHUNK_FIRST: usize = if cfg!(test) { 2 } else { 32 };
const CHUNK_MAX: usize = 1024;
/// Bytes of items at which a chunk ends early.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// What to walk over.
#[derive(Debug, Clone)]
pub(crate) enum Scan {
    /// One logical partition, by id.
    Logical {
        /// Its key.
        key: PartitionKey,
        /// The first id.
        id_from: Bound<String>,
        /// The last id.
        id_to: Bound<String>,
        /// From the last to the first.
        descending: bool,
    },
    /// All items of a range of keys, by key and id.
    Range {
        /// The range.
        range: EpkRange,
        /// Only items with this id; the others are not loaded.
        id: Option<String>,
    },
    /// The items whose scalar at an indexed path lies between two values, by value.
    Index {
        /// A path for which [`Container::can_index`] holds.
        path: Vec<String>,
        /// The lowest value.
        lower: Bound<Value>,
        /// The highest value.
        upper: Bound<Value>,
        /// From the highest to the lowest.
        descending: bool,
        /// Only items of these keys.
        range: EpkRange,
    },
}

/// A walk in progress. It ends after its first error.
#[derive(Debug)]
pub(crate) struct ScanIter {
    container: Arc<Container>,
    bounds: KeyRange,
    descending: bool,
    range: EpkRange,
    id: Option<String>,
    /// The definition whose index is walked.
    generation: Option<u64>,
    chunk: usize,
    buffer: VecDeque<(Vec<u8>, Item)>,
    done: bool,
}

impl Container {
    /// Starts a walk strictly after position `after`, or at the beginning.
    ///
    /// # Errors
    /// `Invalid` when a path is not indexed, or `after` is no position of such a walk.
    pub(crate) fn scan(
        self: &Arc<Self>,
        scan: Scan,
        after: Option<Vec<u8>>,
    ) -> Result<ScanIter, StorageError> {
        let described = self.described();
        let (mut family, mut generation) = (vec![Family::Key.byte()], None);
        let (mut bounds, descending, range, id) = match scan {
            Scan::Logical { key, id_from, id_to, descending } => {
                (id_bounds(&key, &id_from, &id_to), descending, EpkRange::full(), None)
            }
            Scan::Range { range, id } => (epk_bounds(&range), false, range, id),
            Scan::Index { path, lower, upper, descending, range } => {
                family = index_prefix(&described.definition, &path)?;
                generation = Some(described.generation);
                (value_bounds(&family, &lower, &upper), descending, range, None)
            }
        };
        if let Some(after) = after {
            // With another index than the earlier page had, rows would be missing or come again.
            if !after.starts_with(&family) {
                return Err(StorageError::Invalid(
                    "the continuation token is of an index that was replaced; start the query again"
                        .to_owned(),
                ));
            }
            advance(&mut bounds, descending, after);
        }
        Ok(ScanIter {
            container: Arc::clone(self),
            bounds,
            descending,
            range,
            id,
            generation,
            chunk: CHUNK_FIRST,
            buffer: VecDeque::new(),
            done: false,
        })
    }
}

/// The start of the entries of the index that serves `path`.
fn index_prefix(
    definition: &ContainerDefinition,
    path: &[String],
) -> Result<Vec<u8>, StorageError> {
    match definition.unique_index(path) {
        Some(number) => Ok(unique_prefix(number)),
        None if definition.indexing.covers(path) => Ok(path_prefix(path)),
        None => Err(StorageError::Invalid(format!("/{} is not indexed", path.join("/")))),
    }
}

fn value_bounds(prefix: &[u8], lower: &Bound<Value>, upper: &Bound<Value>) -> KeyRange {
    let entry = |value: &Value| {
        let mut key = prefix.to_vec();
        encode_value(Some(value), &mut key);
        key
    };
    // What follows a value in a key orders the items that have it, so "after the value" is after
    // all keys that start with it.
    KeyRange {
        lower: Bound::Included(match lower {
            Bound::Included(value) => entry(value),
            Bound::Excluded(value) => after_prefix(&entry(value)),
            Bound::Unbounded => prefix.to_vec(),
        }),
        upper: Bound::Excluded(match upper {
            Bound::Included(value) => after_prefix(&entry(value)),
            Bound::Excluded(value) => entry(value),
            Bound::Unbounded => after_values(prefix),
        }),
    }
}

fn id_bounds(key: &PartitionKey, from: &Bound<String>, to: &Bound<String>) -> KeyRange {
    let (epk, key) = (key.epk(), key.encode());
    let prefix = key_prefix(epk, &key);
    let entry = |id: &String| item_key(epk, &key, id);
    KeyRange {
        lower: match from {
            Bound::Included(id) => Bound::Included(entry(id)),
            Bound::Excluded(id) => Bound::Excluded(entry(id)),
            Bound::Unbounded => Bound::Included(prefix.clone()),
        },
        upper: match to {
            Bound::Included(id) => Bound::Included(entry(id)),
            Bound::Excluded(id) => Bound::Excluded(entry(id)),
            Bound::Unbounded => Bound::Excluded(after_prefix(&prefix)),
        },
    }
}

fn epk_bounds(range: &EpkRange) -> KeyRange {
    let end = range.max.map_or_else(|| after_prefix(&[Family::Key.byte()]), range_prefix);
    KeyRange { lower: Bound::Included(range_prefix(range.min)), upper: Bound::Excluded(end) }
}

/// Narrows the bounds to what lies strictly after `position` in walking order.
fn advance(bounds: &mut KeyRange, descending: bool, position: Vec<u8>) {
    let inside = |bound: &Bound<Vec<u8>>, above: bool| match bound {
        Bound::Unbounded => true,
        Bound::Included(key) | Bound::Excluded(key) => {
            (position >= *key) == above || position == *key
        }
    };
    if descending {
        if inside(&bounds.upper, false) {
            bounds.upper = Bound::Excluded(position);
        }
    } else if inside(&bounds.lower, true) {
        bounds.lower = Bound::Excluded(position);
    }
}

impl ScanIter {
    /// Items that have been read ahead.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    fn fill(&mut self) -> Result<(), StorageError> {
        while self.buffer.is_empty() && !self.done {
            let ((memory, generation), snapshot) = self.container.snapshot(|view| {
                (view.range(&self.bounds, self.descending, self.chunk), view.generation)
            })?;
            if self.generation.is_some_and(|begun| begun != generation) {
                return Err(StorageError::Unavailable(
                    "the indexing policy was replaced; send the query again".to_owned(),
                ));
            }
            let file = snapshot.range(&self.bounds, self.descending, self.chunk)?;
            let run = memory.over(file, self.descending);
            self.done = run.complete;
            let mut last = run.changes.last().map(|(key, _)| key.clone());
            let mut bytes = 0;
            let default_ttl = self.container.definition().default_ttl;
            let now = self.container.clock().unix_seconds();
            let suffix: Option<Vec<u8>> = self.id.as_deref().map(|id| encode_id(id).collect());
            for (key, pointer) in run.changes {
                let Some(pointer) = pointer else { continue };
                if suffix.as_ref().is_some_and(|suffix| !key.ends_with(suffix)) {
                    continue;
                }
                // An entry without its row: the row went between the two looks; it is no longer there.
                let Some(item) = snapshot.load(pointer)? else { continue };
                let wanted = self.range.contains(item.epk())
                    && self.id.as_ref().is_none_or(|id| item.id() == id)
                    && !item.is_expired(default_ttl, now);
                if wanted {
                    bytes += item.size();
                    self.buffer.push_back((key, item));
                    if bytes >= CHUNK_BYTES {
                        // What the chunk has left is read again by the next.
                        last = self.buffer.back().map(|(key, _)| key.clone());
                        self.done = false;
                        break;
                    }
                }
            }
            if let Some(last) = last {
                advance(&mut self.bounds, self.descending, last);
            }
            self.chunk = (self.chunk * 2).min(CHUNK_MAX);
        }
        Ok(())
    }
}

impl Iterator for ScanIter {
    /// The position of an item in this walk, and the item.
    type Item = Result<(Vec<u8>, Item), StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.buffer.is_empty()
            && let Err(error) = self.fill()
        {
            self.done = true;
            return Some(Err(error));
        }
        self.buffer.pop_front().map(Ok)
    }
}
