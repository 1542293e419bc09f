//! One lease that this host holds: reading, handling, checkpoints, until it ends.

mod commits;
mod pages;
mod redrive;

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use futures::future::BoxFuture;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::redrive::Aside;
pub(super) use self::redrive::Listing;
use super::{
    FeedRange,
    documents::{Lag, Lease, Parked, Stored},
    handler::{Delivery, Handler, Outcome, Random, attempt},
    metrics::Meter,
    options::ProcessorOptions,
    progress::Progress,
    schedule::Schedule,
    source::{Change, Feed, FeedFault, FeedReader, Page},
    store::{Done, LeaseStore, Operation, StoreFault},
};
use crate::clock::Clock;

/// What a host wants of the lease that it holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// Read and handle.
    Work,
    /// Hold the lease and do nothing.
    Pause,
    /// End at once: the lease is not ours any more.
    Stop,
    /// Finish what has begun, make it durable, and give the lease away.
    Release,
    /// The same, and put leases on its parts in its place.
    Split {
        /// The parts.
        children: Vec<FeedRange>,
        /// What tells everybody that the leases are others.
        touch: Box<Operation>,
    },
}

/// How a holding has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The lease was given away.
    Released,
    /// Leases on its parts are in its place.
    Split,
    /// Somebody else has changed the lease: it is not ours any more.
    Lost,
    /// The host has not renewed in time and must not act.
    Fenced,
    /// The range cannot be read as it is: partitions were split or merged.
    Moved,
    /// The place cannot be used any more: the range has to be taken up by time.
    BadPlace(String),
    /// The processor cannot go on: wrong settings, foreign documents.
    Refused(String),
}

/// What the host and its leases share.
pub(super) struct Shared {
    pub(super) leases: Arc<dyn LeaseStore>,
    pub(super) feed: Arc<dyn Feed>,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) options: ProcessorOptions,
    pub(super) clock: Arc<dyn Clock>,
    /// Places for runs, of all leases together.
    pub(super) runs: Arc<Semaphore>,
    /// Until when the host may act.
    pub(super) fence: watch::Receiver<Instant>,
    /// Changes when somebody knows that there is something to read.
    pub(super) hint: watch::Receiver<u64>,
    /// The documents of the processor have changed: the host should look.
    pub(super) look: Notify,
    /// What the host counts.
    pub(super) meter: Meter,
    /// By how many seconds the service's clock is ahead of the host's.
    pub(super) skew: AtomicI64,
    /// How many wait for news.
    pub(super) waiting: AtomicUsize,
    /// There is news for whoever waits.
    pub(super) news: Notify,
    /// A lease seems to span several partitions: the host should compare.
    pub(super) compare: Notify,
    pub(super) incarnation: String,
}

/// What is known of a holding from outside.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// How far it is behind.
    pub(super) lag: Lag,
    /// Changes that were handled.
    pub(super) handled: u64,
    /// Whether the last page was empty and nothing is open.
    pub(super) is_caught_up: bool,
    /// The last transaction that was read, and the last that is stored.
    pub(super) lsn: (i64, i64),
    /// When something was done last, or found to be done.
    pub(super) moved: Option<Instant>,
    /// Since when something is not durable.
    pub(super) undurable: Option<Instant>,
    /// The hint that was the last when the last page was asked for.
    pub(super) hint: u64,
}

impl Shared {
    /// The time by the service's clock, in seconds: the clock by which changes are stamped.
    pub(super) fn service_now(&self) -> u64 {
        let now = self.clock.now().as_second().saturating_add(self.skew.load(Ordering::Relaxed));
        u64::try_from(now).unwrap_or_default()
    }
}

type Reading = BoxFuture<'static, (Box<dyn FeedReader>, Result<Page, FeedFault>)>;
type Opening = BoxFuture<'static, Result<Box<dyn FeedReader>, FeedFault>>;
type Committing = BoxFuture<'static, Result<Vec<Done>, StoreFault>>;

/// Where reading stands.
enum Reader {
    /// Not open. It is opened at this time.
    Closed {
        at: Instant,
    },
    Opening(Opening),
    Reading(Reading),
    /// Open, and the next page is asked for at this time.
    Open {
        reader: Box<dyn FeedReader>,
        at: Instant,
    },
}

/// A run that has ended.
struct Ended {
    key: String,
    pages: Vec<u64>,
    changes: Arc<[Change]>,
    outcome: Outcome,
}

/// A lease that this host holds.
pub(super) struct Holding {
    shared: Arc<Shared>,
    lease: Stored<Lease>,
    wishes: watch::Receiver<Wish>,
    seen: watch::Sender<Seen>,
    /// Cancelled when handlers must stop.
    stop: CancellationToken,
    reader: Reader,
    /// How long to wait before the next poll of an idle range.
    idle: std::time::Duration,
    progress: Progress,
    /// When the newest change that was read was stored, in seconds.
    read_at: Option<u64>,
    schedule: Schedule<Change>,
    running: JoinSet<Ended>,
    aside: Aside,
    /// The keys that were set aside when the host looked last.
    listing: watch::Receiver<Listing>,
    commits: commits::Commits,
    /// When everything that was read is to be done, once the lease is to be given away.
    drained_by: Option<Instant>,
    /// Whether there is something to read that the last page did not know of.
    hint: watch::Receiver<u64>,
    /// The hint that was the last when the page that is under way was asked for.
    asked_at: u64,
    random: Random,
    state: Seen,
    /// The range cannot be read as it is.
    has_moved: bool,
    /// All hosts hold still: what was read is not handled, also when the lease is given away.
    is_paused: bool,
}

impl Holding {
    pub(super) fn new(
        shared: Arc<Shared>,
        lease: Stored<Lease>,
        listing: watch::Receiver<Listing>,
        wishes: watch::Receiver<Wish>,
        seen: watch::Sender<Seen>,
    ) -> Self {
        let seed =
            lease.document.epoch ^ u64::try_from(lease.document.id().len()).unwrap_or_default();
        let options = &shared.options;
        let aside = Aside::new(&lease.document.range, &listing.borrow());
        Self {
            schedule: Schedule::new(options.run_changes_max),
            idle: options.poll_min,
            commits: commits::Commits::new(),
            drained_by: None,
            reader: Reader::Closed { at: Instant::now() },
            progress: Progress::new(),
            read_at: None,
            running: JoinSet::new(),
            stop: CancellationToken::new(),
            hint: shared.hint.clone(),
            asked_at: 0,
            random: Random::new(seed),
            state: Seen::default(),
            has_moved: false,
            is_paused: false,
            shared,
            aside,
            lease,
            listing,
            wishes,
            seen,
        }
    }

    /// Works until the lease is given away or lost.
    pub(super) async fn run(mut self) -> End {
        let end = self.work().await;
        // Whoever still runs must not act any more.
        self.stop.cancel();
        self.running.shutdown().await;
        self.aside.shutdown().await;
        end
    }

    async fn work(&mut self) -> End {
        let mut fence = self.shared.fence.clone();
        loop {
            let wish = self.wish();
            let until = *fence.borrow();
            let is_ending = matches!(wish, Wish::Release | Wish::Split { .. });
            let runs = wish == Wish::Work || (is_ending && !self.is_paused);
            if let Some(end) = self.begin(&wish, until) {
                return end;
            }
            let reads = wish == Wish::Work
                && self.progress.open_pages() < self.shared.options.read_ahead_pages;
            let waits_for_place = runs && self.schedule.is_ready() && !self.stop.is_cancelled();
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.alarm(until)) => {}
                changed = fence.changed() => {
                    if changed.is_err() {
                        return End::Fenced;
                    }
                }
                changed = self.wishes.changed() => {
                    if changed.is_err() {
                        return End::Fenced;
                    }
                }
                changed = self.listing.changed() => {
                    if changed.is_err() {
                        return End::Fenced;
                    }
                    self.take_listing();
                }
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => {
                    let Ok(Ended { key, pages, changes, outcome }) = ended else { return End::Fenced };
                    if outcome == Outcome::Stopped && !self.stop.is_cancelled() {
                        // The right to act had ended when it was to begin.
                        return End::Fenced;
                    }
                    self.ended(&key, &pages, &changes, outcome);
                }
                Some(step) = self.aside.next() => self.stepped(step),
                done = self.commits.next() => {
                    if let Some(end) = self.committed(done, is_ending) {
                        return end;
                    }
                }
                permit = Arc::clone(&self.shared.runs).acquire_owned(), if waits_for_place => {
                    if let Ok(permit) = permit {
                        self.start_run(permit);
                    }
                }
                hinted = self.hint.changed(), if reads && self.is_waiting() => {
                    if hinted.is_err() {
                        return End::Fenced;
                    }
                    self.idle = self.shared.options.poll_min;
                    self.read_now();
                }
                read = pages::advance(&mut self.reader, reads) => {
                    if let Some(end) = self.advanced(read) {
                        return end;
                    }
                }
            }
        }
    }

    /// Begins what can begin now. Gives the end where there is nothing left to do.
    fn begin(&mut self, wish: &Wish, fence: Instant) -> Option<End> {
        if Instant::now() >= fence {
            return Some(End::Fenced);
        }
        match wish {
            Wish::Stop => return Some(End::Lost),
            Wish::Release | Wish::Split { .. } => {
                self.begin_to_end();
                if !self.is_paused {
                    self.dispatch();
                }
            }
            Wish::Work => {
                self.dispatch();
                self.drive();
            }
            Wish::Pause => {}
        }
        self.commit_if_due(wish);
        None
    }

    /// What is to be done. A range that cannot be read is given away, whatever the host wishes.
    fn wish(&mut self) -> Wish {
        let wish = self.wishes.borrow().clone();
        match wish {
            Wish::Work => self.is_paused = false,
            Wish::Pause => self.is_paused = true,
            Wish::Stop | Wish::Release | Wish::Split { .. } => {}
        }
        match wish {
            Wish::Work | Wish::Pause if self.has_moved => Wish::Release,
            wish => wish,
        }
    }

    /// When something ends: the right to act, the time to finish what was read, or the wait of a
    /// checkpoint.
    fn alarm(&self, fence: Instant) -> Instant {
        let drained = self.drained_by.filter(|_| !self.stop.is_cancelled());
        drained.into_iter().chain(self.commits.due()).fold(fence, Instant::min)
    }

    /// What was read is finished first, so that nothing comes twice. Handlers that take too long are told
    /// to stop.
    fn begin_to_end(&mut self) {
        let now = Instant::now();
        let drain = self.shared.options.drain_time_max;
        let until = *self.drained_by.get_or_insert(now.checked_add(drain).unwrap_or(now));
        // A page that is still on its way would be handled here, and come again behind the place that is
        // given away.
        self.reader = Reader::Closed { at: now };
        self.stop_driving();
        if now >= until {
            self.stop.cancel();
        }
    }

    /// Starts runs while there are places.
    fn dispatch(&mut self) {
        while self.schedule.is_ready() && !self.stop.is_cancelled() {
            let Ok(permit) = Arc::clone(&self.shared.runs).try_acquire_owned() else { return };
            self.start_run(permit);
        }
    }

    fn start_run(&mut self, permit: OwnedSemaphorePermit) {
        let Some(run) = self.schedule.start() else { return };
        let shared = Arc::clone(&self.shared);
        let changes: Arc<[Change]> = run.changes.into();
        let delivery = Delivery {
            key: run.key.clone(),
            changes: Arc::clone(&changes),
            range: self.lease.document.range.clone(),
            epoch: self.lease.document.epoch,
            attempt: 1,
            stop: self.stop.clone(),
        };
        let random = Random::new(self.random.next());
        self.running.spawn(async move {
            let outcome = attempt(&shared, delivery, random).await;
            drop(permit);
            Ended { key: run.key, pages: run.pages, changes, outcome }
        });
    }

    fn count_handled(&mut self, changes: usize) {
        let handled = u64::try_from(changes).unwrap_or(u64::MAX);
        self.state.handled = self.state.handled.saturating_add(handled);
        self.shared.meter.count(|metrics| {
            metrics.handled = metrics.handled.saturating_add(handled);
        });
        self.state.moved = Some(Instant::now());
    }

    /// A run has ended.
    fn ended(&mut self, key: &str, pages: &[u64], changes: &[Change], outcome: Outcome) {
        match outcome {
            Outcome::Handled => {
                self.count_handled(changes.len());
                for page in pages {
                    self.progress.finished(*page);
                }
                self.schedule.finish(key);
            }
            Outcome::Poison { reason, attempts } => {
                let first = changes.first();
                let parked = Parked {
                    key: key.to_owned(),
                    order: first.map_or(0, |change| change.order),
                    lsn: first.map_or(0, |change| change.lsn),
                    reason,
                    attempts,
                    since: self.shared.clock.now().as_second(),
                    range: self.lease.document.range.clone(),
                    redrive: false,
                    discard: None,
                };
                // Which processor: a process may have hosts of several.
                let handler = self.shared.options.handler_name.as_deref().unwrap_or_default();
                tracing::warn!(attempts, handler, "a key is set aside");
                self.shared.meter.count(|metrics| {
                    metrics.parked = metrics.parked.saturating_add(1);
                });
                self.state.moved = Some(Instant::now());
                self.commits.park(parked, pages.to_vec());
            }
            // The loop ends, or everything is given away unfinished.
            Outcome::Stopped => {}
        }
    }
}
