//! The documents of a processor in the leases container.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use azure_data_cosmos::{
    ContainerClient, CosmosError, FeedScope, Query, TransactionalBatch,
    models::TransactionalBatchOperationResult,
    options::{BatchDeleteOptions, BatchOptions, BatchReplaceOptions, Precondition, QueryOptions},
};
use futures::{FutureExt as _, future::BoxFuture};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::connection::{Fault, Purpose, open};
use crate::{
    config::StoreOptions,
    cosmos::{answer_was_lost, may_be_carried_out, status_of},
    feed::{
        Done, LeaseStore, OPERATIONS_MAX, Operation, StoreFault,
        documents::{Document, SCHEMA, Stored, TOPOLOGY_ID},
    },
};

/// The lease store of one processor in a container of Cosmos DB.
///
/// The container has the partition key `/processor`; all documents of the processor are in one logical
/// partition of it.
///
/// The SDK repeats a commit by itself when its answer was lost. When the repeated one finds the traces of
/// the first, that is no conflict: such a commit ends as [`StoreFault::Unavailable`].
#[derive(Clone)]
pub struct CosmosLeases {
    container: ContainerClient,
    processor: String,
    charge: Arc<Charge>,
}

/// The request charge of what was done, in RU.
#[derive(Debug, Default)]
struct Charge(Mutex<f64>);

impl Charge {
    fn add(&self, charge: f64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += charge;
    }

    fn read(&self) -> f64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for CosmosLeases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CosmosLeases").field("processor", &self.processor).finish_non_exhaustive()
    }
}

/// A document as it is stored.
#[derive(Debug, Serialize)]
struct Written<'a> {
    id: String,
    processor: &'a str,
    schema: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(flatten)]
    document: &'a Document,
}

/// What stands around a document.
#[derive(Debug, Deserialize)]
struct Envelope {
    id: String,
    #[serde(default)]
    schema: serde_json::Value,
    #[serde(rename = "_etag")]
    etag: String,
    #[serde(rename = "_ts")]
    stored_at: u64,
}

/// Whose document it is.
#[derive(Debug, Deserialize)]
struct Named {
    processor: String,
}

/// When a document was stored.
#[derive(Debug, Deserialize)]
struct Stamp {
    #[serde(rename = "_ts")]
    stored_at: u64,
}

impl CosmosLeases {
    /// Opens the documents of a processor. A few requests: the account, the container. The container is
    /// not made; `provision` does that.
    ///
    /// # Errors
    ///
    /// [`StoreFault::Unavailable`] and [`StoreFault::Refused`].
    pub async fn open(
        options: &StoreOptions,
        container: &str,
        processor: &str,
    ) -> Result<Self, StoreFault> {
        let opened = Box::pin(open(options, container, Purpose::Leases)).await;
        let (container, processor) = (opened.map_err(fault)?, processor.to_owned());
        Ok(Self { container, processor, charge: Arc::default() })
    }

    /// Opens the documents of every processor in a container, by name. A few requests, and a query over all
    /// partitions of the container.
    ///
    /// # Errors
    ///
    /// [`StoreFault::Unavailable`] and [`StoreFault::Refused`].
    pub async fn processors(
        options: &StoreOptions,
        container: &str,
    ) -> Result<Vec<Self>, StoreFault> {
        // Any name will do: the documents of others are read over the same connection.
        Box::pin(Self::open(options, container, container)).await?.siblings().await
    }

    /// The documents of every processor in the same container, by name, over the same connection. A query over
    /// all partitions of the container.
    ///
    /// # Errors
    ///
    /// [`StoreFault::Unavailable`] and [`StoreFault::Refused`].
    pub async fn siblings(&self) -> Result<Vec<Self>, StoreFault> {
        let query = Query::from("SELECT c.processor FROM c WHERE c.id = @id");
        let query = query.with_parameter("@id", TOPOLOGY_ID);
        let query = query.map_err(|error| fault(Fault::of(&error)))?;
        let options = QueryOptions::default().with_operation_options(Purpose::Leases.options());
        let scope = FeedScope::full_container();
        let starting = self.container.query_items::<Named>(query, scope, Some(options));
        let items = Purpose::Leases.within(Box::pin(starting)).await.map_err(fault)?;
        let mut pages = items.into_pages();
        let mut names = BTreeSet::new();
        while let Some(page) = Purpose::Leases.next(&mut pages).await.map_err(fault)? {
            names.extend(page.into_items().into_iter().map(|named| named.processor));
        }
        Ok(names.into_iter().map(|processor| self.of(processor)).collect())
    }

    /// The documents of another processor in the same container, over the same connection. Its charge is
    /// counted by itself.
    #[must_use]
    pub fn of(&self, processor: impl Into<String>) -> Self {
        let container = self.container.clone();
        Self { container, processor: processor.into(), charge: Arc::default() }
    }

    /// The name of the processor.
    pub fn processor(&self) -> &str {
        &self.processor
    }

    async fn list_all(&self) -> Result<Vec<Stored<Document>>, StoreFault> {
        let options = QueryOptions::default().with_operation_options(Purpose::Leases.options());
        let scope = FeedScope::partition(self.processor.clone());
        let query = Query::from("SELECT * FROM c");
        let starting = self.container.query_items::<Box<RawValue>>(query, scope, Some(options));
        let items = Purpose::Leases.within(Box::pin(starting)).await.map_err(fault)?;
        let mut pages = items.into_pages();
        let mut documents = Vec::new();
        while let Some(page) = Purpose::Leases.next(&mut pages).await.map_err(fault)? {
            self.charge.add(page.diagnostics().total_request_charge().value());
            for document in page.into_items() {
                documents.push(read(&document)?);
            }
        }
        Ok(documents)
    }

    async fn commit_all(&self, operations: Vec<Operation>) -> Result<Vec<Done>, StoreFault> {
        if operations.is_empty() {
            return Ok(Vec::new());
        }
        if operations.len() > OPERATIONS_MAX {
            let reason = format!("a commit has at most {OPERATIONS_MAX} operations");
            return Err(StoreFault::Refused(reason));
        }
        let batch = self.batch(&operations).map_err(|error| fault(Fault::of(&error)))?;
        let options = BatchOptions::default().with_operation_options(Purpose::Leases.options());
        let sending = Box::pin(self.container.execute_transactional_batch(batch, Some(options)));
        let sent = tokio::time::timeout(Purpose::Leases.time_max(), sending);
        let response = match sent.await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(refused_whole(&error)),
            Err(_) => return Err(StoreFault::Unavailable("no answer in time".to_owned())),
        };
        let is_committed = u16::from(response.status().status_code()) == 200;
        self.charge.add(response.diagnostics().total_request_charge().value());
        let was_repeated = answer_was_lost(&response.diagnostics());
        let results = response.into_model().map_err(|error| {
            // It is done, or not: the answer that says so cannot be read.
            StoreFault::Unavailable(format!("the answer cannot be read: {}", error.status()))
        })?;
        if !is_committed {
            return Err(conflict(&operations, results.results(), was_repeated));
        }
        if results.results().len() != operations.len() {
            return Err(StoreFault::Unavailable("the answer has other operations".to_owned()));
        }
        operations.iter().zip(results.results()).map(|pair| done(pair.0, pair.1)).collect()
    }

    fn batch(&self, operations: &[Operation]) -> Result<TransactionalBatch, CosmosError> {
        let mut batch = TransactionalBatch::new(self.processor.clone());
        for operation in operations {
            batch = match operation {
                Operation::Create(document) => batch.create_item(self.written(document))?,
                Operation::Upsert(document) => batch.upsert_item(self.written(document), None)?,
                Operation::Replace { document, etag } => {
                    let options = BatchReplaceOptions::default()
                        .with_precondition(Precondition::if_match(etag.clone()));
                    batch.replace_item(document.id(), self.written(document), Some(options))?
                }
                Operation::Delete { id, etag } => {
                    let options = BatchDeleteOptions::default()
                        .with_precondition(Precondition::if_match(etag.clone()));
                    batch.delete_item(id.clone(), Some(options))
                }
                Operation::Read { id } => batch.read_item(id.clone(), None),
            };
        }
        Ok(batch)
    }

    fn written<'a>(&'a self, document: &'a Document) -> Written<'a> {
        Written {
            id: document.id(),
            processor: &self.processor,
            schema: SCHEMA,
            ttl: document.time_to_live(),
            document,
        }
    }
}

/// Reads a document back, unless it is of another schema. A lease or a host that was spoiled by hand is
/// given as far as its id tells: it will be written anew. Of anything else nobody knows what it said.
fn read(raw: &RawValue) -> Result<Stored<Document>, StoreFault> {
    let foreign = |id: &str, reason: &str| {
        Err(StoreFault::Foreign { id: id.to_owned(), reason: reason.to_owned() })
    };
    let Ok(envelope) = serde_json::from_str::<Envelope>(raw.get()) else {
        return foreign("", "it is no document of a processor");
    };
    let id = envelope.id;
    let schema = envelope.schema.as_u64();
    if schema.is_some_and(|schema| schema > u64::from(SCHEMA)) {
        return foreign(&id, &format!("it has schema {}, newer than {SCHEMA}", envelope.schema));
    }
    // The reasons leave out the text of the parser, which may have parts of the document in it.
    let (read, reason) = match serde_json::from_str::<Document>(raw.get()) {
        _ if schema != Some(SCHEMA.into()) => (None, "it has no schema that was ever written"),
        Ok(document) if document.id() == id => (Some(document), ""),
        Ok(_) => (None, "its id is not that of its content"),
        Err(_) => (None, "it does not have the form of its schema"),
    };
    match read.or_else(|| Document::spoiled(&id)) {
        Some(document) => {
            Ok(Stored { document, etag: envelope.etag, stored_at: envelope.stored_at })
        }
        None => foreign(&id, reason),
    }
}

/// What an operation of a commit came to.
fn done(
    operation: &Operation,
    result: &TransactionalBatchOperationResult,
) -> Result<Done, StoreFault> {
    let body = result.resource_body();
    match operation {
        Operation::Delete { .. } => Ok(Done::Deleted),
        Operation::Read { .. } => match body {
            Some(body) => read(body).map(Box::new).map(Done::Read),
            None => Err(StoreFault::Unavailable("the answer has no document".to_owned())),
        },
        _ => {
            let stamp = body.and_then(|body| serde_json::from_str::<Stamp>(body.get()).ok());
            let stored_at = stamp.map_or(0, |stamp| stamp.stored_at);
            let etag = result.etag().unwrap_or_default().to_owned();
            Ok(Done::Written { etag, stored_at })
        }
    }
}

/// Why a batch was refused: one operation says it, the others only that they were not done.
fn conflict(
    operations: &[Operation],
    results: &[TransactionalBatchOperationResult],
    was_repeated: bool,
) -> StoreFault {
    let cause = results
        .iter()
        .enumerate()
        .find(|(_, result)| !result.is_success() && result.status_code() != 424);
    let Some((operation, result)) = cause else {
        return StoreFault::Unavailable("neither done nor refused".to_owned());
    };
    let (status, sub_status) = (result.status_code(), result.substatus_code().unwrap_or(0));
    match status {
        409 | 412 | 404 if was_repeated => {
            StoreFault::Unavailable("an answer was lost, and it may be done".to_owned())
        }
        409 | 412 => StoreFault::Conflict { operation, missing: false },
        404 if operation < operations.len() => StoreFault::Conflict { operation, missing: true },
        _ => fault(Fault::of_status(status, sub_status, format!("{status}/{sub_status}"))),
    }
}

/// Why a batch failed without an answer for its operations.
fn refused_whole(error: &CosmosError) -> StoreFault {
    match status_of(error).0 {
        409 | 412 if may_be_carried_out(error) => {
            StoreFault::Unavailable("an answer was lost, and it may be done".to_owned())
        }
        409 | 412 => StoreFault::Conflict { operation: 0, missing: false },
        _ => fault(Fault::of(error)),
    }
}

fn fault(fault: Fault) -> StoreFault {
    match fault {
        // Partitions of the leases container move too; the SDK finds them.
        Fault::Unavailable(reason) | Fault::Gone(reason) | Fault::Unreadable(reason) => {
            StoreFault::Unavailable(reason)
        }
        Fault::BadRequest(reason) | Fault::Refused(reason) => StoreFault::Refused(reason),
    }
}

impl LeaseStore for CosmosLeases {
    /// One query in one logical partition: about 3 RU and a round trip for each page of 4 MB.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Stored<Document>>, StoreFault>> {
        async { Box::pin(self.list_all()).await }.boxed()
    }

    /// One transactional batch in one round trip. A document of a newer schema among those that are read
    /// is [`StoreFault::Foreign`] as well, though the commit is done.
    fn commit(&self, operations: Vec<Operation>) -> BoxFuture<'_, Result<Vec<Done>, StoreFault>> {
        async { Box::pin(self.commit_all(operations)).await }.boxed()
    }

    fn request_charge(&self) -> f64 {
        self.charge.read()
    }
}
