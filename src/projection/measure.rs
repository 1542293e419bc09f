//! One thing that is measured: how it is merged, and taken back.
//!
//! Every merge is commutative and associative. Zero, the empty set and the empty list are nothing, so that
//! equal totals have equal documents whatever was added and taken back in between.

use std::{cmp::Ordering, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::event::{Part, check_json, restore_integers};

/// The largest whole number that every reader of JSON has exactly.
const NUMBER_MAX: i64 = (1 << 53) - 1;

/// A value that can be compared with others of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A whole number, within plus and minus 2^53.
    Number(i64),
    /// A text, compared by its code points: times of stored events sort so.
    Text(String),
}

impl From<i64> for Scalar {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Scalar {
    /// Numbers come before texts.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        }
    }

    fn shown(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.clone().into(),
        }
    }
}

/// What is measured, and what it comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Measure {
    /// How many.
    Count(i64),
    /// The sum of whole numbers.
    Sum(i64),
    /// The smallest.
    Min(Scalar),
    /// The largest.
    Max(Scalar),
    /// Which texts there are, and how often each was added.
    Set(BTreeMap<String, i64>),
    /// An entry for each stream that adds one.
    List(BTreeMap<String, Value>),
    /// Different kinds under one name: it cannot be merged.
    Mixed,
}

/// Why parts cannot be merged. The stream is parked with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MeasureFault {
    /// Different kinds have the same name.
    #[error("different kinds of measures have the same name in one total")]
    Mixed,
    /// A number is beyond plus or minus 2^53.
    #[error("a number of a total is beyond plus or minus 2^53")]
    TooLarge,
    /// Two streams have added an entry under the same key of a list.
    #[error("two entries of a list of a total have the same key: it is the id of the stream")]
    Twice,
    /// An entry of a list cannot be stored.
    #[error("an entry of a list of a total cannot be stored: no integer beyond 2^53, 100 levels")]
    Entry,
    /// What is to be taken back was never added.
    #[error("a total lacks what a stream has added to it: it was changed by something else")]
    Lacking,
}

/// What a measure is after a part of it was replaced.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Merged {
    /// Nothing is left.
    Nothing,
    /// It is this.
    Is(Measure),
    /// The extreme is gone, and the next one is not known.
    Unknown,
}

impl Measure {
    /// Whether it adds nothing.
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Count(number) | Self::Sum(number) => *number == 0,
            Self::Set(elements) => elements.is_empty(),
            Self::List(entries) => entries.is_empty(),
            Self::Min(_) | Self::Max(_) | Self::Mixed => false,
        }
    }

    /// Whether it can be stored and read back as it is.
    pub(super) fn check(&self) -> Result<(), MeasureFault> {
        match self {
            Self::Count(number)
            | Self::Sum(number)
            | Self::Min(Scalar::Number(number))
            | Self::Max(Scalar::Number(number)) => within(Some(*number)).map(|_| ()),
            Self::Set(elements) => {
                elements.values().try_for_each(|count| within(Some(*count)).map(|_| ()))
            }
            Self::List(entries) => entries.values().try_for_each(|entry| {
                check_json(Part::State, entry).map_err(|_| MeasureFault::Entry)
            }),
            Self::Min(Scalar::Text(_)) | Self::Max(Scalar::Text(_)) => Ok(()),
            Self::Mixed => Err(MeasureFault::Mixed),
        }
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        let all = match self {
            Self::Min(Scalar::Text(text)) | Self::Max(Scalar::Text(text)) => text.len(),
            Self::Set(elements) => {
                elements.keys().map(|element| element.len().saturating_add(48)).sum()
            }
            Self::List(entries) => {
                let entry = |(key, entry): (&String, &Value)| {
                    key.len().saturating_add(48).saturating_add(json_weight(entry))
                };
                entries.iter().map(entry).sum()
            }
            _ => 0,
        };
        all.saturating_add(128)
    }

    /// The same as it was written: see [`Document`](super::Document).
    pub(super) fn restore(&mut self) {
        if let Self::List(entries) = self {
            entries.values_mut().for_each(restore_integers);
        }
    }

    /// Adds a part.
    pub(super) fn add(total: &mut Option<Self>, part: &Self) -> Result<(), MeasureFault> {
        let Some(total) = total else {
            if *part == Self::Mixed {
                return Err(MeasureFault::Mixed);
            }
            *total = Some(part.clone());
            return Ok(());
        };
        match (total, part) {
            (Self::Count(total), Self::Count(part)) | (Self::Sum(total), Self::Sum(part)) => {
                *total = within(total.checked_add(*part))?;
            }
            (Self::Min(total), Self::Min(part)) => keep(total, part, Ordering::Less),
            (Self::Max(total), Self::Max(part)) => keep(total, part, Ordering::Greater),
            (Self::Set(total), Self::Set(part)) => {
                for (element, count) in part {
                    let slot = total.entry(element.clone()).or_default();
                    *slot = within(slot.checked_add(*count))?;
                }
            }
            (Self::List(total), Self::List(part)) => {
                if part.keys().any(|key| total.contains_key(key)) {
                    return Err(MeasureFault::Twice);
                }
                total.extend(part.clone());
            }
            _ => return Err(MeasureFault::Mixed),
        }
        Ok(())
    }

    /// Replaces one part of a total by another.
    pub(super) fn replace(
        total: Option<Self>,
        old: Option<Self>,
        new: Option<Self>,
    ) -> Result<Merged, MeasureFault> {
        let mut total = total;
        if let Some(old) = old {
            let slot = match total {
                Some(slot) => slot,
                // What adds up to nothing has no entry.
                None => old.zero().ok_or(MeasureFault::Lacking)?,
            };
            match slot.take(&old, new.as_ref())? {
                // Nothing is of no kind.
                Some(left) => total = Some(left).filter(|left| !left.is_nothing()),
                None => return Ok(Merged::Unknown),
            }
        }
        if let Some(new) = new {
            Self::add(&mut total, &new)?;
        }
        if let Some(Self::Count(number) | Self::Sum(number)) = &total {
            within(Some(*number))?;
        }
        Ok(total.filter(|total| !total.is_nothing()).map_or(Merged::Nothing, Merged::Is))
    }

    /// What has nothing in it, where there is such a thing.
    fn zero(&self) -> Option<Self> {
        match self {
            Self::Count(_) => Some(Self::Count(0)),
            Self::Sum(_) => Some(Self::Sum(0)),
            _ => None,
        }
    }

    /// Takes a part back that another one will replace; nothing where the rest is not known.
    fn take(self, old: &Self, new: Option<&Self>) -> Result<Option<Self>, MeasureFault> {
        Ok(Some(match (self, old) {
            // What is left without the part may be out of range, if only what replaces it brings it back.
            (Self::Count(total), Self::Count(old)) => Self::Count(total.saturating_sub(*old)),
            (Self::Sum(total), Self::Sum(old)) => Self::Sum(total.saturating_sub(*old)),
            (Self::Min(total), Self::Min(old)) => {
                let new = if let Some(Self::Min(new)) = new { Some(new) } else { None };
                return left(total, old, new, Ordering::Less).map(|left| left.map(Self::Min));
            }
            (Self::Max(total), Self::Max(old)) => {
                let new = if let Some(Self::Max(new)) = new { Some(new) } else { None };
                return left(total, old, new, Ordering::Greater).map(|left| left.map(Self::Max));
            }
            (Self::Set(mut total), Self::Set(old)) => {
                for (element, count) in old {
                    let slot = total.get_mut(element).ok_or(MeasureFault::Lacking)?;
                    *slot = slot.saturating_sub(*count);
                    if *slot < 0 {
                        return Err(MeasureFault::Lacking);
                    }
                    if *slot == 0 {
                        total.remove(element);
                    }
                }
                Self::Set(total)
            }
            (Self::List(mut total), Self::List(old)) => {
                for stream in old.keys() {
                    total.remove(stream).ok_or(MeasureFault::Lacking)?;
                }
                Self::List(total)
            }
            _ => return Err(MeasureFault::Mixed),
        }))
    }

    /// As readers see it.
    pub fn shown(&self) -> Value {
        match self {
            Self::Count(number) | Self::Sum(number) => (*number).into(),
            Self::Min(value) | Self::Max(value) => value.shown(),
            Self::Set(elements) => elements.keys().cloned().collect::<Vec<_>>().into(),
            Self::List(entries) => {
                Value::Object(entries.clone().into_iter().collect::<serde_json::Map<_, _>>())
            }
            Self::Mixed => Value::Null,
        }
    }
}

fn json_weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len().saturating_add(2),
        Value::Array(entries) => entries.iter().map(json_weight).sum::<usize>().saturating_add(2),
        Value::Object(entries) => {
            let entry = |(name, value): (&String, &Value)| {
                name.len().saturating_add(4).saturating_add(json_weight(value))
            };
            entries.iter().map(entry).sum::<usize>().saturating_add(2)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 16,
    }
}

fn within(number: Option<i64>) -> Result<i64, MeasureFault> {
    let number = number.filter(|number| (-NUMBER_MAX..=NUMBER_MAX).contains(number));
    number.ok_or(MeasureFault::TooLarge)
}

fn keep(total: &mut Scalar, part: &Scalar, better: Ordering) {
    if part.compare(total) == better {
        *total = part.clone();
    }
}

/// The extreme without a value that another one will replace; nothing where it was that value, and what
/// comes is not at least as far out.
fn left(
    total: Scalar,
    old: &Scalar,
    new: Option<&Scalar>,
    better: Ordering,
) -> Result<Option<Scalar>, MeasureFault> {
    match old.compare(&total) {
        Ordering::Equal => {
            let stays = new.is_some_and(|new| {
                let order = new.compare(&total);
                order == better || order == Ordering::Equal
            });
            Ok(stays.then_some(total))
        }
        order if order == better => Err(MeasureFault::Lacking),
        _ => Ok(Some(total)),
    }
}
