//! An open range.

use std::{cell::RefCell, sync::Arc};

use azure_data_cosmos::models::{ChangeFeedItem, ChangeFeedMetadata};
use futures::{FutureExt as _, future::BoxFuture};
use serde_json::value::RawValue;

use super::{
    connection::Fault,
    feed::{Inner, Pages, fault, next},
    fields::FeedFields,
    place::Place,
};
use crate::feed::{Change, FeedFault, FeedRange, FeedReader, Page};

/// A document in a page of the SDK, which only lends it: the cell lets it be taken out without a copy.
pub(super) type Document = RefCell<Option<Box<RawValue>>>;

/// An open range, over one iterator of the SDK.
pub(super) struct Reader {
    feed: Arc<Inner>,
    pages: Pages,
    range: FeedRange,
    /// Among how many partitions, or parts of one, the SDK takes turns at the most.
    turns: usize,
    /// The partitions of the range when it was opened, as the SDK knew them.
    partitions: Vec<FeedRange>,
    /// Whether it began at a place, which may be to blame when the first page is refused.
    from_place: bool,
    /// The partition of the last page.
    last: Option<String>,
    /// Whether there was a page.
    has_read: bool,
}

impl Reader {
    pub(super) fn new(
        feed: Arc<Inner>,
        pages: Pages,
        range: FeedRange,
        partitions: Vec<FeedRange>,
        place: Option<&Place>,
    ) -> Self {
        // A place of the same range may be among more parts than there are partitions now.
        let parts = place.filter(|place| place.range == range).map_or(0, |place| place.turns);
        let (turns, from_place) = (partitions.len().max(parts), place.is_some());
        let (last, has_read) = (None, false);
        Self { feed, pages, range, turns, partitions, from_place, last, has_read }
    }

    /// The next page with changes, or an empty one when every partition had nothing new.
    ///
    /// The SDK asks the partitions in turn and also gives a page when one of them has nothing new.
    async fn next(&mut self) -> Result<Page, FeedFault> {
        let (mut idle, mut request_charge) = (0, 0.0);
        loop {
            let page = match next(&mut self.pages).await {
                Ok(page) => page,
                Err(found) => {
                    return Err(self.explain(found).await);
                }
            };
            self.has_read = true;
            request_charge += page.diagnostics().total_request_charge().value();
            let last_lsn = page.headers().lsn().and_then(|lsn| i64::try_from(lsn).ok());
            self.follow(page.headers().partition_key_range_id()).await?;
            let items = page.into_items();
            idle = if items.is_empty() { idle + 1 } else { 0 };
            if items.is_empty() && idle < self.turns {
                continue;
            }
            let changes = items.iter().filter_map(|item| change(&self.feed.fields, item));
            let changes: Vec<Change> = changes.collect();
            // Transactions of different partitions cannot be compared.
            let last_lsn = last_lsn.filter(|_| self.turns <= 1);
            return Ok(Page { changes, continuation: self.place()?, last_lsn, request_charge });
        }
    }

    /// Counts the partitions again when another one has answered. They do not get fewer, since the SDK
    /// goes on in the parts that it knows. No request: the SDK has just looked them up.
    async fn follow(&mut self, partition: Option<&str>) -> Result<(), FeedFault> {
        if partition.is_none() || partition == self.last.as_deref() {
            return Ok(());
        }
        self.last = partition.map(str::to_owned);
        let partitions = self.feed.partitions_of(&self.range).await.map_err(fault)?;
        self.turns = self.turns.max(partitions.len());
        Ok(())
    }

    /// What the failure of a page means. The status of a part of a partition, where parts are not read, is
    /// also that of a place that is none; what tells them apart is the partitions.
    async fn explain(&mut self, found: Fault) -> FeedFault {
        let Fault::BadRequest(reason) = found else { return fault(found) };
        // The SDK can ask for a part only when it has seen the partition: what it knows is new enough.
        let partitions = match self.feed.partitions_of(&self.range).await {
            Ok(partitions) => partitions,
            Err(other) => return fault(other),
        };
        let is_cut = partitions.iter().any(|partition| !self.range.contains(partition));
        if is_cut || self.has_read || partitions != self.partitions {
            FeedFault::Moved
        } else if self.from_place {
            FeedFault::BadPosition(reason)
        } else {
            FeedFault::Refused(reason)
        }
    }

    /// The place behind the last page.
    fn place(&self) -> Result<String, FeedFault> {
        let token = self.pages.to_continuation_token().map_err(|error| fault(Fault::of(&error)))?;
        let token = token.as_str().to_owned();
        Ok(Place { range: self.range.clone(), turns: self.turns, token }.to_string())
    }
}

impl FeedReader for Reader {
    /// One request; after a split one for each partition of the range when there is nothing new.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the page that it waited for may be lost: open the range again.
    fn next_page(&mut self) -> BoxFuture<'_, Result<Page, FeedFault>> {
        self.next().boxed()
    }
}

/// The change that an item is. The feed of latest versions has no removals.
fn change(fields: &FeedFields, item: &ChangeFeedItem<Document>) -> Option<Change> {
    let metadata = item.metadata();
    let lsn = metadata.and_then(ChangeFeedMetadata::lsn).map(|lsn| lsn.value());
    let stored_at = metadata.and_then(ChangeFeedMetadata::conflict_resolution_timestamp);
    let document = item.current()?.take()?;
    Some(fields.change(document, lsn, stored_at.map(|time| time.as_secs()), true))
}
