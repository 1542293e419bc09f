//! How far processors are behind, for people and autoscalers. What is asked for, the program gives: a reader.

use axum::{Router, extract::State, response::Response, routing::get};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::{
    answer, openapi,
    parameters::{Parameters, ProcessorPath},
    problem::{PROCESSOR_NOT_FOUND, Problem, ROUTE_NOT_FOUND},
    router::Routes,
    shared::Shared,
};
use crate::feed::lag::{LagError, LagReader, ProcessorLag, RangeLag, RangeState};

#[derive(OpenApi)]
#[openapi(paths(all, one))]
struct Description;

pub(super) fn routes() -> Routes {
    let router = Router::new().route("/lag", get(all)).route("/lag/{processor}", get(one));
    Routes::new(router, Description::openapi()).with_problems(&[&PROCESSOR_NOT_FOUND])
}

/// How far all processors are behind.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Lags<'a> {
    /// Of the processor that is furthest behind; null where that of one is not known.
    lag_seconds: Option<u64>,
    /// Of all processors together; null where that of one is not known.
    lag_transactions: Option<u64>,
    /// Of all processors together.
    parked: u64,
    processors: Vec<ProcessorBody<'a>>,
}

/// How far a processor is behind.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessorLag)]
#[serde(rename_all = "camelCase")]
struct ProcessorBody<'a> {
    /// Its name.
    processor: &'a str,
    /// The age of the oldest change that is not done; null where it is not known.
    lag_seconds: Option<u64>,
    /// Transactions that are not done; null where they are not known.
    lag_transactions: Option<u64>,
    /// Its ranges: more hosts than these have nothing to do.
    leases: u64,
    /// The ranges where nothing is done though there is something to do.
    stalled: u64,
    /// The ranges that no host has.
    unowned: u64,
    /// The streams that are set aside.
    parked: u64,
    /// The instances that work on it.
    hosts: &'a [String],
    ranges: Vec<RangeBody<'a>>,
}

/// How far a range is behind.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RangeLag)]
#[serde(rename_all = "camelCase")]
struct RangeBody<'a> {
    range: &'a str,
    /// The instance that has it; null where there is none.
    owner: Option<&'a str>,
    /// How often it changed hands.
    epoch: u64,
    lag_seconds: Option<u64>,
    lag_transactions: Option<u64>,
    /// `idle`, `working`, `stalled`, `paused` or `unowned`.
    state: &'static str,
}

impl<'a> From<&'a RangeLag> for RangeBody<'a> {
    fn from(lag: &'a RangeLag) -> Self {
        Self {
            range: &lag.range,
            owner: lag.owner.as_deref(),
            epoch: lag.epoch,
            lag_seconds: lag.lag_seconds,
            lag_transactions: lag.lag_transactions,
            state: lag.state.as_str(),
        }
    }
}

impl<'a> From<&'a ProcessorLag> for ProcessorBody<'a> {
    fn from(lag: &'a ProcessorLag) -> Self {
        Self {
            processor: &lag.processor,
            lag_seconds: lag.seconds(),
            lag_transactions: lag.transactions(),
            leases: u64::try_from(lag.ranges.len()).unwrap_or(u64::MAX),
            stalled: lag.count(RangeState::Stalled),
            unowned: lag.count(RangeState::Unowned),
            parked: lag.parked,
            hosts: &lag.hosts,
            ranges: lag.ranges.iter().map(RangeBody::from).collect(),
        }
    }
}

/// How far all processors are behind, and who works on them.
#[utoipa::path(
    get,
    path = "/lag",
    tag = "service",
    responses(
        (status = 200, description = "The lag of each processor, and of all together", body = Lags<'_>),
        openapi::LookupProblems,
        openapi::ReadProblems,
    )
)]
async fn all(State(shared): State<Shared>, parameters: Parameters) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let found = Box::pin(shared.read(reader(&shared)?.processors())).await?;
    let found = found.map_err(|error| unknown(&error))?;
    let seconds: Option<Vec<u64>> = found.iter().map(ProcessorLag::seconds).collect();
    let transactions: Option<Vec<u64>> = found.iter().map(ProcessorLag::transactions).collect();
    answer::ok(&Lags {
        lag_seconds: seconds.map(|all| all.into_iter().max().unwrap_or_default()),
        lag_transactions: transactions.map(|all| all.into_iter().fold(0, u64::saturating_add)),
        parked: found.iter().map(|lag| lag.parked).fold(0, u64::saturating_add),
        processors: found.iter().map(ProcessorBody::from).collect(),
    })
}

/// How far one processor is behind, and who works on it.
#[utoipa::path(
    get,
    path = "/lag/{processor}",
    tag = "service",
    params(("processor" = String, Path, description = "The name of the processor; that of a read model is NAME@VERSION",
            example = "quote-details@1")),
    responses(
        (status = 200, description = "Its lag", body = ProcessorBody<'_>),
        openapi::LookupProblems,
        openapi::ReadProblems,
    )
)]
async fn one(
    State(shared): State<Shared>,
    ProcessorPath(name): ProcessorPath,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let found = Box::pin(shared.read(reader(&shared)?.processor(&name))).await?;
    match found.map_err(|error| unknown(&error))? {
        Some(lag) => answer::ok(&ProcessorBody::from(&lag)),
        None => {
            Err(Problem::new(&PROCESSOR_NOT_FOUND, "nobody has started a processor of this name"))
        }
    }
}

fn reader(shared: &Shared) -> Result<&LagReader, Problem> {
    let reader = shared.options.lag.as_ref();
    reader.ok_or_else(|| Problem::new(&ROUTE_NOT_FOUND, "this process does not know of processors"))
}

fn unknown(error: &LagError) -> Problem {
    tracing::warn!(%error, "the lag is not known");
    Problem::unavailable()
}
