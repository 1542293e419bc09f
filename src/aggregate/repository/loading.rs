//! Loading a state: from the cache, from a snapshot, from the events.

use std::sync::Arc;

use futures::StreamExt as _;

use super::{Aggregate, DomainEvent, Inner, Known};
use crate::{
    aggregate::{
        DecodeError,
        command::{Freshness, LoadError},
        snapshots::reason,
    },
    event::{EventId, RecordedEvent},
    store::{SessionToken, SnapshotKey, Usage, WINNING_EVENTS_MAX},
    stream::StreamId,
};

/// A load on its way, or several of them for one command.
pub(super) struct Loading<'a, A: Aggregate> {
    inner: &'a Inner<A>,
    stream: &'a StreamId,
    /// The caller's token, until a read goes out with it. The SDK sends it instead of its own, which may
    /// be newer, and learns from the answer: every further read is better off without it.
    given: Option<SessionToken>,
    /// Whether the last read of events went out with the caller's token, so that this process may have
    /// seen more.
    pub(super) maybe_behind: bool,
    /// The version that the caller expects: events behind it are noted.
    pub(super) expected: Option<u64>,
    /// The first events behind that version, as far as they were read.
    pub(super) seen: Vec<RecordedEvent>,
    pub(super) usage: Usage,
    pub(super) session_token: Option<SessionToken>,
}

/// Whether a state comes from reading events, or from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Events,
    Cache,
}

impl<'a, A: Aggregate> Loading<'a, A> {
    pub(super) fn new(
        inner: &'a Inner<A>,
        stream: &'a StreamId,
        session_token: Option<SessionToken>,
    ) -> Self {
        Self {
            inner,
            stream,
            given: session_token.clone(),
            maybe_behind: false,
            expected: None,
            seen: Vec::new(),
            usage: Usage::default(),
            session_token,
        }
    }

    /// The current state, from the cache where that is possible.
    pub(super) async fn current(
        &mut self,
        freshness: Freshness,
    ) -> Result<(Known<A>, Source), LoadError> {
        let Some(cached) = self.inner.cache.find(self.stream) else {
            return Ok((self.cold().await?, Source::Events));
        };
        if freshness == Freshness::Trust {
            return Ok((cached, Source::Cache));
        }
        // Only a plain 404 comes back as nothing: no event is behind the state.
        let next = cached.version.saturating_add(1);
        let token = self.given.take();
        let probe = self.inner.store.read_event_since(self.stream, next, token.as_ref());
        let answer = Box::pin(probe).await.map_err(LoadError::from)?;
        self.answered(answer.usage, answer.session_token);
        match answer.value {
            None => Ok((cached, Source::Cache)),
            Some(_) => Ok((self.refreshed(cached).await?, Source::Events)),
        }
    }

    /// The state of a stream of which nothing is known, or nothing that holds.
    pub(super) async fn cold(&mut self) -> Result<Known<A>, LoadError> {
        let known = match self.snapshot().await {
            Some(known) => self.refreshed(known).await?,
            None => self.replayed().await?,
        };
        self.inner.cache.keep(self.stream, &known);
        Ok(known)
    }

    /// A known state with the events that have come behind it. Reads the last event of the state once
    /// more: when that is another one now, or gone, the state is not of this stream.
    pub(super) async fn refreshed(&mut self, known: Known<A>) -> Result<Known<A>, LoadError> {
        let Some(last_event_id) = known.last_event_id else { return self.replayed().await };
        let version = known.version;
        let folded = self.fold(known, version, Some(last_event_id)).await?;
        let known = if let Some(known) = folded {
            known
        } else {
            tracing::warn!(
                stream_category = self.stream.reported_category(),
                version,
                "a state is not of this stream, and is discarded"
            );
            self.inner.cache.forget(self.stream);
            self.replayed().await?
        };
        self.inner.cache.keep(self.stream, &known);
        Ok(known)
    }

    /// The state from all events.
    async fn replayed(&mut self) -> Result<Known<A>, LoadError> {
        let empty = Known {
            state: Arc::new(A::initial()),
            version: 0,
            last_event_id: None,
            snapshot_version: 0,
            since: None,
        };
        let known = self.fold(empty.clone(), 1, None).await?;
        Ok(known.unwrap_or(empty))
    }

    /// Folds the events from a place on. With an id to check, the first event must be that one, and is
    /// not folded; nothing comes back where it is another, or where there is none.
    async fn fold(
        &mut self,
        mut known: Known<A>,
        from: u64,
        mut check: Option<EventId>,
    ) -> Result<Option<Known<A>>, LoadError> {
        let mut read = self.inner.store.read(self.stream).from(from);
        let given = self.given.take();
        self.maybe_behind = given.is_some();
        if let Some(token) = given {
            read = read.session_token(token);
        }
        let mut pages = read.pages();
        while let Some(page) = pages.next().await {
            let page = page?;
            self.answered(page.usage, page.session_token);
            self.note(&page.events);
            let mut events = page.events.iter();
            if let Some(expected) = check
                && let Some(first) = events.next()
            {
                if first.id() != expected {
                    return Ok(None);
                }
                check = None;
            }
            fold_events(&mut known, events)?;
        }
        Ok(check.is_none().then_some(known))
    }

    fn answered(&mut self, usage: Usage, session_token: Option<SessionToken>) {
        self.usage += usage;
        self.session_token = session_token.or(self.session_token.take());
    }

    /// The events behind the version that the caller expects, where the stream is ahead of it: those that
    /// were seen on the way, or else a query for them. It is the answer to a caller who has to decide
    /// again.
    pub(super) async fn behind(
        &mut self,
        expected: u64,
        actual: u64,
    ) -> Result<Vec<RecordedEvent>, LoadError> {
        if !self.seen.is_empty() || actual <= expected {
            return Ok(std::mem::take(&mut self.seen));
        }
        let last = expected.saturating_add(WINNING_EVENTS_MAX).min(actual);
        let read = self.inner.store.read(self.stream).from(expected.saturating_add(1)).up_to(last);
        let answer = Box::pin(read.all()).await?;
        self.answered(answer.usage, answer.session_token);
        Ok(answer.events)
    }

    /// Notes the events behind the expected version, without a gap and as many as a conflict reports.
    fn note(&mut self, events: &[RecordedEvent]) {
        let Some(expected) = self.expected else { return };
        for event in events {
            let seen = u64::try_from(self.seen.len()).unwrap_or(u64::MAX);
            let next = expected.saturating_add(1).saturating_add(seen);
            if seen < WINNING_EVENTS_MAX && event.sequence_number() == next {
                self.seen.push(event.clone());
            }
        }
    }

    /// The state in the snapshot, where there is one that this program can use. Any trouble with it is
    /// a reason to read the events, not to fail.
    async fn snapshot(&mut self) -> Option<Known<A>> {
        if self.inner.options.snapshots.are_off() {
            return None;
        }
        let key = SnapshotKey::new(A::TYPE, A::STATE_SCHEMA).ok()?;
        let stream_category = self.stream.reported_category();
        let (snapshot, usage) =
            Box::pin(self.inner.store.look_up_snapshot(self.stream, &key)).await;
        self.usage += usage;
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot?,
            Err(error) => {
                tracing::warn!(
                    stream_category,
                    reason = reason(&error),
                    "a snapshot is passed over"
                );
                return None;
            }
        };
        let Some(state) = self.inner.options.snapshots.decode(snapshot.state) else {
            tracing::warn!(stream_category, "a snapshot of another form is passed over");
            return None;
        };
        Some(Known {
            state: Arc::new(state),
            version: snapshot.version,
            last_event_id: Some(snapshot.last_event_id),
            snapshot_version: snapshot.version,
            since: Some(snapshot.taken_at),
        })
    }
}

/// Folds events that are behind a state, in order.
pub(super) fn fold_events<'e, A: Aggregate>(
    known: &mut Known<A>,
    events: impl IntoIterator<Item = &'e RecordedEvent>,
) -> Result<(), DecodeError> {
    let mut events = events.into_iter().peekable();
    if events.peek().is_none() {
        return Ok(());
    }
    let mut state = Arc::unwrap_or_clone(Arc::clone(&known.state));
    for event in events {
        if let Some(decoded) = A::Event::decode(event)? {
            state = state.evolve(&decoded);
        }
        known.version = event.sequence_number();
        known.last_event_id = Some(event.id());
        known.since = known.since.or(Some(event.recorded_at()));
    }
    known.state = Arc::new(state);
    Ok(())
}
