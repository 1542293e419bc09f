//! Writes the answer to a batch: an array with one object for each operation.

use super::plan::Refused;
use crate::server::charge;
use crate::server::error::ServiceError;
use crate::server::item;
use crate::server::respond::write_string;
use crate::storage::{Item, OpFailure, OpResult};

/// Status of the operations that did not run because another one failed.
const FAILED_DEPENDENCY: u16 = 424;

/// The answer to a batch that was carried out, and its charge. Writes that were asked to be brief
/// leave out the document.
pub(super) fn committed(
    results: &[OpResult],
    indexed: &[usize],
    is_minimal: bool,
) -> (Vec<u8>, f64) {
    let mut out = Vec::with_capacity(16 + results.len() * if is_minimal { 128 } else { 1024 });
    let mut total = 0.0;
    out.push(b'[');
    for (at, result) in results.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        total += operation(&mut out, result, indexed.get(at).copied().unwrap_or(0), is_minimal);
    }
    out.push(b']');
    (out, total)
}

/// The answer to a batch of which storage refused an operation.
pub(super) fn failed(count: usize, at: usize, failure: OpFailure) -> Vec<u8> {
    all_failed(count, at, &item::failure(failure, None))
}

/// The answer to a batch of which an operation was refused before storage was asked.
pub(super) fn refused(refused: &Refused) -> Vec<u8> {
    all_failed(refused.count, refused.at, &refused.error)
}

fn all_failed(count: usize, at: usize, error: &ServiceError) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + count * 48);
    out.push(b'[');
    for index in 0..count {
        if index > 0 {
            out.push(b',');
        }
        let is_culprit = index == at;
        begin(&mut out, if is_culprit { error.status.as_u16() } else { FAILED_DEPENDENCY });
        if is_culprit && let Some(substatus) = error.substatus {
            out.extend_from_slice(b",\"substatusCode\":");
            out.extend_from_slice(substatus.to_string().as_bytes());
        }
        end(&mut out, if is_culprit { charge::FAILED_BATCH_OPERATION } else { 0.0 });
    }
    out.push(b']');
    out
}

/// Writes one result and gives its charge.
fn operation(out: &mut Vec<u8>, result: &OpResult, indexed: usize, is_minimal: bool) -> f64 {
    let cost = match result {
        OpResult::Created(item) => {
            begin(out, 201);
            let bytes = document(out, item, is_minimal);
            charge::create(bytes, indexed)
        }
        OpResult::Replaced(item) => {
            begin(out, 200);
            let bytes = document(out, item, is_minimal);
            charge::replace(bytes, indexed)
        }
        OpResult::Read(item) => {
            begin(out, 200);
            charge::read(document(out, item, false))
        }
        OpResult::Deleted => {
            begin(out, 204);
            charge::DELETE
        }
        OpResult::NotModified(etag) => {
            begin(out, 304);
            write_etag(out, etag);
            charge::MISS
        }
    };
    end(out, cost);
    cost
}

fn begin(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"{\"statusCode\":");
    out.extend_from_slice(status.to_string().as_bytes());
}

fn end(out: &mut Vec<u8>, cost: f64) {
    out.extend_from_slice(format!(",\"requestCharge\":{cost:.2}}}").as_bytes());
}

/// Writes the etag and, unless brief, the document; gives the document's size.
fn document(out: &mut Vec<u8>, item: &Item, is_minimal: bool) -> usize {
    write_etag(out, &item.etag());
    if is_minimal {
        return item.size();
    }
    out.extend_from_slice(b",\"resourceBody\":");
    let start = out.len();
    item.write_json(out, false);
    out.len().saturating_sub(start)
}

fn write_etag(out: &mut Vec<u8>, etag: &str) {
    out.extend_from_slice(b",\"eTag\":");
    write_string(out, etag);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_culprit_has_its_status_and_the_others_424() {
        let body = failed(3, 1, OpFailure::Conflict);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let statuses: Vec<_> = value.as_array().unwrap().iter().map(|r| &r["statusCode"]).collect();
        assert_eq!(statuses, [424, 409, 424]);
        assert!(value[1].get("resourceBody").is_none(), "a conflict says nothing about the item");
    }

    #[test]
    fn deletes_and_unchanged_reads_have_no_document() {
        let results = [OpResult::Deleted, OpResult::NotModified("\"1\"".to_owned())];
        let (body, cost) = committed(&results, &[0, 0], false);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value[0]["statusCode"], 204);
        assert_eq!(value[1]["statusCode"], 304);
        assert_eq!(value[1]["eTag"], "\"1\"");
        assert!((cost - 6.25).abs() < 1e-9);
    }
}
