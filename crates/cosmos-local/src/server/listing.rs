//! Lists of metadata documents, and queries over them by the same engine that serves items.

use std::convert::Infallible;

use hyper::StatusCode;
use serde_json::Value;

use super::charge;
use super::context::{Call, PAGE_BYTES_MAX};
use super::error::ServiceError;
use super::names;
use super::query::{self, run_error};
use super::respond::{Reply, list_body, write_value};
use crate::query::{Candidate, PageLimits};

/// A page of all documents, in their order. The continuation is the number of those before it.
pub(crate) fn list(
    call: &Call,
    rid: &str,
    name: &str,
    documents: &[Value],
) -> Result<Reply, ServiceError> {
    let start = match call.header(names::CONTINUATION) {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| {
            ServiceError::bad_request("the continuation is not one that this list gave out")
        })?,
    };
    let rest = documents.get(start..).unwrap_or_default();
    let page = rest.get(..call.page_items()?.min(rest.len())).unwrap_or_default();
    let body = list_body(rid, name, page, write_value);
    let reply = Reply::json(StatusCode::OK, body)
        .charge(charge::METADATA_READ)
        .number(names::ITEM_COUNT, u64::try_from(page.len()).unwrap_or(u64::MAX));
    let next = start.saturating_add(page.len());
    Ok(if next < documents.len() {
        reply.header(names::CONTINUATION, &next.to_string())
    } else {
        reply
    })
}

/// A page of a query over the documents.
pub(crate) fn query(
    call: &Call,
    rid: &str,
    name: &str,
    documents: Vec<Value>,
) -> Result<Reply, ServiceError> {
    let prepared = query::prepare(call)?;
    let resume = prepared.resume(call.header(names::CONTINUATION))?;
    let after = resume.scan_after().map(<[u8]>::to_vec);
    let mut source = (1_u64..)
        .zip(documents)
        .map(|(ordinal, document)| Candidate {
            position: ordinal.to_be_bytes().to_vec(),
            ordinal,
            document,
        })
        .filter(|candidate| after.as_ref().is_none_or(|after| candidate.position > *after))
        .map(Ok::<_, Infallible>);
    let limits = PageLimits {
        max_items: call.page_items()?,
        max_bytes: PAGE_BYTES_MAX,
        source_is_ordered: false,
    };
    let page = prepared.run(&resume, &mut source, limits).map_err(run_error)?;
    Ok(query::page_reply(call, rid, name, &page, None))
}
