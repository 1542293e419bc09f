//! `GET /streams/{id}/events`: a page of a stream.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{EventBody, SESSION_TOKEN, one::first, read_problem, session_token};
use crate::{
    event::RecordedEvent,
    http::{
        answer,
        cloudevents::{CloudEvent, CloudEventSchema},
        etag,
        limits::STORE_PAGES_MAX,
        links,
        media::{self, CLOUD_EVENTS, JSON},
        openapi::StoreReadProblems,
        parameters::{Parameters, StreamPath},
        problem::{Problem, REQUEST_CHARGE, STREAM_NOT_FOUND, request_charge},
        shared::{Inner, Shared},
    },
    store::{ReadStream, SessionToken, Usage},
    stream::{SEQUENCE_NUMBER_MAX, StreamId},
};

/// What a page can be.
const TYPES: &[&str] = &[JSON, CLOUD_EVENTS];
/// The parameters of a page.
const PARAMETERS: &[&str] = &["from", "to", "direction", "limit", "asOf"];

/// A page of the events of a stream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventPage)]
struct PageBody<'a> {
    stream: &'a str,
    /// The events, in the order that was asked for.
    events: Vec<EventBody<'a>>,
    /// Where the next page is; not there behind the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// Which part of a stream is asked for.
#[derive(Debug)]
struct Range {
    from: u64,
    to: u64,
    backwards: bool,
    limit: u32,
    as_of: Option<Timestamp>,
}

impl Range {
    fn of(parameters: &Parameters) -> Result<Self, Problem> {
        parameters.only(PARAMETERS)?;
        let backwards = match parameters.text("direction") {
            None | Some("forwards") => false,
            Some("backwards") => true,
            Some(_) => return Err(Problem::parameter("direction", "forwards or backwards")),
        };
        let as_of = parameters.text("asOf").map(str::parse).transpose();
        let as_of = as_of.map_err(|_| {
            Problem::parameter("asOf", "expected a time such as 2026-11-20T10:00:00Z")
        })?;
        Ok(Self {
            from: parameters.sequence_number("from")?.unwrap_or(1),
            to: parameters.sequence_number("to")?.unwrap_or(SEQUENCE_NUMBER_MAX),
            backwards,
            limit: parameters.limit()?,
            as_of,
        })
    }

    /// The read of a page. One event more than is asked for tells whether there is a next page.
    fn read(&self, shared: &Inner, stream: &StreamId, token: Option<&SessionToken>) -> ReadStream {
        let mut read = shared.store.read(stream).from(self.from).up_to(self.to);
        read = read.page_events(self.limit.saturating_add(1));
        if self.backwards {
            read = read.backwards();
        }
        if let Some(at) = self.as_of {
            read = read.as_of(at);
        }
        match token {
            Some(token) => read.session_token(token.clone()),
            None => read,
        }
    }

    /// The link to what follows an event, if that is still in the range.
    fn next(&self, stream: &StreamId, last: u64) -> Option<String> {
        if self.backwards {
            (last > self.from).then(|| self.link(stream, self.from, last.saturating_sub(1)))
        } else {
            (last < self.to).then(|| self.link(stream, last.saturating_add(1), self.to))
        }
    }

    /// The link to a page with this range.
    fn link(&self, stream: &StreamId, from: u64, to: u64) -> String {
        let parameters = [
            ("from", (from > 1).then(|| from.to_string())),
            ("to", (to < SEQUENCE_NUMBER_MAX).then(|| to.to_string())),
            ("direction", self.backwards.then(|| "backwards".to_owned())),
            ("limit", Some(self.limit.to_string())),
            ("asOf", self.as_of.map(|at| at.to_string())),
        ];
        links::with_query(&format!("{}/events", links::stream(stream.as_str())), &parameters)
    }
}

/// Read the events of a stream, page by page.
///
/// Event numbers count from 1 without a gap. An event never changes, so a page that is full never does
/// either.
#[utoipa::path(
    get,
    path = "/streams/{id}/events",
    tag = "streams",
    params(
        ("id" = String, Path, description = "The stream: 1 to 128 characters, no control characters",
         min_length = 1, max_length = 128, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"),
        ("from" = Option<u64>, Query, minimum = 1, maximum = 9_007_199_254_740_991_u64,
         description = "Leaves out what comes before it, in either direction"),
        ("to" = Option<u64>, Query, minimum = 1, maximum = 9_007_199_254_740_991_u64,
         description = "Leaves out what comes behind it, in either direction"),
        ("direction" = inline(Option<Direction>), Query,
         description = "Oldest event first (the default) or newest event first"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
         description = "The most events of the page, 100 unless it is given; large ones make it shorter"),
        ("asOf" = Option<String>, Query, format = DateTime,
         description = "Ends before the first event that was recorded later"),
        ("session-token" = Option<String>, Header, pattern = "^[!-~]{1,8192}$",
         description = "Sees at least what a write has stored"),
        ("If-None-Match" = Option<String>, Header, description = "Answers 304 when the page has this tag"),
    ),
    responses(
        (status = 200, description = "The page; without events when the range is beyond the end",
         content(
            (PageBody<'_> = "application/json"),
            (Vec<CloudEventSchema> = "application/cloudevents-batch+json"),
         ),
         headers(("ETag" = String), ("Link" = String), ("request-charge" = String))),
        (status = 304, description = "The page is the one that the client has"),
        StoreReadProblems,
    )
)]
pub(super) async fn events(
    State(shared): State<Shared>,
    StreamPath(stream): StreamPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let range = Range::of(&parameters)?;
    let kind = media::of_answer(&headers, TYPES)?;
    let token = session_token(&headers)?;
    let page = shared.read(Box::pin(read(&shared, &stream, &range, token))).await??;
    let tag = page.tag(kind);
    let mut answer = if etag::is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        page.answer(kind, &stream)?
    };
    let headers = answer.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::VARY, HeaderValue::from_name(header::ACCEPT));
    headers.insert(REQUEST_CHARGE, request_charge(page.usage.request_charge));
    let first = range.link(&stream, 1, SEQUENCE_NUMBER_MAX);
    let mut relations = vec![("first", first.as_str())];
    relations.extend(page.next.iter().map(|next| ("next", next.as_str())));
    if let Some(links) = links::header(&relations) {
        headers.insert(header::LINK, links);
    }
    if let Some(token) = page.session_token {
        headers.insert(SESSION_TOKEN, token);
    }
    Ok(answer)
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "the description of a parameter")]
enum Direction {
    Forwards,
    Backwards,
}

/// A page that was read.
#[derive(Default)]
struct Page {
    events: Vec<RecordedEvent>,
    /// Whether something of the range may be left.
    is_cut: bool,
    next: Option<String>,
    usage: Usage,
    session_token: Option<HeaderValue>,
}

async fn read(
    shared: &Inner,
    stream: &StreamId,
    range: &Range,
    token: Option<SessionToken>,
) -> Result<Page, Problem> {
    let mut page = Page::default();
    if range.from <= range.to {
        page.fill(range, range.read(shared, stream, token.as_ref()), token.as_ref()).await?;
    }
    if let Some(last) = page.events.last() {
        if page.is_cut {
            page.next = range.next(stream, last.sequence_number());
        }
        return Ok(page);
    }
    // Nothing in the range: is there a stream at all?
    let mut read = shared.store.read(stream).page_events(1);
    if let Some(token) = token.clone() {
        read = read.session_token(token);
    }
    let (event, usage) = first(read).await.map_err(|error| read_problem(&error, token.as_ref()))?;
    page.usage += usage;
    match event {
        Some(_) => Ok(page),
        None => {
            Err(Problem::new(&STREAM_NOT_FOUND, "the stream has no events").with_usage(page.usage))
        }
    }
}

impl Page {
    /// Reads what the page can hold, and notes whether something is left.
    async fn fill(
        &mut self,
        range: &Range,
        read: ReadStream,
        token: Option<&SessionToken>,
    ) -> Result<(), Problem> {
        let limit = usize::try_from(range.limit).unwrap_or(usize::MAX);
        let mut pages = read.pages();
        let mut parts = 0_usize;
        while self.events.len() <= limit
            && parts < STORE_PAGES_MAX
            && let Some(part) = pages.next().await
        {
            let part = part.map_err(|error| read_problem(&error, token))?;
            parts = parts.saturating_add(usize::from(!part.events.is_empty()));
            self.events.extend(part.events);
            self.usage += part.usage;
            let token = part.session_token.map(|token| HeaderValue::from_str(token.as_str()));
            self.session_token = token.and_then(Result::ok).or(self.session_token.take());
        }
        self.is_cut = self.events.len() > limit || parts == STORE_PAGES_MAX;
        self.events.truncate(limit);
        Ok(())
    }

    /// Events never change, so the first and last id and what follows them say it all.
    fn tag(&self, kind: &str) -> HeaderValue {
        let form = if kind == JSON { "j" } else { "c" };
        let more = if self.next.is_some() { "more" } else { "end" };
        match (self.events.first(), self.events.last()) {
            (Some(first), Some(last)) => {
                let (first, last) = (first.sequence_number(), (last.sequence_number(), last.id()));
                etag::quoted(&format!("{form}-{first}-{}-{}-{more}", last.0, last.1))
            }
            _ => etag::quoted(&format!("{form}-none")),
        }
    }

    fn answer(&self, kind: &'static str, stream: &StreamId) -> Result<Response, Problem> {
        if kind == JSON {
            answer::ok(&PageBody {
                stream: stream.as_str(),
                events: self.events.iter().map(EventBody::new).collect(),
                next: self.next.as_deref(),
            })
        } else {
            let events: Vec<_> = self.events.iter().map(CloudEvent::new).collect();
            answer::of_value(StatusCode::OK, kind, &events)
        }
    }
}
