//! Where events come from that the feed has not delivered.

use futures::{FutureExt as _, TryStreamExt as _, future::BoxFuture};
use thiserror::Error;

use crate::{
    event::RecordedEvent,
    store::{EventStore, ReadError},
};

/// The events of streams. Implementations: the event store, and memory for tests.
pub trait History: Send + Sync + 'static {
    /// The events of a stream between two sequence numbers, both included, in order. Fewer where the stream
    /// ends before.
    fn read<'a>(
        &'a self,
        stream: &'a str,
        from: u64,
        up_to: u64,
    ) -> BoxFuture<'a, Result<Vec<RecordedEvent>, HistoryFault>>;
}

/// Why events could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HistoryFault {
    /// It may work later.
    #[error("the events of the stream cannot be read now: {0}")]
    Unavailable(String),
    /// It will not work later: an event is damaged.
    #[error("the events of the stream cannot be read: {0}")]
    Damaged(String),
}

impl From<ReadError> for HistoryFault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt(error) => Self::Damaged(error.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl History for EventStore {
    /// A query, about 3 RU and a round trip for each page.
    fn read<'a>(
        &'a self,
        stream: &'a str,
        from: u64,
        up_to: u64,
    ) -> BoxFuture<'a, Result<Vec<RecordedEvent>, HistoryFault>> {
        async move {
            let events = EventStore::read(self, stream).from(from).up_to(up_to).stream();
            Ok(Box::pin(events.try_collect()).await?)
        }
        .boxed()
    }
}
