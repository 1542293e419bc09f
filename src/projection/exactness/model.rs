//! What has to be stored: every stream folded from zero, by the plainest code that does it.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::projections::{Broken, Chains, Lines, Sums};
use crate::{
    event::RecordedEvent,
    projection::{Definition, Document, Projection, Totals, ViewKey, Views, order::sort_text},
};

/// Documents as JSON, by partition and id.
pub(crate) type Documents = BTreeMap<(String, String), Value>;

/// What is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Chains,
    Some,
    Lines,
    Sums,
}

const SOME: &[&str] = &["Added", "Moved"];

impl Which {
    pub(crate) const ALL: [Self; 4] = [Self::Chains, Self::Some, Self::Lines, Self::Sums];

    pub(crate) fn projection(self, broken: &Broken) -> Projection {
        let broken = broken.clone();
        match self {
            Self::Chains => Projection::views(Chains { broken, takes: None }),
            Self::Some => Projection::views(Chains { broken, takes: Some(SOME) }),
            Self::Lines => Projection::views(Lines { broken }),
            Self::Sums => Projection::totals(Sums { broken }),
        }
        .unwrap()
    }

    /// The documents after all of these events.
    pub(crate) fn replayed<'a>(
        self,
        streams: impl IntoIterator<Item = &'a Vec<RecordedEvent>>,
    ) -> Documents {
        let broken = Broken::default();
        let streams = streams.into_iter();
        match self {
            Self::Chains => of_views(&Chains { broken, takes: None }, streams),
            Self::Some => of_views(&Chains { broken, takes: Some(SOME) }, streams),
            Self::Lines => of_views(&Lines { broken }, streams),
            Self::Sums => of_totals(&Sums { broken }, streams),
        }
    }
}

/// What is stored, in the same form.
pub(crate) fn stored(documents: &[Document]) -> Documents {
    let json = documents.iter().map(|document| serde_json::to_value(document).unwrap());
    json.map(|json| ((text(&json, "partitionKey"), text(&json, "id")), json)).collect()
}

fn text(json: &Value, name: &str) -> String {
    json[name].as_str().unwrap().to_owned()
}

/// Fails with the first document that differs.
#[track_caller]
pub(crate) fn assert_same(found: &Documents, expected: &Documents, when: &str) {
    for (key, expected) in expected {
        assert_eq!(found.get(key), Some(expected), "{when}: {key:?}");
    }
    let keys = |documents: &Documents| documents.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), keys(expected), "{when}: there are more documents");
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if "/\\?#%:".contains(character) {
            write!(out, "%{:02X}", u32::from(character)).unwrap();
        } else {
            out.push(character);
        }
    }
    out
}

fn with_index(document: &mut Value, definition: &Definition, key: &str) {
    let id = text(document, "id");
    let mut sort = Map::from_iter([("key".to_owned(), sort_text(&json!(key), &id).into())]);
    if document["kind"] == "view" || document["kind"] == "part" {
        for field in &definition.fields {
            let value = document["data"].pointer(&field.pointer).cloned().unwrap_or_default();
            sort.insert(field.name.clone(), sort_text(&value, &id).into());
        }
    }
    document["sort"] = sort.into();
}

fn partition(definition: &Definition, stream: &str) -> String {
    format!("{}:1:{:04}", definition.name, definition.shard(stream))
}

fn of_stream(definition: &Definition, kind: &str, id: &str, event: &RecordedEvent) -> Value {
    json!({
        "id": id, "partitionKey": partition(definition, event.stream()), "schema": 1, "kind": kind,
        "stream": event.stream(), "lastSequenceNumber": event.sequence_number(),
        "lastEventId": event.id(),
    })
}

fn put(documents: &mut Documents, document: Value) {
    documents.insert((text(&document, "partitionKey"), text(&document, "id")), document);
}

/// The views of streams, and what they were last changed by.
pub(crate) fn of_views<'a, V: Views>(
    views: &V,
    streams: impl Iterator<Item = &'a Vec<RecordedEvent>>,
) -> Documents
where
    V::View: Clone + Serialize,
{
    let definition = views.definition();
    let mut documents = Documents::new();
    for events in streams {
        let mut made: BTreeMap<ViewKey, (V::View, &RecordedEvent)> = BTreeMap::new();
        let mut last = None;
        for event in
            events.iter().filter(|event| definition.takes_type(event.event_type().as_str()))
        {
            last = Some(event);
            let Some(decoded) = views.decode(event).unwrap() else { continue };
            for key in views.touches(&decoded, event) {
                let before = made.remove(&key).map(|(view, _)| view);
                if let Some(view) = views.change(&key, before, &decoded, event) {
                    made.insert(key, (view, event));
                }
            }
        }
        let Some(last) = last else { continue };
        let own = format!("s:{}", encoded(last.stream()));
        let mut document = of_stream(&definition, "guard", &own, last);
        for (key, (view, event)) in &made {
            match key {
                ViewKey::Stream => {
                    document["kind"] = "view".into();
                    document["data"] = serde_json::to_value(view).unwrap();
                }
                ViewKey::Part(part) => {
                    let id = format!("{own}:{}", encoded(part));
                    let mut document = of_stream(&definition, "part", &id, event);
                    document["key"] = part.clone().into();
                    document["data"] = serde_json::to_value(view).unwrap();
                    with_index(&mut document, &definition, last.stream());
                    put(&mut documents, document);
                }
            }
        }
        with_index(&mut document, &definition, last.stream());
        put(&mut documents, document);
    }
    documents
}

/// What streams add, and what it comes to.
pub(crate) fn of_totals<'a, T: Totals>(
    totals: &T,
    streams: impl Iterator<Item = &'a Vec<RecordedEvent>>,
) -> Documents {
    let definition = totals.definition();
    let mut documents = Documents::new();
    for events in streams {
        let taken =
            || events.iter().filter(|event| definition.takes_type(event.event_type().as_str()));
        let Some(last) = taken().next_back() else { continue };
        let state = taken().fold(T::State::default(), |state, event| {
            let decoded = totals.decode(event).unwrap();
            decoded.map_or_else(T::State::default, |decoded| totals.evolve(state, &decoded, event))
        });
        let id = format!("s:{}", encoded(last.stream()));
        let mut document = of_stream(&definition, "contribution", &id, last);
        document["data"] = serde_json::to_value(&state).unwrap();
        let adds = totals.adds(last.stream(), &state).normal();
        let adds = serde_json::to_value(adds).unwrap();
        for (key, measures) in adds.as_object().unwrap() {
            add(&mut documents, &partition(&definition, last.stream()), key, measures);
        }
        document["adds"] = adds;
        with_index(&mut document, &definition, last.stream());
        put(&mut documents, document);
    }
    documents
}

fn add(documents: &mut Documents, partition: &str, key: &str, measures: &Value) {
    let id = format!("t:{}", encoded(key));
    let total = documents.entry((partition.to_owned(), id.clone())).or_insert_with(|| {
        json!({
            "id": id, "partitionKey": partition, "schema": 1, "kind": "total", "key": key,
            "total": {"streams": 0, "measures": {}}, "sort": {"key": sort_text(&json!(key), &id)},
        })
    });
    let total = &mut total["total"];
    total["streams"] = (total["streams"].as_u64().unwrap() + 1).into();
    let total = total["measures"].as_object_mut().unwrap();
    for (name, measure) in measures.as_object().unwrap() {
        let merged = match total.remove(name) {
            None => measure.clone(),
            Some(total) => merged(&total, measure),
        };
        if merged != json!({"sum": 0}) && merged != json!({"count": 0}) {
            total.insert(name.clone(), merged);
        }
    }
}

fn merged(one: &Value, other: &Value) -> Value {
    let (kind, one) = one.as_object().unwrap().iter().next().unwrap();
    let other = &other[kind];
    let order = one.as_i64().cmp(&other.as_i64()).then(one.as_str().cmp(&other.as_str()));
    let merged = match kind.as_str() {
        "count" | "sum" => (one.as_i64().unwrap() + other.as_i64().unwrap()).into(),
        "min" => if order.is_le() { one } else { other }.clone(),
        "max" => if order.is_ge() { one } else { other }.clone(),
        _ => {
            let mut all = one.clone();
            for (key, value) in other.as_object().unwrap() {
                let more = value.as_i64().map(|count| count + all[key].as_i64().unwrap_or(0));
                all[key] = more.map_or_else(|| value.clone(), Value::from);
            }
            all
        }
    };
    json!({ kind.as_str(): merged })
}
