//! Building a version beside the one that readers use, and letting them use it once it has caught up.
//!
//! A rebuild that is stopped, or killed, goes on where it was: the version stays, and its processor has its
//! places. Hosts of read models join it. Nothing of it is seen by readers before the switch.

mod compare;
mod removal;

use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub use self::compare::Compare;
use super::{Drift, ReadModelError, ReadModels, RegistryError};
use crate::feed::{HostFailed, InvalidOptions, Overview, RunningProcessor};

/// How often it is looked how far it is.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How often it is looked again when nothing is left but parked streams that are tried again: for a minute.
const REDRIVE_LOOKS_MAX: u32 = 120;
/// How long the processor may take to finish what it has begun.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the previous version may take until it has what is stored when readers are to go back to it.
const ROLL_BACK_TIME_MAX: Duration = Duration::from_secs(5);

/// How a read model is rebuilt.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RebuildOptions {
    /// The name of this process among the hosts, for people.
    pub instance: String,
    /// What of the new version is compared with the live one before the switch.
    pub compare: Compare,
    /// Whether readers use the new version when it has caught up.
    pub switches: bool,
    /// Whether they go on with the old one where the two differ.
    pub stops_at_drift: bool,
}

impl RebuildOptions {
    /// Compares a sample, and switches.
    pub fn new(instance: impl Into<String>) -> Self {
        Self {
            instance: instance.into(),
            compare: Compare::Sample(1000),
            switches: true,
            stops_at_drift: false,
        }
    }
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RebuildProgress {
    /// The version that is built.
    pub version: u32,
    /// How much of the log is done, from 0 to 1.
    pub fraction: f64,
    /// Events that this process has handled.
    pub events: u64,
    /// How many it handles in a second.
    pub events_per_second: f64,
    /// How long it will take, where that can be told.
    pub left: Option<Duration>,
    /// Streams that are parked.
    pub parked: usize,
}

/// What a rebuild came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// The version that was built.
    pub version: u32,
    /// The version that readers used.
    pub former: Option<u32>,
    /// Events that this process has handled.
    pub events: u64,
    /// How long it took until everything was in.
    pub time: Duration,
    /// What differs between the two, where they were compared.
    pub drift: Option<Drift>,
    /// Whether readers use the new version.
    pub is_live: bool,
    /// Whether another host keeps the new version up to date. Where none did so with the former version,
    /// nobody waits for one.
    pub is_attended: bool,
}

/// Why a rebuild did not come to its end. The version stays, and the next call goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// It was told to stop.
    #[error("the rebuild was stopped; version {version} goes on with the next call")]
    Stopped {
        /// The version that is built.
        version: u32,
    },
    /// Streams are parked: readers would miss them.
    #[error(
        "{streams} streams of version {version} are parked: it does not become live before they are mended"
    )]
    Parked {
        /// The version that is built.
        version: u32,
        /// How many.
        streams: usize,
    },
    /// Workers keep the version up to date that readers use, and none of them the new one: it would become
    /// old unseen.
    #[error(
        "version {version} is complete, but no worker keeps it up to date, as some do with version {former}: it \
         does not become live"
    )]
    Unattended {
        /// The version that is built.
        version: u32,
        /// The version that readers use.
        former: u32,
    },
    /// The processor ended by a fault of its own.
    #[error(transparent)]
    Host(#[from] HostFailed),
    /// The settings of the processor do not go together.
    #[error(transparent)]
    Options(#[from] InvalidOptions),
    /// The read models failed, or the way to them.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
}

impl From<RegistryError> for RebuildError {
    fn from(error: RegistryError) -> Self {
        Self::ReadModel(error.into())
    }
}

/// What has been seen of a rebuild so far.
struct Watch {
    version: u32,
    begun: Instant,
    /// The most transactions that were left.
    most_left: u64,
}

impl ReadModels {
    /// Builds a version of a read model from the first event on, beside the one that readers use; compares
    /// the two; and lets readers use it. One that was begun before is gone on with. `on_progress` is called
    /// twice a second.
    ///
    /// # Errors
    ///
    /// [`RebuildError`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the version stays as far as it is, and the next call goes on with it.
    pub async fn rebuild(
        &self,
        name: &str,
        options: &RebuildOptions,
        mut on_progress: impl FnMut(RebuildProgress) + Send,
        stop: &CancellationToken,
    ) -> Result<Rebuilt, RebuildError> {
        let code = self.projection(name)?.code();
        let now = self.account().clock.now().as_second();
        self.forget_old_places(name).await?;
        let registry = self.registry();
        let (version, former) = registry
            .change(name, |versions| {
                let former = versions.live().map(|version| version.number);
                let before = versions.clone();
                let number = versions.begin(code, now)?;
                if !options.switches || options.stops_at_drift {
                    // It may be one that hosts of newer code began, which they would let readers use.
                    versions.hold(number);
                }
                Ok((*versions != before, (number, former)))
            })
            .await?;
        let feed = self.open_feed().await?;
        let (processor, handler) = self.processor(&feed, name, version, &options.instance)?;
        let running = processor.start()?;
        let mut watch = Watch { version, begun: Instant::now(), most_left: 0 };
        let built = self.build(name, &running, &mut watch, &mut on_progress, stop).await;
        let time = watch.begun.elapsed();
        let finished = match built {
            Ok(()) => {
                let sides = Sides { version, former, incarnation: running.incarnation() };
                tokio::select! {
                    biased;
                    () = stop.cancelled() => Err(RebuildError::Stopped { version }),
                    finished = self.finish(name, sides, options) => finished,
                }
            }
            Err(error) => Err(error),
        };
        let switched = match finished {
            // Not to be interrupted: who is told that it was stopped can rely on it.
            Ok(finished) if finished.is_live => {
                let switched = self.switch(name, version).await;
                switched.map(|()| finished).map_err(RebuildError::from)
            }
            other => other,
        };
        let ended = running.shutdown(SHUTDOWN_TIME_MAX).await;
        let Finished { drift, is_live, is_attended } = switched?;
        ended?;
        let events = handler.applied().events;
        Ok(Rebuilt { version, former, events, time, drift, is_live, is_attended })
    }

    /// Waits until everything that is stored is in the version.
    async fn build(
        &self,
        name: &str,
        running: &RunningProcessor,
        watch: &mut Watch,
        on_progress: &mut (impl FnMut(RebuildProgress) + Send),
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let version = watch.version;
        let mut caught_up = Box::pin(running.wait_caught_up());
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut is_through, mut redrives) = (false, 0);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(RebuildError::Stopped { version }),
                done = &mut caught_up, if !is_through => {
                    done?;
                    is_through = true;
                    looks.reset_immediately();
                }
                _ = looks.tick() => {
                    let overview = self.overview(name, version).await?;
                    let progress = watch.progress(&overview, running.metrics().handled, is_through);
                    on_progress(progress);
                    if !is_through {
                        continue;
                    }
                    let streams = overview.parked.len();
                    if streams == 0 {
                        return Ok(());
                    }
                    // What an operator wants to be tried again comes out of it, or is parked anew.
                    let waits = overview.parked.iter().all(|parked| parked.redrive);
                    if !waits || redrives >= REDRIVE_LOOKS_MAX {
                        return Err(RebuildError::Parked { version, streams });
                    }
                    redrives = redrives.saturating_add(1);
                }
            }
        }
    }

    /// Compares, and decides whether readers are to use the version.
    async fn finish(
        &self,
        name: &str,
        sides: Sides<'_>,
        options: &RebuildOptions,
    ) -> Result<Finished, RebuildError> {
        let Sides { version, former, incarnation } = sides;
        let drift = match former {
            Some(former) if options.compare != Compare::Nothing => {
                Some(self.compare(name, former, version, options.compare).await?)
            }
            _ => None,
        };
        let differs = drift.as_ref().is_some_and(|drift| !drift.is_none());
        if !options.switches || (differs && options.stops_at_drift) {
            return Ok(Finished { drift, is_live: false, is_attended: false });
        }
        let is_attended = match former {
            // This process ends, and the readers' version must not be left by those who keep it.
            Some(former) if self.is_attended(name, former, None).await? => {
                if !self.wait_attended(name, version, incarnation).await? {
                    return Err(RebuildError::Unattended { version, former });
                }
                true
            }
            _ => self.is_attended(name, version, Some(incarnation)).await?,
        };
        let streams = self.overview(name, version).await?.parked.len();
        if streams > 0 {
            return Err(RebuildError::Parked { version, streams });
        }
        Ok(Finished { drift, is_live: true, is_attended })
    }

    /// Lets readers use the version again that they used before.
    ///
    /// It was kept up to date by the hosts; one that is behind is refused, and one that nobody keeps up to
    /// date while the live one is.
    ///
    /// # Errors
    ///
    /// [`RollBackError`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the switch may or may not be made.
    pub async fn roll_back(&self, name: &str) -> Result<u32, RollBackError> {
        let versions = self.registry().get(name).await.map_err(ReadModelError::from)?;
        let previous =
            versions.previous().map_err(RegistryError::from).map_err(ReadModelError::from)?;
        let version = previous.number;
        let has_caught_up = self.has_caught_up(name, version, ROLL_BACK_TIME_MAX).await?;
        if !has_caught_up || !self.overview(name, version).await?.parked.is_empty() {
            return Err(RollBackError::Behind { version });
        }
        if !self.is_attended(name, version, None).await?
            && let Some(live) = versions.live()
            && self.is_attended(name, live.number, None).await?
        {
            return Err(RollBackError::Unattended { version, live: live.number });
        }
        self.switch(name, version).await?;
        Ok(version)
    }
}

/// What is switched from and to, and by whom.
#[derive(Clone, Copy)]
struct Sides<'a> {
    version: u32,
    former: Option<u32>,
    /// This host: it ends soon.
    incarnation: &'a str,
}

struct Finished {
    drift: Option<Drift>,
    is_live: bool,
    is_attended: bool,
}

/// Why readers do not go back to the previous version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RollBackError {
    /// It has not caught up, or streams of it are parked.
    #[error(
        "version {version} is behind, or has parked streams: let a worker bring it up to date first"
    )]
    Behind {
        /// The previous version.
        version: u32,
    },
    /// Workers keep the live version up to date, and none of them the previous one.
    #[error(
        "no worker keeps version {version} up to date, as some do with version {live}: start one that has \
         its code first"
    )]
    Unattended {
        /// The previous version.
        version: u32,
        /// The version that readers use.
        live: u32,
    },
    /// The read models failed, or the way to them, or there is no previous version.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
}

impl Watch {
    fn progress(&mut self, overview: &Overview, events: u64, is_through: bool) -> RebuildProgress {
        let lags: Option<Vec<u64>> =
            overview.leases.iter().map(|lease| Some(lease.lag?.transactions)).collect();
        let left: Option<u64> = lags.filter(|lags| !lags.is_empty()).map(|lags| lags.iter().sum());
        self.most_left = self.most_left.max(left.unwrap_or_default());
        let part = |left: u64| 1.0 - ratio(left, self.most_left.max(1));
        let fraction = if is_through { 1.0 } else { left.map_or(0.0, part) };
        let seconds = self.begun.elapsed().as_secs_f64();
        let per_second = if seconds > 0.0 { ratio(events, 1) / seconds } else { 0.0 };
        let left = (fraction > 0.01).then(|| seconds * (1.0 - fraction) / fraction);
        RebuildProgress {
            version: self.version,
            fraction,
            events,
            events_per_second: per_second,
            left: left.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            parked: overview.parked.len(),
        }
    }
}

/// For people: large numbers lose their last digits.
fn ratio(one: u64, other: u64) -> f64 {
    let part = |number: u64| {
        f64::from(u32::try_from(number >> 20).unwrap_or(u32::MAX)) * 1_048_576.0
            + f64::from(u32::try_from(number & 0xf_ffff).unwrap_or_default())
    };
    part(one) / part(other)
}

#[cfg(test)]
mod tests;
