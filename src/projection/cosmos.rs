//! Read models in a container of Cosmos DB: the only place of projections that knows the SDK.

use std::time::Duration;

use azure_data_cosmos::{
    ContainerClient, CosmosError, FeedScope, Query, TransactionalBatch,
    options::{
        BatchDeleteOptions, BatchOptions, BatchReplaceOptions, ContentResponseOnWrite,
        ItemReadOptions, OperationOptions, Precondition, QueryOptions,
    },
};
use futures::{FutureExt as _, future::BoxFuture};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Document, Found, Kind, ViewFault, ViewQuery, ViewStore, Write, document::SCHEMA,
    order::range_of, store::WRITES_MAX,
};
use crate::{
    config::StoreOptions,
    cosmos::{TimeLimits, Unanswered, operation_options, status_of},
    event::write_infallibly,
};

/// How long a request may take, with the SDK's own retries. Handlers are tried again, so it is short.
const LIMITS: TimeLimits =
    TimeLimits { time_max: Duration::from_secs(10), throttle_wait_max: Duration::from_secs(5) };
/// The container.
const CONTAINER: &str = "read-models";

/// The read models in the container `read-models` of a database. Cheap to clone.
#[derive(Clone)]
pub struct CosmosViews {
    container: ContainerClient,
}

impl std::fmt::Debug for CosmosViews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CosmosViews(..)")
    }
}

/// What stands around a document.
#[derive(Debug, Deserialize)]
struct Envelope {
    id: String,
    #[serde(default)]
    schema: serde_json::Value,
    #[serde(rename = "_etag")]
    etag: String,
}

impl CosmosViews {
    /// Opens the container, which must be there: see [`provision`](crate::provision). A few requests.
    ///
    /// # Errors
    ///
    /// [`ViewFault::Unavailable`] and [`ViewFault::Refused`].
    pub async fn open(options: &StoreOptions) -> Result<Self, ViewFault> {
        let container = LIMITS.open(options, CONTAINER).await.map_err(unanswered)?;
        Ok(Self { container })
    }

    async fn read_one(&self, partition: &str, id: &str) -> Result<Option<Found>, ViewFault> {
        let options = ItemReadOptions::default().with_operation_options(options());
        let reading = Box::pin(self.container.read_item(partition.to_owned(), id, Some(options)));
        let response = match LIMITS.within(reading).await {
            Ok(response) => response,
            Err(Unanswered::Failed(error)) if status_of(&error) == (404, 0) => return Ok(None),
            Err(other) => return Err(unanswered(other)),
        };
        let raw = response.into_model::<Box<RawValue>>().map_err(|error| fault(&error))?;
        read(&raw).map(Some)
    }

    async fn commit_all(
        &self,
        partition: &str,
        writes: Vec<Write>,
    ) -> Result<Vec<String>, ViewFault> {
        if writes.len() > WRITES_MAX {
            let reason = format!("a commit has at most {WRITES_MAX} writes");
            return Err(ViewFault::Refused(reason));
        }
        let batch = batch(partition, &writes).map_err(|error| fault(&error))?;
        let options = BatchOptions::default().with_operation_options(options());
        let sending = self.container.execute_transactional_batch(batch, Some(options));
        let response = LIMITS.within(Box::pin(sending)).await.map_err(unanswered)?;
        let is_committed = u16::from(response.status().status_code()) == 200;
        let results = response.into_model().map_err(|error| fault(&error))?;
        let results = results.results();
        if is_committed && results.len() == writes.len() {
            let etag = |write: &Write, etag: Option<&str>| {
                if write.is_delete { String::new() } else { etag.unwrap_or_default().to_owned() }
            };
            let pairs = writes.iter().zip(results);
            return Ok(pairs.map(|(write, done)| etag(write, done.etag())).collect());
        }
        // One operation says why, the others only that they were not done.
        let cause = results.iter().find(|one| !one.is_success() && one.status_code() != 424);
        Err(cause.map_or_else(
            || ViewFault::Unavailable("neither done nor refused".to_owned()),
            |cause| fault_of(cause.status_code(), cause.substatus_code().unwrap_or(0)),
        ))
    }

    async fn count_all(&self, partition: &str, kind: Kind) -> Result<u64, ViewFault> {
        let options = QueryOptions::default().with_operation_options(options());
        let scope = FeedScope::partition(partition.to_owned());
        let query = Query::from("SELECT VALUE COUNT(1) FROM c WHERE c.kind = @kind")
            .with_parameter("@kind", kind)
            .map_err(|error| fault(&error))?;
        let starting = self.container.query_items::<u64>(query, scope, Some(options));
        let starting = LIMITS.within(Box::pin(starting)).await.map_err(unanswered)?;
        let mut pages = starting.into_pages();
        let mut count: u64 = 0;
        while let Some(page) = LIMITS.next(&mut pages).await.map_err(unanswered)? {
            count = page.into_items().into_iter().fold(count, u64::saturating_add);
        }
        Ok(count)
    }

    async fn query_page(
        &self,
        partition: &str,
        query: &ViewQuery,
    ) -> Result<Vec<Found>, ViewFault> {
        let options = QueryOptions::default().with_operation_options(options());
        let scope = FeedScope::partition(partition.to_owned());
        let query = sql(query).map_err(|error| fault(&error))?;
        let starting = self.container.query_items::<Box<RawValue>>(query, scope, Some(options));
        let starting = LIMITS.within(Box::pin(starting)).await.map_err(unanswered)?;
        let mut pages = starting.into_pages();
        let mut found = Vec::new();
        while let Some(page) = LIMITS.next(&mut pages).await.map_err(unanswered)? {
            for raw in page.into_items() {
                found.push(read(&raw)?);
            }
        }
        Ok(found)
    }
}

fn options() -> OperationOptions {
    operation_options(LIMITS, ContentResponseOnWrite::Disabled)
}

fn batch(partition: &str, writes: &[Write]) -> Result<TransactionalBatch, CosmosError> {
    let mut batch = TransactionalBatch::new(partition.to_owned());
    for Write { document, etag, is_delete } in writes {
        let id = document.id.clone();
        let must_match = etag.as_ref().map(|etag| Precondition::if_match(etag.clone()));
        batch = match (must_match, is_delete) {
            (Some(etag), true) => {
                batch.delete_item(id, Some(BatchDeleteOptions::default().with_precondition(etag)))
            }
            (None, true) => batch.delete_item(id, None),
            (Some(etag), false) => {
                let options = BatchReplaceOptions::default().with_precondition(etag);
                batch.replace_item(id, document, Some(options))?
            }
            (None, false) => batch.create_item(document)?,
        };
    }
    Ok(batch)
}

/// One page, sorted by a property that no two documents have equal: the next page begins behind its last.
fn sql(query: &ViewQuery) -> Result<Query, CosmosError> {
    let (order, direction) = if query.is_descending { ("<", "DESC") } else { (">", "ASC") };
    let kinds: Vec<String> = (0..query.kinds.len()).map(|number| format!("@k{number}")).collect();
    let mut text =
        format!("SELECT TOP {} * FROM c WHERE c.kind IN ({})", query.limit, kinds.join(", "));
    for (number, (name, _)) in query.filters.iter().enumerate() {
        let field = format!("c[\"sort\"][\"{name}\"]");
        let range = format_args!(" AND {field} >= @f{number} AND {field} < @g{number}");
        write_infallibly(&mut text, range);
    }
    let sort = format!("c[\"sort\"][\"{}\"]", query.sort);
    if query.after.is_some() {
        write_infallibly(&mut text, format_args!(" AND {sort} {order} @after"));
    }
    write_infallibly(&mut text, format_args!(" ORDER BY {sort} {direction}"));
    let mut prepared = Query::from(text);
    for (number, kind) in query.kinds.iter().enumerate() {
        prepared = prepared.with_parameter(format!("@k{number}"), kind)?;
    }
    for (number, (_, value)) in query.filters.iter().enumerate() {
        let (from, to) = range_of(value);
        prepared = prepared.with_parameter(format!("@f{number}"), from)?;
        prepared = prepared.with_parameter(format!("@g{number}"), to)?;
    }
    match &query.after {
        Some(after) => prepared.with_parameter("@after", after),
        None => Ok(prepared),
    }
}

fn read(raw: &RawValue) -> Result<Found, ViewFault> {
    let damaged = |id: &str, reason: &str| {
        Err(ViewFault::Damaged { id: id.to_owned(), reason: reason.to_owned() })
    };
    let Ok(envelope) = serde_json::from_str::<Envelope>(raw.get()) else {
        return damaged("", "it is no document of a read model");
    };
    if envelope.schema.as_u64() != Some(u64::from(SCHEMA)) {
        return damaged(&envelope.id, "this version does not know its schema");
    }
    // The text of the parser may have parts of the document in it.
    match serde_json::from_str::<Document>(raw.get()) {
        Ok(document) => Ok(Found { document: document.restored(), etag: envelope.etag }),
        Err(_) => damaged(&envelope.id, "it does not have the form of its schema"),
    }
}

fn unanswered(unanswered: Unanswered) -> ViewFault {
    match unanswered {
        Unanswered::Failed(error) => fault(&error),
        Unanswered::Credential => ViewFault::Refused("the credential cannot be used".to_owned()),
        Unanswered::Late => ViewFault::Unavailable("no answer in time".to_owned()),
    }
}

/// The text of the SDK's error may have parts of documents and addresses in it; its status has not.
fn fault(error: &CosmosError) -> ViewFault {
    let (status, sub_status) = status_of(error);
    fault_of(status, sub_status)
}

fn fault_of(status: u16, sub_status: u32) -> ViewFault {
    let text = format!("{status}/{sub_status}");
    match (status, sub_status) {
        (404, 1003) => ViewFault::Refused(format!("{text}: the container is not there")),
        (404, 0) | (409 | 412, _) => ViewFault::Conflict,
        (413, _) => ViewFault::TooLarge,
        (400, _) => ViewFault::Unfit(text),
        (404 | 408 | 410 | 429 | 449 | 500..=599, _) => ViewFault::Unavailable(text),
        _ => ViewFault::Refused(text),
    }
}

impl ViewStore for CosmosViews {
    /// One round trip, about 1 RU.
    fn read<'a>(
        &'a self,
        partition: &'a str,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Found>, ViewFault>> {
        async move { Box::pin(self.read_one(partition, id)).await }.boxed()
    }

    /// One transactional batch in one round trip; about 6 RU for each document that is created, 11 for each
    /// that is replaced.
    fn commit<'a>(
        &'a self,
        partition: &'a str,
        writes: Vec<Write>,
    ) -> BoxFuture<'a, Result<Vec<String>, ViewFault>> {
        async move { Box::pin(self.commit_all(partition, writes)).await }.boxed()
    }

    /// A query of one logical partition, about 3 RU and a round trip for each 4 MB.
    fn query<'a>(
        &'a self,
        partition: &'a str,
        query: &'a ViewQuery,
    ) -> BoxFuture<'a, Result<Vec<Found>, ViewFault>> {
        async move { Box::pin(self.query_page(partition, query)).await }.boxed()
    }

    /// A query of one logical partition, about 3 RU for some thousands of documents.
    fn count<'a>(
        &'a self,
        partition: &'a str,
        kind: Kind,
    ) -> BoxFuture<'a, Result<u64, ViewFault>> {
        async move { Box::pin(self.count_all(partition, kind)).await }.boxed()
    }
}
