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

use super::{EventBody, SESSION_TOKEN, read_problem, session_token};
use crate::{
    event::RecordedEvent,
    http::{
        answer,
        cloudevents::{CloudEvent, CloudEventSchema},
        etag, links,
        media::{self, CLOUD_EVENTS, JSON},
        openapi::StoreReadProblems,
        parameters::{Parameters, StreamPath},
        problem::{Problem, REQUEST_CHARGE, STREAM_NOT_FOUND, request_charge},
        shared::{Inner, Shared},
    },
    store::{SessionToken, Usage},
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
         description = "The most events of the page, 100 unless it is given"),
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
struct Page {
    events: Vec<RecordedEvent>,
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
    let limit = usize::try_from(range.limit).unwrap_or(usize::MAX);
    let mut page =
        Page { events: Vec::new(), next: None, usage: Usage::default(), session_token: None };
    if range.from <= range.to {
        // One more than is asked for tells whether there is a next page.
        let wanted = range.limit.saturating_add(1);
        let mut read =
            shared.store.read(stream).from(range.from).up_to(range.to).page_events(wanted);
        if range.backwards {
            read = read.backwards();
        }
        if let Some(at) = range.as_of {
            read = read.as_of(at);
        }
        if let Some(token) = token.clone() {
            read = read.session_token(token);
        }
        let mut pages = read.pages();
        while page.events.len() <= limit
            && let Some(part) = pages.next().await
        {
            let part = part.map_err(|error| read_problem(&error, token.as_ref()))?;
            page.events.extend(part.events);
            page.usage += part.usage;
            let token = part.session_token.map(|token| HeaderValue::from_str(token.as_str()));
            page.session_token = token.and_then(Result::ok).or(page.session_token);
        }
    }
    if page.events.is_empty() {
        // Nothing in the range: is there a stream at all?
        let version = Box::pin(shared.store.version(stream)).await;
        let version = version.map_err(|error| read_problem(&error, None))?;
        page.usage += version.usage;
        if version.value == 0 {
            return Err(
                Problem::new(&STREAM_NOT_FOUND, "the stream has no events").with_usage(page.usage)
            );
        }
    }
    if page.events.len() > limit {
        page.events.truncate(limit);
        let last = page.events.last().map_or(0, RecordedEvent::sequence_number);
        page.next = Some(if range.backwards {
            range.link(stream, range.from, last.saturating_sub(1))
        } else {
            range.link(stream, last.saturating_add(1), range.to)
        });
    }
    Ok(page)
}

impl Page {
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
