//! From an HTTP request to its handler, and from the handler's answer to an HTTP response.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};

use super::context::Call;
use super::error::ServiceError;
use super::respond::Reply;
use super::route::{Action, Path};
use super::{account, batch, container, database, feed, item, names, offer, query, ranges};
use crate::auth::SignedRequest;
use crate::clock;
use crate::management::faults::{Effect, RequestFacts};
use crate::state::ServerState;

/// The version of the protocol that answers name.
const PROTOCOL: &str = "2020-07-15";
/// Largest body that is read: above the largest item and the largest batch, whose own limits give
/// the better message.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Kind under which requests without an operation are counted.
const UNKNOWN: &str = "other";

/// The request gets no answer: its connection is closed (HTTP/1.1) or its stream reset (HTTP/2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was dropped by an injected fault")
    }
}

impl std::error::Error for Dropped {}

/// Answers requests.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    state: Arc<ServerState>,
    /// Distinguishes the activity ids of one run from those of another.
    epoch: u64,
    requests: AtomicU64,
}

impl Dispatcher {
    pub(crate) fn new(state: Arc<ServerState>) -> Self {
        let epoch = state.engine.clock().unix_seconds();
        Self { state, epoch, requests: AtomicU64::new(0) }
    }

    /// Answers one request.
    ///
    /// # Errors
    ///
    /// [`Dropped`] when a fault asks for no answer.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Dropped> {
        let began = clock::monotonic();
        let (parts, body) = request.into_parts();
        let activity = self.activity(&parts.headers);
        let path = Path::parse(parts.uri.path());
        let routed = path.resolve(&parts.method, &parts.headers);
        let body = read(body).await;
        let kind = routed.as_ref().map_or(UNKNOWN, |(action, _)| action.kind());
        self.state.counters.received(kind, body.as_ref().map_or(0, Bytes::len));
        let outcome = match (self.authorise(&parts.method, &path, &parts.headers), routed, body) {
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => Ok(Err(error)),
            (Ok(()), Ok((action, ids)), Ok(body)) => {
                let call = Call { ids, headers: parts.headers, body, uri: parts.uri.clone() };
                self.with_faults(&parts.method, action, &call).await
            }
        };
        let reply = match outcome? {
            Ok(reply) => reply,
            Err(error) => {
                if error.status.is_server_error() {
                    tracing::warn!(kind, status = error.status.as_u16(), message = error.message);
                }
                Reply::error(&error)
            }
        };
        self.state.counters.sent(reply.body.len());
        Ok(finish(reply, activity, began))
    }

    /// Carries the request out, unless a fault is due.
    async fn with_faults(
        &self,
        method: &Method,
        action: Action,
        call: &Call,
    ) -> Result<Result<Reply, ServiceError>, Dropped> {
        let facts = RequestFacts {
            kind: action.kind(),
            method: method.as_str(),
            database: &call.ids.database,
            container: &call.ids.container,
            partition_key: call.header(names::PARTITION_KEY),
        };
        let verdict = self.state.faults.decide(&facts, clock::monotonic());
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        match verdict.effect {
            Effect::Pass => Ok(handle(&self.state, action, call).await),
            Effect::DropBefore => Err(Dropped),
            Effect::DropAfter => {
                // Whatever came of it, nobody is told.
                let outcome = handle(&self.state, action, call).await;
                tracing::debug!(applied = outcome.is_ok(), "the answer is dropped by a fault");
                Err(Dropped)
            }
            Effect::Refuse { status, substatus, retry_after } => {
                let status =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut error = ServiceError::new(status, "an injected fault");
                error.substatus = substatus;
                error.retry_after_ms =
                    retry_after.and_then(|wait| u64::try_from(wait.as_millis()).ok());
                Ok(Err(error))
            }
        }
    }

    /// Checks the signature.
    fn authorise(
        &self,
        method: &Method,
        path: &Path<'_>,
        headers: &HeaderMap,
    ) -> Result<(), ServiceError> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signed = path.signed();
        let request = SignedRequest {
            method: method.as_str(),
            resource_type: signed.resource_type,
            resource_link: &signed.link,
            x_ms_date: text("x-ms-date"),
            date: text("date"),
            authorization: text("authorization"),
        };
        let verified = self.state.verifier.verify(&request).or_else(|error| {
            if signed.raw_link == signed.link {
                return Err(error);
            }
            let raw = SignedRequest { resource_link: signed.raw_link, ..request };
            self.state.verifier.verify(&raw).map_err(|_| error)
        });
        verified.map_err(|error| {
            ServiceError::new(
                StatusCode::UNAUTHORIZED,
                format!("The request is not authorized: {error}"),
            )
        })
    }

    /// The client's activity id, or a new one.
    fn activity(&self, headers: &HeaderMap) -> HeaderValue {
        headers.get(names::ACTIVITY_ID).cloned().unwrap_or_else(|| {
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            let text = format!("{:08x}-0000-4000-8000-{:012x}", self.epoch & 0xFFFF_FFFF, number);
            HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
        })
    }
}

/// Reads a body whole.
async fn read(body: Incoming) -> Result<Bytes, ServiceError> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ServiceError::too_large("Request size is too large"))
        }
        Err(_) => Err(ServiceError::bad_request("the body did not arrive whole")),
    }
}

/// The handler of each operation.
async fn handle(state: &ServerState, action: Action, call: &Call) -> Result<Reply, ServiceError> {
    match action {
        Action::Batch => batch::execute(state, call).await,
        Action::ReadItem => item::read(state, call),
        Action::CreateItem => item::create(state, call).await,
        Action::UpsertItem => item::upsert(state, call).await,
        Action::ReplaceItem => item::replace(state, call).await,
        Action::DeleteItem => item::delete(state, call).await,
        Action::PatchItem => item::patch(state, call).await,
        Action::QueryItems => query::items(state, call).await,
        Action::ReadFeed => query::read_feed(state, call).await,
        Action::QueryPlan => query::plan(state, call),
        Action::ChangeFeed => feed::read(state, call).await,
        Action::ReadRanges => ranges::read(state, call),
        Action::ReadAccount => Ok(account::read(call)),
        Action::CreateDatabase => database::create(state, call).await,
        Action::ListDatabases => database::list(state, call),
        Action::QueryDatabases => database::query(state, call),
        Action::ReadDatabase => database::read(state, call),
        Action::DeleteDatabase => database::delete(state, call).await,
        Action::CreateContainer => container::create(state, call).await,
        Action::ListContainers => container::list(state, call),
        Action::QueryContainers => container::query(state, call),
        Action::ReadContainer => container::read(state, call),
        Action::ReplaceContainer => container::replace(state, call).await,
        Action::DeleteContainer => container::delete(state, call).await,
        Action::QueryOffers => offer::query(state, call),
        Action::ListOffers => offer::list(state, call),
        Action::ReadOffer => offer::read(state, call),
        Action::ReplaceOffer => offer::replace(state, call).await,
    }
}

/// Adds what every answer carries.
fn finish(reply: Reply, activity: HeaderValue, began: Instant) -> Response<Full<Bytes>> {
    let Reply { status, mut headers, body } = reply;
    headers.insert(names::VERSION, HeaderValue::from_static(PROTOCOL));
    headers.insert(names::ACTIVITY_ID, activity);
    let micros = began.elapsed().as_micros();
    let duration = format!("{}.{:03}", micros / 1000, micros % 1000);
    if let Ok(duration) = HeaderValue::from_str(&duration) {
        headers.insert(names::REQUEST_DURATION, duration);
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
