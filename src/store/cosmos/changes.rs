//! The change feed of the events container.

use std::num::NonZeroU32;

use azure_data_cosmos::{
    ContainerClient, FeedScope,
    feed::ChangeFeedPageIterator,
    models::{ChangeFeedItem, ChangeFeedMetadata},
    options::{ChangeFeedOptions, ChangeFeedStartFrom, MaxItemCountHint},
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
    error::{StoreError, StoreErrorKind},
    usage::{SessionToken, Usage},
};

/// The pages of the change feed over all partitions. It has no end: a page without documents means
/// that every partition has delivered what it had.
pub(crate) struct ChangePages {
    pages: ChangeFeedPageIterator<ChangeFeedItem<Box<RawValue>>>,
    events: ContainerClient,
    /// The most partitions that were seen.
    partitions: usize,
}

impl std::fmt::Debug for ChangePages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangePages(..)")
    }
}

/// A document with its place in the feed of its partition.
#[derive(Debug)]
pub(crate) struct Change {
    /// The transaction that wrote it; all documents of one transaction have the same.
    pub(crate) lsn: i64,
    pub(crate) document: Box<RawValue>,
}

impl ChangePages {
    /// The next page, which comes from one partition.
    ///
    /// The SDK asks the partitions in turn and also gives a page when one of them has nothing new, so
    /// only as many such pages in a row as there are partitions say that there is nothing at all.
    pub(crate) async fn next(&mut self) -> Answered<Result<Vec<Change>, StoreError>> {
        let mut usage = Usage::default();
        let mut session_token = None;
        let mut idle = 0;
        let value = loop {
            let page = match self.pages.next().await {
                Some(Ok(page)) => page,
                Some(Err(error)) => {
                    let error = store_error(error);
                    usage += error.usage();
                    break Err(error);
                }
                None => {
                    let error = StoreError::new(StoreErrorKind::Protocol);
                    break Err(error.with_source("the change feed has ended"));
                }
            };
            usage += usage_of(&page.diagnostics());
            let token = page.headers().session_token();
            session_token = token.map(|token| SessionToken::new(token.as_str())).or(session_token);
            let items = page.items();
            idle = if items.is_empty() { idle + 1 } else { 0 };
            let changes: Vec<_> = items.iter().filter_map(change).collect();
            if !changes.is_empty() {
                break Ok(changes);
            }
            match self.count_partitions().await {
                Ok(partitions) if idle < partitions => {}
                Ok(_) => break Ok(changes),
                Err(error) => break Err(error),
            }
        };
        Answered { value, usage, session_token }
    }

    /// How many partitions the SDK asks in turn. They do not get fewer, since it follows splits but no
    /// merges. No request unless its map of the partitions is out of date.
    async fn count_partitions(&mut self) -> Result<usize, StoreError> {
        let ranges = Box::pin(self.events.read_feed_ranges(None)).await.map_err(store_error)?;
        self.partitions = self.partitions.max(ranges.len());
        Ok(self.partitions)
    }
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
    /// Opens the change feed at its beginning, or behind what is stored at the first request.
    pub(crate) async fn changes(
        &self,
        from_beginning: bool,
        page_items: u32,
    ) -> Result<ChangePages, StoreError> {
        let start =
            if from_beginning { ChangeFeedStartFrom::Beginning } else { ChangeFeedStartFrom::Now };
        let hint = NonZeroU32::new(page_items).unwrap_or(NonZeroU32::MIN);
        let options = ChangeFeedOptions::default()
            .with_operation_options(operation_options(READ_TIME_MAX))
            .with_max_item_count(MaxItemCountHint::Limit(hint));
        let scope = FeedScope::full_container();
        let pages =
            Box::pin(self.events.query_change_feed::<Box<RawValue>>(scope, start, Some(options)))
                .await
                .map_err(store_error)?;
        Ok(ChangePages { pages, events: self.events.clone(), partitions: 1 })
    }
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
