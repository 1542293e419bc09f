//! What the handlers share.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use super::{figures::Requests, health::Readiness, limits::ServiceOptions, problem::Problem};
use crate::{
    aggregate::{Repository, RepositoryOptions},
    clock::{Clock, SystemClock},
    quotes::Quote,
    store::EventStore,
};

/// What every handler gets.
pub(crate) type Shared = Arc<Inner>;

/// How the work of a service ends. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending {
    /// Writes that outlive the connections of their clients.
    pub(super) writes: TaskTracker,
    /// No new work: readiness says so.
    pub(super) stopping: CancellationToken,
    /// The time to end is over.
    pub(super) abort: CancellationToken,
}

/// The store, and what bounds and ends the work on it.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: EventStore,
    pub(crate) quotes: Repository<Quote>,
    pub(crate) options: ServiceOptions,
    /// Measures how long requests take.
    pub(crate) clock: SystemClock,
    /// What was answered so far.
    pub(super) answered: Requests,
    pub(super) readiness: Readiness,
    /// The requests that may still begin.
    pub(super) requests: Arc<Semaphore>,
    /// The readers of the feed that may still begin to wait.
    feeds: Arc<Semaphore>,
    /// Writes that outlive the connections of their clients.
    pub(super) writes: TaskTracker,
    /// No new work: readiness says so.
    pub(super) stopping: CancellationToken,
    /// The time to end is over.
    pub(super) abort: CancellationToken,
}

impl Inner {
    pub(super) fn new(store: EventStore, options: ServiceOptions) -> Shared {
        Self::ending_with(store, options, Ending::default())
    }

    /// For a service that was there before its store.
    pub(super) fn ending_with(
        store: EventStore,
        options: ServiceOptions,
        ending: Ending,
    ) -> Shared {
        // Quotes are short: one query reads all of their events, so snapshots would only cost.
        let quotes = Repository::new(store.clone(), RepositoryOptions::default());
        Arc::new(Self {
            store,
            quotes,
            requests: Arc::new(Semaphore::new(options.requests_max)),
            feeds: Arc::new(Semaphore::new(options.feeds_max)),
            options,
            answered: Requests::default(),
            readiness: Readiness::default(),
            clock: SystemClock::new(),
            writes: ending.writes,
            stopping: ending.stopping,
            abort: ending.abort,
        })
    }

    /// How the service ends.
    pub(super) fn ending(&self) -> Ending {
        Ending {
            writes: self.writes.clone(),
            stopping: self.stopping.clone(),
            abort: self.abort.clone(),
        }
    }

    /// Does a write to its end, also when the client goes away meanwhile; nothing when it takes too
    /// long or is cut off by the end of the service.
    ///
    /// # Cancel safety
    ///
    /// The write goes on when the future is dropped.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        in_flight: InFlight,
        write: impl Future<Output = T> + Send + 'static,
    ) -> Result<Option<T>, Problem> {
        let abort = self.abort.clone();
        let writing = async move {
            let _in_flight = in_flight;
            tokio::select! {
                biased;
                done = write => Some(done),
                () = abort.cancelled() => None,
            }
        };
        let writing = self.writes.spawn(writing.in_current_span());
        match tokio::time::timeout(self.options.store_time_max, writing).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                tracing::error!(panicked = error.is_panic(), "a write did not end");
                Err(Problem::internal())
            }
            Err(_) => Ok(None),
        }
    }

    /// Waits for a read, but not for ever.
    pub(crate) async fn read<T>(&self, read: impl Future<Output = T>) -> Result<T, Problem> {
        let read = tokio::time::timeout(self.options.store_time_max, read).await;
        read.map_err(|_| Problem::unavailable())
    }

    /// The place of a reader of the feed among those that wait, which it keeps as long as it does.
    pub(crate) fn feed_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.feeds).try_acquire_owned();
        place.map_err(|_| Problem::too_many_feeds())
    }

    /// The time since the service was made.
    pub(super) fn elapsed(&self) -> std::time::Duration {
        self.clock.monotonic()
    }
}

/// The place of a request among those in flight, which a write keeps when its client goes away.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl<S: Send + Sync> FromRequestParts<S> for InFlight {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Every route has a place but those of who watches the process.
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

impl InFlight {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Arc::new(permit) }
    }
}
