//! The feed as server-sent events.
//!
//! - A message is made when the client's connection has room for it, so a client that reads slowly is
//!   waited for, and one page is in memory.
//! - The `id` of a message is the token behind its event: a client that comes back with it misses nothing and
//!   gets nothing twice.
//! - The stream ends when the service stops, and when the store fails: once it has begun there is no other
//!   way to say so. The client comes back.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
    response::Response,
};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{EVENT_STREAM, Start, check_token, waits::Waits};
use crate::{
    event::RecordedEvent,
    http::{
        answer,
        limits::{FEED_RETRY, PAGE_LIMIT_DEFAULT},
        problem::{Problem, REQUEST_CHARGE, request_charge},
        shared::Shared,
        streams::EventBody,
    },
    store::{Changes, ChangesPage, ReadError},
};

/// What says that the connection is alive: a comment.
const BEAT: &[u8] = b":\n\n";

/// A page, with the feed that goes on behind it.
type Next = (Changes, Result<ChangesPage, ReadError>);

/// One reader.
struct Following {
    shared: Shared,
    start: Start,
    waits: Waits,
    state: State,
    /// When it says that it is alive, unless there is something else to say before.
    beat_at: Instant,
    _place: OwnedSemaphorePermit,
}

/// What it does.
enum State {
    /// It gives the events of a page, from this one on.
    Giving(Box<Changes>, Box<ChangesPage>, usize),
    /// It reads the next page.
    Reading(BoxFuture<'static, Next>),
    /// It waits for something new.
    Waiting(Box<Changes>),
    /// It has ended.
    Over,
}

pub(super) async fn answer(shared: Shared, start: Start) -> Result<Response, Problem> {
    let place = shared.feed_place()?;
    let waits = Waits::new(&shared.store);
    // What is wrong with a token is often seen at the first page only.
    let opening = Box::pin(async {
        let mut changes = Box::new(start.open(&shared, PAGE_LIMIT_DEFAULT).await?);
        let page = Box::pin(changes.next_page()).await;
        Ok((changes, page.map_err(|error| start.problem(&error))?))
    });
    let (changes, page) = shared.read(opening).await??;
    let charge = page.usage.request_charge;
    let hello = hello(&page)?;
    let state = State::Giving(changes, Box::new(page), 0);
    let beat_at = next_beat(shared.options.feed_beat);
    let following = Following { shared, start, waits, state, beat_at, _place: place };
    let messages = futures::stream::unfold((Some(hello), following), |(hello, mut following)| {
        async move {
            let message = match hello {
                Some(hello) => hello,
                None => following.next().await?,
            };
            Some((Ok::<Bytes, Infallible>(message), (None, following)))
        }
        .boxed()
    });
    let mut answer = answer::of_bytes(StatusCode::OK, EVENT_STREAM, Body::from_stream(messages));
    answer.headers_mut().insert(REQUEST_CHARGE, request_charge(charge));
    Ok(answer)
}

/// How long to wait before coming back, and where nothing is given at once, behind what: a message without
/// data, which clients remember and do not show.
fn hello(page: &ChangesPage) -> Result<Bytes, Problem> {
    let retry = FEED_RETRY.as_millis();
    if page.events.is_empty() {
        let id = check_token(page.continuation())?;
        Ok(format!("retry: {retry}\nid: {id}\n\n").into())
    } else {
        Ok(format!("retry: {retry}\n\n").into())
    }
}

fn next_beat(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

impl Following {
    /// The next message, or nothing behind the last one.
    async fn next(&mut self) -> Option<Bytes> {
        let message = self.message().await;
        self.beat_at = next_beat(self.shared.options.feed_beat);
        message
    }

    async fn message(&mut self) -> Option<Bytes> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Giving(changes, page, index) => {
                    if self.shared.stopping.is_cancelled() {
                        return None;
                    }
                    if let Some(event) = page.events.get(index) {
                        let message = of_event(event, page.continuation_behind(index))?;
                        self.state = State::Giving(changes, page, index.saturating_add(1));
                        return Some(message);
                    }
                    self.state = if page.events.is_empty() {
                        State::Waiting(changes)
                    } else {
                        self.waits.reset();
                        State::Reading(read(changes))
                    };
                }
                State::Reading(mut reading) => {
                    tokio::select! {
                        biased;
                        () = self.shared.stopping.cancelled() => return None,
                        (changes, page) = &mut reading => match page {
                            Ok(page) => {
                                self.state = State::Giving(Box::new(changes), Box::new(page), 0);
                            }
                            Err(error) => {
                                // It is logged where it becomes a problem, which nobody gets here.
                                let _unsaid = self.start.problem(&error);
                                return None;
                            }
                        },
                        () = tokio::time::sleep_until(self.beat_at) => {
                            self.state = State::Reading(reading);
                            return Some(Bytes::from_static(BEAT));
                        }
                    }
                }
                State::Waiting(changes) => {
                    tokio::select! {
                        biased;
                        () = self.shared.stopping.cancelled() => return None,
                        () = self.waits.next() => self.state = State::Reading(read(changes)),
                        () = tokio::time::sleep_until(self.beat_at) => {
                            self.state = State::Waiting(changes);
                            return Some(Bytes::from_static(BEAT));
                        }
                    }
                }
                State::Over => return None,
            }
        }
    }
}

/// An event as a message; nothing where that cannot be made, which is logged.
fn of_event(event: &RecordedEvent, token: String) -> Option<Bytes> {
    let token = check_token(token).ok()?;
    // JSON has no line breaks outside of texts, and none in them: it is one line of data.
    match serde_json::to_string(&EventBody::new(event)) {
        Ok(data) => Some(format!("id: {token}\ndata: {data}\n\n").into()),
        Err(error) => {
            tracing::error!(%error, "an event has no JSON form");
            None
        }
    }
}

/// Reads the next page, however long that takes: while it does, the reader is told that all is well.
fn read(mut changes: Box<Changes>) -> BoxFuture<'static, Next> {
    async move {
        let page = Box::pin(changes.next_page()).await;
        (*changes, page)
    }
    .boxed()
}
