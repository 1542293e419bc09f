//! Reading streams, page by page.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    EventStore,
    cosmos::{Answered, Connection, Pages, Projection, Scope},
    document::{missing_event, read_event},
    error::{CorruptDocument, ReadError, StoreError, StoreErrorKind},
    usage::{SessionToken, Usage},
};
use crate::{
    event::{BadInput, RecordedEvent, parse_timestamp},
    stream::{SEQUENCE_NUMBER_MAX, SequenceNumber, StreamId, parse_item_id},
    telemetry::{OperationKind, Outcome, StoreOperation},
};

/// How many times of events are looked at in one request when a read backwards has to find where the
/// past ends. They are small.
const TIMES_PAGE: u32 = 1000;

/// A read of one stream, to be described and then started with [`pages`](Self::pages),
/// [`stream`](Self::stream) or [`all`](Self::all).
#[derive(Debug, Clone)]
#[must_use = "a read does nothing until it is started"]
pub struct ReadStream {
    store: EventStore,
    stream: Result<StreamId, BadInput>,
    from: u64,
    up_to: Option<u64>,
    as_of: Option<Timestamp>,
    backwards: bool,
    page_events: u32,
    session_token: Option<SessionToken>,
}

impl ReadStream {
    pub(super) fn new(store: EventStore, stream: Result<StreamId, BadInput>) -> Self {
        let page_events = store.page_events();
        Self {
            store,
            stream,
            from: 1,
            up_to: None,
            as_of: None,
            backwards: false,
            page_events,
            session_token: None,
        }
    }

    /// Oldest event first; this is the default.
    pub fn forwards(mut self) -> Self {
        self.backwards = false;
        self
    }

    /// Newest event first.
    pub fn backwards(mut self) -> Self {
        self.backwards = true;
        self
    }

    /// Leaves out what comes before this sequence number, in either direction.
    pub fn from(mut self, sequence_number: u64) -> Self {
        self.from = sequence_number;
        self
    }

    /// Leaves out what comes behind this sequence number, in either direction.
    pub fn up_to(mut self, sequence_number: u64) -> Self {
        self.up_to = Some(sequence_number);
        self
    }

    /// Leaves out what was not recorded yet at this time: the read ends before the first event that
    /// was recorded later, even if clocks of writers differ and one behind it was recorded earlier.
    pub fn as_of(mut self, time: Timestamp) -> Self {
        self.as_of = Some(time);
        self
    }

    /// Sets the most events of one page. The service may send fewer.
    pub fn page_events(mut self, events: u32) -> Self {
        self.page_events = events;
        self
    }

    /// Sees at least what the holder of this token has seen.
    pub fn session_token(mut self, token: SessionToken) -> Self {
        self.session_token = Some(token);
        self
    }

    /// The events page by page. Each page says what it took; one is in memory at a time.
    ///
    /// A stream that does not exist has no events. Every page is one round trip; a read that is
    /// [backwards](Self::backwards) and [as of](Self::as_of) a time first looks for the end of that
    /// past. Its charge and round trips are in the first page.
    pub fn pages(self) -> EventPages {
        let reading = Reading { read: self, state: State::New };
        EventPages(
            futures::stream::unfold(reading, |mut reading| async move {
                Box::pin(reading.next()).await.map(|page| (page, reading))
            })
            .boxed(),
        )
    }

    /// The events one by one.
    pub fn stream(self) -> EventStream {
        EventStream(
            self.pages()
                .map_ok(|page| futures::stream::iter(page.events.into_iter().map(Ok)))
                .try_flatten()
                .boxed(),
        )
    }

    /// All events at once. The whole stream is held in memory; bound it with
    /// [`up_to`](Self::up_to) where that may be much.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn all(self) -> Result<Events, ReadError> {
        let mut pages = self.pages();
        let mut all = Events { events: Vec::new(), usage: Usage::default(), session_token: None };
        while let Some(page) = pages.next().await {
            let mut page = page?;
            all.events.append(&mut page.events);
            all.usage += page.usage;
            all.session_token = page.session_token.or(all.session_token);
        }
        Ok(all)
    }
}

/// Events that were read, with what that took: a page of a stream, or all of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Events {
    /// The events, in the order of the read.
    pub events: Vec<RecordedEvent>,
    /// What it took.
    pub usage: Usage,
    /// What makes a later read see at least as much.
    pub session_token: Option<SessionToken>,
}

/// The events of a read, page by page.
pub struct EventPages(BoxStream<'static, Result<Events, ReadError>>);

impl Stream for EventPages {
    type Item = Result<Events, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for EventPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventPages(..)")
    }
}

/// The events of a read, one by one.
pub struct EventStream(BoxStream<'static, Result<RecordedEvent, ReadError>>);

impl Stream for EventStream {
    type Item = Result<RecordedEvent, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventStream(..)")
    }
}

/// A read on its way.
struct Reading {
    read: ReadStream,
    state: State,
}

enum State {
    New,
    Open {
        pages: Pages,
        stream: StreamId,
        /// The number that the next event must have; unknown for the first one of a read backwards.
        next: Option<u64>,
        /// What was spent before the first page.
        spent: Usage,
    },
    Over,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Events, ReadError>> {
        if matches!(self.state, State::New)
            && let Err(error) = self.open().await
        {
            self.state = State::Over;
            return Some(Err(error));
        }
        let State::Open { pages, stream, next, spent } = &mut self.state else { return None };
        let meter = self.read.store.meter(OperationKind::ReadPage, stream.reported_category());
        let Some(Answered { value, mut usage, session_token }) = pages.next().await else {
            self.state = State::Over;
            return None;
        };
        usage += std::mem::take(spent);
        let bytes = value.iter().flatten().map(|raw| raw.get().len()).sum();
        let page = value
            .map_err(ReadError::from)
            .and_then(|raw| Ok(decode_page(stream, &raw, next, self.read.backwards)?));
        meter.report(&page, usage, page.as_ref().map_or(0, Vec::len), bytes);
        let mut events = match page {
            Ok(events) => events,
            Err(error) => {
                self.state = State::Over;
                return Some(Err(error));
            }
        };
        if let (Some(time), false) = (self.read.as_of, self.read.backwards) {
            let past = events.iter().take_while(|event| event.recorded_at() <= time).count();
            if past < events.len() {
                events.truncate(past);
                self.state = State::Over;
            }
        }
        Some(Ok(Events { events, usage, session_token }))
    }

    async fn open(&mut self) -> Result<(), ReadError> {
        let read = &self.read;
        let stream = read.stream.clone()?;
        let from = SequenceNumber::new(read.from)?.get();
        let mut up_to = read.up_to;
        let mut spent = Usage::default();
        if let (Some(time), true) = (read.as_of, read.backwards) {
            let past = read.store.past_end(stream.as_str(), from, up_to, time).await;
            spent = past.usage;
            up_to = Some(past.value?);
        }
        if up_to.is_some_and(|up_to| up_to < from) {
            self.state = State::Over;
            return Ok(());
        }
        let scope = Scope::Run {
            stream: stream.as_str().to_owned(),
            from,
            up_to: up_to.map(|up_to| up_to.min(SEQUENCE_NUMBER_MAX)),
            backwards: read.backwards,
            projection: Projection::Documents,
        };
        let connection = read.store.connection();
        let pages =
            connection.pages(&scope, read.page_events, read.session_token.as_ref(), None).await?;
        let next = (!read.backwards).then_some(from);
        self.state = State::Open { pages, stream, next, spent };
        Ok(())
    }
}

/// Reads the documents of a page and checks that no event is missing between them.
fn decode_page(
    stream: &StreamId,
    raw: &[Box<RawValue>],
    next: &mut Option<u64>,
    backwards: bool,
) -> Result<Vec<RecordedEvent>, CorruptDocument> {
    let mut events = Vec::with_capacity(raw.len());
    for raw in raw {
        let event = read_event(Some(stream.as_str()), raw)?;
        let number = event.sequence_number();
        if let Some(expected) = *next
            && expected != number
        {
            return Err(missing_event(stream.as_str(), expected));
        }
        *next = Some(if backwards { number.saturating_sub(1) } else { number.saturating_add(1) });
        events.push(event);
    }
    Ok(events)
}

/// Enough of a document to say where it is and when it was recorded.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    id: String,
    #[serde(default)]
    recorded_at: Option<String>,
}

fn place(stream: &str, raw: &RawValue) -> Result<(u64, Place), CorruptDocument> {
    let corrupt = |document_id: String, reason: &str| CorruptDocument {
        stream: stream.to_owned(),
        document_id,
        reason: reason.to_owned(),
    };
    let place: Place = serde_json::from_str(raw.get())
        .map_err(|_| corrupt(String::new(), "it has no id that is a text"))?;
    match parse_item_id(&place.id) {
        Some(number) => Ok((number, place)),
        None => Err(corrupt(place.id, "its id is not a sequence number")),
    }
}

impl EventStore {
    /// The last sequence number of the longest prefix that was recorded at or before the time; one
    /// less than `from` when there is none.
    async fn past_end(
        &self,
        stream: &str,
        from: u64,
        up_to: Option<u64>,
        time: Timestamp,
    ) -> Answered<Result<u64, ReadError>> {
        let mut usage = Usage::default();
        let value = self.find_past_end(stream, from, up_to, time, &mut usage).await;
        Answered { value, usage, session_token: None }
    }

    async fn find_past_end(
        &self,
        stream: &str,
        from: u64,
        up_to: Option<u64>,
        time: Timestamp,
        usage: &mut Usage,
    ) -> Result<u64, ReadError> {
        let scope = Scope::Run {
            stream: stream.to_owned(),
            from,
            up_to,
            backwards: false,
            projection: Projection::Times,
        };
        let mut pages = self.connection().pages(&scope, TIMES_PAGE, None, None).await?;
        let mut end = from.saturating_sub(1);
        while let Some(page) = pages.next().await {
            *usage += page.usage;
            for raw in page.value? {
                let (number, place) = place(stream, &raw)?;
                let recorded_at = place.recorded_at.as_deref().and_then(parse_timestamp);
                let Some(recorded_at) = recorded_at else {
                    let reason = "recordedAt is not a stored time".to_owned();
                    let (stream, document_id) = (stream.to_owned(), place.id);
                    return Err(CorruptDocument { stream, document_id, reason }.into());
                };
                if recorded_at > time {
                    return Ok(end);
                }
                end = number;
            }
        }
        Ok(end)
    }
}

/// The sequence number of a stream's last event; 0 when it has none.
pub(super) async fn last_event_number(
    connection: &Connection,
    stream: &str,
    session_token: Option<&SessionToken>,
) -> Answered<Result<u64, ReadError>> {
    let scope = Scope::Last { stream: stream.to_owned() };
    let mut pages = match connection.pages(&scope, 1, session_token, None).await {
        Ok(pages) => pages,
        Err(error) => {
            return Answered {
                usage: error.usage(),
                value: Err(error.into()),
                session_token: None,
            };
        }
    };
    let (mut usage, mut session_token) = (Usage::default(), None);
    // A page may be empty without being the last.
    while let Some(page) = pages.next().await {
        usage += page.usage;
        session_token = page.session_token.or(session_token);
        let value = match page.value {
            Ok(items) => match items.first() {
                Some(raw) => place(stream, raw).map(|(number, _)| number).map_err(ReadError::from),
                None => continue,
            },
            Err(error) => Err(error.into()),
        };
        return Answered { value, usage, session_token };
    }
    Answered { value: Ok(0), usage, session_token }
}

/// The error for an answer that is not what was asked for.
pub(super) fn unexpected(reason: &'static str) -> ReadError {
    ReadError::Store(StoreError::new(StoreErrorKind::Protocol).with_source(reason))
}

/// How a read is reported.
pub(super) fn outcome<T>(result: &Result<T, ReadError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(ReadError::BadInput(_) | ReadError::Continuation(_)) => Outcome::BadInput,
        Err(ReadError::Corrupt(_)) => Outcome::Corrupt,
        Err(ReadError::Store(error)) if error.kind() == StoreErrorKind::Throttled => {
            Outcome::Throttled
        }
        Err(ReadError::Store(_)) => Outcome::Failed,
    }
}

/// Measures one operation and reports it.
pub(super) struct Meter<'a> {
    pub(super) store: &'a EventStore,
    pub(super) kind: OperationKind,
    pub(super) category: String,
    pub(super) started: std::time::Duration,
}

impl Meter<'_> {
    pub(super) fn report<T>(
        &self,
        result: &Result<T, ReadError>,
        usage: Usage,
        items: usize,
        bytes: usize,
    ) {
        self.emit(outcome(result), usage, items, bytes);
    }

    pub(super) fn emit(&self, outcome: Outcome, usage: Usage, items: usize, bytes: usize) {
        let mut operation = StoreOperation::new(self.kind, &self.category);
        operation.outcome = outcome;
        operation.request_charge = usage.request_charge;
        operation.round_trips = usage.round_trips;
        (operation.retries, operation.throttles) = (usage.retries, usage.throttles);
        operation.items = u64::try_from(items).unwrap_or(u64::MAX);
        operation.bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        operation.elapsed = self.store.clock().monotonic().saturating_sub(self.started);
        self.store.operations().add(&operation);
        operation.emit();
    }
}
