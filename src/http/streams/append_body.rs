//! The body of an append.
//!
//! Data and metadata are taken as the JSON text that they are, so that the store sees duplicate keys and
//! the digits of large numbers.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type},
};

use super::event_body::MetadataBody;
use crate::{
    event::{BadInput, EventId, Metadata, NewEvent, Object},
    http::{
        body,
        idempotency::IdempotencyKey,
        problem::{BadPlace, Problem, of_input, part_name},
    },
    stream::{ExpectedVersion, SEQUENCE_NUMBER_MAX, StreamId},
};

/// What is to be appended, as the client says it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "expectedVersion": "any",
    "events": [{"type": "QuoteInitiated", "data": {"country": "IN"}, "metadata": {"actor": "api"}}],
}))]
pub(super) struct AppendRequest<'a> {
    /// What the stream must be: a version, `any` (the default), `noStream` or `streamExists`. 0 is
    /// `noStream`.
    #[schema(value_type = Option<ExpectedVersionBody>)]
    expected_version: Option<Expected>,
    /// The type of the aggregate; the part of the stream id before the first hyphen unless it is given.
    #[serde(borrow)]
    #[schema(min_length = 1, max_length = 128, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    aggregate_type: Option<Cow<'a, str>>,
    /// The events, 1 to 100: 99 behind another event.
    #[serde(borrow)]
    #[schema(min_items = 1, max_items = 99)]
    #[schema(value_type = Vec<EventRequest<'_>>)]
    events: Vec<Object<EventRequest<'a>>>,
}

/// The description of [`Expected`].
struct ExpectedVersionBody;

impl PartialSchema for ExpectedVersionBody {
    fn schema() -> RefOr<Schema> {
        let version = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(0_u64))
            .maximum(Some(SEQUENCE_NUMBER_MAX));
        let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([
            "any",
            "noStream",
            "streamExists",
        ]));
        OneOfBuilder::new().item(version).item(name).into()
    }
}

impl ToSchema for ExpectedVersionBody {
    fn name() -> Cow<'static, str> {
        "ExpectedVersion".into()
    }
}

/// An event that is to be appended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventRequest<'a> {
    /// Its id, the same when the request is repeated. Without one it follows from the header
    /// `Idempotency-Key`; without that as well it is random, and a repeat is a second event.
    #[schema(value_type = Option<uuid::Uuid>)]
    event_id: Option<EventId>,
    /// What happened.
    #[serde(borrow)]
    #[schema(min_length = 1, max_length = 256, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    r#type: Cow<'a, str>,
    /// The version of the schema of its data, 1 unless it is given.
    #[schema(minimum = 1)]
    schema_version: Option<u32>,
    /// Its data, any JSON whose integers binary64 can hold.
    #[serde(borrow)]
    #[schema(value_type = serde_json::Value)]
    data: &'a RawValue,
    /// What is known besides.
    #[serde(borrow)]
    #[schema(value_type = Option<MetadataBody>)]
    metadata: Option<&'a RawValue>,
    /// When it happened; when it is stored unless it is given.
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred_at: Option<Occurred>,
}

/// An append that can be done.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) expected: Option<ExpectedVersion>,
    pub(super) aggregate_type: Option<String>,
    pub(super) events: Vec<NewEvent>,
}

/// Reads and checks the body.
pub(super) fn order(
    text: &str,
    stream: &StreamId,
    key: Option<&IdempotencyKey>,
) -> Result<Order, Problem> {
    let Object(request): Object<AppendRequest<'_>> = body::json(text)?;
    let AppendRequest { expected_version, aggregate_type, events } = request;
    let events = events.into_iter().enumerate().map(|(index, Object(event))| {
        let id = event.event_id.or_else(|| key.map(|key| key.event_id(stream, index)));
        let place = EventPlace(index);
        let event = event.into_event(id.unwrap_or_else(EventId::random));
        event.map_err(|input| of_input(&input, &place))
    });
    Ok(Order {
        expected: expected_version.map(|Expected(expected)| expected),
        events: events.collect::<Result<_, _>>()?,
        aggregate_type: aggregate_type.map(Cow::into_owned),
    })
}

impl EventRequest<'_> {
    fn into_event(self, id: EventId) -> Result<NewEvent, BadInput> {
        let mut event = NewEvent::from_json(self.r#type.into_owned(), self.data.get())?.with_id(id);
        if let Some(version) = self.schema_version {
            event = event.with_schema_version(version)?;
        }
        if let Some(metadata) = self.metadata {
            event = event.with_metadata(Metadata::from_json(metadata.get())?)?;
        }
        match self.occurred_at {
            Some(Occurred(at)) => event.with_occurred_at(at),
            None => Ok(event),
        }
    }
}

/// An event of the list.
struct EventPlace(usize);

impl BadPlace for EventPlace {
    fn pointer(&self, input: &BadInput) -> String {
        let event = format!("/events/{}", self.0);
        match input {
            BadInput::Json { part, pointer, .. } => {
                format!("{event}/{}{pointer}", part_name(*part))
            }
            BadInput::EventTypeLength { .. } | BadInput::EventTypeControl { .. } => {
                format!("{event}/type")
            }
            BadInput::SchemaVersionZero => format!("{event}/schemaVersion"),
            BadInput::TimeRange => format!("{event}/occurredAt"),
            _ => event,
        }
    }
}

/// The call as a whole.
pub(super) enum OrderPlace {
    /// In the body that has a place for everything.
    Members,
    /// `CloudEvents`: the body is its events.
    Events,
}

impl BadPlace for OrderPlace {
    fn pointer(&self, input: &BadInput) -> String {
        let place = match input {
            _ if matches!(self, Self::Events) => "",
            BadInput::AggregateTypeLength { .. } | BadInput::AggregateTypeControl { .. } => {
                "/aggregateType"
            }
            BadInput::SequenceNumberRange { .. } => "/expectedVersion",
            _ => "/events",
        };
        place.to_owned()
    }
}

/// The expected version of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected(pub(super) ExpectedVersion);

impl Expected {
    /// Reads the name of an expected version.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(Self(match name {
            "any" => ExpectedVersion::Any,
            "noStream" => ExpectedVersion::NoStream,
            "streamExists" => ExpectedVersion::StreamExists,
            _ => return None,
        }))
    }

    /// Takes a version.
    pub(super) fn version(version: u64) -> Option<Self> {
        match version {
            0 => Some(Self(ExpectedVersion::NoStream)),
            1..=SEQUENCE_NUMBER_MAX => Some(Self(ExpectedVersion::Exact(version))),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExpectedVisitor)
    }
}

struct ExpectedVisitor;

impl de::Visitor<'_> for ExpectedVisitor {
    type Value = Expected;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version from 0 on, \"any\", \"noStream\" or \"streamExists\"")
    }

    fn visit_u64<E: de::Error>(self, version: u64) -> Result<Expected, E> {
        let expected = Expected::version(version);
        expected.ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(version), &self))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Expected, E> {
        Expected::named(name).ok_or_else(|| E::invalid_value(de::Unexpected::Str(name), &self))
    }
}

/// A time of a body.
#[derive(Debug)]
struct Occurred(Timestamp);

impl<'de> Deserialize<'de> for Occurred {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let expected = "expected a time such as 2026-11-20T10:00:00Z";
        text.parse().map(Self).map_err(|_| de::Error::custom(expected))
    }
}
