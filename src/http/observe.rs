//! What surrounds every request: who asks, its id, its place among those in flight, its line in the log.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use tracing::{Instrument as _, Span, field::Empty};

use super::{
    access::{self, Principal},
    figures, host,
    problem::{self, Problem},
    request_id::{REQUEST_ID, RequestId},
    security,
    shared::{InFlight, Shared},
    trace,
};
use crate::telemetry::{spans, trace::TraceContext};

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
    let is_secure = security::came_by_https(request.headers());
    let span = span(&method, route.as_ref().map(MatchedPath::as_str));
    let context = spans::child_of(&span, trace::of_headers(request.headers()));
    let trace_id = context.as_ref().map(|context| context.trace_id().to_owned());
    if let Some(context) = context {
        request.extensions_mut().insert::<TraceContext>(context);
    }
    let admitted = admit(&shared, &mut request, route.as_ref().map(MatchedPath::as_str), &id).await;
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let principal = request.extensions().get::<Principal>().cloned();
    let answer = match admitted {
        Ok(place) => {
            // A write keeps its own when its client goes away; this one lasts until there is an answer, also
            // for a read.
            if let Some(place) = place.clone() {
                request.extensions_mut().insert(place);
            }
            let answer = next.run(request).instrument(span.clone()).await;
            drop(place);
            answer
        }
        Err(problem) => problem.into_response(),
    };
    let mut answer = problem::render(answer, &id);
    answer.headers_mut().insert(REQUEST_ID, id.header().clone());
    let is_controlled = shared.options.access.is_controlled();
    security::add(answer.headers_mut(), is_controlled, is_secure);
    let status = answer.status();
    end(&span, status);
    let elapsed = shared.elapsed().saturating_sub(started);
    shared.answered.add(&method, route, status, elapsed);
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let principal = principal.as_ref().map(Principal::as_str);
    if status.is_server_error() {
        tracing::info!(
            target: TARGET,
            %method, route, status = status.as_u16(), elapsed_us, request_id = id.as_str(), principal, trace_id,
            "request"
        );
    } else {
        tracing::debug!(
            target: TARGET,
            %method, route, status = status.as_u16(), elapsed_us, request_id = id.as_str(), principal, trace_id,
            "request"
        );
    }
    answer
}

/// The span of a request, for who exports traces. It tells the template of the path, never the path or the query; and
/// it is not made for who watches the process, again and again.
fn span(method: &Method, route: Option<&str>) -> Span {
    if route.is_some_and(|route| NEVER_REFUSED.contains(&route)) {
        return Span::none();
    }
    tracing::info_span!(
        target: spans::TARGET,
        parent: None,
        "request",
        otel.name = span_name(method, route),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = figures::known(method).unwrap_or("_OTHER"),
        http.route = route,
        http.response.status_code = Empty,
        error.type = Empty,
    )
}

fn span_name(method: &Method, route: Option<&str>) -> String {
    let method = figures::known(method).unwrap_or("HTTP");
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

/// Notes how a request ended.
fn end(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR").record("error.type", status.as_str());
    }
}

/// Lets a request in: with its place among those in flight, and with who asks noted.
async fn admit(
    shared: &Shared,
    request: &mut Request,
    route: Option<&str>,
    id: &RequestId,
) -> Result<Option<InFlight>, Problem> {
    let name = route.unwrap_or("");
    host::check(request, name, &shared.options)?;
    let place = place(shared, name)?;
    let need = access::need(request.method(), route);
    // A check may wait for the keys of a tenant, and the request keeps its place meanwhile.
    let caller = shared.options.access.caller(request.headers_mut(), need, id.as_str()).await?;
    if let Some(caller) = caller {
        let checked = caller.check(need);
        request.extensions_mut().insert(caller.principal);
        checked?;
    }
    Ok(place)
}

fn place(shared: &Shared, route: &str) -> Result<Option<InFlight>, Problem> {
    if NEVER_REFUSED.contains(&route) {
        return Ok(None);
    }
    let permit = Arc::clone(&shared.requests).try_acquire_owned();
    permit.map(|permit| Some(InFlight::new(permit))).map_err(|_| Problem::overloaded())
}
