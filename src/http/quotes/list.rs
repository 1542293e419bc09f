//! Many quotes: a list of them, and what came of those of each day. Both are from read models alone.

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Serialize;

use super::schema;
use crate::{
    http::{
        answer,
        links::{self, QueryParameters},
        media::{self, JSON},
        parameters::Parameters,
        problem::Problem,
        read_models::{self, PageParameters, ReadModelProblems, WaitParameters, Waiting},
        shared::Shared,
    },
    projection::{List, View},
    quotes::{
        Status,
        projections::{DaySummary, QuoteDays, QuoteDetails, QuoteRow},
    },
};

/// By what the list can be narrowed.
const FILTERS: [&str; 3] = [QuoteDetails::STATUS, QuoteDetails::REGION, QuoteDetails::PRODUCT];
/// By what it can be sorted.
const SORTS: [&str; 2] = [QuoteDetails::CHANGED_AT, QuoteDetails::INITIATED_AT];

/// A page of a list of quotes.
#[derive(Debug, Serialize)]
struct QuotesBody {
    quotes: Vec<QuoteRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List quotes, page by page: of a status, a region or a product, the one that changed last first unless
/// `sort` says otherwise.
#[utoipa::path(
    get,
    path = "/quotes",
    tag = "quotes",
    params(schema::ListParameters, PageParameters, WaitParameters),
    responses(
        (status = 200, description = "A page of quotes", body = schema::QuoteList,
         headers(("Link" = String), ("read-model" = String))),
        ReadModelProblems,
    )
)]
pub(super) async fn quotes(
    State(shared): State<Shared>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known: Vec<&str> = FILTERS.into_iter().chain(["sort", "limit", "page"]).collect();
    parameters.only(&[known.as_slice(), &Waiting::PARAMETERS].concat())?;
    media::of_answer(&headers, &[JSON])?;
    let read_models = read_models::of(&shared)?;
    let waiting = Waiting::of(&parameters)?;
    let (list, mut same) = list(&parameters)?;
    let name = QuoteDetails::NAME;
    let read = read_models.list(name, &list);
    let (listed, seen) = waiting.then(&shared, read_models, name, read).await?;
    let listed = listed.map_err(|error| read_models::of_list(&error))?;
    let rows: Result<Vec<_>, Problem> = listed.items.iter().map(row).collect();
    let next = listed.next.map(|token| {
        same.push(("page", Some(token)));
        links::with_query("/quotes", &same)
    });
    let quotes = rows?.into_iter().flatten().collect();
    let mut answer = answer::ok(&QuotesBody { quotes, next: next.clone() })?;
    read_models::add_next(&mut answer, next.as_deref());
    seen.mark(&mut answer);
    Ok(answer)
}

fn row(view: &View) -> Result<Option<QuoteRow>, Problem> {
    let details = view.decode().map_err(|_| read_models::damaged(QuoteDetails::NAME))?;
    Ok(QuoteRow::new(view.stream.as_str(), view.sequence_number, details))
}

/// The list that is asked for, and the parameters that make it the same list.
fn list(parameters: &Parameters) -> Result<(List, QueryParameters<'static>), Problem> {
    let limit = parameters.limit()?;
    let mut list = List::new().limit(limit);
    let mut same = Vec::new();
    for name in FILTERS {
        let Some(value) = parameters.text(name) else { continue };
        if name == QuoteDetails::STATUS && !Status::ALL.iter().any(|one| one.as_str() == value) {
            let names = Status::ALL.map(Status::as_str).join(", ");
            return Err(Problem::parameter(name, format!("one of {names}")));
        }
        list = list.filter(name, value);
        same.push((name, Some(value.to_owned())));
    }
    let sort = parameters.text("sort");
    let (field, is_descending) = match sort.map(|sort| (sort, sort.strip_prefix('-'))) {
        None => (QuoteDetails::CHANGED_AT, true),
        Some((_, Some(field))) => (field, true),
        Some((field, None)) => (field, false),
    };
    if !SORTS.contains(&field) {
        let detail = format!("one of {}, with `-` before it the newest first", SORTS.join(", "));
        return Err(Problem::parameter("sort", detail));
    }
    list = list.sort(field);
    list = if is_descending { list.descending() } else { list };
    if let Some(token) = parameters.text("page") {
        list = list.after(token);
    }
    same.push(("sort", sort.map(str::to_owned)));
    same.push(("limit", Some(limit.to_string())));
    Ok((list, same))
}

/// A page of what came of the quotes of each day.
#[derive(Debug, Serialize)]
struct SummaryBody {
    days: Vec<DaySummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Read what came of the quotes of each day and region, oldest first.
///
/// The day is the one on which a quote was initiated, in UTC, and the region is where the customer lives now.
#[utoipa::path(
    get,
    path = "/quotes/summary",
    tag = "quotes",
    params(schema::DayParameters, PageParameters, WaitParameters),
    responses(
        (status = 200, description = "A page of days", body = schema::QuoteDaysSchema,
         headers(("Link" = String), ("read-model" = String))),
        ReadModelProblems,
    )
)]
pub(super) async fn summary(
    State(shared): State<Shared>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&["from", "to", "limit", "page", "after", "timeout"])?;
    media::of_answer(&headers, &[JSON])?;
    for name in ["from", "to"] {
        check_day(name, &parameters)?;
    }
    let read_models = read_models::of(&shared)?;
    let waiting = Waiting::of(&parameters)?;
    let (list, mut same) = read_models::totals_list(&parameters)?;
    let name = QuoteDays::NAME;
    let read = read_models.totals(name, &list);
    let (listed, seen) = waiting.then(&shared, read_models, name, read).await?;
    let listed = listed.map_err(|error| read_models::of_list(&error))?;
    let next = listed.next.map(|token| {
        same.push(("page", Some(token)));
        links::with_query("/quotes/summary", &same)
    });
    let days = listed.items.iter().filter_map(|(key, total)| DaySummary::new(key, total));
    let days = days.filter(|day| day.quotes > 0).collect();
    let mut answer = answer::ok(&SummaryBody { days, next: next.clone() })?;
    read_models::add_next(&mut answer, next.as_deref());
    seen.mark(&mut answer);
    Ok(answer)
}

/// A day such as `2026-11-20`.
fn check_day(name: &str, parameters: &Parameters) -> Result<(), Problem> {
    let Some(day) = parameters.text(name) else { return Ok(()) };
    let is_day = day.len() == 10 && day.parse::<jiff::civil::Date>().is_ok();
    if is_day { Ok(()) } else { Err(Problem::parameter(name, "a day such as 2026-11-20")) }
}
