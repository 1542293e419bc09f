//! The index entries that are durable in the log and not yet in the index table of the file.
//!
//! Two layers: writes go to the active one; a full one is frozen and written to the file in slices.
//! A reader asks the active layer, then the frozen one, then the file.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use super::encoding::Pointer;

/// Index entries by key; `None` says that the entry is gone, whatever lies below.
pub(crate) type Entries = BTreeMap<Vec<u8>, Option<Pointer>>;

/// A change to the index: the key, and the row it now points to, if any.
pub(crate) type Change = (Vec<u8>, Option<Pointer>);

/// What a layer says of an index key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: look further down.
    Unknown,
    /// There is no such entry, whatever lies below.
    Gone,
    /// It points here.
    At(Pointer),
}

impl Known {
    /// Reads an entry of [`Entries`].
    pub(crate) fn of(entry: Option<&Option<Pointer>>) -> Self {
        match entry {
            None => Self::Unknown,
            Some(None) => Self::Gone,
            Some(Some(pointer)) => Self::At(*pointer),
        }
    }
}

/// Entries with the rows that they made superfluous.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) entries: Entries,
    /// Rows that were replaced or deleted, and the rows of deletes.
    pub(crate) dead: Arc<HashSet<Pointer>>,
    /// How much was put in, counted in entries of ordinary length, also in place of what was there.
    pub(crate) weight: usize,
}

/// Length of an index key that counts as another entry.
const ENTRY_BYTES: usize = 512;

/// What readers see of a container besides the file.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) active: Layer,
    pub(crate) frozen: Option<Arc<Layer>>,
    /// Last visible LSN of each log.
    pub(crate) lsns: BTreeMap<u32, u64>,
    pub(crate) next_ordinal: u64,
    /// The definition that the entries of indexed paths follow, here and in the file.
    pub(crate) generation: u64,
}

impl View {
    /// What memory knows of `key`: nothing, that it is gone, or where it points.
    pub(crate) fn get(&self, key: &[u8]) -> Known {
        let frozen = || self.frozen.as_ref().and_then(|layer| layer.entries.get(key));
        Known::of(self.active.entries.get(key).or_else(frozen))
    }

    /// The entries between two keys, in order, about `limit`, from the low or the high end.
    pub(crate) fn range(&self, bounds: &KeyRange, descending: bool, limit: usize) -> Run {
        let active = Run::of_layer(&self.active.entries, bounds, descending, limit);
        match &self.frozen {
            None => active,
            Some(frozen) => {
                active.over(Run::of_layer(&frozen.entries, bounds, descending, limit), descending)
            }
        }
    }

    /// The sets of superfluous rows, as they are now.
    pub(crate) fn dead(&self) -> Dead {
        let frozen = self.frozen.as_ref().map(|layer| Arc::clone(&layer.dead));
        Dead { active: Arc::clone(&self.active.dead), frozen }
    }

    /// Makes committed changes visible.
    pub(crate) fn publish(
        &mut self,
        changes: Entries,
        dead: &[Pointer],
        lsns: &BTreeMap<u32, u64>,
    ) {
        let long = changes.keys().map(|key| key.len() / ENTRY_BYTES).sum::<usize>();
        self.active.weight += changes.len() + long + dead.len();
        if self.active.entries.is_empty() {
            self.active.entries = changes;
        } else {
            self.active.entries.extend(changes);
        }
        if !dead.is_empty() {
            Arc::make_mut(&mut self.active.dead).extend(dead);
        }
        for (log, lsn) in lsns {
            // Rows that are read again may be older than what is known: newer ones have gone.
            let known = self.lsns.entry(*log).or_default();
            *known = (*known).max(*lsn);
        }
    }
}

/// Rows that readers of the log pass over.
#[derive(Debug)]
pub(crate) struct Dead {
    active: Arc<HashSet<Pointer>>,
    frozen: Option<Arc<HashSet<Pointer>>>,
}

impl Dead {
    /// Whether a newer row has taken the place of this one.
    pub(crate) fn contains(&self, pointer: Pointer) -> bool {
        self.active.contains(&pointer)
            || self.frozen.as_ref().is_some_and(|frozen| frozen.contains(&pointer))
    }
}

/// Bounds of a walk, as ordered maps take them.
pub(crate) type Slices<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Bounds of a walk over an index.
#[derive(Debug, Clone)]
pub(crate) struct KeyRange {
    /// Where it begins.
    pub(crate) lower: Bound<Vec<u8>>,
    /// Where it ends.
    pub(crate) upper: Bound<Vec<u8>>,
}

impl KeyRange {
    /// The bounds as slices, as ordered maps take them; `None` when nothing can lie between them.
    pub(crate) fn as_slices(&self) -> Option<Slices<'_>> {
        let (lower, upper) = (as_slice(&self.lower), as_slice(&self.upper));
        let empty = match (lower, upper) {
            (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
            (
                Bound::Included(lower) | Bound::Excluded(lower),
                Bound::Included(upper) | Bound::Excluded(upper),
            ) => lower >= upper,
            _ => false,
        };
        (!empty).then_some((lower, upper))
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// A sorted stretch of index entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// The entries in walking order.
    pub(crate) changes: Vec<Change>,
    /// Whether the stretch reaches the end of the walk; else there may be more after its last entry.
    pub(crate) complete: bool,
}

impl Run {
    fn of_layer(entries: &Entries, bounds: &KeyRange, descending: bool, limit: usize) -> Self {
        let Some(bounds) = bounds.as_slices() else {
            return Self { changes: Vec::new(), complete: true };
        };
        let range = entries.range::<[u8], _>(bounds);
        let copy = |(key, pointer): (&Vec<u8>, &Option<Pointer>)| (key.clone(), *pointer);
        let changes: Vec<_> = if descending {
            range.rev().take(limit).map(copy).collect()
        } else {
            range.take(limit).map(copy).collect()
        };
        Self { complete: changes.len() < limit, changes }
    }

    /// Lays this run over `lower`: where both have a key, this one wins. The result ends where the
    /// first incomplete one of the two ends, because nothing is known beyond.
    pub(crate) fn over(self, lower: Self, descending: bool) -> Self {
        let before = |a: &[u8], b: &[u8]| if descending { a > b } else { a < b };
        let mut horizon: Option<Vec<u8>> = None;
        for run in [&self, &lower] {
            if let (false, Some((last, _))) = (run.complete, run.changes.last())
                && horizon.as_ref().is_none_or(|horizon| before(last, horizon))
            {
                horizon = Some(last.clone());
            }
        }
        let mut changes = Vec::with_capacity(self.changes.len() + lower.changes.len());
        let mut below = lower.changes.into_iter().peekable();
        for change in self.changes {
            while let Some(first) = below.next_if(|below| before(&below.0, &change.0)) {
                changes.push(first);
            }
            below.next_if(|below| below.0 == change.0);
            changes.push(change);
        }
        changes.extend(below);
        if let Some(horizon) = &horizon {
            changes.retain(|(key, _)| !before(horizon, key));
        }
        Self { changes, complete: horizon.is_none() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, lsn: u64) -> Change {
        let pointer = Pointer { log: 0, lsn, place: 0 };
        (key.as_bytes().to_vec(), (lsn > 0).then_some(pointer))
    }

    fn run(changes: &[Change], complete: bool) -> Run {
        Run { changes: changes.to_vec(), complete }
    }

    #[test]
    fn the_upper_run_wins_in_both_directions() {
        let upper = [change("b", 0), change("d", 9)];
        let lower =
            [change("a", 1), change("b", 2), change("c", 3), change("d", 4), change("e", 5)];
        let expected =
            [change("a", 1), change("b", 0), change("c", 3), change("d", 9), change("e", 5)];
        assert_eq!(run(&upper, true).over(run(&lower, true), false), run(&expected, true));
        let reversed = |list: &[Change]| list.iter().rev().cloned().collect::<Vec<_>>();
        let merged = run(&reversed(&upper), true).over(run(&reversed(&lower), true), true);
        assert_eq!(merged, run(&reversed(&expected), true));
    }

    #[test]
    fn a_merged_run_ends_where_an_incomplete_one_ends() {
        let upper = [change("a", 1), change("c", 3)];
        let lower = [change("b", 2), change("d", 4)];
        let merged = run(&upper, false).over(run(&lower, true), false);
        assert_eq!(merged, run(&[change("a", 1), change("b", 2), change("c", 3)], false));
    }

    #[test]
    fn empty_ranges_give_nothing_instead_of_a_panic() {
        let range = |lower: &str, upper: &str| KeyRange {
            lower: Bound::Excluded(lower.as_bytes().to_vec()),
            upper: Bound::Excluded(upper.as_bytes().to_vec()),
        };
        assert!(range("b", "a").as_slices().is_none());
        assert!(range("a", "a").as_slices().is_none());
        assert!(range("a", "b").as_slices().is_some());
    }
}
