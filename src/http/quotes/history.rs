//! What has happened to a quote, from its read model or from its events.

use axum::{extract::State, http::HeaderMap, response::Response};
use futures::StreamExt as _;
use serde::Serialize;

use super::{
    read::{Source, Token, view_of},
    refusal::{not_found, of_load},
    schema,
};
use crate::{
    aggregate::{DomainEvent as _, LoadError},
    http::{
        answer,
        limits::PAGE_LIMIT_MAX,
        links,
        media::{self, JSON},
        openapi::StoreReadProblems,
        parameters::{Parameters, StreamPath},
        problem::{Problem, REQUEST_CHARGE, request_charge},
        read_models::{ReadModelProblems, Seen, WaitParameters},
        shared::{Inner, Shared},
    },
    quotes::{
        HistoryEntry, QuoteEvent, Status,
        projections::{QuoteHistory, QuoteHistoryView},
    },
    store::{EventPages, Usage},
    stream::{SEQUENCE_NUMBER_MAX, StreamId},
};

/// A page of the history of a quote.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryBody<'a> {
    quote_id: &'a str,
    entries: &'a [HistoryEntry],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which part of a history is asked for.
struct Range {
    from: u64,
    limit: u32,
}

/// Part from the first that is asked for on: one more than a page has tells that there is another.
struct Part {
    entries: Vec<HistoryEntry>,
    /// What it took, where that is known.
    usage: Option<Usage>,
    seen: Seen,
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
        schema::Fresh,
        WaitParameters,
        schema::TokenHeader,
    ),
    responses(
        (status = 200, description = "The page; without entries when it begins beyond the end",
         body = schema::QuoteHistory,
         headers(("request-charge" = String), ("read-model" = String))),
        StoreReadProblems,
        ReadModelProblems,
        schema::NotAQuote,
    )
)]
pub(super) async fn history(
    State(shared): State<Shared>,
    StreamPath(id): StreamPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&["from", "limit", "fresh", "after", "timeout"])?;
    media::of_answer(&headers, &[JSON])?;
    let from = parameters.sequence_number("from")?.unwrap_or(1);
    let range = Range { from, limit: parameters.limit()? };
    let name = QuoteHistory::NAME;
    let found = match Source::of(&shared, name, &parameters, &headers)? {
        Source::ReadModels(read_models, waiting) => {
            let (view, seen) = view_of(&shared, read_models, &waiting, name, &id).await?;
            match view.decode() {
                Ok(QuoteHistoryView { omitted, entries, .. }) if range.from > omitted => {
                    let entries = entries.into_iter();
                    let entries =
                        entries.filter(|entry| entry.sequence_number >= range.from).collect();
                    Part { entries, usage: None, seen }
                }
                // A history as long as that is in its events only. And a view may be of former code, as long
                // as the version of this code is being built.
                Ok(_) | Err(_) => {
                    let token = Token::of_receipt(&waiting);
                    Part { seen, ..from_events(&shared, &id, &range, &token).await? }
                }
            }
        }
        Source::Events(token) => from_events(&shared, &id, &range, &token).await?,
    };
    page(&id, &range, parameters.text("fresh"), found)
}

fn page(
    id: &StreamId,
    range: &Range,
    fresh: Option<&str>,
    found: Part,
) -> Result<Response, Problem> {
    let Part { mut entries, usage, seen } = found;
    let limit = usize::try_from(range.limit).unwrap_or(usize::MAX);
    let next = entries.get(limit).map(|entry| {
        let from = Some(entry.sequence_number.to_string());
        let parameters = [
            ("from", from),
            ("limit", Some(limit.to_string())),
            ("fresh", fresh.map(str::to_owned)),
        ];
        links::with_query(&format!("{}/history", links::quote(id.as_str())), &parameters)
    });
    entries.truncate(limit);
    let body = HistoryBody { quote_id: id.as_str(), entries: &entries, next };
    let mut answer = answer::ok(&body)?;
    if let Some(usage) = usage {
        answer.headers_mut().insert(REQUEST_CHARGE, request_charge(usage.request_charge));
    }
    seen.mark(&mut answer);
    Ok(answer)
}

/// Reads from the first event on: where a quote stood before an event follows from all before it.
async fn from_events(
    shared: &Inner,
    id: &StreamId,
    range: &Range,
    token: &Token,
) -> Result<Part, Problem> {
    let last = range.from.saturating_add(u64::from(range.limit)).min(SEQUENCE_NUMBER_MAX);
    let size = u32::try_from(last).unwrap_or(PAGE_LIMIT_MAX).min(PAGE_LIMIT_MAX.saturating_add(1));
    let mut read = shared.store.read(id).up_to(last).page_events(size);
    if let Some(token) = token.get() {
        read = read.session_token(token.clone());
    }
    let mut usage = Usage::default();
    let read = Box::pin(entries(read.pages(), range.from, token, &mut usage));
    let read = shared.read(read).await?;
    let (entries, is_there) = read?;
    if !is_there {
        return Err(not_found(usage));
    }
    Ok(Part { entries, usage: Some(usage), seen: Seen::Anything })
}

/// The entries from a place on, and whether there is any event at all.
async fn entries(
    mut pages: EventPages,
    from: u64,
    token: &Token,
    usage: &mut Usage,
) -> Result<(Vec<HistoryEntry>, bool), Problem> {
    let mut entries = Vec::new();
    let (mut status, mut is_there) = (Status::Absent, false);
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| token.problem(&error))?;
        *usage += page.usage;
        for event in &page.events {
            is_there = true;
            let decoded = QuoteEvent::decode(event);
            let Some(decoded) =
                decoded.map_err(|error| of_load(&LoadError::Decode(error), token.get()))?
            else {
                continue;
            };
            let entry = HistoryEntry::new(event.sequence_number(), &decoded, status);
            status = entry.to_status;
            if entry.sequence_number < from {
                continue;
            }
            entries.push(entry.with_data(&decoded).map_err(|error| {
                tracing::error!(%error, "an event of a quote cannot be shown");
                Problem::internal()
            })?);
        }
    }
    Ok((entries, is_there))
}
