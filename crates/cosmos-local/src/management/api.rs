//! The management port's requests and answers, apart from HTTP itself.

use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fault::{Fault, Throttle};
use super::{Control, ControlError, Partition};

/// An answer: a status and a JSON body.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    fn ok(body: impl Serialize) -> Self {
        Self::with(200, body)
    }

    fn with(status: u16, body: impl Serialize) -> Self {
        let body = serde_json::to_value(body).unwrap_or(Value::Null);
        Self { status, body }
    }

    /// An error for a person: `{"error": ".."}`.
    pub(super) fn error(status: u16, message: &str) -> Self {
        Self::with(status, json!({ "error": message }))
    }
}

impl From<ControlError> for Answer {
    fn from(error: ControlError) -> Self {
        let status = match &error {
            ControlError::NotFound(_) => 404,
            ControlError::Invalid(_) => 400,
            ControlError::Failed(_) => 500,
        };
        Self::error(status, &error.to_string())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ThrottleRequest {
    requests_per_second: Option<f64>,
    ratio: Option<f64>,
    retry_after_ms: Option<u64>,
    seconds: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SplitRequest {
    database: String,
    container: String,
    partition: Option<u32>,
    at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MergeRequest {
    database: String,
    container: String,
    left: u32,
    right: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockRequest {
    advance_seconds: u64,
}

/// What is there, whatever the method.
const RESOURCES: [&str; 8] =
    ["health", "counters", "throttle", "split", "merge", "sweep", "clock", "shutdown"];

/// Answers one request. `health` is the body for `GET /health`.
pub(super) async fn answer(
    control: &Control,
    health: &Value,
    method: &str,
    path: &str,
    body: &[u8],
) -> Answer {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let outcome = match (method, segments.as_slice()) {
        ("GET", ["health"]) => Ok(match control.failure() {
            None => Answer::ok(health),
            Some(reason) => Answer::with(503, json!({ "status": "failed", "error": reason })),
        }),
        ("GET", ["counters"]) => Ok(Answer::ok(control.counts())),
        ("DELETE", ["counters"]) => Ok(Answer::ok(control.reset_counts())),
        (_, ["faults", ..]) => faults(control, method, &segments, body),
        ("POST", ["throttle"]) => throttle(control, body),
        ("DELETE", ["throttle"]) => {
            control.clear_throttles();
            Ok(Answer::ok(json!({})))
        }
        ("GET", ["partitions", database, container]) => {
            let decoded = |id: &str| percent_decode_str(id).decode_utf8_lossy().into_owned();
            let listed = control.partitions(&decoded(database), &decoded(container));
            listed.map(|listed| partitions(&listed)).map_err(Answer::from)
        }
        ("POST", ["split"]) => split(control, body).await,
        ("POST", ["merge"]) => merge(control, body).await,
        ("POST", ["sweep"]) => {
            let swept = control.sweep().await;
            swept.map(|count| Answer::ok(json!({ "removed": count }))).map_err(Answer::from)
        }
        ("POST", ["clock"]) => clock(control, body),
        ("POST", ["shutdown"]) => {
            control.stop();
            Ok(Answer::with(202, json!({ "status": "stopping" })))
        }
        (_, [known]) if RESOURCES.contains(known) => {
            Err(Answer::error(405, "the resource does not have this method"))
        }
        _ => Err(Answer::error(404, "there is no such resource")),
    };
    outcome.unwrap_or_else(|error| error)
}

fn faults(
    control: &Control,
    method: &str,
    segments: &[&str],
    body: &[u8],
) -> Result<Answer, Answer> {
    match (method, segments) {
        ("GET", [_]) => Ok(Answer::ok(json!({ "faults": control.faults() }))),
        ("POST", [_]) => {
            let fault: Fault = parse(body)?;
            Ok(Answer::with(201, control.inject(fault)?))
        }
        ("DELETE", [_]) => {
            control.clear_faults();
            Ok(Answer::ok(json!({})))
        }
        ("DELETE", [_, id]) => {
            let id = id.parse().map_err(|_| Answer::error(400, "the id of a fault is a number"))?;
            control.remove_fault(id)?;
            Ok(Answer::ok(json!({})))
        }
        _ => Err(Answer::error(405, "the resource does not have this method")),
    }
}

fn throttle(control: &Control, body: &[u8]) -> Result<Answer, Answer> {
    let request: ThrottleRequest = parse(body)?;
    let throttle = Throttle {
        requests_per_second: request.requests_per_second,
        ratio: request.ratio,
        retry_after_ms: request.retry_after_ms,
    };
    Ok(Answer::with(201, control.throttle(throttle, request.seconds)?))
}

async fn split(control: &Control, body: &[u8]) -> Result<Answer, Answer> {
    let request: SplitRequest = parse(body)?;
    let (database, container) = (&request.database, &request.container);
    let split = control.split(database, container, request.partition, request.at.as_deref()).await;
    Ok(partitions(&split?))
}

async fn merge(control: &Control, body: &[u8]) -> Result<Answer, Answer> {
    let request: MergeRequest = parse(body)?;
    let (database, container) = (&request.database, &request.container);
    Ok(partitions(&control.merge(database, container, request.left, request.right).await?))
}

fn clock(control: &Control, body: &[u8]) -> Result<Answer, Answer> {
    let request: ClockRequest = parse(body)?;
    control.advance_clock(request.advance_seconds);
    Ok(Answer::ok(json!({})))
}

fn partitions(partitions: &[Partition]) -> Answer {
    Answer::ok(json!({ "partitions": partitions }))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Answer> {
    serde_json::from_slice(body)
        .map_err(|error| Answer::error(400, &format!("the body is not valid: {error}")))
}
