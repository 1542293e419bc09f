//! A page of the feed as JSON, at once or when there is something new.

use std::time::Duration;

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Start, check_token, waits::Waits};
use crate::{
    http::{
        answer,
        limits::FEED_WAIT_MAX,
        links,
        parameters::Parameters,
        problem::{Problem, REQUEST_CHARGE, request_charge},
        shared::Inner,
        streams::EventBody,
    },
    store::{ChangesPage, Usage},
};

/// The parameters of a page.
const PARAMETERS: &[&str] = &["after", "limit", "wait"];

/// A page of all events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Feed)]
pub(super) struct FeedBody<'a> {
    /// The events, those of one stream in their order.
    events: Vec<EventBody<'a>>,
    /// Where the next page is, which may still be empty.
    next: &'a str,
    /// The token that lies behind these events: to be stored together with what was made of them.
    after: &'a str,
    /// Whether there is nothing more at the moment: a page without events.
    caught_up: bool,
}

/// Which page is asked for.
#[derive(Debug)]
pub(super) struct PageQuery {
    start: Start,
    limit: u32,
    wait: Duration,
}

impl PageQuery {
    pub(super) fn of(parameters: &Parameters) -> Result<Self, Problem> {
        parameters.only(PARAMETERS)?;
        let wait = Duration::from_secs(parameters.number("wait")?.unwrap_or(0));
        if wait > FEED_WAIT_MAX {
            let detail = format!("0 to {} seconds", FEED_WAIT_MAX.as_secs());
            return Err(Problem::parameter("wait", detail));
        }
        let start = Start::of(parameters.text("after"), false);
        Ok(Self { start, limit: parameters.limit()?, wait })
    }

    fn next(&self, after: &str) -> String {
        let wait = (!self.wait.is_zero()).then(|| self.wait.as_secs().to_string());
        let parameters = [
            ("after", Some(after.to_owned())),
            ("limit", Some(self.limit.to_string())),
            ("wait", wait),
        ];
        links::with_query("/feed", &parameters)
    }
}

pub(super) async fn answer(shared: &Inner, query: &PageQuery) -> Result<Response, Problem> {
    let (page, usage) = shared.read(Box::pin(read(shared, query))).await??;
    let after = check_token(page.continuation())?;
    let mut answer = answer::ok(&FeedBody {
        events: page.events.iter().map(EventBody::new).collect(),
        next: &query.next(&after),
        after: &after,
        caught_up: page.events.is_empty(),
    })?;
    answer.headers_mut().insert(REQUEST_CHARGE, request_charge(usage.request_charge));
    Ok(answer)
}

/// The next page with events, or an empty one when there was none for so long, or the service stops.
async fn read(shared: &Inner, query: &PageQuery) -> Result<(ChangesPage, Usage), Problem> {
    let mut waits = Waits::new(&shared.store);
    let mut changes = query.start.open(shared, query.limit).await?;
    let next = Box::pin(changes.next_page()).await;
    let mut page = next.map_err(|error| query.start.problem(&error))?;
    let mut usage = page.usage;
    if query.wait.is_zero() || !page.events.is_empty() {
        return Ok((page, usage));
    }
    let _place = shared.feed_place()?;
    let mut end = std::pin::pin!(tokio::time::sleep(query.wait));
    while page.events.is_empty() {
        tokio::select! {
            biased;
            () = shared.stopping.cancelled() => break,
            () = &mut end => break,
            () = waits.next() => {}
        }
        let next = Box::pin(changes.next_page()).await;
        page = next.map_err(|error| query.start.problem(&error))?;
        usage += page.usage;
    }
    Ok((page, usage))
}
