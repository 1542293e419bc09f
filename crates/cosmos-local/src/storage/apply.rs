//! Transactions: what the operations of one request do to a container.
//!
//! [`Staging`] is the state of one container within one group of requests that share a durable commit.
//! A request works on a [`Draft`] of its own, which is dropped whole when one of its operations fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use redb::{ReadableTable, Table, WriteTransaction};

use super::container::{Container, load_row};
use super::definition::ContainerDefinition;
use super::encoding::{Pointer, expiry_key, item_key, path_key, unique_key};
use super::error::StorageError;
use super::item::{Item, NewItem, RowHeader, Terms, encode_row};
use super::memory::{Change, Entries, Known};
use super::operation::{Condition, OpFailure, OpResult, Operation, Outcome};
use crate::key::{Epk, PartitionKey};

type BytesTable<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

/// One container within one group of requests.
pub(super) struct Staging<'txn> {
    pub(super) container: Arc<Container>,
    pub(super) log: BytesTable<'txn>,
    pub(super) index: BytesTable<'txn>,
    /// Index changes of the group so far.
    pub(super) changes: Entries,
    /// Rows that the group made superfluous.
    pub(super) dead: Vec<Pointer>,
    pub(super) lsns: BTreeMap<u32, u64>,
    pub(super) next_ordinal: u64,
    /// Rows that the group wrote.
    pub(super) rows: u64,
}

/// What a group wrote to one container.
pub(super) struct Staged {
    container: Arc<Container>,
    changes: Entries,
    dead: Vec<Pointer>,
    lsns: BTreeMap<u32, u64>,
    next_ordinal: u64,
}

impl Staged {
    /// Makes it visible to readers.
    pub(super) fn publish(self) {
        let mut view = self.container.view_mut();
        view.publish(self.changes, &self.dead, &self.lsns);
        view.next_ordinal = self.next_ordinal;
    }
}

/// One request within a group.
struct Draft {
    log: u32,
    lsn: u64,
    next_ordinal: u64,
    changes: Entries,
    rows: Vec<(Pointer, Bytes)>,
    dead: Vec<Pointer>,
}

/// Everything the operations of one request have in common.
struct Scope {
    definition: Arc<ContainerDefinition>,
    generation: u64,
    key: Vec<u8>,
    epk: Epk,
    /// Unix seconds.
    now: u32,
}

impl<'txn> Staging<'txn> {
    pub(super) fn open(
        transaction: &'txn WriteTransaction,
        container: Arc<Container>,
    ) -> Result<Self, StorageError> {
        let log = transaction.open_table(container.log_table())?;
        let index = transaction.open_table(container.index_table())?;
        let (lsns, next_ordinal) = {
            let view = container.view();
            (view.lsns.clone(), view.next_ordinal)
        };
        Ok(Self {
            container,
            log,
            index,
            changes: Entries::new(),
            dead: Vec::new(),
            lsns,
            next_ordinal,
            rows: 0,
        })
    }

    /// Carries out one request: all of its operations or none.
    pub(super) fn execute(
        &mut self,
        key: &PartitionKey,
        operations: Vec<Operation>,
        now: u32,
    ) -> Result<Outcome, StorageError> {
        let described = self.container.described();
        let epk = key.epk();
        let scope = Scope {
            definition: described.definition,
            generation: described.generation,
            key: key.encode(),
            epk,
            now,
        };
        let topology = self.container.partitions();
        let partition = topology.serving(epk)?.id;
        let current = self.lsns.get(&partition).copied().unwrap_or(0);
        let mut draft = Draft {
            log: partition,
            lsn: current + 1,
            next_ordinal: self.next_ordinal,
            changes: Entries::new(),
            rows: Vec::new(),
            dead: Vec::new(),
        };
        let mut results = Vec::with_capacity(operations.len());
        for (at, operation) in operations.into_iter().enumerate() {
            match self.apply(&mut draft, &scope, operation)? {
                Ok(result) => results.push(result),
                Err(failure) => {
                    return Ok(Outcome::Failed { at, failure, partition, lsn: current });
                }
            }
        }
        let lsn = if draft.rows.is_empty() { current } else { draft.lsn };
        self.accept(draft)?;
        Ok(Outcome::Committed { lsn, partition, results })
    }

    /// Lets go of the tables; what is left is made visible after the commit.
    pub(super) fn close(self) -> Staged {
        let Self { container, changes, dead, lsns, next_ordinal, .. } = self;
        Staged { container, changes, dead, lsns, next_ordinal }
    }

    fn accept(&mut self, draft: Draft) -> Result<(), StorageError> {
        if draft.rows.is_empty() {
            return Ok(());
        }
        for (pointer, row) in &draft.rows {
            self.log.insert(pointer.encode().as_slice(), row.as_ref())?;
            self.rows += 1;
        }
        self.changes.extend(draft.changes);
        self.dead.extend(draft.dead);
        self.lsns.insert(draft.log, draft.lsn);
        self.next_ordinal = draft.next_ordinal;
        Ok(())
    }

    fn apply(
        &self,
        draft: &mut Draft,
        scope: &Scope,
        operation: Operation,
    ) -> Result<Result<OpResult, OpFailure>, StorageError> {
        match operation {
            Operation::Create(item) => match self.current(draft, scope, &item.id)? {
                Found::Item(_) => Ok(Err(OpFailure::Conflict)),
                found => self.put(draft, scope, item, &found),
            },
            Operation::Upsert(item, condition) => {
                let found = self.current(draft, scope, &item.id)?;
                if found.item().is_some_and(|item| !condition.met_by(&item.etag())) {
                    return Ok(Err(OpFailure::PreconditionFailed));
                }
                self.put(draft, scope, item, &found)
            }
            Operation::Replace(item, condition) => match self.current(draft, scope, &item.id)? {
                Found::Item(old) if !condition.met_by(&old.etag()) => {
                    Ok(Err(OpFailure::PreconditionFailed))
                }
                found @ Found::Item(_) => self.put(draft, scope, item, &found),
                _ => Ok(Err(OpFailure::NotFound)),
            },
            Operation::Delete(id, condition) => match self.current(draft, scope, &id)? {
                Found::Item(old) if !condition.met_by(&old.etag()) => {
                    Ok(Err(OpFailure::PreconditionFailed))
                }
                Found::Item(old) => {
                    Self::delete(draft, scope, &old)?;
                    Ok(Ok(OpResult::Deleted))
                }
                _ => Ok(Err(OpFailure::NotFound)),
            },
            Operation::Read(id, condition) => {
                let Found::Item(item) = self.current(draft, scope, &id)? else {
                    return Ok(Err(OpFailure::NotFound));
                };
                let etag = item.etag();
                Ok(match (&condition, condition.met_by(&etag)) {
                    (_, true) => Ok(OpResult::Read(*item)),
                    (Condition::IfNoneMatch(_), false) => Ok(OpResult::NotModified(etag)),
                    (_, false) => Err(OpFailure::PreconditionFailed),
                })
            }
        }
    }

    /// Writes a row for `item` in the place of what was found.
    fn put(
        &self,
        draft: &mut Draft,
        scope: &Scope,
        item: NewItem,
        found: &Found,
    ) -> Result<Result<OpResult, OpFailure>, StorageError> {
        if item.key.encode() != scope.key {
            return Ok(Err(OpFailure::KeyMismatch));
        }
        let terms = if item.generation == scope.generation {
            item.terms
        } else {
            let document = serde_json::from_slice(&item.body)
                .map_err(|_| StorageError::Corrupt("an item is not JSON".to_owned()))?;
            scope.definition.terms(&document)
        };
        let replaced = found.row().map(Item::pointer);
        if !self.claim_unique(draft, scope, &terms, replaced)? {
            return Ok(Err(OpFailure::UniqueConflict));
        }
        let ordinal = if let Some(old) = found.item() {
            old.ordinal()
        } else {
            draft.next_ordinal += 1;
            draft.next_ordinal - 1
        };
        let header =
            RowHeader { ordinal, ts: scope.now, ttl: item.ttl, epk: scope.epk, previous: replaced };
        let stored = self.write(draft, scope, header, &item.id, Some(&item.body))?;
        if let Some(old) = found.row() {
            draft.changes.extend(removals(&scope.definition, old)?);
            draft.dead.push(old.pointer());
        }
        draft.changes.extend(insertions(&scope.definition, &terms, &stored));
        Ok(Ok(match found {
            Found::Item(_) => OpResult::Replaced(stored),
            _ => OpResult::Created(stored),
        }))
    }

    fn write(
        &self,
        draft: &mut Draft,
        scope: &Scope,
        header: RowHeader,
        id: &str,
        body: Option<&[u8]>,
    ) -> Result<Item, StorageError> {
        let row = Bytes::from(encode_row(&header, &scope.key, id, body));
        let pointer = draft.place(row.clone())?;
        Item::decode(self.container.numbers(), pointer, row)
    }

    fn delete(draft: &mut Draft, scope: &Scope, old: &Item) -> Result<(), StorageError> {
        let header =
            RowHeader { ts: scope.now, ttl: 0, previous: Some(old.pointer()), ..*old.header() };
        let row = encode_row(&header, old.key_bytes(), old.id(), None);
        let pointer = draft.place(Bytes::from(row))?;
        draft.changes.extend(removals(&scope.definition, old)?);
        // The row of the delete is needed only to find the delete again after a crash.
        draft.dead.extend([old.pointer(), pointer]);
        Ok(())
    }

    /// Removes an expired item, if it is still the one at `pointer`; for the sweep.
    pub(super) fn expire(&mut self, pointer: Pointer, now: u32) -> Result<bool, StorageError> {
        let Some(old) = self.load(None, pointer)? else { return Ok(false) };
        let described = self.container.described();
        let expired = old.is_expired(described.definition.default_ttl, u64::from(now));
        let entry = item_key(old.epk(), old.key_bytes(), old.id());
        if !expired || self.lookup(None, &entry)? != Some(pointer) {
            return Ok(false);
        }
        let log = self.container.partitions().serving(old.epk())?.id;
        let lsn = self.lsns.get(&log).copied().unwrap_or(0) + 1;
        let mut draft = Draft {
            log,
            lsn,
            next_ordinal: self.next_ordinal,
            changes: Entries::new(),
            rows: Vec::new(),
            dead: Vec::new(),
        };
        let scope = Scope {
            definition: described.definition,
            generation: described.generation,
            key: old.key_bytes().to_vec(),
            epk: old.epk(),
            now,
        };
        Self::delete(&mut draft, &scope, &old)?;
        self.accept(draft)?;
        Ok(true)
    }

    /// Whether the unique values are free, or only taken by the row that is `replaced`. An expired item
    /// that has one of them is deleted: its removal later on would take the new item's entry along.
    fn claim_unique(
        &self,
        draft: &mut Draft,
        scope: &Scope,
        terms: &Terms,
        replaced: Option<Pointer>,
    ) -> Result<bool, StorageError> {
        for (number, values) in (0_u8..).zip(&terms.unique) {
            let entry = unique_key(number, values, scope.epk, &scope.key);
            let Some(other) = self.lookup(Some(draft), &entry)? else { continue };
            if replaced == Some(other) {
                continue;
            }
            let Some(other) = self.load(Some(draft), other)? else { continue };
            if !other.is_expired(scope.definition.default_ttl, u64::from(scope.now)) {
                return Ok(false);
            }
            Self::delete(draft, scope, &other)?;
        }
        Ok(true)
    }

    /// What is at `id` as the group and the request have left it.
    fn current(&self, draft: &Draft, scope: &Scope, id: &str) -> Result<Found, StorageError> {
        let entry = item_key(scope.epk, &scope.key, id);
        let Some(pointer) = self.lookup(Some(draft), &entry)? else { return Ok(Found::Nothing) };
        let Some(item) = self.load(Some(draft), pointer)? else {
            return Err(StorageError::Corrupt("an index entry points to no row".to_owned()));
        };
        let item = Box::new(item);
        Ok(if item.is_expired(scope.definition.default_ttl, u64::from(scope.now)) {
            Found::Expired(item)
        } else {
            Found::Item(item)
        })
    }

    fn lookup(&self, draft: Option<&Draft>, key: &[u8]) -> Result<Option<Pointer>, StorageError> {
        let drafted = draft.map_or(Known::Unknown, |draft| Known::of(draft.changes.get(key)));
        let staged = || Known::of(self.changes.get(key));
        let visible = || self.container.view().get(key);
        let layers: [&dyn Fn() -> Known; 3] = [&|| drafted, &staged, &visible];
        for layer in layers {
            match layer() {
                Known::At(pointer) => return Ok(Some(pointer)),
                Known::Gone => return Ok(None),
                Known::Unknown => {}
            }
        }
        self.index.get(key)?.map(|value| Pointer::decode(value.value())).transpose()
    }

    fn load(&self, draft: Option<&Draft>, pointer: Pointer) -> Result<Option<Item>, StorageError> {
        let drafted = draft.and_then(|draft| draft.rows.iter().find(|(at, _)| *at == pointer));
        match drafted {
            Some((_, row)) => {
                Item::decode(self.container.numbers(), pointer, row.clone()).map(Some)
            }
            None => load_row(&self.log, self.container.numbers(), pointer),
        }
    }
}

impl Draft {
    fn place(&mut self, row: Bytes) -> Result<Pointer, StorageError> {
        let place = u16::try_from(self.rows.len())
            .map_err(|_| StorageError::Invalid("too many operations".to_owned()))?;
        let pointer = Pointer { log: self.log, lsn: self.lsn, place };
        self.rows.push((pointer, row));
        Ok(pointer)
    }
}

/// What stands at an id.
enum Found {
    Nothing,
    /// An item whose time is up and which the sweep has not reached: as good as nothing.
    Expired(Box<Item>),
    Item(Box<Item>),
}

impl Found {
    fn item(&self) -> Option<&Item> {
        match self {
            Self::Item(item) => Some(item),
            _ => None,
        }
    }

    fn row(&self) -> Option<&Item> {
        match self {
            Self::Item(item) | Self::Expired(item) => Some(item),
            Self::Nothing => None,
        }
    }
}

/// The index entries of an item.
pub(super) fn insertions(
    definition: &ContainerDefinition,
    terms: &Terms,
    item: &Item,
) -> Vec<Change> {
    let pointer = Some(item.pointer());
    keys_of(definition, terms, item).into_iter().map(|key| (key, pointer)).collect()
}

/// The removal of the index entries of an item.
pub(super) fn removals(
    definition: &ContainerDefinition,
    item: &Item,
) -> Result<Vec<Change>, StorageError> {
    let terms = definition.terms(&item.document()?);
    Ok(keys_of(definition, &terms, item).into_iter().map(|key| (key, None)).collect())
}

fn keys_of(definition: &ContainerDefinition, terms: &Terms, item: &Item) -> Vec<Vec<u8>> {
    let (epk, key) = (item.epk(), item.key_bytes());
    let mut out = Vec::with_capacity(2 + terms.unique.len() + terms.paths.len());
    out.push(item_key(epk, key, item.id()));
    for (number, values) in (0_u8..).zip(&terms.unique) {
        out.push(unique_key(number, values, epk, key));
    }
    for term in &terms.paths {
        out.push(path_key(term, &[], item.ordinal()));
    }
    if let Some(at) = item.expires_at(definition.default_ttl) {
        out.push(expiry_key(at, item.pointer()));
    }
    out
}
