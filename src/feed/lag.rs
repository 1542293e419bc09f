//! How far a processor is behind, range by range: for people, watchers and autoscalers.
//!
//! What a host last wrote of its lag may be old. So the feed is asked behind the place that is durable: the
//! first change there is the oldest one that is not done, whether a host runs or not. That costs a request a
//! range, and reads one page of one change.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use serde::Serialize;
use thiserror::Error;

use super::{
    CosmosFeed, CosmosLeases, Feed, FeedFault, FeedRange, LeaseStore as _, StoreFault,
    documents::{Activity, Document, Host, Lag, Lease, Position, Saved, Stored, Topology},
    liveness::EXPIRY,
    options::STALLED_AFTER,
    restart,
};
use crate::{clock::Clock, config::StoreOptions};

/// The ranges that are asked at the same time.
const QUESTIONS_MAX: usize = 8;
/// After this time without a beat a host is taken for gone: longer than its expiry, because the clock of
/// this machine is not that of the service.
const GONE_AFTER: Duration = EXPIRY.saturating_mul(2);

/// Why the lag is not known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LagError {
    /// The feed does not say.
    #[error(transparent)]
    Feed(#[from] FeedFault),
    /// The documents of the processors cannot be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// How far a range is behind, and who works on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RangeLag {
    /// The range.
    pub range: String,
    /// The instance that has it, where there is one.
    pub owner: Option<String>,
    /// How often it changed hands.
    pub epoch: u64,
    /// The age of the oldest change that is not done; nothing where the range cannot be read as it is, until
    /// a host has seen to it.
    pub lag_seconds: Option<u64>,
    /// The transactions that are not done, counted by their numbers: there may be fewer.
    pub lag_transactions: Option<u64>,
    /// What becomes of it.
    pub state: RangeState,
}

/// What becomes of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum RangeState {
    /// There is nothing to do.
    Idle,
    /// It is worked on.
    Working,
    /// Nothing was finished for [`STALLED_AFTER`], though there is something to do.
    Stalled,
    /// All hosts hold still.
    Paused,
    /// No host has it.
    Unowned,
}

impl RangeState {
    /// The name that is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Working => "working",
            Self::Stalled => "stalled",
            Self::Paused => "paused",
            Self::Unowned => "unowned",
        }
    }
}

/// How far a processor is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessorLag {
    /// Its name.
    pub processor: String,
    /// Its ranges, in their order.
    pub ranges: Vec<RangeLag>,
    /// The keys that are set aside.
    pub parked: u64,
    /// The instances that work on it, sorted.
    pub hosts: Vec<String>,
    /// Whether its ranges are all that there is: the leases of one that begins, or has lost some, are not.
    pub is_whole: bool,
}

#[cfg(test)]
impl RangeLag {
    /// A range that is behind by seconds and transactions.
    pub(crate) fn new(range: &str, lag: Option<(u64, u64)>, state: RangeState) -> Self {
        Self {
            range: range.to_owned(),
            owner: None,
            epoch: 1,
            lag_seconds: lag.map(|(seconds, _)| seconds),
            lag_transactions: lag.map(|(_, transactions)| transactions),
            state,
        }
    }
}

impl ProcessorLag {
    #[cfg(test)]
    pub(crate) fn new(processor: &str, ranges: Vec<RangeLag>, parked: u64) -> Self {
        Self { processor: processor.to_owned(), ranges, parked, hosts: Vec::new(), is_whole: true }
    }

    /// The lag of the range that is furthest behind; nothing where that of one is not known, or a lease lacks:
    /// an autoscaler that reads 0 there would take the last host away that could make it.
    pub fn seconds(&self) -> Option<u64> {
        if !self.is_whole {
            return None;
        }
        let all: Option<Vec<u64>> = self.ranges.iter().map(|range| range.lag_seconds).collect();
        all.map(|all| all.into_iter().max().unwrap_or_default())
    }

    /// The transactions that are not done, of all ranges; nothing where those of one are not known, or a lease
    /// lacks.
    pub fn transactions(&self) -> Option<u64> {
        if !self.is_whole {
            return None;
        }
        let all: Option<Vec<u64>> =
            self.ranges.iter().map(|range| range.lag_transactions).collect();
        all.map(|all| all.into_iter().fold(0, u64::saturating_add))
    }

    /// The ranges in a state.
    pub fn count(&self, state: RangeState) -> u64 {
        let count = self.ranges.iter().filter(|range| range.state == state).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// Asks how far processors over one feed are behind. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LagReader {
    leases: CosmosLeases,
    feed: Arc<CosmosFeed>,
    clock: Arc<dyn Clock>,
}

impl LagReader {
    /// A reader of the processors whose documents are in this container.
    ///
    /// # Errors
    ///
    /// [`LagError::Store`] when the container cannot be opened.
    pub async fn open(
        options: &StoreOptions,
        container: &str,
        feed: CosmosFeed,
    ) -> Result<Self, LagError> {
        // Any name will do: the documents of others are read over the same connection.
        let leases = Box::pin(CosmosLeases::open(options, container, container)).await?;
        let (feed, clock) = (Arc::new(feed.with_page_changes(1)), Arc::clone(&options.clock));
        Ok(Self { leases, feed, clock })
    }

    /// How far a processor is behind; nothing where it was never started. One request for its documents, and
    /// one for each range.
    ///
    /// # Errors
    ///
    /// [`LagError`].
    pub async fn processor(&self, name: &str) -> Result<Option<ProcessorLag>, LagError> {
        let listed = self.leases.of(name).list().await?;
        let is_parked = |found: &&Stored<Document>| matches!(found.document, Document::Parked(_));
        let parked = u64::try_from(listed.iter().filter(is_parked).count()).unwrap_or(u64::MAX);
        let Some(known) = Known::new(listed, self.clock.now().as_second()) else { return Ok(None) };
        let hosts = known.alive();
        let feed: Arc<dyn Feed> = Arc::<CosmosFeed>::clone(&self.feed);
        let ranges = known.ranges(&feed).await?;
        let (processor, is_whole) = (name.to_owned(), known.is_whole());
        Ok(Some(ProcessorLag { processor, ranges, parked, hosts, is_whole }))
    }

    /// How far all processors are behind, by name. A query over all partitions of the container besides.
    ///
    /// # Errors
    ///
    /// [`LagError`].
    pub async fn processors(&self) -> Result<Vec<ProcessorLag>, LagError> {
        let names = Box::pin(self.leases.siblings()).await?;
        let mut found = Vec::with_capacity(names.len());
        for leases in names {
            found.extend(self.processor(leases.processor()).await?);
        }
        Ok(found)
    }
}

/// The oldest change that is not done, and how many transactions there are from it on; nothing where the
/// range cannot be read as it is.
async fn behind(
    feed: &dyn Feed,
    range: &FeedRange,
    position: &Position,
) -> Result<Option<Behind>, FeedFault> {
    let reading = async {
        let mut reader = feed.open(range, position).await?;
        reader.next_page().await
    };
    let page = match reading.await {
        Ok(page) => page,
        Err(FeedFault::Moved | FeedFault::BadPosition(_)) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let oldest = page.changes.iter().min_by_key(|change| change.lsn);
    Ok(Some(oldest.map_or(Behind::default(), |oldest| {
        let last = page.last_lsn.unwrap_or(oldest.lsn).max(oldest.lsn);
        let between = last.saturating_sub(oldest.lsn).saturating_add(1);
        Behind {
            since: Some(oldest.stored_at),
            transactions: u64::try_from(between).unwrap_or_default(),
        }
    })))
}

/// How far a range is behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Behind {
    /// When the oldest change that is not done was stored, where there is one.
    since: Option<u64>,
    transactions: u64,
}

/// What the documents of a processor say.
struct Known {
    topology: Topology,
    saved: Option<Saved>,
    leases: Vec<Stored<Lease>>,
    hosts: Vec<Stored<Host>>,
    now: u64,
}

impl Known {
    /// Nothing where there is no processor.
    fn new(listed: Vec<Stored<Document>>, now: i64) -> Option<Self> {
        let (mut topology, mut saved) = (None, None);
        let (mut leases, mut hosts) = (Vec::new(), Vec::new());
        for Stored { document, etag, stored_at } in listed {
            match document {
                Document::Topology(found) => topology = Some(found),
                Document::Lease(document) => leases.push(Stored { document, etag, stored_at }),
                Document::Host(document) => hosts.push(Stored { document, etag, stored_at }),
                Document::Saved(found) => saved = Some(found),
                Document::Parked(_) | Document::Discarded(_) => {}
            }
        }
        let topology = topology?;
        leases.sort_by(|one, other| one.document.range.cmp(&other.document.range));
        Some(Self { topology, saved, leases, hosts, now: u64::try_from(now).unwrap_or_default() })
    }

    /// Where a lease goes on: where the processor was rewound to, unless its owner has seen that already.
    fn position(&self, lease: &Lease) -> Position {
        restart::next_place(&self.topology, self.saved.as_ref(), lease).position
    }

    /// The instance that has a lease, unless it is gone.
    fn owner(&self, lease: &Lease) -> Option<String> {
        let owner = lease.owner.as_ref().filter(|owner| self.topology.members.contains(owner))?;
        let is_owner = |host: &&Stored<Host>| host.document.incarnation == *owner;
        let host = self.hosts.iter().find(is_owner)?;
        let is_alive = self.age(host.stored_at) < GONE_AFTER;
        is_alive.then(|| host.document.instance.clone())
    }

    /// The instances that are alive, sorted.
    fn alive(&self) -> Vec<String> {
        let is_alive = |host: &&Stored<Host>| {
            self.topology.members.contains(&host.document.incarnation)
                && self.age(host.stored_at) < GONE_AFTER
        };
        let hosts = self.hosts.iter().filter(is_alive);
        let mut instances: Vec<String> = hosts.map(|host| host.document.instance.clone()).collect();
        instances.sort();
        instances
    }

    /// Whether the leases are of all that there is, without a gap. They are sorted.
    fn is_whole(&self) -> bool {
        let full = FeedRange::full();
        let mut end = full.begin();
        for lease in &self.leases {
            let range = &lease.document.range;
            if range.begin() > end {
                return false;
            }
            end = end.max(range.end());
        }
        end >= full.end()
    }

    /// All ranges, asked for what is behind them.
    async fn ranges(&self, feed: &Arc<dyn Feed>) -> Result<Vec<RangeLag>, FeedFault> {
        let asked = self.leases.iter().map(|lease| {
            let range = lease.document.range.clone();
            let position = self.position(&lease.document);
            let feed = Arc::clone(feed);
            async move { behind(&*feed, &range, &position).await }
        });
        // In a box: the future of a question is large, and there are several.
        let asked = asked.map(Box::pin).collect::<Vec<_>>();
        let answers: Vec<_> = stream::iter(asked).buffered(QUESTIONS_MAX).collect().await;
        let pairs = self.leases.iter().zip(answers);
        pairs.map(|(lease, answer)| Ok(self.range(lease, answer?))).collect()
    }

    fn age(&self, stored_at: u64) -> Duration {
        Duration::from_secs(self.now.saturating_sub(stored_at))
    }

    fn range(&self, lease: &Stored<Lease>, behind: Option<Behind>) -> RangeLag {
        let lag = behind.map(|behind| Lag {
            seconds: behind.since.map_or(0, |since| self.now.saturating_sub(since)),
            transactions: behind.transactions,
        });
        let owner = self.owner(&lease.document);
        let is_idle = behind.is_some_and(|behind| behind.since.is_none());
        let waits = behind.and_then(|behind| behind.since).map(|since| self.age(since));
        let is_stalled = waits.is_some_and(|waits| waits > STALLED_AFTER)
            && self.age(lease.stored_at) > STALLED_AFTER;
        let state = match () {
            () if self.topology.activity == Activity::Paused => RangeState::Paused,
            () if owner.is_none() => RangeState::Unowned,
            () if is_idle => RangeState::Idle,
            () if is_stalled => RangeState::Stalled,
            () => RangeState::Working,
        };
        RangeLag {
            range: lease.document.range.to_string(),
            owner,
            epoch: lease.document.epoch,
            lag_seconds: lag.map(|lag| lag.seconds),
            lag_transactions: lag.map(|lag| lag.transactions),
            state,
        }
    }
}

#[cfg(test)]
mod tests;
