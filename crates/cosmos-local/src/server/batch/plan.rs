//! From the operations of a batch to those of storage.

use std::collections::HashMap;

use serde_json::Value;

use super::parse::{BatchOperation, Kind};
use crate::key::PartitionKey;
use crate::server::error::ServiceError;
use crate::server::item::{check_unmoved, failure, holds, indexed_of, key_mismatch};
use crate::storage::{Condition, Container, NewItem, OpFailure, Operation};

/// What storage is to do.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) operations: Vec<Operation>,
    /// How many values each operation indexes.
    pub(super) indexed: Vec<usize>,
    /// Places of the patches that are guarded by an etag which the client did not ask for.
    pub(super) guarded: Vec<usize>,
}

/// A batch that fails before storage is asked.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) at: usize,
    pub(super) count: usize,
    pub(super) error: ServiceError,
}

impl Plan {
    /// The plan of a batch that has no patch.
    pub(super) fn without_patches(
        container: &Container,
        key: &PartitionKey,
        operations: Vec<BatchOperation>,
    ) -> Result<Self, Refused> {
        let count = operations.len();
        let mut plan = Self::with_capacity(count);
        for (at, operation) in operations.into_iter().enumerate() {
            let operation = translate(container, key, operation).map_err(|error| Refused {
                at,
                count,
                error,
            })?;
            plan.push(operation);
        }
        Ok(plan)
    }

    /// The plan of a batch with patches: each is computed from what the batch, or else the store,
    /// holds at its place.
    pub(super) fn with_patches(
        container: &Container,
        key: &PartitionKey,
        operations: &[BatchOperation],
        strict: bool,
    ) -> Result<Result<Self, Refused>, ServiceError> {
        let count = operations.len();
        let mut plan = Self::with_capacity(count);
        // What the operations so far leave behind: a document, or nothing after a delete.
        let mut written: HashMap<String, Option<Value>> = HashMap::new();
        for (at, operation) in operations.iter().enumerate() {
            let planned = if operation.patch.is_some() {
                let id = operation.id.clone().unwrap_or_default();
                let base = match written.get(&id) {
                    Some(Some(document)) => Some((document.clone(), None)),
                    Some(None) => None,
                    None => match container.read(key, &id)? {
                        Some(item) => Some((item.value()?, Some(item.etag()))),
                        None => None,
                    },
                };
                if operation.if_match.is_none() && matches!(base, Some((_, Some(_)))) {
                    plan.guarded.push(at);
                }
                patched(container, key, operation, base, strict)
            } else {
                translate(container, key, operation.clone())
                    .map(|planned| (planned, operation.body.clone()))
            };
            match planned {
                Ok((planned, document)) => {
                    if let Some(id) = written_id(&planned) {
                        written.insert(id, document);
                    }
                    plan.push(planned);
                }
                Err(error) => return Ok(Err(Refused { at, count, error })),
            }
        }
        Ok(Ok(plan))
    }

    fn with_capacity(count: usize) -> Self {
        Self {
            operations: Vec::with_capacity(count),
            indexed: Vec::with_capacity(count),
            guarded: Vec::new(),
        }
    }

    fn push(&mut self, operation: Operation) {
        self.indexed.push(indexed_of(&operation));
        self.operations.push(operation);
    }
}

/// The item that a planned operation leaves changed.
fn written_id(operation: &Operation) -> Option<String> {
    match operation {
        Operation::Create(item) | Operation::Upsert(item, _) | Operation::Replace(item, _) => {
            Some(item.id.clone())
        }
        Operation::Delete(id, _) => Some(id.clone()),
        Operation::Read(..) => None,
    }
}

/// An operation other than a patch.
fn translate(
    container: &Container,
    key: &PartitionKey,
    operation: BatchOperation,
) -> Result<Operation, ServiceError> {
    let condition = match (operation.if_match, operation.if_none_match) {
        (Some(etag), _) => Condition::IfMatch(etag),
        (None, Some(etag)) => Condition::IfNoneMatch(etag),
        (None, None) => Condition::None,
    };
    let id = operation.id;
    Ok(match operation.kind {
        Kind::Read => Operation::Read(id.unwrap_or_default(), condition),
        Kind::Delete => Operation::Delete(id.unwrap_or_default(), condition),
        kind => {
            let item = prepare(container, key, id.as_deref(), operation.body)?;
            match kind {
                Kind::Create => Operation::Create(item),
                Kind::Upsert => Operation::Upsert(item, condition),
                _ => Operation::Replace(item, condition),
            }
        }
    })
}

fn prepare(
    container: &Container,
    key: &PartitionKey,
    id: Option<&str>,
    body: Option<Value>,
) -> Result<NewItem, ServiceError> {
    let item = container.prepare(body.unwrap_or_default())?;
    if item.key != *key {
        return Err(key_mismatch());
    }
    if id.is_some_and(|id| id != item.id) {
        return Err(ServiceError::bad_request(
            "the id of the document does not match the id of its operation",
        ));
    }
    Ok(item)
}

/// The replace that a patch amounts to, and the document that it leaves.
fn patched(
    container: &Container,
    key: &PartitionKey,
    operation: &BatchOperation,
    base: Option<(Value, Option<String>)>,
    strict: bool,
) -> Result<(Operation, Option<Value>), ServiceError> {
    let id = operation.id.as_deref().unwrap_or_default();
    let (Some((stored, etag)), Some(patch)) = (base, &operation.patch) else {
        return Err(failure(OpFailure::NotFound, None));
    };
    let wanted = operation.if_match.clone().map_or(Condition::None, Condition::IfMatch);
    if let Some(etag) = &etag
        && !holds(&wanted, etag)
    {
        return Err(failure(OpFailure::PreconditionFailed, None));
    }
    let document = patch.apply(&stored, strict)?;
    let item = container.prepare(document.clone())?;
    check_unmoved(&item, key, id)?;
    let condition = etag.map_or(wanted, Condition::IfMatch);
    Ok((Operation::Replace(item, condition), Some(document)))
}
