//! `GET /read-models`: what there is.

use std::collections::BTreeMap;

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{of_read, schema::ReadModelListProblems};
use crate::{
    http::{
        answer,
        media::{self, JSON},
        parameters::Parameters,
        problem::Problem,
        shared::Shared,
    },
    projection::{Projection, ReadModelError, Versions},
};

/// What read models there are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadModelNames {
    read_models: Vec<ReadModelEntry>,
}

/// A read model.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReadModelEntry {
    name: String,
    /// `views`: each made from the events of one stream. `totals`: each made from many streams.
    #[schema(pattern = "^(views|totals)$")]
    kind: &'static str,
    /// By what views can be filtered and sorted.
    fields: Vec<String>,
    /// The version of its code in this process.
    code_version: u32,
    /// The number of the version that readers use; not there as long as nobody has begun to build one.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
}

/// List the read models: their fields, and which version of each readers use.
#[utoipa::path(
    get,
    path = "/read-models",
    tag = "read models",
    responses(
        (status = 200, description = "What there is", body = ReadModelNames),
        ReadModelListProblems,
    )
)]
pub(super) async fn names(
    State(shared): State<Shared>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    media::of_answer(&headers, &[JSON])?;
    let read_models = super::of(&shared)?;
    let registry = read_models.registry();
    let known = shared.read(Box::pin(registry.list())).await?;
    let known = known.map_err(|error| of_read(&ReadModelError::Registry(error)))?;
    let known: BTreeMap<String, Versions> = known.into_iter().collect();
    let entries = read_models.catalog().iter();
    let read_models = entries.map(|projection| entry(projection, &known)).collect();
    answer::ok(&ReadModelNames { read_models })
}

fn entry(projection: &Projection, known: &BTreeMap<String, Versions>) -> ReadModelEntry {
    let definition = projection.definition();
    let live = known.get(&definition.name).and_then(Versions::live);
    ReadModelEntry {
        name: definition.name.clone(),
        kind: if projection.has_totals() { "totals" } else { "views" },
        fields: definition.fields.iter().map(|field| field.name.clone()).collect(),
        code_version: definition.version,
        version: live.map(|version| version.number),
    }
}
