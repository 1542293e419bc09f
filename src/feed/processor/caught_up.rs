//! Whether a processor has done what is stored, by what it has made durable: whoever works on it, or nobody.
//!
//! The lag that a lease has is what its owner knew at its last checkpoint, and its owner may be dead since.
//! So the feed is asked behind the place that is durable. What is stored after the first look is not waited
//! for: under a steady load there is always something behind the last checkpoint.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt as _, stream};

use crate::feed::{
    Feed, FeedRange, LeaseStore, StoreFault,
    coverage::check,
    documents::{Document, Lease, Stored},
};

/// The ranges that are asked for at the same time.
const QUESTIONS_MAX: usize = 8;

/// Looks again and again whether a processor has done everything that was stored at the first look. It needs
/// no host of its own.
#[must_use = "it does nothing until it is asked to look"]
pub struct CaughtUp {
    feed: Arc<dyn Feed>,
    leases: Arc<dyn LeaseStore>,
    goals: Goals,
}

impl std::fmt::Debug for CaughtUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaughtUp").field("goals", &self.goals).finish_non_exhaustive()
    }
}

impl CaughtUp {
    /// Of the processor that has its leases here.
    pub fn new(feed: Arc<dyn Feed>, leases: Arc<dyn LeaseStore>) -> Self {
        Self { feed, leases, goals: Goals::default() }
    }

    /// Whether everything is done that was stored at the first look; what is set aside counts as done. A list
    /// of the documents, and a page behind the checkpoint of each range that was not found done before.
    ///
    /// # Errors
    ///
    /// [`StoreFault`].
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn look(&mut self) -> Result<bool, StoreFault> {
        let listed = self.leases.list().await?;
        let ranges: Vec<FeedRange> = listed
            .iter()
            .filter_map(|found| match &found.document {
                Document::Lease(lease) => Some(lease.range.clone()),
                _ => None,
            })
            .collect();
        // What is in no lease is not done.
        if !check(&ranges).is_empty() {
            return Ok(false);
        }
        let open: Vec<FeedRange> =
            ranges.into_iter().filter(|range| !self.goals.is_done(range)).collect();
        ask(&*self.feed, listed, &open, &mut self.goals).await;
        Ok(open.iter().all(|range| self.goals.is_done(range)))
    }
}

/// Up to where ranges have to be done.
#[derive(Debug, Default)]
pub(super) struct Goals(BTreeMap<FeedRange, Goal>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Up to this transaction.
    Transaction(i64),
    Done,
}

impl Goals {
    pub(super) fn is_done(&self, range: &FeedRange) -> bool {
        self.0.get(range) == Some(&Goal::Done)
    }
}

/// Asks for ranges that others work on. Whatever cannot be asked is not done: it is asked again.
pub(super) async fn of_others(
    feed: &dyn Feed,
    leases: &dyn LeaseStore,
    ranges: &[FeedRange],
    goals: &mut Goals,
) {
    if let Ok(listed) = leases.list().await {
        ask(feed, listed, ranges, goals).await;
    }
}

async fn ask(
    feed: &dyn Feed,
    listed: Vec<Stored<Document>>,
    ranges: &[FeedRange],
    goals: &mut Goals,
) {
    let (mut leases, mut generation, mut parked) = (Vec::new(), 0, Vec::new());
    for found in listed {
        match found.document {
            Document::Topology(topology) => generation = topology.generation,
            Document::Lease(lease) if ranges.contains(&lease.range) => leases.push(lease),
            Document::Parked(found) => parked.push(found.key),
            _ => {}
        }
    }
    // A lease that was not rewound yet has all of it before it.
    leases.retain(|lease| !lease.is_damaged && lease.generation >= generation);
    let parked = &parked;
    let asked = leases.into_iter().map(|lease| {
        let goal = match goals.0.get(&lease.range) {
            Some(Goal::Transaction(lsn)) => Some(*lsn),
            _ => None,
        };
        Box::pin(is_done(feed, lease, parked, goal))
    });
    let asked: Vec<_> = asked.collect();
    let answers: Vec<_> = stream::iter(asked)
        .buffered(QUESTIONS_MAX)
        .filter_map(std::future::ready)
        .collect::<Vec<(FeedRange, Goal)>>()
        .await;
    goals.0.extend(answers);
}

async fn is_done(
    feed: &dyn Feed,
    lease: Lease,
    parked: &[String],
    goal: Option<i64>,
) -> Option<(FeedRange, Goal)> {
    let mut reader = feed.open(&lease.range, &lease.position).await.ok()?;
    let mut goal = goal;
    loop {
        let page = reader.next_page().await.ok()?;
        if page.changes.is_empty() {
            return Some((lease.range, Goal::Done));
        }
        let newest = page.changes.iter().map(|change| change.lsn).max();
        let up_to = *goal.get_or_insert(page.last_lsn.max(newest)?);
        let counts = |change: &&crate::feed::Change| change.lsn <= up_to;
        if page.changes.iter().filter(counts).any(|change| !parked.contains(&change.key)) {
            return Some((lease.range, Goal::Transaction(up_to)));
        }
        if page.changes.iter().any(|change| change.lsn > up_to) {
            return Some((lease.range, Goal::Done));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{FutureExt as _, future::BoxFuture};

    use super::*;
    use crate::feed::{
        Delivery, Handler, HandlerFault, Processor, ProcessorOptions,
        documents::Lag,
        memory::{MemoryFeed, MemoryLeases, Weather},
    };

    struct Nothing;

    impl Handler for Nothing {
        fn handle<'a>(&'a self, _: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
            std::future::ready(Ok(())).boxed()
        }
    }

    /// What a lease says of its lag is of the time when it was written.
    #[tokio::test(start_paused = true)]
    async fn what_is_stored_counts_and_not_what_a_lease_says() {
        let weather = Weather::fine(1, Duration::from_millis(5));
        let feed = MemoryFeed::new(weather.clone(), vec![FeedRange::full()], true);
        let leases = MemoryLeases::new(weather);
        let caught_up = || CaughtUp::new(Arc::new(feed.clone()), Arc::new(leases.clone()));
        let work = async || {
            let (feed, stores) = (Arc::new(feed.clone()), Arc::new(leases.clone()));
            let options = ProcessorOptions::new("host");
            let host = Processor::new(feed, stores, Arc::new(Nothing), options).start().unwrap();
            host.wait_caught_up().await.unwrap();
            tokio::time::sleep(Duration::from_secs(5)).await;
            host.shutdown(Duration::from_secs(5)).await.unwrap();
        };
        assert_eq!(caught_up().look().await, Ok(false), "nobody has begun");
        feed.write("a", 3);
        work().await;
        assert_eq!(caught_up().look().await, Ok(true));
        feed.write("b", 2);
        let mut begun = caught_up();
        assert_eq!(begun.look().await, Ok(false));
        let says_done = leases.peek().into_iter().any(|found| {
            matches!(found.document, Document::Lease(lease) if lease.lag == Some(Lag::default()))
        });
        assert!(says_done, "the lease still says that nothing is behind");
        work().await;
        // Under a steady load there is always more, and it is not waited for.
        feed.write("c", 1);
        assert_eq!(begun.look().await, Ok(true));
        assert_eq!(caught_up().look().await, Ok(false));
    }
}
