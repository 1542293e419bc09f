//! The repository: loads states, keeps the last ones, and has commands decided and stored.

mod execution;
mod loading;

use std::{fmt, sync::Arc};

use super::{
    Aggregate, DomainEvent,
    cache::{Cache, Known},
    command::{CommandError, CommandOptions, Executed, Freshness, LoadError},
    lanes::Lanes,
    snapshots::{SnapshotWriter, Snapshots},
};
use crate::{
    event::BadInput,
    store::{EventStore, ReadError, SessionToken, Usage},
    stream::StreamId,
};

/// The states that a repository keeps. With states of a kilobyte or two that is some ten megabytes.
pub const CACHED_STATES_MAX: usize = 10_000;
/// How often a command is decided before it gives up. Within a process commands for one stream wait
/// for each other, so this many processes or foreign writers must win in a row.
pub const DECISIONS_MAX: u32 = 10;

/// How a repository works.
#[derive(Debug)]
#[non_exhaustive]
pub struct RepositoryOptions<A> {
    /// The most states that are kept in memory; [`CACHED_STATES_MAX`] unless it is set, 0 keeps none.
    pub cached_states_max: usize,
    /// When snapshots are taken; never, unless it is set.
    pub snapshots: Snapshots<A>,
    /// How often a command is decided before it gives up; [`DECISIONS_MAX`] unless it is set. 0 counts
    /// as 1.
    pub decisions_max: u32,
}

impl<A> Default for RepositoryOptions<A> {
    fn default() -> Self {
        Self {
            cached_states_max: CACHED_STATES_MAX,
            snapshots: Snapshots::off(),
            decisions_max: DECISIONS_MAX,
        }
    }
}

impl<A> RepositoryOptions<A> {
    /// Sets the most states that are kept in memory; 0 keeps none.
    #[must_use]
    pub fn with_cached_states_max(mut self, states: usize) -> Self {
        self.cached_states_max = states;
        self
    }

    /// Sets when snapshots are taken.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Snapshots<A>) -> Self {
        self.snapshots = snapshots;
        self
    }

    /// Sets how often a command is decided before it gives up.
    #[must_use]
    pub fn with_decisions_max(mut self, decisions: u32) -> Self {
        self.decisions_max = decisions;
        self
    }
}

/// Loads aggregates of one type and has commands decided on them. Cheap to clone; clones share the
/// cached states.
///
/// A command on a cached state takes two round trips: the probe, a point read that finds no event
/// behind the state, and the append. It takes one when the cache is trusted, two without a cached
/// state, and three where a snapshot is read first.
///
/// ```no_run
/// # use cosmos_event_store::aggregate::{Aggregate, CommandId, CommandOptions, Repository, RepositoryOptions};
/// # use cosmos_event_store::EventStore;
/// # async fn example<Account: Aggregate>(store: EventStore, deposit: Account::Command)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let accounts = Repository::<Account>::new(store, RepositoryOptions::default());
/// let options = CommandOptions::default().with_id(CommandId::new("transfer-7")?);
/// let executed = accounts.execute("account-1", &deposit, options).await?;
/// println!("version {}, {} round trips", executed.version, executed.usage.round_trips);
/// accounts.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Repository<A: Aggregate>(Arc<Inner<A>>);

struct Inner<A: Aggregate> {
    store: EventStore,
    options: RepositoryOptions<A>,
    cache: Cache<A>,
    lanes: Lanes,
    writer: SnapshotWriter,
}

impl<A: Aggregate> Clone for Repository<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Aggregate> fmt::Debug for Repository<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("aggregate", &A::TYPE).finish_non_exhaustive()
    }
}

/// A state that was loaded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded<A> {
    /// The state.
    pub state: Arc<A>,
    /// The version that the state is of; 0 when the stream has no events.
    pub version: u64,
    /// What it took.
    pub usage: Usage,
    /// What makes a later read in another process see at least as much.
    pub session_token: Option<SessionToken>,
}

/// What a load may be told besides the stream.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// How much a cached state is trusted.
    pub freshness: Freshness,
    /// A token from another process: the load sees at least what its holder has seen, unless it takes
    /// a cached state as it is.
    pub session_token: Option<SessionToken>,
}

impl LoadOptions {
    /// Takes a cached state as it is, without a round trip.
    #[must_use]
    pub fn trusting_the_cache(mut self) -> Self {
        self.freshness = Freshness::Trust;
        self
    }

    /// Sets a token from another process.
    #[must_use]
    pub fn with_session_token(mut self, token: SessionToken) -> Self {
        self.session_token = Some(token);
        self
    }
}

impl<A: Aggregate> Repository<A> {
    /// A repository on a store.
    pub fn new(store: EventStore, options: RepositoryOptions<A>) -> Self {
        let cache = Cache::new(options.cached_states_max);
        let (lanes, writer) = (Lanes::default(), SnapshotWriter::new());
        Self(Arc::new(Inner { store, options, cache, lanes, writer }))
    }

    /// The store that it works on.
    pub fn store(&self) -> &EventStore {
        &self.0.store
    }

    /// The state of a stream as it is now. One round trip where it is cached and no event has come
    /// behind it, or where there is no snapshot to read; each further page of events is one more.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub async fn load<S>(&self, stream: S) -> Result<Loaded<A>, LoadError>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        self.load_with(stream, LoadOptions::default()).await
    }

    /// Like [`load`](Self::load), with what else a load may be told.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub async fn load_with<S>(
        &self,
        stream: S,
        options: LoadOptions,
    ) -> Result<Loaded<A>, LoadError>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        let stream = stream.try_into().map_err(|error| ReadError::from(error.into()))?;
        let mut loading = loading::Loading::new(&self.0, &stream, options.session_token);
        let (known, _) = loading.current(options.freshness).await?;
        Ok(Loaded {
            state: known.state,
            version: known.version,
            usage: loading.usage,
            session_token: loading.session_token,
        })
    }

    /// Has a command decided on the current state, and stores the events that it leads to.
    ///
    /// When other events win the race, they are folded in and the command is decided again, up to
    /// [`decisions_max`](RepositoryOptions::decisions_max) times, unless the caller expects a definite
    /// version. A rejection, or that there is nothing to do or to store, is only answered from a
    /// fresh state.
    ///
    /// A command [with an id](CommandOptions::with_id) may be given again: when its events are stored
    /// already, they are the answer, whatever the aggregate would decide now. A command that led to no
    /// events is not remembered.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; every variant says what to do next.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before it is done, the events may or may not be stored. Give the
    /// command again with the same id to find out; without an id, run it in a task of its own.
    pub async fn execute<S>(
        &self,
        stream: S,
        command: &A::Command,
        options: CommandOptions,
    ) -> Result<Executed<A>, CommandError<A::Rejection>>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        let stream =
            stream.try_into().map_err(|error| LoadError::from(ReadError::from(error.into())))?;
        let _turn = self.0.lanes.enter(&stream).await;
        Box::pin(execution::Execution::new(&self.0, &stream, command, options).run()).await
    }

    /// Waits until the snapshots that were begun are written. Commands given afterwards still work, here
    /// and in clones, but take no snapshots.
    pub async fn close(&self) {
        self.0.writer.close().await;
    }
}
