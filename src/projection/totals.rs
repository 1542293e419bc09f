//! Views over many streams: what a user writes, and how the parts are merged.
//!
//! There is no total order over streams, and none is pretended: a total is a merge of what each stream
//! adds, and the merges do not depend on an order.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Definition, Unreadable,
    measure::{Measure, MeasureFault, Merged, Scalar},
};
use crate::event::RecordedEvent;

/// A projection whose views are each made from many streams.
///
/// It folds the events of each stream to a small state, and says what the stream adds to which total. What
/// changed between two states is what changes in the totals: a stream can move from one to another.
///
/// Pure, as [`Views`](super::Views) are.
///
/// ```
/// use cosmos_event_store::RecordedEvent;
/// use cosmos_event_store::projection::{Adds, Definition, Totals, Unreadable};
///
/// /// How many streams of each category there are, and how many events they have.
/// struct Categories;
///
/// impl Totals for Categories {
///     type Event = ();
///     type State = u64;
///
///     fn definition(&self) -> Definition {
///         Definition::new("categories", 1)
///     }
///
///     fn decode(&self, _: &RecordedEvent) -> Result<Option<()>, Unreadable> {
///         Ok(Some(()))
///     }
///
///     fn evolve(&self, events: u64, (): &(), _: &RecordedEvent) -> u64 {
///         events + 1
///     }
///
///     fn adds(&self, stream: &str, events: &u64) -> Adds {
///         let category = stream.split('-').next().unwrap_or_default();
///         let mut adds = Adds::default();
///         adds.to(category).count("streams", 1).count("events", i64::try_from(*events).unwrap_or(i64::MAX));
///         adds
///     }
/// }
/// ```
pub trait Totals: Send + Sync + 'static {
    /// An event as the projection reads it; `()` where it takes it raw.
    type Event;
    /// What has to be known of a stream, at most 1 MiB of JSON; the default is that of a stream without
    /// events.
    type State: Default + Serialize + DeserializeOwned;

    /// What it is called and what it takes. Always the same.
    fn definition(&self) -> Definition;

    /// Reads an event of a type that it takes; nothing where it does not concern the projection after all.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]: the stream is parked with the reason.
    fn decode(&self, event: &RecordedEvent) -> Result<Option<Self::Event>, Unreadable>;

    /// The state after the event.
    fn evolve(
        &self,
        state: Self::State,
        event: &Self::Event,
        recorded: &RecordedEvent,
    ) -> Self::State;

    /// What a stream in this state adds to which totals: at most 98 of them may change at once.
    fn adds(&self, stream: &str, state: &Self::State) -> Adds;
}

/// What a stream adds, by name.
pub(super) type Measures = BTreeMap<String, Measure>;

/// What a stream adds to which totals.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Adds(BTreeMap<String, Measures>);

impl Adds {
    /// To the total with this key: 1 to 128 characters without control characters. The stream counts as one
    /// of those that add to it, also when it adds nothing else.
    pub fn to(&mut self, key: impl Into<String>) -> Adding<'_> {
        Adding(self.0.entry(key.into()).or_default())
    }

    /// The keys of the totals.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The parts, in the form in which equal ones are equal.
    pub(super) fn normal(mut self) -> Self {
        for measures in self.0.values_mut() {
            measures.retain(|_, measure| !measure.is_nothing());
        }
        self
    }

    /// Whether all of it can be stored and merged.
    pub(super) fn check(&self) -> Result<(), MeasureFault> {
        self.0.values().flat_map(BTreeMap::values).try_for_each(Measure::check)
    }

    pub(super) fn restore(&mut self) {
        self.0.values_mut().flat_map(BTreeMap::values_mut).for_each(Measure::restore);
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        self.0.values().flat_map(BTreeMap::values).map(Measure::weight).sum()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Measures> {
        self.0.get(key)
    }
}

/// What a stream adds to one total. What is added under the same name again is added up.
#[derive(Debug)]
pub struct Adding<'a>(&'a mut Measures);

impl Adding<'_> {
    fn put(self, name: &str, measure: Measure) -> Self {
        let slot = self.0.entry(name.to_owned());
        match slot {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(measure);
            }
            std::collections::btree_map::Entry::Occupied(mut slot) => {
                let mut both = Some(slot.get().clone());
                // Two kinds under one name are found where the parts are merged.
                let merged = Measure::add(&mut both, &measure);
                slot.insert(match (merged, both) {
                    (Ok(()), Some(both)) => both,
                    _ => Measure::Mixed,
                });
            }
        }
        self
    }

    /// Counts; negative to count down.
    pub fn count(self, name: &str, count: i64) -> Self {
        self.put(name, Measure::Count(count))
    }

    /// Adds whole numbers, for example cents, within plus and minus 2^53.
    pub fn sum(self, name: &str, addend: i64) -> Self {
        self.put(name, Measure::Sum(addend))
    }

    /// Keeps the smallest.
    pub fn min(self, name: &str, value: impl Into<Scalar>) -> Self {
        self.put(name, Measure::Min(value.into()))
    }

    /// Keeps the largest.
    pub fn max(self, name: &str, value: impl Into<Scalar>) -> Self {
        self.put(name, Measure::Max(value.into()))
    }

    /// Keeps which texts there are. A total of many belongs into views: the document has 2 MB at most.
    pub fn set(self, name: &str, element: impl Into<String>) -> Self {
        self.put(name, Measure::Set(BTreeMap::from([(element.into(), 1)])))
    }

    /// Keeps a list with one entry for each stream, by its id: two entries must not have the same key. A list of
    /// many belongs into views.
    pub fn list(self, name: &str, stream: &str, entry: Value) -> Self {
        self.put(name, Measure::List(BTreeMap::from([(stream.to_owned(), entry)])))
    }
}

/// The merge of what streams add to one total.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Total {
    /// How many streams add to it.
    pub streams: u64,
    /// What they add, by name.
    pub measures: BTreeMap<String, Measure>,
}

impl Total {
    /// Merges what others add to the same total.
    pub(super) fn merge(&mut self, other: &Self) -> Result<(), MeasureFault> {
        self.streams = self.streams.saturating_add(other.streams);
        for (name, measure) in &other.measures {
            self.put(name, measure)?;
        }
        Ok(())
    }

    /// Adds what one more stream adds.
    pub(super) fn add(&mut self, measures: &Measures) -> Result<(), MeasureFault> {
        self.streams = self.streams.saturating_add(1);
        measures.iter().try_for_each(|(name, measure)| self.put(name, measure))
    }

    fn put(&mut self, name: &str, measure: &Measure) -> Result<(), MeasureFault> {
        let mut slot = self.measures.remove(name);
        Measure::add(&mut slot, measure)?;
        if let Some(slot) = slot.filter(|slot| !slot.is_nothing()) {
            self.measures.insert(name.to_owned(), slot);
        }
        Ok(())
    }

    /// Replaces what a stream has added by what it adds now. Gives the names of extremes that are not known
    /// afterwards: the one that was the extreme is gone, and the next one has to be looked for.
    pub(super) fn replace(
        &mut self,
        old: Option<&Measures>,
        new: Option<&Measures>,
    ) -> Result<BTreeSet<String>, MeasureFault> {
        if old.is_some() {
            self.streams = self.streams.checked_sub(1).ok_or(MeasureFault::Lacking)?;
        }
        if new.is_some() {
            self.streams = self.streams.saturating_add(1);
        }
        let mut unknown = BTreeSet::new();
        let names: BTreeSet<&String> =
            old.into_iter().chain(new).flat_map(BTreeMap::keys).collect();
        for name in names {
            let part =
                |measures: Option<&Measures>| measures.and_then(|all| all.get(name)).cloned();
            let slot = self.measures.remove(name);
            match Measure::replace(slot, part(old), part(new))? {
                Merged::Nothing => {}
                Merged::Is(measure) => {
                    self.measures.insert(name.clone(), measure);
                }
                Merged::Unknown => {
                    unknown.insert(name.clone());
                }
            }
        }
        Ok(unknown)
    }

    /// As readers see it: each name with its value.
    pub fn shown(&self) -> serde_json::Map<String, Value> {
        self.measures.iter().map(|(name, measure)| (name.clone(), measure.shown())).collect()
    }
}

#[cfg(test)]
mod tests;
