//! Transactional batches: up to a hundred operations on one logical partition, all or none.
//!
//! This is the hot path of an event store, so the body is parsed once, each document straight
//! into the value that storage prepares, and the answer is written as bytes.

mod parse;
mod plan;
mod render;

use std::sync::Arc;

use hyper::StatusCode;

use self::parse::BatchOperation;
use self::plan::{Plan, Refused};
use super::ServerState;
use super::charge;
use super::context::{Call, mark, partition_of};
use super::error::ServiceError;
use super::item::with_paths;
use super::names;
use super::respond::{PartitionMark, Reply};
use crate::key::PartitionKey;
use crate::storage::{Container, OpFailure, Outcome};

/// Most operations in a batch.
const OPERATIONS_MAX: usize = 100;
/// Largest body of a batch.
const BYTES_MAX: usize = 2 * 1024 * 1024;
/// How often a batch with patches is computed again because another writer was faster, as for a
/// single patch.
const ATTEMPTS: usize = 1_000;

/// `POST docs` with the batch header.
pub(crate) async fn execute(state: &ServerState, call: &Call) -> Result<Reply, ServiceError> {
    let container = call.owner(state)?;
    if !call.flag(names::BATCH_ATOMIC) {
        return Err(ServiceError::not_supported("bulk requests (batches that are not atomic)"));
    }
    if call.body.len() > BYTES_MAX {
        return Err(ServiceError::too_large(
            "Request size is too large: a batch has at most 2 MiB",
        ));
    }
    let key = call.required_key()?;
    let operations = parse::operations(&call.body, state.strict)?;
    if operations.is_empty() {
        return Err(ServiceError::bad_request("Batch request has no operations"));
    }
    if operations.len() > OPERATIONS_MAX {
        return Err(ServiceError::bad_request(
            "Batch request has more operations than what is supported (100)",
        ));
    }
    let reply = if operations.iter().any(|operation| operation.patch.is_some()) {
        with_patches(state, call, &container, &key, &operations).await?
    } else {
        let plan = Plan::without_patches(&container, &key, operations);
        attempt(call, &container, &key, plan).await?.0
    };
    Ok(with_paths(reply, &container))
}

/// A patch is computed from what is stored, so it is guarded by the etag it was computed from and
/// computed again when that has changed in between.
async fn with_patches(
    state: &ServerState,
    call: &Call,
    container: &Arc<Container>,
    key: &PartitionKey,
    operations: &[BatchOperation],
) -> Result<Reply, ServiceError> {
    for _attempt in 0..ATTEMPTS {
        let plan = Plan::with_patches(container, key, operations, state.strict)?;
        let guarded = plan.as_ref().map(|plan| plan.guarded.clone()).unwrap_or_default();
        let (reply, failed) = attempt(call, container, key, plan).await?;
        match failed {
            Some((at, OpFailure::PreconditionFailed)) if guarded.contains(&at) => {}
            _ => return Ok(reply),
        }
    }
    Err(ServiceError::new(
        StatusCode::from_u16(449).unwrap_or(StatusCode::CONFLICT),
        "other writers changed the items again and again; retry the batch",
    ))
}

/// Carries the batch out once; gives the answer and the failure that it reports.
async fn attempt(
    call: &Call,
    container: &Arc<Container>,
    key: &PartitionKey,
    plan: Result<Plan, Refused>,
) -> Result<(Reply, Option<(usize, OpFailure)>), ServiceError> {
    let plan = match plan {
        Ok(plan) => plan,
        Err(refused) => {
            let topology = container.partitions();
            let seen = mark(container, partition_of(&topology, key)?);
            return Ok((failed(seen, refused.count, render::refused(&refused)), None));
        }
    };
    let (count, indexed) = (plan.operations.len(), plan.indexed);
    match container.execute(key.clone(), plan.operations).await? {
        Outcome::Committed { lsn, partition, results } => {
            let (body, cost) = render::committed(&results, &indexed, call.is_minimal());
            let seen = PartitionMark { range: partition, lsn };
            Ok((Reply::json(StatusCode::OK, body).mark(Some(seen)).charge(cost), None))
        }
        Outcome::Failed { at, failure, partition, lsn } => {
            let body = render::failed(count, at, failure);
            let seen = PartitionMark { range: partition, lsn };
            Ok((failed(seen, count, body), Some((at, failure))))
        }
    }
}

/// The answer to a batch of which nothing was carried out.
fn failed(seen: PartitionMark, count: usize, body: Vec<u8>) -> Reply {
    let cost = charge::failed_batch(count);
    Reply::json(StatusCode::MULTI_STATUS, body).mark(Some(seen)).charge(cost)
}
