//! One command on its way: load, decide, append, and again when others win.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Aggregate, DomainEvent, Inner, Known,
    loading::{Loading, Source, fold_events},
};
use crate::{
    aggregate::{
        DecodeError, EncodeError,
        command::{
            CommandError, CommandOptions, CommandOutcome, Executed, FINGERPRINT_KEY, LoadError,
        },
        foresight::Foresight,
    },
    event::{Commit, Metadata, NewEvent, RecordedEvent, whole_microseconds},
    store::{AppendError, AppendOptions, AppendOutcome, ReadError, Receipt, Usage},
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
    Unstorable(Failure<A>),
}

/// What one decision came to.
enum Step<A: Aggregate> {
    Done(Executed<A>),
    /// Others have won; this is the state with their events.
    Again(Known<A>),
    /// The events cannot be stored, whoever wins.
    Unstorable(Known<A>, Failure<A>),
}

impl<'a, A: Aggregate> Execution<'a, A> {
    pub(super) fn new(
        inner: &'a Inner<A>,
        stream: &'a StreamId,
        command: &'a A::Command,
        options: CommandOptions,
    ) -> Self {
        let mut loading = Loading::new(inner, stream, options.session_token.clone());
        loading.expected = options.expected_version;
        Self { inner, stream, command, options, loading, conflicts: 0 }
    }

    pub(super) async fn run(mut self) -> Result<Executed<A>, Failure<A>> {
        let result = self.follow().await;
        result.map_err(|error| error.with_usage(self.loading.usage))
    }

    async fn follow(&mut self) -> Result<Executed<A>, Failure<A>> {
        let (mut known, mut source) = self.loading.current(self.options.freshness).await?;
        loop {
            let decision = match self.decide(&known) {
                Decision::Events(events) => match self.append(known, events).await? {
                    Step::Done(executed) => return Ok(executed),
                    Step::Again(fresh) => {
                        (known, source) = (fresh, Source::Events);
                        self.lose()?;
                        tokio::time::sleep(self.wait()).await;
                        continue;
                    }
                    Step::Unstorable(same, failure) => {
                        known = same;
                        Decision::Unstorable(failure)
                    }
                },
                other => other,
            };
            if source == Source::Events && !self.loading.maybe_behind {
                return self.without_events(known, decision).await;
            }
            // What stands in the way on a state that may be old may be gone on a fresh one.
            known = self.loading.refreshed(known).await?;
            source = Source::Events;
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
    /// Also what cannot be stored now may have been stored then: when the command opened the stream with
    /// a full batch, for example, which fits nowhere else.
    async fn without_events(
        &mut self,
        known: Known<A>,
        decision: Decision<A>,
    ) -> Result<Executed<A>, Failure<A>> {
        if let Some(first) = self.first_event(&known).await? {
            return self.repeated(known, &first).await;
        }
        match decision {
            Decision::Rejected(rejection) => Err(CommandError::rejected(rejection)),
            Decision::Mismatch { expected } => {
                let events = self.loading.behind(expected, known.version).await?;
                Err(self.mismatch(expected, known.version, events))
            }
            Decision::Unstorable(failure) => Err(failure),
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
        let recorded_at = self.inner.store.now();
        let (events, mut after) = match self.prepare(&known, &decided, recorded_at) {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Step::Unstorable(known, error.into())),
        };
        let expected = ExpectedVersion::Exact(known.version);
        let mut options = AppendOptions::default().with_aggregate_type(A::TYPE);
        options.recorded_at = Some(recorded_at);
        let append = self.inner.store.append_with(self.stream, expected, events, options);
        match Box::pin(append).await {
            Ok(AppendOutcome::Appended(receipt)) => {
                self.account(&receipt);
                let Inner { store, options, writer, .. } = self.inner;
                writer.take_if_due(&options.snapshots, store, self.stream, &mut after);
                self.inner.cache.keep(self.stream, &after);
                Ok(Step::Done(self.done(after, CommandOutcome::Appended(receipt))))
            }
            Ok(AppendOutcome::Repeated(receipt)) => {
                self.account(&receipt);
                self.check_fingerprint(receipt.first).await?;
                let known = match self.loading.refreshed(known).await {
                    Ok(known) => known,
                    // It may be this very call that has stored the events, so what it has to say must
                    // not be lost.
                    Err(_) if after.version == receipt.last => after,
                    Err(error) => return Err(error.into()),
                };
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
                let Some(first) = first else { return Err(error.into()) };
                let known = self.loading.refreshed(known).await?;
                Ok(Step::Done(self.repeated(known, &first).await?))
            }
            AppendError::BadInput(_)
            | AppendError::TooLarge { .. }
            | AppendError::StreamFull { .. } => Ok(Step::Unstorable(known, error.into())),
            other => Err(other.into()),
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
        let usage = Usage::default();
        CommandError::VersionMismatch { stream, expected, actual, events, usage }
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
    async fn repeated(
        &mut self,
        mut known: Known<A>,
        first: &RecordedEvent,
    ) -> Result<Executed<A>, Failure<A>> {
        self.compare_fingerprint(first)?;
        let Commit { first, size } = first.commit();
        let last = first.saturating_add(size).saturating_sub(1);
        if known.version < last {
            // The command was stored by somebody else since the state was read.
            known = self.loading.refreshed(known).await?;
        }
        let receipt = Receipt {
            stream: self.stream.clone(),
            first,
            last,
            request_charge: self.loading.usage.request_charge,
            round_trips: self.loading.usage.round_trips,
            session_token: self.loading.session_token.clone(),
        };
        Ok(self.done(known, CommandOutcome::Repeated(receipt)))
    }

    /// Refuses the id of a command that asked for something else, where the store found the same events.
    async fn check_fingerprint(&mut self, first: u64) -> Result<(), Failure<A>> {
        if self.options.id.is_none() || self.options.fingerprint.is_none() {
            return Ok(());
        }
        let read = self.inner.store.read_event(self.stream, first);
        match Box::pin(read).await {
            Ok(answer) => {
                self.loading.usage += answer.usage;
                answer.value.map_or(Ok(()), |first| self.compare_fingerprint(&first))
            }
            // The events are stored, but whether for this request is not known.
            Err(ReadError::Store(source)) => {
                let (stream, usage) = (self.stream.clone(), self.loading.usage);
                Err(AppendError::OutcomeUnknown { stream, usage, source }.into())
            }
            Err(error) => Err(LoadError::from(error).into()),
        }
    }

    fn compare_fingerprint(&self, first: &RecordedEvent) -> Result<(), Failure<A>> {
        let then = first.metadata().custom.get(FINGERPRINT_KEY).and_then(|value| value.as_str());
        match (then, self.options.fingerprint.as_deref(), self.options.id.clone()) {
            (Some(then), Some(now), Some(id)) if then != now => {
                let (stream, usage) = (self.stream.clone(), Usage::default());
                Err(CommandError::CommandIdReused { stream, id, usage })
            }
            _ => Ok(()),
        }
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
        Err(CommandError::Contended { stream, conflicts, usage: Usage::default() })
    }

    /// A random part of a time that doubles with each lost race.
    fn wait(&self) -> Duration {
        let doublings = self.conflicts.saturating_sub(1).min(16);
        let longest = WAIT.saturating_mul(1_u32 << doublings).min(WAIT_MAX);
        let (random, _, _, _) = uuid::Uuid::new_v4().as_fields();
        longest.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// The events to append, and the state with them: folded from what will be read.
    fn prepare(
        &self,
        known: &Known<A>,
        decided: &[A::Event],
        recorded_at: Timestamp,
    ) -> Result<(Vec<NewEvent>, Known<A>), EncodeError> {
        let events = self.encode(decided)?;
        let foresight = Foresight {
            stream: self.stream.as_str(),
            aggregate_type: A::TYPE,
            first: known.version.saturating_add(1),
            recorded_at: whole_microseconds(recorded_at)?,
        };
        let mut after = known.clone();
        fold_events(&mut after, &foresight.recorded(&events)).map_err(|error| {
            let DecodeError { event_type, problem, .. } = error;
            EncodeError::Unreadable { event_type, problem }
        })?;
        Ok((events, after))
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
        // The two belong together.
        let (traceparent, tracestate) = match own.traceparent {
            Some(own_parent) => (Some(own_parent), own.tracestate),
            None => (given.traceparent.clone(), given.tracestate.clone()),
        };
        let mut metadata = Metadata {
            correlation_id: own.correlation_id.or_else(|| given.correlation_id.clone()),
            causation_id: own.causation_id.or_else(|| given.causation_id.clone()),
            traceparent,
            tracestate,
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
