//! Views of streams: what a user writes.

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::Definition;
use crate::{aggregate::DecodeError, event::RecordedEvent};

/// A projection whose views are each made from the events of one stream.
///
/// Pure: the same events in the same order lead to the same views. It must not look at a clock, draw
/// random numbers or do IO; what it needs to know is in the events. It is called from several tasks.
///
/// ```
/// use cosmos_event_store::RecordedEvent;
/// use cosmos_event_store::projection::{Definition, Unreadable, ViewKey, Views};
///
/// struct Length;
///
/// impl Views for Length {
///     type Event = ();
///     type View = u64;
///
///     fn definition(&self) -> Definition {
///         Definition::new("length", 1)
///     }
///
///     fn decode(&self, _: &RecordedEvent) -> Result<Option<()>, Unreadable> {
///         Ok(Some(()))
///     }
///
///     fn change(&self, _: &ViewKey, view: Option<u64>, (): &(), _: &RecordedEvent) -> Option<u64> {
///         Some(view.unwrap_or(0) + 1)
///     }
/// }
/// ```
pub trait Views: Send + Sync + 'static {
    /// An event as the projection reads it; `()` where it takes it raw.
    type Event;
    /// What a view consists of. Its JSON is the `data` of the stored document, at most 1 MiB.
    type View: Serialize + DeserializeOwned;

    /// What it is called and what it takes. Always the same.
    fn definition(&self) -> Definition;

    /// Reads an event of a type that it takes; nothing where it does not concern the projection after all.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]: the stream is parked with the reason.
    fn decode(&self, event: &RecordedEvent) -> Result<Option<Self::Event>, Unreadable>;

    /// Which views the event changes: that of the stream unless it says otherwise, and at most 98.
    fn touches(&self, event: &Self::Event, recorded: &RecordedEvent) -> Vec<ViewKey> {
        let _ = (event, recorded);
        vec![ViewKey::Stream]
    }

    /// What the event makes of a view that it touches; nothing where there is no view after it.
    fn change(
        &self,
        key: &ViewKey,
        view: Option<Self::View>,
        event: &Self::Event,
        recorded: &RecordedEvent,
    ) -> Option<Self::View>;
}

/// Which view of a stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ViewKey {
    /// The one of the stream as a whole.
    Stream,
    /// One of a part of it, for example a line of an order: 1 to 64 characters without control characters.
    /// The definition has to [say so](Definition::with_parts).
    Part(String),
}

/// Why an event cannot be read. The text gets into the log and into documents: no payload.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Unreadable {
    /// An event that cannot be read, and why.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<DecodeError> for Unreadable {
    fn from(error: DecodeError) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Unreadable {
    /// What serde says may quote values, so it is left out.
    fn from(_: serde_json::Error) -> Self {
        Self("the data of the event is not as expected".to_owned())
    }
}
