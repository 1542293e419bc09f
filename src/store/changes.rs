//! What is stored, in the order in which it was stored: the change feed, followed by one process.
//!
//! There is no order between streams of different partitions, and nothing is remembered: a process
//! that starts again starts from the beginning or from now.

use super::{
    EventStore,
    cosmos::{Answered, ChangePages},
    document::read_event,
    error::ReadError,
    usage::Usage,
};
use crate::{event::RecordedEvent, telemetry::OperationKind};

/// Where to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangesFrom {
    /// With the first event that was ever stored.
    Beginning,
    /// Behind what is stored when the first page is asked for.
    Now,
}

/// The change feed of a store.
#[derive(Debug)]
pub struct Changes {
    store: EventStore,
    pages: ChangePages,
}

/// A page of the change feed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChangesPage {
    /// The events, those of one stream in their order. None means that everything which was stored
    /// has been delivered: wait a little before asking again.
    pub events: Vec<RecordedEvent>,
    /// What the page took.
    pub usage: Usage,
}

impl EventStore {
    /// Opens the change feed of all streams.
    ///
    /// # Errors
    ///
    /// [`ReadError::Store`].
    pub async fn changes(&self, from: ChangesFrom) -> Result<Changes, ReadError> {
        let from_beginning = from == ChangesFrom::Beginning;
        let pages = self.connection().changes(from_beginning, self.page_events()).await?;
        Ok(Changes { store: self.clone(), pages })
    }
}

impl Changes {
    /// The next page, also when there is nothing new. About 1 RU and one round trip for each
    /// partition that has to be asked.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; after one, the feed is over.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, its page is lost: open the feed again.
    pub async fn next_page(&mut self) -> Result<ChangesPage, ReadError> {
        let meter = self.store.meter(OperationKind::ChangesPage, "");
        let Answered { value, usage, .. } = Box::pin(self.pages.next()).await;
        let bytes = value.iter().flatten().map(|change| change.document.get().len()).sum();
        let events = value.map_err(ReadError::from).and_then(|changes| {
            let mut placed = Vec::with_capacity(changes.len());
            for change in changes {
                placed.push((change.lsn, read_event(None, &change.document)?));
            }
            // The service may deliver the events of one transaction in any order.
            placed.sort_by_key(|(lsn, event)| (*lsn, event.sequence_number()));
            Ok(placed.into_iter().map(|(_, event)| event).collect::<Vec<_>>())
        });
        meter.report(&events, usage, events.as_ref().map_or(0, Vec::len), bytes);
        events.map(|events| ChangesPage { events, usage })
    }
}
