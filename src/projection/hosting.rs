//! A host of read models: it keeps every version up to date that its program has the code of.
//!
//! Each version has a change-feed processor of its own, with its own places and parked streams, so that none
//! waits for another and a new version starts at the beginning. Which versions there are is looked up again
//! and again: a rebuild that another process begins is joined, and a version that is given up is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Applied, ProjectionHandler, ReadModelError, ReadModels, RegistryError, Version, VersionState,
    processor_name,
};
use crate::{
    config::StoreOptions,
    cosmos::is_loopback,
    feed::{
        CaughtUp, Control, CosmosFeed, FeedFault, FeedFields, LeaseStore, Metrics, Overview,
        Processor, ProcessorOptions, RunningProcessor, Standing, Status, options::POLL_MIN,
    },
};

/// How often it is looked up which versions there are.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How often appends of the same process are told to the readers, at the most. Each time costs a request for
/// every range of every version.
const HINT_INTERVAL: Duration = Duration::from_millis(20);
/// Between two polls on loopback, where nothing was new; it doubles up to the usual one.
const POLL_LOOPBACK: Duration = Duration::from_millis(25);
/// The changes of a page. Views are folded over what is read together, so pages are larger than a handler
/// needs them that does something for each change.
const PAGE_CHANGES: u32 = 1000;
/// The streams that are handled at the same time: most of them only wait for the transaction that they are in.
const RUNS_MAX: usize = 2048;
/// The most events of one run.
const RUN_CHANGES_MAX: usize = 1000;
/// How long read models may be out of reach: an outage parks no stream, and what is wrong with an event parks
/// its stream at once.
const RUN_TIME_MAX: Duration = Duration::from_hours(24);
/// The container of the events.
const EVENTS: &str = "events";

/// A host of read models. Cheap to clone; clones are the same host.
#[derive(Clone)]
pub struct ProjectionHost(Arc<Inner>);

struct Inner {
    read_models: ReadModels,
    instance: String,
    hosted: Mutex<BTreeMap<(String, u32), Hosted>>,
    /// What stands in the way, for whoever asks.
    trouble: Mutex<Option<String>>,
}

/// How far versions are that become live by themselves.
type Due = BTreeMap<(String, u32), CaughtUp>;

/// A version that is kept up to date here.
struct Hosted {
    running: RunningProcessor,
    handler: ProjectionHandler,
}

/// What a host does for one version.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Hosting {
    /// The projection.
    pub name: String,
    /// The version of its read model.
    pub version: u32,
    /// What the processor tells.
    pub status: Status,
    /// What the processor measures.
    pub metrics: Metrics,
    /// What was done with the documents.
    pub applied: Applied,
}

impl std::fmt::Debug for ProjectionHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectionHost").field("instance", &self.0.instance).finish_non_exhaustive()
    }
}

impl ReadModels {
    /// A host with this name, for people. It does nothing until it [runs](ProjectionHost::run).
    pub fn host(&self, instance: impl Into<String>) -> ProjectionHost {
        ProjectionHost(Arc::new(Inner {
            read_models: self.clone(),
            instance: instance.into(),
            hosted: Mutex::default(),
            trouble: Mutex::default(),
        }))
    }

    /// A processor of one version, which is not started.
    pub(super) fn processor(
        &self,
        feed: &CosmosFeed,
        name: &str,
        version: u32,
        instance: &str,
    ) -> Result<(Processor, ProjectionHandler), ReadModelError> {
        let projection = self.projection(name)?.clone();
        let (views, store) = (Arc::clone(self.views()), Arc::new(self.store().clone()));
        let handler = ProjectionHandler::new(projection, version, views, store);
        let leases: Arc<dyn LeaseStore> = Arc::new(self.leases(name, version));
        let feed = Arc::new(feed.clone());
        let named = processor_name(name, version);
        let options = options(self.account(), instance).with_handler_name(named);
        Ok((Processor::new(feed, leases, Arc::new(handler.clone()), options), handler))
    }

    /// How far the processor of a version is.
    ///
    /// # Errors
    ///
    /// [`ReadModelError::Leases`].
    pub async fn overview(&self, name: &str, version: u32) -> Result<Overview, ReadModelError> {
        let leases: Arc<dyn LeaseStore> = Arc::new(self.leases(name, version));
        let overview = Control::new(leases).overview().await;
        overview.map_err(|error| {
            ReadModelError::Leases(crate::feed::StoreFault::Unavailable(error.to_string()))
        })
    }

    pub(super) async fn open_feed(&self) -> Result<CosmosFeed, ReadModelError> {
        let feed = Box::pin(open_events(self.account())).await?;
        Ok(feed.with_page_changes(PAGE_CHANGES))
    }
}

/// Opens the feed of the events.
///
/// # Errors
///
/// [`FeedFault`].
pub(crate) async fn open_events(options: &StoreOptions) -> Result<CosmosFeed, FeedFault> {
    let fields = FeedFields::new("/aggregateId", "/sequenceNumber")
        .map_err(|error| FeedFault::Refused(error.to_string()))?
        .with_rising_order();
    Box::pin(CosmosFeed::open(options, EVENTS, fields)).await
}

fn options(account: &StoreOptions, instance: &str) -> ProcessorOptions {
    let mut options = ProcessorOptions::new(instance);
    options.runs_max = RUNS_MAX;
    options.run_changes_max = RUN_CHANGES_MAX;
    options.attempts_max = u32::MAX;
    options.run_time_max = RUN_TIME_MAX;
    if is_loopback(&account.endpoint) {
        // Asking costs little there.
        options = options.with_polls(POLL_LOOPBACK, POLL_MIN);
    }
    options
}

impl ProjectionHost {
    /// Keeps read models up to date until it is told to stop, and then ends within `shutdown_time_max`; says
    /// what it has done. Appends that are told of are read at once.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`] when it cannot begin. What goes wrong later is tried again, and stands in
    /// [`trouble`](Self::trouble).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, its processors end at once, as if the process had crashed.
    pub async fn run(
        &self,
        mut appends: Option<watch::Receiver<u64>>,
        stop: &CancellationToken,
        shutdown_time_max: Duration,
    ) -> Result<Vec<Hosting>, ReadModelError> {
        let _ended = Ended(self);
        let mut due = Due::new();
        let feed = self.0.read_models.open_feed().await?;
        let mut said = None;
        match self.follow(&feed, &mut due).await {
            // That of one projection is older than what is there: the others go on.
            Err(error @ ReadModelError::Registry(RegistryError::Version(_))) => {
                self.note(Err(error), &mut said);
            }
            followed => followed?,
        }
        let mut look_at = Instant::now() + LOOK_INTERVAL;
        loop {
            let appended = async {
                match &mut appends {
                    Some(appends) => appends.changed().await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep_until(look_at) => {
                    let followed = tokio::select! {
                        biased;
                        () = stop.cancelled() => break,
                        followed = self.follow(&feed, &mut due) => followed,
                    };
                    self.note(followed, &mut said);
                    look_at = Instant::now() + LOOK_INTERVAL;
                }
                is_open = appended => {
                    self.hosted().values().for_each(|hosted| hosted.running.hint());
                    if !is_open {
                        appends = None;
                    }
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => break,
                        () = sleep(HINT_INTERVAL) => {}
                    }
                }
            }
        }
        Ok(self.shutdown(shutdown_time_max).await)
    }

    /// What every version tells that is kept up to date here.
    pub fn hostings(&self) -> Vec<Hosting> {
        let tell = |((name, version), hosted): (&(String, u32), &Hosted)| Hosting {
            name: name.clone(),
            version: *version,
            status: hosted.running.status(),
            metrics: hosted.running.metrics(),
            applied: hosted.handler.applied(),
        };
        self.hosted().iter().map(tell).collect()
    }

    /// What stands in the way at the moment.
    pub fn trouble(&self) -> Option<String> {
        let own = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of_one = |hosting: Hosting| {
            let trouble = hosting.status.trouble?;
            Some(format!("{}: {trouble}", processor_name(&hosting.name, hosting.version)))
        };
        own.or_else(|| self.hostings().into_iter().find_map(of_one))
    }

    /// Whether the processors here may work: as the one of them that may the least. It is joining as long as
    /// there is none.
    pub fn standing(&self) -> Standing {
        let all: Vec<Standing> =
            self.hosted().values().map(|hosted| hosted.running.standing()).collect();
        let has = |standing| all.contains(&standing);
        match () {
            () if has(Standing::Fenced) => Standing::Fenced,
            () if all.is_empty() || has(Standing::Joining) => Standing::Joining,
            () => Standing::Alive,
        }
    }

    fn hosted(&self) -> MutexGuard<'_, BTreeMap<(String, u32), Hosted>> {
        self.0.hosted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what stands in the way, once.
    fn note(&self, followed: Result<(), ReadModelError>, said: &mut Option<String>) {
        let found = followed.err().map(|error| error.to_string());
        *self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner) = found;
        let found = self.trouble();
        if *said != found {
            if let Some(reason) = &found {
                tracing::warn!(reason, "the host of read models is in trouble, and goes on trying");
            }
            *said = found;
        }
    }

    /// Starts and ends processors, so that they are those of the versions that there are.
    async fn follow(&self, feed: &CosmosFeed, due: &mut Due) -> Result<(), ReadModelError> {
        let read_models = &self.0.read_models;
        let known: BTreeMap<_, _> = read_models.registry().list().await?.into_iter().collect();
        let now = read_models.account().clock.now().as_second();
        let mut wanted = BTreeSet::new();
        let mut trouble = None;
        for projection in read_models.catalog().iter() {
            let (name, code) = (&projection.definition().name, projection.code());
            let mut versions = known.get(name).cloned().unwrap_or_default();
            if versions.of_code(code).next().is_none() {
                read_models.forget_old_places(name).await?;
                let registry = read_models.registry();
                let registered = registry.change(name, |versions| {
                    let is_changed = versions.register(code, now)?;
                    Ok((is_changed, versions.clone()))
                });
                versions = match registered.await {
                    Ok(versions) => versions,
                    // The others go on.
                    Err(RegistryError::Version(fault)) => {
                        trouble = Some(ReadModelError::Registry(fault.into()));
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
            }
            for version in versions.of_code(code) {
                wanted.insert((name.clone(), version.number));
                self.switch_if_due(feed, name, version, due).await?;
            }
        }
        self.adjust(feed, &wanted).await?;
        trouble.map_or(Ok(()), Err)
    }

    /// Starts what is wanted and does not run, and ends what runs and is not wanted.
    async fn adjust(
        &self,
        feed: &CosmosFeed,
        wanted: &BTreeSet<(String, u32)>,
    ) -> Result<(), ReadModelError> {
        let unwanted: Vec<Hosted> = {
            let mut hosted = self.hosted();
            // One that has ended by a fault is started again.
            hosted.retain(|_, hosted| !hosted.running.has_ended());
            let gone: Vec<_> =
                hosted.keys().filter(|key| !wanted.contains(*key)).cloned().collect();
            gone.iter().filter_map(|key| hosted.remove(key)).collect()
        };
        end(unwanted, Duration::ZERO).await;
        for (name, version) in wanted {
            if self.hosted().contains_key(&(name.clone(), *version)) {
                continue;
            }
            let read_models = &self.0.read_models;
            let (processor, handler) =
                read_models.processor(feed, name, *version, &self.0.instance)?;
            let started = processor.start();
            let running = started.map_err(|error| FeedFault::Refused(error.to_string()))?;
            tracing::info!(projection = name, version, "a read model is kept up to date");
            self.hosted().insert((name.clone(), *version), Hosted { running, handler });
        }
        Ok(())
    }

    /// A version of newer code becomes live when it has what was stored at an earlier look, and no stream
    /// of it is parked. This host keeps it up to date.
    async fn switch_if_due(
        &self,
        feed: &CosmosFeed,
        name: &str,
        version: &Version,
        due: &mut Due,
    ) -> Result<(), ReadModelError> {
        let key = (name.to_owned(), version.number);
        if !version.is_automatic || version.state != VersionState::Building {
            due.remove(&key);
            return Ok(());
        }
        let read_models = &self.0.read_models;
        let caught_up = due
            .entry(key.clone())
            .or_insert_with(|| read_models.caught_up(feed, name, version.number));
        if !caught_up.look().await? {
            return Ok(());
        }
        due.remove(&key);
        if read_models.overview(name, version.number).await?.parked.is_empty() {
            let now = read_models.account().clock.now().as_second();
            let registry = read_models.registry();
            let changing = registry.change(name, |versions| {
                let is_changed = versions.switch_by_itself(version.number, now);
                Ok((is_changed, is_changed))
            });
            read_models.switched(name, version.number, changing.await?);
        }
        Ok(())
    }

    async fn shutdown(&self, time_max: Duration) -> Vec<Hosting> {
        let mut hostings = self.hostings();
        let hosted = std::mem::take(&mut *self.hosted());
        let handlers: Vec<_> = hosted.values().map(|hosted| hosted.handler.clone()).collect();
        end(hosted.into_values().collect(), time_max).await;
        // What was under way is done now.
        for (hosting, handler) in hostings.iter_mut().zip(handlers) {
            hosting.applied = handler.applied();
        }
        hostings
    }
}

async fn end(hosted: Vec<Hosted>, time_max: Duration) {
    let ends = hosted.into_iter().map(|hosted| hosted.running.shutdown(time_max));
    if join_all(ends).await.iter().any(Result::is_err) {
        tracing::warn!("a processor of a read model ended by a fault of its own");
    }
}

/// Ends the processors when nobody runs the host any more.
struct Ended<'a>(&'a ProjectionHost);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.hosted().clear();
    }
}

impl ReadModels {
    /// Lets readers use a version from now on; within a second all of them do.
    ///
    /// # Errors
    ///
    /// [`ReadModelError::Registry`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the switch may or may not be made.
    pub async fn switch(&self, name: &str, version: u32) -> Result<(), ReadModelError> {
        let now = self.account().clock.now().as_second();
        let registry = self.registry();
        let changed = registry.change(name, |versions| {
            let is_changed = versions.switch(version, now)?;
            Ok((is_changed, is_changed))
        });
        self.switched(name, version, changed.await?);
        Ok(())
    }

    fn switched(&self, name: &str, version: u32, is_changed: bool) {
        if is_changed {
            tracing::info!(projection = name, version, "readers use another version");
        }
        self.forget_live();
    }
}
