//! The schema of an aggregate's events: their names, their versions, and the way from old ones.

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{
    decode::{DecodeError, DecodeProblem, EncodeError, UpcastError},
    variant::Variant,
};
use crate::event::{BadInput, JsonProblem, NewEvent, Part, RecordedEvent};

/// One step from an old version of an event to a newer one: a pure function of its data.
///
/// Steps form a chain: the data goes from step to step until it is of the version that the
/// [`EventSchema`] declares. Stored events are never changed.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    from: (&'static str, u32),
    to: (&'static str, u32),
    upcast: fn(Value) -> Result<Value, UpcastError>,
}

impl Upcaster {
    /// A step from a version of a type to the next version of the same type.
    pub const fn new(
        event_type: &'static str,
        from_version: u32,
        upcast: fn(Value) -> Result<Value, UpcastError>,
    ) -> Self {
        let to = (event_type, from_version.saturating_add(1));
        Self { from: (event_type, from_version), to, upcast }
    }

    /// A step from a version of one type to a version of another: for an event that was renamed.
    pub const fn renaming(
        from: (&'static str, u32),
        to: (&'static str, u32),
        upcast: fn(Value) -> Result<Value, UpcastError>,
    ) -> Self {
        Self { from, to, upcast }
    }
}

/// The names of an aggregate's events with their current versions, and the way from old versions.
///
/// The names are those that serde writes for the variants of the event enum. They are stored, so
/// they outlive the code: rename a variant only together with `#[serde(rename = "...")]`.
///
/// What to do with an event whose type or version this program does not know is a choice that every
/// aggregate makes by the function it calls: [`decode_or_fail`](Self::decode_or_fail),
/// [`decode_or_skip`](Self::decode_or_skip) or [`decode_or_keep`](Self::decode_or_keep).
#[derive(Debug, Clone, Copy)]
pub struct EventSchema {
    types: &'static [(&'static str, u32)],
    upcasters: &'static [Upcaster],
}

/// What is wrong with a schema itself; see [`EventSchema::check`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SchemaProblem {
    /// A type is declared twice.
    #[error("event type {0:?} is declared twice")]
    DeclaredTwice(&'static str),
    /// Two upcasters begin at the same version.
    #[error("two upcasters begin at {0:?} version {1}")]
    Ambiguous(&'static str, u32),
    /// A chain of upcasters ends where no event is declared, begins at a current version, or goes in a
    /// circle.
    #[error("the upcaster of {0:?} version {1} leads nowhere")]
    LeadsNowhere(&'static str, u32),
    /// A type has a version above 1, and one of those below has no way to it.
    #[error("nothing leads from {0:?} version {1} to the current one")]
    Missing(&'static str, u32),
}

/// An event on its way to the current version.
type Current<'a> = (&'static str, Cow<'a, Value>);

impl EventSchema {
    /// The names of the events, each with its current version.
    pub const fn new(types: &'static [(&'static str, u32)]) -> Self {
        Self { types, upcasters: &[] }
    }

    /// Sets the steps from old versions to newer ones, in any order.
    #[must_use]
    pub const fn upcasting(mut self, upcasters: &'static [Upcaster]) -> Self {
        self.upcasters = upcasters;
        self
    }

    /// The names of the events, each with its current version.
    pub const fn types(&self) -> &'static [(&'static str, u32)] {
        self.types
    }

    /// The event to append. A variant without fields gets an empty object as its data.
    ///
    /// # Errors
    ///
    /// [`EncodeError`].
    pub fn encode(&self, event: &impl Serialize) -> Result<NewEvent, EncodeError> {
        let value = serde_json::to_value(event).map_err(|error| BadInput::Json {
            part: Part::Data,
            pointer: String::new(),
            problem: JsonProblem::Invalid(error.to_string()),
        })?;
        let (name, data) = match value {
            Value::String(name) => (name, Value::Object(Map::new())),
            Value::Object(fields) if fields.len() == 1 => {
                fields.into_iter().next().ok_or(EncodeError::Shape)?
            }
            _ => return Err(EncodeError::Shape),
        };
        let Some(version) = self.version(&name) else {
            return Err(EncodeError::Undeclared { event_type: name });
        };
        Ok(NewEvent::new(name, data)?.with_schema_version(version)?)
    }

    /// Reads an event. One that this program does not know is an error: for aggregates that must not
    /// decide on half of what has happened.
    ///
    /// # Errors
    ///
    /// [`DecodeError`].
    pub fn decode_or_fail<E: DeserializeOwned>(
        &self,
        event: &RecordedEvent,
    ) -> Result<Option<E>, DecodeError> {
        self.decode(event).map(Some).map_err(|problem| DecodeError::new(event, problem))
    }

    /// Reads an event. One that this program does not know is passed over: for aggregates whose stream
    /// has events that do not concern them.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for data of another shape, and when an upcaster refuses.
    pub fn decode_or_skip<E: DeserializeOwned>(
        &self,
        event: &RecordedEvent,
    ) -> Result<Option<E>, DecodeError> {
        self.decode_or(event, || None)
    }

    /// Reads an event. One that this program does not know is kept as what `keep` makes of it.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for data of another shape, and when an upcaster refuses.
    pub fn decode_or_keep<E: DeserializeOwned>(
        &self,
        event: &RecordedEvent,
        keep: impl FnOnce(&RecordedEvent) -> E,
    ) -> Result<Option<E>, DecodeError> {
        self.decode_or(event, || Some(keep(event)))
    }

    fn decode_or<E: DeserializeOwned>(
        &self,
        event: &RecordedEvent,
        unknown: impl FnOnce() -> Option<E>,
    ) -> Result<Option<E>, DecodeError> {
        match self.decode(event) {
            Ok(event) => Ok(Some(event)),
            Err(DecodeProblem::UnknownType | DecodeProblem::UnknownVersion { .. }) => Ok(unknown()),
            Err(problem) => Err(DecodeError::new(event, problem)),
        }
    }

    fn decode<E: DeserializeOwned>(&self, event: &RecordedEvent) -> Result<E, DecodeProblem> {
        let stored = (event.event_type().as_str(), event.schema_version());
        let (name, data) = self.bring_up(stored, event.data())?;
        E::deserialize(Variant { name, data: &data }).map_err(|error| describe(&error))
    }

    /// Goes up the chain.
    fn bring_up<'a>(
        &self,
        stored: (&str, u32),
        data: &'a Value,
    ) -> Result<Current<'a>, DecodeProblem> {
        let mut at = stored;
        let mut data = Cow::Borrowed(data);
        // Each upcaster is used once at most, so that a chain in a circle comes to an end.
        for _ in 0..=self.upcasters.len() {
            if let Some((name, _)) = self.types.iter().find(|declared| **declared == at) {
                return Ok((*name, data));
            }
            let Some(step) = self.upcasters.iter().find(|step| step.from == at) else { break };
            data = Cow::Owned((step.upcast)(data.into_owned()).map_err(DecodeProblem::Upcast)?);
            at = step.to;
        }
        Err(match self.version(stored.0) {
            Some(current) => DecodeProblem::UnknownVersion { current },
            None => DecodeProblem::UnknownType,
        })
    }

    fn version(&self, name: &str) -> Option<u32> {
        self.types.iter().find(|(declared, _)| *declared == name).map(|(_, version)| *version)
    }

    /// Checks the schema itself: call it in a test.
    ///
    /// # Errors
    ///
    /// The first [`SchemaProblem`].
    pub fn check(&self) -> Result<(), SchemaProblem> {
        for (index, (name, current)) in self.types.iter().enumerate() {
            if self.types.iter().skip(index.saturating_add(1)).any(|(other, _)| other == name) {
                return Err(SchemaProblem::DeclaredTwice(name));
            }
            if let Some(version) = (1..*current).find(|version| !self.leads_up((name, *version))) {
                return Err(SchemaProblem::Missing(name, version));
            }
        }
        for (index, Upcaster { from, .. }) in self.upcasters.iter().enumerate() {
            let rest = self.upcasters.iter().skip(index.saturating_add(1));
            if rest.clone().any(|other| other.from == *from) {
                return Err(SchemaProblem::Ambiguous(from.0, from.1));
            }
            if self.types.contains(from) || !self.leads_up(*from) {
                return Err(SchemaProblem::LeadsNowhere(from.0, from.1));
            }
        }
        Ok(())
    }

    fn leads_up(&self, from: (&str, u32)) -> bool {
        let mut at = from;
        for _ in 0..=self.upcasters.len() {
            if self.types.contains(&at) {
                return true;
            }
            let Some(step) = self.upcasters.iter().find(|step| step.from == at) else { break };
            at = step.to;
        }
        false
    }
}

/// What serde says, without the values that it may quote: they may be payload. It quotes names of
/// fields in backquotes, and those are code.
fn describe(error: &serde_json::Error) -> DecodeProblem {
    let text = error.to_string();
    let reason = if text.starts_with("missing field") {
        text
    } else {
        "a field is not as expected".to_owned()
    };
    DecodeProblem::Data { reason }
}

#[cfg(test)]
mod tests;
