//! The change feed of a container.

use std::{num::NonZeroU32, sync::Arc};

use azure_core::time::OffsetDateTime;
use azure_data_cosmos::{
    ContainerClient, CosmosError, FeedScope, PartitionKey, Query,
    feed::{ChangeFeedPageIterator, ContinuationToken},
    models::{ChangeFeedItem, EffectivePartitionKey, PartitionKeyValue},
    options::{
        ChangeFeedOptions, ChangeFeedStartFrom, FeedOptions, MaxItemCountHint, QueryOptions,
        ReadFeedRangesOptions,
    },
};
use futures::{FutureExt as _, future::BoxFuture};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::{
    connection::{Fault, Purpose, open},
    fields::{FeedFields, KeyKind},
    place::{Place, middle},
    reader::{Document, Reader},
};
use crate::{
    config::StoreOptions,
    feed::{
        Change, Feed, FeedFault, FeedRange, FeedReader, documents::Position, options::PAGE_CHANGES,
    },
};

/// How often "now" is taken again when the partitions change while it is taken. They change a few times in
/// the life of a container.
const NOW_ATTEMPTS_MAX: u32 = 5;

/// The pages of the SDK.
pub(super) type Pages = ChangeFeedPageIterator<ChangeFeedItem<Document>>;

/// The change feed of a container in Cosmos DB, in the mode of latest versions: a document that is
/// changed twice before it is read comes once, and removals do not come.
#[derive(Clone)]
pub struct CosmosFeed {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    container: ContainerClient,
    pub(super) fields: FeedFields,
    page_changes: NonZeroU32,
    reads_parts: OnceCell<bool>,
}

impl std::fmt::Debug for CosmosFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CosmosFeed").field("fields", &self.inner.fields).finish_non_exhaustive()
    }
}

impl CosmosFeed {
    /// Opens the feed of a container, with pages of about 100 changes. A few requests: the account, the
    /// container.
    ///
    /// # Errors
    ///
    /// [`FeedFault`].
    pub async fn open(
        options: &StoreOptions,
        container: &str,
        fields: FeedFields,
    ) -> Result<Self, FeedFault> {
        let container = Box::pin(open(options, container, Purpose::Feed)).await.map_err(fault)?;
        let page_changes = NonZeroU32::new(PAGE_CHANGES).unwrap_or(NonZeroU32::MIN);
        let reads_parts = OnceCell::new();
        Ok(Self { inner: Arc::new(Inner { container, fields, page_changes, reads_parts }) })
    }

    /// The same feed with another number of changes in a page; 0 counts as 1. A page may have more: the
    /// changes of one transaction are not torn apart.
    #[must_use]
    pub fn with_page_changes(self, changes: u32) -> Self {
        let inner = Inner {
            container: self.inner.container.clone(),
            fields: self.inner.fields.clone(),
            page_changes: NonZeroU32::new(changes).unwrap_or(NonZeroU32::MIN),
            reads_parts: self.inner.reads_parts.clone(),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Inner {
    /// The ranges of the physical partitions, from the service or as the SDK remembers them. Where the
    /// service does not answer, the SDK gives what it remembers and does not say so.
    pub(super) async fn ranges(&self, refresh: bool) -> Result<Vec<FeedRange>, Fault> {
        let options = ReadFeedRangesOptions::default()
            .with_operation_options(Purpose::Feed.options())
            .with_force_refresh(refresh);
        let reading = Box::pin(self.container.read_feed_ranges(Some(options)));
        let ranges = Purpose::Feed.within(reading).await?;
        ranges.iter().map(range_of).collect()
    }

    /// The partitions that a range is in, as the SDK remembers them.
    pub(super) async fn partitions_of(&self, range: &FeedRange) -> Result<Vec<FeedRange>, Fault> {
        let mut ranges = self.ranges(false).await?;
        ranges.retain(|partition| partition.overlaps(range));
        Ok(ranges)
    }

    /// Opens a range with the SDK.
    async fn pages(
        &self,
        range: &FeedRange,
        start: ChangeFeedStartFrom,
        token: Option<String>,
    ) -> Result<Pages, Fault> {
        let scope = scope(range).map_err(|error| Fault::of(&error))?;
        // A range may be in any number of partitions; the SDK's own limit is 100.
        let mut paging = FeedOptions::default()
            .with_max_fan_out(u32::MAX)
            .with_max_item_count(MaxItemCountHint::Limit(self.page_changes));
        if let Some(token) = token {
            paging = paging.with_continuation_token(ContinuationToken::from_string(token));
        }
        let options = ChangeFeedOptions::default()
            .with_operation_options(Purpose::Feed.options())
            .with_feed_options(paging);
        let opening = self.container.query_change_feed::<Document>(scope, start, Some(options));
        Purpose::Feed.within(Box::pin(opening)).await
    }

    /// Whether the lower half of a physical partition can be read.
    async fn probe_parts(&self) -> Result<bool, FeedFault> {
        let ranges = self.ranges(true).await.map_err(fault)?;
        let half = ranges.iter().find_map(|range| {
            let middle = middle(range)?;
            FeedRange::new(range.begin(), middle).ok()
        });
        let Some(half) = half else { return Ok(false) };
        let opened = self.pages(&half, ChangeFeedStartFrom::Now, None).await;
        let mut pages = opened.map_err(fault)?;
        match next(&mut pages).await {
            Ok(_) => Ok(true),
            Err(Fault::BadRequest(_)) => Ok(false),
            Err(other) => Err(fault(other)),
        }
    }

    /// Asks every partition of a range for its "now"; nothing where the partitions changed meanwhile.
    async fn try_now(&self, range: &FeedRange) -> Result<Option<String>, FeedFault> {
        let before = self.ranges(true).await.map_err(fault)?;
        let turns = before.iter().filter(|partition| partition.overlaps(range)).count();
        let opened = self.pages(range, ChangeFeedStartFrom::Now, None).await;
        let mut pages = opened.map_err(fault)?;
        for _ in 0..turns {
            next(&mut pages).await.map_err(|found| match found {
                // A part of a partition, where parts are not read.
                Fault::BadRequest(_) => FeedFault::Moved,
                other => fault(other),
            })?;
        }
        let token = pages.to_continuation_token().map_err(|error| fault(Fault::of(&error)))?;
        let after = self.ranges(true).await.map_err(fault)?;
        let place = Place { range: range.clone(), turns, token: token.as_str().to_owned() };
        Ok((before == after).then(|| place.to_string()))
    }

    async fn open_reader(
        self: Arc<Self>,
        range: FeedRange,
        position: Position,
    ) -> Result<Box<dyn FeedReader>, FeedFault> {
        let bad = |reason: &str| FeedFault::BadPosition(reason.to_owned());
        let (start, place) = match position {
            Position::Beginning => (ChangeFeedStartFrom::Beginning, None),
            Position::Time(seconds) => {
                let time = OffsetDateTime::from_unix_timestamp(seconds);
                let time = time.map_err(|_| bad("it is outside of the calendar"))?;
                (ChangeFeedStartFrom::PointInTime(time), None)
            }
            Position::Continuation(text) => {
                let place = Place::parse(&text).ok_or_else(|| bad("it has another form"))?;
                if !place.range.contains(&range) {
                    return Err(bad("it was reached in another range"));
                }
                // A place has its own beginning.
                (ChangeFeedStartFrom::Beginning, Some(place))
            }
        };
        let token = place.as_ref().map(|place| place.token.clone());
        let pages = self.pages(&range, start, token).await.map_err(|found| match found {
            // Before anything was sent, what is wrong is the place.
            Fault::BadRequest(reason) | Fault::Unreadable(reason) if place.is_some() => {
                FeedFault::BadPosition(reason)
            }
            other => fault(other),
        })?;
        let partitions = self.partitions_of(&range).await.map_err(fault)?;
        Ok(Box::new(Reader::new(self, pages, range, partitions, place.as_ref())))
    }

    async fn read_key(
        &self,
        key: &str,
        order: u64,
        changes_max: usize,
    ) -> Result<Vec<Change>, FeedFault> {
        let kind = KeyKind::of(key)
            .ok_or_else(|| FeedFault::Refused("that is no key of a change".to_owned()))?;
        let (query, scope) =
            self.key_query(kind, order, changes_max).map_err(|error| fault(Fault::of(&error)))?;
        let options = QueryOptions::default()
            .with_operation_options(Purpose::Feed.options())
            .with_max_item_count(MaxItemCountHint::Limit(self.page_changes));
        let starting = self.container.query_items::<Box<RawValue>>(query, scope, Some(options));
        let items = Purpose::Feed.within(Box::pin(starting)).await.map_err(fault)?;
        let mut pages = items.into_pages();
        let mut changes = Vec::new();
        while changes.len() < changes_max {
            let Some(page) = Purpose::Feed.next(&mut pages).await.map_err(fault)? else { break };
            let found = page.into_items().into_iter();
            let found = found.map(|document| self.fields.change(document, None, None, false));
            changes.extend(found.filter(|change| change.key == key));
        }
        changes.truncate(changes_max);
        Ok(changes)
    }

    /// The physical partition that a key is in.
    async fn partition_of(&self, key: &str) -> Result<Option<FeedRange>, FeedFault> {
        let kind = KeyKind::of(key)
            .ok_or_else(|| FeedFault::Refused("that is no key of a change".to_owned()))?;
        let value: PartitionKeyValue = match kind {
            KeyKind::Text(text) => text.into(),
            KeyKind::Number(number) => {
                number.try_into().map_err(|error: CosmosError| fault(Fault::of(&error)))?
            }
            KeyKind::Flag(flag) => flag.into(),
            KeyKind::Document(_) => return Ok(None),
        };
        let options = ReadFeedRangesOptions::default()
            .with_operation_options(Purpose::Feed.options())
            .with_force_refresh(true);
        let key = PartitionKey::from(value);
        let looking = Box::pin(self.container.feed_range_from_partition_key(key, Some(options)));
        let ranges = Purpose::Feed.within(looking).await.map_err(fault)?;
        ranges.first().map(range_of).transpose().map_err(fault)
    }

    /// Whether a part of a partition has a document of a key.
    async fn has_key(&self, part: &FeedRange, key: &str) -> Result<bool, FeedFault> {
        let wrong = |error: CosmosError| fault(Fault::of(&error));
        let text =
            format!("SELECT TOP 1 c.id FROM c WHERE {} = @key", self.fields.key_expression());
        let query = Query::from(text);
        let query = match KeyKind::of(key) {
            Some(KeyKind::Text(text)) => query.with_parameter("@key", text),
            Some(KeyKind::Number(number)) => query.with_parameter("@key", number),
            Some(KeyKind::Flag(flag)) => query.with_parameter("@key", flag),
            // It has no place, so whoever asks goes by another rule.
            Some(KeyKind::Document(_)) | None => return Ok(false),
        };
        let (query, scope) = (query.map_err(wrong)?, scope(part).map_err(wrong)?);
        let options = QueryOptions::default().with_operation_options(Purpose::Feed.options());
        let starting = self.container.query_items::<Box<RawValue>>(query, scope, Some(options));
        let items = Purpose::Feed.within(Box::pin(starting)).await.map_err(fault)?;
        let mut pages = items.into_pages();
        while let Some(page) = Purpose::Feed.next(&mut pages).await.map_err(fault)? {
            if !page.items().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The query for the documents of a key. A document without one is looked for everywhere by its id.
    fn key_query(
        &self,
        kind: KeyKind,
        order: u64,
        changes_max: usize,
    ) -> Result<(Query, FeedScope), CosmosError> {
        let partition = |value: PartitionKeyValue| FeedScope::partition(PartitionKey::from(value));
        let scope = match kind {
            KeyKind::Text(text) => partition(text.into()),
            KeyKind::Number(number) => partition(number.try_into()?),
            KeyKind::Flag(flag) => partition(flag.into()),
            KeyKind::Document(id) => {
                let query = Query::from("SELECT * FROM c WHERE c.id = @id OR c._rid = @id");
                return Ok((query.with_parameter("@id", id)?, FeedScope::full_container()));
            }
        };
        let place = self.fields.order_expression();
        let text =
            format!("SELECT TOP {changes_max} * FROM c WHERE {place} >= @order ORDER BY {place}");
        Ok((Query::from(text).with_parameter("@order", order)?, scope))
    }
}

/// The next page of the SDK.
pub(super) async fn next(
    pages: &mut Pages,
) -> Result<azure_data_cosmos::feed::FeedPage<ChangeFeedItem<Document>>, Fault> {
    // It ends after an error only.
    let page = Purpose::Feed.next(pages).await?;
    page.ok_or_else(|| Fault::Gone("the feed has ended".to_owned()))
}

/// What a failure means where no place is to blame.
pub(super) fn fault(fault: Fault) -> FeedFault {
    match fault {
        Fault::Unavailable(reason) | Fault::Unreadable(reason) => FeedFault::Unavailable(reason),
        Fault::Gone(_) => FeedFault::Moved,
        Fault::BadRequest(reason) | Fault::Refused(reason) => FeedFault::Refused(reason),
    }
}

/// The range of a partition, as the SDK gives it.
fn range_of(range: &azure_data_cosmos::feed::FeedRange) -> Result<FeedRange, Fault> {
    FeedRange::new(range.min_inclusive().to_hex(), range.max_exclusive().to_hex())
        .map_err(|error| Fault::Unavailable(format!("a partition has no range: {error}")))
}

fn scope(range: &FeedRange) -> Result<FeedScope, CosmosError> {
    let begin = EffectivePartitionKey::try_from(range.begin())?;
    let end = EffectivePartitionKey::try_from(range.end())?;
    Ok(FeedScope::range(azure_data_cosmos::feed::FeedRange::new(begin, end)?))
}

impl Feed for CosmosFeed {
    /// One request. When the service does not answer, these are the ranges as they were seen last: a
    /// split or merge is then seen later.
    fn ranges(&self) -> BoxFuture<'_, Result<Vec<FeedRange>, FeedFault>> {
        async { self.inner.ranges(true).await.map_err(fault) }.boxed()
    }

    /// Two requests the first time, about 1 RU; the answer is remembered.
    fn reads_parts(&self) -> BoxFuture<'_, Result<bool, FeedFault>> {
        let probe = || Box::pin(self.inner.probe_parts());
        async move { self.inner.reads_parts.get_or_try_init(probe).await.copied() }.boxed()
    }

    /// Two requests, and one of about 1 RU for each partition of the range.
    fn now(&self, range: &FeedRange) -> BoxFuture<'_, Result<String, FeedFault>> {
        let range = range.clone();
        async move {
            for _ in 0..NOW_ATTEMPTS_MAX {
                if let Some(place) = Box::pin(self.inner.try_now(&range)).await? {
                    return Ok(place);
                }
            }
            Err(FeedFault::Unavailable("the partitions change again and again".to_owned()))
        }
        .boxed()
    }

    /// No request, unless the SDK does not know the partitions yet: what is wrong with a range or a place is
    /// often seen at the first page only. A time begins with what was stored after it, in whole seconds.
    fn open(
        &self,
        range: &FeedRange,
        position: &Position,
    ) -> BoxFuture<'_, Result<Box<dyn FeedReader>, FeedFault>> {
        let (inner, range, position) = (Arc::clone(&self.inner), range.clone(), position.clone());
        Box::pin(inner.open_reader(range, position))
    }

    /// One query in the part, about 3 RU.
    fn has_key(&self, part: &FeedRange, key: &str) -> BoxFuture<'_, Result<bool, FeedFault>> {
        let (part, key) = (part.clone(), key.to_owned());
        async move { Box::pin(self.inner.has_key(&part, &key)).await }.boxed()
    }

    fn has_rising_order(&self) -> bool {
        self.inner.fields.has_rising_order()
    }

    /// One request. It is the range of the physical partition.
    fn range_of(&self, key: &str) -> BoxFuture<'_, Result<Option<FeedRange>, FeedFault>> {
        let key = key.to_owned();
        async move { Box::pin(self.inner.partition_of(&key)).await }.boxed()
    }

    /// One request for each page of changes. Documents outside of the feed do not say their transaction:
    /// it is 0. The path of the order must be indexed.
    fn read_key(
        &self,
        key: &str,
        order: u64,
        changes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Change>, FeedFault>> {
        let key = key.to_owned();
        async move { Box::pin(self.inner.read_key(&key, order, changes_max)).await }.boxed()
    }
}
