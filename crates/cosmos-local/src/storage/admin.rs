//! Changes of the catalog: databases, containers, offers, splits and merges, and the sweep of expired items.
//!
//! Each runs on the writer's thread between two group commits, so it sees a store at rest.

use std::ops::Bound;
use std::sync::Arc;

use redb::{ReadableTable, WriteTransaction};

use super::apply::insertions;
use super::catalog::{Catalog, Database, MetaWrite, Offer, OfferRecord, StoredContainer};
use super::container::{Container, Described, Numbers, load_row};
use super::definition::ContainerDefinition;
use super::encoding::{Family, Pointer, after_prefix};
use super::engine::{Engine, Shared};
use super::error::StorageError;
use super::flush::Progress;
use super::memory::KeyRange;
use super::topology::Topology;
use super::writer::Writer;
use crate::key::Epk;

/// Expired items that one commit removes: bounds how long a writer waits for the sweep.
const SWEEP_MAX: usize = 500;

impl Engine {
    /// Makes a database.
    ///
    /// # Errors
    /// `Exists`.
    pub(crate) async fn create_database(
        &self,
        id: &str,
        offer: Option<Offer>,
    ) -> Result<Arc<Database>, StorageError> {
        let (shared, id) = (Arc::clone(&self.shared), id.to_owned());
        self.exclusive(move |writer| {
            let mut counters = {
                let catalog = shared.catalog();
                if catalog.databases.contains_key(&id) {
                    return Err(StorageError::Exists);
                }
                catalog.counters.clone()
            };
            let ts = u64::from(writer.now());
            let database = Arc::new(Database { id: id.clone(), number: counters.database, ts });
            counters.database += 1;
            let offer = offer.map(|offer| counters.offer(offer, database.number, None, ts));
            let mut writes = vec![MetaWrite::database(&database)?, MetaWrite::counters(&counters)?];
            if let Some(offer) = &offer {
                writes.push(MetaWrite::offer(offer)?);
            }
            writer.transaction(|transaction| apply_all(&writes, transaction))?;
            let mut catalog = shared.catalog_mut();
            catalog.counters = counters;
            catalog.databases.insert(id, Arc::clone(&database));
            catalog.offers.extend(offer.map(|offer| (offer.number, offer)));
            Ok(database)
        })
        .await
    }

    /// Removes a database with all of its containers.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn delete_database(&self, id: &str) -> Result<(), StorageError> {
        let (shared, id) = (Arc::clone(&self.shared), id.to_owned());
        self.exclusive(move |writer| {
            let (database, containers) = {
                let catalog = shared.catalog();
                let database = catalog.databases.get(&id).cloned().ok_or(StorageError::NotFound)?;
                let owned = catalog.containers.iter().filter(|((owner, _), _)| *owner == id);
                let containers: Vec<_> =
                    owned.map(|(_, container)| Arc::clone(container)).collect();
                (database, containers)
            };
            let offers = offers_of(&shared.catalog(), |offer| offer.database == database.number);
            writer.transaction(|transaction| {
                for container in &containers {
                    drop_tables(transaction, container)?;
                }
                MetaWrite::remove_database(database.number).apply(transaction)?;
                apply_all(&offers, transaction)
            })?;
            let mut catalog = shared.catalog_mut();
            catalog.databases.remove(&id);
            catalog.offers.retain(|_, offer| offer.database != database.number);
            for container in containers {
                writer.forget(container.numbers().container);
                catalog.containers.remove(&(id.clone(), container.id()));
            }
            Ok(())
        })
        .await
    }

    /// Makes a container with this many physical partitions.
    ///
    /// # Errors
    /// `Exists`; `NotFound` when there is no such database.
    pub(crate) async fn create_container(
        &self,
        database: &str,
        definition: ContainerDefinition,
        offer: Option<Offer>,
        partitions: u32,
    ) -> Result<Arc<Container>, StorageError> {
        let (shared, database) = (Arc::clone(&self.shared), database.to_owned());
        self.exclusive(move |writer| {
            create_container(&shared, writer, &database, definition, offer, partitions)
        })
        .await
    }

    /// Replaces the definition of a container; what the new one indexes is indexed before this returns.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` when it changes what never changes.
    pub(crate) async fn replace_container(
        &self,
        database: &str,
        definition: ContainerDefinition,
    ) -> Result<Arc<Container>, StorageError> {
        let container = self.container(database, &definition.id).ok_or(StorageError::NotFound)?;
        self.exclusive(move |writer| {
            writer.check_present(&container)?;
            let before = container.described();
            if before.definition.partition_key_path != definition.partition_key_path {
                return Err(StorageError::Invalid(
                    "the partition key cannot be changed".to_owned(),
                ));
            }
            if before.definition.unique_keys != definition.unique_keys {
                return Err(StorageError::Invalid("the unique keys cannot be changed".to_owned()));
            }
            // The tail of the log must be indexed by the definition that it was written under.
            writer.flush_all()?;
            let described = Described {
                definition: Arc::new(definition),
                generation: before.generation + 1,
                ts: u64::from(writer.now()),
            };
            let stored =
                StoredContainer::new(container.numbers(), &described, &container.partitions());
            let stored = MetaWrite::container(&stored)?;
            writer.transaction(|transaction| {
                stored.apply(transaction)?;
                reindex(transaction, &container, &described.definition)?;
                // Before the commit, so that no walk takes the new index for the one it began with.
                container.view_mut().generation = described.generation;
                Ok(())
            })?;
            container.set_described(described);
            Ok(container)
        })
        .await
    }

    /// Removes a container.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn delete_container(
        &self,
        database: &str,
        id: &str,
    ) -> Result<(), StorageError> {
        let shared = Arc::clone(&self.shared);
        let name = (database.to_owned(), id.to_owned());
        self.exclusive(move |writer| {
            let container =
                shared.catalog().containers.get(&name).cloned().ok_or(StorageError::NotFound)?;
            let number = container.numbers().container;
            let offers = offers_of(&shared.catalog(), |offer| offer.container == Some(number));
            writer.transaction(|transaction| {
                drop_tables(transaction, &container)?;
                apply_all(&offers, transaction)
            })?;
            writer.forget(number);
            let mut catalog = shared.catalog_mut();
            catalog.containers.remove(&name);
            catalog.offers.retain(|_, offer| offer.container != Some(number));
            Ok(())
        })
        .await
    }

    /// Changes provisioned throughput.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn replace_offer(
        &self,
        id: &str,
        offer: Offer,
    ) -> Result<OfferRecord, StorageError> {
        let (shared, id) = (Arc::clone(&self.shared), id.to_owned());
        self.exclusive(move |writer| {
            let found = shared.catalog().offers.values().find(|offer| offer.id() == id).cloned();
            let mut record = found.ok_or(StorageError::NotFound)?;
            record.offer = offer;
            record.ts = u64::from(writer.now());
            record.generation += 1;
            let write = MetaWrite::offer(&record)?;
            writer.transaction(|transaction| write.apply(transaction))?;
            shared.catalog_mut().offers.insert(record.number, record.clone());
            Ok(record)
        })
        .await
    }

    /// Splits a physical partition at a key, or in the middle of its range.
    ///
    /// # Errors
    /// `NotFound`, `Gone`, or `Invalid` when the key is not inside the range.
    pub(crate) async fn split(
        &self,
        database: &str,
        container: &str,
        partition: u32,
        at: Option<Epk>,
    ) -> Result<(), StorageError> {
        let container = self.container(database, container).ok_or(StorageError::NotFound)?;
        self.exclusive(move |writer| {
            writer.check_present(&container)?;
            let next = container.partitions().split(partition, at, container.lsn(partition))?;
            set_topology(writer, &container, next)
        })
        .await
    }

    /// Merges two neighbouring physical partitions.
    ///
    /// # Errors
    /// `NotFound`, `Gone`, or `Invalid` when they are not neighbours.
    pub(crate) async fn merge(
        &self,
        database: &str,
        container: &str,
        left: u32,
        right: u32,
    ) -> Result<(), StorageError> {
        let container = self.container(database, container).ok_or(StorageError::NotFound)?;
        self.exclusive(move |writer| {
            writer.check_present(&container)?;
            let lsn = container.lsn(left).max(container.lsn(right));
            let next = container.partitions().merge(left, right, lsn)?;
            set_topology(writer, &container, next)
        })
        .await
    }

    /// Removes the items that have expired; gives their number.
    ///
    /// # Errors
    /// Storage errors only.
    pub(crate) async fn sweep(&self) -> Result<u64, StorageError> {
        let containers: Vec<_> = self.shared.catalog().containers.values().cloned().collect();
        let mut removed = 0;
        for container in containers {
            if container.definition().default_ttl.is_none() {
                continue;
            }
            loop {
                let container = Arc::clone(&container);
                let batch = self.exclusive(move |writer| sweep(writer, &container)).await;
                match batch {
                    Ok(0) | Err(StorageError::NotFound) => break,
                    Ok(batch) => removed += batch,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(removed)
    }

    async fn exclusive<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.shared.host.writer.exclusive(work).await
    }
}

fn create_container(
    shared: &Shared,
    writer: &mut Writer,
    database: &str,
    definition: ContainerDefinition,
    offer: Option<Offer>,
    partitions: u32,
) -> Result<Arc<Container>, StorageError> {
    let name = (database.to_owned(), definition.id.clone());
    let (owner, mut counters) = {
        let catalog = shared.catalog();
        let owner = catalog.databases.get(database).cloned().ok_or(StorageError::NotFound)?;
        if catalog.containers.contains_key(&name) {
            return Err(StorageError::Exists);
        }
        (owner, catalog.counters.clone())
    };
    let ts = u64::from(writer.now());
    let numbers = Numbers { database: owner.number, container: counters.container };
    counters.container += 1;
    let offer =
        offer.map(|offer| counters.offer(offer, numbers.database, Some(numbers.container), ts));
    let described = Described { definition: Arc::new(definition), generation: 1, ts };
    let topology = Topology::new(partitions);
    let mut writes = vec![
        MetaWrite::container(&StoredContainer::new(numbers, &described, &topology))?,
        MetaWrite::counters(&counters)?,
    ];
    if let Some(offer) = &offer {
        writes.push(MetaWrite::offer(offer)?);
    }
    let host = shared.host.clone();
    let container =
        Arc::new(Container::new(numbers, database.to_owned(), described, topology, host));
    writer.transaction(|transaction| {
        transaction.open_table(container.log_table())?;
        transaction.open_table(container.index_table())?;
        apply_all(&writes, transaction)
    })?;
    writer.adopt(Arc::clone(&container), std::collections::BTreeMap::new());
    let mut catalog = shared.catalog_mut();
    catalog.counters = counters;
    catalog.containers.insert(name, Arc::clone(&container));
    catalog.offers.extend(offer.map(|offer| (offer.number, offer)));
    Ok(container)
}

fn apply_all(writes: &[MetaWrite], transaction: &WriteTransaction) -> Result<(), StorageError> {
    writes.iter().try_for_each(|write| write.apply(transaction))
}

fn offers_of(catalog: &Catalog, owned: impl Fn(&OfferRecord) -> bool) -> Vec<MetaWrite> {
    let owned = catalog.offers.values().filter(|offer| owned(offer));
    owned.map(|offer| MetaWrite::remove_offer(offer.number)).collect()
}

fn drop_tables(transaction: &WriteTransaction, container: &Container) -> Result<(), StorageError> {
    let number = container.numbers().container;
    transaction.delete_table(container.log_table())?;
    transaction.delete_table(container.index_table())?;
    MetaWrite::remove_container(number).apply(transaction)?;
    MetaWrite::remove(Progress::key(number)).apply(transaction)
}

fn set_topology(
    writer: &mut Writer,
    container: &Container,
    topology: Topology,
) -> Result<(), StorageError> {
    let stored = StoredContainer::new(container.numbers(), &container.described(), &topology);
    let write = MetaWrite::container(&stored)?;
    writer.transaction(|transaction| write.apply(transaction))?;
    let mut view = container.view_mut();
    for partition in &topology.partitions {
        view.lsns.entry(partition.id).or_insert(partition.base_lsn);
    }
    drop(view);
    container.set_topology(topology);
    Ok(())
}

/// Builds the path and expiry entries of all items anew. The layer in memory is empty at this point.
fn reindex(
    transaction: &WriteTransaction,
    container: &Container,
    definition: &ContainerDefinition,
) -> Result<(), StorageError> {
    let log = transaction.open_table(container.log_table())?;
    let mut index = transaction.open_table(container.index_table())?;
    for family in [Family::Path, Family::Expiry] {
        let (first, end) = ([family.byte()], after_prefix(&[family.byte()]));
        index.retain_in::<&[u8], _>(first.as_slice()..end.as_slice(), |_, _| false)?;
    }
    let mut pointers = Vec::new();
    let (first, end) = ([Family::Key.byte()], after_prefix(&[Family::Key.byte()]));
    for entry in index.range::<&[u8]>(first.as_slice()..end.as_slice())? {
        pointers.push(Pointer::decode(entry?.1.value())?);
    }
    for pointer in pointers {
        let Some(item) = load_row(&log, container.numbers(), pointer)? else { continue };
        let terms = definition.terms(&item.document()?);
        for (key, pointer) in insertions(definition, &terms, &item) {
            if let Some(pointer) = pointer {
                index.insert(key.as_slice(), pointer.encode().as_slice())?;
            }
        }
    }
    Ok(())
}

fn sweep(writer: &mut Writer, container: &Arc<Container>) -> Result<u64, StorageError> {
    let now = writer.now();
    let mut end = vec![Family::Expiry.byte()];
    end.extend_from_slice(&now.saturating_add(1).to_be_bytes());
    let mut bounds = KeyRange {
        lower: Bound::Included(vec![Family::Expiry.byte()]),
        upper: Bound::Excluded(end),
    };
    let due = loop {
        let (memory, snapshot) =
            container.snapshot(|view| view.range(&bounds, false, SWEEP_MAX))?;
        let run = memory.over(snapshot.range(&bounds, false, SWEEP_MAX)?, false);
        let last = run.changes.last().map(|(key, _)| key.clone());
        let due: Vec<_> = run.changes.into_iter().filter_map(|(_, pointer)| pointer).collect();
        match last {
            // All of this stretch has been removed already, and the file does not know it yet.
            Some(last) if due.is_empty() && !run.complete => bounds.lower = Bound::Excluded(last),
            _ => break due,
        }
    };
    if due.is_empty() {
        return Ok(0);
    }
    writer.group_commit(|stagings| {
        let staging = stagings.of(container)?;
        let mut removed = 0;
        for pointer in due {
            removed += u64::from(staging.expire(pointer, now)?);
        }
        Ok(removed)
    })
}
