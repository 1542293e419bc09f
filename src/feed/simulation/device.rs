//! What one host runs on: its own way to the feed and to the leases, its clock, and its death.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::feed::{
    FeedRange,
    documents::{Document, Position, Stored},
    memory::{MemoryFeed, MemoryLeases, Weather},
    source::{Change, Feed, FeedFault, FeedReader, Page},
    store::{Done, LeaseStore, Operation, StoreFault},
};

/// After this time a client gives up; what it has sent may be carried out later nevertheless.
const CLIENT_TIME_MAX: Duration = Duration::from_secs(4);
/// How late a request may arrive that is delayed on its way.
const DELAY_MAX_MS: u64 = 12_000;

/// When a device dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// Before its n-th request, counted from 1, is carried out.
    Before(u64),
    /// After that, and before the answer.
    After(u64),
}

/// A device. All of its requests go through it.
#[derive(Debug, Default)]
pub(super) struct Device {
    death: Option<Death>,
    dead: CancellationToken,
    requests: AtomicU64,
    no_leases: AtomicBool,
    no_feed: AtomicBool,
    /// In thousandths: commits that arrive late.
    late: AtomicU64,
}

impl Device {
    pub(super) fn new(death: Option<Death>) -> Arc<Self> {
        Arc::new(Self { death, ..Self::default() })
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn is_doomed(&self) -> bool {
        self.death.is_some()
    }

    /// Comes when the device has died.
    pub(super) async fn dies(&self) {
        self.dead.cancelled().await;
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Cuts the device off from the leases, from the feed, or from neither.
    pub(super) fn cut(&self, no_leases: bool, no_feed: bool) {
        self.no_leases.store(no_leases, Ordering::Relaxed);
        self.no_feed.store(no_feed, Ordering::Relaxed);
    }

    pub(super) fn delay(&self, thousandths: u64) {
        self.late.store(thousandths, Ordering::Relaxed);
    }

    /// One request: it is sent, carried out and answered, unless the device dies or is cut off.
    async fn request<T>(&self, is_cut: &AtomicBool, sent: impl Future<Output = T>) -> Option<T> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if self.death == Some(Death::Before(number)) {
            self.dead.cancel();
        }
        if self.is_dead() {
            return std::future::pending().await;
        }
        if is_cut.load(Ordering::Relaxed) {
            tokio::time::sleep(CLIENT_TIME_MAX).await;
            return None;
        }
        let answer = tokio::time::timeout(CLIENT_TIME_MAX, sent).await.ok();
        if self.death == Some(Death::After(number)) {
            self.dead.cancel();
        }
        if self.is_dead() {
            return std::future::pending().await;
        }
        answer.filter(|_| !is_cut.load(Ordering::Relaxed))
    }
}

/// The leases, as one device reaches them.
pub(super) struct DeviceLeases {
    pub(super) device: Arc<Device>,
    pub(super) leases: MemoryLeases,
    pub(super) weather: Weather,
}

impl DeviceLeases {
    /// A request goes on when its host does not wait for it any more: it is on the wire.
    async fn send<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T, StoreFault>> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let sent = async { tokio::spawn(request).await.unwrap() };
        let answer = self.device.request(&self.device.no_leases, sent).await;
        answer.unwrap_or_else(|| Err(StoreFault::Unavailable("given up".to_owned())))
    }
}

impl LeaseStore for DeviceLeases {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Stored<Document>>, StoreFault>> {
        let leases = self.leases.clone();
        Box::pin(self.send(async move { leases.list().await }))
    }

    fn commit(&self, operations: Vec<Operation>) -> BoxFuture<'_, Result<Vec<Done>, StoreFault>> {
        let leases = self.leases.clone();
        let late = self.device.late.load(Ordering::Relaxed);
        let delay = match self.weather.below(1000) {
            drawn if drawn < late => self.weather.below(DELAY_MAX_MS),
            _ => 0,
        };
        Box::pin(self.send(async move {
            if delay > 0 {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            leases.commit(operations).await
        }))
    }
}

/// The feed, as one device reaches it.
#[derive(Clone)]
pub(super) struct DeviceFeed {
    pub(super) device: Arc<Device>,
    pub(super) feed: MemoryFeed,
}

impl DeviceFeed {
    async fn send<T>(
        &self,
        request: impl Future<Output = Result<T, FeedFault>>,
    ) -> Result<T, FeedFault> {
        let answer = self.device.request(&self.device.no_feed, request).await;
        answer.unwrap_or_else(|| Err(FeedFault::Unavailable("given up".to_owned())))
    }
}

impl Feed for DeviceFeed {
    fn ranges(&self) -> BoxFuture<'_, Result<Vec<FeedRange>, FeedFault>> {
        Box::pin(self.send(self.feed.ranges()))
    }

    fn reads_parts(&self) -> BoxFuture<'_, Result<bool, FeedFault>> {
        Box::pin(self.send(self.feed.reads_parts()))
    }

    fn now(&self, range: &FeedRange) -> BoxFuture<'_, Result<String, FeedFault>> {
        Box::pin(self.send(self.feed.now(range)))
    }

    fn open(
        &self,
        range: &FeedRange,
        position: &Position,
    ) -> BoxFuture<'_, Result<Box<dyn FeedReader>, FeedFault>> {
        let opening = self.feed.open(range, position);
        Box::pin(async move {
            // To open a range asks nothing of the service.
            let reader = opening.await?;
            let reader: Box<dyn FeedReader> = Box::new(DeviceReader { at: self.clone(), reader });
            Ok(reader)
        })
    }

    fn has_key(&self, part: &FeedRange, key: &str) -> BoxFuture<'_, Result<bool, FeedFault>> {
        Box::pin(self.send(self.feed.has_key(part, key)))
    }

    fn has_rising_order(&self) -> bool {
        self.feed.has_rising_order()
    }

    fn range_of(&self, key: &str) -> BoxFuture<'_, Result<Option<FeedRange>, FeedFault>> {
        Box::pin(self.send(self.feed.range_of(key)))
    }

    fn read_key(
        &self,
        key: &str,
        order: u64,
        changes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Change>, FeedFault>> {
        Box::pin(self.send(self.feed.read_key(key, order, changes_max)))
    }
}

struct DeviceReader {
    at: DeviceFeed,
    reader: Box<dyn FeedReader>,
}

impl FeedReader for DeviceReader {
    fn next_page(&mut self) -> BoxFuture<'_, Result<Page, FeedFault>> {
        Box::pin(self.at.send(self.reader.next_page()))
    }
}
