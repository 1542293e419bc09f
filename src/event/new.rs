//! Events that are not stored yet.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{BadInput, EventId, EventType, Metadata, Part, json, whole_microseconds};

/// An event to append.
///
/// ```
/// use cosmos_event_store::{EventId, Metadata, NewEvent};
/// use serde_json::json;
///
/// # fn main() -> Result<(), cosmos_event_store::BadInput> {
/// let event = NewEvent::new("QuoteInitiated", json!({"country": "IN"}))?
///     .with_id(EventId::random())
///     .with_metadata(Metadata::default().with_actor("api"))?;
/// assert_eq!(event.event_type(), &"QuoteInitiated");
/// # Ok(())
/// # }
/// ```
///
/// Its `Debug` shows neither data nor metadata.
#[derive(Clone, PartialEq)]
pub struct NewEvent {
    id: EventId,
    event_type: EventType,
    schema_version: u32,
    data: Value,
    metadata: Metadata,
    occurred_at: Option<Timestamp>,
}

impl fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEvent")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .finish_non_exhaustive()
    }
}

impl NewEvent {
    /// An event of this type with this data, a random id and schema version 1.
    ///
    /// Set the id with [`with_id`](Self::with_id) where an append may be repeated by another
    /// process. For data that comes as a text, [`from_json`](Self::from_json) checks more: a parsed
    /// value has already lost duplicate keys and the digits of integers beyond 64 bits.
    ///
    /// # Errors
    ///
    /// [`BadInput`] when the type is too long or the data cannot be stored without change.
    pub fn new<T>(event_type: T, data: impl Serialize) -> Result<Self, BadInput>
    where
        T: TryInto<EventType>,
        T::Error: Into<BadInput>,
    {
        let event_type = event_type.try_into().map_err(Into::into)?;
        Ok(Self::checked(event_type, json::from_serialize(Part::Data, data)?))
    }

    /// Like [`new`](Self::new), with the data as JSON text. The order of properties is kept.
    ///
    /// # Errors
    ///
    /// [`BadInput`] as for [`new`](Self::new), and for duplicate keys.
    pub fn from_json<T>(event_type: T, data: &str) -> Result<Self, BadInput>
    where
        T: TryInto<EventType>,
        T::Error: Into<BadInput>,
    {
        let event_type = event_type.try_into().map_err(Into::into)?;
        Ok(Self::checked(event_type, json::parse(Part::Data, data)?))
    }

    fn checked(event_type: EventType, data: Value) -> Self {
        Self {
            id: EventId::random(),
            event_type,
            schema_version: 1,
            data,
            metadata: Metadata::default(),
            occurred_at: None,
        }
    }

    /// Sets the id.
    #[must_use]
    pub fn with_id(mut self, id: EventId) -> Self {
        self.id = id;
        self
    }

    /// Sets the version of the data's schema; 1 unless it is set.
    ///
    /// # Errors
    ///
    /// [`BadInput::SchemaVersionZero`].
    pub fn with_schema_version(mut self, version: u32) -> Result<Self, BadInput> {
        if version == 0 {
            return Err(BadInput::SchemaVersionZero);
        }
        self.schema_version = version;
        Ok(self)
    }

    /// Sets the metadata.
    ///
    /// # Errors
    ///
    /// [`BadInput::Json`] when it has a number that cannot be stored.
    pub fn with_metadata(mut self, metadata: Metadata) -> Result<Self, BadInput> {
        metadata.check()?;
        self.metadata = metadata;
        Ok(self)
    }

    /// Sets when it happened, to the microsecond; the time of the append unless it is set.
    ///
    /// # Errors
    ///
    /// [`BadInput::TimeRange`] outside of the years 0 to 9999.
    pub fn with_occurred_at(mut self, at: Timestamp) -> Result<Self, BadInput> {
        self.occurred_at = Some(whole_microseconds(at)?);
        Ok(self)
    }

    /// The id.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// The type.
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// The version of the data's schema.
    pub fn schema_version(&self) -> u32 {
        self.schema_version
    }

    /// The data.
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// The metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// When it happened, if that is not the time of the append.
    pub fn occurred_at(&self) -> Option<Timestamp> {
        self.occurred_at
    }
}
