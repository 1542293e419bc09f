//! Point operations: create, read, replace, upsert, delete and patch of one item.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::Value;

use super::ServerState;
use super::charge;
use super::context::{Call, mark, partition_of};
use super::error::{ServiceError, substatus};
use super::names;
use super::patch::Patch;
use super::respond::{PartitionMark, Reply};
use crate::key::PartitionKey;
use crate::storage::{
    Condition, Container, Item, NewItem, OpFailure, OpResult, Operation, Outcome,
};

/// How often a patch is computed again because another writer was faster. Each time that other writer
/// got on, so as many patches of one item at once succeed; the bound only keeps it from being endless.
const PATCH_ATTEMPTS: usize = 1_000;

/// `POST docs`: stores a new item.
pub(crate) async fn create(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    let item = prepare(&container, call, call.document(state)?)?;
    let key = item.key.clone();
    write(&container, call, key, Operation::Create(item)).await
}

/// `POST docs` with the upsert header: stores an item, new or not.
pub(crate) async fn upsert(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    let item = prepare(&container, call, call.document(state)?)?;
    let key = item.key.clone();
    write(&container, call, key, Operation::Upsert(item, call.condition())).await
}

/// `PUT docs/id`: replaces an item.
pub(crate) async fn replace(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    let item = prepare(&container, call, call.document(state)?)?;
    if item.id != call.ids.leaf {
        return Err(ServiceError::bad_request(
            "the id in the document does not match the id in the path; an id cannot be changed",
        ));
    }
    let key = item.key.clone();
    write(&container, call, key, Operation::Replace(item, call.condition())).await
}

/// `DELETE docs/id`: removes an item.
pub(crate) async fn delete(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    let key = call.required_key()?;
    let operation = Operation::Delete(call.ids.leaf.clone(), call.condition());
    write(&container, call, key, operation).await
}

/// `GET docs/id`: reads an item.
pub(crate) fn read(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    let key = call.required_key()?;
    let topology = container.partitions();
    let partition = partition_of(&topology, &key)?;
    call.check_session(&container, partition)?;
    // The mark is from before the read, so it never promises more than the read has seen.
    let seen = mark(&container, partition);
    let Some(item) = container.read(&key, &call.ids.leaf)? else {
        return Err(failure(OpFailure::NotFound, Some(seen)).with_charge(charge::MISS));
    };
    let seen = PartitionMark { range: seen.range, lsn: seen.lsn.max(item.lsn()) };
    let unchanged = match call.condition() {
        Condition::IfNoneMatch(etag) => etag == "*" || etag == item.etag(),
        Condition::IfMatch(etag) if etag != "*" && etag != item.etag() => {
            return Err(failure(OpFailure::PreconditionFailed, Some(seen)));
        }
        _ => false,
    };
    let reply = if unchanged {
        Reply::empty(StatusCode::NOT_MODIFIED).charge(charge::MISS)
    } else {
        let body = json(&item);
        let cost = charge::read(body.len());
        Reply::json(StatusCode::OK, body).charge(cost)
    };
    let reply = reply.header(names::ETAG, &item.etag()).number(names::ITEM_LSN, item.lsn());
    Ok(with_paths(reply.mark(Some(seen)), &container))
}

/// `PATCH docs/id`: changes parts of an item.
pub(crate) async fn patch(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    let key = call.required_key()?;
    let patch = Patch::parse(&call.json()?)?;
    let guard = call.condition();
    for _attempt in 0..PATCH_ATTEMPTS {
        let Some(stored) = container.read(&key, &call.ids.leaf)? else {
            let topology = container.partitions();
            let seen =
                partition_of(&topology, &key).map(|partition| mark(&container, partition)).ok();
            return Err(failure(OpFailure::NotFound, seen).with_charge(charge::MISS));
        };
        if !holds(&guard, &stored.etag()) {
            return Err(failure(OpFailure::PreconditionFailed, None));
        }
        let changed = patch.apply(&stored.value()?, state.strict)?;
        let item = container.prepare(changed)?;
        check_unmoved(&item, &key, &call.ids.leaf)?;
        let operation = Operation::Replace(item, Condition::IfMatch(stored.etag()));
        match write(&container, call, key.clone(), operation).await {
            // Another writer came between the read and the replace.
            Err(error) if error.status == StatusCode::PRECONDITION_FAILED => {}
            outcome => return outcome,
        }
    }
    Err(ServiceError::new(
        StatusCode::from_u16(449).unwrap_or(StatusCode::CONFLICT),
        "other writers changed the item again and again; retry the patch",
    ))
}

/// Whether a condition holds for the stored etag.
pub(crate) fn holds(condition: &Condition, etag: &str) -> bool {
    match condition {
        Condition::None => true,
        Condition::IfMatch(wanted) => wanted == "*" || wanted == etag,
        Condition::IfNoneMatch(unwanted) => unwanted != "*" && unwanted != etag,
    }
}

/// Refuses a patch that changed the id or the partition key.
pub(crate) fn check_unmoved(
    item: &NewItem,
    key: &PartitionKey,
    id: &str,
) -> Result<(), ServiceError> {
    if item.id != id || item.key != *key {
        return Err(ServiceError::bad_request("a patch cannot change the id or the partition key"));
    }
    Ok(())
}

/// Checks the document and its partition key against the header.
fn prepare(container: &Container, call: &Call, document: Value) -> Result<NewItem, ServiceError> {
    let header = call.partition_key()?;
    let item = container.prepare(document)?;
    match header {
        Some(header) if header != item.key => Err(key_mismatch()),
        _ => Ok(item),
    }
}

/// 400/1001.
pub(crate) fn key_mismatch() -> ServiceError {
    ServiceError::bad_request(
        "PartitionKey extracted from document doesn't match the one specified in the header",
    )
    .with_substatus(substatus::KEY_MISMATCH)
}

/// Carries out one write and builds its answer.
async fn write(
    container: &Arc<Container>,
    call: &Call,
    key: PartitionKey,
    operation: Operation,
) -> Result<Reply, ServiceError> {
    let indexed = indexed_of(&operation);
    match container.execute(key, vec![operation]).await? {
        Outcome::Committed { lsn, partition, results } => {
            let seen = PartitionMark { range: partition, lsn };
            let result = results.into_iter().next().ok_or_else(|| {
                ServiceError::new(StatusCode::INTERNAL_SERVER_ERROR, "storage gave no result")
            })?;
            let reply = written(call, &result, indexed);
            Ok(with_paths(reply.mark(Some(seen)), container))
        }
        Outcome::Failed { failure: reason, partition, lsn, .. } => {
            let seen = PartitionMark { range: partition, lsn };
            Err(failure(reason, Some(seen)).with_charge(charge::FAILED_BATCH_OPERATION))
        }
    }
}

/// The answer to a write that was carried out, without the partition's headers.
fn written(call: &Call, result: &OpResult, indexed: usize) -> Reply {
    let (status, item) = match result {
        OpResult::Created(item) => (StatusCode::CREATED, item),
        OpResult::Replaced(item) | OpResult::Read(item) => (StatusCode::OK, item),
        OpResult::Deleted => return Reply::empty(StatusCode::NO_CONTENT).charge(charge::DELETE),
        OpResult::NotModified(etag) => {
            return Reply::empty(StatusCode::NOT_MODIFIED)
                .header(names::ETAG, etag)
                .charge(charge::MISS);
        }
    };
    let body = json(item);
    let cost = if status == StatusCode::CREATED {
        charge::create(body.len(), indexed)
    } else {
        charge::replace(body.len(), indexed)
    };
    let reply = if call.is_minimal() { Reply::empty(status) } else { Reply::json(status, body) };
    reply.header(names::ETAG, &item.etag()).charge(cost)
}

/// How many values an operation indexes.
pub(crate) fn indexed_of(operation: &Operation) -> usize {
    match operation {
        Operation::Create(item) | Operation::Upsert(item, _) | Operation::Replace(item, _) => {
            item.indexed()
        }
        Operation::Delete(..) | Operation::Read(..) => 0,
    }
}

/// An item as JSON text.
pub(crate) fn json(item: &Item) -> Vec<u8> {
    let mut body = Vec::with_capacity(512);
    item.write_json(&mut body, false);
    body
}

/// The error for an operation that was refused because of what is stored.
pub(crate) fn failure(reason: OpFailure, seen: Option<PartitionMark>) -> ServiceError {
    let error = match reason {
        OpFailure::NotFound => {
            ServiceError::not_found("Entity with the specified id does not exist in the system.")
        }
        OpFailure::Conflict => ServiceError::new(
            StatusCode::CONFLICT,
            "Entity with the specified id already exists in the system.",
        ),
        OpFailure::UniqueConflict => {
            ServiceError::new(StatusCode::CONFLICT, "Unique index constraint violation.")
        }
        OpFailure::PreconditionFailed => ServiceError::new(
            StatusCode::PRECONDITION_FAILED,
            "Operation cannot be performed because one of the specified precondition is not met.",
        ),
        OpFailure::KeyMismatch => key_mismatch(),
    };
    error.with_mark(seen)
}

/// Adds the names of the owner, which some clients key their session tokens by.
pub(crate) fn with_paths(reply: Reply, container: &Container) -> Reply {
    let path = format!("dbs/{}/colls/{}", container.database_id(), container.definition().id);
    let reply = if path.is_ascii() { reply.header(names::ALT_CONTENT_PATH, &path) } else { reply };
    reply.header(names::CONTENT_PATH, &container.rid())
}
