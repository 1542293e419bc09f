//! Looking up single events.

use super::{
    Answer, EventStore, cosmos::Answered, document::read_event, error::ReadError,
    usage::SessionToken,
};
use crate::{
    event::{BadInput, EventId, RecordedEvent},
    stream::{SequenceNumber, StreamId, item_id},
    telemetry::OperationKind,
};

impl EventStore {
    /// One event by its number; nothing where there is none. A point read: one round trip, about 1 RU
    /// for a kilobyte.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn read_event<S>(
        &self,
        stream: S,
        sequence_number: u64,
    ) -> Result<Answer<Option<RecordedEvent>>, ReadError>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        self.read_event_since(stream, sequence_number, None).await
    }

    /// Like [`read_event`](Self::read_event), and sees at least what the holder of the token has seen.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn read_event_since<S>(
        &self,
        stream: S,
        sequence_number: u64,
        token: Option<&SessionToken>,
    ) -> Result<Answer<Option<RecordedEvent>>, ReadError>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        let stream = stream.try_into().map_err(Into::into)?;
        let number = SequenceNumber::new(sequence_number)?;
        let meter = self.meter(OperationKind::ReadEvent, stream.reported_category());
        let id = item_id(number.get());
        let Answered { value, usage, session_token } =
            self.connection().read_item(stream.as_str(), &id, token).await;
        let bytes = value.iter().flatten().map(|raw| raw.get().len()).sum();
        let event = value.map_err(ReadError::from).and_then(|raw| {
            let event = raw.map(|raw| read_event(Some(stream.as_str()), &raw));
            Ok(event.transpose()?)
        });
        let items = event.iter().flatten().count();
        meter.report(&event, usage, items, bytes);
        event.map(|value| Answer { value, usage, session_token })
    }

    /// The event of a stream with this id; nothing where there is none. One query within the stream's
    /// logical partition, about 3 RU.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn find_event<S>(
        &self,
        stream: S,
        event_id: EventId,
    ) -> Result<Answer<Option<RecordedEvent>>, ReadError>
    where
        S: TryInto<StreamId>,
        S::Error: Into<BadInput>,
    {
        let stream = stream.try_into().map_err(Into::into)?;
        let meter = self.meter(OperationKind::FindEvent, stream.reported_category());
        let Answered { value, usage, session_token } =
            Box::pin(self.connection().event_with_id(stream.as_str(), event_id)).await;
        let bytes = value.iter().flatten().map(|raw| raw.get().len()).sum();
        let event = value.map_err(ReadError::from).and_then(|found| {
            let raw = found.first();
            Ok(raw.map(|raw| read_event(Some(stream.as_str()), raw)).transpose()?)
        });
        let items = event.iter().flatten().count();
        meter.report(&event, usage, items, bytes);
        event.map(|value| Answer { value, usage, session_token })
    }
}
