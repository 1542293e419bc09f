//! Bounded runs of a host of read models, for processes that are called and may be ended at any time.
//!
//! Invariants:
//!
//! - There is one run at a time. Whoever asks for one while it lasts shares it.
//! - A run lasts as long as somebody has a use for it, and each of them has one for a bounded time. Then it ends
//!   in a task of its own, which makes durable what was done and gives the leases away, also when whoever asked
//!   has gone.
//! - Nothing is lost when the process is killed instead: places and leases are those of the processor.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use thiserror::Error;
use tokio::{
    sync::{OnceCell, watch},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Hosting, ProjectionHost, ReadModelError, ReadModels, Versions};
use crate::feed::{CaughtUp, CosmosFeed, liveness::EXPIRY};

/// How long a host may take to get leases that nobody holds: two beats and the requests between them.
pub const ACQUISITION_TIME: Duration = Duration::from_secs(6);
/// The shortest use of a run. What a killed host held is free after its expiry, and then has to be acquired:
/// a shorter run would end before it had done anything.
pub const RUN_TIME_MIN: Duration = EXPIRY.saturating_add(ACQUISITION_TIME);
/// How long a use of a run takes, unless it is set: with one a minute, leases are held most of the time.
pub const RUN_TIME_DEFAULT: Duration = Duration::from_secs(45);
/// The longest use of a run: less than the time-out of functions (5 minutes), with room for its end.
pub const RUN_TIME_MAX: Duration = Duration::from_mins(4);
/// How long a run may take to end: within the 10 seconds that platforms grant, with room for the answer.
pub const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(8);
/// Between two looks whether a wake-up has been done. Checkpoints are written once a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Runs a host of read models when it is asked to. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Pump(Arc<Inner>);

struct Inner {
    read_models: ReadModels,
    host: ProjectionHost,
    run_time: Duration,
    /// Opened with the first wake-up.
    feed: OnceCell<CosmosFeed>,
    current: Mutex<Option<Arc<Run>>>,
    runs: TaskTracker,
    closing: CancellationToken,
}

/// How a run has ended.
type End = Result<Pumped, PumpError>;

/// A run.
struct Run {
    /// Who has a use for it. Changed only while the current run is locked.
    users: AtomicUsize,
    hints: watch::Sender<u64>,
    stop: CancellationToken,
    ended: watch::Receiver<Option<End>>,
}

/// What a run has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Pumped {
    /// The versions of read models that were kept up to date.
    pub read_models: usize,
    /// Events that were folded, once for each read model that takes them.
    pub events: u64,
    /// Documents that were written.
    pub documents: u64,
    /// Whether everything is done that was stored when it was asked for. Only a wake-up looks.
    pub is_caught_up: bool,
}

impl Pumped {
    fn of(hostings: &[Hosting]) -> Self {
        let sum =
            |value: fn(&Hosting) -> u64| hostings.iter().map(value).fold(0, u64::saturating_add);
        Self {
            read_models: hostings.len(),
            events: sum(|one| one.applied.events),
            documents: sum(|one| one.applied.writes),
            is_caught_up: false,
        }
    }
}

/// Why read models were not kept up to date. Ask again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PumpError {
    /// No more runs.
    #[error("the process is about to stop")]
    Closing,
    /// The store did not do what was needed.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
    /// Something stood in the way at the end.
    #[error("read models are not kept up to date: {0}")]
    Trouble(String),
    /// The task of the run panicked.
    #[error("a run ended by a fault of its own")]
    Broken,
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pump").field(&self.0.host).finish()
    }
}

impl Run {
    fn is_over(&self) -> bool {
        // Without its sender it has ended by a panic.
        self.ended.borrow().is_some() || self.ended.has_changed().is_err()
    }

    async fn over(&self) -> End {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await;
        end.map_or(Err(PumpError::Broken), |end| end.clone().unwrap_or(Err(PumpError::Broken)))
    }

    fn hint(&self) {
        self.hints.send_modify(|hints| *hints = hints.wrapping_add(1));
    }
}

/// A use of a run, which ends when it is dropped.
struct Use {
    pump: Pump,
    run: Arc<Run>,
}

impl Drop for Use {
    fn drop(&mut self) {
        let _current = self.pump.current();
        if self.run.users.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.run.stop.cancel();
        }
    }
}

impl Use {
    /// Ends the use. Whoever is the last waits until the run has ended.
    async fn end(self) -> End {
        let (pump, run) = (self.pump.clone(), Arc::clone(&self.run));
        drop(self);
        if run.stop.is_cancelled() {
            return run.over().await;
        }
        Ok(Pumped::of(&pump.0.host.hostings()))
    }
}

impl Pump {
    /// A pump of these read models whose hosts have this name, for people. A use of a run takes `run_time`, which
    /// is held between [`RUN_TIME_MIN`] and [`RUN_TIME_MAX`].
    pub fn new(read_models: ReadModels, instance: &str, run_time: Duration) -> Self {
        Self(Arc::new(Inner {
            host: read_models.host(instance),
            read_models,
            run_time: run_time.clamp(RUN_TIME_MIN, RUN_TIME_MAX),
            feed: OnceCell::new(),
            current: Mutex::default(),
            runs: TaskTracker::new(),
            closing: CancellationToken::new(),
        }))
    }

    /// The host that runs, for its figures.
    pub fn host(&self) -> &ProjectionHost {
        &self.0.host
    }

    /// Keeps read models up to date for the whole time of a use, or until the pump is [closed](Self::close).
    /// The last one to have a use for the run waits until leases are given away.
    ///
    /// # Errors
    ///
    /// [`PumpError`].
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: the run ends by itself, unless others have a use for it.
    pub async fn run(&self) -> Result<Pumped, PumpError> {
        let using = self.join().await?;
        tokio::select! {
            biased;
            ended = using.run.over() => return ended,
            () = self.0.closing.cancelled() => return using.end().await,
            () = sleep(self.0.run_time) => {}
        }
        let trouble = self.0.host.trouble();
        let pumped = using.end().await?;
        trouble.map_or(Ok(pumped), |reason| Err(PumpError::Trouble(reason)))
    }

    /// Has read what is stored at the moment, and answers when it is done, by this host or others, or when the
    /// time of a use is over. What is set aside counts as done.
    ///
    /// # Errors
    ///
    /// [`PumpError`]. Being behind at the end is none.
    ///
    /// # Cancel safety
    ///
    /// As of [`run`](Self::run).
    pub async fn wake(&self) -> Result<Pumped, PumpError> {
        let using = self.join().await?;
        let mut fault = None;
        let caught_up = timeout(self.0.run_time, self.caught_up(&using.run, &mut fault));
        let is_caught_up = tokio::select! {
            biased;
            ended = using.run.over() => return Err(ended.err().unwrap_or(PumpError::Closing)),
            () = self.0.closing.cancelled() => None,
            caught_up = caught_up => Some(caught_up.is_ok()),
        };
        let pumped = using.end().await?;
        let is_caught_up = is_caught_up.ok_or(PumpError::Closing)?;
        match fault {
            Some(fault) if !is_caught_up => Err(fault.into()),
            _ => Ok(Pumped { is_caught_up, ..pumped }),
        }
    }

    /// Ends the run that there is, within [`SHUTDOWN_TIME_MAX`], and has no more of them.
    ///
    /// # Cancel safety
    ///
    /// Call it again: the run goes on to its end.
    pub async fn close(&self) {
        {
            let current = self.current();
            self.0.closing.cancel();
            if let Some(run) = current.as_ref() {
                run.stop.cancel();
            }
        }
        self.0.runs.close();
        self.0.runs.wait().await;
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Run>>> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the run that there is, or starts one. One that is ending is waited for.
    async fn join(&self) -> Result<Use, PumpError> {
        loop {
            let ending = {
                let mut current = self.current();
                if self.0.closing.is_cancelled() {
                    return Err(PumpError::Closing);
                }
                match current.as_ref() {
                    Some(run) if !run.is_over() && run.stop.is_cancelled() => Arc::clone(run),
                    Some(run) if !run.is_over() => {
                        run.users.fetch_add(1, Ordering::Relaxed);
                        return Ok(Use { pump: self.clone(), run: Arc::clone(run) });
                    }
                    _ => {
                        let run = self.start();
                        *current = Some(Arc::clone(&run));
                        return Ok(Use { pump: self.clone(), run });
                    }
                }
            };
            // However it ends.
            let _ended = ending.over().await;
        }
    }

    /// Starts a run that has one user.
    fn start(&self) -> Arc<Run> {
        let (hints, appends) = watch::channel(0);
        let (ended_by, ended) = watch::channel(None);
        let stop = CancellationToken::new();
        let (host, stopped) = (self.0.host.clone(), stop.clone());
        let (hints_by, mut own) = (hints.clone(), self.0.read_models.store().appends());
        self.0.runs.spawn(async move {
            let mut running = Box::pin(host.run(Some(appends), &stopped, SHUTDOWN_TIME_MAX));
            let end = loop {
                tokio::select! {
                    biased;
                    end = &mut running => break end,
                    // What this process appends itself is read at once.
                    Ok(()) = own.changed() => {
                        hints_by.send_modify(|hints| *hints = hints.wrapping_add(1));
                    }
                }
            };
            let end = end.map(|hostings| Pumped::of(&hostings)).map_err(PumpError::from);
            ended_by.send_replace(Some(end));
        });
        Arc::new(Run { users: AtomicUsize::new(1), hints, stop, ended })
    }

    /// Waits until everything is done that was stored at the first look, and keeps the last fault on the way.
    async fn caught_up(&self, run: &Run, fault: &mut Option<ReadModelError>) {
        let mut goals = BTreeMap::new();
        loop {
            // Each time: what a trigger has seen may not yet have been in the feed with the last one.
            run.hint();
            match self.look(&mut goals).await {
                Ok(true) => return,
                Ok(false) => *fault = None,
                Err(found) => *fault = Some(found),
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn look(
        &self,
        goals: &mut BTreeMap<(String, u32), CaughtUp>,
    ) -> Result<bool, ReadModelError> {
        let read_models = &self.0.read_models;
        let feed = self.0.feed.get_or_try_init(|| read_models.open_feed()).await?;
        let known: BTreeMap<_, _> = read_models.registry().list().await?.into_iter().collect();
        let mut is_done = true;
        for projection in read_models.catalog().iter() {
            let name = &projection.definition().name;
            let mut versions: Versions = known.get(name).cloned().unwrap_or_default();
            match versions.register(projection.code(), 0) {
                // The run has to make it first.
                Ok(true) => is_done = false,
                Ok(false) => {}
                // That of newer code is for others.
                Err(_) => continue,
            }
            for version in versions.of_code(projection.code()) {
                let goal = goals
                    .entry((name.clone(), version.number))
                    .or_insert_with(|| read_models.caught_up(feed, name, version.number));
                is_done &= goal.look().await?;
            }
        }
        Ok(is_done)
    }
}
