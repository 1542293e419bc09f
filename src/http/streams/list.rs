//! `GET /streams`: the list of all streams.

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::StreamExt as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::{
    event::{RecordedEvent, format_timestamp},
    http::{
        answer, links,
        media::{self, JSON},
        openapi::StoreListProblems,
        parameters::Parameters,
        problem::{self, Problem, REQUEST_CHARGE, request_charge},
        shared::{Inner, Shared},
    },
    store::Usage,
};

/// The bytes of the checksum of a continuation token. It finds tokens that were cut or made up; it is no
/// protection.
const CHECKSUM_BYTES: usize = 8;

/// A page of the list of streams.
#[derive(Debug, Serialize, ToSchema)]
struct StreamList<'a> {
    /// The streams, in no particular order.
    streams: Vec<StreamEntry<'a>>,
    /// Where the next page is; not there behind the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// A stream, by its first event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StreamEntry<'a> {
    stream: &'a str,
    aggregate_type: &'a str,
    /// When its first event was stored.
    #[schema(format = DateTime)]
    first_recorded_at: String,
    /// Where its events are.
    events: String,
}

/// List all streams, page by page. A page may have fewer streams than asked for.
#[utoipa::path(
    get,
    path = "/streams",
    tag = "streams",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
         description = "The most streams of the page, 100 unless it is given"),
        ("continuation" = Option<String>, Query, description = "From the link of the page before"),
    ),
    responses(
        (status = 200, description = "A page of the list", body = StreamList<'_>,
         headers(("Link" = String), ("request-charge" = String))),
        StoreListProblems,
    )
)]
pub(super) async fn streams(
    State(shared): State<Shared>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&["limit", "continuation"])?;
    media::of_answer(&headers, &[JSON])?;
    let limit = parameters.limit()?;
    let continuation = parameters.text("continuation").map(decode).transpose()?;
    let read = Box::pin(read(&shared, limit, continuation));
    let (events, continuation, usage) = shared.read(read).await??;
    let next = continuation.map(|token| {
        let parameters =
            [("limit", Some(limit.to_string())), ("continuation", Some(encode(&token)))];
        links::with_query("/streams", &parameters)
    });
    let streams = events.iter().map(entry).collect();
    let mut answer = answer::ok(&StreamList { streams, next: next.as_deref() })?;
    let headers = answer.headers_mut();
    headers.insert(REQUEST_CHARGE, request_charge(usage.request_charge));
    if let Some(links) = next.and_then(|next| links::header(&[("next", &next)])) {
        headers.insert(header::LINK, links);
    }
    Ok(answer)
}

fn entry(event: &RecordedEvent) -> StreamEntry<'_> {
    StreamEntry {
        stream: event.stream(),
        aggregate_type: event.aggregate_type(),
        first_recorded_at: format_timestamp(event.recorded_at()),
        events: format!("{}/events", links::stream(event.stream())),
    }
}

async fn read(
    shared: &Inner,
    limit: u32,
    continuation: Option<String>,
) -> Result<(Vec<RecordedEvent>, Option<String>, Usage), Problem> {
    let mut list = shared.store.streams().page_events(limit);
    if let Some(token) = continuation {
        list = list.continuation(token);
    }
    let mut pages = list.pages();
    let mut usage = Usage::default();
    // A page may be empty without being the last, where a partition has no streams.
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| problem::of_read(&error))?;
        usage += page.usage;
        if !page.first_events.is_empty() || page.continuation.is_none() {
            return Ok((page.first_events, page.continuation, usage));
        }
    }
    Ok((Vec::new(), None, usage))
}

/// A token of the store as part of a link.
fn encode(token: &str) -> String {
    let mut bytes = checksum(token);
    bytes.extend_from_slice(token.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Result<String, Problem> {
    let garbage = || Problem::parameter("continuation", "not from a link of this list");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| garbage())?;
    let (sum, token) = bytes.split_at_checked(CHECKSUM_BYTES).ok_or_else(garbage)?;
    let token = std::str::from_utf8(token).map_err(|_| garbage())?;
    if checksum(token) == sum { Ok(token.to_owned()) } else { Err(garbage()) }
}

fn checksum(token: &str) -> Vec<u8> {
    Sha256::digest(token).into_iter().take(CHECKSUM_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_and_garbage_does_not() {
        for token in ["", "{\"a\":[1]}", "\u{e9}"] {
            let text = encode(token);
            assert_eq!(decode(&text).unwrap(), token);
            assert!(decode(&text[1..]).is_err());
        }
        for garbage in ["", "a", "AAAA", "AAAAAAAAAAAAAAAA", "==", "\u{e9}"] {
            assert!(decode(garbage).is_err(), "{garbage}");
        }
    }
}
