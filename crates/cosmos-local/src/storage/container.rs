//! A container: its definition, its partitions, and what is not yet in the file.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;

use super::definition::ContainerDefinition;
use super::encoding::{Pointer, item_key};
use super::error::StorageError;
use super::item::{Item, NewItem, PrepareError};
use super::memory::{KeyRange, Known, Run, View};
use super::operation::{Operation, Outcome};
use super::topology::Topology;
use super::writer::{WriteRequest, WriterHandle};
use crate::clock::Clock;
use crate::key::PartitionKey;
use crate::rid;

/// Numbers of a container and its database; they make its resource ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Numbers {
    /// Number of the database.
    pub(crate) database: u32,
    /// Number of the container, unique in the whole folder.
    pub(crate) container: u32,
}

/// The definition with what changes when it is replaced.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// The definition.
    pub(crate) definition: Arc<ContainerDefinition>,
    /// Counts the definitions that the container has had.
    pub(crate) generation: u64,
    /// Unix seconds of the last change.
    pub(crate) ts: u64,
}

/// A table of the storage file.
pub(super) type BytesTable<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// The log of a container, as a reader sees it.
pub(super) type BytesLog = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A container. Handles stay valid after a delete; their operations then answer `NotFound`.
#[derive(Debug)]
pub(crate) struct Container {
    numbers: Numbers,
    database: String,
    log_table: String,
    index_table: String,
    described: RwLock<Described>,
    topology: RwLock<Arc<Topology>>,
    view: RwLock<View>,
    host: Host,
}

/// What a container needs of its engine.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) file: Arc<redb::Database>,
    pub(super) writer: WriterHandle,
    pub(super) clock: Clock,
}

impl Container {
    pub(super) fn new(
        numbers: Numbers,
        database: String,
        described: Described,
        topology: Topology,
        host: Host,
    ) -> Self {
        let generation = described.generation;
        let mut view = View { next_ordinal: 1, generation, ..View::default() };
        for partition in &topology.partitions {
            view.lsns.insert(partition.id, partition.base_lsn);
        }
        Self {
            numbers,
            database,
            log_table: format!("log/{}", numbers.container),
            index_table: format!("index/{}", numbers.container),
            described: RwLock::new(described),
            topology: RwLock::new(Arc::new(topology)),
            view: RwLock::new(view),
            host,
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> String {
        self.definition().id.clone()
    }

    /// The id of its database.
    pub(crate) fn database_id(&self) -> &str {
        &self.database
    }

    /// The numbers that make its resource ids.
    pub(crate) fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// `_rid`.
    pub(crate) fn rid(&self) -> String {
        rid::container_rid(self.numbers.database, self.numbers.container)
    }

    /// The entity tag of the definition, in its quotes.
    pub(crate) fn etag(&self) -> String {
        let described = read(&self.described);
        format!("\"{:08x}-0000-0000-0000-{:012x}\"", self.numbers.container, described.generation)
    }

    /// Unix seconds of the last change of the definition.
    pub(crate) fn ts(&self) -> u64 {
        read(&self.described).ts
    }

    /// The definition.
    pub(crate) fn definition(&self) -> Arc<ContainerDefinition> {
        Arc::clone(&read(&self.described).definition)
    }

    /// The partitions as they are now.
    pub(crate) fn partitions(&self) -> Arc<Topology> {
        Arc::clone(&read(&self.topology))
    }

    /// The last visible LSN of a partition.
    pub(crate) fn lsn(&self, partition: u32) -> u64 {
        self.view().lsns.get(&partition).copied().unwrap_or(0)
    }

    /// Whether a filter on the scalar at `path` can use an index.
    pub(crate) fn can_index(&self, path: &[String]) -> bool {
        let definition = self.definition();
        definition.indexing.covers(path) || definition.unique_index(path).is_some()
    }

    /// Whether the index on `path` gives all items in the order of `ORDER BY`.
    pub(crate) fn can_order(&self, path: &[String]) -> bool {
        let definition = self.definition();
        definition.indexing.orders(path) && definition.unique_index(path).is_none()
    }

    /// Whether the index on `path` has equal values in the order of creation, as `ORDER BY` does. That
    /// of a unique key has them by partition key.
    pub(crate) fn sorts_ties(&self, path: &[String]) -> bool {
        self.definition().unique_index(path).is_none()
    }

    /// Checks a document and derives its key and index terms.
    ///
    /// # Errors
    /// What is wrong with the document.
    pub(crate) fn prepare(&self, document: Value) -> Result<NewItem, PrepareError> {
        let described = self.described();
        NewItem::prepare(document, &described.definition, described.generation)
    }

    /// Carries out the operations as one transaction; a point write is a transaction of one.
    ///
    /// # Cancel safety
    /// Once the request has been handed to the writer it is carried out, whether or not the caller waits.
    ///
    /// # Errors
    /// A failed operation is an [`Outcome`]; errors are about storage itself.
    pub(crate) async fn execute(
        self: &Arc<Self>,
        key: PartitionKey,
        operations: Vec<Operation>,
    ) -> Result<Outcome, StorageError> {
        let container = Arc::clone(self);
        self.host.writer.write(|reply| WriteRequest { container, key, operations, reply }).await
    }

    /// The item with this id, unless it has expired.
    ///
    /// # Errors
    /// Storage errors only; an absent item is `None`.
    pub(crate) fn read(&self, key: &PartitionKey, id: &str) -> Result<Option<Item>, StorageError> {
        let entry = item_key(key.epk(), &key.encode(), id);
        let (known, snapshot) = self.snapshot(|view| view.get(&entry))?;
        let pointer = match known {
            Known::At(pointer) => Some(pointer),
            Known::Gone => None,
            Known::Unknown => snapshot.lookup(&entry)?,
        };
        let item = pointer.map(|pointer| snapshot.load(pointer)).transpose()?.flatten();
        let default_ttl = self.definition().default_ttl;
        Ok(item.filter(|item| !item.is_expired(default_ttl, self.host.clock.unix_seconds())))
    }

    /// What `look` finds in memory, and the state of the file that belongs to it.
    pub(super) fn snapshot<T>(
        &self,
        look: impl FnOnce(&View) -> T,
    ) -> Result<(T, Snapshot<'_>), StorageError> {
        // Both under the lock: entries leave memory only after they are in the file.
        let view = self.view();
        let found = look(&view);
        let transaction = self.host.file.begin_read()?;
        drop(view);
        Ok((found, Snapshot { container: self, transaction }))
    }

    pub(super) fn described(&self) -> Described {
        read(&self.described).clone()
    }

    pub(super) fn set_described(&self, described: Described) {
        *write(&self.described) = described;
    }

    pub(super) fn set_topology(&self, topology: Topology) {
        *write(&self.topology) = Arc::new(topology);
    }

    pub(super) fn view(&self) -> RwLockReadGuard<'_, View> {
        read(&self.view)
    }

    pub(super) fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        write(&self.view)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.host.clock
    }

    pub(super) fn file(&self) -> &redb::Database {
        &self.host.file
    }

    pub(super) fn log_table(&self) -> BytesTable<'_> {
        TableDefinition::new(&self.log_table)
    }

    pub(super) fn index_table(&self) -> BytesTable<'_> {
        TableDefinition::new(&self.index_table)
    }
}

/// The state of the file at one moment.
pub(super) struct Snapshot<'a> {
    container: &'a Container,
    transaction: ReadTransaction,
}

impl Snapshot<'_> {
    /// Where the index in the file points.
    pub(super) fn lookup(&self, key: &[u8]) -> Result<Option<Pointer>, StorageError> {
        let table = self.transaction.open_table(self.container.index_table())?;
        table.get(key)?.map(|value| Pointer::decode(value.value())).transpose()
    }

    /// The row at `pointer`, if it is still there.
    pub(super) fn load(&self, pointer: Pointer) -> Result<Option<Item>, StorageError> {
        let table = self.log()?;
        load_row(&table, self.container.numbers, pointer)
    }

    /// The log of the container.
    pub(super) fn log(&self) -> Result<BytesLog, StorageError> {
        Ok(self.transaction.open_table(self.container.log_table())?)
    }

    /// About `limit` entries of the index in the file.
    pub(super) fn range(
        &self,
        bounds: &KeyRange,
        descending: bool,
        limit: usize,
    ) -> Result<Run, StorageError> {
        let Some(bounds) = bounds.as_slices() else {
            return Ok(Run { changes: Vec::new(), complete: true });
        };
        let table = self.transaction.open_table(self.container.index_table())?;
        let mut range = table.range::<&[u8]>(bounds)?;
        let mut changes = Vec::new();
        while changes.len() < limit {
            let next = if descending { range.next_back() } else { range.next() };
            let Some(entry) = next else { break };
            let (key, value) = entry?;
            changes.push((key.value().to_vec(), Some(Pointer::decode(value.value())?)));
        }
        Ok(Run { complete: changes.len() < limit, changes })
    }
}

/// The row at `pointer` of a log table, if it is there.
pub(super) fn load_row(
    log: &impl ReadableTable<&'static [u8], &'static [u8]>,
    numbers: Numbers,
    pointer: Pointer,
) -> Result<Option<Item>, StorageError> {
    let key = pointer.encode();
    let row = log.get(key.as_slice())?.map(|row| Bytes::copy_from_slice(row.value()));
    row.map(|row| Item::decode(numbers, pointer, row)).transpose()
}

/// A panic while a lock is held leaves plain data behind it: the value is still whole.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
