//! One command on its way: load, decide, append, and again when others win.

use std::{sync::Arc, time::Duration};

use super::{
    Aggregate, DomainEvent, Inner, Known,
    loading::{Loading, Source, fold_events},
};
use crate::{
    aggregate::{
        EncodeError,
        command::{
            CommandError, CommandOptions, CommandOutcome, Executed, FINGERPRINT_KEY, LoadError,
        },
    },
    event::{Commit, Metadata, NewEvent, RecordedEvent},
    store::{AppendError, AppendOptions, AppendOutcome, Receipt},
    stream::{ExpectedVersion, StreamId},
};

/// The longest wait before the first new decision; it doubles with each further one. About the time
/// that an append takes.
const WAIT: Duration = Duration::from_millis(5);
/// The longest wait before a new decision.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// A command on its way.
pub(super) struct Execution<'a, A: Aggregate> {
    inner: &'a Inner<A>,
    stream: &'a StreamId,
    command: &'a A::Command,
    options: CommandOptions,
    loading: Loading<'a, A>,
    conflicts: u32,
}

type Failure<A> = CommandError<<A as Aggregate>::Rejection>;

/// What the aggregate says to a command, or the version of its stream.
enum Decision<A: Aggregate> {
    Events(Vec<A::Event>),
    Nothing,
    Rejected(A::Rejection),
    Mismatch { expected: u64 },
}

/// What one decision came to.
enum Step<A: Aggregate> {
    Done(Executed<A>),
    /// Others have won; this is the state with their events.
    Again(Known<A>),
}

impl<'a, A: Aggregate> Execution<'a, A> {
    pub(super) fn new(
        inner: &'a Inner<A>,
        stream: &'a StreamId,
        command: &'a A::Command,
        options: CommandOptions,
    ) -> Self {
        let loading = Loading::new(inner, stream, options.session_token.clone());
        Self { inner, stream, command, options, loading, conflicts: 0 }
    }

    pub(super) async fn run(mut self) -> Result<Executed<A>, Failure<A>> {
        let (mut known, mut source) = self.loading.current(self.options.freshness).await?;
        loop {
            let decided = match self.decide(&known) {
                Decision::Events(events) => events,
                // What stands in the way on a cached state may be gone on a fresh one.
                _ if source == Source::Cache => {
                    known = self.loading.refreshed(known).await?;
                    source = Source::Events;
                    continue;
                }
                other => return self.without_events(known, other).await,
            };
            match self.append(known, decided).await? {
                Step::Done(executed) => return Ok(executed),
                Step::Again(fresh) => {
                    (known, source) = (fresh, Source::Events);
                    self.lose()?;
                    tokio::time::sleep(self.wait()).await;
                }
            }
        }
    }

    fn decide(&self, known: &Known<A>) -> Decision<A> {
        match self.options.expected_version {
            Some(expected) if expected != known.version => Decision::Mismatch { expected },
            _ => match known.state.decide(self.command) {
                Ok(events) if events.is_empty() => Decision::Nothing,
                Ok(events) => Decision::Events(events),
                Err(rejection) => Decision::Rejected(rejection),
            },
        }
    }

    /// The answer of the first time, if the command was given before; otherwise what was decided now.
    async fn without_events(
        &mut self,
        known: Known<A>,
        decision: Decision<A>,
    ) -> Result<Executed<A>, Failure<A>> {
        if let Some(first) = self.first_event(&known).await? {
            return self.repeated(known, &first);
        }
        match decision {
            Decision::Rejected(rejection) => Err(CommandError::Rejected(rejection)),
            Decision::Mismatch { expected } => {
                Err(self.mismatch(expected, known.version, Vec::new()))
            }
            Decision::Nothing | Decision::Events(_) => {
                Ok(self.done(known, CommandOutcome::Nothing))
            }
        }
    }

    async fn append(
        &mut self,
        known: Known<A>,
        decided: Vec<A::Event>,
    ) -> Result<Step<A>, Failure<A>> {
        let events = self.encode(&decided)?;
        let last_event_id = events.last().map(NewEvent::id);
        let expected = ExpectedVersion::Exact(known.version);
        let options = AppendOptions::default().with_aggregate_type(A::TYPE);
        let append = self.inner.store.append_with(self.stream, expected, events, options);
        match Box::pin(append).await {
            Ok(AppendOutcome::Appended(receipt)) => {
                self.account(&receipt);
                let mut known = known;
                let state = Arc::unwrap_or_clone(Arc::clone(&known.state));
                known.state = Arc::new(decided.iter().fold(state, A::evolve));
                (known.version, known.last_event_id) = (receipt.last, last_event_id);
                known.since = known.since.or_else(|| Some(self.inner.store.now()));
                let Inner { store, options, writer, .. } = self.inner;
                writer.take_if_due(&options.snapshots, store, self.stream, &mut known);
                self.inner.cache.keep(self.stream, &known);
                Ok(Step::Done(self.done(known, CommandOutcome::Appended(receipt))))
            }
            Ok(AppendOutcome::Repeated(receipt)) => {
                self.account(&receipt);
                let known = self.loading.refreshed(known).await?;
                Ok(Step::Done(self.done(known, CommandOutcome::Repeated(receipt))))
            }
            Err(error) => {
                self.loading.usage += error.usage();
                self.refused(known, error).await
            }
        }
    }

    /// What a refused append means for the command.
    async fn refused(
        &mut self,
        known: Known<A>,
        error: AppendError,
    ) -> Result<Step<A>, Failure<A>> {
        match error {
            AppendError::Conflict { actual, events, .. } => {
                let known = self.overtaken(known, actual, &events).await?;
                match self.options.expected_version {
                    Some(expected) => Err(self.mismatch(expected, known.version, events)),
                    None => Ok(Step::Again(known)),
                }
            }
            AppendError::EventIdReused { ref stored, .. } => {
                let id = self.options.id.as_ref().map(|id| id.event_id(0));
                let first = stored.iter().find(|event| Some(event.id()) == id).cloned();
                let Some(first) = first else { return Err(CommandError::Append(error)) };
                let known = self.loading.refreshed(known).await?;
                Ok(Step::Done(self.repeated(known, &first)?))
            }
            other => Err(CommandError::Append(other)),
        }
    }

    /// The state with the events of those who won.
    async fn overtaken(
        &mut self,
        mut known: Known<A>,
        actual: u64,
        winners: &[RecordedEvent],
    ) -> Result<Known<A>, LoadError> {
        if actual < known.version {
            // The state is not from this stream, which was restored to an earlier moment.
            self.inner.cache.forget(self.stream);
            return self.loading.cold().await;
        }
        fold_events(&mut known, winners)?;
        if known.version < actual {
            known = self.loading.refreshed(known).await?;
        }
        self.inner.cache.keep(self.stream, &known);
        Ok(known)
    }

    fn mismatch(&self, expected: u64, actual: u64, events: Vec<RecordedEvent>) -> Failure<A> {
        let stream = self.stream.clone();
        CommandError::VersionMismatch { stream, expected, actual, events }
    }

    /// The first event of the command, if it is stored.
    async fn first_event(&mut self, known: &Known<A>) -> Result<Option<RecordedEvent>, LoadError> {
        let Some(id) = self.options.id.as_ref().filter(|_| known.version > 0) else {
            return Ok(None);
        };
        let find = self.inner.store.find_event(self.stream, id.event_id(0));
        let answer = Box::pin(find).await?;
        self.loading.usage += answer.usage;
        Ok(answer.value)
    }

    /// The answer of the first time, unless the command asked for something else then.
    fn repeated(
        &mut self,
        known: Known<A>,
        first: &RecordedEvent,
    ) -> Result<Executed<A>, Failure<A>> {
        let then = first.metadata().custom.get(FINGERPRINT_KEY).and_then(|value| value.as_str());
        if let (Some(then), Some(now), Some(id)) =
            (then, self.options.fingerprint.as_deref(), self.options.id.clone())
            && then != now
        {
            return Err(CommandError::CommandIdReused { stream: self.stream.clone(), id });
        }
        let Commit { first, size } = first.commit();
        let receipt = Receipt {
            stream: self.stream.clone(),
            first,
            last: first.saturating_add(size).saturating_sub(1),
            request_charge: self.loading.usage.request_charge,
            round_trips: self.loading.usage.round_trips,
            session_token: self.loading.session_token.clone(),
        };
        Ok(self.done(known, CommandOutcome::Repeated(receipt)))
    }

    fn done(&mut self, known: Known<A>, outcome: CommandOutcome) -> Executed<A> {
        Executed {
            outcome,
            state: known.state,
            version: known.version,
            usage: self.loading.usage,
            conflicts: self.conflicts,
            session_token: self.loading.session_token.take(),
        }
    }

    fn account(&mut self, receipt: &Receipt) {
        self.loading.usage.request_charge += receipt.request_charge;
        let round_trips = &mut self.loading.usage.round_trips;
        *round_trips = round_trips.saturating_add(receipt.round_trips);
        if receipt.session_token.is_some() {
            self.loading.session_token.clone_from(&receipt.session_token);
        }
    }

    /// Counts a lost race.
    fn lose(&mut self) -> Result<(), Failure<A>> {
        self.conflicts = self.conflicts.saturating_add(1);
        if self.conflicts < self.inner.options.decisions_max {
            return Ok(());
        }
        let (stream, conflicts) = (self.stream.clone(), self.conflicts);
        Err(CommandError::Contended { stream, conflicts })
    }

    /// A random part of a time that doubles with each lost race.
    fn wait(&self) -> Duration {
        let doublings = self.conflicts.saturating_sub(1).min(16);
        let longest = WAIT.saturating_mul(1_u32 << doublings).min(WAIT_MAX);
        let (random, _, _, _) = uuid::Uuid::new_v4().as_fields();
        longest.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// The events with their ids and metadata.
    fn encode(&self, decided: &[A::Event]) -> Result<Vec<NewEvent>, EncodeError> {
        let encode = |(index, event): (usize, &A::Event)| {
            let event = event.encode()?;
            let metadata = self.metadata(event.metadata().clone());
            let event = event.with_metadata(metadata)?;
            Ok(match &self.options.id {
                Some(id) => event.with_id(id.event_id(index)),
                None => event,
            })
        };
        decided.iter().enumerate().map(encode).collect()
    }

    /// What an event brings by itself, then what the caller said, then what follows from the command.
    fn metadata(&self, own: Metadata) -> Metadata {
        let given = &self.options.metadata;
        let mut metadata = Metadata {
            correlation_id: own.correlation_id.or_else(|| given.correlation_id.clone()),
            causation_id: own.causation_id.or_else(|| given.causation_id.clone()),
            traceparent: own.traceparent.or_else(|| given.traceparent.clone()),
            tracestate: own.tracestate.or_else(|| given.tracestate.clone()),
            actor: own.actor.or_else(|| given.actor.clone()),
            custom: given.custom.clone(),
        };
        metadata.custom.extend(own.custom);
        if let Some(id) = &self.options.id {
            metadata.causation_id.get_or_insert_with(|| id.as_str().to_owned());
            if let Some(fingerprint) = &self.options.fingerprint {
                metadata.custom.insert(FINGERPRINT_KEY.to_owned(), fingerprint.clone().into());
            }
        }
        metadata
    }
}
