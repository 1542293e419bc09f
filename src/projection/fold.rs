//! Folding events into documents: pure, whatever the projection.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use thiserror::Error;

use super::{
    Adds, Definition, InvalidDefinition, Totals, Unreadable, ViewKey, Views, document::Guard,
    measure::MeasureFault,
};
use crate::event::{Part, RecordedEvent, check_json};

/// The most bytes that the data of a view or the state of a contribution may have: half of what a document
/// may, as for events.
pub(super) const DATA_BYTES_MAX: usize = 1024 * 1024;
/// The characters of the key of a part of a stream: with the id of the stream it fits into an id.
const PART_CHARACTERS_MAX: usize = 64;
/// The characters of the key of a total.
const KEY_CHARACTERS_MAX: usize = 128;

/// Why events cannot be folded. The stream is parked with it; the text has no payload.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FoldFault {
    /// An event cannot be read.
    #[error("event {sequence_number} cannot be read: {reason}")]
    Event {
        /// Its place in the stream.
        sequence_number: u64,
        /// Why.
        reason: String,
    },
    /// What is stored of a view or a state does not have the form that the code has.
    #[error("what is stored does not have the form of this version of the projection: rebuild it")]
    Stored,
    /// A view or a state cannot be stored.
    #[error("what the projection made cannot be stored: {0}")]
    Data(String),
    /// The key of a view or a total cannot be one.
    #[error(
        "the key of a part has at most {PART_CHARACTERS_MAX} characters, that of a total \
         {KEY_CHARACTERS_MAX}, none of them control characters, and parts are declared"
    )]
    Key,
    /// The code of the projection panicked.
    #[error("the projection panicked")]
    Panic,
    /// What streams add cannot be merged.
    #[error(transparent)]
    Measure(#[from] MeasureFault),
}

/// A projection of either kind. Cheap to clone.
#[derive(Clone)]
pub struct Projection(Arc<dyn Erased>);

impl std::fmt::Debug for Projection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Projection").field(&self.definition().name).finish()
    }
}

impl Projection {
    /// A projection with views of streams.
    ///
    /// # Errors
    ///
    /// [`InvalidDefinition`].
    pub fn views<V: Views>(views: V) -> Result<Self, InvalidDefinition> {
        let definition = views.definition();
        definition.check()?;
        Ok(Self(Arc::new(OfViews { definition, views })))
    }

    /// A projection with totals over streams.
    ///
    /// # Errors
    ///
    /// [`InvalidDefinition`].
    pub fn totals<T: Totals>(totals: T) -> Result<Self, InvalidDefinition> {
        let definition = totals.definition();
        definition.check()?;
        Ok(Self(Arc::new(OfTotals { definition, totals })))
    }

    /// What it says of itself.
    pub fn definition(&self) -> &Definition {
        self.0.definition()
    }

    /// Whether its views are over many streams.
    pub fn has_totals(&self) -> bool {
        self.0.has_totals()
    }

    /// Which views the events change.
    pub(super) fn touches(&self, events: &[&RecordedEvent]) -> Result<Vec<ViewKey>, FoldFault> {
        self.0.touches(events)
    }

    /// What the events make of the views that they touch.
    pub(super) fn fold(
        &self,
        stream: &str,
        before: &Before<'_>,
        events: &[&RecordedEvent],
    ) -> Result<Folded, FoldFault> {
        self.0.fold(stream, before, events)
    }
}

/// What was there, as it is stored.
pub(super) type Before<'a> = BTreeMap<ViewKey, &'a RawValue>;

/// Data with its value, which the declared fields are taken from.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub(super) raw: Box<RawValue>,
    pub(super) value: Value,
}

impl Data {
    fn new(data: &impl Serialize) -> Result<Self, FoldFault> {
        let unfit = |error: String| FoldFault::Data(error);
        let value =
            serde_json::to_value(data).map_err(|_| unfit("it has no form in JSON".to_owned()))?;
        check_json(Part::State, &value).map_err(|error| unfit(error.to_string()))?;
        let raw = serde_json::value::to_raw_value(&value)
            .map_err(|_| unfit("it has no form in JSON".to_owned()))?;
        if raw.get().len() > DATA_BYTES_MAX {
            return Err(unfit(format!("it has more than {DATA_BYTES_MAX} bytes")));
        }
        Ok(Self { raw, value })
    }
}

/// What events came to.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// The views that were touched, each with the last event that did so; nothing where there is none any
    /// more.
    pub(super) views: BTreeMap<ViewKey, (Option<Data>, Guard)>,
    /// What the stream adds now, where there are totals.
    pub(super) adds: Option<Adds>,
}

/// A projection without its types.
trait Erased: Send + Sync {
    fn definition(&self) -> &Definition;
    fn has_totals(&self) -> bool;
    fn touches(&self, events: &[&RecordedEvent]) -> Result<Vec<ViewKey>, FoldFault>;
    fn fold(
        &self,
        stream: &str,
        before: &Before<'_>,
        events: &[&RecordedEvent],
    ) -> Result<Folded, FoldFault>;
}

struct OfViews<V> {
    definition: Definition,
    views: V,
}

/// An event with the views that it touches.
type Read<E> = (E, Vec<ViewKey>);

impl<V: Views> OfViews<V> {
    fn read(&self, event: &RecordedEvent) -> Result<Option<Read<V::Event>>, FoldFault> {
        let decoded = self.views.decode(event).map_err(|error| unreadable(event, &error))?;
        let Some(decoded) = decoded else { return Ok(None) };
        let mut keys = self.views.touches(&decoded, event);
        keys.sort();
        keys.dedup();
        let fits = |key: &ViewKey| match key {
            ViewKey::Stream => true,
            ViewKey::Part(part) => self.definition.has_parts && is_key(part, PART_CHARACTERS_MAX),
        };
        if !keys.iter().all(fits) {
            return Err(FoldFault::Key);
        }
        Ok(Some((decoded, keys)))
    }
}

impl<V: Views> Erased for OfViews<V> {
    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn has_totals(&self) -> bool {
        false
    }

    fn touches(&self, events: &[&RecordedEvent]) -> Result<Vec<ViewKey>, FoldFault> {
        if !self.definition.has_parts {
            return Ok(vec![ViewKey::Stream]);
        }
        let mut touched = Vec::new();
        for event in events {
            touched.extend(self.read(event)?.into_iter().flat_map(|(_, keys)| keys));
        }
        touched.sort();
        touched.dedup();
        Ok(touched)
    }

    fn fold(
        &self,
        _: &str,
        before: &Before<'_>,
        events: &[&RecordedEvent],
    ) -> Result<Folded, FoldFault> {
        let mut views: BTreeMap<ViewKey, (Option<V::View>, Guard)> = BTreeMap::new();
        for event in events {
            let Some((decoded, keys)) = self.read(event)? else { continue };
            for key in keys {
                let view = match views.remove(&key) {
                    Some((view, _)) => view,
                    None => stored(before, &key)?,
                };
                let changed = self.views.change(&key, view, &decoded, event);
                views.insert(key, (changed, Guard::of(event)));
            }
        }
        let data = |(key, (view, last)): (ViewKey, (Option<V::View>, Guard))| {
            Ok((key, (view.map(|view| Data::new(&view)).transpose()?, last)))
        };
        let views = views.into_iter().map(data).collect::<Result<_, FoldFault>>()?;
        Ok(Folded { views, adds: None })
    }
}

struct OfTotals<T> {
    definition: Definition,
    totals: T,
}

impl<T: Totals> Erased for OfTotals<T> {
    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn has_totals(&self) -> bool {
        true
    }

    fn touches(&self, _: &[&RecordedEvent]) -> Result<Vec<ViewKey>, FoldFault> {
        Ok(vec![ViewKey::Stream])
    }

    fn fold(
        &self,
        stream: &str,
        before: &Before<'_>,
        events: &[&RecordedEvent],
    ) -> Result<Folded, FoldFault> {
        let mut state: T::State = stored(before, &ViewKey::Stream)?.unwrap_or_default();
        for event in events {
            let decoded = self.totals.decode(event).map_err(|error| unreadable(event, &error))?;
            if let Some(decoded) = decoded {
                state = self.totals.evolve(state, &decoded, event);
            }
        }
        let adds = self.totals.adds(stream, &state).normal();
        if !adds.keys().all(|key| is_key(key, KEY_CHARACTERS_MAX)) {
            return Err(FoldFault::Key);
        }
        adds.check()?;
        let Some(last) = events.last() else { return Ok(Folded::default()) };
        let own = (Some(Data::new(&state)?), Guard::of(last));
        Ok(Folded { views: BTreeMap::from([(ViewKey::Stream, own)]), adds: Some(adds) })
    }
}

fn stored<D: DeserializeOwned>(before: &Before<'_>, key: &ViewKey) -> Result<Option<D>, FoldFault> {
    let read = |raw: &&RawValue| serde_json::from_str(raw.get());
    before.get(key).map(read).transpose().map_err(|_| FoldFault::Stored)
}

fn unreadable(event: &RecordedEvent, error: &Unreadable) -> FoldFault {
    FoldFault::Event { sequence_number: event.sequence_number(), reason: error.to_string() }
}

fn is_key(key: &str, characters_max: usize) -> bool {
    (1..=characters_max).contains(&key.chars().count()) && !key.chars().any(char::is_control)
}
