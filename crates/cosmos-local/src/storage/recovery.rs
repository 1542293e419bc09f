//! After an open: derives the index entries that had not reached the file from the tail of the log.

use redb::{ReadTransaction, ReadableDatabase, ReadableTable};

use super::apply::{insertions, removals};
use super::catalog::META;
use super::container::{Container, load_row};
use super::encoding::Pointer;
use super::error::StorageError;
use super::flush::Progress;
use super::item::Item;
use super::memory::Entries;
use bytes::Bytes;

/// Brings the view of a container up to the last durable commit; gives what the file says of its index.
pub(super) fn recover(container: &Container) -> Result<Progress, StorageError> {
    let transaction = container.file().begin_read()?;
    let progress = stored_progress(&transaction, container.numbers().container)?;
    {
        let mut view = container.view_mut();
        view.next_ordinal = view.next_ordinal.max(progress.next_ordinal);
        for (log, lsn) in &progress.lsns {
            let known = view.lsns.entry(*log).or_default();
            *known = (*known).max(*lsn);
        }
    }
    let table = transaction.open_table(container.log_table())?;
    // Ancestors before their descendants: ids rise with every split and merge.
    for log in container.partitions().logs() {
        let indexed = progress.indexed.get(&log).copied().unwrap_or(0);
        let (first, last) =
            (Pointer::first_after(log, indexed).encode(), Pointer::last_of(log, u64::MAX).encode());
        for entry in table.range::<&[u8]>(first.as_slice()..=last.as_slice())? {
            let (key, row) = entry?;
            let pointer = Pointer::decode(key.value())?;
            let row = Bytes::copy_from_slice(row.value());
            let item = Item::decode(container.numbers(), pointer, row)?;
            replay(container, &table, &item)?;
        }
    }
    Ok(progress)
}

fn replay(
    container: &Container,
    log: &impl ReadableTable<&'static [u8], &'static [u8]>,
    item: &Item,
) -> Result<(), StorageError> {
    let definition = container.definition();
    let mut changes = Entries::new();
    let mut dead = Vec::new();
    if let Some(previous) = item.header().previous {
        // A row that is gone took its index entries with it: see the order of steps in `flush`.
        if let Some(old) = load_row(log, container.numbers(), previous)? {
            changes.extend(removals(&definition, &old)?);
            dead.push(previous);
        }
    }
    if item.is_delete() {
        dead.push(item.pointer());
    } else {
        let terms = definition.terms(&item.document()?);
        changes.extend(insertions(&definition, &terms, item));
    }
    let pointer = item.pointer();
    let mut view = container.view_mut();
    view.publish(changes, &dead, &[(pointer.log, pointer.lsn)].into());
    view.next_ordinal = view.next_ordinal.max(item.ordinal() + 1);
    Ok(())
}

fn stored_progress(
    transaction: &ReadTransaction,
    container: u32,
) -> Result<Progress, StorageError> {
    let meta = transaction.open_table(META)?;
    match meta.get(Progress::key(container).as_str())? {
        None => Ok(Progress::default()),
        Some(json) => serde_json::from_slice(json.value())
            .map_err(|error| StorageError::Corrupt(format!("progress: {error}"))),
    }
}
