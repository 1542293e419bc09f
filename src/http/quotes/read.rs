//! Views of quotes, from the aggregate.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use serde::Serialize;

use super::{
    refusal::{not_found, of_load},
    schema,
};
use crate::{
    aggregate::{DomainEvent as _, LoadError, LoadOptions, Loaded},
    http::{
        answer, etag, links,
        media::{self, JSON},
        openapi::StoreReadProblems,
        parameters::{Parameters, StreamPath},
        problem::{Problem, REQUEST_CHARGE, request_charge},
        shared::Shared,
        streams::{read_problem, session_token},
    },
    quotes::{HistoryEntry, Quote, QuoteEvent, QuoteView, StatusView},
    store::{EventPages, SessionToken, Usage},
    stream::{SEQUENCE_NUMBER_MAX, StreamId},
};

/// Read a quote.
#[utoipa::path(
    get,
    path = "/quotes/{id}",
    tag = "quotes",
    params(schema::QuoteId, schema::ReadHeaders),
    responses(
        (status = 200, description = "The quote", body = schema::QuoteSchema,
         headers(("ETag" = String), ("request-charge" = String))),
        (status = 304, description = "The quote is at the version that the client has"),
        StoreReadProblems,
        schema::NotAQuote,
    )
)]
pub(super) async fn quote(
    State(shared): State<Shared>,
    StreamPath(id): StreamPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let loaded = load(&shared, &id, &headers).await?;
    let view = QuoteView::new(id.as_str(), loaded.version, &loaded.state);
    let view = view.ok_or_else(|| not_found(loaded.usage))?;
    let tag = etag::of_version(loaded.version);
    let mut answer = if etag::is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer::ok(&view)?
    };
    answer.headers_mut().insert(header::ETAG, tag);
    answer.headers_mut().insert(REQUEST_CHARGE, request_charge(loaded.usage.request_charge));
    Ok(answer)
}

/// Read where a quote stands, and what can be done with it now.
#[utoipa::path(
    get,
    path = "/quotes/{id}/status",
    tag = "quotes",
    params(schema::QuoteId, schema::TokenHeader),
    responses(
        (status = 200, description = "Where it stands", body = schema::QuoteStatus,
         headers(("request-charge" = String))),
        StoreReadProblems,
        schema::NotAQuote,
    )
)]
pub(super) async fn status(
    State(shared): State<Shared>,
    StreamPath(id): StreamPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let loaded = load(&shared, &id, &headers).await?;
    // What is possible changes with time, so there is no tag.
    let now = shared.store.now();
    let view = StatusView::new(id.as_str(), loaded.version, &loaded.state, now);
    let mut answer = answer::ok(&view.ok_or_else(|| not_found(loaded.usage))?)?;
    answer.headers_mut().insert(REQUEST_CHARGE, request_charge(loaded.usage.request_charge));
    Ok(answer)
}

async fn load(
    shared: &Shared,
    id: &StreamId,
    headers: &HeaderMap,
) -> Result<Loaded<Quote>, Problem> {
    media::of_answer(headers, &[JSON])?;
    let token = session_token(headers)?;
    let options = LoadOptions { session_token: token.clone(), ..LoadOptions::default() };
    let loaded = shared.read(Box::pin(shared.quotes.load_with(id, options))).await?;
    loaded.map_err(|error| of_load(&error, token.as_ref()))
}

/// A page of the history of a quote.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryBody<'a> {
    quote_id: &'a str,
    entries: &'a [HistoryEntry],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Read what has happened to a quote, oldest first: who did what, and when.
#[utoipa::path(
    get,
    path = "/quotes/{id}/history",
    tag = "quotes",
    params(
        schema::QuoteId,
        ("from" = Option<u64>, Query, minimum = 1, maximum = 9_007_199_254_740_991_u64,
         description = "The sequence number of the first entry"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
         description = "The most entries of the page, 100 unless it is given"),
        schema::TokenHeader,
    ),
    responses(
        (status = 200, description = "The page; without entries when it begins beyond the end",
         body = schema::QuoteHistory, headers(("request-charge" = String))),
        StoreReadProblems,
        schema::NotAQuote,
    )
)]
pub(super) async fn history(
    State(shared): State<Shared>,
    StreamPath(id): StreamPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&["from", "limit"])?;
    media::of_answer(&headers, &[JSON])?;
    let from = parameters.sequence_number("from")?.unwrap_or(1);
    let limit = parameters.limit()?;
    let last = from.saturating_add(u64::from(limit)).min(SEQUENCE_NUMBER_MAX);
    // One more than is asked for tells whether there is a next page.
    let mut read =
        shared.store.read(&id).from(from).up_to(last).page_events(limit.saturating_add(1));
    let token = session_token(&headers)?;
    if let Some(token) = token.clone() {
        read = read.session_token(token);
    }
    let mut usage = Usage::default();
    let read = Box::pin(entries(read.pages(), token.as_ref(), &mut usage));
    let read = shared.read(read).await?;
    let mut entries = read?;
    if entries.is_empty() && (from == 1 || load(&shared, &id, &headers).await?.version == 0) {
        return Err(not_found(usage));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = entries.get(limit).map(|entry| {
        let from = Some(entry.sequence_number.to_string());
        let parameters = [("from", from), ("limit", Some(limit.to_string()))];
        links::with_query(&format!("{}/history", links::quote(id.as_str())), &parameters)
    });
    entries.truncate(limit);
    let body = HistoryBody { quote_id: id.as_str(), entries: &entries, next };
    let mut answer = answer::ok(&body)?;
    answer.headers_mut().insert(REQUEST_CHARGE, request_charge(usage.request_charge));
    Ok(answer)
}

async fn entries(
    mut pages: EventPages,
    token: Option<&SessionToken>,
    usage: &mut Usage,
) -> Result<Vec<HistoryEntry>, Problem> {
    let mut entries = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| read_problem(&error, token))?;
        *usage += page.usage;
        for event in &page.events {
            let decoded = QuoteEvent::decode(event);
            let Some(decoded) =
                decoded.map_err(|error| of_load(&LoadError::Decode(error), token))?
            else {
                continue;
            };
            let entry = HistoryEntry::new(event.sequence_number(), &decoded);
            entries.push(entry.map_err(|error| {
                tracing::error!(%error, "an event of a quote cannot be shown");
                Problem::internal()
            })?);
        }
    }
    Ok(entries)
}
