//! What goes over all streams: listing and counting.

use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use serde::Deserialize;

use super::{
    EventStore,
    cosmos::{Answered, Pages, Scope},
    document::read_event,
    error::ReadError,
    read::unexpected,
    usage::Usage,
};
use crate::{event::RecordedEvent, telemetry::OperationKind};

/// The sequence numbers that a count asks for in one request. They are a few bytes each.
const NUMBERS_PAGE: u32 = 10_000;

/// A list of all streams, to be started with [`pages`](Self::pages).
#[derive(Debug, Clone)]
#[must_use = "a list does nothing until it is started"]
pub struct ListStreams {
    store: EventStore,
    page_events: u32,
    continuation: Option<String>,
}

/// A page of the list of streams.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StreamPage {
    /// The first events of the streams, in no particular order.
    pub first_events: Vec<RecordedEvent>,
    /// What the page took.
    pub usage: Usage,
    /// What [`ListStreams::continuation`] takes to go on behind this page; nothing behind the last.
    pub continuation: Option<String>,
}

impl ListStreams {
    pub(super) fn new(store: EventStore) -> Self {
        let page_events = store.page_events();
        Self { store, page_events, continuation: None }
    }

    /// Sets the most streams of one page. The service may send fewer.
    pub fn page_events(mut self, events: u32) -> Self {
        self.page_events = events;
        self
    }

    /// Goes on behind a page of an earlier list.
    pub fn continuation(mut self, token: impl Into<String>) -> Self {
        self.continuation = Some(token.into());
        self
    }

    /// The list page by page. A query over all partitions: the charge grows with the number of
    /// streams and of physical partitions.
    pub fn pages(self) -> StreamPages {
        let listing = Listing { list: self, pages: None, over: false };
        StreamPages(
            futures::stream::unfold(listing, |mut listing| async move {
                Box::pin(listing.next()).await.map(|page| (page, listing))
            })
            .boxed(),
        )
    }
}

/// The streams of a store, page by page.
pub struct StreamPages(BoxStream<'static, Result<StreamPage, ReadError>>);

impl Stream for StreamPages {
    type Item = Result<StreamPage, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for StreamPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamPages(..)")
    }
}

struct Listing {
    list: ListStreams,
    pages: Option<Pages>,
    over: bool,
}

impl Listing {
    async fn next(&mut self) -> Option<Result<StreamPage, ReadError>> {
        if self.over {
            return None;
        }
        let page = self.page().await;
        self.over = !matches!(page, Some(Ok(_)));
        page
    }

    async fn page(&mut self) -> Option<Result<StreamPage, ReadError>> {
        let ListStreams { store, page_events, continuation } = &self.list;
        let meter = store.meter(OperationKind::ListStreams, "");
        if self.pages.is_none() {
            let connection = store.connection();
            let token = continuation.as_deref();
            match connection.pages(&Scope::FirstEvents, *page_events, None, token).await {
                Ok(pages) => self.pages = Some(pages),
                Err(error) => return Some(Err(error.into())),
            }
        }
        let pages = self.pages.as_mut()?;
        let Answered { value, usage, .. } = pages.next().await?;
        let bytes = value.iter().flatten().map(|raw| raw.get().len()).sum();
        let events: Result<Vec<RecordedEvent>, ReadError> =
            value.map_err(ReadError::from).and_then(|raw| {
                Ok(raw.iter().map(|raw| read_event(None, raw)).collect::<Result<_, _>>()?)
            });
        meter.report(&events, usage, events.as_ref().map_or(0, Vec::len), bytes);
        let continuation = pages.continuation();
        Some(events.map(|first_events| StreamPage { first_events, usage, continuation }))
    }
}

/// How much is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// The streams that have at least one event.
    pub streams: u64,
    /// The events of all streams.
    pub events: u64,
    /// What the count took.
    pub usage: Usage,
}

/// How much is stored, of each type.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct TypeCounts {
    /// All of it.
    pub total: Counts,
    /// The events of each type. Types are few: they are names in code.
    pub events_by_type: BTreeMap<String, u64>,
}

impl EventStore {
    /// Counts streams and events. The SDK does not add up over partitions, so every event's number is
    /// fetched: a few bytes and about 0.04 RU each. While others append, the count is of no definite
    /// moment.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn counts(&self) -> Result<Counts, ReadError> {
        let meter = self.meter(OperationKind::Count, "");
        let mut counts = Counts::default();
        let result = Box::pin(self.count(&mut counts)).await;
        let items = usize::try_from(counts.events).unwrap_or(usize::MAX);
        meter.report(&result, counts.usage, items, 0);
        result.map(|()| counts)
    }

    async fn count(&self, counts: &mut Counts) -> Result<(), ReadError> {
        let mut pages = self.connection().pages(&Scope::Numbers, NUMBERS_PAGE, None, None).await?;
        while let Some(page) = pages.next().await {
            counts.usage += page.usage;
            for raw in page.value? {
                let number: u64 = serde_json::from_str(raw.get())
                    .map_err(|_| unexpected("a sequence number is not an integer"))?;
                counts.events = counts.events.saturating_add(1);
                counts.streams = counts.streams.saturating_add(u64::from(number == 1));
            }
        }
        Ok(())
    }

    /// Like [`counts`](Self::counts), with the events of each type. Fetches the types as well: the
    /// same requests, with more bytes in the answers.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn counts_by_type(&self) -> Result<TypeCounts, ReadError> {
        let meter = self.meter(OperationKind::Count, "");
        let mut counts = TypeCounts::default();
        let result = Box::pin(self.count_types(&mut counts)).await;
        let items = usize::try_from(counts.total.events).unwrap_or(usize::MAX);
        meter.report(&result, counts.total.usage, items, 0);
        result.map(|()| counts)
    }

    async fn count_types(&self, counts: &mut TypeCounts) -> Result<(), ReadError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Row {
            sequence_number: u64,
            r#type: String,
        }
        let TypeCounts { total, events_by_type } = counts;
        let mut pages = self.connection().pages(&Scope::Types, NUMBERS_PAGE, None, None).await?;
        while let Some(page) = pages.next().await {
            total.usage += page.usage;
            for raw in page.value? {
                let row: Row = serde_json::from_str(raw.get())
                    .map_err(|_| unexpected("an event has no sequence number or no type"))?;
                total.events = total.events.saturating_add(1);
                total.streams = total.streams.saturating_add(u64::from(row.sequence_number == 1));
                let events = events_by_type.entry(row.r#type).or_default();
                *events = events.saturating_add(1);
            }
        }
        Ok(())
    }
}
