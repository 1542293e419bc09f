//! Physical partitions of a container: which range of keys each serves, and what became of the others.
//!
//! A split or merge moves no rows. A partition reads the logs of its ancestors, filtered by its own
//! range, before its own log; its LSNs begin above theirs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::error::StorageError;
use crate::key::{Epk, EpkRange};

/// One physical partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionInfo {
    /// Its id, also the id of the log that it writes.
    pub(crate) id: u32,
    /// The keys that it serves.
    pub(crate) range: EpkRange,
    /// The partitions that it came from, oldest first; empty for the first ones.
    pub(crate) parents: Vec<u32>,
    /// The logs that hold its rows: those of its ancestors, then its own.
    pub(crate) logs: Vec<u32>,
    /// The LSN that it began at.
    pub(crate) base_lsn: u64,
}

/// The partitions of a container at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    /// Rises with every change.
    pub(crate) version: u64,
    /// The partitions in the order of their ranges, which tile the key space.
    pub(crate) partitions: Vec<PartitionInfo>,
    retired: BTreeSet<u32>,
    next_id: u32,
}

impl Topology {
    /// `count` (at least one) partitions of equal size.
    pub(crate) fn new(count: u32) -> Self {
        let partitions: Vec<_> = (0..)
            .zip(EpkRange::divide(count))
            .map(|(id, range)| PartitionInfo {
                id,
                range,
                parents: Vec::new(),
                logs: vec![id],
                base_lsn: 0,
            })
            .collect();
        Self { version: 1, partitions, retired: BTreeSet::new(), next_id: count.max(1) }
    }

    /// The partition with this id, if it still serves.
    pub(crate) fn get(&self, id: u32) -> Option<&PartitionInfo> {
        self.partitions.iter().find(|partition| partition.id == id)
    }

    /// The partition that serves `epk`.
    pub(crate) fn serving(&self, epk: Epk) -> Result<&PartitionInfo, StorageError> {
        self.partitions.iter().find(|partition| partition.range.contains(epk)).ok_or_else(|| {
            StorageError::Corrupt("the partitions do not tile the key space".to_owned())
        })
    }

    /// Whether `id` was split or merged away.
    pub(crate) fn retired(&self, id: u32) -> bool {
        self.retired.contains(&id)
    }

    /// All logs that are still read, each once.
    pub(crate) fn logs(&self) -> BTreeSet<u32> {
        self.partitions.iter().flat_map(|partition| partition.logs.iter().copied()).collect()
    }

    /// Replaces partition `id`, which has reached `lsn`, by its two halves at `at`, or in the middle.
    pub(crate) fn split(&self, id: u32, at: Option<Epk>, lsn: u64) -> Result<Self, StorageError> {
        let index = self.index_of(id)?;
        let mut next = self.clone();
        let parent = next.partitions.remove(index);
        let at = at.unwrap_or_else(|| parent.range.midpoint());
        let (left, right) = parent.range.split_at(at).ok_or_else(|| {
            StorageError::Invalid(format!("{} is not inside the partition's range", at.hex()))
        })?;
        for (offset, range) in [(0, left), (1, right)] {
            let child = next.successor(range, std::slice::from_ref(&parent), lsn);
            next.partitions.insert(index + offset, child);
        }
        next.retired.insert(id);
        next.version += 1;
        Ok(next)
    }

    /// Replaces two neighbours by one partition; `lsn` is the higher of the two they have reached.
    pub(crate) fn merge(&self, left: u32, right: u32, lsn: u64) -> Result<Self, StorageError> {
        let (first, second) = (self.index_of(left)?, self.index_of(right)?);
        if second != first + 1 {
            return Err(StorageError::Invalid(format!("partition {right} does not follow {left}")));
        }
        let mut next = self.clone();
        let parents: Vec<_> = next.partitions.drain(first..=second).collect();
        let range = match parents.as_slice() {
            [one, two] => one.range.join(&two.range),
            _ => None,
        };
        let range = range.ok_or_else(|| {
            StorageError::Corrupt("neighbouring partitions do not touch".to_owned())
        })?;
        let child = next.successor(range, &parents, lsn);
        next.partitions.insert(first, child);
        next.retired.extend([left, right]);
        next.version += 1;
        Ok(next)
    }

    fn index_of(&self, id: u32) -> Result<usize, StorageError> {
        let found = self.partitions.iter().position(|partition| partition.id == id);
        found.ok_or(if self.retired(id) { StorageError::Gone } else { StorageError::NotFound })
    }

    fn successor(&mut self, range: EpkRange, parents: &[PartitionInfo], lsn: u64) -> PartitionInfo {
        let id = self.next_id;
        self.next_id += 1;
        let collect = |ids: &dyn Fn(&PartitionInfo) -> Vec<u32>| -> Vec<u32> {
            parents.iter().flat_map(ids).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let ancestors =
            collect(&|parent| parent.parents.iter().copied().chain([parent.id]).collect());
        let mut logs = collect(&|parent| parent.logs.clone());
        logs.push(id);
        PartitionInfo { id, range, parents: ancestors, logs, base_lsn: lsn }
    }
}

/// [`Topology`] as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredTopology {
    version: u64,
    next_id: u32,
    retired: BTreeSet<u32>,
    partitions: Vec<StoredPartition>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredPartition {
    id: u32,
    min: String,
    max: String,
    parents: Vec<u32>,
    logs: Vec<u32>,
    base_lsn: u64,
}

impl From<&Topology> for StoredTopology {
    fn from(topology: &Topology) -> Self {
        let store = |partition: &PartitionInfo| StoredPartition {
            id: partition.id,
            min: partition.range.min_hex(),
            max: partition.range.max_hex(),
            parents: partition.parents.clone(),
            logs: partition.logs.clone(),
            base_lsn: partition.base_lsn,
        };
        Self {
            version: topology.version,
            next_id: topology.next_id,
            retired: topology.retired.clone(),
            partitions: topology.partitions.iter().map(store).collect(),
        }
    }
}

impl TryFrom<StoredTopology> for Topology {
    type Error = StorageError;

    fn try_from(stored: StoredTopology) -> Result<Self, StorageError> {
        let load = |partition: StoredPartition| -> Result<PartitionInfo, StorageError> {
            let range = EpkRange::from_hex(&partition.min, &partition.max)
                .map_err(|error| StorageError::Corrupt(error.to_string()))?;
            Ok(PartitionInfo {
                id: partition.id,
                range,
                parents: partition.parents,
                logs: partition.logs,
                base_lsn: partition.base_lsn,
            })
        };
        let partitions = stored.partitions.into_iter().map(load).collect::<Result<_, _>>()?;
        Ok(Self {
            version: stored.version,
            partitions,
            retired: stored.retired,
            next_id: stored.next_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_and_merge_keep_the_space_tiled_and_remember_the_ancestors() {
        let one = Topology::new(1);
        let two = one.split(0, None, 41).unwrap();
        assert!(two.retired(0) && two.get(0).is_none());
        let ids: Vec<_> =
            two.partitions.iter().map(|p| (p.id, p.logs.clone(), p.base_lsn)).collect();
        assert_eq!(ids, [(1, vec![0, 1], 41), (2, vec![0, 2], 41)]);
        assert_eq!(two.partitions[0].range.max, Some(two.partitions[1].range.min));

        let merged = two.merge(1, 2, 50).unwrap();
        assert_eq!(merged.partitions.len(), 1);
        let partition = &merged.partitions[0];
        assert_eq!(partition.range, EpkRange::full());
        assert_eq!(
            (partition.parents.as_slice(), partition.logs.as_slice()),
            (&[0, 1, 2][..], &[0, 1, 2, 3][..])
        );
        let stored = serde_json::to_string(&StoredTopology::from(&merged)).unwrap();
        let loaded: StoredTopology = serde_json::from_str(&stored).unwrap();
        assert_eq!(Topology::try_from(loaded).unwrap(), merged);
    }

    #[test]
    fn what_cannot_be_split_or_merged_is_refused() {
        let three = Topology::new(3);
        assert!(matches!(three.split(9, None, 0), Err(StorageError::NotFound)));
        assert!(matches!(three.split(0, Some(Epk::ZERO), 0), Err(StorageError::Invalid(_))));
        assert!(matches!(three.merge(0, 2, 0), Err(StorageError::Invalid(_))));
        let split = three.split(1, None, 0).unwrap();
        assert!(matches!(split.split(1, None, 0), Err(StorageError::Gone)));
    }
}
