//! Given events, then views: tests of projections that read like what they are for.
//!
//! No store is needed. The events are delivered in many ways: one by one and all at once, cut at every place,
//! twice, the streams in other orders, and with nothing remembered in between, so that every view also makes the
//! way to its stored form and back. Each way has to lead to the same documents; one that depends on the order
//! of streams, on the time or on chance fails.
//!
//! ```
//! # use cosmos_event_store::{NewEvent, RecordedEvent};
//! # use cosmos_event_store::projection::{Definition, Unreadable, ViewKey, Views};
//! # struct Length;
//! # impl Views for Length {
//! #     type Event = ();
//! #     type View = u64;
//! #     fn definition(&self) -> Definition { Definition::new("length", 1) }
//! #     fn decode(&self, _: &RecordedEvent) -> Result<Option<()>, Unreadable> { Ok(Some(())) }
//! #     fn change(&self, _: &ViewKey, view: Option<u64>, (): &(), _: &RecordedEvent) -> Option<u64> {
//! #         Some(view.unwrap_or(0) + 1)
//! #     }
//! # }
//! use cosmos_event_store::projection::{Projection, kit::given};
//!
//! let noted = |text| NewEvent::new("Noted", text);
//! given(&Projection::views(Length)?, [("note-1", vec![noted("a")?, noted("b")?])])
//!     .then_view("note-1", &2)
//!     .then_no_view("note-2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![allow(clippy::panic, reason = "a kit for tests says by a panic what is wrong")]

use std::{
    collections::BTreeMap,
    fmt::Debug,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{
    Document, Projection, ProjectionHandler, Total,
    document::{Kind, own_id, part_id, total_id},
    memory::{MemoryHistory, MemoryViews, Weather},
};
use crate::{
    aggregate::DomainEvent,
    event::{Commit, Fields, NewEvent, RecordedEvent, content_hash},
};

/// The places at which a stream is cut; those of a longer one are not all tried.
const CUTS_MAX: usize = 16;
/// Nothing waits for anything outside, so that this is far more than is needed.
const POLLS_MAX: usize = 1_000_000;

/// What events can be given as.
pub trait GivenEvent {
    /// The event as it is appended.
    ///
    /// # Panics
    ///
    /// When it cannot be stored.
    fn given(&self) -> NewEvent;
}

impl GivenEvent for NewEvent {
    fn given(&self) -> NewEvent {
        self.clone()
    }
}

impl<E: DomainEvent + Debug> GivenEvent for E {
    #[track_caller]
    fn given(&self) -> NewEvent {
        self.encode().unwrap_or_else(|error| panic!("{self:?} cannot be stored: {error}"))
    }
}

/// The read model that events lead to.
#[derive(Debug, Clone)]
pub struct Projected {
    documents: Vec<Document>,
}

/// These events have happened in these streams, oldest first, and were projected. A stream may come more than
/// once.
///
/// # Panics
///
/// When an event cannot be stored, when the projection cannot take it, or when another way to deliver the same
/// events leads to other documents.
#[track_caller]
#[must_use = "nothing is compared before a `then`"]
pub fn given<S, I>(projection: &Projection, streams: impl IntoIterator<Item = (S, I)>) -> Projected
where
    S: Into<String>,
    I: IntoIterator,
    I::Item: GivenEvent,
{
    let mut given: Vec<Vec<RecordedEvent>> = Vec::new();
    for (stream, events) in streams {
        let stream = stream.into();
        let is_it = |known: &&mut Vec<RecordedEvent>| {
            known.first().is_some_and(|event| event.stream() == stream)
        };
        let mut added = Vec::new();
        let known = match given.iter_mut().find(is_it) {
            Some(known) => known,
            None => &mut added,
        };
        for event in events {
            let number = u64::try_from(known.len()).unwrap_or(u64::MAX).saturating_add(1);
            known.push(recorded(&stream, number, &event.given()));
        }
        if !added.is_empty() {
            given.push(added);
        }
    }
    let streams: Vec<&[RecordedEvent]> = given.iter().map(Vec::as_slice).collect();
    let documents = projected(projection, &streams, &one_by_one(&streams), false);
    for (way, deliveries) in ways(&streams) {
        let found = projected(projection, &streams, &deliveries, true);
        compare(&documents, &found, &way);
    }
    Projected { documents }
}

/// Consecutive events of one stream.
type Batch<'a> = &'a [RecordedEvent];

fn one_by_one<'a>(streams: &[Batch<'a>]) -> Vec<Batch<'a>> {
    streams.iter().flat_map(|events| events.chunks(1)).collect()
}

/// Other ways to deliver the same events, each with its name.
fn ways<'a>(streams: &[Batch<'a>]) -> Vec<(String, Vec<Batch<'a>>)> {
    let whole: Vec<Batch<'a>> = streams.to_vec();
    let backwards: Vec<Batch<'a>> = whole.iter().copied().rev().collect();
    let longest = streams.iter().map(|events| events.len()).max().unwrap_or(0);
    let interleaved = (0..longest)
        .flat_map(|number| {
            streams.iter().rev().filter_map(move |events| events.chunks(1).nth(number))
        })
        .collect();
    let mut ways = vec![
        ("each stream at once".to_owned(), whole),
        ("the streams in another order".to_owned(), backwards),
        ("the streams by turns".to_owned(), interleaved),
        ("all of it twice".to_owned(), [one_by_one(streams), one_by_one(streams)].concat()),
    ];
    let step = longest.div_ceil(CUTS_MAX).max(1);
    for cut in (1..longest).step_by(step) {
        let parts = |events: &Batch<'a>| events.split_at_checked(cut).unwrap_or((*events, &[]));
        let (first, then): (Vec<_>, Vec<_>) = streams.iter().map(parts).unzip();
        // Those that came first come again behind the others.
        let all = [&first[..], &then[..], &first[..]].concat();
        let all = all.into_iter().filter(|batch| !batch.is_empty()).collect();
        ways.push((format!("streams cut behind event {cut}"), all));
    }
    ways
}

/// Delivers events, by one handler or each batch by one that remembers nothing.
#[track_caller]
fn projected(
    projection: &Projection,
    streams: &[Batch<'_>],
    deliveries: &[Batch<'_>],
    forgets: bool,
) -> Vec<Document> {
    let history = MemoryHistory::default();
    history.store(streams.iter().copied().flatten().cloned());
    let views = MemoryViews::new(Weather::fine(0));
    let handler = || {
        let (views, history) = (Arc::new(views.clone()), Arc::new(history.clone()));
        ProjectionHandler::new(projection.clone(), 1, views, history)
    };
    let mut owner = handler();
    for batch in deliveries {
        let Some(first) = batch.first() else { continue };
        if forgets {
            owner = handler();
        }
        if let Err(fault) = at_once(owner.apply(first.stream(), batch.to_vec())) {
            panic!("stream {:?} would be parked: {fault}", first.stream());
        }
    }
    views.peek()
}

#[track_caller]
fn compare(expected: &[Document], found: &[Document], way: &str) {
    let by_id = |documents: &[Document]| -> BTreeMap<(String, String), Value> {
        let json = |document: &Document| serde_json::to_value(document).unwrap_or_default();
        let key = |one: &Document| (one.partition_key.clone(), one.id.clone());
        documents.iter().map(|one| (key(one), json(one))).collect()
    };
    assert_eq!(
        by_id(found),
        by_id(expected),
        "the same events lead to something else when they are delivered otherwise: {way}"
    );
}

/// Runs what only waits for itself.
#[track_caller]
fn at_once<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return done;
        }
    }
    panic!("the projection does not come to an end");
}

impl Projected {
    /// This is the view of a stream.
    ///
    /// # Panics
    ///
    /// When it is another one, or there is none.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "a test may well end here")]
    pub fn then_view(self, stream: &str, expected: &impl Serialize) -> Self {
        self.assert_view(&own_id(stream), expected)
    }

    /// This is the view of a part of a stream.
    ///
    /// # Panics
    ///
    /// When it is another one, or there is none.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "a test may well end here")]
    pub fn then_part(self, stream: &str, part: &str, expected: &impl Serialize) -> Self {
        self.assert_view(&part_id(stream, part), expected)
    }

    /// A stream has no view.
    ///
    /// # Panics
    ///
    /// When it has one.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "a test may well end here")]
    pub fn then_no_view(self, stream: &str) -> Self {
        assert_eq!(self.view(&own_id(stream)), None, "stream {stream:?} has a view");
        self
    }

    /// A part of a stream has no view.
    ///
    /// # Panics
    ///
    /// When it has one.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "a test may well end here")]
    pub fn then_no_part(self, stream: &str, part: &str) -> Self {
        assert_eq!(self.view(&part_id(stream, part)), None, "{part:?} of {stream:?} has a view");
        self
    }

    /// So many streams add to a total, and that is what they add: each name with its value, as readers see it.
    ///
    /// # Panics
    ///
    /// When it is something else, or there is no such total.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "a test may well end here")]
    pub fn then_total(self, key: &str, streams: u64, expected: &Value) -> Self {
        let Some(total) = self.total(key) else { panic!("there is no total {key:?}") };
        assert_eq!(&Value::Object(total.shown()), expected, "the total {key:?}");
        assert_eq!(total.streams, streams, "the streams that add to the total {key:?}");
        self
    }

    /// No stream adds to a total.
    ///
    /// # Panics
    ///
    /// When one does.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "a test may well end here")]
    pub fn then_no_total(self, key: &str) -> Self {
        assert_eq!(self.total(key), None, "there is a total {key:?}");
        self
    }

    /// All documents, to look at.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    #[track_caller]
    fn assert_view(self, id: &str, expected: &impl Serialize) -> Self {
        let expected = serde_json::to_value(expected)
            .unwrap_or_else(|error| panic!("what is expected has no form in JSON: {error}"));
        let Some(view) = self.view(id) else { panic!("there is no view {id:?}") };
        assert_eq!(view, expected, "the view {id:?}");
        self
    }

    fn view(&self, id: &str) -> Option<Value> {
        let is_it = |one: &&Document| matches!(one.kind, Kind::View | Kind::Part) && one.id == id;
        self.documents.iter().find(is_it).map(Document::value)
    }

    /// What the shards add up to.
    #[track_caller]
    fn total(&self, key: &str) -> Option<Total> {
        let id = total_id(key);
        let mut parts = self.documents.iter().filter(|one| one.id == id);
        let mut total = parts.next()?.total.clone()?;
        for other in parts.filter_map(|part| part.total.as_ref()) {
            if let Err(fault) = total.merge(other) {
                panic!("the total {key:?} cannot be merged: {fault}");
            }
        }
        Some(total)
    }
}

/// The event as if it had been stored at a place.
fn recorded(stream: &str, sequence_number: u64, event: &NewEvent) -> RecordedEvent {
    let (name, version) = (event.event_type(), event.schema_version());
    let hash = content_hash(&mut String::new(), name.as_str(), version, event.data());
    RecordedEvent::new(Fields {
        stream: stream.to_owned(),
        aggregate_type: stream.split('-').next().unwrap_or_default().to_owned(),
        sequence_number,
        id: event.id(),
        event_type: name.clone(),
        schema_version: version,
        data: event.data().clone(),
        metadata: event.metadata().clone(),
        occurred_at: event.occurred_at().unwrap_or(Timestamp::UNIX_EPOCH),
        recorded_at: Timestamp::UNIX_EPOCH,
        commit: Commit { first: sequence_number, size: 1 },
        content_hash: hash,
    })
}

#[cfg(test)]
mod tests;
