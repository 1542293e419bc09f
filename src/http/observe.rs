//! What surrounds every request: its id, its place among those in flight, its line in the log.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{
    host,
    problem::{self, Problem},
    request_id::{REQUEST_ID, RequestId},
    shared::{InFlight, Shared},
};

/// The target of the access log.
pub(super) const TARGET: &str = "cosmos_event_store::http";
/// Routes that answer also when there are too many requests: who watches the process asks there.
const NEVER_REFUSED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The outermost layer.
pub(super) async fn observe(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = shared.elapsed();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    // The template, not the path: stream ids do not belong in a log.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let admitted =
        host::check(&request, shared.options.is_behind_host).and_then(|()| place(&shared, route));
    let answer = match admitted {
        Ok(place) => {
            // A write keeps its own when its client goes away; this one lasts until there is an answer, also
            // for a read.
            if let Some(place) = place.clone() {
                request.extensions_mut().insert(place);
            }
            let answer = next.run(request).await;
            drop(place);
            answer
        }
        Err(problem) => problem.into_response(),
    };
    let mut answer = problem::render(answer, &id);
    answer.headers_mut().insert(REQUEST_ID, id.header().clone());
    let status = answer.status();
    let elapsed = shared.elapsed().saturating_sub(started);
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    if status.is_server_error() {
        tracing::info!(
            target: TARGET,
            %method, route, status = status.as_u16(), elapsed_us, request_id = id.as_str(), "request"
        );
    } else {
        tracing::debug!(
            target: TARGET,
            %method, route, status = status.as_u16(), elapsed_us, request_id = id.as_str(), "request"
        );
    }
    answer
}

fn place(shared: &Shared, route: &str) -> Result<Option<InFlight>, Problem> {
    if NEVER_REFUSED.contains(&route) {
        return Ok(None);
    }
    let permit = Arc::clone(&shared.requests).try_acquire_owned();
    permit.map(|permit| Some(InFlight::new(permit))).map_err(|_| Problem::overloaded())
}
