//! The change feed of the events container: partitions that take turns, each with its own place.
//!
//! The SDK can follow all partitions at once, but a reader that goes on at a token of it always begins with
//! the first partition, and may never come to the last one. So each partition is followed on its own here,
//! and whose turn it is belongs to the position.
//!
//! - A partition that is split goes on in its parts, each where the whole was: the SDK cuts its tokens.
//! - A partition that was merged is asked for the part that it was. Where the service does not read parts,
//!   the position cannot be used any more, and that is said.
//! - "Now" is what the service makes of it at the first request to each partition, so before the first page
//!   all of them are asked.

use std::{collections::VecDeque, num::NonZeroU32};

use azure_data_cosmos::{
    ContainerClient, FeedScope,
    feed::{ChangeFeedPageIterator, ContinuationToken, FeedRange},
    models::{ChangeFeedItem, ChangeFeedMetadata, EffectivePartitionKey},
    options::{
        ChangeFeedOptions, ChangeFeedStartFrom, FeedOptions, MaxItemCountHint,
        ReadFeedRangesOptions,
    },
};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Answered, Connection, READ_TIME_MAX,
    connection::operation_options,
    failure::{store_error, usage_of},
};
use crate::store::{
    changes::{Mark, Place, Position},
    error::{BadContinuation, ReadError, StoreError, StoreErrorKind},
    usage::{SessionToken, Usage},
};

/// The statuses with which the SDK says that it cannot read a token.
const UNREADABLE: [(u16, u32); 5] =
    [(500, 20_020), (500, 20_203), (500, 20_204), (500, 20_205), (500, 20_213)];

type Pages = ChangeFeedPageIterator<ChangeFeedItem<Box<RawValue>>>;

/// Where to start.
#[derive(Debug)]
pub(crate) enum ChangesStart {
    Beginning,
    Now,
    At(Position),
}

/// The change feed over all partitions. It has no end: no changes means that every partition has
/// delivered what it had.
pub(crate) struct ChangePages {
    source: Source,
    /// In the order of their turns.
    readings: VecDeque<Reading>,
    /// Whether a page was begun and not finished: then one of the partitions may be missing.
    is_broken: bool,
}

/// What is read, and how.
struct Source {
    events: ContainerClient,
    page_items: NonZeroU32,
    /// Where a partition begins that has no token yet.
    start: ChangeFeedStartFrom,
}

/// A partition, or a part of one, that is followed.
struct Reading {
    place: Place,
    /// What the SDK has open, once it was asked.
    pages: Option<Pages>,
}

/// Changes, and where they are.
#[derive(Debug)]
pub(crate) struct FoundChanges {
    /// Those of one page of the service, with those that were given before.
    pub(crate) changes: Vec<Change>,
    /// The position before the page.
    pub(crate) before: Position,
    /// The position behind it.
    pub(crate) after: Position,
    /// What of the page was given before: everything up to here.
    pub(crate) given: Option<Mark>,
}

/// A document with its place in the feed of its partition.
#[derive(Debug)]
pub(crate) struct Change {
    /// The transaction that wrote it; all documents of one transaction have the same.
    pub(crate) lsn: i64,
    pub(crate) document: Box<RawValue>,
}

/// What the requests of one page took.
#[derive(Default)]
struct Spent {
    usage: Usage,
    session_token: Option<SessionToken>,
}

impl std::fmt::Debug for ChangePages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangePages(..)")
    }
}

impl ChangePages {
    /// The next page with changes, which comes from one partition, or none when no partition has more.
    pub(crate) async fn next(&mut self) -> Answered<Result<FoundChanges, ReadError>> {
        let mut spent = Spent::default();
        let value = if std::mem::replace(&mut self.is_broken, true) {
            Err(unexpected("it is over after a failure").into())
        } else {
            self.find(&mut spent).await
        };
        self.is_broken = value.is_err();
        Answered { value, usage: spent.usage, session_token: spent.session_token }
    }

    async fn find(&mut self, spent: &mut Spent) -> Result<FoundChanges, ReadError> {
        self.pin(spent).await?;
        let mut idle = 0_usize;
        loop {
            // The place whose turn it is, and behind it the others, which stay as they are.
            let first = self.readings.front().map(|reading| reading.place.clone());
            let others = self.readings.len().saturating_sub(1);
            let changes = self.turn(spent).await?;
            idle = if changes.is_empty() { idle.saturating_add(1) } else { 0 };
            if changes.is_empty() && idle < self.readings.len() {
                continue;
            }
            let after = self.position();
            let given = first.as_ref().and_then(|place| place.given);
            let others = after.places.iter().take(others).cloned();
            let before = Position { places: first.into_iter().chain(others).collect() };
            return Ok(FoundChanges { changes, before, after, given });
        }
    }

    fn position(&self) -> Position {
        let places = self.readings.iter().map(|reading| reading.place.clone());
        Position { places: places.collect() }
    }

    /// Asks every partition for its "now", where that is the start.
    async fn pin(&mut self, spent: &mut Spent) -> Result<(), ReadError> {
        if self.source.start != ChangeFeedStartFrom::Now {
            return Ok(());
        }
        loop {
            let is_new = |reading: &Reading| reading.place.token.is_none();
            let first = self.readings.iter().position(is_new);
            let Some(first) = first else { return Ok(()) };
            self.readings.rotate_left(first);
            if !self.turn(spent).await?.is_empty() {
                return Err(unexpected("it has changes from before they were asked for").into());
            }
        }
    }

    /// One request to the partition whose turn it is. It is the last one then.
    async fn turn(&mut self, spent: &mut Spent) -> Result<Vec<Change>, ReadError> {
        let Some(Reading { mut place, pages }) = self.readings.pop_front() else {
            return Err(unexpected("the container has no partition").into());
        };
        let mut pages = match pages {
            Some(pages) => pages,
            None => self.source.open(&place).await?,
        };
        let page = match pages.next().await {
            Some(Ok(page)) => page,
            Some(Err(error)) => {
                let error = store_error(error);
                spent.usage += error.usage();
                return Err(self.source.explain(&place, error).await);
            }
            None => return Err(unexpected("it has ended").into()),
        };
        spent.usage += usage_of(&page.diagnostics());
        let token = page.headers().session_token();
        spent.session_token =
            token.map(|token| SessionToken::new(token.as_str())).or(spent.session_token.take());
        let changes: Vec<Change> = page.items().iter().filter_map(change).collect();
        let token = pages.to_continuation_token().map_err(store_error)?;
        let partitions = self.source.partitions().await?;
        if parts(&place, &partitions).is_empty() {
            advance(&mut place, token.as_str(), &changes);
            self.readings.push_back(Reading { place, pages: Some(pages) });
            return Ok(changes);
        }
        // It was split, and one of its parts has answered. Where that was about "now", the others have not
        // said yet when theirs is.
        if self.source.start != ChangeFeedStartFrom::Now || place.token.is_some() {
            advance(&mut place, token.as_str(), &changes);
        }
        let parts = cut(place, &partitions).into_iter();
        self.readings.extend(parts.map(|place| Reading { place, pages: None }));
        Ok(changes)
    }
}

impl Source {
    /// Opens a partition with the SDK, which asks nothing yet.
    async fn open(&self, place: &Place) -> Result<Pages, ReadError> {
        let bound = |text: &str| EffectivePartitionKey::try_from(text);
        let range = bound(&place.begin)
            .and_then(|begin| FeedRange::new(begin, bound(&place.end)?))
            .map_err(|_| BadContinuation::Form)?;
        let mut paging = FeedOptions::default()
            .with_max_fan_out(u32::MAX)
            .with_max_item_count(MaxItemCountHint::Limit(self.page_items));
        if let Some(token) = &place.token {
            let token = ContinuationToken::from_string(token.clone());
            paging = paging.with_continuation_token(token);
        }
        let options = ChangeFeedOptions::default()
            .with_operation_options(operation_options(READ_TIME_MAX))
            .with_feed_options(paging);
        let opening = self.events.query_change_feed(
            FeedScope::range(range),
            self.start.clone(),
            Some(options),
        );
        Box::pin(opening).await.map_err(|error| {
            let error = store_error(error);
            match error.status() {
                // Before anything is asked, what is wrong is the token.
                Some((status, sub_status))
                    if place.token.is_some()
                        && (status == 400 || UNREADABLE.contains(&(status, sub_status))) =>
                {
                    BadContinuation::Elsewhere.into()
                }
                _ => error.into(),
            }
        })
    }

    /// What the failure of a page means. A part of a partition, where parts are not read, is refused in the
    /// same way as what is no request; what tells them apart is the partitions.
    async fn explain(&self, place: &Place, error: StoreError) -> ReadError {
        if error.kind() != StoreErrorKind::Rejected {
            return error.into();
        }
        // The SDK can ask for a part only when it has seen the partition: what it knows is new enough.
        match self.partitions().await {
            Ok(partitions) if !is_whole(place, &partitions) => BadContinuation::Merged.into(),
            _ => error.into(),
        }
    }

    /// The bounds of the partitions. No request unless the SDK's map of them is out of date.
    async fn partitions(&self) -> Result<Vec<(String, String)>, StoreError> {
        let options = ReadFeedRangesOptions::default()
            .with_operation_options(operation_options(READ_TIME_MAX));
        let reading = Box::pin(self.events.read_feed_ranges(Some(options)));
        let ranges = reading.await.map_err(store_error)?;
        let bounds =
            |range: &FeedRange| (range.min_inclusive().to_hex(), range.max_exclusive().to_hex());
        Ok(ranges.iter().map(bounds).collect())
    }
}

/// The parts of a place in different partitions; none where it is all in one.
fn parts(place: &Place, partitions: &[(String, String)]) -> Vec<(String, String)> {
    let mut parts: Vec<_> = partitions
        .iter()
        .map(|(begin, end)| (begin.max(&place.begin).clone(), end.min(&place.end).clone()))
        .filter(|(begin, end)| begin < end)
        .collect();
    if parts.len() < 2 {
        parts.clear();
    }
    parts
}

/// Whether no partition reaches beyond the place.
fn is_whole(place: &Place, partitions: &[(String, String)]) -> bool {
    let overlaps = |(begin, end): &&(String, String)| *begin < place.end && place.begin < *end;
    partitions
        .iter()
        .filter(overlaps)
        .all(|(begin, end)| place.begin <= *begin && *end <= place.end)
}

/// Notes that the changes of a page were found, and what to ask for next.
fn advance(place: &mut Place, token: &str, changes: &[Change]) {
    place.token = Some(token.to_owned());
    // A transaction is never torn apart, so the page that has one has all of it.
    let last = changes.iter().map(|change| change.lsn).max();
    if place.given.is_some_and(|given| last.is_none_or(|last| last >= given.lsn)) {
        place.given = None;
    }
}

/// The error for a feed that is not what the SDK promises.
fn unexpected(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Protocol).with_source(format!("the change feed: {what}"))
}

/// The document after the change. The feed of latest versions has no deletions.
fn change(item: &ChangeFeedItem<Box<RawValue>>) -> Option<Change> {
    let lsn = item.metadata().and_then(ChangeFeedMetadata::lsn).map(|lsn| lsn.value());
    let document = item.current()?.clone();
    let lsn = lsn.or_else(|| lsn_of(&document)).unwrap_or_default();
    Some(Change { lsn, document })
}

/// Where the feed does not say it beside the document, the document has it as a property.
fn lsn_of(document: &RawValue) -> Option<i64> {
    #[derive(Deserialize)]
    struct Placed {
        #[serde(rename = "_lsn")]
        lsn: i64,
    }
    serde_json::from_str::<Placed>(document.get()).ok().map(|placed| placed.lsn)
}

impl Connection {
    /// Opens the change feed. No request, unless the SDK does not know the partitions yet.
    pub(crate) async fn changes(
        &self,
        start: ChangesStart,
        page_items: u32,
    ) -> Result<ChangePages, ReadError> {
        let page_items = NonZeroU32::new(page_items).unwrap_or(NonZeroU32::MIN);
        let events = self.events.clone();
        let mut source = Source { events, page_items, start: ChangeFeedStartFrom::Beginning };
        let partitions = source.partitions().await?;
        let places = match start {
            ChangesStart::Beginning => whole(partitions),
            ChangesStart::Now => {
                source.start = ChangeFeedStartFrom::Now;
                whole(partitions)
            }
            ChangesStart::At(Position { places }) => {
                places.into_iter().flat_map(|place| cut(place, &partitions)).collect()
            }
        };
        let readings = places.into_iter().map(|place| Reading { place, pages: None }).collect();
        Ok(ChangePages { source, readings, is_broken: false })
    }
}

/// The places of partitions that nobody has read.
fn whole(partitions: Vec<(String, String)>) -> Vec<Place> {
    let place = |(begin, end)| Place { begin, end, token: None, given: None };
    partitions.into_iter().map(place).collect()
}

/// A place in the partitions as they are now.
fn cut(place: Place, partitions: &[(String, String)]) -> Vec<Place> {
    let parts = parts(&place, partitions);
    if parts.is_empty() {
        return vec![place];
    }
    parts.into_iter().map(|(begin, end)| Place { begin, end, ..place.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_beside_the_document_or_in_it() {
        for (text, lsn) in [
            (r#"{"current":{"id":"1"},"metadata":{"lsn":7}}"#, 7),
            (r#"{"current":{"id":"1","_lsn":8},"metadata":{}}"#, 8),
            (r#"{"id":"1","_lsn":9}"#, 9),
        ] {
            let change = change(&serde_json::from_str(text).unwrap()).unwrap();
            assert_eq!(change.lsn, lsn);
            assert!(change.document.get().starts_with(r#"{"id":"1""#));
        }
    }
}
