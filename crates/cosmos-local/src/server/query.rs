//! Queries over items.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::ServerState;
use super::access::{self, Access, Indexes, Shape};
use super::charge;
use super::context::{Call, PAGE_BYTES_MAX};
use super::error::{ServiceError, substatus};
use super::item::with_paths;
use super::names;
use super::respond::{Reply, list_body, write_value};
use super::scope::{self, Scope};
use crate::query::{Candidate, Page, PageLimits, Prepared, Resume, RunError};
use crate::storage::{Container, Scan, ScanIter, StorageError};

/// `POST docs` with the query header.
pub(crate) async fn items(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    let prepared = prepare(call)?;
    answer(state, call, container, prepared).await
}

/// `GET docs` without `A-IM`: all items, in pages.
pub(crate) async fn read_feed(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    let prepared = Prepared::new("SELECT * FROM c", Vec::new())?;
    answer(state, call, container, prepared).await
}

/// A request for a query plan.
///
/// A query that any client can run as it is on a container of one partition gets the plan that
/// says so. Everything else is refused, as the service refuses what the client has no stage for.
pub(crate) fn plan(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    let prepared = prepare(call)?;
    let is_whole = container.partitions().partitions.len() == 1;
    if !is_whole || prepared.needs_plan_across_partitions().is_some() {
        return Err(ServiceError::not_supported(
            "query plans for queries over partitions (send the query itself, or plan it on the \
             client)",
        )
        .with_substatus(substatus::CROSS_PARTITION_QUERY));
    }
    let plan = json!({
        "partitionedQueryExecutionInfoVersion": 2,
        "queryInfo": {
            "distinctType": "None",
            "top": null,
            "offset": null,
            "limit": null,
            "orderBy": [],
            "orderByExpressions": [],
            "groupByExpressions": [],
            "groupByAliases": [],
            "aggregates": [],
            "groupByAliasToAggregateType": {},
            "rewrittenQuery": "",
            "hasSelectValue": false,
            "hasNonStreamingOrderBy": false,
        },
        "queryRanges": [
            { "min": "", "max": "FF", "isMinInclusive": true, "isMaxInclusive": false }
        ],
    });
    Ok(with_paths(Reply::value(StatusCode::OK, &plan).charge(charge::MISS), &container))
}

/// Reads a query from the body.
pub(crate) fn prepare(call: &Call) -> Result<Prepared, ServiceError> {
    let body = call.json()?;
    let text = body
        .get("query")
        .and_then(Value::as_str)
        .ok_or_else(|| ServiceError::bad_request("the body of a query needs a string 'query'"))?;
    let parameters = match body.get("parameters") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(parameters)) => {
            parameters.iter().map(parameter).collect::<Result<Vec<_>, _>>()?
        }
        Some(_) => return Err(ServiceError::bad_request("'parameters' must be an array")),
    };
    let prepared = Prepared::new(text, parameters)?;
    // Clients that go on with a sorted query after a split say from where.
    Ok(match body.get("resumeFilter") {
        None | Some(Value::Null) => prepared,
        Some(filter) => prepared.with_resume_filter(filter)?,
    })
}

fn parameter(parameter: &Value) -> Result<(String, Value), ServiceError> {
    let name = parameter.get("name").and_then(Value::as_str);
    match (name, parameter.get("value")) {
        (Some(name), Some(value)) => Ok((name.to_owned(), value.clone())),
        _ => Err(ServiceError::bad_request("a parameter needs a string 'name' and a 'value'")),
    }
}

/// The client's error for a query that failed while it ran.
pub(crate) fn run_error<E: Into<ServiceError>>(error: RunError<E>) -> ServiceError {
    match error {
        RunError::Query(error) => error.into(),
        RunError::Source(error) => error.into(),
    }
}

impl From<std::convert::Infallible> for ServiceError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl Indexes for Container {
    fn can_index(&self, path: &[String]) -> bool {
        Self::can_index(self, path)
    }
    fn can_order(&self, path: &[String]) -> bool {
        Self::can_order(self, path)
    }
    fn sorts_ties(&self, path: &[String]) -> bool {
        Self::sorts_ties(self, path)
    }
}

/// Runs a query in the scope of the request.
async fn answer(
    state: &ServerState,
    call: &Call,
    container: Arc<Container>,
    prepared: Prepared,
) -> Result<Reply, ServiceError> {
    let scoped = scope::read(state, call, &container)?;
    let definition = container.definition();
    let shape = Shape {
        constraints: prepared.constraints(),
        is_sorted: prepared.is_sorted(),
        order_by: prepared.order_by_path(),
        order_from: prepared.order_from(),
        key_path: &definition.partition_key_path,
    };
    if state.strict {
        check_served(&scoped.scope, shape, &prepared)?;
    }
    let access = access::choose(&scoped.scope, shape, &*container);
    let resume = prepared.resume(call.header(names::CONTINUATION))?;
    let limits = PageLimits {
        max_items: call.page_items()?,
        max_bytes: PAGE_BYTES_MAX,
        source_is_ordered: access.is_ordered,
    };
    let index = match &access.scan {
        Some(Scan::Index { path, .. }) => Some(path.clone()),
        _ => None,
    };
    // A logical partition in its own order is read up to the end of the page and no further;
    // everything else may look at many rows and must not hold up the connections of this thread.
    let is_short = access.is_logical && access.is_ordered;
    let page = if is_short {
        run(&container, access, &prepared, &resume, limits)?
    } else {
        let container = Arc::clone(&container);
        tokio::task::spawn_blocking(move || run(&container, access, &prepared, &resume, limits))
            .await
            .map_err(|_| {
                ServiceError::new(StatusCode::INTERNAL_SERVER_ERROR, "the query was interrupted")
            })??
    };
    let reply = page_reply(call, &container.rid(), "Documents", &page, index.as_deref());
    let reply = reply.mark(scoped.mark);
    Ok(with_paths(reply, &container))
}

/// Refuses what the service leaves to clients: merging partitions.
fn check_served(scope: &Scope, shape: Shape<'_>, prepared: &Prepared) -> Result<(), ServiceError> {
    if !matches!(scope, Scope::Many(_)) || access::demanded_key(shape).is_some() {
        return Ok(());
    }
    match prepared.needs_plan_across_partitions() {
        None => Ok(()),
        Some(clause) => Err(ServiceError::bad_request(format!(
            "The provided cross partition query can not be directly served by the gateway: \
             {clause} needs a query plan, or a partition key"
        ))
        .with_substatus(substatus::CROSS_PARTITION_QUERY)),
    }
}

/// Runs one page against storage.
fn run(
    container: &Arc<Container>,
    access: Access,
    prepared: &Prepared,
    resume: &Resume,
    limits: PageLimits,
) -> Result<Page, ServiceError> {
    let mut source: Box<dyn Iterator<Item = Result<Candidate, StorageError>>> = match access.scan {
        None => Box::new(std::iter::empty()),
        Some(scan) => {
            let after = resume.scan_after().map(<[u8]>::to_vec);
            Box::new(candidates(container.scan(scan, after)?))
        }
    };
    prepared.run(resume, &mut source, limits).map_err(run_error)
}

fn candidates(rows: ScanIter) -> impl Iterator<Item = Result<Candidate, StorageError>> {
    rows.map(|row| {
        let (position, item) = row?;
        Ok(Candidate { position, ordinal: item.ordinal(), document: item.value()? })
    })
}

/// The answer with a page of results.
///
/// `index` is the path whose index found the candidates, if one did.
pub(crate) fn page_reply(
    call: &Call,
    rid: &str,
    name: &str,
    page: &Page,
    index: Option<&[String]>,
) -> Reply {
    let body = list_body(rid, name, &page.items, write_value);
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let cost = charge::query(count(page.scanned), page.items.len(), body.len());
    let metrics = call.flag(names::POPULATE_QUERY_METRICS).then(|| metrics(page, body.len()));
    let mut reply = Reply::json(StatusCode::OK, body)
        .charge(cost)
        .number(names::ITEM_COUNT, u64::try_from(page.items.len()).unwrap_or(u64::MAX));
    if let Some(metrics) = metrics {
        reply = reply.header(names::QUERY_METRICS, &metrics);
    }
    if call.flag(names::POPULATE_INDEX_METRICS) {
        reply = reply.header(names::INDEX_METRICS, &index_metrics(index));
    }
    match &page.continuation {
        Some(continuation) => reply.header(names::CONTINUATION, continuation),
        None => reply,
    }
}

/// Query metrics in the service's form. Times are not measured: they would differ from run to run.
fn metrics(page: &Page, bytes: usize) -> String {
    let scanned = page.scanned.max(1);
    let hundredths = page.matched.saturating_mul(100) / scanned;
    format!(
        "totalExecutionTimeInMs=0.01;queryCompileTimeInMs=0.00;queryLogicalPlanBuildTimeInMs=0.00;\
         queryPhysicalPlanBuildTimeInMs=0.00;queryOptimizationTimeInMs=0.00;\
         VMExecutionTimeInMs=0.01;indexLookupTimeInMs=0.00;instructionCount={};\
         documentLoadTimeInMs=0.00;systemFunctionExecuteTimeInMs=0.00;\
         userFunctionExecuteTimeInMs=0.00;retrievedDocumentCount={};retrievedDocumentSize={bytes};\
         outputDocumentCount={};outputDocumentSize={bytes};writeOutputTimeInMs=0.00;\
         indexUtilizationRatio={}.{:02}",
        page.scanned,
        page.scanned,
        page.items.len(),
        hundredths / 100,
        hundredths % 100,
    )
}

/// Index metrics in the service's form: which index was used. None is ever suggested.
fn index_metrics(index: Option<&[String]>) -> String {
    let used: Vec<Value> = index
        .map(|path| {
            json!({
                "FilterExpression": "",
                "IndexSpec": format!("/{}/?", path.join("/")),
                "FilterPreciseSet": true,
                "IndexPreciseSet": true,
                "IndexImpactScore": "High",
            })
        })
        .into_iter()
        .collect();
    let metrics = json!({
        "UtilizedSingleIndexes": used,
        "PotentialSingleIndexes": [],
        "UtilizedCompositeIndexes": [],
        "PotentialCompositeIndexes": [],
    });
    STANDARD.encode(metrics.to_string())
}
