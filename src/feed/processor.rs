//! Starting a processor, looking at it, and ending it.

mod caught_up;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use thiserror::Error;
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::caught_up::CaughtUp;
use self::caught_up::Goals;
use super::{
    control::Control,
    coverage::check,
    handler::Handler,
    holding::Shared,
    host::{HostTask, LeaseStatus, Status},
    metrics::{Meter, Metrics},
    options::{InvalidOptions, ProcessorOptions, WAITING_INTERVAL},
    source::Feed,
    store::LeaseStore,
};
use crate::clock::{Clock, SystemClock};

/// What a processor is made of.
#[must_use = "a processor does nothing until it is started"]
pub struct Processor {
    leases: Arc<dyn LeaseStore>,
    feed: Arc<dyn Feed>,
    handler: Arc<dyn Handler>,
    options: ProcessorOptions,
    clock: Arc<dyn Clock>,
    incarnation: Option<String>,
}

impl std::fmt::Debug for Processor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Processor").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Processor {
    /// A processor of this feed, with these leases.
    pub fn new(
        feed: Arc<dyn Feed>,
        leases: Arc<dyn LeaseStore>,
        handler: Arc<dyn Handler>,
        options: ProcessorOptions,
    ) -> Self {
        let clock = Arc::new(SystemClock::new());
        Self { leases, feed, handler, options, clock, incarnation: None }
    }

    /// Sets what tells the time of day.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the name of this start of the host, which must be unique. For simulations, which repeat what
    /// happened; everybody else gets a random one.
    pub fn with_incarnation(mut self, incarnation: impl Into<String>) -> Self {
        self.incarnation = Some(incarnation.into());
        self
    }

    /// Starts a host. It joins the processor, or makes it where there is none.
    ///
    /// # Errors
    ///
    /// [`InvalidOptions`].
    pub fn start(self) -> Result<RunningProcessor, InvalidOptions> {
        self.options.check()?;
        let incarnation = self.incarnation.unwrap_or_else(|| Uuid::new_v4().to_string());
        let begun = Instant::now();
        let (fence_by, fence) = watch::channel(begun);
        let (status_by, status) = watch::channel(Status::default());
        let (drain_by, drain) = watch::channel(Duration::ZERO);
        let (hint_by, hint) = watch::channel(0);
        let shared = Arc::new(Shared {
            runs: Arc::new(Semaphore::new(self.options.runs_max)),
            leases: Arc::clone(&self.leases),
            feed: self.feed,
            handler: self.handler,
            options: self.options,
            clock: self.clock,
            fence,
            hint,
            look: Notify::new(),
            compare: Notify::new(),
            incarnation: incarnation.clone(),
            meter: Meter::default(),
            skew: AtomicI64::new(0),
            waiting: AtomicUsize::new(0),
            news: Notify::new(),
        });
        let stop = CancellationToken::new();
        let host = HostTask::new(Arc::clone(&shared), fence_by, status_by);
        let task = tokio::spawn(Box::pin(host.run(stop.clone(), drain)));
        let control = Control::new(self.leases);
        Ok(RunningProcessor {
            incarnation,
            begun,
            shared,
            stop,
            drain: drain_by,
            status,
            hint: hint_by,
            task,
            control,
        })
    }
}

/// A host that runs. It ends when it is told to; when it is dropped it ends at once, as if it had crashed.
pub struct RunningProcessor {
    incarnation: String,
    /// When it was started, which is its fence until its first beat.
    begun: Instant,
    shared: Arc<Shared>,
    stop: CancellationToken,
    drain: watch::Sender<Duration>,
    status: watch::Receiver<Status>,
    hint: watch::Sender<u64>,
    task: JoinHandle<()>,
    control: Control,
}

impl std::fmt::Debug for RunningProcessor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let incarnation = &self.incarnation;
        f.debug_struct("RunningProcessor").field("incarnation", incarnation).finish_non_exhaustive()
    }
}

/// Lets the tasks of a host know that somebody waits for news.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a host may work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It has not stored its first beat yet.
    Joining,
    /// It may work.
    Alive,
    /// It has laid its work down by itself: it could not say for too long that it is alive, and others may
    /// have taken its leases.
    Fenced,
}

/// Why a host did not end as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the host ended by a fault of its own")]
pub struct HostFailed;

impl RunningProcessor {
    /// The name of this start of the host.
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// What the host knows now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Whether the host may work: whether its last beat that was stored is recent enough, so that no other host
    /// takes it for dead.
    pub fn standing(&self) -> Standing {
        let fence = *self.shared.fence.borrow();
        match () {
            () if fence == self.begun => Standing::Joining,
            () if Instant::now() < fence => Standing::Alive,
            () => Standing::Fenced,
        }
    }

    /// Says that there is something to read, so that no poll is waited for. Not a promise: what was stored
    /// may still be invisible to the feed for a moment, and a poll then finds it.
    pub fn hint(&self) {
        self.hint.send_modify(|hints| *hints = hints.wrapping_add(1));
    }

    /// What this host has counted and measured since it was started.
    pub fn metrics(&self) -> Metrics {
        let mut metrics = self.shared.meter.read();
        metrics.leases_charge = self.shared.leases.request_charge();
        metrics
    }

    /// What an operator can tell all hosts.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Waits until everything is handled that was stored when it was called, by this host or others; what
    /// is set aside counts as handled. For ever while the processor is paused or cannot go on. For tests,
    /// and for a program that has to know.
    ///
    /// Ranges of this host cost nothing but a poll. Of others, a list of the documents, and one page behind
    /// their checkpoint each, twice a second.
    ///
    /// # Errors
    ///
    /// [`HostFailed`] when this host has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop.
    pub async fn wait_caught_up(&self) -> Result<(), HostFailed> {
        let _waiting = Waiting::new(&self.shared);
        self.hint();
        let hint = *self.hint.borrow();
        let mut status = self.status.clone();
        let mut goals = Goals::default();
        loop {
            let mut others = Vec::new();
            let mut is_open = false;
            {
                let status = status.borrow_and_update();
                // What is in no lease is not done.
                let leases = status.leases.iter().map(|one| one.lease.range.clone());
                is_open |= !check(&leases.collect::<Vec<_>>()).is_empty();
                for LeaseStatus { lease, held } in &status.leases {
                    match held {
                        Some(held) => is_open |= !held.is_caught_up || held.hint < hint,
                        None if goals.is_done(&lease.range) => {}
                        None => others.push(lease.range.clone()),
                    }
                }
            }
            if !is_open && others.is_empty() {
                return Ok(());
            }
            if !is_open {
                let (feed, leases) = (&*self.shared.feed, &*self.shared.leases);
                caught_up::of_others(feed, leases, &others, &mut goals).await;
                if others.iter().all(|range| goals.is_done(range)) {
                    continue;
                }
            }
            tokio::select! {
                changed = status.changed() => changed.map_err(|_| HostFailed)?,
                () = tokio::time::sleep(WAITING_INTERVAL) => {}
            }
        }
    }

    /// Stops reading, finishes what was read, makes it durable, gives the leases away and leaves, all
    /// within a time. What is not done by then comes again, here or at another host.
    ///
    /// # Errors
    ///
    /// [`HostFailed`] when the task of the host had panicked.
    pub async fn shutdown(mut self, deadline: Duration) -> Result<(), HostFailed> {
        self.drain.send_replace(deadline);
        self.stop.cancel();
        (&mut self.task).await.map_err(|_| HostFailed)
    }

    /// Ends the host at once, as a crash would: nothing is made durable, and nothing given away.
    pub fn kill(self) {
        self.task.abort();
    }

    /// Whether the host has ended, by a fault.
    pub fn has_ended(&mut self) -> bool {
        (&mut self.task).now_or_never().is_some()
    }
}

impl Drop for RunningProcessor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;

    use super::*;
    use crate::feed::{
        FeedRange,
        documents::{Document, Lag},
        handler::{Delivery, HandlerFault},
        memory::{MemoryFeed, MemoryLeases, Weather},
    };

    struct Nothing;

    impl Handler for Nothing {
        fn handle<'a>(&'a self, _: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
            std::future::ready(Ok(())).boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_range_is_not_checkpointed_again() {
        let weather = Weather::fine(1, Duration::from_millis(5));
        let feed = MemoryFeed::new(weather.clone(), vec![FeedRange::full()], true);
        let leases = MemoryLeases::new(weather);
        feed.write("a", 3);
        let options = ProcessorOptions::new("host");
        let (beat, stores) = (options.beat, Arc::new(leases.clone()));
        let host = Processor::new(Arc::new(feed), stores, Arc::new(Nothing), options);
        let host = host.start().unwrap();
        host.wait_caught_up().await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        let before = leases.commits();
        let minute = Duration::from_mins(1);
        tokio::time::sleep(minute).await;
        let beats = minute.div_duration_f64(beat).ceil();
        let commits = u32::try_from(leases.commits() - before).unwrap();
        assert!(f64::from(commits) <= beats + 1.0, "{commits} commits, {beats} beats");

        let is_done = |lag: Option<Lag>| lag == Some(Lag::default());
        let done = leases
            .peek()
            .into_iter()
            .any(|found| matches!(found.document, Document::Lease(lease) if is_done(lease.lag)));
        assert!(done, "the lease says that nothing is behind");
        let status = host.status();
        assert!(status.leases[0].held.as_ref().is_some_and(|held| held.is_caught_up));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_with_another_handler_does_not_join() {
        let weather = Weather::fine(1, Duration::from_millis(5));
        let feed = MemoryFeed::new(weather.clone(), vec![FeedRange::full()], true);
        let leases = MemoryLeases::new(weather);
        let start = |name: Option<&str>| {
            let mut options = ProcessorOptions::new("host");
            options.handler_name = name.map(str::to_owned);
            let (feed, stores) = (Arc::new(feed.clone()), Arc::new(leases.clone()));
            Processor::new(feed, stores, Arc::new(Nothing), options).start().unwrap()
        };
        let handler = || {
            leases.peek().into_iter().find_map(|found| match found.document {
                Document::Topology(topology) => Some((topology.handler, topology.members.len())),
                _ => None,
            })
        };
        let until = async |host: &RunningProcessor, is_so: &dyn Fn(&Status) -> bool| {
            let mut status = host.status.clone();
            let waiting = tokio::time::timeout(Duration::from_mins(5), status.wait_for(is_so));
            waiting.await.unwrap().unwrap().clone()
        };
        let joined = async |host: &RunningProcessor| {
            let me = host.incarnation().to_owned();
            until(host, &|status| status.hosts.contains(&me)).await;
        };
        let nameless = start(None);
        joined(&nameless).await;
        assert_eq!(handler(), Some((None, 1)));
        // The first name that joins is that of the processor.
        let count = start(Some("count"));
        joined(&count).await;
        assert_eq!(handler(), Some((Some("count".to_owned()), 2)));
        let other = start(Some("stdout"));
        let status = until(&other, &|status| status.trouble.is_some()).await;
        let trouble = "the handler of the processor is \"count\", that of this host \"stdout\": it does not join";
        assert_eq!(status.trouble.as_deref(), Some(trouble));
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_eq!(handler(), Some((Some("count".to_owned()), 2)), "it never joins");
        assert!(other.status().leases.is_empty());
        let same = start(Some("count"));
        joined(&same).await;
        joined(&start(None)).await;
        assert_eq!(handler().unwrap().0.as_deref(), Some("count"));
    }

    /// All leases are gone, so that one lease for everything is made, and then one for each partition.
    #[tokio::test(start_paused = true)]
    async fn a_lease_on_more_partitions_than_fit_into_a_commit_is_split() {
        let weather = Weather::fine(1, Duration::from_millis(5));
        let feed = MemoryFeed::new(weather.clone(), vec![FeedRange::full()], false);
        while feed.partitions() < 150 {
            (0..feed.partitions()).rev().for_each(|partition| feed.split(partition));
        }
        let leases = MemoryLeases::new(weather);
        (0..300).for_each(|key| feed.write(&key.to_string(), 1));
        let (partitions, stores) = (feed.partitions(), Arc::new(leases.clone()));
        let options = ProcessorOptions::new("host");
        let host = Processor::new(Arc::new(feed), stores, Arc::new(Nothing), options);
        let host = host.start().unwrap();
        host.wait_caught_up().await.unwrap();
        for lease in host.status().leases {
            leases.remove(&lease.lease.id());
        }
        let mut status = host.status.clone();
        let is_whole = |status: &Status| {
            let is_held = |one: &LeaseStatus| one.held.is_some() && one.lease.epoch > 1000;
            status.leases.len() == partitions && status.leases.iter().all(is_held)
        };
        let waiting = tokio::time::timeout(Duration::from_mins(10), status.wait_for(is_whole));
        let in_time = waiting.await.is_ok();
        assert!(in_time, "{} leases, {:?}", host.status().leases.len(), host.status().trouble);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_no_lease_is_waited_for() {
        let weather = Weather::fine(1, Duration::from_millis(5));
        let feed = MemoryFeed::new(weather.clone(), vec![FeedRange::full()], false);
        feed.split(0);
        let leases = MemoryLeases::new(weather);
        let (at, stores) = (Arc::new(feed.clone()), Arc::new(leases.clone()));
        let host = Processor::new(at, stores, Arc::new(Nothing), ProcessorOptions::new("host"));
        let host = host.start().unwrap();
        host.wait_caught_up().await.unwrap();
        let lost = host.status().leases[0].lease.id();
        leases.remove(&lost);
        // Every change of the topology lets the host look.
        host.control().resume().await.unwrap();
        let mut status = host.status.clone();
        status.wait_for(|status| status.leases.len() == 1).await.unwrap();
        (0..50).for_each(|key| feed.write(&key.to_string(), 1));
        host.wait_caught_up().await.unwrap();
        assert_eq!(host.metrics().handled, 50);
    }

    #[tokio::test(start_paused = true)]
    async fn a_processor_has_the_handler_of_its_maker() {
        let weather = Weather::fine(1, Duration::from_millis(5));
        let feed = MemoryFeed::new(weather.clone(), vec![FeedRange::full()], true);
        let leases = MemoryLeases::new(weather);
        let options = ProcessorOptions::new("host").with_handler_name("mails");
        let stores = Arc::new(leases.clone());
        let host = Processor::new(Arc::new(feed), stores, Arc::new(Nothing), options);
        let host = host.start().unwrap();
        host.wait_caught_up().await.unwrap();
        let topology = host.control().overview().await.unwrap().topology.unwrap();
        assert_eq!(topology.handler.as_deref(), Some("mails"));
    }
}
