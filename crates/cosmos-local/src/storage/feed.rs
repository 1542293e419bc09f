//! The change feed: rows of the log in the order of their LSN, latest version only.

use std::iter::Peekable;

use bytes::Bytes;

use super::container::{BytesLog, Container, Numbers, Snapshot};
use super::encoding::{Pointer, after_prefix, key_prefix};
use super::error::StorageError;
use super::item::Item;
use super::memory::{Dead, KeyRange, Run};
use super::topology::PartitionInfo;
use crate::key::{EpkRange, PartitionKey};
use std::ops::Bound;

/// Whose changes to read.
#[derive(Debug, Clone)]
pub(crate) enum FeedScope {
    /// A physical partition.
    Partition(u32),
    /// A part of a physical partition.
    PartitionRange(u32, EpkRange),
    /// A logical partition.
    Key(PartitionKey),
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FeedStart {
    /// With the oldest change.
    Beginning,
    /// With the next change.
    Now,
    /// After this LSN.
    After(u64),
}

/// A page of the change feed to read.
#[derive(Debug, Clone)]
pub(crate) struct FeedRequest {
    /// Whose changes.
    pub(crate) scope: FeedScope,
    /// From where.
    pub(crate) start: FeedStart,
    /// Only changes at or after this time (Unix seconds).
    pub(crate) since: Option<u64>,
    /// The page ends with the commit in which this many items are reached.
    pub(crate) max_items: usize,
    /// The page ends with the commit in which this many bytes are reached.
    pub(crate) max_bytes: usize,
}

/// A page of the change feed. It ends on the boundary of an LSN.
#[derive(Debug)]
pub(crate) struct FeedPage {
    /// The changed items by LSN, then by their place in the commit.
    pub(crate) items: Vec<Item>,
    /// The LSN to continue after.
    pub(crate) etag_lsn: u64,
    /// The physical partition that was read.
    pub(crate) partition: u32,
    /// Its last visible LSN.
    pub(crate) partition_lsn: u64,
}

impl Container {
    /// Reads a page of the change feed.
    ///
    /// # Errors
    /// `Gone` when the partition was split or merged away, `NotFound` when there never was one.
    pub(crate) fn feed(&self, request: &FeedRequest) -> Result<FeedPage, StorageError> {
        let topology = self.partitions();
        let (partition, range) = match &request.scope {
            FeedScope::Key(key) => (topology.serving(key.epk())?, EpkRange::full()),
            FeedScope::Partition(id) | FeedScope::PartitionRange(id, _) => {
                let partition = topology.get(*id).ok_or(if topology.retired(*id) {
                    StorageError::Gone
                } else {
                    StorageError::NotFound
                })?;
                match &request.scope {
                    FeedScope::PartitionRange(_, range) => (partition, *range),
                    _ => (partition, partition.range),
                }
            }
        };
        let ((lsn, dead), snapshot) = self.snapshot(|view| {
            (view.lsns.get(&partition.id).copied().unwrap_or(partition.base_lsn), view.dead())
        })?;
        let after = match request.start {
            FeedStart::Beginning => 0,
            FeedStart::Now => lsn,
            FeedStart::After(lsn) => lsn,
        };
        let filter = Filter {
            range: range.intersection(&partition.range),
            dead,
            since: request.since.unwrap_or(0),
            default_ttl: self.definition().default_ttl,
            now: self.clock().unix_seconds(),
        };
        let mut page = Page::new(request, after.max(lsn));
        if after < lsn {
            match &request.scope {
                FeedScope::Key(key) => {
                    let (pointers, snapshot) = self.of_key(key, after, lsn)?;
                    for pointer in pointers {
                        let Some(item) = snapshot.load(pointer)? else { continue };
                        if !page.take(item, &filter) {
                            break;
                        }
                    }
                }
                _ => read_logs(
                    &snapshot,
                    self.numbers(),
                    partition,
                    (after, lsn),
                    &filter,
                    &mut page,
                )?,
            }
        }
        Ok(page.finish(partition.id, lsn))
    }

    /// Where all items of a logical partition are, in the order of the feed; found by key, not by reading
    /// the log.
    fn of_key(
        &self,
        key: &PartitionKey,
        after: u64,
        lsn: u64,
    ) -> Result<(Vec<Pointer>, Snapshot<'_>), StorageError> {
        let prefix = key_prefix(key.epk(), &key.encode());
        let bounds = KeyRange {
            upper: Bound::Excluded(after_prefix(&prefix)),
            lower: Bound::Included(prefix),
        };
        let (memory, snapshot): (Run, Snapshot<'_>) =
            self.snapshot(|view| view.range(&bounds, false, usize::MAX))?;
        let run = memory.over(snapshot.range(&bounds, false, usize::MAX)?, false);
        let mut pointers: Vec<_> =
            run.changes.into_iter().filter_map(|(_, pointer)| pointer).collect();
        pointers.retain(|pointer| pointer.lsn > after && pointer.lsn <= lsn);
        pointers.sort_unstable_by_key(|pointer| (pointer.lsn, pointer.log, pointer.place));
        Ok((pointers, snapshot))
    }
}

/// Which rows of the log are part of the answer.
struct Filter {
    range: Option<EpkRange>,
    dead: Dead,
    since: u64,
    default_ttl: Option<i32>,
    now: u64,
}

impl Filter {
    fn wants(&self, item: &Item) -> bool {
        self.range.is_some_and(|range| range.contains(item.epk()))
            && !item.is_delete()
            && item.ts() >= self.since
            && !self.dead.contains(item.pointer())
            && !item.is_expired(self.default_ttl, self.now)
    }
}

/// A page being filled.
struct Page {
    items: Vec<Item>,
    bytes: usize,
    max_items: usize,
    max_bytes: usize,
    /// Where the next page begins: after the last commit, or after all that there is.
    etag_lsn: u64,
}

impl Page {
    fn new(request: &FeedRequest, end: u64) -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
            max_items: request.max_items.max(1),
            max_bytes: request.max_bytes,
            etag_lsn: end,
        }
    }

    /// Takes the next row; false when the page is full and the row belongs to a later commit.
    fn take(&mut self, item: Item, filter: &Filter) -> bool {
        if !filter.wants(&item) {
            return true;
        }
        if let Some(last) = self.items.last() {
            let full = self.items.len() >= self.max_items || self.bytes >= self.max_bytes;
            if full && item.lsn() != last.lsn() {
                self.etag_lsn = last.lsn();
                return false;
            }
        }
        self.bytes += item.size();
        self.items.push(item);
        true
    }

    fn finish(self, partition: u32, partition_lsn: u64) -> FeedPage {
        FeedPage { items: self.items, etag_lsn: self.etag_lsn, partition, partition_lsn }
    }
}

type LogRange = Peekable<redb::Range<'static, &'static [u8], &'static [u8]>>;

/// Reads the logs of a partition and its ancestors side by side, lowest LSN first.
fn read_logs(
    snapshot: &Snapshot<'_>,
    numbers: Numbers,
    partition: &PartitionInfo,
    (after, lsn): (u64, u64),
    filter: &Filter,
    page: &mut Page,
) -> Result<(), StorageError> {
    let table = snapshot.log()?;
    let mut logs = Vec::with_capacity(partition.logs.len());
    for &log in &partition.logs {
        logs.push(range_of(&table, log, after, lsn)?.peekable());
    }
    while let Some((pointer, row)) = next_row(&mut logs)? {
        if !page.take(Item::decode(numbers, pointer, row)?, filter) {
            break;
        }
    }
    Ok(())
}

fn range_of(
    table: &BytesLog,
    log: u32,
    after: u64,
    lsn: u64,
) -> Result<redb::Range<'static, &'static [u8], &'static [u8]>, StorageError> {
    let (first, last) =
        (Pointer::first_after(log, after).encode(), Pointer::last_of(log, lsn).encode());
    Ok(table.range::<&[u8]>(first.as_slice()..=last.as_slice())?)
}

/// The row with the lowest LSN of all logs; a commit is in one log, so it stays whole.
fn next_row(logs: &mut [LogRange]) -> Result<Option<(Pointer, Bytes)>, StorageError> {
    let mut lowest: Option<(usize, Pointer)> = None;
    for (index, log) in logs.iter_mut().enumerate() {
        let pointer = match log.peek() {
            Some(Ok((key, _))) => Pointer::decode(key.value())?,
            // Taking it below gives the error.
            Some(Err(_)) => Pointer { log: 0, lsn: 0, place: 0 },
            None => continue,
        };
        if lowest.is_none_or(|(_, low)| (pointer.lsn, pointer.log) < (low.lsn, low.log)) {
            lowest = Some((index, pointer));
        }
    }
    let Some((index, pointer)) = lowest else { return Ok(None) };
    match logs.get_mut(index).and_then(Iterator::next) {
        Some(entry) => {
            let (_, row) = entry?;
            Ok(Some((pointer, Bytes::copy_from_slice(row.value()))))
        }
        None => Ok(None),
    }
}
