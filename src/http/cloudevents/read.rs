//! Reading events that come as `CloudEvents`.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{EVENT_ID_NAMESPACE, SPEC_VERSION};
use crate::{
    event::{BadInput, EventId, Metadata, NewEvent, Part},
    http::{
        body::{self, escape},
        limits::CLOUD_EVENT_ATTRIBUTES_MAX,
        media::JSON,
        problem::{BadPlace, Problem, of_input},
    },
};

/// Reads a body with one event.
pub(crate) fn read_one(text: &str) -> Result<NewEvent, Problem> {
    event(&body::json(text)?, "")
}

/// Reads a body with a list of events.
pub(crate) fn read_batch(text: &str) -> Result<Vec<NewEvent>, Problem> {
    let batch: Vec<Attributes<'_>> = body::json(text)?;
    let events = batch.iter().enumerate();
    events.map(|(index, attributes)| event(attributes, &format!("/{index}"))).collect()
}

/// The attributes of an event as they come.
struct Attributes<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Attributes<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AttributesVisitor)
    }
}

struct AttributesVisitor;

impl<'de> Visitor<'de> for AttributesVisitor {
    type Value = Attributes<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event of CloudEvents")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes<'de>, A::Error> {
        let mut attributes = Vec::new();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            if attributes.len() == CLOUD_EVENT_ATTRIBUTES_MAX {
                let max = CLOUD_EVENT_ATTRIBUTES_MAX;
                let text = format!("an event has at most {max} attributes");
                return Err(serde::de::Error::custom(text));
            }
            attributes.push((name.0, map.next_value()?));
        }
        Ok(Attributes(attributes))
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What an event is made of.
#[derive(Default)]
struct Draft<'a> {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    kind: Option<String>,
    data: Option<&'a RawValue>,
    time: Option<Timestamp>,
    schema_version: Option<u32>,
    metadata: Metadata,
}

fn event(attributes: &Attributes<'_>, place: &str) -> Result<NewEvent, Problem> {
    let mut draft = Draft::default();
    for (index, (name, value)) in attributes.0.iter().enumerate() {
        if attributes.0.iter().take(index).any(|(other, _)| other == name) {
            return Err(Problem::body(format!("{place}/{}", escape(name)), "given twice"));
        }
        draft
            .take(name, value)
            .map_err(|detail| Problem::body(format!("{place}/{}", escape(name)), detail))?;
    }
    draft.finish(place)
}

impl<'a> Draft<'a> {
    fn take(&mut self, name: &str, value: &'a RawValue) -> Result<(), &'static str> {
        match name {
            "data" => self.data = Some(value),
            "specversion" => self.specversion = text(value)?,
            "id" => self.id = text(value)?,
            "type" => self.kind = text(value)?,
            "source" => self.source = text(value)?,
            "time" => {
                let expected = "expected a time such as 2026-11-20T10:00:00Z";
                let time = text(value)?.map(|text| text.parse()).transpose();
                self.time = time.map_err(|_| expected)?;
            }
            "datacontenttype" => match text(value)? {
                Some(kind) if !is_json(&kind) => return Err("data must be JSON"),
                Some(kind) if kind != JSON => self.keep(name, value)?,
                _ => {}
            },
            "schemaversion" => {
                let version = serde_json::from_str::<Option<u32>>(value.get());
                self.schema_version = version.map_err(|_| "expected an integer from 1 on")?;
            }
            "correlationid" => self.metadata.correlation_id = text(value)?,
            "causationid" => self.metadata.causation_id = text(value)?,
            "actor" => self.metadata.actor = text(value)?,
            "traceparent" => self.metadata.traceparent = text(value)?,
            "tracestate" => self.metadata.tracestate = text(value)?,
            "data_base64" => return Err("data must be JSON, not base64"),
            _ => self.keep(name, value)?,
        }
        Ok(())
    }

    /// Keeps an attribute that has no place of its own.
    fn keep(&mut self, name: &str, value: &RawValue) -> Result<(), &'static str> {
        if !is_attribute_name(name) {
            return Err("the name of an attribute has lower-case letters and digits only");
        }
        match serde_json::from_str(value.get()) {
            Ok(Value::Null) => {}
            Ok(value @ (Value::String(_) | Value::Bool(_))) => {
                self.metadata.custom.insert(name.to_owned(), value);
            }
            Ok(Value::Number(number)) if number.as_i64().is_some_and(is_int32) => {
                self.metadata.custom.insert(name.to_owned(), number.into());
            }
            _ => return Err("an attribute is a string, a boolean or a 32-bit integer"),
        }
        Ok(())
    }

    fn finish(mut self, place: &str) -> Result<NewEvent, Problem> {
        let missing =
            |name: &str| Problem::body(place, format!("the attribute `{name}` is missing"));
        if self.specversion.ok_or_else(|| missing("specversion"))? != SPEC_VERSION {
            return Err(Problem::body(format!("{place}/specversion"), "only 1.0 is understood"));
        }
        let kind = self.kind.ok_or_else(|| missing("type"))?;
        let source = required(self.source, place, "source")?;
        let id = required(self.id, place, "id")?;
        let id = id
            .parse()
            .unwrap_or_else(|_| EventId::derived(EVENT_ID_NAMESPACE, &format!("{source}\n{id}")));
        self.metadata.custom.insert("source".to_owned(), source.into());
        let data = self.data.map_or("null", RawValue::get);
        let make = || {
            let mut event = NewEvent::from_json(kind, data)?.with_id(id);
            if let Some(version) = self.schema_version {
                event = event.with_schema_version(version)?;
            }
            if let Some(at) = self.time {
                event = event.with_occurred_at(at)?;
            }
            event.with_metadata(self.metadata)
        };
        make().map_err(|input: BadInput| of_input(&input, &EventPlace(place)))
    }
}

fn required(value: Option<String>, place: &str, name: &str) -> Result<String, Problem> {
    match value {
        Some(value) if value.is_empty() => {
            Err(Problem::body(format!("{place}/{name}"), "it must not be empty"))
        }
        Some(value) => Ok(value),
        None => Err(Problem::body(place, format!("the attribute `{name}` is missing"))),
    }
}

fn text(value: &RawValue) -> Result<Option<String>, &'static str> {
    serde_json::from_str(value.get()).map_err(|_| "expected a string")
}

/// A type is one of JSON by its subtype alone.
pub(super) fn is_json(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or(content_type).trim().to_ascii_lowercase();
    let is_text = content_type.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_text
        && name.split_once('/').is_some_and(|(_, kind)| kind == "json" || kind.ends_with("+json"))
}

pub(super) fn is_attribute_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !name.is_empty() && name.bytes().all(is_fit)
}

pub(super) fn is_int32(number: i64) -> bool {
    i32::try_from(number).is_ok()
}

/// One event of the body.
struct EventPlace<'a>(&'a str);

impl BadPlace for EventPlace<'_> {
    fn pointer(&self, input: &BadInput) -> String {
        let place = self.0;
        match input {
            BadInput::Json { part: Part::Data, pointer, .. } => format!("{place}/data{pointer}"),
            BadInput::EventTypeLength { .. } | BadInput::EventTypeControl { .. } => {
                format!("{place}/type")
            }
            BadInput::SchemaVersionZero => format!("{place}/schemaversion"),
            BadInput::TimeRange => format!("{place}/time"),
            _ => place.to_owned(),
        }
    }
}
