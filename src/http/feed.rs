//! `GET /feed`: all events, for readers in any language that build views of their own.
//!
//! - A reader says behind what it wants to go on, with a token that the service gave it, and nothing of it
//!   is remembered here.
//! - As JSON it is a page, which may be waited for; as `text/event-stream` it goes on until the reader or
//!   the service ends. Both are bounded in number and hold one page of the store at a time.

mod page;
mod stream;
mod waits;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
    routing::get,
};
use utoipa::OpenApi;

use self::page::{FeedBody, PageQuery};
use super::{
    media::{self, JSON},
    openapi::StoreListProblems,
    parameters::Parameters,
    problem::{self, Problem},
    router::Routes,
    shared::{Inner, Shared},
};
use crate::store::{CONTINUATION_BYTES_MAX, Changes, ChangesFrom, ReadError};

/// A feed that goes on: server-sent events.
const EVENT_STREAM: &str = "text/event-stream";
/// What a feed can be.
const TYPES: &[&str] = &[JSON, EVENT_STREAM];
/// The value of `after` that begins behind what is stored now.
const NOW: &str = "now";
/// Where a reader of server-sent events goes on after a lost connection.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(OpenApi)]
#[openapi(paths(feed), tags((name = "feed", description = "All events, to build views from")))]
struct Description;

pub(super) fn routes() -> Routes {
    let router: Router<Shared> = Router::new().route("/feed", get(feed));
    Routes::new(router, Description::openapi())
}

/// Read all events, from the first one on or behind a token.
///
/// The events of one stream come in their order, and those of one append in one page; between streams there
/// is no order. A token lies exactly behind what was given: store it together with what was made of the
/// events, in one transaction, and each event is made into it exactly once. As `text/event-stream` each event
/// is a message whose `id` is the token behind it, and there are no parameters but `after`.
#[utoipa::path(
    get,
    path = "/feed",
    tag = "feed",
    params(
        ("after" = Option<String>, Query, max_length = 61_440, pattern = "^[A-Za-z0-9._~-]+$",
         description = "A token of an earlier answer, or `now`; without it the feed begins with the first \
                        event that was ever stored"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
         description = "The most events of the page, 100 unless it is given; the last append of the page is \
                        not torn apart and may make it longer"),
        ("wait" = Option<u32>, Query, minimum = 0, maximum = 30,
         description = "How many seconds to wait when there is nothing new, 0 unless it is given"),
        ("Last-Event-ID" = Option<String>, Header,
         description = "In place of `after`, for `text/event-stream`: the `id` of the last message"),
    ),
    responses(
        (status = 200, description = "The page, or the messages",
         content((FeedBody<'_> = "application/json"), (String = "text/event-stream")),
         headers(("request-charge" = String))),
        StoreListProblems,
    )
)]
async fn feed(
    State(shared): State<Shared>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut answer = if media::of_answer(&headers, TYPES)? == JSON {
        let query = PageQuery::of(&parameters)?;
        page::answer(&shared, &query).await?
    } else {
        parameters.only(&["after"])?;
        let start = Start::of_stream(&parameters, &headers)?;
        stream::answer(shared, start).await?
    };
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_name(header::ACCEPT));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// Where a reader begins, and how it said so.
#[derive(Debug, Clone)]
struct Start {
    from: ChangesFrom,
    is_header: bool,
}

impl Start {
    fn of(after: Option<&str>, is_header: bool) -> Self {
        let from = match after {
            None => ChangesFrom::Beginning,
            Some(NOW) => ChangesFrom::Now,
            Some(token) => ChangesFrom::Continuation(token.to_owned()),
        };
        Self { from, is_header }
    }

    /// A browser that comes back sends the same URL and what it has seen last, which is newer.
    fn of_stream(parameters: &Parameters, headers: &HeaderMap) -> Result<Self, Problem> {
        match headers.get(LAST_EVENT_ID).map(HeaderValue::to_str) {
            None => Ok(Self::of(parameters.text("after"), false)),
            Some(Ok(token)) => Ok(Self::of(Some(token), true)),
            Some(Err(_)) => {
                Err(Problem::header(LAST_EVENT_ID.as_str(), "not a token of this feed"))
            }
        }
    }

    async fn open(&self, shared: &Inner, page_events: u32) -> Result<Changes, Problem> {
        let opening = shared.store.changes_in_pages(self.from.clone(), page_events);
        Box::pin(opening).await.map_err(|error| self.problem(&error))
    }

    /// A read that failed. A token that cannot be used is named by where it was.
    fn problem(&self, error: &ReadError) -> Problem {
        match error {
            ReadError::Continuation(bad) if self.is_header => {
                Problem::header(LAST_EVENT_ID.as_str(), bad.to_string())
            }
            _ => problem::of_read(error),
        }
    }
}

/// Refuses to give a token that would not be taken back.
fn check_token(token: String) -> Result<String, Problem> {
    if token.len() <= CONTINUATION_BYTES_MAX {
        return Ok(token);
    }
    tracing::error!(bytes = token.len(), "the store has more partitions than a token can name");
    Err(Problem::internal())
}
