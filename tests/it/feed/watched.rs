//! A container with events whose feed is read, for one test.

use std::collections::BTreeMap;

use cosmos_event_store::{
    EventStore,
    feed::{
        Change, CosmosFeed, Feed, FeedFault, FeedFields, FeedRange, FeedReader, documents::Position,
    },
};
use cosmos_local::{LocalCosmos, Mode};

use crate::fixture::{DATABASE, Fixture, events, options};

/// The streams of a test, each with the orders of its changes as they came.
pub(crate) type Streams = BTreeMap<String, Vec<u64>>;

/// An endpoint with some partitions, and the feed of its events.
pub(crate) struct Watched {
    pub(crate) fixture: Fixture,
    pub(crate) feed: CosmosFeed,
}

impl Watched {
    pub(crate) async fn new(mode: Mode, partitions: u32) -> Self {
        let builder = LocalCosmos::builder().ephemeral().mode(mode).partitions(partitions);
        let endpoint = builder.start().await.unwrap();
        let options = options(endpoint.endpoint());
        let (store, _) = EventStore::provision_and_connect(options.clone()).await.unwrap();
        let feed = CosmosFeed::open(&options, "events", fields()).await.unwrap();
        Self { fixture: Fixture { endpoint, store }, feed: feed.with_page_changes(5) }
    }

    /// Another feed of the same container, which remembers nothing.
    pub(crate) async fn other_feed(&self) -> CosmosFeed {
        let options = options(self.fixture.endpoint.endpoint());
        CosmosFeed::open(&options, "events", fields()).await.unwrap()
    }

    /// Appends commits of different sizes to streams of all partitions.
    pub(crate) async fn append(&self, streams: &mut Streams) {
        for stream in 0..16_u64 {
            let (stream, count) = (format!("stream-{stream}"), 1 + stream % 4);
            self.fixture.given(&stream, &events(count)).await;
            let orders = streams.entry(stream).or_default();
            let last = orders.last().copied().unwrap_or_default();
            orders.extend((1..=count).map(|number| last + number));
        }
    }

    pub(crate) async fn split(&self, partition: u32) {
        self.fixture.control().split(DATABASE, "events", Some(partition), None).await.unwrap();
    }

    pub(crate) async fn merge(&self, left: u32, right: u32) {
        self.fixture.control().merge(DATABASE, "events", left, right).await.unwrap();
    }

    pub(crate) async fn open(&self, range: &FeedRange, position: Position) -> Box<dyn FeedReader> {
        self.feed.open(range, &position).await.unwrap()
    }

    pub(crate) async fn end(self) {
        self.fixture.endpoint.shutdown().await.unwrap();
    }
}

/// Where events have key and order.
pub(crate) fn fields() -> FeedFields {
    FeedFields::new("/aggregateId", "/sequenceNumber").unwrap()
}

/// Notes changes, those of one transaction in their order.
pub(crate) fn note(streams: &mut Streams, mut changes: Vec<Change>) {
    changes.sort_by_key(|change| (change.lsn, change.order));
    for change in changes {
        assert_eq!(change.problem, None);
        streams.entry(change.key).or_default().push(change.order);
    }
}

/// Everything up to the first page without changes, and the place behind it.
pub(crate) async fn drain(
    reader: &mut Box<dyn FeedReader>,
    streams: &mut Streams,
) -> Result<Position, FeedFault> {
    loop {
        let page = reader.next_page().await?;
        if page.changes.is_empty() {
            return Ok(Position::Continuation(page.continuation));
        }
        note(streams, page.changes);
    }
}

/// A part of what a whole has, taken away.
pub(crate) fn without(whole: &Streams, part: &Streams) -> Streams {
    let mut rest = whole.clone();
    for (stream, orders) in part {
        let left = rest.get_mut(stream).unwrap().split_off(orders.len());
        assert_eq!(rest.insert(stream.clone(), left).as_ref(), Some(orders));
    }
    rest.retain(|_, orders| !orders.is_empty());
    rest
}
