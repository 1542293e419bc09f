//! The stored documents of read models: schema 1 of `docs/stored-format.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{Adds, Measure, Total, ViewKey, definition::Field, order::sort_text};
use crate::event::{EventId, RecordedEvent, restore_integers};

/// The schema that this version writes, and the newest that it reads.
pub(super) const SCHEMA: u32 = 1;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A view of a stream.
    View,
    /// A view of a part of a stream.
    Part,
    /// The guard of a stream whose own view was deleted, or never was.
    Guard,
    /// What a stream adds to totals.
    Contribution,
    /// What the streams of one shard add to a total.
    Total,
    /// Which versions there are of a read model.
    Versions,
}

impl Kind {
    /// What is made from events.
    pub(super) const MADE: [Self; 5] =
        [Self::View, Self::Part, Self::Guard, Self::Contribution, Self::Total];
}

/// The last event of a stream in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) last: u64,
    pub(super) id: EventId,
}

impl Guard {
    pub(super) fn of(event: &RecordedEvent) -> Self {
        Self { last: event.sequence_number(), id: event.id() }
    }
}

/// A document of a read model. Which properties it has depends on its kind. Its `Debug` shows no data.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Document {
    /// Its id; unique in its logical partition.
    pub id: String,
    /// Its logical partition: one of the shards of a version of a projection.
    pub partition_key: String,
    /// The schema of the document.
    pub schema: u32,
    /// What it is.
    pub kind: Kind,
    /// The stream that it is made from, where it is from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Which part of the stream, or which total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The sequence number of the last event in it, that the projection takes; of the last one that touches
    /// it, where it is of a part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sequence_number: Option<u64>,
    /// The id of that event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event_id: Option<EventId>,
    /// The view, or the state of a contribution.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    /// What the stream adds to totals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adds: Option<Adds>,
    /// What streams of this shard add up to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Total>,
    /// The declared fields and the key, to filter and sort by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sort: BTreeMap<String, String>,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document")
            .field("partition_key", &self.partition_key)
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("last_sequence_number", &self.last_sequence_number)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        let all = |one: &Self| {
            let data = one.data.as_ref().map(|data| data.get().to_owned());
            let guard = (one.last_sequence_number, one.last_event_id);
            let names = (one.id.clone(), one.partition_key.clone(), one.kind, one.schema);
            let from = (one.stream.clone(), one.key.clone());
            (names, from, guard, data, one.adds.clone(), one.total.clone(), one.sort.clone())
        };
        all(self) == all(other)
    }
}

impl Document {
    /// A document of a stream, with its guard.
    pub(super) fn of_stream(partition: &str, kind: Kind, stream: &str, guard: Guard) -> Self {
        let id = own_id(stream);
        Self {
            sort: BTreeMap::from([key_sort(stream, &id)]),
            id,
            kind,
            stream: Some(stream.to_owned()),
            last_sequence_number: Some(guard.last),
            last_event_id: Some(guard.id),
            ..Self::empty(partition)
        }
    }

    /// A document of a part of a stream.
    pub(super) fn of_part(
        partition: &str,
        kind: Kind,
        stream: &str,
        part: &str,
        guard: Guard,
    ) -> Self {
        let id = part_id(stream, part);
        let key = Some(part.to_owned());
        let sort = BTreeMap::from([key_sort(stream, &id)]);
        Self { id, key, sort, ..Self::of_stream(partition, kind, stream, guard) }
    }

    /// The total of a shard.
    pub(super) fn of_total(partition: &str, key: &str, total: Total) -> Self {
        let id = total_id(key);
        Self {
            sort: BTreeMap::from([key_sort(key, &id)]),
            id,
            kind: Kind::Total,
            key: Some(key.to_owned()),
            total: Some(total),
            ..Self::empty(partition)
        }
    }

    /// Which versions there are of a read model.
    pub(super) fn of_versions(partition: &str, name: &str, data: Box<RawValue>) -> Self {
        let id = Self::versions_id(name);
        Self {
            sort: BTreeMap::from([key_sort(name, &id)]),
            id,
            kind: Kind::Versions,
            key: Some(name.to_owned()),
            data: Some(data),
            ..Self::empty(partition)
        }
    }

    /// The id of the document that says which versions there are.
    pub(super) fn versions_id(name: &str) -> String {
        let mut id = "v:".to_owned();
        push_encoded(&mut id, name);
        id
    }

    fn empty(partition: &str) -> Self {
        Self {
            id: String::new(),
            partition_key: partition.to_owned(),
            schema: SCHEMA,
            kind: Kind::Guard,
            stream: None,
            key: None,
            last_sequence_number: None,
            last_event_id: None,
            data: None,
            adds: None,
            total: None,
            sort: BTreeMap::new(),
        }
    }

    /// The same with data, and what is declared of it.
    pub(super) fn with_data(
        mut self,
        data: Box<RawValue>,
        value: &Value,
        fields: &[Field],
    ) -> Self {
        for field in fields {
            let found = value.pointer(&field.pointer).unwrap_or(&Value::Null);
            let scalar = match found {
                Value::Array(_) | Value::Object(_) => &Value::Null,
                scalar => scalar,
            };
            self.sort.insert(field.name.clone(), sort_text(scalar, &self.id));
        }
        self.data = Some(data);
        self
    }

    /// How far its stream is in it.
    pub(super) fn guard(&self) -> Option<Guard> {
        Some(Guard { last: self.last_sequence_number?, id: self.last_event_id? })
    }

    /// What it measures, where it is a total.
    pub fn measures(&self) -> impl Iterator<Item = (&str, &Measure)> {
        let all = self.total.iter().flat_map(|total| &total.measures);
        all.map(|(name, measure)| (name.as_str(), measure))
    }

    /// Its data as a value; null where it has none, or nothing that can be read.
    pub fn value(&self) -> Value {
        let text = self.data.as_ref().map_or("null", |data| data.get());
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The same as it was written: whole numbers that the service prints otherwise are whole again.
    pub(super) fn restored(mut self) -> Self {
        if self.data.is_some() {
            let mut value = self.value();
            restore_integers(&mut value);
            self.data = serde_json::value::to_raw_value(&value).ok();
        }
        if let Some(adds) = &mut self.adds {
            adds.restore();
        }
        for measure in self.total.iter_mut().flat_map(|total| total.measures.values_mut()) {
            measure.restore();
        }
        self
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        let data = self.data.as_ref().map_or(0, |data| data.get().len());
        let adds = self.adds.as_ref().map_or(0, Adds::weight);
        let measures = self.total.iter().flat_map(|total| total.measures.values());
        [
            512,
            data,
            adds,
            measures.map(Measure::weight).sum(),
            self.sort.len().saturating_mul(160),
            self.id.len().saturating_mul(4),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }
}

/// What is there, also when it is null: a view may be null.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

fn key_sort(key: &str, id: &str) -> (String, String) {
    ("key".to_owned(), sort_text(&Value::String(key.to_owned()), id))
}

/// The id of the document of a stream itself.
pub(super) fn own_id(stream: &str) -> String {
    let mut id = "s:".to_owned();
    push_encoded(&mut id, stream);
    id
}

/// Whether it is the id of the document of a stream itself.
pub(super) fn is_own_id(id: &str) -> bool {
    id.strip_prefix("s:").is_some_and(|rest| !rest.contains(':'))
}

/// The id of the document of a part of a stream.
pub(super) fn part_id(stream: &str, part: &str) -> String {
    let mut id = own_id(stream);
    id.push(':');
    push_encoded(&mut id, part);
    id
}

/// The id of a total.
pub(super) fn total_id(key: &str) -> String {
    let mut id = "t:".to_owned();
    push_encoded(&mut id, key);
    id
}

/// The id of a view of a stream.
pub(super) fn view_id(stream: &str, key: &ViewKey) -> String {
    match key {
        ViewKey::Stream => own_id(stream),
        ViewKey::Part(part) => part_id(stream, part),
    }
}

/// Cosmos DB takes neither slashes nor `?` and `#` in an id. The percent sign and the colon are encoded too,
/// so that no two names get the same id.
fn push_encoded(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '/' => out.push_str("%2F"),
            '\\' => out.push_str("%5C"),
            '?' => out.push_str("%3F"),
            '#' => out.push_str("%23"),
            '%' => out.push_str("%25"),
            ':' => out.push_str("%3A"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
