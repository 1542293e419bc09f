//! A version of a projection as the handler of a change-feed processor.

use std::sync::{Arc, atomic::Ordering};

use futures::{FutureExt as _, future::BoxFuture};
use serde::Deserialize;

use super::{
    History, HistoryFault, Projection, ViewStore,
    definition::partition_key,
    lane::{Counts, Lane, Run, Shared, Verdict},
};
use crate::{
    event::RecordedEvent,
    feed::{Change, Delivery, Handler, HandlerFault},
    store::read_event,
    telemetry::spans,
};

/// What a version remembers of its documents, in bytes: enough for the streams that are busy at the same
/// time.
pub(super) const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// The most events that are read at once when some are missing.
const MISSING_EVENTS_MAX: u64 = 1000;
/// How often an event that is not in the store is looked for before its stream is parked.
const MISSING_ATTEMPTS_MAX: u32 = 5;
/// When so many of them have gathered they are applied before more are read.
const MISSING_EVENTS_PART: usize = 1000;

/// What was done for a version by this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// Documents that were read.
    pub reads: u64,
    /// Transactions that were carried out.
    pub commits: u64,
    /// Documents that were written in them.
    pub writes: u64,
    /// Transactions that were refused because others had changed the documents.
    pub conflicts: u64,
    /// Events that were folded in.
    pub events: u64,
    /// Events that were there already.
    pub repeats: u64,
}

/// Applies the events of the feed to a version of a projection. Cheap to clone.
#[derive(Clone)]
pub struct ProjectionHandler(Arc<Inner>);

struct Inner {
    shared: Shared,
    lanes: Vec<Lane>,
    history: Arc<dyn History>,
}

impl std::fmt::Debug for ProjectionHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ProjectionHandler").field(&self.0.shared.projection).finish()
    }
}

impl ProjectionHandler {
    /// The handler of a version: `version` is the number under which its documents stand.
    pub fn new(
        projection: Projection,
        version: u32,
        store: Arc<dyn ViewStore>,
        history: Arc<dyn History>,
    ) -> Self {
        let definition = projection.definition();
        let cache_bytes = CACHE_BYTES.checked_div(usize::from(definition.shards)).unwrap_or(0);
        let lane = |shard| Lane::new(partition_key(&definition.name, version, shard), cache_bytes);
        let lanes = (0..definition.shards).map(lane).collect();
        let shared = Shared { projection, store, counts: Counts::default() };
        Self(Arc::new(Inner { shared, lanes, history }))
    }

    /// What was done so far.
    pub fn applied(&self) -> Applied {
        let counts = &self.0.shared.counts;
        Applied {
            reads: counts.reads.load(Ordering::Relaxed),
            commits: counts.commits.load(Ordering::Relaxed),
            writes: counts.writes.load(Ordering::Relaxed),
            conflicts: counts.conflicts.load(Ordering::Relaxed),
            events: counts.events.load(Ordering::Relaxed),
            repeats: counts.repeats.load(Ordering::Relaxed),
        }
    }

    /// Applies events of one stream, in order: those that are there already are passed over, and those that
    /// are missing before them are read from the store.
    ///
    /// # Errors
    ///
    /// [`HandlerFault`]: one that may pass, or one that parks the stream.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the events may or may not be applied; applying them again does no harm.
    pub async fn apply(
        &self,
        stream: &str,
        events: Vec<RecordedEvent>,
    ) -> Result<(), HandlerFault> {
        let takes = |event: &RecordedEvent| self.takes(event.event_type().as_str());
        let items = events.into_iter().map(|event| {
            let sequence_number = event.sequence_number();
            (sequence_number, takes(&event).then(|| Arc::new(event)))
        });
        for run in runs(items) {
            self.apply_run(stream, run).await.map_err(|fault| fault.at_attempt(1))?;
        }
        Ok(())
    }

    fn takes(&self, event_type: &str) -> bool {
        self.0.shared.projection.definition().takes_type(event_type)
    }

    async fn apply_run(&self, stream: &str, mut run: Run) -> Result<(), Fault> {
        let Inner { shared, lanes, .. } = &*self.0;
        let shard = usize::from(shared.projection.definition().shard(stream));
        let lane =
            lanes.get(shard).ok_or_else(|| Fault::Poison("there is no such shard".to_owned()))?;
        if run.events.is_empty() {
            lane.pass_over(stream, run.first, run.last);
            return Ok(());
        }
        loop {
            let shared_run = Arc::new(run);
            match lane.apply(shared, stream, Arc::clone(&shared_run)).await {
                Verdict::Applied => return Ok(()),
                Verdict::Transient(reason) => return Err(Fault::Transient(reason)),
                Verdict::Poison(reason) => return Err(Fault::Poison(reason)),
                Verdict::Missing { from } => {
                    run = self.fill(lane, stream, &shared_run, from).await?;
                }
            }
        }
    }

    /// Puts the events before a run that come first. Where they are many they are applied in parts.
    async fn fill(&self, lane: &Lane, stream: &str, run: &Run, from: u64) -> Result<Run, Fault> {
        tracing::debug!(from, up_to = run.first, "events are read from the store");
        let (mut first, mut next) = (from, from);
        let mut events = Vec::new();
        while next < run.first {
            let end = next.saturating_add(MISSING_EVENTS_MAX).min(run.first).saturating_sub(1);
            let page = self.0.history.read(stream, next, end).await?;
            let Some(last) = page.last().map(RecordedEvent::sequence_number) else {
                return Err(Fault::Missing(next));
            };
            next = last.saturating_add(1);
            let taken = page.into_iter().filter(|event| self.takes(event.event_type().as_str()));
            events.extend(taken.map(Arc::new));
            let last = events.last().map(|event: &Arc<RecordedEvent>| event.sequence_number());
            if let Some(last) = last.filter(|_| events.len() >= MISSING_EVENTS_PART) {
                let part = Run { first, last, events: std::mem::take(&mut events) };
                match lane.apply(&self.0.shared, stream, Arc::new(part)).await {
                    Verdict::Applied => first = last.saturating_add(1),
                    Verdict::Poison(reason) => return Err(Fault::Poison(reason)),
                    Verdict::Transient(reason) => return Err(Fault::Transient(reason)),
                    Verdict::Missing { .. } => {
                        let reason = "the read model has lost events meanwhile".to_owned();
                        return Err(Fault::Transient(reason));
                    }
                }
            }
        }
        events.extend(run.events.iter().map(Arc::clone));
        Ok(Run { first, last: run.last, events })
    }

    /// Reads changes of the feed. What the projection does not take is not read further than that.
    fn items(&self, changes: &[Change]) -> Result<Vec<ItemOf>, HandlerFault> {
        let read = |change: &Change| {
            let glance: Result<Glance<'_>, _> = serde_json::from_str(change.document.get());
            if glance.is_ok_and(|glance| !self.takes(&glance.event_type)) {
                return Ok((change.order, None));
            }
            let event = read_event(Some(&change.key), &change.document);
            let event = event.map_err(|error| HandlerFault::poison(error.to_string()))?;
            Ok((change.order, Some(Arc::new(event))))
        };
        changes.iter().map(read).collect()
    }
}

/// The place of an event, and the event itself where the projection takes it.
type ItemOf = (u64, Option<Arc<RecordedEvent>>);

/// Cuts events of one stream, in order, where some are missing in between. One that comes twice counts once.
fn runs(items: impl IntoIterator<Item = ItemOf>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (sequence_number, event) in items {
        match runs.last_mut() {
            Some(run) if sequence_number == run.last.saturating_add(1) => {
                run.last = sequence_number;
                run.events.extend(event);
            }
            Some(run) if (run.first..=run.last).contains(&sequence_number) => {}
            _ => {
                let events = event.into_iter().collect();
                runs.push(Run { first: sequence_number, last: sequence_number, events });
            }
        }
    }
    runs
}

/// Just enough of an event to know whether it is taken.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(rename = "type", borrow)]
    event_type: std::borrow::Cow<'a, str>,
}

impl Handler for ProjectionHandler {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        async move {
            let items = self.items(&delivery.changes)?;
            spans::link(items.iter().filter_map(|(_, event)| trace_of(event.as_deref()?)));
            for run in runs(items) {
                let applied = self.apply_run(&delivery.key, run).await;
                applied.map_err(|fault| fault.at_attempt(delivery.attempt))?;
            }
            Ok(())
        }
        .boxed()
    }
}

/// The trace in which an event was stored.
fn trace_of(event: &RecordedEvent) -> Option<(&str, Option<&str>)> {
    let metadata = event.metadata();
    Some((metadata.traceparent.as_deref()?, metadata.tracestate.as_deref()))
}

/// Why a run was not applied.
#[derive(Debug)]
enum Fault {
    Transient(String),
    Poison(String),
    /// An event that comes before is not in the store.
    Missing(u64),
}

impl Fault {
    fn at_attempt(self, attempt: u32) -> HandlerFault {
        match self {
            Self::Transient(reason) => HandlerFault::transient(reason),
            Self::Poison(reason) => HandlerFault::poison(reason),
            Self::Missing(sequence_number) => {
                let reason = format!("event {sequence_number} is missing from the stream");
                // The feed may know of it before whoever answers a query does, but not for long.
                if attempt < MISSING_ATTEMPTS_MAX {
                    HandlerFault::transient(reason)
                } else {
                    HandlerFault::poison(reason)
                }
            }
        }
    }
}

impl From<HistoryFault> for Fault {
    fn from(fault: HistoryFault) -> Self {
        match fault {
            HistoryFault::Unavailable(_) => Self::Transient(fault.to_string()),
            HistoryFault::Damaged(_) => Self::Poison(fault.to_string()),
        }
    }
}
