//! Views over many streams: one, and a page of many.

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    of_list, of_read,
    refusal::no_view,
    schema::{PageParameters, ReadModelName, ReadModelProblems, WaitParameters},
    views::add_next,
    waiting::Waiting,
};
use crate::{
    http::{
        answer,
        links::{self, QueryParameters},
        media::{self, JSON},
        parameters::{Parameters, ReadModelPath, TotalPath},
        problem::Problem,
        shared::Shared,
    },
    projection::{Total, TotalsList},
};

/// A view over many streams.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Total)]
pub(super) struct TotalBody {
    key: String,
    /// How many streams add to it.
    streams: u64,
    /// What they add, by name.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

impl TotalBody {
    fn new(key: String, total: &Total) -> Self {
        Self { key, streams: total.streams, data: total.shown() }
    }
}

/// A page of views over many streams.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TotalPage)]
pub(super) struct TotalsBody {
    totals: Vec<TotalBody>,
    /// Where the next page is; not there behind the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Read a total by its key.
#[utoipa::path(
    get,
    path = "/read-models/{name}/totals/{key}",
    tag = "read models",
    params(
        ReadModelName,
        ("key" = String, Path, description = "The key of the total", min_length = 1, max_length = 128,
         pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"),
        WaitParameters,
    ),
    responses(
        (status = 200, description = "The total", body = TotalBody, headers(("read-model" = String))),
        ReadModelProblems,
    )
)]
pub(super) async fn total(
    State(shared): State<Shared>,
    TotalPath(name, key): TotalPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&Waiting::PARAMETERS)?;
    media::of_answer(&headers, &[JSON])?;
    let read_models = super::of(&shared)?;
    let waiting = Waiting::of(&parameters)?;
    let read = read_models.total(&name, &key);
    let (found, seen) = waiting.then(&shared, read_models, &name, read).await?;
    let found = found.map_err(|error| of_read(&error))?;
    // One to which nothing is added any more is none.
    let found = found.filter(|total| total.streams > 0);
    let found = found.ok_or_else(|| no_view("no stream adds to a total with this key"))?;
    let mut answer = answer::ok(&TotalBody::new(key, &found))?;
    seen.mark(&mut answer);
    Ok(answer)
}

/// List totals by their keys, page by page.
#[utoipa::path(
    get,
    path = "/read-models/{name}/totals",
    tag = "read models",
    params(
        ReadModelName,
        ("from" = Option<String>, Query, description = "Only keys from this one on"),
        ("to" = Option<String>, Query,
         description = "Only keys up to this one, and those that begin with it"),
        PageParameters,
        WaitParameters,
    ),
    responses(
        (status = 200, description = "A page of totals", body = TotalsBody,
         headers(("Link" = String), ("read-model" = String))),
        ReadModelProblems,
    )
)]
pub(super) async fn totals(
    State(shared): State<Shared>,
    ReadModelPath(name): ReadModelPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&["from", "to", "limit", "page", "after", "timeout"])?;
    media::of_answer(&headers, &[JSON])?;
    let read_models = super::of(&shared)?;
    let waiting = Waiting::of(&parameters)?;
    let (list, mut same) = list(&parameters)?;
    let read = read_models.totals(&name, &list);
    let (listed, seen) = waiting.then(&shared, read_models, &name, read).await?;
    let listed = listed.map_err(|error| of_list(&error))?;
    let next = listed.next.map(|token| {
        same.push(("page", Some(token)));
        links::with_query(&format!("{}/totals", links::read_model(&name)), &same)
    });
    let items = listed.items.into_iter().filter(|(_, total)| total.streams > 0);
    let totals = items.map(|(key, total)| TotalBody::new(key, &total)).collect();
    let mut answer = answer::ok(&TotalsBody { totals, next: next.clone() })?;
    add_next(&mut answer, next.as_deref());
    seen.mark(&mut answer);
    Ok(answer)
}

/// The list that is asked for, and the parameters that make it the same list.
pub(crate) fn list(
    parameters: &Parameters,
) -> Result<(TotalsList, QueryParameters<'static>), Problem> {
    let limit = parameters.limit()?;
    let (from, to) = (parameters.text("from"), parameters.text("to"));
    let mut list = TotalsList::new().limit(limit);
    if let Some(from) = from {
        list = list.from(from);
    }
    if let Some(to) = to {
        list = list.up_to(to);
    }
    if let Some(token) = parameters.text("page") {
        list = list.after(token);
    }
    let same = vec![
        ("from", from.map(str::to_owned)),
        ("to", to.map(str::to_owned)),
        ("limit", Some(limit.to_string())),
    ];
    Ok((list, same))
}
