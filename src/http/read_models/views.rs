//! Views of streams: one, and a page of many.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::{
    of_list, of_read,
    refusal::no_view,
    schema::{PageParameters, ReadModelName, ReadModelProblems, WaitParameters},
    waiting::Waiting,
};
use crate::{
    event::write_infallibly,
    http::{
        answer, etag,
        links::{self, QueryParameters},
        media::{self, JSON},
        parameters::{Parameters, ReadModelPath, ViewPath},
        problem::Problem,
        shared::Shared,
    },
    projection::{List, ReadModelError, ReadModels, View, ViewKey},
};

/// The parameters of a page that are no fields.
const PAGE: [&str; 5] = ["sort", "limit", "page", "after", "timeout"];
/// The bytes of a hash that are the tag of a view.
const TAG_BYTES: usize = 16;

/// A view of a stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = View)]
pub(super) struct ViewBody {
    /// The stream that it is made from.
    stream: String,
    /// The part of the stream that it is about, where it is not about the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    /// The sequence number of the last event in it that concerns the projection.
    sequence_number: u64,
    /// What the projection made.
    data: Value,
}

impl From<View> for ViewBody {
    fn from(view: View) -> Self {
        let View { stream, key, sequence_number, data, .. } = view;
        let part = match key {
            ViewKey::Stream => None,
            ViewKey::Part(part) => Some(part),
        };
        Self { stream, part, sequence_number, data }
    }
}

/// A page of views.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ViewPage)]
pub(super) struct ViewsBody {
    views: Vec<ViewBody>,
    /// Where the next page is; not there behind the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Read the view of a stream.
#[utoipa::path(
    get,
    path = "/read-models/{name}/views/{id}",
    tag = "read models",
    params(
        ReadModelName,
        ("id" = String, Path, description = "The stream: 1 to 128 characters, no control characters",
         min_length = 1, max_length = 128, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"),
        ("part" = Option<String>, Query, description = "The view of a part of the stream, by its key"),
        WaitParameters,
        ("If-None-Match" = Option<String>, Header, description = "Answers 304 when the view has this tag"),
    ),
    responses(
        (status = 200, description = "The view", body = ViewBody,
         headers(("ETag" = String), ("read-model" = String))),
        (status = 304, description = "The client has it already"),
        ReadModelProblems,
    )
)]
pub(super) async fn view(
    State(shared): State<Shared>,
    ViewPath(name, stream): ViewPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&["part", "after", "timeout"])?;
    media::of_answer(&headers, &[JSON])?;
    let read_models = super::of(&shared)?;
    let waiting = Waiting::of(&parameters)?;
    let key =
        parameters.text("part").map_or(ViewKey::Stream, |part| ViewKey::Part(part.to_owned()));
    let read = read_models.view(&name, stream.as_str(), &key);
    let (found, seen) = waiting.then(&shared, read_models, &name, read).await?;
    let found = found.map_err(|error| of_read(&error))?;
    let found = found.ok_or_else(|| no_view("no event of the stream has led to a view"))?;
    let body = serde_json::to_vec(&ViewBody::from(found)).map_err(|error| {
        tracing::error!(%error, "a view has no JSON form");
        Problem::internal()
    })?;
    // Another version of the projection makes another view of the same events.
    let tag = tag(&body);
    let mut answer = if etag::is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer::of_bytes(StatusCode::OK, JSON, body)
    };
    answer.headers_mut().insert(header::ETAG, tag);
    seen.mark(&mut answer);
    Ok(answer)
}

fn tag(body: &[u8]) -> axum::http::HeaderValue {
    let mut text = String::with_capacity(TAG_BYTES.saturating_mul(2));
    for byte in Sha256::digest(body).iter().take(TAG_BYTES) {
        write_infallibly(&mut text, format_args!("{byte:02x}"));
    }
    etag::quoted(&text)
}

/// List views of streams, page by page: with the value of any field as a parameter of its name, all views
/// that have it.
///
/// The value of a field is a text. One that JSON reads as a number, `true`, `false` or `null` is that
/// instead; a text that looks so stands in double quotes.
#[utoipa::path(
    get,
    path = "/read-models/{name}/views",
    tag = "read models",
    params(
        ReadModelName,
        ("sort" = Option<String>, Query,
         description = "A field, with `-` before it the largest first; `key`, the stream, unless it is given"),
        PageParameters,
        WaitParameters,
    ),
    responses(
        (status = 200, description = "A page of views", body = ViewsBody,
         headers(("Link" = String), ("read-model" = String))),
        ReadModelProblems,
    )
)]
pub(super) async fn views(
    State(shared): State<Shared>,
    ReadModelPath(name): ReadModelPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    media::of_answer(&headers, &[JSON])?;
    let read_models = super::of(&shared)?;
    let (list, mut same) = list(read_models, &name, &parameters)?;
    let waiting = Waiting::of(&parameters)?;
    let read = read_models.list(&name, &list);
    let (listed, seen) = waiting.then(&shared, read_models, &name, read).await?;
    let listed = listed.map_err(|error| of_list(&error))?;
    let next = listed.next.map(|token| {
        same.push(("page", Some(token)));
        links::with_query(&format!("{}/views", links::read_model(&name)), &same)
    });
    let views = listed.items.into_iter().map(ViewBody::from).collect();
    let mut answer = answer::ok(&ViewsBody { views, next: next.clone() })?;
    add_next(&mut answer, next.as_deref());
    seen.mark(&mut answer);
    Ok(answer)
}

/// The list that is asked for, and the parameters that make it the same list.
fn list<'p>(
    read_models: &ReadModels,
    name: &str,
    parameters: &'p Parameters,
) -> Result<(List, QueryParameters<'p>), Problem> {
    let projection = read_models.catalog().get(name);
    let projection =
        projection.ok_or_else(|| of_read(&ReadModelError::NoProjection(name.to_owned())))?;
    let fields = projection.definition().fields.iter().map(|field| field.name.as_str());
    let known: Vec<&str> = PAGE.into_iter().chain(fields).collect();
    parameters.only(&known)?;
    let limit = parameters.limit()?;
    let mut list = List::new().limit(limit);
    let mut same = vec![("limit", Some(limit.to_string()))];
    for (field, value) in parameters.iter().filter(|(name, _)| !PAGE.contains(name)) {
        list = list.filter(field, scalar(value));
        same.push((field, Some(value.to_owned())));
    }
    if let Some(sort) = parameters.text("sort") {
        let field = sort.strip_prefix('-');
        list = list.sort(field.unwrap_or(sort));
        list = if field.is_some() { list.descending() } else { list };
        same.push(("sort", Some(sort.to_owned())));
    }
    if let Some(token) = parameters.text("page") {
        list = list.after(token);
    }
    Ok((list, same))
}

/// The value of a field: a scalar as JSON has it, and a text otherwise.
fn scalar(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Array(_) | Value::Object(_)) | Err(_) => Value::String(text.to_owned()),
        Ok(scalar) => scalar,
    }
}

/// Links an answer to the next page.
pub(crate) fn add_next(answer: &mut Response, next: Option<&str>) {
    if let Some(links) = next.and_then(|next| links::header(&[("next", next)])) {
        answer.headers_mut().insert(header::LINK, links);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_texts_unless_json_has_them() {
        for (text, value) in [
            ("saved", json!("saved")),
            ("2026-11-20", json!("2026-11-20")),
            ("", json!("")),
            ("7", json!(7)),
            ("-1.5", json!(-1.5)),
            ("true", json!(true)),
            ("null", json!(null)),
            ("\"7\"", json!("7")),
            ("\"true\"", json!("true")),
            ("[1]", json!("[1]")),
            ("{}", json!("{}")),
            ("01", json!("01")),
        ] {
            assert_eq!(scalar(text), value, "{text}");
        }
    }
}
