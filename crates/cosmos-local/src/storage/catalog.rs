//! Databases, containers and offers: what is stored of them and the table that holds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::container::{Container, Described, Host, Numbers};
use super::definition::ContainerDefinition;
use super::error::StorageError;
use super::topology::{StoredTopology, Topology};
use crate::rid;

/// Everything but items, as JSON by name.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const DATABASE_PREFIX: &str = "database/";
const CONTAINER_PREFIX: &str = "container/";
const OFFER_PREFIX: &str = "offer/";
const COUNTERS: &str = "counters";

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Database {
    /// Its id.
    pub(crate) id: String,
    /// Its number, which makes its resource id.
    pub(crate) number: u32,
    /// Unix seconds of its creation.
    pub(crate) ts: u64,
}

impl Database {
    /// `_rid`.
    pub(crate) fn rid(&self) -> String {
        rid::database_rid(self.number)
    }

    /// The entity tag, in its quotes.
    pub(crate) fn etag(&self) -> String {
        format!("\"{:08x}-0000-0000-0000-{:012x}\"", self.number, self.ts)
    }
}

/// Provisioned throughput.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Offer {
    /// This many request units per second.
    Manual(u32),
    /// Up to `max` request units per second.
    Autoscale {
        /// The upper limit.
        max: u32,
        /// By how many percent the limit rises by itself; kept and shown, without effect here.
        increment: Option<u32>,
    },
}

/// The offer of a database or container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OfferRecord {
    /// Its number, which makes its id.
    pub(crate) number: u32,
    /// Number of the owning database.
    pub(crate) database: u32,
    /// Number of the owning container; `None` when the database owns it.
    pub(crate) container: Option<u32>,
    /// The throughput.
    pub(crate) offer: Offer,
    /// Unix seconds of the last change.
    pub(crate) ts: u64,
    /// Counts the changes.
    pub(crate) generation: u64,
}

impl OfferRecord {
    /// The id, which is also `_rid`.
    pub(crate) fn id(&self) -> String {
        rid::offer_rid(self.number)
    }

    /// `_rid` of the owner.
    pub(crate) fn owner_rid(&self) -> String {
        match self.container {
            Some(container) => rid::container_rid(self.database, container),
            None => rid::database_rid(self.database),
        }
    }

    /// `_self` of the owner.
    pub(crate) fn resource_link(&self) -> String {
        let database = rid::database_rid(self.database);
        match self.container {
            Some(_) => format!("dbs/{database}/colls/{}/", self.owner_rid()),
            None => format!("dbs/{database}/"),
        }
    }

    /// The entity tag, in its quotes.
    pub(crate) fn etag(&self) -> String {
        format!("\"{:08x}-0000-0000-0000-{:012x}\"", self.number, self.generation)
    }
}

/// A container as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredContainer {
    database: u32,
    number: u32,
    definition: Value,
    generation: u64,
    ts: u64,
    topology: StoredTopology,
}

impl StoredContainer {
    pub(super) fn new(numbers: Numbers, described: &Described, topology: &Topology) -> Self {
        Self {
            database: numbers.database,
            number: numbers.container,
            definition: described.definition.document.clone(),
            generation: described.generation,
            ts: described.ts,
            topology: StoredTopology::from(topology),
        }
    }

    pub(super) fn load(self, catalog: &Catalog, host: &Host) -> Result<Container, StorageError> {
        let corrupt = |reason: String| {
            StorageError::Corrupt(format!("the definition of container {}: {reason}", self.number))
        };
        let definition = ContainerDefinition::parse(&self.definition)
            .map_err(|error| corrupt(error.to_string()))?;
        let database = catalog
            .databases
            .values()
            .find(|database| database.number == self.database)
            .ok_or_else(|| corrupt("its database is missing".to_owned()))?;
        let described = Described {
            definition: Arc::new(definition),
            generation: self.generation,
            ts: self.ts,
        };
        let numbers = Numbers { database: self.database, container: self.number };
        let topology = Topology::try_from(self.topology)?;
        Ok(Container::new(numbers, database.id.clone(), described, topology, host.clone()))
    }
}

/// The numbers to be given next; none is given twice, so that resource ids stay unique.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Counters {
    pub(super) database: u32,
    pub(super) container: u32,
    pub(super) offer: u32,
}

impl Default for Counters {
    fn default() -> Self {
        Self { database: 1, container: 1, offer: 1 }
    }
}

impl Counters {
    /// Makes the first generation of an offer, under a number of its own.
    pub(super) fn offer(
        &mut self,
        offer: Offer,
        database: u32,
        container: Option<u32>,
        ts: u64,
    ) -> OfferRecord {
        let number = self.offer;
        self.offer += 1;
        OfferRecord { number, database, container, offer, ts, generation: 1 }
    }
}

/// All databases, containers and offers.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) databases: BTreeMap<String, Arc<Database>>,
    pub(super) containers: BTreeMap<(String, String), Arc<Container>>,
    pub(super) offers: BTreeMap<u32, OfferRecord>,
    pub(super) counters: Counters,
}

impl Catalog {
    /// Reads the catalog of a file.
    pub(super) fn load(
        meta: &impl ReadableTable<&'static str, &'static [u8]>,
        host: &Host,
    ) -> Result<Self, StorageError> {
        let mut catalog = Self::default();
        if let Some(counters) = meta.get(COUNTERS)? {
            catalog.counters = parse(COUNTERS, counters.value())?;
        }
        for database in entries::<Database>(meta, DATABASE_PREFIX)? {
            catalog.databases.insert(database.id.clone(), Arc::new(database));
        }
        for stored in entries::<StoredContainer>(meta, CONTAINER_PREFIX)? {
            let container = Arc::new(stored.load(&catalog, host)?);
            let name = (container.database_id().to_owned(), container.id());
            catalog.containers.insert(name, container);
        }
        for offer in entries::<OfferRecord>(meta, OFFER_PREFIX)? {
            catalog.offers.insert(offer.number, offer);
        }
        Ok(catalog)
    }
}

/// A change of the catalog's table.
#[derive(Debug)]
pub(super) struct MetaWrite {
    name: String,
    json: Option<Vec<u8>>,
}

impl MetaWrite {
    pub(super) fn database(database: &Database) -> Result<Self, StorageError> {
        Self::put(format!("{DATABASE_PREFIX}{}", database.number), database)
    }

    pub(super) fn container(stored: &StoredContainer) -> Result<Self, StorageError> {
        Self::put(format!("{CONTAINER_PREFIX}{}", stored.number), stored)
    }

    pub(super) fn offer(offer: &OfferRecord) -> Result<Self, StorageError> {
        Self::put(format!("{OFFER_PREFIX}{}", offer.number), offer)
    }

    pub(super) fn counters(counters: &Counters) -> Result<Self, StorageError> {
        Self::put(COUNTERS.to_owned(), counters)
    }

    pub(super) fn remove_database(number: u32) -> Self {
        Self { name: format!("{DATABASE_PREFIX}{number}"), json: None }
    }

    pub(super) fn remove_container(number: u32) -> Self {
        Self { name: format!("{CONTAINER_PREFIX}{number}"), json: None }
    }

    pub(super) fn remove_offer(number: u32) -> Self {
        Self { name: format!("{OFFER_PREFIX}{number}"), json: None }
    }

    pub(super) fn remove(name: String) -> Self {
        Self { name, json: None }
    }

    fn put(name: String, value: &impl Serialize) -> Result<Self, StorageError> {
        let json = serde_json::to_vec(value)
            .map_err(|error| StorageError::Corrupt(format!("{name}: {error}")))?;
        Ok(Self { name, json: Some(json) })
    }

    pub(super) fn apply(&self, transaction: &redb::WriteTransaction) -> Result<(), StorageError> {
        let mut meta = transaction.open_table(META)?;
        match &self.json {
            Some(json) => {
                meta.insert(self.name.as_str(), json.as_slice())?;
            }
            None => {
                meta.remove(self.name.as_str())?;
            }
        }
        Ok(())
    }
}

fn entries<T: DeserializeOwned>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    prefix: &str,
) -> Result<Vec<T>, StorageError> {
    let mut out = Vec::new();
    for entry in meta.range(prefix..)? {
        let (name, json) = entry?;
        if !name.value().starts_with(prefix) {
            break;
        }
        out.push(parse(name.value(), json.value())?);
    }
    Ok(out)
}

fn parse<T: DeserializeOwned>(name: &str, json: &[u8]) -> Result<T, StorageError> {
    serde_json::from_slice(json).map_err(|error| StorageError::Corrupt(format!("{name}: {error}")))
}
